"""Study assembly: says when a study is complete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cds.store import Ledger
from cds.store.values import Receiving


@dataclass(slots=True)
class _Seen:
    arrivals: int
    quiet_since: float


class Assembly:
    """Closes studies that have been quiet long enough.

    A study that this process watched is timed by the monotonic clock, so that a wall clock set
    forward or back closes nothing early and keeps nothing open. One that was there at the start
    is closed at once where the wall clock says that it has been quiet, and watched otherwise.

    Parameters
    ----------
    quiet_seconds
        A study is complete when no instance has come for this long.
    clock, monotonic
        The time now, aware; and seconds that never go back.
    """

    def __init__(
        self,
        ledger: Ledger,
        quiet_seconds: float,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._quiet_seconds = quiet_seconds
        self._clock = clock
        self._monotonic = monotonic
        self._started_at = clock()
        self._seen: dict[str, _Seen] = {}

    def close_quiet_studies(self) -> int:
        """Look at every study that is receiving; how many were closed."""
        receiving = self._ledger.jobs.receiving()
        open_now = {study.study_instance_uid for study in receiving}
        self._seen = {uid: seen for uid, seen in self._seen.items() if uid in open_now}
        return sum(self._close(study) for study in receiving if self._is_quiet(study))

    def _is_quiet(self, study: Receiving) -> bool:
        now = self._monotonic()
        seen = self._seen.get(study.study_instance_uid)
        if seen is None or seen.arrivals != study.arrivals:
            self._seen[study.study_instance_uid] = _Seen(study.arrivals, now)
            return seen is None and self._was_quiet_at_start(study)
        return now - seen.quiet_since >= self._quiet_seconds

    def _was_quiet_at_start(self, study: Receiving) -> bool:
        return study.last_received_at + timedelta(seconds=self._quiet_seconds) <= self._started_at

    def _close(self, study: Receiving) -> bool:
        reason = f"complete: quiet for {self._quiet_seconds:g} s"
        return self._ledger.jobs.complete(study, reason, self._clock()) is not None
