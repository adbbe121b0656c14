"""The columns of the two kinds of table, and where a file has them."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from cds.domain.rows import EITHER
from cds_csv.tables import TableError

PERSON: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "patient_id": ("患者ID", "病人ID", "患者编号", "病历号"),
        "issuer": ("issuer_of_patient_id", "患者ID来源"),
        "birth_date": ("出生日期",),
        "sex": ("gender", "性别"),
    }
)
LABS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        **PERSON,
        "code": ("loinc", "loinc_code", "LOINC编码"),
        "name": ("test", "analyte", "项目", "项目名称", "检验项目"),
        "value": ("result", "结果", "检验结果"),
        "unit": ("units", "单位"),
        "specimen": ("fluid", "标本", "标本类型", "样本类型"),
        "observed_at": ("collected_at", "采样时间", "检验时间"),
        "reference_low": ("参考下限",),
        "reference_high": ("参考上限",),
        "status": ("状态",),
    }
)
REPORTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        **PERSON,
        "report_id": ("报告ID", "报告编号"),
        "authored_at": ("报告时间",),
        "kind": ("报告类型",),
        "text": ("report", "报告", "报告内容"),
    }
)
"""Every column with the other headers that are taken for it; case, spaces and hyphens do not count."""

SHOWN_COLUMNS: Final = 40
SHOWN_CHARACTERS: Final = 30


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each column of a file is."""

    places: Mapping[str, int]
    width: int

    def cell(self, cells: Sequence[str], column: str) -> str:
        """The cell of a row, stripped; ``""`` where the file has no such column."""
        place = self.places.get(column)
        return cells[place].strip() if place is not None and place < len(cells) else ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file with a known layout; `number` counts the file's rows."""

    number: int
    cells: Sequence[str] = field(repr=False)
    where: Layout

    def cell(self, column: str) -> str:
        """As `Layout.cell` (`cds.domain.rows.Row`)."""
        return self.where.cell(self.cells, column)


def layout(header: Sequence[str], columns: Mapping[str, tuple[str, ...]], required: Sequence[str]) -> Layout:
    """Find the columns in a header row.

    Raises
    ------
    TableError
        When a required column is missing or one is there twice. The message says which, what there
        is, and what is nearest; where no header is recognised, it does not repeat the first row,
        which may then be a patient's.
    """
    known = {folded(name): column for column, others in columns.items() for name in (column, *others)}
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        column = known.get(folded(name))
        if column is None:
            continue
        if column in places:
            raise TableError(f"two columns are {column!r}")
        places[column] = place
    if not places:
        raise TableError(f"no column is known; the first row must name the columns: {', '.join(columns)}")
    missing = [column for column in required if column not in places]
    if "code" in columns and not any(column in places for column in EITHER):
        missing.append("code or name")
    if missing:
        raise TableError("; ".join(_missing(column, header) for column in missing) + f"; there are: {_shown(header)}")
    return Layout(places, len(header))


def _missing(column: str, header: Sequence[str]) -> str:
    close = difflib.get_close_matches(folded(column), [folded(name) for name in header], n=1, cutoff=0.5)
    nearest = f" (nearest is {close[0][:SHOWN_CHARACTERS]!r})" if close else ""
    return f"no column {column!r}{nearest}"


def _shown(header: Sequence[str]) -> str:
    names = [name.strip()[:SHOWN_CHARACTERS] for name in header if name.strip()]
    more = f" and {len(names) - SHOWN_COLUMNS} more" if len(names) > SHOWN_COLUMNS else ""
    return ", ".join(names[:SHOWN_COLUMNS]) + more


def folded(name: str) -> str:
    """A header as it is compared: case, spaces, hyphens and a byte order mark do not count."""
    text = unicodedata.normalize("NFKC", name.lstrip("﻿")).strip().casefold()
    return text.replace(" ", "_").replace("-", "_")
