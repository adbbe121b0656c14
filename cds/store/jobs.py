"""The life of a study: complete, attempted, reported, failed; every step counted before it is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, func, select, update

from cds.store.database import Database, note, stamp
from cds.store.deliveries import enter_deliveries, inserted, settle
from cds.store.report_files import StoredReport
from cds.store.tables import INSTANCES, REPORT_FILES, REPORTS, STUDIES
from cds.store.values import Attempt, InstanceState, Job, Receiving, StoredInstance, StudyState

MAX_ATTEMPTS: Final = 3
WAITING: Final = "waiting:"
"""How the reason begins of a study that is known to have more than is here."""


class Jobs:
    """The door of the ledger for assembly and workflow.

    Parameters
    ----------
    path_of
        Where the file of a blob lies.
    """

    def __init__(self, database: Database, path_of: Callable[[str], Path]) -> None:
        self._database = database
        self._path_of = path_of

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
            if row is None or _has_report(connection, job):
                return None
            if row["attempts"] >= MAX_ATTEMPTS:
                reason = f"the analysis broke off {row['attempts']} times without an answer"
                _move(connection, uid, StudyState.QUARANTINED, at, reason)
                return None
            number = row["attempts"] + 1
            _move(connection, uid, StudyState.RUNNING, at, "", attempts=number, reopened=False)
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
            if row is None or _has_report(connection, job):
                return False
            last = _last_report(connection, uid)
            if last is not None and _says_the_same(last, report):
                connection.execute(update(REPORTS).where(REPORTS.c.id == last.id).values(generation=job.generation))
                _end(connection, row, StudyState.RUNNING, at, "the same inputs gave the same report")
                settle(connection, uid, at)
                return False
            _enter_report(connection, job, report, peers, at, only)
            reason = "" if peers else "the report is made, but no peer has send_results = true: set one, then resend"
            state = StudyState.RUNNING if peers else StudyState.FAILED
            _end(connection, row, state, at, reason, inputs_hash=report.inputs_hash)
            return True

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
                _renew(connection, row, at, "interrupted, waits again", attempts=attempts)

    def _finish(self, job: Job, state: StudyState, reason: str, at: datetime) -> None:
        with self._database.writing() as connection:
            row = _current(connection, job)
            if row is not None:
                _end(connection, row, state, at, reason)

    def _attempt(self, connection: Connection, job: Job, number: int, row: Mapping[str, Any]) -> Attempt:
        uid = job.study_instance_uid
        last = _last_report(connection, uid)
        return Attempt(
            job=job,
            number=number,
            instances=self._instances(connection, uid),
            revision=last.revision + 1 if last else 1,
            predecessor=last.sop_instance_uid if last else "",
            held=row["held"],
            expected=row["expected"],
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
    _renew(connection, row, at, reason)
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


def _has_report(connection: Connection, job: Job) -> bool:
    query = select(REPORTS.c.id).where(
        REPORTS.c.study_instance_uid == job.study_instance_uid, REPORTS.c.generation == job.generation
    )
    return connection.execute(query).first() is not None


def _last_report(connection: Connection, study_instance_uid: str) -> Row[Any] | None:
    return connection.execute(
        select(REPORTS).where(REPORTS.c.study_instance_uid == study_instance_uid).order_by(REPORTS.c.revision.desc())
    ).first()


def _says_the_same(last: Row[Any], report: StoredReport) -> bool:
    """Whether a new report is the last one over again: the same object, or the same content under another UID."""
    same_content = bool(report.content_hash) and last.content_hash == report.content_hash
    return same_content or bool(last.sop_instance_uid == report.sop_instance_uid)


def _move(
    connection: Connection, study_instance_uid: str, state: StudyState, at: datetime, reason: str, **columns: object
) -> None:
    connection.execute(
        update(STUDIES)
        .where(STUDIES.c.study_instance_uid == study_instance_uid)
        .values(state=state, reason=reason, changed_at=stamp(at), **columns)
    )
    note(connection, at, state, study_instance_uid=study_instance_uid, detail=reason)


def _renew(connection: Connection, row: Mapping[str, Any], at: datetime, reason: str, *, attempts: int = 0) -> None:
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
    )


def _end(
    connection: Connection, row: Mapping[str, Any], state: StudyState, at: datetime, reason: str, **columns: object
) -> None:
    """End a run; a study that was reopened meanwhile is receiving again, whatever the outcome."""
    if row["reopened"]:
        reason = "images arrived while the analysis ran"
        columns |= {"reopened": False, "arrivals": row["arrivals"] + 1}
        state = StudyState.RECEIVING
    _move(connection, row["study_instance_uid"], state, at, reason, **columns)


def _enter_report(
    connection: Connection,
    job: Job,
    report: StoredReport,
    peers: Sequence[str],
    at: datetime,
    only: Mapping[str, Sequence[str]],
) -> None:
    uid = job.study_instance_uid
    connection.execute(update(REPORTS).where(REPORTS.c.study_instance_uid == uid).values(superseded=True))
    report_id = inserted(
        connection,
        REPORTS,
        study_instance_uid=uid,
        revision=report.revision,
        generation=job.generation,
        sop_instance_uid=report.sop_instance_uid,
        inputs_hash=report.inputs_hash,
        content_hash=report.content_hash,
        superseded=False,
        created_at=stamp(at),
    )
    for position, file in enumerate(report.files):
        file_id = inserted(
            connection,
            REPORT_FILES,
            report_id=report_id,
            position=position,
            name=file.name,
            media_type=file.media_type,
            sop_instance_uid=file.sop_instance_uid,
            sop_class_uid=file.sop_class_uid,
            path=file.path,
            sha256=file.sha256,
            size=file.size,
            writer=file.writer,
        )
        if file.sop_instance_uid:
            enter_deliveries(connection, file_id, only.get(file.name, peers), at)
    note(
        connection,
        at,
        "report made",
        study_instance_uid=uid,
        sop_instance_uid=report.sop_instance_uid,
        detail=f"revision {report.revision}",
    )
