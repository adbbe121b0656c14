"""Laboratory values in one normal form: which analyte, in which unit, compared with which range."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from cds.domain.analytes import ADULT_YEARS, ANALYTES, Analyte, ReferenceRange
from cds.domain.records import LabResult, LabStatus
from cds.domain.units import Kind, factor, spelling

__all__ = [
    "ANALYTES",
    "Analyte",
    "ReferenceRange",
    "accepted_units",
    "by_code",
    "by_name",
    "contradicts",
    "convert",
    "default_range",
    "fits_specimen",
    "latest_final",
    "map_names",
    "names_like",
    "parse_value",
    "too_young",
]

_BY_CODE: Final[Mapping[str, Analyte]] = MappingProxyType(
    {code: analyte for analyte in ANALYTES.values() for code in (analyte.code.value, *analyte.also)}
)
_PUNCTUATION: Final = re.compile(r"[\s()\[\]{}_,.:;'\"·/\-‐-―]+")


def _folded(name: str) -> str:
    return _PUNCTUATION.sub("", unicodedata.normalize("NFKC", name).casefold())


def _all_names(analyte: Analyte) -> tuple[str, ...]:
    return (analyte.code.meaning, analyte.code.meaning_zh, analyte.long_name, *analyte.names)


_BY_NAME: Final[Mapping[str, Analyte]] = MappingProxyType(
    {_folded(name): analyte for analyte in ANALYTES.values() for name in _all_names(analyte)}
)


def by_code(loinc: str) -> Analyte | None:
    """The analyte of a LOINC code, its own or one of the same quantity; None where the table has none."""
    return _BY_CODE.get(loinc.strip())


_COUNT_OR_SHARE: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        name: (count, share)
        for names, count, share in (
            (("neutrophils", "中性粒细胞"), "neutrophils", "neutrophils_percent"),
            (("lymphocytes", "淋巴细胞"), "lymphocytes", "lymphocytes_percent"),
            (("eosinophils", "嗜酸性粒细胞", "嗜酸细胞"), "eosinophils", "eosinophils_percent"),
            (("monocytes", "单核细胞"), "monocytes", "monocytes_percent"),
            (("basophils", "嗜碱性粒细胞", "嗜碱细胞"), "basophils", "basophils_percent"),
        )
        for name in names
    }
)
"""Bare names of a cell, which mean its count or its share of the leukocytes: only the unit tells."""


def by_name(name: str, unit: str = "") -> Analyte | None:
    """The analyte that a laboratory calls `name`, in English or Chinese; None where the table has none.

    Case, spaces and punctuation do not count; ``%`` and ``#`` do, because they tell a share of the
    leukocytes from a count. A bare ``neutrophils`` is known by its unit only, and a bare ``pH``,
    ``pO2`` or ``pCO2`` is not known at all: it does not say of which blood, or whether of blood.
    """
    folded = _folded(name)
    if folded in _COUNT_OR_SHARE:
        for key in _COUNT_OR_SHARE[folded]:
            if factor(unit, ANALYTES[key].kind) is not None:
                return ANALYTES[key]
    return _BY_NAME.get(folded)


_SPECIMENS: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(("blood", "whole blood", "serum", "plasma", "serum or plasma", "ser/plas", "ppp"), "blood")
    | dict.fromkeys(("arterial blood", "血", "血液", "全血", "血清", "血浆", "静脉血", "动脉血", "末梢血"), "blood")
    | dict.fromkeys(("urine", "random urine", "spot urine", "尿", "尿液", "随机尿", "晨尿"), "urine")
)


def fits_specimen(said: str, analyte: Analyte) -> bool:
    """Whether a value of this analyte can come from the specimen that a source names; ``""`` says nothing."""
    word = unicodedata.normalize("NFKC", said).strip().casefold()
    return not word or _SPECIMENS.get(word) == analyte.specimen


def contradicts(name: str, unit: str, analyte: Analyte) -> bool:
    """Whether a name is known to mean another quantity than the analyte that a code stands for.

    Sources give wrong codes: the MIMIC-III table has that of the iron binding capacity for transferrin.
    """
    named = by_name(name, unit)
    return named is not None and named.component != analyte.component


def names_like() -> Mapping[str, Analyte]:
    """Every name of every analyte, in lower case: what a similar name is looked for among."""
    return MappingProxyType(
        {" ".join(name.casefold().split()): each for each in ANALYTES.values() for name in _all_names(each)}
    )


def map_names(names: Iterable[str]) -> dict[str, Analyte]:
    """The analytes behind column headers or test names; what is not known is left out."""
    found = {name: by_name(name) for name in names}
    return {name: analyte for name, analyte in found.items() if analyte is not None}


_UNITS: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {
        Kind.MASS: ("g/L", "g/dL", "mg/L", "mg/dL", "ug/L", "ug/mL", "ng/mL", "ng/L", "pg/mL"),
        Kind.MOLES: ("mol/L", "mmol/L", "umol/L", "nmol/L", "pmol/L"),
        Kind.EQUIVALENTS: ("meq/L",),
        Kind.COUNT: ("10*9/L", "10*3/uL", "10*6/L", "K/uL", "/uL", "/mm3"),
        Kind.ACTIVITY: ("U/L", "[IU]/L", "mU/mL", "ukat/L"),
        Kind.PRESSURE: ("mm[Hg]", "kPa"),
        Kind.SEDIMENTATION: ("mm/h",),
        Kind.PERCENT: ("%",),
        Kind.PH: ("[pH]", "no unit"),
        Kind.TIME: ("s",),
        Kind.INR: ("{INR}", "no unit"),
        Kind.ENTITIC_VOLUME: ("fL",),
        Kind.ENTITIC_MASS: ("pg",),
        Kind.OSMOLALITY: ("mosm/kg",),
        Kind.ARBITRARY: ("[IU]/L", "[IU]/mL", "m[IU]/L", "u[IU]/mL", "k[IU]/L"),
        Kind.CLEARANCE: ("mL/min/{1.73_m2}",),
        Kind.RATIO: ("1", "no unit"),
        Kind.MASS_RATIO: ("mg/g",),
        Kind.FIELD: ("/[HPF]",),
    }
)


def accepted_units(analyte: Analyte) -> tuple[str, ...]:
    """UCUM units that `convert` takes for this analyte; common other spellings of them are taken too."""
    return tuple(unit for kind in _kinds(analyte) for unit in _UNITS[kind])


def _kinds(analyte: Analyte) -> tuple[Kind, ...]:
    kinds = [analyte.kind]
    if analyte.molar_mass is not None:
        kinds.append(Kind.MOLES if analyte.kind is Kind.MASS else Kind.MASS)
    if analyte.charge is not None:
        kinds.append(Kind.EQUIVALENTS)
    return tuple(kinds)


def convert(value: float, unit: str, analyte: Analyte) -> float:
    """`value` in the analyte's house unit.

    Parameters
    ----------
    value
        As the laboratory gave it; finite, not negative.
    unit
        UCUM or a common spelling of it: ``"10*9/L"``, ``"×10⁹/L"``, ``"K/uL"``, ``"μg/mL FEU"``.

    Returns
    -------
    float
        Rounded to 12 significant digits, so that 0.8 mg/dL is 8 mg/L and not 8.000000000000002.

    Raises
    ------
    ValueError
        When the value is no finite number or negative, or the unit is unknown or of another kind
        of quantity. The message names the units that fit, and repeats nothing of what was given.

    Examples
    --------
    >>> convert(88.4, "μmol/L", ANALYTES["creatinine"])
    0.9999808
    """
    if not math.isfinite(value):
        raise ValueError("the value is not a finite number")
    if value < 0 and not analyte.signed:
        raise ValueError("the value is negative")
    converted = float(f"{value * _factor(unit, analyte):.12g}")
    if not math.isfinite(converted):
        raise ValueError("the value is not a finite number")
    return converted


def _factor(unit: str, analyte: Analyte) -> float:
    """From `unit` to the house unit; the way leads over the base unit of the analyte's kind."""
    house = factor(analyte.unit, analyte.kind)
    if house is None:
        raise ValueError(f"the house unit of {analyte.key} is of another kind of quantity")
    if "ddu" in unit.casefold():
        raise ValueError("a D-dimer in DDU is another quantity than one in FEU; only FEU is taken")
    unit = dict(analyte.spellings).get(spelling(unit), unit)
    for kind in _kinds(analyte):
        found = factor(unit, kind)
        if found is not None:
            return found * _between(kind, analyte) / house
    accepted = ", ".join(accepted_units(analyte))
    raise ValueError(f"the unit does not fit {analyte.code.meaning}; accepted are: {accepted}")


def _between(kind: Kind, analyte: Analyte) -> float:
    """From the base unit of `kind` to that of the analyte's own kind: g/L = mol/L x g/mol, mol/L = eq/L / charge."""
    if kind is analyte.kind:
        return 1.0
    molar_mass = analyte.molar_mass or math.nan
    moles = {Kind.MOLES: 1.0, Kind.MASS: 1.0 / molar_mass, Kind.EQUIVALENTS: 1.0 / (analyte.charge or math.nan)}[kind]
    return moles if analyte.kind is Kind.MOLES else moles * molar_mass


_VALUE: Final = re.compile(
    r"(?P<sign><=|>=|<|>|=<|=>|≤|≥|less than|greater than|小于|大于)?\s*"
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*[↑↓]?",
    re.ASCII,
)
_LOWER_SIGNS: Final = {"=<": "<=", "≤": "<=", "less than": "<", "小于": "<"}
_UPPER_SIGNS: Final = {"=>": ">=", "≥": ">=", "greater than": ">", "大于": ">"}
_SIGNS: Final = _LOWER_SIGNS | _UPPER_SIGNS


def parse_value(text: str) -> tuple[str, float]:
    """Comparator and number of a result as laboratories write it: ``"<0.5"``, ``">= 100"``, ``"12.3↑"``.

    A decimal comma is refused, for ``1,234`` may be either 1.234 or 1234.

    Raises
    ------
    ValueError
        When it is not one finite number; the message does not repeat the text.

    Examples
    --------
    >>> parse_value("≤0.5")
    ('<=', 0.5)
    """
    found = _VALUE.fullmatch(unicodedata.normalize("NFKC", text).strip().lower())
    if found is None:
        raise ValueError("the value is not a number (decimal point, no thousands separator)")
    number = float(found["number"])
    if not math.isfinite(number):
        raise ValueError("the value is not a finite number")
    sign = found["sign"] or ""
    return _SIGNS.get(sign, sign), number


def default_range(analyte: Analyte, sex: str, age_years: float | None) -> ReferenceRange | None:
    """The reference range for this patient; None where the table has none for the age or the sex.

    An unknown age counts as adult, an unknown sex only fits a range that holds for both.
    """
    age = ADULT_YEARS if age_years is None else age_years
    return next((span for span in analyte.ranges if age >= span.from_years and span.sex in ("", sex)), None)


def too_young(analyte: Analyte, age_years: float | None) -> bool:
    """Whether the table has ranges of this analyte, and all begin at a greater age."""
    return (
        age_years is not None and bool(analyte.ranges) and all(age_years < each.from_years for each in analyte.ranges)
    )


_RANK: Final = {LabStatus.PRELIMINARY: 0, LabStatus.FINAL: 1, LabStatus.CORRECTED: 1}


def latest_final(results: Iterable[LabResult]) -> tuple[tuple[LabResult, ...], tuple[LabResult, ...]]:
    """The one result that counts for each analyte, and those that do not.

    What is final or corrected goes before what is preliminary, then the latest counts; at the same time
    a correction goes before what it corrects, else the one that came last in `results`. A cancelled
    result never counts, and withdraws an uncorrected one of the same analyte and time.

    Returns
    -------
    used, superseded
        `used` in the order of `ANALYTES`; `superseded` in the order of `results`, cancelled ones included.
    """
    every = list(results)
    withdrawn = {(r.analyte, r.observed_at) for r in every if r.status is LabStatus.CANCELLED}
    best: dict[str, LabResult] = {}
    for result in every:
        if result.status is LabStatus.CANCELLED:
            continue
        if result.status is not LabStatus.CORRECTED and (result.analyte, result.observed_at) in withdrawn:
            continue
        known = best.get(result.analyte.key)
        if known is None or _order(result) >= _order(known):
            best[result.analyte.key] = result
    used = tuple(sorted(best.values(), key=lambda result: _position(result.analyte.value)))
    counted = {id(result) for result in used}
    return used, tuple(result for result in every if id(result) not in counted)


def _order(result: LabResult) -> tuple[int, float, bool]:
    return _RANK[result.status], result.observed_at.timestamp(), result.status is LabStatus.CORRECTED


_POSITIONS: Final = {analyte.code.value: position for position, analyte in enumerate(ANALYTES.values())}


def _position(loinc: str) -> tuple[int, str]:
    return _POSITIONS.get(loinc, len(_POSITIONS)), loinc
