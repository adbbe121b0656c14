"""Tables of laboratory values, CSV or XLSX, as rows of text by column."""

from __future__ import annotations

import csv
import re
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cds.domain.labs import Analyte, by_name, convert, map_names
from cds.errors import ConfigError
from cds.features.labs_risk.inputs import USED

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "patient_id": ("patient", "患者ID", "患者编号", "病历号"),
        "outcome": ("died", "death", "dead", "出院方式", "结局"),
        "admitted_at": ("admission_time", "admission", "入院时间"),
        "observed_at": ("re_date", "collected_at", "time", "采样时间", "检验时间"),
        "age": ("age_years", "年龄"),
        "file": ("labs", "path"),
        "name": ("test", "analyte", "项目名称", "检验项目"),
        "code": ("loinc", "loinc_code"),
        "value": ("result", "结果", "检验结果"),
        "unit": ("units", "单位"),
    }
)
"""Every column with the other headers that are taken for it; case, spaces and hyphens do not count."""
UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {"creatinine": "umol/L", "calcium": "mmol/L", "glucose": "mmol/L", "bilirubin": "umol/L", "urea_nitrogen": "mmol/L"}
)
"""What a column without a unit is in: SI as laboratories in China use it, else the house unit."""
_BRACKETED: Final = re.compile(r"(?P<name>.+?)\s*[\[(（](?P<unit>[^\[\]（）]*)[\])）]\s*")
_SHARE: Final = re.compile(r"(?P<name>.*\w)\s*(?P<unit>[%％])")
_SUFFIXES: Final = (".csv", ".xlsx")
_XLSX_LIMIT_BYTES: Final = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text, numbered as a spreadsheet counts, and where each column is."""

    name: str
    places: Mapping[str, int]
    analytes: Mapping[int, tuple[Analyte, str]]
    rows: tuple[tuple[int, tuple[str, ...]], ...]

    def cell(self, cells: tuple[str, ...], column: str) -> str:
        """The cell, stripped; ``""`` where the table has no such column."""
        place = self.places.get(column)
        return cells[place] if place is not None and place < len(cells) else ""


def read_table(path: Path) -> Table:
    """Read a table; its first row names the columns.

    A column that names an analyte (`cds.domain.labs.map_names`) holds its values, in the unit that stands in
    brackets after the name (``LDH [U/L]``), else in `UNITS`.

    Raises
    ------
    ConfigError
        When the file cannot be read, or two columns mean the same.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"{path.name} is neither .csv nor .xlsx")
    try:
        rows = list(_csv(path) if path.suffix.lower() == ".csv" else _xlsx(path))
    except (OSError, UnicodeDecodeError, csv.Error, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ConfigError(f"{path.name} cannot be read: {type(error).__name__}") from None
    if not rows:
        raise ConfigError(f"{path.name} is empty; the first row must name the columns")
    places, analytes = _columns(path.name, rows[0])
    numbered = tuple((number, row) for number, row in enumerate(rows[1:], start=2) if any(row))
    return Table(name=path.name, places=places, analytes=analytes, rows=numbered)


def analyte_of(header: str) -> tuple[Analyte, str] | None:
    """Analyte and unit that a column header names; None where it names none."""
    named = map_names([header]).get(header)
    found = _BRACKETED.fullmatch(header) or _SHARE.fullmatch(header)
    if found is not None:
        name, unit = found["name"], found["unit"].strip()
        bare = named or next(filter(None, (by_name(each, unit) for each in (name, f"{name}s", name + unit))), None)
        if bare is not None and _converts(unit, bare):
            return bare, unit
    return None if named is None else (named, UNITS.get(named.key, named.unit))


def _converts(unit: str, analyte: Analyte) -> bool:
    try:
        convert(1.0, unit, analyte)
    except ValueError:
        return False
    return True


def _columns(name: str, header: tuple[str, ...]) -> tuple[dict[str, int], dict[int, tuple[Analyte, str]]]:
    known = {_folded(other): column for column, others in COLUMNS.items() for other in (column, *others)}
    places: dict[str, int] = {}
    analytes: dict[int, tuple[Analyte, str]] = {}
    for place, title in enumerate(header):
        column, analyte = known.get(_folded(title)), analyte_of(title)
        if column is not None:
            if column in places:
                raise ConfigError(f"{name}: two columns are {column!r}")
            places[column] = place
        elif analyte is not None and analyte[0].key in USED:
            if any(analyte[0].key == other.key for other, _ in analytes.values()):
                raise ConfigError(f"{name}: two columns are {analyte[0].key!r}")
            analytes[place] = analyte
    return places, analytes


def _folded(title: str) -> str:
    text = unicodedata.normalize("NFKC", title).strip().casefold()
    return text.replace(" ", "_").replace("-", "_")


def _csv(path: Path) -> Iterator[tuple[str, ...]]:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("gb18030")
    lines = text.splitlines()
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    for row in csv.reader(lines, delimiter=delimiter):
        yield tuple(cell.strip() for cell in row)


def _xlsx(path: Path) -> Iterator[tuple[str, ...]]:
    """The first sheet."""
    import openpyxl

    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > _XLSX_LIMIT_BYTES:
            raise ConfigError(f"{path.name} unpacks to more than 256 MiB")
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        for row in book.worksheets[0].iter_rows(values_only=True):
            yield tuple(_text(cell) for cell in row)
    finally:
        book.close()


def _text(cell: object) -> str:
    if cell is None:
        return ""
    return cell.isoformat(sep=" ") if isinstance(cell, datetime) else str(cell).strip()
