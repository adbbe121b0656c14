"""The life of a study: complete, attempted, reported, failed; every step counted before it is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, and_, delete, func, select, update

from cds.store.database import Database, note, stamp
from cds.store.deliveries import settle
from cds.store.report_files import StoredReport
from cds.store.reports import enter_report, has_report, json_path, last_report, says_the_same
from cds.store.tables import INSTANCES, LATE_STUDIES, REPORTS, STUDIES
from cds.store.values import Attempt, InstanceState, Job, Receiving, StoredInstance, StudyState

MAX_ATTEMPTS: Final = 3
WAITING: Final = "waiting:"
"""How the reason begins of a study that is known to have more than is here."""
LATE: Final = "late records"
"""Why a study is read again after records of its patient came; nothing else about it has changed."""


class Jobs:
    """The door of the ledger for assembly and workflow.

    Parameters
    ----------
    path_of, report_path_of
        Where the file of a blob lies, and one of a stored report.
    """

    def __init__(
        self, database: Database, path_of: Callable[[str], Path], report_path_of: Callable[[str], Path]
    ) -> None:
        self._database = database
        self._path_of = path_of
        self._report_path_of = report_path_of

    def receiving(self) -> tuple[Receiving, ...]:
        """Every study that is still arriving."""
        columns = (STUDIES.c.study_instance_uid, STUDIES.c.arrivals, STUDIES.c.last_received_at, STUDIES.c.reason)
        with self._database.reading() as connection:
            rows = connection.execute(select(*columns).where(STUDIES.c.state == StudyState.RECEIVING)).all()
        return tuple(
            Receiving(
                study_instance_uid=uid, arrivals=arrivals, last_received_at=datetime.fromisoformat(last), reason=reason
            )
            for uid, arrivals, last, reason in rows
        )

    def waits(self, study: Receiving, reason: str, *, held: int = 0, expected: int = 0) -> None:
        """Say what a study that is still receiving waits for; ``""``: for nothing but silence."""
        with self._database.writing() as connection:
            connection.execute(
                update(STUDIES)
                .where(
                    STUDIES.c.study_instance_uid == study.study_instance_uid,
                    STUDIES.c.state == StudyState.RECEIVING,
                    STUDIES.c.arrivals == study.arrivals,
                )
                .values(reason=reason, held=held, expected=expected)
            )

    def complete(
        self, study: Receiving, reason: str, at: datetime, *, held: int = 0, expected: int = 0, set_aside: str = ""
    ) -> StudyState | None:
        """Close a study, unless something has arrived since `study` was looked at (None then).

        READY where it has an image to read; SKIPPED where it has none, or is to be `set_aside` for that reason.
        It is kept that `held` of `expected` instances were here; 0 where nobody said.
        """
        uid = study.study_instance_uid
        with self._database.writing() as connection:
            row = _study(connection, uid)
            if row["state"] != StudyState.RECEIVING or row["arrivals"] != study.arrivals:
                return None
            return close_study(connection, row, reason, at, held=held, expected=expected, set_aside=set_aside)

    def kept(self, study_instance_uid: str, *, receiving: bool = False) -> tuple[Path, ...]:
        """The files of a study that has been read here, or set aside; of one still `receiving` where that is said.

        None where the study is not here, or is one that nobody should use.
        """
        usable = {StudyState.REPORTED, StudyState.RUNNING, StudyState.READY, StudyState.FAILED, StudyState.SKIPPED}
        wanted = usable | {StudyState.RECEIVING} if receiving else usable
        query = select(STUDIES.c.state).where(STUDIES.c.study_instance_uid == study_instance_uid)
        with self._database.reading() as connection:
            if connection.execute(query).scalar_one_or_none() not in wanted:
                return ()
            return tuple(instance.path for instance in self._instances(connection, study_instance_uid))

    def open_jobs(self, limit: int | None = None) -> tuple[Job, ...]:
        """Every job that waits or runs, or the first `limit` of them, the longest waiting first.

        A job whose report is made, and only has to be delivered, is not among them.
        """
        reported = and_(
            REPORTS.c.study_instance_uid == STUDIES.c.study_instance_uid,
            REPORTS.c.generation == STUDIES.c.generation,
        )
        query = (
            select(STUDIES.c.study_instance_uid, STUDIES.c.generation)
            .outerjoin(REPORTS, reported)
            .where(STUDIES.c.state.in_((StudyState.READY, StudyState.RUNNING)), REPORTS.c.id.is_(None))
            .order_by(STUDIES.c.changed_at)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return tuple(Job(study_instance_uid=uid, generation=n) for uid, n in connection.execute(query))

    def begin(self, job: Job, at: datetime) -> Attempt | None:
        """Count an attempt, then hand out what it needs.

        None where there is nothing to do: the job is outdated, or its report is made already, or
        it was tried `MAX_ATTEMPTS` times (the study is QUARANTINED then).
        """
        uid = job.study_instance_uid
        with self._database.writing() as connection:
            row = _current(connection, job)
            if row is None or has_report(connection, job):
                return None
            if row["attempts"] >= MAX_ATTEMPTS:
                reason = f"the analysis broke off {row['attempts']} times without an answer"
                _move(connection, uid, StudyState.QUARANTINED, at, reason)
                return None
            number = row["attempts"] + 1
            reason = LATE if row["reason"] == LATE else ""
            _move(connection, uid, StudyState.RUNNING, at, reason, attempts=number, reopened=False, late=False)
            connection.execute(delete(LATE_STUDIES).where(LATE_STUDIES.c.study_instance_uid == uid))
            return self._attempt(connection, job, number, row)

    def preview(self, study_instance_uid: str) -> Attempt | None:
        """What an attempt would get if the study were complete now, None where it is not receiving; counts nothing."""
        with self._database.reading() as connection:
            row = _study(connection, study_instance_uid)
            if row["state"] != StudyState.RECEIVING:
                return None
            job = Job(study_instance_uid=study_instance_uid, generation=row["generation"] + 1)
            return self._attempt(connection, job, 0, row)

    def report(
        self,
        job: Job,
        report: StoredReport,
        peers: Sequence[str],
        at: datetime,
        only: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> bool:
        """Enter a report whose files are durable, and its deliveries, in one transaction.

        Every DICOM file goes to every one of `peers`; but a file that `only` names goes to those.
        False where the job is outdated: the files belong to nobody then. A report that says the same
        as the last one (a rerun on the same inputs) makes no new revision.
        """
        uid = job.study_instance_uid
        with self._database.writing() as connection:
            row = _current(connection, job)
            if row is None or has_report(connection, job):
                return False
            last = last_report(connection, uid)
            if last is not None and says_the_same(last, report):
                _keep_the_last(connection, job, row, at, "the same inputs gave the same report")
                return False
            enter_report(connection, job, report, peers, at, only)
            reason = "" if peers else "the report is made, but no peer has send_results = true: set one, then resend"
            state = StudyState.RUNNING if peers else StudyState.FAILED
            _end(connection, row, state, at, reason, inputs_hash=report.inputs_hash)
            return True

    def keep_the_last(self, job: Job, at: datetime) -> None:
        """No record that counts is new: the last report stands, and makes no revision."""
        with self._database.writing() as connection:
            row = _current(connection, job)
            if row is not None and not has_report(connection, job):
                _keep_the_last(connection, job, row, at, "no record that counts is new")

    def skip(self, job: Job, reason: str, at: datetime) -> None:
        """Nothing in the study can be read by a model."""
        self._finish(job, StudyState.SKIPPED, reason, at)

    def fail(self, job: Job, reason: str, at: datetime) -> None:
        """The analysis gave an error that a retry would give again."""
        self._finish(job, StudyState.FAILED, reason, at)

    def put_back(self, job: Job, at: datetime, *, counts: bool) -> None:
        """Make the job a new one: the run was stopped from outside, or its record was lost.

        `counts` says whether the attempt that was begun stays counted.
        """
        with self._database.writing() as connection:
            row = _current(connection, job)
            if row is not None:
                attempts = row["attempts"] if counts else max(row["attempts"] - 1, 0)
                reason = LATE if row["reason"] == LATE else "interrupted, waits again"
                renew(connection, row, at, reason, attempts=attempts)

    def _finish(self, job: Job, state: StudyState, reason: str, at: datetime) -> None:
        with self._database.writing() as connection:
            row = _current(connection, job)
            if row is not None:
                _end(connection, row, state, at, reason)

    def _attempt(self, connection: Connection, job: Job, number: int, row: Mapping[str, Any]) -> Attempt:
        uid = job.study_instance_uid
        last = last_report(connection, uid)
        json = json_path(connection, last.id) if last else ""
        return Attempt(
            job=job,
            number=number,
            instances=self._instances(connection, uid),
            revision=last.revision + 1 if last else 1,
            predecessor=last.sop_instance_uid if last else "",
            held=row["held"],
            expected=row["expected"],
            before=self._report_path_of(json) if json else None,
            known_inputs=last.inputs_hash if last and row["reason"] == LATE else "",
        )

    def _instances(self, connection: Connection, study_instance_uid: str) -> tuple[StoredInstance, ...]:
        rows = connection.execute(
            select(INSTANCES).where(_usable(study_instance_uid)).order_by(INSTANCES.c.sop_instance_uid)
        ).mappings()
        return tuple(
            StoredInstance(
                sop_instance_uid=row["sop_instance_uid"],
                sop_class_uid=row["sop_class_uid"],
                transfer_syntax_uid=row["transfer_syntax_uid"],
                path=self._path_of(row["blob"]),
            )
            for row in rows
        )


def close_study(
    connection: Connection,
    row: Mapping[str, Any],
    reason: str,
    at: datetime,
    *,
    held: int,
    expected: int,
    set_aside: str = "",
) -> StudyState:
    """End the receiving of the study in `row` (of STUDIES), as `Jobs.complete` says; its state then."""
    uid = row["study_instance_uid"]
    whole = {"completed_by": reason, "held": held, "expected": expected}
    connection.execute(update(STUDIES).where(STUDIES.c.study_instance_uid == uid).values(**whole))
    if set_aside:
        _move(connection, uid, StudyState.SKIPPED, at, set_aside)
        return StudyState.SKIPPED
    images = connection.execute(
        select(func.count()).select_from(INSTANCES).where(_usable(uid), INSTANCES.c.image)
    ).scalar_one()
    if not images:
        reason = "no image in the study: only reports, presentation states or the like"
        _move(connection, uid, StudyState.SKIPPED, at, reason)
        return StudyState.SKIPPED
    renew(connection, row, at, reason)
    return StudyState.READY


def _usable(study_instance_uid: str) -> Any:
    return and_(
        INSTANCES.c.study_instance_uid == study_instance_uid,
        INSTANCES.c.state == InstanceState.STORED,
        INSTANCES.c.own.is_(False),
    )


def _study(connection: Connection, study_instance_uid: str) -> Mapping[str, Any]:
    query = select(STUDIES).where(STUDIES.c.study_instance_uid == study_instance_uid)
    return dict(connection.execute(query).mappings().one())


def _current(connection: Connection, job: Job) -> Mapping[str, Any] | None:
    """The study, if the job is still its present one and may run."""
    row = _study(connection, job.study_instance_uid)
    alive = row["state"] in (StudyState.READY, StudyState.RUNNING)
    return row if alive and row["generation"] == job.generation else None


def _move(
    connection: Connection, study_instance_uid: str, state: StudyState, at: datetime, reason: str, **columns: object
) -> None:
    connection.execute(
        update(STUDIES)
        .where(STUDIES.c.study_instance_uid == study_instance_uid)
        .values(state=state, reason=reason, changed_at=stamp(at), **columns)
    )
    note(connection, at, state, study_instance_uid=study_instance_uid, detail=reason)


def _keep_the_last(connection: Connection, job: Job, row: Mapping[str, Any], at: datetime, reason: str) -> None:
    """Let the last report be that of this job too."""
    last = last_report(connection, job.study_instance_uid)
    if last is not None:
        connection.execute(update(REPORTS).where(REPORTS.c.id == last.id).values(generation=job.generation))
    _end(connection, row, StudyState.RUNNING, at, reason)
    settle(connection, job.study_instance_uid, at)


def renew(connection: Connection, row: Mapping[str, Any], at: datetime, reason: str, *, attempts: int = 0) -> None:
    """Make a new job of the study in `row` (of STUDIES)."""
    generation = row["generation"] + 1
    _move(
        connection,
        row["study_instance_uid"],
        StudyState.READY,
        at,
        reason,
        generation=generation,
        attempts=attempts,
        reopened=False,
        late=False,
    )


def _end(
    connection: Connection, row: Mapping[str, Any], state: StudyState, at: datetime, reason: str, **columns: object
) -> None:
    """End a run, whatever the outcome: a study that was reopened meanwhile is receiving again.

    One of whose patient records came meanwhile is a new job; it may have looked for them before they came.
    """
    if row["reopened"]:
        reason = "images arrived while the analysis ran"
        columns |= {"reopened": False, "arrivals": row["arrivals"] + 1}
        state = StudyState.RECEIVING
    _move(connection, row["study_instance_uid"], state, at, reason, **columns)
    if row["late"] and state is not StudyState.RECEIVING:
        renew(connection, row, at, LATE)
