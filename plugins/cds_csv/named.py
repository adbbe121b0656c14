"""The names of quantities in a laboratory's files: rows of tests, results with their tests, or column headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cds.domain.proposals import Named
from cds_csv.columns import folded
from cds_csv.tables import TableError, rows_of

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "code": ("code", "itemid", "item_id", "test_code", "local_code", "项目代码", "项目编码", "检验代码"),
        "name": ("name", "label", "test", "test_name", "analyte", "项目", "项目名称", "检验项目"),
        "loinc": ("loinc", "loinc_code", "LOINC编码"),
        "unit": ("unit", "units", "valueuom", "uom", "unit_of_measure", "单位"),
        "specimen": ("specimen", "fluid", "system", "sample", "标本", "标本类型", "样本类型"),
    }
)
_PLACES: Final = MappingProxyType({folded(name): column for column, names in COLUMNS.items() for name in names})
NAMES_LIMIT: Final = 20_000
"""More names than any laboratory has tests: such a column does not name tests."""


@dataclass(slots=True)
class Gathered:
    """One quantity of the source, with how often each unit was seen."""

    said: Named
    units: Counter[str] = field(default_factory=Counter)

    @property
    def named(self) -> Named:
        """With the unit that is seen most."""
        common = self.units.most_common(1)
        return replace(self.said, unit=common[0][0] if common else "")


def names_of(paths: Iterable[Path]) -> tuple[Named, ...]:
    """Every quantity that the files name, in the order in which they do; one code in two files is one quantity.

    Raises
    ------
    TableError
        When a file cannot be read, or names more than a laboratory can have.
    """
    found: dict[str, Gathered] = {}
    for path in paths:
        try:
            _read(path, found)
        except TableError as error:
            raise TableError(f"{path.name}: {error}") from error
    return tuple(each.named for each in found.values())


def _read(path: Path, found: dict[str, Gathered]) -> None:
    with rows_of(path) as rows:
        _, header = next(rows, (0, None))
        if not header:
            raise TableError("the file is empty or its first row cannot be parsed")
        places: dict[str, int] = {}
        for place, name in enumerate(header):
            places.setdefault(_PLACES.get(folded(name), ""), place)
        if "name" not in places and "code" not in places:
            for name in header:
                _add(found, Named(name=name.strip()))
            return
        for _, cells in rows:
            if cells is not None:
                _add(found, _named(cells, places))


def _named(cells: Sequence[str], places: Mapping[str, int]) -> Named:
    said = {
        column: cells[place].strip() if (place := places.get(column, len(cells))) < len(cells) else ""
        for column in COLUMNS
    }
    return Named(**said)


def _add(found: dict[str, Gathered], said: Named) -> None:
    key = said.code or said.name
    if not key:
        return
    known = found.get(key)
    if known is None:
        if len(found) >= NAMES_LIMIT:
            raise TableError(f"more than {NAMES_LIMIT} names: the column does not name tests")
        known = found[key] = Gathered(replace(said, unit=""))
    known.said = Named(
        code=known.said.code or said.code,
        name=known.said.name or said.name,
        loinc=known.said.loinc or said.loinc,
        specimen=known.said.specimen or said.specimen,
    )
    if said.unit:
        known.units[said.unit] += 1
