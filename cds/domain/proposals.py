"""What a laboratory's name may mean: a proposal with its reason, never a decision."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cds.domain.analyte import Analyte
from cds.domain.labs import by_code, by_name, contradicts, convert, fits_specimen, names_like

CLOSE: Final = 0.8
"""Of difflib's ratio: ``creatinin`` and ``creatinine`` have 0.95, ``chloride`` and ``fluoride`` 0.75."""
SHORT: Final = 6
"""Names of fewer letters (half as many in Chinese) are like too many others: ``TdT`` and ``TT``."""
URINE: Final = ("urine ", "尿")


class Confidence(StrEnum):
    """How sure a proposal is; only the first three are filled in, the others wait for a person."""

    LOINC_GIVEN = "LOINC given"
    EXACT = "exact"
    ALIAS = "alias"
    SIMILAR = "similar name"
    DISAGREES = "unit disagrees"
    CODE_DISAGREES = "LOINC disagrees"
    NONE = "none"


SURE: Final = (Confidence.LOINC_GIVEN, Confidence.EXACT, Confidence.ALIAS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a source says of one of its quantities; ``""`` where it does not say."""

    code: str = ""
    name: str = ""
    loinc: str = ""
    unit: str = ""
    specimen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An analyte for a name, or None, and why."""

    named: Named
    analyte: Analyte | None
    confidence: Confidence
    reason: str

    @property
    def is_sure(self) -> bool:
        """Whether it may stand in the table as it is, for a person to confirm."""
        return self.confidence in SURE


def propose(named: Named) -> Proposal:
    """The analyte that a name may mean."""
    if not any(fits_specimen(named.specimen, each) for each in _EITHER):
        return _none(named, "the specimen is neither blood nor urine")
    if named.loinc:
        return _by_loinc(named)
    return _by_name(named)


_EITHER: Final = tuple(each for each in (by_name("creatinine"), by_name("urine creatinine")) if each is not None)


def _none(named: Named, reason: str) -> Proposal:
    return Proposal(named=named, analyte=None, confidence=Confidence.NONE, reason=reason)


def _by_loinc(named: Named) -> Proposal:
    found, other = by_code(named.loinc), by_name(named.name, named.unit)
    if found is None:
        return _by_name_against_loinc(named)
    if not fits_specimen(named.specimen, found):
        return _none(named, "the specimen is another than that of the LOINC code given")
    if contradicts(named.name, named.unit, found):
        reason = "the LOINC code given is of another quantity; proposed is what the name says"
        return Proposal(named=named, analyte=other, confidence=Confidence.CODE_DISAGREES, reason=reason)
    if not _fits(named.unit, found):
        return _disagreeing(named, found, other)
    return Proposal(named=named, analyte=found, confidence=Confidence.LOINC_GIVEN, reason="the source gives its LOINC")


def _by_name_against_loinc(named: Named) -> Proposal:
    """A known name with a code that is not: old, wrong, or of another method. A similar name would say nothing."""
    found = _named(named)
    if found is None or not _fits(named.unit, found):
        return _none(named, "the LOINC code given is not among the analytes")
    reason = "the LOINC code given is not among the analytes, but the name is"
    return Proposal(named=named, analyte=found, confidence=Confidence.CODE_DISAGREES, reason=reason)


def _disagreeing(named: Named, found: Analyte, other: Analyte | None) -> Proposal:
    """The code is of another kind of quantity than the unit: a count and %, say; the name may know which it is."""
    if other is not None and other is not found and _fits(named.unit, other) and fits_specimen(named.specimen, other):
        reason = "the unit does not fit the LOINC code given; proposed is what fits name and unit"
        return Proposal(named=named, analyte=other, confidence=Confidence.DISAGREES, reason=reason)
    reason = "the unit does not fit the LOINC code given"
    return Proposal(named=named, analyte=None, confidence=Confidence.DISAGREES, reason=reason)


def _by_name(named: Named) -> Proposal:
    found = _named(named)
    if found is None:
        return _similar(named)
    if not _fits(named.unit, found):
        reason = "the name is known, but not with this unit"
        return Proposal(named=named, analyte=found, confidence=Confidence.DISAGREES, reason=reason)
    own = (found.code.meaning, found.code.meaning_zh, found.long_name)
    exact = named.name.strip().casefold() in {each.casefold() for each in own}
    confidence, reason = (
        (Confidence.EXACT, "the analyte's own name") if exact else (Confidence.ALIAS, "another name of the analyte")
    )
    return Proposal(named=named, analyte=found, confidence=confidence, reason=reason)


def _named(named: Named) -> Analyte | None:
    """By its name; a bare ``protein`` of urine is looked for as ``urine protein``."""
    names = (named.name, *(f"{word}{named.name}" for word in URINE)) if named.specimen else (named.name,)
    found = (by_name(name, named.unit) for name in names)
    return next((each for each in found if each is not None and fits_specimen(named.specimen, each)), None)


def _similar(named: Named) -> Proposal:
    if len(named.name) < (SHORT if named.name.isascii() else SHORT // 2):
        return _none(named, "the name is too short to be like another" if named.name else "it has no name")
    candidates = names_like()
    close = difflib.get_close_matches(_plain(named.name), candidates, n=3, cutoff=CLOSE)
    for name in close:
        analyte = candidates[name]
        if _fits(named.unit, analyte) and fits_specimen(named.specimen, analyte):
            reason = f"its name is like {name!r}"
            return Proposal(named=named, analyte=analyte, confidence=Confidence.SIMILAR, reason=reason)
    return _none(named, "no name of an analyte is like it")


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _fits(unit: str, analyte: Analyte) -> bool:
    if not unit:
        return True
    try:
        convert(1.0, unit, analyte)
    except ValueError:
        return False
    return True
