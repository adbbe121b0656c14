"""The value rules of the standard for what is copied from images, which may break them (PS3.5 6.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

MOST_CHARACTERS: Final[Mapping[str, int]] = MappingProxyType({"SH": 16, "LO": 64, "PN": 64, "ST": 1024, "LT": 10240})
"""Characters of one value, of PN of one component group (PS3.5 Table 6.2-1)."""
WITH_LINES: Final = frozenset({"ST", "LT", "UT"})
"""VRs that may hold line ends, and to which a backslash is a character like any other."""
SEXES: Final = frozenset({"M", "F", "O"})
"""Enumerated values of Patient's Sex (PS3.3 C.7.1.1)."""
IDENTIFIERS: Final = frozenset({"PatientID", "IssuerOfPatientID", "AccessionNumber", "StudyInstanceUID"})
"""What a PACS matches on: kept as it stands, because a cut one could name another patient or order."""
LONGEST_IDENTIFIER: Final = 256
"""Characters of an identifier that a PACS is sure to keep: Orthanc's index drops a longer value
(``ORTHANC_MAXIMUM_TAG_LENGTH``), so that nothing could match on it anyway."""

CUT: Final = "Value of {} of the source is longer than DICOM allows; cut."
FIRST: Final = "{} of the source has several values where DICOM allows one; the first is used."
LEFT_OUT: Final = "Value of {} of the source is not written as DICOM asks; left out."
REWRITTEN: Final = "Value of {} of the source is not written as DICOM asks; rewritten with the same meaning."
KEPT: Final = (
    "Value of {} of the source breaks a rule of DICOM for its length or number of values; kept as it is,"
    " because archives match on it."
)
NOT_KEPT: Final = (
    "Value of {} of the source is longer than archives keep; left out, because a cut identifier could name"
    " another patient or order."
)

_BREAKS: Final = re.compile(r"\s*[\t\n\f\r]+\s*")
_LEGACY_DATE: Final = re.compile(r"(\d{4})[.\-/](\d{2})[.\-/](\d{2})")
"""ACR-NEMA 300 dates had points (PS3.5 6.2, note on DA); hyphens and slashes in the same order are as clear."""
_LEGACY_TIME: Final = re.compile(r"(\d{2}):(\d{2})(?::(\d{2}(?:\.\d{1,6})?))?")
_DATE: Final = re.compile(r"\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_TIME: Final = re.compile(r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?")
_SHAPES: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "DA": _DATE,
        "TM": _TIME,
        "DT": re.compile(r"\d{4}(?:\d{2}){0,5}(?:\.\d{1,6})?(?:[+-]\d{4})?"),
        "AS": re.compile(r"\d{3}[DWMY]"),
        "CS": re.compile(r"[A-Z0-9 _]{0,16}"),
        "DS": re.compile(r"(?=.{1,16}$)[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"),
        "IS": re.compile(r"(?=.{1,12}$)[+-]?\d+"),
        "UI": re.compile(r"(?=.{1,64}$)(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*"),
    }
)


def valid(keyword: str, vr: str, value: str, *, several: bool = False) -> tuple[str, str]:
    """A value that keeps to the rules of its VR, and the sentence that says what was done to it.

    Parameters
    ----------
    keyword
        Of the attribute, e.g. ``"StudyID"``.
    value
        Decoded; values are separated by backslashes where the VR has several.
    several
        Whether the attribute may have more than one value (its VM is not 1).

    Returns
    -------
    tuple of str
        The value, and ``""`` or one of the sentences of this module, its hole not yet filled.
    """
    if keyword in IDENTIFIERS:
        return _identifier(vr, value)
    if vr in WITH_LINES:
        return _of_length(value, MOST_CHARACTERS.get(vr, len(value)))
    values = [_BREAKS.sub(" ", each).strip(" ") for each in value.split("\\")]
    told = ""
    if len(values) > 1 and not several:
        values = [next((each for each in values if each), "")]
        told = FIRST
    fitted = [_fitted(keyword, vr, each) for each in values]
    return "\\".join(each for each, _ in fitted), next((said for _, said in fitted if said), told)


def _identifier(vr: str, value: str) -> tuple[str, str]:
    kept = _BREAKS.sub(" ", value).strip(" ")
    if len(kept) > LONGEST_IDENTIFIER:
        return "", NOT_KEPT
    broken = len(kept) > MOST_CHARACTERS.get(vr, LONGEST_IDENTIFIER) or ("\\" in kept and vr in MOST_CHARACTERS)
    return kept, KEPT if broken else ""


def _fitted(keyword: str, vr: str, value: str) -> tuple[str, str]:
    """One value of a VR without line ends."""
    if vr == "PN":
        return _name(value)
    if vr in MOST_CHARACTERS:
        return _of_length(value, MOST_CHARACTERS[vr])
    shape = _SHAPES.get(vr)
    if not value or shape is None:
        return value, ""
    rewritten = _REWRITTEN.get(vr, str.strip)(value)
    if not shape.fullmatch(rewritten) or (keyword == "PatientSex" and rewritten not in SEXES):
        return "", LEFT_OUT
    return rewritten, "" if rewritten == value.strip() else REWRITTEN


def _of_length(value: str, most: int) -> tuple[str, str]:
    return (value, "") if len(value) <= most else (value[:most].rstrip(), CUT)


def _name(value: str) -> tuple[str, str]:
    """At most three component groups of five components, each group of at most 64 characters (PS3.5 6.2.1)."""
    groups = value.split("=")
    fitted = [_group(group) for group in groups[:3]]
    cut = "=".join(fitted)
    return cut, CUT if cut != value else ""


def _group(group: str) -> str:
    most = MOST_CHARACTERS["PN"]
    five = "^".join(group.split("^")[:5])
    return five if len(five) <= most else five[:most].rstrip("^ ")


def _date(value: str) -> str:
    legacy = _LEGACY_DATE.fullmatch(value)
    return "".join(legacy.groups()) if legacy else value


def _time(value: str) -> str:
    legacy = _LEGACY_TIME.fullmatch(value)
    return "".join(part or "" for part in legacy.groups()) if legacy else value


_REWRITTEN: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType({"DA": _date, "TM": _time, "CS": str.upper})
"""Spellings of the same value that older devices write."""
