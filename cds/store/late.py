"""Records that come after a report: how far each source was looked at, and which studies are read again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, or_, select, update

from cds.domain.records import Arrivals, Identity
from cds.store.database import Database, note, stamp
from cds.store.jobs import LATE, renew
from cds.store.reports import has_report
from cds.store.tables import LATE_STUDIES, REPORTS, STUDIES, WATCHED
from cds.store.values import Job, StudyState

LONGEST_QUIETS: Final = 10
"""A study is read again after so many times the quiet that it waits for, whether it is quiet or not."""
_BEGUN: Final = frozenset({StudyState.RUNNING, StudyState.REPORTED, StudyState.FAILED})


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

    def enter(
        self, source: str, arrivals: Arrivals, received_since: datetime, at: datetime, quiet: timedelta = timedelta(0)
    ) -> tuple[str, ...]:
        """Enter a source's new position and the studies that it may concern, as one; then do as `release`.

        Of a study that is not begun, nothing is entered: its records are looked for when it is. What came before the
        first position of a source is not known, so that every report made since it is watched is looked at.

        Parameters
        ----------
        received_since
            Studies of which nothing came since then are left as they are.
        """
        with self._database.writing() as connection:
            row = _watched(connection, source)
            if row is None or row.position == "":
                concerned = _reported_since(connection, row.since if row else stamp(at))
            else:
                concerned = _about(connection, arrivals.patients, stamp(received_since))
            for study in concerned:
                if study["state"] in _BEGUN:
                    _wait(connection, study["study_instance_uid"], at)
            _move_on(connection, source, arrivals.position, at)
            return _released(connection, at, quiet)

    def release(self, at: datetime, quiet: timedelta) -> tuple[str, ...]:
        """Have the studies read again of whose patients nothing more came for so long.

        Where records keep coming, they are read again `LONGEST_QUIETS` times as long after the first.
        A study that has a report is READY again; one that is being analysed is analysed anew when that ends.

        Returns
        -------
        tuple of str
            The Study Instance UIDs.
        """
        with self._database.reading() as connection:
            if not _due(connection, at, quiet):
                return ()
        with self._database.writing() as connection:
            return _released(connection, at, quiet)


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


def _wait(connection: Connection, uid: str, at: datetime) -> None:
    """Enter that records came now."""
    here = LATE_STUDIES.c.study_instance_uid == uid
    known = connection.execute(update(LATE_STUDIES).where(here).values(last_at=stamp(at)))
    if not known.rowcount:
        connection.execute(insert(LATE_STUDIES).values(study_instance_uid=uid, first_at=stamp(at), last_at=stamp(at)))
        note(connection, at, LATE, study_instance_uid=uid, detail="came; it is read again when no more come")


def _due(connection: Connection, at: datetime, quiet: timedelta) -> list[str]:
    """The studies that have waited long enough, or whose time is not to be trusted: it is later than now."""
    waits = select(LATE_STUDIES.c.study_instance_uid).where(
        or_(
            LATE_STUDIES.c.last_at <= stamp(at - quiet),
            LATE_STUDIES.c.first_at <= stamp(at - LONGEST_QUIETS * quiet),
            LATE_STUDIES.c.last_at > stamp(at),
        )
    )
    return list(connection.execute(waits.order_by(LATE_STUDIES.c.first_at)).scalars())


def _released(connection: Connection, at: datetime, quiet: timedelta) -> tuple[str, ...]:
    found = _due(connection, at, quiet)
    here = STUDIES.c.study_instance_uid
    studies = [connection.execute(select(STUDIES).where(here == uid)).mappings().one() for uid in found]
    for uid in found:
        connection.execute(delete(LATE_STUDIES).where(LATE_STUDIES.c.study_instance_uid == uid))
    return tuple(study["study_instance_uid"] for study in studies if _read_again(connection, dict(study), at))


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
