"""One row of a table, of a file or of a database: as a laboratory value, a report, an identity, or why it is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Final, Protocol

from cds.domain import cells
from cds.domain.cells import written
from cds.domain.joining import Search, Tally, Window
from cds.domain.labs import Analyte, by_code, by_name, contradicts, convert, fits_specimen, parse_value
from cds.domain.records import Identity, LabResult, LabStatus, TextKind, TextReport
from cds.domain.site_codes import SiteCode

PERSON: Final = ("patient_id", "issuer", "birth_date", "sex")
LABS: Final = (
    *PERSON,
    "code",
    "name",
    "value",
    "unit",
    "specimen",
    "observed_at",
    "reference_low",
    "reference_high",
    "status",
)
REPORTS: Final = (*PERSON, "report_id", "authored_at", "kind", "text")
"""The columns that are read."""
LABS_REQUIRED: Final = ("patient_id", "value", "unit", "observed_at")
REPORTS_REQUIRED: Final = ("patient_id", "report_id", "authored_at", "kind", "text")
EITHER: Final = ("code", "name")
"""A table of laboratory values has at least one of the two."""

STATUSES: Final[Mapping[str, LabStatus]] = MappingProxyType(
    dict.fromkeys(("", "final", "f", "最终", "已审核"), LabStatus.FINAL)
    | dict.fromkeys(("preliminary", "partial", "registered", "p", "r", "初步"), LabStatus.PRELIMINARY)
    | dict.fromkeys(("corrected", "amended", "c", "更正"), LabStatus.CORRECTED)
    | dict.fromkeys(("cancelled", "canceled", "entered-in-error", "x", "d", "w", "作废"), LabStatus.CANCELLED)
)
"""HL7 table 0085 and FHIR observation-status; an empty cell is final."""
FEU_ASSUMED: Final = "; neither FEU nor DDU stated, taken as FEU"

_KINDS: Final = {kind.value: kind for kind in TextKind}
_LOINC: Final = re.compile(r"\d{1,7}-\d", re.ASCII)


class Row(Protocol):
    """One row of a table."""

    def cell(self, column: str) -> object:
        """A cell as its source gives it; None or ``""`` where it is empty, or there is no such column."""


@dataclass(frozen=True, slots=True)
class LabRow:
    """A laboratory value, and what of the row could not be used although the value could."""

    result: LabResult
    remark: str = ""


def lab_of(row: Row, number: int, search: Search, site: Mapping[str, SiteCode], tally: Tally) -> LabResult | None:
    """The value of a row where it is in the window of its analyte; else None, and `tally` says why."""
    try:
        moment = cells.moment(row.cell("observed_at"), search.zone)
        inside = search.window.may_hold(moment)
        read = lab_row(row, moment, f"{tally.source} row {number}", site) if inside else None
    except ValueError as error:
        tally.row(number, str(error))
        return None
    if read is None or not search.window.holds(moment, read.result.analyte):
        tally.count(f"outside the window of {search.window}")
        return None
    if read.remark:
        tally.row(number, read.remark)
    if read.result.status is LabStatus.CANCELLED:
        tally.count("cancelled")
    return read.result


def report_of(row: Row, number: int, search: Search, tally: Tally) -> TextReport | None:
    """The report of a row: a prior from before the study, another in the window; else None, and `tally` says why."""
    try:
        report = report_row(row, search.zone, f"{tally.source} row {number}")
    except ValueError as error:
        tally.row(number, str(error))
        return None
    if reason := _untimely(report, search.window):
        tally.count(reason)
        return None
    return report


def identity(row: Row) -> Identity:
    """Who the row says it is about.

    Raises
    ------
    ValueError
        When birth date or sex cannot be understood.
    """
    return Identity(
        patient_id=written(row.cell("patient_id")),
        issuer_of_patient_id=written(row.cell("issuer")),
        birth_date=cells.birth_date(row.cell("birth_date")),
        sex=cells.sex(row.cell("sex")),
    )


def lab_row(row: Row, moment: datetime, source: str, site: Mapping[str, SiteCode]) -> LabRow:
    """The value of a row in the house unit.

    Raises
    ------
    ValueError
        With the reason: analyte, specimen, status, value or unit; it repeats no cell but a LOINC code.
    """
    code, name, said_unit = (written(row.cell(column)) for column in ("code", "name", "unit"))
    analyte, site_unit = _analyte(code, name, said_unit, site)
    unit = said_unit or site_unit
    if not fits_specimen(written(row.cell("specimen")), analyte):
        raise ValueError("the specimen is another than that of the analyte")
    status = STATUSES.get(written(row.cell("status")).casefold())
    if status is None:
        raise ValueError("the status is not known; there are: final, preliminary, corrected, cancelled")
    comparator, value = "", 0.0
    if status is not LabStatus.CANCELLED:
        comparator, number = parse_value(written(row.cell("value")))
        value = convert(number, unit, analyte)
    low, high, remark = _reference(row, unit, analyte)
    assumed = analyte.key == "d_dimer" and not code and "feu" not in (unit + name).casefold()
    result = LabResult(
        analyte=analyte.code,
        value=value,
        unit=analyte.unit,
        observed_at=moment,
        comparator=comparator,
        reference_low=low,
        reference_high=high,
        status=status,
        source=source + (FEU_ASSUMED if assumed else ""),
    )
    return LabRow(result, remark)


def report_row(row: Row, zone: tzinfo, source: str) -> TextReport:
    """The report of a row.

    Raises
    ------
    ValueError
        With the reason: kind, id, text or time.
    """
    kind = _KINDS.get(written(row.cell("kind")).casefold())
    if kind is None:
        raise ValueError(f"the kind is not known; there are: {', '.join(_KINDS)}")
    report_id, text = written(row.cell("report_id")), written(row.cell("text"))
    if not report_id:
        raise ValueError("the report has no report_id")
    if not text:
        raise ValueError("the report has no text")
    authored = cells.moment(row.cell("authored_at"), zone)
    return TextReport(report_id=report_id, text=text, kind=kind, authored_at=authored, source=source)


def _untimely(report: TextReport, window: Window) -> str:
    if report.authored_at is None:
        return "without a time"
    if report.kind is TextKind.PRIOR:
        return "" if report.authored_at < window.study else "a prior that is not from before the study"
    return "" if window.holds(report.authored_at) else f"outside the window of {window}"


def _analyte(code: str, name: str, unit: str, site: Mapping[str, SiteCode]) -> tuple[Analyte, str]:
    """By LOINC, else by the site's table, else by a name; a code that is not known is never read by its name."""
    found = by_code(code) if code else None
    if found is not None:
        if contradicts(name, unit, found):
            raise ValueError("its LOINC code and its name are two analytes")
        return found, ""
    listed = site.get(code or name)
    if listed is not None:
        return listed.analyte, listed.unit
    if code:
        shown = f"LOINC {code}" if _LOINC.fullmatch(code) else "the code"
        raise ValueError(f"{shown} is not among the analytes that are used")
    if not name:
        raise ValueError("the row names no analyte")
    named = by_name(name, unit)
    if named is None:
        raise ValueError("the name is not among the analytes that are used")
    return named, ""


def _reference(row: Row, unit: str, analyte: Analyte) -> tuple[float | None, float | None, str]:
    """The laboratory's own range in the house unit; a range that cannot be read costs the range, not the value."""
    try:
        low, high = (_end(written(row.cell(f"reference_{end}")), unit, analyte) for end in ("low", "high"))
        if low is not None and high is not None and low > high:
            raise ValueError("it ends before it begins")
    except ValueError as error:
        return None, None, f"used without its reference range ({error})"
    return low, high, ""


def _end(text: str, unit: str, analyte: Analyte) -> float | None:
    return convert(parse_value(text)[1], unit, analyte) if text else None
