"""Late records: studies are read again when records of their patient come after the report.

A source says whose records came (`cds.ports.Watched`). Its position and the studies that are to be read again are
entered in one transaction, so that a crash between the two loses nothing: the source is asked again from where it
was. Whether a record counts is for the source to say when the study is read; where nothing that counts is new, no
revision is made.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
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
    """How often the sources are asked; studies are read again of which something was received in the last `days`."""

    poll_seconds: float = 10.0
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
        """Ask every source once; how many studies are to be read again."""
        return sum(self._ask(name, source) for name, source in self._sources.items())

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
        for study in studies:
            _LOG.info("study %s is read again: records of its patient came to %r", study, name)
        return len(studies)

    def _enter(self, name: str, since: str, arrivals: Arrivals) -> tuple[str, ...]:
        if arrivals.position == since and not arrivals.patients:
            return ()
        now = self._clock()
        return self._ledger.late.enter(name, arrivals, now - timedelta(days=self._plan.days), now)

    def _trouble(self, name: str, reason: str) -> None:
        if reason and reason != self._troubles.get(name):
            _LOG.error("late records of %r are not seen: %s", name, reason)
        if not reason and self._troubles.get(name):
            _LOG.warning("late records of %r are seen again", name)
        self._troubles[name] = reason
