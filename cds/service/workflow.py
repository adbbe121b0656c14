"""Durable workflow: all use of DBOS is behind this module.

The ledger says what is to be done (open jobs); DBOS sees to it that each piece is taken by exactly
one worker, and taken up again after a crash. Only ids go into its database, as JSON. It is a process
singleton: one `Workflow` runs at a time in a process. Deliveries are the outbox's.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID

from cds.errors import CdsError, ConfigError, OutOfResources, UnusableStudy
from cds.service.analysis import AnalysisBroken, AnalysisCrashed, AnalysisInterrupted, Analyst
from cds.service.delivery import Courier, recipients
from cds.service.priors import Priors
from cds.store import Attempt, Job, Ledger

_LOG: Final = logging.getLogger(__name__)

_EXECUTOR_ID: Final = "cds-node"
_APPLICATION_VERSION: Final = "1"
"""Pinned: by default DBOS hashes the code, and work of another version is not taken up."""

_ANALYSIS_QUEUE: Final = "analysis"
_AHEAD: Final = 64
"""How much is queued ahead of the workers; the ledger keeps the rest, however much it is."""
_POLLING_SECONDS: Final = 0.1
_ENDED: Final = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
_BUSY_SECONDS: Final = 5.0
"""How long work waits whose database or disk has no room; it is not counted as an attempt."""
_LAST_STEPS_SECONDS: Final = 5
"""How long steps may take to enter their outcome when the node stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What the steps work with."""

    ledger: Ledger
    analyst: Analyst
    courier: Courier
    clock: Callable[[], datetime]
    report_made: Callable[[], None] = lambda: None
    priors: Priors | None = None

    def analyse(self, job: Job) -> None:
        """Attempt a job until it has an outcome; every attempt is counted before it begins."""
        while (attempt := self.ledger.jobs.begin(job, self.clock())) is not None:
            try:
                self._make_report(attempt)
            except AnalysisCrashed as error:
                _LOG.error("study %s: attempt %d: %s", job.study_instance_uid, attempt.number, error)
                continue
            except AnalysisInterrupted:
                self.ledger.jobs.put_back(job, self.clock(), counts=False)
            except UnusableStudy as error:
                self.ledger.jobs.skip(job, str(error), self.clock())
            except OutOfResources:
                raise
            except (CdsError, AnalysisBroken) as error:
                self.ledger.jobs.fail(job, str(error), self.clock())
            return

    def _make_report(self, attempt: Attempt) -> None:
        result = self.analyst.analyse(self.priors.add_to(attempt) if self.priors else attempt)
        if result.nothing_new:
            self.ledger.jobs.keep_the_last(attempt.job, self.clock())
            return
        try:
            report = self.ledger.report_files.put(
                attempt.job.study_instance_uid,
                attempt.job.id,
                result.encodings,
                revision=attempt.revision,
                inputs_hash=result.inputs_hash,
                content_hash=result.content_hash,
            )
        except OSError as error:
            raise OutOfResources(f"the disk does not take the report now: {error.strerror}") from None
        peers = [peer for peer in self.courier.peers.values() if peer.send_results]
        names = [peer.name for peer in peers]
        self.ledger.jobs.report(attempt.job, report, names, self.clock(), recipients(report.files, peers))
        with suppress(OutOfResources):  # else at the next start
            self.ledger.tidy(attempt.job.study_instance_uid)
        self.report_made()


class Workflow:
    """The queues of one node.

    Parameters
    ----------
    database
        SQLite file of DBOS; `cds.store` has its own.
    """

    def __init__(self, database: Path, workshop: Workshop) -> None:
        self._database = database
        self._workshop = workshop
        self._submitted: set[str] = set()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Take up what a crash left, and wait for work."""
        _set_wal(self._database)
        config: DBOSConfig = {
            "name": "cds",
            "system_database_url": f"sqlite:///{self._database}",
            "executor_id": _EXECUTOR_ID,
            "application_version": _APPLICATION_VERSION,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "ERROR",
        }
        DBOS(config=config)
        _running.append(self)
        DBOS.launch()
        DBOS.register_queue(_ANALYSIS_QUEUE, worker_concurrency=1, polling_interval_sec=_POLLING_SECONDS)
        self._forget_deliveries()
        self._forget_ended()

    def stop(self, grace_seconds: float) -> None:
        """Take no new work, let a running analysis end for `grace_seconds`, and let go of the database."""
        self._stopping.set()
        self._workshop.analyst.stop(grace_seconds)
        if self in _running:
            DBOS.destroy(workflow_completion_timeout_sec=_LAST_STEPS_SECONDS)
            _running.remove(self)

    def submit(self) -> None:
        """Queue the next open jobs of the ledger that are not queued yet."""
        self._forget_ended()
        ledger = self._workshop.ledger
        for job in ledger.jobs.open_jobs(_AHEAD):
            if job.id not in self._submitted:
                with SetWorkflowID(job.id):
                    DBOS.enqueue_workflow(_ANALYSIS_QUEUE, _analysis, job.study_instance_uid, job.generation)
                self._submitted.add(job.id)

    def analyse(self, job: Job) -> None:
        """Carry out the analysis step; the outcome stands in the ledger."""
        try:
            if not self._stopping.is_set():
                self._workshop.analyse(job)
        except OutOfResources as error:
            _LOG.error("study %s waits: %s", job.study_instance_uid, error)
            self._stopping.wait(_BUSY_SECONDS)
            self._workshop.ledger.jobs.put_back(job, self._workshop.clock(), counts=False)

    def _forget_deliveries(self) -> None:
        """Delete what earlier versions queued here; the outbox sees to it now."""
        if found := DBOS.list_workflows(name="delivery", load_input=False, load_output=False):
            DBOS.delete_workflows([workflow.workflow_id for workflow in found])

    def _forget_ended(self) -> None:
        """Delete the records of what has ended, however it ended: the ledger remembers, and may ask for it again."""
        if ended := _ended():
            DBOS.delete_workflows(ended)
            self._submitted.difference_update(ended)


_running: Final[list[Workflow]] = []
"""DBOS finds its functions by name in the process, not in an object; this is the object they work for."""


@DBOS.workflow(name="analysis")
def _analysis(study_instance_uid: str, generation: int) -> None:
    job = Job(study_instance_uid=study_instance_uid, generation=generation)
    DBOS.run_step({"name": "analyse"}, _running[-1].analyse, job)


def _ended() -> list[str]:
    found = DBOS.list_workflows(status=list(_ENDED), load_input=False, load_output=False)
    return [workflow.workflow_id for workflow in found]


def _set_wal(database: Path) -> None:
    """Set write-ahead logging, which DBOS leaves to us; the file remembers it.

    Raises
    ------
    ConfigError
        When the file is damaged.
    """
    with closing(sqlite3.connect(database)) as connection:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            verdict = str(error)
    if verdict != "ok":
        raise ConfigError(
            f"the queue {str(database)!r} cannot be used ({verdict}). Move it away together with its -wal and -shm "
            "files and start again: the ledger knows what is to be done, nothing is lost"
        )
