"""Dates and times of FHIR (R4 2.24.0.1: date, dateTime, instant); a message repeats none of it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Final

_DATE_TIME: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9})\d*)?(?P<zone>Z|[+-]\d{2}:\d{2}))?", re.ASCII
)
_DATE: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)
YEARS: Final = (1850, 2200)
"""Outside these it is no date of a patient now in hospital, but a slip or a placeholder."""


def moment(text: str, zone: tzinfo) -> datetime:
    """A dateTime or instant, aware. A date alone is the start of that day in `zone`.

    Raises
    ------
    ValueError
        When it is none, or less exact than a day.
    """
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        raise ValueError("the time is not understood; a FHIR dateTime is wanted, at least exact to the day")
    year, month, day_, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        _check_year(year)
        fraction = int((found[7] or "0").ljust(6, "0")[:6])
        whole = datetime(year, month, day_, hour, minute, 0, 0, _offset(found["zone"]) or zone)
        # A leap second (R4 allows 60) is the first of the next minute.
        return whole + timedelta(seconds=_second(second), microseconds=fraction)
    except (ValueError, OverflowError) as error:
        raise ValueError("the time does not exist in the calendar") from error


def _second(number: int) -> int:
    if number > 60:
        raise ValueError("the time does not exist in the calendar")
    return number


def _offset(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text == "Z":
        return UTC
    span = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-span if text[0] == "-" else span)


def day(text: str) -> date | None:
    """A birth date; None where it is not exact to the day.

    Raises
    ------
    ValueError
        When it is none.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError("the birth date is not understood; a FHIR date is wanted")
    try:
        _check_year(int(found[1]))
        exact = date(int(found[1]), int(found[2] or 1), int(found[3] or 1))
    except ValueError as error:
        raise ValueError("the birth date does not exist in the calendar") from error
    return exact if found[3] else None


def _check_year(year: int) -> None:
    if not YEARS[0] <= year <= YEARS[1]:
        raise ValueError("the year is out of range")
