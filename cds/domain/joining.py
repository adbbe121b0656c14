"""What every source of records joins by: the study that is asked for, a window of time, and what was not used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from typing import Final

from cds.domain.code import Code
from cds.domain.labs import latest_final
from cds.domain.records import Identity, LabResult, LabStatus, Records, RejectedRecord
from cds.domain.same_person import identity_of
from cds.domain.study import Study
from cds.domain.windows import LONGEST, counts_before

SUPERSEDED: Final = "superseded by a later, final or corrected value, or withdrawn"
SHOWN: Final = 5
"""So many rows or sources are named for one reason; the others are counted."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time around the start of the study, both ends included."""

    study: datetime
    before: timedelta
    after: timedelta

    def holds(self, moment: datetime, analyte: Code | None = None) -> bool:
        """Whether `moment` is inside; for an analyte that changes slowly the window begins earlier."""
        before = counts_before(analyte, self.before) if analyte else self.before
        return -before <= moment - self.study <= self.after

    @property
    def widest(self) -> tuple[datetime, datetime]:
        """The first and the last moment that are inside for any analyte."""
        return self.study - max(self.before, LONGEST), self.study + self.after

    def may_hold(self, moment: datetime) -> bool:
        """Whether `moment` is inside for any analyte."""
        begin, end = self.widest
        return begin <= moment <= end

    def joined(self, used: Iterable[LabResult], others: Iterable[LabResult] = ()) -> Records:
        """Values that count, each with the window that it counts by, and their earlier final values.

        Parameters
        ----------
        used, others
            As `cds.domain.labs.latest_final` gives them; all lie in the window.
        """
        labs = tuple(self._told(result) for result in used)
        return Records(labs=labs, earlier=earlier(labs, others))

    def _told(self, result: LabResult) -> LabResult:
        before = counts_before(result.analyte, self.before)
        return replace(result, window_hours=(before.total_seconds() / 3600, self.after.total_seconds() / 3600))

    def __str__(self) -> str:
        before, after = (f"{span.total_seconds() / 3600:g}" for span in (self.before, self.after))
        return f"{before} h before to {after} h after the study"


@dataclass(frozen=True, slots=True)
class Search:
    """Whose records are looked for, of which time, and the zone of times that name none."""

    study: Study
    window: Window
    zone: tzinfo

    @property
    def identity(self) -> Identity:
        """Who the study is about."""
        return identity_of(self.study.patient)


def search_for(study: Study, *, before: timedelta, after: timedelta, zone: tzinfo) -> Search | str:
    """What to look for, or why nothing can be joined to this study."""
    if not study.patient.patient_id.strip():
        return "the study has no Patient ID; no record can be joined"
    if study.started_at is None or study.started_at.tzinfo is None:
        return "the study has no date and time; no record can be joined"
    return Search(study, Window(study.started_at, before, after), zone)


def across(records: Records) -> Records:
    """The records of every source as one: for each analyte the latest final value of whatever source.

    What another source gave later takes its place; it stands among the earlier values, and among what was not used.
    """
    used, superseded = latest_final(records.labs)
    tally = Tally()
    for result in superseded:
        tally.note(result.source, SUPERSEDED)
    return replace(
        records,
        labs=used,
        earlier=earlier(used, (*records.earlier, *superseded)),
        rejected=(*records.rejected, *tally.rejected()),
    )


def earlier(used: Iterable[LabResult], others: Iterable[LabResult]) -> tuple[LabResult, ...]:
    """Final values of the same analytes from before, one of each time, oldest first.

    A correction goes before what it corrects, and what a cancelled result of `others` withdraws is none.
    """
    latest = {lab.analyte: lab.observed_at for lab in used}
    before = [other for other in others if other.analyte in latest and other.observed_at < latest[other.analyte]]
    withdrawn = {(other.analyte, other.observed_at) for other in before if other.status is LabStatus.CANCELLED}
    final = {
        (other.analyte, other.observed_at): other
        for other in before
        if other.status is LabStatus.FINAL and (other.analyte, other.observed_at) not in withdrawn
    }
    corrected = {(other.analyte, other.observed_at): other for other in before if other.status is LabStatus.CORRECTED}
    return tuple(sorted((final | corrected).values(), key=lambda lab: lab.observed_at))


@dataclass(slots=True)
class _Named:
    """The first few of those that share a reason, and how many they are."""

    shown: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, name: str) -> None:
        self.total += 1
        if len(self.shown) < SHOWN:
            self.shown.append(name)

    def __str__(self) -> str:
        more = f" and {self.total - len(self.shown)} more" if self.total > len(self.shown) else ""
        return ", ".join(self.shown) + more


@dataclass(slots=True)
class Tally:
    """What was seen and not used, by reason, so that thousands make a few lines.

    `source` is the table whose rows are counted, where it is one.
    """

    source: str = ""
    _noted: dict[str, _Named] = field(default_factory=dict)
    _rows: dict[str, _Named] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)

    def note(self, source: str, reason: str) -> None:
        """Note one source: a message, or a file as a whole."""
        self._noted.setdefault(reason, _Named()).add(source)

    def row(self, number: int, reason: str) -> None:
        """Note one row of the table; row numbers are listed."""
        self._rows.setdefault(reason, _Named()).add(str(number))

    def count(self, reason: str, times: int = 1) -> None:
        """Note rows of the table that are only counted: those out of the window or superseded."""
        self._counts[reason] += times

    def rejected(self) -> tuple[RejectedRecord, ...]:
        """One record for each reason, in the order in which the reasons came up."""
        noted = [RejectedRecord(source=str(named), reason=reason) for reason, named in self._noted.items()]
        listed = [
            RejectedRecord(source=f"{self.source} row{'s' if named.total > 1 else ''} {named}", reason=reason)
            for reason, named in self._rows.items()
        ]
        counted = [
            RejectedRecord(source=self.source, reason=f"{reason}: {times} row{'s' if times > 1 else ''}")
            for reason, times in self._counts.items()
        ]
        return (*noted, *listed, *counted)
