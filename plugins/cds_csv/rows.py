"""One row as a laboratory value or a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Final

from cds.domain.labs import Analyte, by_code, by_name, contradicts, convert, fits_specimen, parse_value
from cds.domain.records import Identity, LabResult, LabStatus, TextKind, TextReport
from cds.domain.site_codes import SiteCode
from cds_csv import fields
from cds_csv.columns import Layout

STATUSES: Final[Mapping[str, LabStatus]] = MappingProxyType(
    dict.fromkeys(("", "final", "f", "最终", "已审核"), LabStatus.FINAL)
    | dict.fromkeys(("preliminary", "partial", "registered", "p", "r", "初步"), LabStatus.PRELIMINARY)
    | dict.fromkeys(("corrected", "amended", "c", "更正"), LabStatus.CORRECTED)
    | dict.fromkeys(("cancelled", "canceled", "entered-in-error", "x", "d", "w", "作废"), LabStatus.CANCELLED)
)
"""HL7 table 0085 and FHIR observation-status; an empty cell is final."""

FEU_ASSUMED: Final = "; neither FEU nor DDU stated, taken as FEU"


def identity(cells: Sequence[str], where: Layout) -> Identity:
    """Who the row says it is about.

    Raises
    ------
    ValueError
        When birth date or sex cannot be understood.
    """
    return Identity(
        patient_id=where.cell(cells, "patient_id"),
        issuer_of_patient_id=where.cell(cells, "issuer"),
        birth_date=fields.birth_date(where.cell(cells, "birth_date")),
        sex=fields.sex(where.cell(cells, "sex")),
    )


@dataclass(frozen=True, slots=True)
class LabRow:
    """A laboratory value, and what of the row could not be used although the value could."""

    result: LabResult
    remark: str = ""


def observed_at(cells: Sequence[str], where: Layout, zone: tzinfo) -> datetime:
    """When the specimen was taken.

    Raises
    ------
    ValueError
        When it cannot be understood.
    """
    return fields.moment(where.cell(cells, "observed_at"), zone)


def lab_row(cells: Sequence[str], where: Layout, moment: datetime, source: str, site: Mapping[str, SiteCode]) -> LabRow:
    """The value of a row in the house unit.

    Raises
    ------
    ValueError
        With the reason: analyte, status, value or unit; it repeats no cell but a LOINC code.
    """
    unit = where.cell(cells, "unit")
    analyte, site_unit = _analyte(where.cell(cells, "code"), where.cell(cells, "name"), unit, site)
    unit = unit or site_unit
    if not fits_specimen(where.cell(cells, "specimen"), analyte):
        raise ValueError("the specimen is another than that of the analyte")
    status = STATUSES.get(where.cell(cells, "status").casefold())
    if status is None:
        raise ValueError("the status is not known; there are: final, preliminary, corrected, cancelled")
    comparator, number = parse_value(where.cell(cells, "value")) if status is not LabStatus.CANCELLED else ("", 0.0)
    value = convert(number, unit, analyte) if status is not LabStatus.CANCELLED else 0.0
    low, high, remark = _reference(cells, where, unit, analyte)
    assumed = analyte.key == "d_dimer" and "feu" not in (unit + where.cell(cells, "name")).casefold()
    by_name_only = assumed and not where.cell(cells, "code")
    return LabRow(
        LabResult(
            analyte=analyte.code,
            value=value,
            unit=analyte.unit,
            observed_at=moment,
            comparator=comparator,
            reference_low=low,
            reference_high=high,
            status=status,
            source=source + (FEU_ASSUMED if by_name_only else ""),
        ),
        remark,
    )


def _analyte(code: str, name: str, unit: str, site: Mapping[str, SiteCode]) -> tuple[Analyte, str]:
    """By LOINC, else by the site's table, else by a name; a code that is not known is never read by its name."""
    if code:
        found = by_code(code)
        if found is not None:
            if contradicts(name, unit, found):
                raise ValueError("its LOINC code and its name are two analytes")
            return found, ""
    listed = site.get(code or name)
    if listed is not None:
        return listed.analyte, listed.unit
    if code:
        shown = f"LOINC {code}" if _looks_like_loinc(code) else "the code"
        raise ValueError(f"{shown} is not among the analytes that are used")
    if not name:
        raise ValueError("the row names no analyte")
    named = by_name(name, unit)
    if named is None:
        raise ValueError("the name is not among the analytes that are used")
    return named, ""


def _looks_like_loinc(code: str) -> bool:
    number, _, check = code.partition("-")
    return code.isascii() and number.isdigit() and len(number) <= 7 and check.isdigit() and len(check) == 1


def _reference(
    cells: Sequence[str], where: Layout, unit: str, analyte: Analyte
) -> tuple[float | None, float | None, str]:
    """The laboratory's own range in the house unit; a range that cannot be read costs the range, not the value."""
    try:
        ends = [_end(where.cell(cells, f"reference_{end}"), unit, analyte) for end in ("low", "high")]
        low, high = ends
        if low is not None and high is not None and low > high:
            raise ValueError("it ends before it begins")
    except ValueError as error:
        return None, None, f"used without its reference range ({error})"
    return low, high, ""


def _end(text: str, unit: str, analyte: Analyte) -> float | None:
    if not text:
        return None
    return convert(parse_value(text)[1], unit, analyte)


def report_row(cells: Sequence[str], where: Layout, zone: tzinfo, source: str) -> TextReport:
    """The report of a row.

    Raises
    ------
    ValueError
        With the reason: kind, id, text or time.
    """
    kinds = {kind.value: kind for kind in TextKind}
    kind = kinds.get(where.cell(cells, "kind").casefold())
    if kind is None:
        raise ValueError(f"the kind is not known; there are: {', '.join(kinds)}")
    report_id, text = where.cell(cells, "report_id"), where.cell(cells, "text")
    if not report_id:
        raise ValueError("the report has no report_id")
    if not text:
        raise ValueError("the report has no text")
    authored = fields.moment(where.cell(cells, "authored_at"), zone)
    return TextReport(report_id=report_id, text=text, kind=kind, authored_at=authored, source=source)
