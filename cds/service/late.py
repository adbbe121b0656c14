"""Late records: studies are read again when records of their patient come after the report.

A source says whose records came (`cds.ports.Watched`). Its position and the studies that are to be read again are
entered in one transaction, so that a crash between the two loses nothing: the source is asked again from where it
was. Results come in bursts, one message for each analyte: a study waits until nothing more has come of its patient
for a while, and for ten times as long at most, so that a burst is one revision. Whether a record counts is for the
source to say when the study is read; where nothing that counts is new, no revision is made.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cds.domain.records import Arrivals
from cds.errors import CdsError
from cds.ports import Watched
from cds.service.analysis import defect
from cds.store import Ledger

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatePlan:
    """How often the sources are asked; studies are read again of which something was received in the last `days`.

    They are when no more records of the patient have come for `quiet_seconds`.
    """

    poll_seconds: float = 10.0
    quiet_seconds: float = 30.0
    days: float = 7.0


class LateRecords:
    """Asks the sources, one after the other, in a thread of its own.

    Parameters
    ----------
    sources
        By name.
    """

    def __init__(
        self, ledger: Ledger, sources: Mapping[str, Watched], plan: LatePlan, clock: Callable[[], datetime]
    ) -> None:
        self._ledger = ledger
        self._sources = sources if plan.days > 0 else {}
        self._plan = plan
        self._quiet = timedelta(seconds=plan.quiet_seconds)
        self._clock = clock
        self._troubles: dict[str, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cds-late-records", daemon=True)

    def start(self) -> None:
        """Ask from now on, where there is a source to ask; a report that is made after this misses nothing."""
        for name in self._sources:
            self._ledger.late.position(name, self._clock())
        if self._sources:
            self._thread.start()

    def stop(self, seconds: float) -> None:
        """Ask no more; a source that is being asked has so long."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def troubles(self) -> Mapping[str, str]:
        """By source that is watched: why it could not be asked the last time; ``""`` where it could."""
        return {name: self._troubles.get(name, "") for name in self._sources}

    def look(self) -> int:
        """Ask every source once; how many studies are read again now."""
        return sum(self._ask(name, source) for name, source in self._sources.items()) + self._release()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(self._plan.poll_seconds)

    def _ask(self, name: str, source: Watched) -> int:
        """A source that fails costs a line in the log, once, and is asked again from where it was."""
        try:
            since = self._ledger.late.position(name, self._clock())
            arrivals = source.arrivals(since)
            studies = () if self._stopping.is_set() else self._enter(name, since, arrivals)
        except CdsError as error:
            self._trouble(name, str(error))
            return 0
        except Exception as error:  # a plugin's defect must not end the watch over the others
            self._trouble(name, defect(f"the records source {name!r}", error))
            return 0
        self._trouble(name, "")
        return _told(studies)

    def _release(self) -> int:
        """Studies that have waited long enough; where the ledger does not take it now, the next look does it."""
        if self._stopping.is_set():
            return 0
        try:
            return _told(self._ledger.late.release(self._clock(), self._quiet))
        except CdsError as error:
            _LOG.error("studies are not read again now: %s", error)
            return 0

    def _enter(self, name: str, since: str, arrivals: Arrivals) -> tuple[str, ...]:
        if arrivals.position == since and not arrivals.patients:
            return ()
        now = self._clock()
        return self._ledger.late.enter(name, arrivals, now - timedelta(days=self._plan.days), now, self._quiet)

    def _trouble(self, name: str, reason: str) -> None:
        if reason and reason != self._troubles.get(name):
            _LOG.error("late records of %r are not seen: %s", name, reason)
        if not reason and self._troubles.get(name):
            _LOG.warning("late records of %r are seen again", name)
        self._troubles[name] = reason


def _told(studies: Sequence[str]) -> int:
    for study in studies:
        _LOG.info("study %s is read again: records of its patient came", study)
    return len(studies)
