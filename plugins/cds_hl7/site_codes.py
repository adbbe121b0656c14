"""The site's own table of codes: what a laboratory calls an analyte, and the unit where its messages do not say."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cds.domain.labs import Analyte, by_code, convert
from cds.errors import ConfigError

COLUMNS: Final = ("code", "loinc", "unit")


@dataclass(frozen=True, slots=True)
class SiteCode:
    """One row: the analyte that a local code stands for; `unit` is ``""`` where messages must name it."""

    analyte: Analyte
    unit: str


def site_codes(path: Path) -> Mapping[str, SiteCode]:
    """The rows of the table, by local code; UTF-8, with a header row.

    Raises
    ------
    ConfigError
        When the file cannot be read, a column is missing, a LOINC code is not among the analytes, a unit does
        not fit, or a code stands there twice; the message names the row.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
            if missing:
                raise ConfigError(f"{path}: no column {', '.join(missing)}; wanted are: {', '.join(COLUMNS)}")
            found: dict[str, SiteCode] = {}
            for number, row in enumerate(rows, start=2):
                code = (row["code"] or "").strip()
                if not code or code in found:
                    raise ConfigError(f"{path} row {number}: {'a code twice' if code else 'no code'}")
                found[code] = _site_code(row, f"{path} row {number}")
            return found
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read as CSV in UTF-8 ({type(error).__name__})") from error


def _site_code(row: Mapping[str, str | None], where: str) -> SiteCode:
    analyte = by_code(row["loinc"] or "")
    if analyte is None:
        raise ConfigError(f"{where}: the LOINC code is not among the analytes that are used")
    unit = (row["unit"] or "").strip()
    if unit:
        try:
            convert(1.0, unit, analyte)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from error
    return SiteCode(analyte, unit)
