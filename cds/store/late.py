"""Records that come after a report: how far each source was looked at, and which studies are read again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from cds.domain.records import Arrivals, Identity
from cds.store.database import Database, note, stamp
from cds.store.jobs import LATE, renew
from cds.store.reports import has_report
from cds.store.tables import REPORTS, STUDIES, WATCHED
from cds.store.values import Job, StudyState


class LateRecords:
    """The door of the ledger for what comes to the records sources while the node works."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def position(self, source: str, at: datetime) -> str:
        """How far a source was looked at; ``""`` where it never answered, and then it is entered that it is watched."""
        with self._database.reading() as connection:
            row = _watched(connection, source)
        if row is not None:
            return str(row.position)
        with self._database.writing() as connection:
            connection.execute(insert(WATCHED).values(source=source, position="", since=stamp(at)))
        return ""

    def enter(self, source: str, arrivals: Arrivals, received_since: datetime, at: datetime) -> tuple[str, ...]:
        """Enter a source's new position, and have the studies read again that it may concern, as one.

        A study that has a report is READY again; one that is being analysed is analysed anew when that ends. Of one
        that is not begun, nothing is changed: its records are looked for when it is. What came before the first
        position of a source is not known, so that every report made since it is watched is looked at.

        Parameters
        ----------
        received_since
            Studies of which nothing came since then are left as they are.

        Returns
        -------
        tuple of str
            The Study Instance UIDs.
        """
        with self._database.writing() as connection:
            row = _watched(connection, source)
            if row is None or row.position == "":
                concerned = _reported_since(connection, row.since if row else stamp(at))
            else:
                concerned = _about(connection, arrivals.patients, stamp(received_since))
            found = tuple(study["study_instance_uid"] for study in concerned if _read_again(connection, study, at))
            _move_on(connection, source, arrivals.position, at)
            return found


def _watched(connection: Connection, source: str) -> Any:
    return connection.execute(select(WATCHED).where(WATCHED.c.source == source)).one_or_none()


def _move_on(connection: Connection, source: str, position: str, at: datetime) -> None:
    moved = connection.execute(update(WATCHED).where(WATCHED.c.source == source).values(position=position))
    if not moved.rowcount:
        connection.execute(insert(WATCHED).values(source=source, position=position, since=stamp(at)))


def _reported_since(connection: Connection, since: str) -> Iterator[dict[str, Any]]:
    reported = select(REPORTS.c.study_instance_uid).where(REPORTS.c.created_at >= since)
    rows = connection.execute(select(STUDIES).where(STUDIES.c.study_instance_uid.in_(reported))).mappings()
    return iter([dict(row) for row in rows])


def _about(connection: Connection, patients: Iterable[Identity], received_since: str) -> Iterator[dict[str, Any]]:
    """The studies of these patients: by Patient ID, where one side names no issuer or both the same.

    Whether it is the same person is for the source to say when the study is read.
    """
    issuers: dict[str, set[str]] = defaultdict(set)
    for patient in patients:
        issuers[patient.patient_id.strip()].add(patient.issuer_of_patient_id.strip())
    if not issuers:
        return
    for row in connection.execute(select(STUDIES).where(STUDIES.c.last_received_at >= received_since)).mappings().all():
        named, ours = issuers.get(row["patient_id"].strip(), set()), row["issuer_of_patient_id"].strip()
        if named and row["patient_id"].strip() and (not ours or ours in named or "" in named):
            yield dict(row)


def _read_again(connection: Connection, study: dict[str, Any], at: datetime) -> bool:
    """Have a study read again; False where it is not begun, or must not be."""
    uid, state = study["study_instance_uid"], StudyState(study["state"])
    made = has_report(connection, Job(study_instance_uid=uid, generation=study["generation"]))
    if made and state in (StudyState.REPORTED, StudyState.RUNNING, StudyState.FAILED):
        renew(connection, study, at, LATE)
        return True
    if state is StudyState.RUNNING:
        connection.execute(update(STUDIES).where(STUDIES.c.study_instance_uid == uid).values(late=True))
        note(connection, at, LATE, study_instance_uid=uid, detail="while the analysis ran: it is made again after it")
        return True
    return False
