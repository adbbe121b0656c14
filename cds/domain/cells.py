"""Cells of tables, whatever type their source gives them: texts, times, dates, sexes; a message never repeats one."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Final

_DATE: Final = (
    r"(?P<year>\d{4})(?:-(?P<month>\d{2})-(?P<day>\d{2})|/(?P<m>\d{1,2})/(?P<d>\d{1,2})|(?P<mm>\d{2})(?P<dd>\d{2}))"
)
_TIME: Final = r"(?P<hour>\d{1,2}):?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
_ZONE: Final = r"\s*(?P<zone>Z|[+-]\d{2}:?\d{2}|[+-]\d{2})?"
_MOMENT: Final = re.compile(rf"{_DATE}(?:[T ]\s*{_TIME}{_ZONE})?", re.ASCII)
_DAY: Final = re.compile(rf"{_DATE}(?:[T ]00:?00(?::?00(?:[.]0+)?)?)?", re.ASCII)
YEARS: Final = (1850, 2200)
"""Outside these it is no date of a patient now in hospital, but a slip or a placeholder."""

_SEXES: Final = (
    dict.fromkeys(("m", "male", "1", "男", "男性"), "M")
    | dict.fromkeys(("f", "female", "2", "女", "女性"), "F")
    | dict.fromkeys(("o", "other", "其他"), "O")
    | dict.fromkeys(("", "u", "unknown", "0", "9", "未知", "不详"), "")
)
"""DICOM's M, F, O; 0, 1, 2, 9 are ISO/IEC 5218 (GB/T 2261.1)."""


def written(cell: object) -> str:
    """A cell as text, stripped; ``""`` where it is None."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, Decimal):
        return format(cell, "f")
    if isinstance(cell, date):
        return cell.isoformat()
    return "" if cell is None else str(cell).strip()


def moment(cell: object, zone: tzinfo) -> datetime:
    """A date and time, aware; in `zone` where it names none. As text in ISO 8601, or as ``2026/1/31 9:05``.

    A date without a time is the start of that day.

    Raises
    ------
    ValueError
        When it is none.
    """
    if isinstance(cell, date):
        return _told(cell, zone)
    found = _MOMENT.fullmatch(unicodedata.normalize("NFKC", written(cell)).strip())
    if found is None:
        raise ValueError("the time is not understood; ISO 8601 is wanted, e.g. 2026-01-31T09:05:00+08:00")
    try:
        hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
        clock = time(hour, minute, second, int((found["fraction"] or "0").ljust(6, "0")[:6]))
        return datetime.combine(_day(found), clock, _offset(found["zone"]) or zone)
    except ValueError as error:
        raise ValueError("the time does not exist in the calendar") from error


def _told(cell: date, zone: tzinfo) -> datetime:
    """A time or a date that came as one."""
    if not YEARS[0] <= cell.year <= YEARS[1]:
        raise ValueError("the time does not exist in the calendar")
    if not isinstance(cell, datetime):
        return datetime.combine(cell, time(), zone)
    return cell if cell.tzinfo is not None else cell.replace(tzinfo=zone)


def _offset(text: str | None) -> tzinfo | None:
    """``"Z"``, ``"+08"``, ``"+0800"`` or ``"+08:00"``; None where there is none."""
    if text is None:
        return None
    if text == "Z":
        return UTC
    span = timedelta(hours=int(text[1:3]), minutes=int(text[3:].removeprefix(":") or 0))
    return timezone(-span if text[0] == "-" else span)


def birth_date(cell: object) -> date | None:
    """A birth date; as text ``1950-12-31``, ``19501231`` (DICOM) or ``1950/12/31``. None where the cell is empty.

    Raises
    ------
    ValueError
        When it is none.
    """
    if isinstance(cell, date):
        return cell.date() if isinstance(cell, datetime) else cell
    text = unicodedata.normalize("NFKC", written(cell)).strip()
    if not text:
        return None
    found = _DAY.fullmatch(text)
    if found is None:
        raise ValueError("the birth date is not understood; ISO 8601 is wanted, e.g. 1950-12-31")
    try:
        return _day(found)
    except ValueError as error:
        raise ValueError("the birth date does not exist in the calendar") from error


def _day(found: re.Match[str]) -> date:
    year = int(found["year"])
    if not YEARS[0] <= year <= YEARS[1]:
        raise ValueError("the year is out of range")
    return date(year, int(found["month"] or found["m"] or found["mm"]), int(found["day"] or found["d"] or found["dd"]))


def sex(cell: object) -> str:
    """``"M"``, ``"F"``, ``"O"``, or ``""`` where it is not stated.

    Raises
    ------
    ValueError
        When it is something else.
    """
    try:
        return _SEXES[unicodedata.normalize("NFKC", written(cell)).strip().casefold()]
    except KeyError:
        raise ValueError("the sex is not understood; M, F, O or empty is wanted") from None
