"""Dates and times of HL7 (type DTM, 2.A.22): ``YYYYMMDD[HHMM[SS[.SSSS]]][+/-ZZZZ]``; a message repeats none of it."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Final

_DTM: Final = re.compile(
    r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?)?(?P<zone>[+-]\d{4})?", re.ASCII
)
YEARS: Final = (1850, 2200)
"""Outside these it is no date of a patient now in hospital, but a slip or a placeholder."""


def moment(text: str, zone: tzinfo) -> datetime:
    """A date and time, aware; in `zone` where it names none. A date alone is the start of that day.

    Raises
    ------
    ValueError
        When it is none, or less exact than a day.
    """
    found = _DTM.fullmatch(text.strip())
    if found is None:
        raise ValueError("the time is not understood; YYYYMMDDHHMMSS with or without +ZZZZ is wanted")
    year, month, day_, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        _check_year(year)
        fraction = int((found[7] or "0").ljust(6, "0"))
        return datetime(year, month, day_, hour, minute, second, fraction, offset(text) or zone)
    except ValueError as error:
        raise ValueError("the time does not exist in the calendar") from error


def offset(text: str) -> tzinfo | None:
    """The zone that a time names; None where it names none."""
    found = _DTM.fullmatch(text.strip())
    if found is None or found["zone"] is None:
        return None
    sign, hours, minutes = found["zone"][0], int(found["zone"][1:3]), int(found["zone"][3:])
    span = timedelta(hours=hours, minutes=minutes)
    return timezone(-span if sign == "-" else span) if span < timedelta(days=1) else None


def day(text: str) -> date:
    """The day of a date or a time.

    Raises
    ------
    ValueError
        When it is none.
    """
    found = _DTM.fullmatch(text.strip())
    if found is None:
        raise ValueError("the birth date (PID-7) is not understood; YYYYMMDD is wanted")
    try:
        _check_year(int(found[1]))
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError as error:
        raise ValueError("the birth date (PID-7) does not exist in the calendar") from error


def _check_year(year: int) -> None:
    if not YEARS[0] <= year <= YEARS[1]:
        raise ValueError("the year is out of range")
