"""A site's own table of codes: what its laboratory calls an analyte, and the unit where results do not say."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cds.domain.labs import Analyte, by_code, convert

COLUMNS: Final = ("loinc", "unit")
EITHER: Final = ("code", "name")


@dataclass(frozen=True, slots=True)
class SiteCode:
    """One row: the analyte that a local code or name stands for; `unit` is ``""`` where results must name it."""

    analyte: Analyte
    unit: str


def site_codes(path: Path) -> Mapping[str, SiteCode]:
    """The rows of the table by local code, or by name where a row has no code; UTF-8, with a header row.

    A row without a LOINC code is not decided yet, and passed over: `cds labs map` writes such rows.

    Raises
    ------
    ValueError
        When the file cannot be read, a column is missing, a LOINC code is not among the analytes, a unit does
        not fit, or a code stands there twice; the message names the row.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            _check_columns(path, rows.fieldnames or ())
            found: dict[str, SiteCode] = {}
            for number, row in enumerate(rows, start=2):
                where = f"{path} row {number}"
                key = (row.get("code") or "").strip() or (row.get("name") or "").strip()
                if not key or key in found:
                    raise ValueError(f"{where}: {'a code twice' if key else 'no code'}")
                if row["loinc"] is None or row["loinc"].strip():
                    found[key] = _site_code(row, where)
            return found
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as CSV in UTF-8 ({type(error).__name__})") from error


def _check_columns(path: Path, names: Sequence[str]) -> None:
    missing = [column for column in COLUMNS if column not in names]
    if not any(column in names for column in EITHER):
        missing.insert(0, "code")
    if missing:
        raise ValueError(f"{path}: no column {', '.join(missing)}; wanted are: code, loinc, unit")


def _site_code(row: Mapping[str, str | None], where: str) -> SiteCode:
    analyte = by_code(row["loinc"] or "")
    if analyte is None:
        raise ValueError(f"{where}: the LOINC code is not among the analytes that are used")
    unit = (row["unit"] or "").strip()
    if unit:
        try:
            convert(1.0, unit, analyte)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    return SiteCode(analyte, unit)
