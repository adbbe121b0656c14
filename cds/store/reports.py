"""Reports as rows: one for each revision, with its files and the ways they go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from cds.store.database import note, stamp
from cds.store.deliveries import enter_deliveries, inserted
from cds.store.report_files import StoredFile, StoredReport
from cds.store.tables import REPORT_FILES, REPORTS
from cds.store.values import Job

_JSON: Final = "application/json"


def has_report(connection: Connection, job: Job) -> bool:
    """Whether the report of this job is made."""
    query = select(REPORTS.c.id).where(
        REPORTS.c.study_instance_uid == job.study_instance_uid, REPORTS.c.generation == job.generation
    )
    return connection.execute(query).first() is not None


def last_report(connection: Connection, study_instance_uid: str) -> Row[Any] | None:
    """The row of the last revision."""
    return connection.execute(
        select(REPORTS).where(REPORTS.c.study_instance_uid == study_instance_uid).order_by(REPORTS.c.revision.desc())
    ).first()


def json_path(connection: Connection, report_id: int) -> str:
    """Where a report lies as JSON, relative to the reports' folder; ``""`` where it was not written as such."""
    of_report = (REPORT_FILES.c.report_id == report_id) & (REPORT_FILES.c.media_type == _JSON)
    query = select(REPORT_FILES.c.path).where(of_report).order_by(REPORT_FILES.c.position)
    return str(connection.execute(query).scalars().first() or "")


def says_the_same(last: Row[Any], report: StoredReport) -> bool:
    """Whether a new report is the last one over again: the same object, or the same content under another UID."""
    same_content = bool(report.content_hash) and last.content_hash == report.content_hash
    return same_content or bool(last.sop_instance_uid == report.sop_instance_uid)


def enter_report(
    connection: Connection,
    job: Job,
    report: StoredReport,
    peers: Sequence[str],
    at: datetime,
    only: Mapping[str, Sequence[str]],
) -> None:
    """Enter a revision, which supersedes those before it, and where each of its files goes."""
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
        file_id = _enter_file(connection, report_id, position, file)
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


def _enter_file(connection: Connection, report_id: int, position: int, file: StoredFile) -> int:
    return inserted(
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
