"""Rows as they come, folded into what counts: so many are held as are used, however many there are."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cds.domain.joining import SUPERSEDED, Search, Tally, earlier
from cds.domain.labs import latest_final
from cds.domain.records import LabResult, LabStatus, Records, TextReport
from cds.domain.rows import identity, lab_of, report_of
from cds.domain.same_person import doubt
from cds.domain.site_codes import SiteCode
from cds_sql.database import Row

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
        result = lab_of(row, row.number, self.search, self.site, self.tally)
        if result is not None:
            self._hold(result)

    def joined(self) -> Records:
        """What counts of all rows."""
        self._fold()
        used = [result for result in self._held if result.status is not LabStatus.CANCELLED]
        return self.search.window.joined(used, self._earlier)

    def forget(self) -> None:
        """Not every row came: nothing counts."""
        self._held, self._earlier = [], ()

    def _hold(self, result: LabResult) -> None:
        if self._new >= _FOLDED_AT and self._held[-1].observed_at != result.observed_at:
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
        report = report_of(row, row.number, self.search, self.tally)
        if report is None:
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
