"""One OBX as a laboratory value (HL7 v2.5.1 chapter 7.4.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Final

from cds.domain.labs import Analyte, by_code, contradicts, convert, parse_value
from cds.domain.records import LabResult, LabStatus
from cds.domain.site_codes import SiteCode
from cds_hl7 import moments
from cds_hl7.er7 import Segment

STATUSES: Final[Mapping[str, LabStatus]] = MappingProxyType(
    dict.fromkeys(("F", "U", "B", "V"), LabStatus.FINAL)
    | dict.fromkeys(("P", "R", "S", ""), LabStatus.PRELIMINARY)
    | dict.fromkeys(("C", "A"), LabStatus.CORRECTED)
    | dict.fromkeys(("X", "D", "W"), LabStatus.CANCELLED)
)
"""HL7 table 0085. I, N and O say that there is no result. Where nothing is said it may not be final."""
NUMBERS: Final = ("NM", "SN", "ST")
TEXTS: Final = ("TX", "FT")
"""Value types (HL7 table 0125) that are read; ST is read as a number."""

_SHOWN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%#/-]{0,19}")
_PLAIN: Final = r"\d{1,12}(?:\.\d{1,12})?|\.\d{1,12}"
_SPAN: Final = re.compile(rf"\s*(?P<low>{_PLAIN})\s*(?:-|--|~|–|to)\s*(?P<high>{_PLAIN})\s*", re.ASCII)
_ONE_END: Final = re.compile(rf"\s*(?P<sign><=?|>=?|≤|≥)\s*(?P<end>{_PLAIN})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Value:
    """A laboratory value, and what of the OBX could not be used although the value could."""

    result: LabResult
    remark: str = ""


def status_of(obx: Segment, obr: Segment | None) -> LabStatus:
    """OBX-11, else the status of the order's results (OBR-25).

    Raises
    ------
    ValueError
        When it says that there is no result, or is not known.
    """
    letter = (obx.text(11) or (obr.text(25) if obr else "")).upper()
    status = STATUSES.get(letter)
    if status is None:
        raise ValueError("the status (OBX-11) says that there is no result, or is not known")
    return status


def observed_at(obx: Segment, obr: Segment | None, zone: tzinfo) -> datetime:
    """OBX-14, else OBR-7.

    Raises
    ------
    ValueError
        When neither is there, or it cannot be understood.
    """
    text = obx.text(14) or (obr.text(7) if obr else "")
    if not text:
        raise ValueError("neither OBX-14 nor OBR-7 says when it was observed")
    return moments.moment(text, zone)


def value_of(obx: Segment, status: LabStatus, moment: datetime, source: str, site: Mapping[str, SiteCode]) -> Value:
    """The value in the analyte's house unit.

    Raises
    ------
    ValueError
        With the reason: value type, analyte, value or unit.
    """
    if obx.text(2) not in NUMBERS and status is not LabStatus.CANCELLED:
        raise ValueError("the value type (OBX-2) is not one that is read; there are: NM, SN, ST, TX, FT")
    analyte, site_unit = analyte_of(obx, site)
    unit = obx.text(6) or obx.text(6, 2) or site_unit
    comparator, value, low, high, remark = "", 0.0, None, None, ""
    if status is not LabStatus.CANCELLED:
        comparator, number = _number(obx)
        value = convert(number, unit, analyte)
        low, high, remark = _reference(obx.whole(obx.raw(7)), unit, analyte)
    result = LabResult(
        analyte=analyte.code,
        value=value,
        unit=analyte.unit,
        observed_at=moment,
        comparator=comparator,
        reference_low=low,
        reference_high=high,
        status=status,
        source=source,
    )
    return Value(result, remark)


def analyte_of(obx: Segment, site: Mapping[str, SiteCode]) -> tuple[Analyte, str]:
    """By LOINC (coding system LN, in either triplet of OBX-3), else by the site's table; never by a name.

    Raises
    ------
    ValueError
        When neither knows it, or the name beside a LOINC code is another analyte's.
    """
    for first in (1, 4):
        if obx.text(3, first + 2).upper() in ("LN", "LOINC"):
            code = obx.text(3, first)
            found = by_code(code)
            if found is None:
                raise ValueError(f"LOINC {_shown(code)} is not among the analytes that are used")
            if contradicts(obx.text(3, first + 1), obx.text(6), found):
                raise ValueError("its LOINC code and its name are two analytes")
            return found, ""
    for first in (1, 4):
        row = site.get(obx.text(3, first))
        if row is not None:
            return row.analyte, row.unit
    raise ValueError(f"the code {_shown(obx.text(3))} is neither LOINC (LN) nor in the site's table of codes")


def _shown(code: str) -> str:
    """A code as a message may repeat it: what looks like one."""
    return code if _SHOWN.fullmatch(code) else "of OBX-3"


def _number(obx: Segment) -> tuple[str, float]:
    """Comparator and number of OBX-5.

    Raises
    ------
    ValueError
        When it is not one number.
    """
    repetitions = obx.repetitions(5)
    if len(repetitions) != 1:
        raise ValueError("OBX-5 has no value, or several")
    if obx.text(2) != "SN":
        return parse_value(obx.whole(repetitions[0]))
    if obx.text(5, 3) or obx.text(5, 4):
        raise ValueError("the value is a range or a ratio, not one number")
    return parse_value(obx.text(5).removeprefix("=") + obx.text(5, 2))


def _reference(text: str, unit: str, analyte: Analyte) -> tuple[float | None, float | None, str]:
    """OBX-7 in the house unit; a range that cannot be read costs the range, not the value."""
    if not text.strip():
        return None, None, ""
    try:
        if span := _SPAN.fullmatch(text):
            low, high = (convert(float(span[end]), unit, analyte) for end in ("low", "high"))
            if low > high:
                raise ValueError("it ends before it begins")
            return low, high, ""
        if one := _ONE_END.fullmatch(text):
            end = convert(float(one["end"]), unit, analyte)
            return (end, None, "") if one["sign"] in (">", ">=", "≥") else (None, end, "")
    except ValueError as error:
        return None, None, f"used without its reference range ({error})"
    return None, None, "used without its reference range (OBX-7 is not of the form low-high, <high or >low)"
