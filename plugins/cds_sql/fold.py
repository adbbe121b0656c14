"""Rows as they come, folded into what counts: so many are held as are used, however many there are."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cds.domain.joining import SUPERSEDED, Search, Tally, earlier
from cds.domain.labs import latest_final
from cds.domain.records import LabResult, LabStatus, Records, TextKind, TextReport
from cds.domain.same_person import doubt
from cds.domain.site_codes import SiteCode
from cds_sql.cells import Row
from cds_sql.rows import identity, lab_row, report_row

_FOLDED_AT: Final = 500
EARLIER: Final = 100
"""Of each analyte so many values are held for the trend, the latest; a report shows four of them."""


@dataclass(slots=True)
class Labs:
    """The latest final value of each analyte and the ones before it, of rows that come in the order of their times.

    What is held is folded when the time moves on, so that a cancelled row and what it withdraws, which have one
    time, are looked at together. Cancelled rows are few, and held to the end.
    """

    search: Search
    site: Mapping[str, SiteCode]
    tally: Tally
    _held: list[LabResult] = field(default_factory=list)
    _earlier: tuple[LabResult, ...] = ()
    _new: int = 0

    def take(self, row: Row) -> None:
        """Look at one row; what is not used is noted."""
        if not _is_about(row, self.search, self.tally):
            return
        try:
            moment = row.moment("observed_at", self.search.zone)
            if not self.search.window.may_hold(moment):
                self.tally.count(f"outside the window of {self.search.window}")
                return
            read = lab_row(row, moment, f"labs row {row.number}", self.site)
            if not self.search.window.holds(moment, read.result.analyte):
                self.tally.count(f"outside the window of {self.search.window}")
                return
        except ValueError as error:
            self.tally.row(row.number, str(error))
            return
        if read.remark:
            self.tally.row(row.number, read.remark)
        if read.result.status is LabStatus.CANCELLED:
            self.tally.count("cancelled")
        self._hold(read.result, moment)

    def joined(self) -> Records:
        """What counts of all rows."""
        self._fold()
        used = [result for result in self._held if result.status is not LabStatus.CANCELLED]
        return self.search.window.joined(used, self._earlier)

    def forget(self) -> None:
        """Not every row came: nothing counts."""
        self._held, self._earlier = [], ()

    def _hold(self, result: LabResult, moment: datetime) -> None:
        if self._new >= _FOLDED_AT and self._held[-1].observed_at != moment:
            self._fold()
        self._held.append(result)
        self._new += 1

    def _fold(self) -> None:
        used, superseded = latest_final(self._held)
        cancelled = [result for result in superseded if result.status is LabStatus.CANCELLED]
        if len(superseded) > len(cancelled):
            self.tally.count(SUPERSEDED, len(superseded) - len(cancelled))
        self._earlier = _latest_of_each(earlier(used, (*self._earlier, *superseded)))
        once = {(result.analyte, result.observed_at): result for result in cancelled}
        self._held, self._new = [*once.values(), *used], 0


@dataclass(slots=True)
class Reports:
    """One text for each report id, the latest; priors from before the study, others in the window."""

    search: Search
    tally: Tally
    _found: dict[str, TextReport] = field(default_factory=dict)

    def take(self, row: Row) -> None:
        """Look at one row; what is not used is noted."""
        if not _is_about(row, self.search, self.tally):
            return
        try:
            report = report_row(row, self.search.zone, f"reports row {row.number}")
        except ValueError as error:
            self.tally.row(row.number, str(error))
            return
        if reason := self._untimely(report):
            self.tally.count(reason)
            return
        # Rows come in the order of their times: a later one is a later version.
        if self._found.pop(report.report_id, None) is not None:
            self.tally.count("superseded by a later version of the same report")
        self._found[report.report_id] = report

    def texts(self) -> tuple[TextReport, ...]:
        """What counts of all rows."""
        return tuple(self._found.values())

    def forget(self) -> None:
        """Not every row came: nothing counts."""
        self._found.clear()

    def _untimely(self, report: TextReport) -> str:
        moment, window = report.authored_at, self.search.window
        if moment is None:
            return "without a time"
        if report.kind is TextKind.PRIOR:
            return "" if moment < window.study else "a prior that is not from before the study"
        return "" if window.holds(moment) else f"outside the window of {window}"


def _latest_of_each(results: Iterable[LabResult]) -> tuple[LabResult, ...]:
    """The last `EARLIER` results of each analyte, of results that are oldest first."""
    found: dict[str, deque[LabResult]] = {}
    for result in results:
        found.setdefault(result.analyte.key, deque(maxlen=EARLIER)).append(result)
    return tuple(result for each in found.values() for result in each)


def _is_about(row: Row, search: Search, tally: Tally) -> bool:
    try:
        reason = doubt(search.identity, identity(row))
    except ValueError as error:
        tally.row(row.number, f"identity: {error}")
        return False
    if reason:
        tally.row(row.number, f"it is not certain that it is the same person: {reason}")
    return not reason
