"""One row of a view as a laboratory value or a report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Final

from cds.domain.labs import Analyte, by_code, by_name, contradicts, convert, fits_specimen, parse_value
from cds.domain.records import Identity, LabResult, LabStatus, TextKind, TextReport
from cds.domain.site_codes import SiteCode
from cds_sql.cells import Row

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
    "updated_at",
)
REPORTS: Final = (*PERSON, "report_id", "authored_at", "kind", "text", "updated_at")
"""The columns that are read, with the names that CSV files have; upper and lower case are the same."""
LABS_REQUIRED: Final = ("patient_id", "value", "unit", "observed_at")
REPORTS_REQUIRED: Final = ("patient_id", "report_id", "authored_at", "kind", "text")
EITHER: Final = ("code", "name")
"""A view of laboratory values has at least one of the two."""

STATUSES: Final[Mapping[str, LabStatus]] = MappingProxyType(
    dict.fromkeys(("", "final", "f", "最终", "已审核"), LabStatus.FINAL)
    | dict.fromkeys(("preliminary", "partial", "registered", "p", "r", "初步"), LabStatus.PRELIMINARY)
    | dict.fromkeys(("corrected", "amended", "c", "更正"), LabStatus.CORRECTED)
    | dict.fromkeys(("cancelled", "canceled", "entered-in-error", "x", "d", "w", "作废"), LabStatus.CANCELLED)
)
"""HL7 table 0085 and FHIR observation-status; NULL is final."""

FEU_ASSUMED: Final = "; neither FEU nor DDU stated, taken as FEU"

_LOINC: Final = re.compile(r"\d{1,7}-\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class LabRow:
    """A laboratory value, and what of the row could not be used although the value could."""

    result: LabResult
    remark: str = ""


def identity(row: Row) -> Identity:
    """Who the row says it is about.

    Raises
    ------
    ValueError
        When birth date or sex cannot be understood.
    """
    return Identity(
        patient_id=row.text("patient_id"),
        issuer_of_patient_id=row.text("issuer"),
        birth_date=row.birth_date(),
        sex=row.sex(),
    )


def lab_row(row: Row, moment: datetime, source: str, site: Mapping[str, SiteCode]) -> LabRow:
    """The value of a row in the house unit.

    Raises
    ------
    ValueError
        With the reason: analyte, specimen, status, value or unit; it repeats no cell but a LOINC code.
    """
    analyte, site_unit = _analyte(row, site)
    unit = row.text("unit") or site_unit
    if not fits_specimen(row.text("specimen"), analyte):
        raise ValueError("the specimen is another than that of the analyte")
    status = STATUSES.get(row.text("status").casefold())
    if status is None:
        raise ValueError("the status is not known; there are: final, preliminary, corrected, cancelled")
    comparator, value = "", 0.0
    if status is not LabStatus.CANCELLED:
        comparator, number = parse_value(row.text("value"))
        value = convert(number, unit, analyte)
    low, high, remark = _reference(row, unit, analyte)
    said = unit + row.text("name")
    assumed = analyte.key == "d_dimer" and not row.text("code") and "feu" not in said.casefold()
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
    kinds = {kind.value: kind for kind in TextKind}
    kind = kinds.get(row.text("kind").casefold())
    if kind is None:
        raise ValueError(f"the kind is not known; there are: {', '.join(kinds)}")
    report_id, text = row.text("report_id"), row.text("text")
    if not report_id:
        raise ValueError("the report has no report_id")
    if not text:
        raise ValueError("the report has no text")
    authored = row.moment("authored_at", zone)
    return TextReport(report_id=report_id, text=text, kind=kind, authored_at=authored, source=source)


def _analyte(row: Row, site: Mapping[str, SiteCode]) -> tuple[Analyte, str]:
    """By LOINC, else by the site's table, else by a name; a code that is not known is never read by its name."""
    code, name, unit = row.text("code"), row.text("name"), row.text("unit")
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
        low, high = (_end(row.text(f"reference_{end}"), unit, analyte) for end in ("low", "high"))
        if low is not None and high is not None and low > high:
            raise ValueError("it ends before it begins")
    except ValueError as error:
        return None, None, f"used without its reference range ({error})"
    return low, high, ""


def _end(text: str, unit: str, analyte: Analyte) -> float | None:
    return convert(parse_value(text)[1], unit, analyte) if text else None
