"""The way of a report to its peers: due, sent, postponed, refused; and what that makes of the study."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, insert, select, update

from cds.store.database import Database, note, stamp
from cds.store.tables import ANSWERS, DELIVERIES, REPORT_FILES, REPORTS, STUDIES
from cds.store.values import DeliverableFile, Delivery, DeliveryState, StudyState

_AT_ONCE: Final = 256
"""How many deliveries one transaction ends."""
_WAITING: Final = (
    (DELIVERIES, DeliveryState.PENDING, "next_at"),
    (DELIVERIES, DeliveryState.SENT, "commit_at"),
    (ANSWERS, DeliveryState.PENDING, "next_at"),
)
"""Where the moment stands that something waits for."""


class Deliveries:
    """The door of the ledger for delivery.

    Parameters
    ----------
    path_of
        Where a file of a stored report lies.
    """

    def __init__(self, database: Database, path_of: Callable[[str], Path]) -> None:
        self._database = database
        self._path_of = path_of

    def due(self, at: datetime, peer: str | None = None, *, limit: int = 64) -> tuple[Delivery, ...]:
        """What is to be sent now, the longest due first, about `limit` of it; of one peer, or of all.

        To one peer the revisions of a study go in their order.
        """
        with self._database.reading() as connection:
            studies = dict.fromkeys(connection.scalars(studies_due(at, peer).limit(limit)))
            rows = connection.execute(waiting_files(tuple(studies), peer)).all()
        deliveries = []
        for _, ways in groupby(rows, key=lambda row: (row.study_instance_uid, row.peer)):
            pending = [row for row in ways if row.state == DeliveryState.PENDING]
            first = list(next(groupby(pending, key=lambda row: row.report_id), (0, iter(())))[1])
            if first and max(row.next_at for row in first) <= stamp(at):
                deliveries.append(self._delivery(first))
        return tuple(sorted(deliveries, key=lambda delivery: delivery.due_at))

    def anything_due(self, at: datetime, peer: str) -> bool:
        """Whether a look at `due` is worth it; quick, however much waits for later."""
        query = select(DELIVERIES.c.id).where(_due(at, peer)).limit(1)
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def peers(self) -> tuple[str, ...]:
        """Every peer for which something waits."""
        query = select(DELIVERIES.c.peer).where(DELIVERIES.c.state == DeliveryState.PENDING).distinct()
        with self._database.reading() as connection:
            return tuple(connection.execute(query).scalars())

    def give_up(self, peer: str, before: datetime, reason: str, at: datetime) -> int:
        """End what has waited for a peer since `before`, a part of it; how many files."""
        query = (
            select(DELIVERIES.c.id)
            .where(DELIVERIES.c.peer == peer, DELIVERIES.c.state == DeliveryState.PENDING)
            .where(DELIVERIES.c.next_at <= stamp(at), DELIVERIES.c.first_at <= stamp(before))
            .limit(_AT_ONCE)
        )
        with self._database.reading() as connection:
            ids = connection.execute(query).scalars().all()
        if ids:
            self.refused(ids, reason, at)
        return len(ids)

    def sent(self, delivery_ids: Iterable[int], at: datetime, commit_at: datetime | None = None) -> None:
        """The peer accepted these files; at `commit_at` it is to be asked to commit to them."""
        self._settle_files(
            delivery_ids, DeliveryState.SENT, "", at, commit_at=stamp(commit_at) if commit_at else "", commit_asks=0
        )

    def refused(self, delivery_ids: Iterable[int], reason: str, at: datetime) -> None:
        """The peer will never accept these files, or the time to try is over."""
        self._settle_files(delivery_ids, DeliveryState.FAILED, reason, at)

    def postponed(self, delivery: Delivery, reason: str, next_at: datetime, at: datetime) -> None:
        """The peer could not take it now; `next_at` is when to try again."""
        ids = [file.delivery_id for file in delivery.files]
        with self._database.writing() as connection:
            connection.execute(
                update(DELIVERIES)
                .where(DELIVERIES.c.id.in_(ids), DELIVERIES.c.state == DeliveryState.PENDING)
                .values(reason=reason, attempts=delivery.attempt + 1, next_at=stamp(next_at))
            )
            note(
                connection,
                at,
                "delivery postponed",
                study_instance_uid=delivery.study_instance_uid,
                detail=f"to {delivery.peer}, attempt {delivery.attempt + 1}: {reason}",
            )

    def hasten(self, later_than: datetime, at: datetime) -> int:
        """Make due at `at` what waits for a moment later than `later_than`; how many files and answers.

        For a clock that was set back: what it put off before would wait for the hour that is lived through again.
        """
        with self._database.writing() as connection:
            return sum(
                connection.execute(
                    update(table)
                    .where(table.c.state == state, table.c[column] > stamp(later_than))
                    .values({column: stamp(at)})
                ).rowcount
                for table, state, column in _WAITING
            )

    def still_pending(self, delivery: Delivery) -> bool:
        """Whether this attempt is still to be made (and not outdated, or made before a crash)."""
        ids = [file.delivery_id for file in delivery.files]
        query = select(DELIVERIES.c.id).where(
            DELIVERIES.c.id.in_(ids),
            DELIVERIES.c.state == DeliveryState.PENDING,
            DELIVERIES.c.attempts == delivery.attempt,
        )
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def _delivery(self, rows: Sequence[Any]) -> Delivery:
        first = rows[0]
        return Delivery(
            report_id=first.report_id,
            study_instance_uid=first.study_instance_uid,
            peer=first.peer,
            attempt=max(row.attempts for row in rows),
            first_at=datetime.fromisoformat(min(row.first_at for row in rows)),
            due_at=datetime.fromisoformat(max(row.next_at for row in rows)),
            files=tuple(
                DeliverableFile(delivery_id=row.id, sop_instance_uid=row.sop_instance_uid, path=self._path_of(row.path))
                for row in rows
            ),
        )

    def _settle_files(
        self, delivery_ids: Iterable[int], state: DeliveryState, reason: str, at: datetime, **columns: object
    ) -> None:
        ids = list(delivery_ids)
        with self._database.writing() as connection:
            connection.execute(
                update(DELIVERIES)
                .where(DELIVERIES.c.id.in_(ids), DELIVERIES.c.state == DeliveryState.PENDING)
                .values(state=state, reason=reason, attempts=DELIVERIES.c.attempts + 1, **columns)
            )
            note_files(connection, ids, f"delivery {state}", reason, at)
            for uid in studies_of(connection, ids):
                settle(connection, uid, at)


def _due(at: datetime, peer: str | None) -> ColumnElement[bool]:
    due = and_(DELIVERIES.c.state == DeliveryState.PENDING, DELIVERIES.c.next_at <= stamp(at))
    return due if peer is None else and_(DELIVERIES.c.peer == peer, due)


def studies_due(at: datetime, peer: str | None) -> Select[Any]:
    """The studies of what is due, the longest due first; a study stands there once for each file."""
    return (
        select(REPORTS.c.study_instance_uid)
        .join(REPORT_FILES, REPORT_FILES.c.report_id == REPORTS.c.id)
        .join(DELIVERIES, DELIVERIES.c.file_id == REPORT_FILES.c.id)
        .where(_due(at, peer))
        .order_by(DELIVERIES.c.next_at)
    )


def waiting_files(studies: Iterable[str], peer: str | None) -> Select[Any]:
    """Every delivery of these studies; the state is looked at by the caller, so that the study's index leads."""
    query = (
        select(
            REPORTS.c.study_instance_uid,
            DELIVERIES.c.peer,
            REPORTS.c.id.label("report_id"),
            DELIVERIES.c.id,
            DELIVERIES.c.state,
            DELIVERIES.c.attempts,
            DELIVERIES.c.first_at,
            DELIVERIES.c.next_at,
            REPORT_FILES.c.sop_instance_uid,
            REPORT_FILES.c.path,
        )
        .join(REPORT_FILES, REPORT_FILES.c.report_id == REPORTS.c.id)
        .join(DELIVERIES, DELIVERIES.c.file_id == REPORT_FILES.c.id)
        .where(REPORTS.c.study_instance_uid.in_(studies))
        .order_by(REPORTS.c.study_instance_uid, DELIVERIES.c.peer, REPORTS.c.revision, REPORT_FILES.c.position)
    )
    return query if peer is None else query.where(DELIVERIES.c.peer == peer)


def enter_deliveries(connection: Connection, file_id: int, peers: Sequence[str], at: datetime) -> None:
    """Let a file go to `peers`, from now on."""
    for peer in peers:
        inserted(
            connection,
            DELIVERIES,
            file_id=file_id,
            peer=peer,
            state=DeliveryState.PENDING,
            first_at=stamp(at),
            next_at=stamp(at),
        )


def settle(connection: Connection, study_instance_uid: str, at: datetime) -> None:
    """End a RUNNING study whose last report has reached, or will never reach, every peer.

    Only the structured report decides (for a peer that takes none, the first file that it is to have):
    REPORTED means that each peer accepted it.
    """
    report = connection.execute(
        select(REPORTS.c.id, STUDIES.c.state)
        .join(STUDIES, STUDIES.c.study_instance_uid == REPORTS.c.study_instance_uid)
        .where(REPORTS.c.study_instance_uid == study_instance_uid, REPORTS.c.generation == STUDIES.c.generation)
    ).one_or_none()
    if report is None or report.state != StudyState.RUNNING:
        return
    rows = connection.execute(
        select(DELIVERIES.c.peer, DELIVERIES.c.state, DELIVERIES.c.reason)
        .join(REPORT_FILES, REPORT_FILES.c.id == DELIVERIES.c.file_id)
        .where(REPORT_FILES.c.report_id == report.id)
        .order_by(REPORT_FILES.c.position, DELIVERIES.c.id)
    ).all()
    ways = {row.peer: row for row in reversed(rows)}.values()
    failed = [f"{way.peer}: {way.reason}" for way in ways if way.state == DeliveryState.FAILED]
    if any(way.state == DeliveryState.PENDING for way in ways):
        return
    if failed or not ways:
        reason = f"the report was not delivered ({'; '.join(failed) or 'no peer takes results'})"
        end_study(connection, study_instance_uid, StudyState.FAILED, reason, at)
    else:
        end_study(connection, study_instance_uid, StudyState.REPORTED, "", at)


def end_study(connection: Connection, study_instance_uid: str, state: StudyState, reason: str, at: datetime) -> None:
    """Set a study's state, dated."""
    connection.execute(
        update(STUDIES)
        .where(STUDIES.c.study_instance_uid == study_instance_uid)
        .values(state=state, reason=reason, changed_at=stamp(at))
    )
    note(connection, at, state, study_instance_uid=study_instance_uid, detail=reason)


def report_delivery(states: Sequence[str]) -> DeliveryState:
    """One word for a structured report that goes to several peers."""
    if not states or DeliveryState.PENDING in states:
        return DeliveryState.PENDING
    if DeliveryState.FAILED in states:
        return DeliveryState.FAILED
    return DeliveryState.COMMITTED if set(states) == {DeliveryState.COMMITTED} else DeliveryState.SENT


def inserted(connection: Connection, table: Table, **values: object) -> int:
    """Insert one row; its key."""
    key = connection.execute(insert(table).values(**values)).inserted_primary_key
    if key is None:
        raise LookupError(f"table {table.name!r} gave no key")
    return int(key[0])


def note_files(connection: Connection, delivery_ids: Sequence[int], kind: str, reason: str, at: datetime) -> None:
    """Enter an event for each of these files into the history."""
    query = (
        select(REPORTS.c.study_instance_uid, REPORT_FILES.c.sop_instance_uid, DELIVERIES.c.peer)
        .join(REPORT_FILES, REPORT_FILES.c.report_id == REPORTS.c.id)
        .join(DELIVERIES, and_(DELIVERIES.c.file_id == REPORT_FILES.c.id, DELIVERIES.c.id.in_(delivery_ids)))
    )
    for study_instance_uid, sop_instance_uid, peer in connection.execute(query).all():
        note(
            connection,
            at,
            kind,
            study_instance_uid=study_instance_uid,
            sop_instance_uid=sop_instance_uid,
            detail=f"to {peer}{': ' if reason else ''}{reason}",
        )


def studies_of(connection: Connection, delivery_ids: Sequence[int]) -> set[str]:
    """The studies that these files belong to."""
    query = (
        select(REPORTS.c.study_instance_uid)
        .join(REPORT_FILES, REPORT_FILES.c.report_id == REPORTS.c.id)
        .join(DELIVERIES, DELIVERIES.c.file_id == REPORT_FILES.c.id)
        .where(DELIVERIES.c.id.in_(delivery_ids))
    )
    return set(connection.execute(query).scalars())
