"""One Observation as laboratory values (R4 Observation): its own and those of its components."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Final

from cds.domain.labs import Analyte, by_code, contradicts, convert, parse_value
from cds.domain.records import LabResult, LabStatus
from cds.domain.site_codes import SiteCode
from cds_fhir import moments
from cds_fhir.elements import LOINC, UCUM, Element, child, children, number, text
from cds_fhir.resources import observed_text

COMPARATORS: Final = ("", "<", "<=", ">=", ">")
"""R4 value set quantity-comparator; no comparator is the number itself."""

WITHDRAWN: Final = ("cancelled", "entered-in-error")
STATUSES: Final[Mapping[str, LabStatus]] = MappingProxyType(
    {
        "preliminary": LabStatus.PRELIMINARY,
        "partial": LabStatus.PRELIMINARY,
        "final": LabStatus.FINAL,
        "amended": LabStatus.CORRECTED,
        "corrected": LabStatus.CORRECTED,
        "appended": LabStatus.CORRECTED,
    }
)
"""R4 observation-status and diagnostic-report-status; registered and unknown say that there is no result to use."""

ABSENT: Final = frozenset(
    (
        "unknown",
        "asked-unknown",
        "temp-unknown",
        "not-asked",
        "asked-declined",
        "masked",
        "not-applicable",
        "unsupported",
        "as-text",
        "error",
        "not-a-number",
        "negative-infinity",
        "positive-infinity",
        "not-performed",
        "not-permitted",
    )
)
"""R4 code system data-absent-reason."""

_NUMBER_AND_UNIT: Final = re.compile(r"(?P<number>[<>=≤≥\s]*[-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(?P<unit>[^\d\s.,].*)?")
_CODE_NOT_USED: Final = "the code is not among the analytes that are used"
_LOINC_CODE: Final = re.compile(r"\d{1,7}-\d")


@dataclass(frozen=True, slots=True)
class Part:
    """What of an Observation has a code and a value: itself, or a component."""

    element: Element
    source: str


@dataclass(frozen=True, slots=True)
class Value:
    """A laboratory value, and what of the resource could not be used although the value could."""

    result: LabResult
    remark: str = ""


def parts_of(element: Element, source: str) -> Iterator[Part]:
    """The Observation where it has a value or nothing else, and each of its components."""
    components = children(element, "component")
    groups = bool(components) or bool(children(element, "hasMember"))
    if _has_value(element) or child(element, "dataAbsentReason") or not groups:
        yield Part(element, source)
    for place, component in enumerate(components, start=1):
        yield Part(component, f"{source} component {place}")


def unusable(element: Element) -> str:
    """Why nothing of a resource may be used, whatever it says; ``""`` where it may."""
    if element.get("modifierExtension") or element.get("implicitRules"):
        return "the resource has a modifier extension or implicit rules, which may change what it says"
    if any(text(label, "code") == "AIAST" for label in children(child(element, "meta"), "security")):
        return "software asserted it (security label AIAST): it confirms nothing"
    if children(element, "focus"):
        return "the observation is about something else than its subject (focus)"
    status = text(element, "status")
    if status in WITHDRAWN:
        return "cancelled"
    return "" if status in STATUSES else "the status says that there is no result to use (registered, unknown)"


def observed_at(element: Element, zone: tzinfo) -> datetime:
    """The clinical time.

    Raises
    ------
    ValueError
        When it is not said, or cannot be understood.
    """
    said = observed_text(element)
    if not said:
        raise ValueError("no effective dateTime, Period or instant says when it was observed")
    return moments.moment(said, zone)


def value_of(part: Part, status: LabStatus, moment: datetime, site: Mapping[str, SiteCode]) -> Value:
    """The value in the analyte's house unit.

    Raises
    ------
    ValueError
        With the reason: analyte, value or unit.
    """
    if part.element.get("modifierExtension"):
        raise ValueError("the resource has a modifier extension or implicit rules, which may change what it says")
    analyte, site_unit = analyte_of(child(part.element, "code"), site)
    comparator, amount, unit = _amount(part.element)
    unit = unit or site_unit
    value = convert(amount, unit, analyte)
    low, high, remark = _reference(part.element, unit, analyte)
    result = LabResult(
        analyte=analyte.code,
        value=value,
        unit=analyte.unit,
        observed_at=moment,
        comparator=comparator,
        reference_low=low,
        reference_high=high,
        status=status,
        source=part.source,
    )
    return Value(result, remark)


def analyte_of(code: Element, site: Mapping[str, SiteCode]) -> tuple[Analyte, str]:
    """By LOINC, else by the site's table, with its unit; never by a name.

    Raises
    ------
    ValueError
        When neither knows it, two codes are of different analytes, or a name is that of another one.
    """
    codings = children(code, "coding")
    codes = [text(coding, "code") for coding in codings if text(coding, "system") == LOINC]
    found = {analyte.key: analyte for analyte in map(by_code, codes) if analyte is not None}
    if len(found) > 1:
        raise ValueError("its LOINC codes are of different analytes")
    for analyte in found.values():
        names = (text(code, "text"), *(text(coding, "display") for coding in codings))
        if any(contradicts(name, "", analyte) for name in names):
            raise ValueError("its LOINC code and its name are two analytes")
        return analyte, ""
    for coding in codings:
        if (listed := site.get(text(coding, "code"))) is not None:
            return listed.analyte, listed.unit
    if not codes:
        raise ValueError("no coding of it is LOINC or in the site's table of codes")
    raise ValueError(_not_used(codes[0]))


def _not_used(code: str) -> str:
    """Why a code is not used; it is repeated where it looks like one."""
    found = _LOINC_CODE.fullmatch(code)
    return f"LOINC {found[0]} is not among the analytes that are used" if found else _CODE_NOT_USED


def _has_value(element: Element) -> bool:
    return any(name.startswith("value") for name in element)


def _amount(element: Element) -> tuple[str, float, str]:
    """Comparator, number and unit.

    Raises
    ------
    ValueError
        When there is no value, or it is not one number.
    """
    quantity = child(element, "valueQuantity")
    if quantity:
        return _quantity(quantity)
    if (integer := number(element, "valueInteger")) is not None:
        return "", integer, ""
    if said := text(element, "valueString"):
        found = _NUMBER_AND_UNIT.fullmatch(said)
        if found is None:
            raise ValueError("the value is not a number (decimal point, no thousands separator)")
        comparator, amount = parse_value(found["number"])
        return comparator, amount, (found["unit"] or "").strip()
    if _has_value(element):
        raise ValueError("the value is not of a type that is read; there are: Quantity, string, integer")
    raise ValueError(_why_absent(element))


def _why_absent(element: Element) -> str:
    codes = [text(coding, "code") for coding in children(child(element, "dataAbsentReason"), "coding")]
    known = next((code for code in codes if code in ABSENT), "")
    return f"it has no value (dataAbsentReason: {known})" if known else "it has no value"


def _quantity(quantity: Element) -> tuple[str, float, str]:
    comparator = text(quantity, "comparator")
    if comparator not in COMPARATORS:
        raise ValueError("the comparator is not one that R4 has")
    amount = number(quantity, "value")
    if amount is None:
        raise ValueError("it has no value")
    return comparator, amount, _unit(quantity)


def _unit(quantity: Element) -> str:
    """The UCUM code, else the unit as it is shown; what is shown also where only it tells DDU from FEU."""
    code, shown = text(quantity, "code"), text(quantity, "unit")
    is_ucum = bool(code) and text(quantity, "system") in (UCUM, "")
    return code if is_ucum and "ddu" not in shown.casefold() else shown


def _reference(element: Element, unit: str, analyte: Analyte) -> tuple[float | None, float | None, str]:
    """The one normal range in the house unit; a range that cannot be read costs the range, not the value."""
    spans = [span for span in children(element, "referenceRange") if _is_normal(span)]
    spans = [span for span in spans if child(span, "low") or child(span, "high")]
    if not spans:
        return None, None, ""
    if len(spans) > 1:
        return None, None, "used without its reference range (it has several)"
    try:
        low, high = (_end(child(spans[0], name), unit, analyte) for name in ("low", "high"))
        if low is not None and high is not None and low > high:
            raise ValueError("it ends before it begins")
    except ValueError as error:
        return None, None, f"used without its reference range ({error})"
    return low, high, ""


def _is_normal(span: Element) -> bool:
    """Whether a range is the normal one (R4: so is one of no type); not one of some populations or ages only."""
    if children(span, "appliesTo") or child(span, "age"):
        return False
    codes = [text(coding, "code") for coding in children(child(span, "type"), "coding")]
    return not codes or "normal" in codes


def _end(quantity: Element, unit: str, analyte: Analyte) -> float | None:
    if not quantity:
        return None
    amount = number(quantity, "value")
    if amount is None:
        raise ValueError("the value is not a number (decimal point, no thousands separator)")
    return convert(amount, _unit(quantity) or unit, analyte)
