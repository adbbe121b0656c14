"""Cells of a view, whatever type the database gives them, as text, times and dates; a message repeats no cell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from types import MappingProxyType
from typing import Final

_DATE: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ]00:00(?::00(?:\.0+)?)?)?", re.ASCII)
_CLOCK: Final = r"(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(?P<zone>Z|[+-]\d{2}(?::?\d{2})?)?"
_TIME: Final = re.compile(rf"(\d{{4}})-(\d{{2}})-(\d{{2}})(?:[T ]{_CLOCK})?", re.ASCII)
YEARS: Final = (1850, 2200)
"""Outside these it is no date of a patient now in hospital, but a slip or a placeholder."""

SEXES: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(("m", "male", "1", "男", "男性"), "M")
    | dict.fromkeys(("f", "female", "2", "女", "女性"), "F")
    | dict.fromkeys(("o", "other", "其他"), "O")
    | dict.fromkeys(("", "u", "unknown", "0", "9", "未知", "不详"), "")
)
"""DICOM's M, F, O; 0, 1, 2, 9 are ISO/IEC 5218 (GB/T 2261.1)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row, by column; `number` counts the patient's rows from 1."""

    number: int
    cells: Mapping[str, object] = field(repr=False)

    def text(self, column: str) -> str:
        """A cell as text, stripped; ``""`` for NULL and for a column that is not there."""
        cell = self.cells.get(column)
        if cell is None:
            return ""
        if isinstance(cell, Decimal):
            return format(cell, "f")
        return cell.isoformat() if isinstance(cell, date | datetime) else str(cell).strip()

    def moment(self, column: str, zone: tzinfo) -> datetime:
        """A cell as a time, aware; in `zone` where it names none. A date alone is the start of that day.

        Raises
        ------
        ValueError
            When it is none.
        """
        cell = self.cells.get(column)
        if isinstance(cell, datetime):
            return _checked(cell if cell.tzinfo is not None else cell.replace(tzinfo=zone))
        if isinstance(cell, date):
            return _checked(datetime.combine(cell, time(), zone))
        return _moment(self.text(column), zone)

    def birth_date(self) -> date | None:
        """The birth date; None where it is not said.

        Raises
        ------
        ValueError
            When it cannot be understood.
        """
        cell = self.cells.get("birth_date")
        if isinstance(cell, datetime):
            return cell.date()
        if isinstance(cell, date) or not self.text("birth_date"):
            return cell if isinstance(cell, date) else None
        found = _DATE.fullmatch(self.text("birth_date"))
        if found is None:
            raise ValueError("the birth date is not understood; ISO 8601 is wanted, e.g. 1950-12-31")
        try:
            return _in_years(date(int(found[1]), int(found[2]), int(found[3])))
        except ValueError as error:
            raise ValueError("the birth date does not exist in the calendar") from error

    def sex(self) -> str:
        """``"M"``, ``"F"``, ``"O"``, or ``""`` where it is not stated.

        Raises
        ------
        ValueError
            When it is something else.
        """
        try:
            return SEXES[self.text("sex").casefold()]
        except KeyError:
            raise ValueError("the sex is not understood; M, F, O or empty is wanted") from None


def _moment(said: str, zone: tzinfo) -> datetime:
    found = _TIME.fullmatch(said)
    if found is None:
        raise ValueError("the time is not understood; ISO 8601 is wanted, e.g. 2026-01-31T09:05:00+08:00")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        fraction = int((found[7] or "0").ljust(6, "0")[:6])
        return _checked(datetime(year, month, day, hour, minute, second, fraction, _offset(found["zone"]) or zone))
    except ValueError as error:
        raise ValueError("the time does not exist in the calendar") from error


def _checked(moment: datetime) -> datetime:
    try:
        _in_years(moment.date())
    except ValueError as error:
        raise ValueError("the time does not exist in the calendar") from error
    return moment


def _in_years(day: date) -> date:
    if not YEARS[0] <= day.year <= YEARS[1]:
        raise ValueError("the year is out of range")
    return day


def _offset(said: str | None) -> tzinfo | None:
    if said is None:
        return None
    if said == "Z":
        return UTC
    span = timedelta(hours=int(said[1:3]), minutes=int(said[3:].removeprefix(":") or 0))
    return timezone(-span if said[0] == "-" else span)
