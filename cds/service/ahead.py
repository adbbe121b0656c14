"""Ahead: a study that pauses is read before it is complete, when the worker has nothing else to do.

What is read is not entered anywhere: the worker remembers it (`cds.reading`), and when the study
turns out to be complete as it was, its report is there at once. If more arrives, or a lab, only
what that changes is computed again. So the quiet time is the only wait.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from cds.errors import CdsError
from cds.service.analysis import AnalysisBroken, AnalysisCrashed, AnalysisInterrupted, Analyst
from cds.service.assembly import Assembly
from cds.service.priors import Priors
from cds.store import Ledger

_LOG: Final = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 1.0
"""Instances of one transfer follow each other in less; the shortest quiet time that is sensible is longer."""
_AT_MOST: Final = 3
"""How often one study is read ahead: one that trickles in must not keep the worker busy for nothing."""


class Ahead:
    """Reads pausing studies, one at a time, each state of them once.

    Parameters
    ----------
    pause_seconds
        How long nothing has to have come.
    """

    def __init__(
        self, ledger: Ledger, analyst: Analyst, assembly: Assembly, priors: Priors, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._ledger = ledger
        self._analyst = analyst
        self._assembly = assembly
        self._priors = priors
        self._pause_seconds = pause_seconds
        self._read: dict[str, list[int]] = {}
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Begin to read a study that pauses, if none is being read and no job waits; does not block."""
        if self._thread is not None and self._thread.is_alive():
            return
        open_now = [study.study_instance_uid for study in self._assembly.pausing(0.0)]
        self._read = {uid: self._read.get(uid, []) for uid in open_now}
        pausing = self._assembly.pausing(self._pause_seconds)
        waiting = [study for study in pausing if self._is_worth_it(study.study_instance_uid, study.arrivals)]
        if not waiting or self._ledger.jobs.open_jobs(1):
            return
        study = waiting[0]
        self._read[study.study_instance_uid].append(study.arrivals)
        self._thread = threading.Thread(
            target=self._read_ahead, args=(study.study_instance_uid,), name="cds-ahead", daemon=True
        )
        self._thread.start()

    def _is_worth_it(self, study_instance_uid: str, arrivals: int) -> bool:
        before = self._read[study_instance_uid]
        return arrivals not in before and len(before) < _AT_MOST

    def _read_ahead(self, study_instance_uid: str) -> None:
        """Whatever goes wrong here goes wrong again when it counts, and is entered then."""
        try:
            attempt = self._ledger.jobs.preview(study_instance_uid)
            if attempt is not None:
                self._analyst.analyse(self._priors.add_to(attempt))
        except (CdsError, AnalysisCrashed, AnalysisBroken, AnalysisInterrupted) as error:
            _LOG.info("study %s was not read ahead (%s)", study_instance_uid, type(error).__name__)
