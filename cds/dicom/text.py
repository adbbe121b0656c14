"""Decode what stands in a data set's text: character sets, dates, times, ages, numbers.

Nothing here warns or raises: a value that breaks its VR's rules is None or ``""``, and never printed.
"""

from __future__ import annotations

import re
import warnings
from datetime import UTC, date, time, timedelta, timezone
from threading import Lock
from typing import Final

from pydicom.charset import decode_bytes, python_encoding

_ESCAPE: Final = b"\x1b"
_WARNINGS_LOCK: Final = Lock()
_UID: Final = re.compile(rb"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_DAYS_PER_YEAR: Final = 365.2425
_AGE_YEARS: Final = {"Y": 1.0, "M": 1 / 12, "W": 7 / _DAYS_PER_YEAR, "D": 1 / _DAYS_PER_YEAR}


def uid(value: bytes) -> str:
    """A UID that keeps every rule of PS3.5 Section 9.1, or ``""``."""
    stripped = value.rstrip(b"\0 ")
    return stripped.decode("ascii") if len(stripped) <= 64 and _UID.fullmatch(stripped) else ""


def character_sets(value: bytes) -> tuple[str, ...]:
    """Python codecs for Specific Character Set (0008,0005); an unknown term counts as Latin-1."""
    terms = [term.strip(b"\0 ").decode("ascii", "replace") for term in value.split(b"\\")]
    return tuple(python_encoding.get(term, "latin_1") for term in terms)


def decode(value: bytes, codecs: tuple[str, ...] = ("latin_1",)) -> str:
    """One text value, code extensions of ISO 2022 included, without padding."""
    if _ESCAPE not in value or len(codecs) == 1:
        return value.decode(codecs[0], "replace").strip("\0 ")
    with _WARNINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return decode_bytes(value, list(codecs), {ord("^"), ord("="), ord("\\")}).strip("\0 ")


def day(value: bytes) -> date | None:
    """A DA value (PS3.5 6.2), also in the retired form with points."""
    digits = decode(value).replace(".", "")
    if len(digits) != 8 or not digits.isdecimal():
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def clock(value: bytes) -> time:
    """A TM value; what it leaves out is zero, and so is a value that is no time."""
    digits = re.fullmatch(r"(\d\d)(\d\d)?(\d\d)?(?:\.(\d{1,6}))?", decode(value).replace(":", ""))
    if digits is None:
        return time()
    hour, minute, second, fraction = digits.groups(default="0")
    try:
        return time(int(hour), int(minute), min(int(second), 59), int(fraction.ljust(6, "0")))
    except ValueError:
        return time()


def zone(value: bytes) -> timezone:
    """Timezone Offset From UTC (0008,0201), ``&ZZXX``; UTC where it is absent or wrong."""
    found = re.fullmatch(r"([+-])(\d\d)([0-5]\d)", decode(value))
    if found is None or int(found[2]) > 14:
        return UTC
    minutes = int(found[2]) * 60 + int(found[3])
    return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))


def age_years(value: bytes) -> float | None:
    """An AS value, e.g. ``b"018M"`` is 1.5 years."""
    found = re.fullmatch(r"(\d{3})([DWMY])", decode(value))
    return int(found[1]) * _AGE_YEARS[found[2]] if found else None


def years_between(earlier: date, later: date) -> float | None:
    """The age in years, None where the dates contradict each other."""
    days = (later - earlier).days
    return days / _DAYS_PER_YEAR if days >= 0 else None


def whole_number(value: bytes) -> int | None:
    """An IS value."""
    found = re.fullmatch(r"[+-]?\d{1,11}", decode(value))
    return int(found[0]) if found else None
