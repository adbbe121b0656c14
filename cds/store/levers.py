"""What an operator may do to a study by hand: retry, discard, resend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select, update

from cds.errors import CdsError
from cds.store.database import Database, note, stamp
from cds.store.deliveries import end_study, enter_deliveries
from cds.store.jobs import WAITING, close_study
from cds.store.report_files import StoredFile
from cds.store.tables import DELIVERIES, REPORT_FILES, REPORTS, STUDIES
from cds.store.values import DeliveryState, StudyState

_BUSY: Final = frozenset({StudyState.READY, StudyState.RUNNING})


class Levers:
    """Acts on the ledger only; a running node sees the change within a heartbeat."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def retry(self, study_instance_uid: str, at: datetime) -> None:
        """Analyse a study again, with its attempts counted from zero; one that is receiving is closed as it is.

        Raises
        ------
        CdsError
            When there is no such study, when it is being worked on, or when it mixes two patients.
        """
        with self._database.writing() as connection:
            state = _state(connection, study_instance_uid)
            if state is StudyState.RECEIVING:
                _close(connection, study_instance_uid, at)
                return
            if state in _BUSY:
                raise CdsError(f"study {study_instance_uid} is {state}: only a study that has ended can be retried")
            if state is StudyState.IDENTITY_CONFLICT:
                raise CdsError(f"study {study_instance_uid} mixes patients: correct it at its source, then discard it")
            connection.execute(
                update(STUDIES)
                .where(STUDIES.c.study_instance_uid == study_instance_uid)
                .values(generation=STUDIES.c.generation + 1, attempts=0, reopened=False)
            )
            end_study(connection, study_instance_uid, StudyState.READY, "retried by an operator", at)

    def discard(self, study_instance_uid: str, at: datetime) -> None:
        """Work no more on a study; its instances stay, what was not delivered is not delivered.

        Raises
        ------
        CdsError
            When there is no such study.
        """
        with self._database.writing() as connection:
            _state(connection, study_instance_uid)
            of_study = DELIVERIES.c.file_id.in_(
                select(REPORT_FILES.c.id)
                .join(REPORTS, REPORTS.c.id == REPORT_FILES.c.report_id)
                .where(REPORTS.c.study_instance_uid == study_instance_uid)
            )
            connection.execute(update(DELIVERIES).where(of_study).values(commit_at=""))
            connection.execute(
                update(DELIVERIES)
                .where(of_study, DELIVERIES.c.state == DeliveryState.PENDING)
                .values(state=DeliveryState.FAILED, reason="the study was discarded")
            )
            end_study(connection, study_instance_uid, StudyState.DISCARDED, "discarded by an operator", at)

    def resend(
        self,
        study_instance_uid: str,
        peers: Sequence[str],
        at: datetime,
        recipients: Callable[[Sequence[StoredFile]], Mapping[str, Sequence[str]]] | None = None,
    ) -> int:
        """Deliver the last report again to `peers`, also what they have; how many files.

        A superseded report is not sent again. `recipients` says which peers a file is for, by its name;
        without it each file goes to every one of `peers`.

        Raises
        ------
        CdsError
            When there is no such study, no report of it, no peer, or no file for these peers.
        """
        if not peers:
            raise CdsError("no peer has send_results = true: there is nobody to send to")
        with self._database.writing() as connection:
            state = _state(connection, study_instance_uid)
            if state in (StudyState.DISCARDED, StudyState.IDENTITY_CONFLICT):
                raise CdsError(f"study {study_instance_uid} is {state}: its report is not sent")
            files = _last_files(connection, study_instance_uid)
            if not files:
                raise CdsError(f"study {study_instance_uid} has no report yet: there is nothing to send")
            addressed = recipients(list(files.values())) if recipients else {}
            sent = 0
            for file_id, file in files.items():
                wanted = [peer for peer in addressed.get(file.name, peers) if peer in peers]
                _renew_deliveries(connection, file_id, wanted, at)
                sent += len(wanted)
            if not sent:
                raise CdsError(f"no file of the report is for {', '.join(peers)}: look at the peer's 'send'")
            note(connection, at, "resend", study_instance_uid=study_instance_uid, detail=f"to {', '.join(peers)}")
            if state is StudyState.FAILED and _is_of_the_last_run(connection, study_instance_uid):
                end_study(connection, study_instance_uid, StudyState.RUNNING, "sent again by an operator", at)
        return sent


def _state(connection: Connection, study_instance_uid: str) -> StudyState:
    query = select(STUDIES.c.state).where(STUDIES.c.study_instance_uid == study_instance_uid)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise CdsError(f"there is no study {study_instance_uid} here: 'cds state' lists those there are")
    return StudyState(found)


def _close(connection: Connection, study_instance_uid: str, at: datetime) -> None:
    """Wait no longer; where it was known that more is to come, the report will say so."""
    query = select(STUDIES).where(STUDIES.c.study_instance_uid == study_instance_uid)
    row = dict(connection.execute(query).mappings().one())
    waiting = row["reason"].startswith(WAITING)
    held, expected = (row["held"], row["expected"]) if waiting else (0, 0)
    close_study(connection, row, "completed by an operator", at, held=held, expected=expected)


def _is_of_the_last_run(connection: Connection, study_instance_uid: str) -> bool:
    """Whether the last report is what the study failed with, and not an analysis after it."""
    query = (
        select(REPORTS.c.id)
        .join(STUDIES, STUDIES.c.study_instance_uid == REPORTS.c.study_instance_uid)
        .where(REPORTS.c.study_instance_uid == study_instance_uid, REPORTS.c.generation == STUDIES.c.generation)
    )
    return connection.execute(query).first() is not None


def _last_files(connection: Connection, study_instance_uid: str) -> dict[int, StoredFile]:
    """The DICOM files of the report that is not superseded, in their order."""
    query = (
        select(REPORT_FILES)
        .join(REPORTS, REPORTS.c.id == REPORT_FILES.c.report_id)
        .where(
            REPORTS.c.study_instance_uid == study_instance_uid,
            REPORTS.c.superseded.is_(False),
            REPORT_FILES.c.sop_instance_uid != "",
        )
        .order_by(REPORT_FILES.c.position)
    )
    return {
        row.id: StoredFile(
            name=row.name,
            media_type=row.media_type,
            sop_instance_uid=row.sop_instance_uid,
            sop_class_uid=row.sop_class_uid,
            path=row.path,
            sha256=row.sha256,
            size=row.size,
            writer=row.writer,
        )
        for row in connection.execute(query)
    }


def _renew_deliveries(connection: Connection, file_id: int, peers: Sequence[str], at: datetime) -> None:
    known = set(connection.execute(select(DELIVERIES.c.peer).where(DELIVERIES.c.file_id == file_id)).scalars())
    connection.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.file_id == file_id, DELIVERIES.c.peer.in_(peers))
        .values(
            state=DeliveryState.PENDING,
            reason="",
            attempts=DELIVERIES.c.attempts + 1,
            first_at=stamp(at),
            next_at=stamp(at),
            commit_at="",
            commit_asks=0,
            commit_refusals=0,
        )
    )
    enter_deliveries(connection, file_id, [peer for peer in peers if peer not in known], at)
