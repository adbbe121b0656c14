"""Storage commitment in the ledger (PS3.4 Annex J): what peers keep of ours, and what we keep of theirs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from cds.ports import Reference
from cds.store.database import Database, note, stamp
from cds.store.deliveries import note_files, settle, studies_of
from cds.store.tables import ANSWERS, COMMITMENTS, DELIVERIES, INSTANCES, REPORT_FILES
from cds.store.values import DeliveryState, InstanceState

NO_SUCH_INSTANCE: Final = 0x0112
CLASS_CONFLICT: Final = 0x0119
"""Failure Reasons (PS3.3 C.14.1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Files that a peer has accepted and is to be asked to commit to.

    `asks` counts the requests so far; `first_at` is when the first of them was to be delivered.
    """

    peer: str
    delivery_ids: tuple[int, ...]
    references: tuple[Reference, ...]
    asks: int
    first_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What we still owe a peer: for each instance whether we keep it."""

    id: int
    peer: str
    transaction_uid: str
    references: tuple[Reference, ...]
    attempt: int
    first_at: datetime


class Commitments:
    """The door of the ledger for storage commitment."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def anything_due(self, at: datetime, peer: str) -> bool:
        """Whether something is to be asked or answered now; quick, however much there is."""
        asks = select(DELIVERIES.c.id).where(_to_ask(at, peer)).limit(1)
        answers = select(ANSWERS.c.id).where(_to_answer(at, peer)).limit(1)
        with self._database.reading() as connection:
            return any(connection.execute(query).first() is not None for query in (asks, answers))

    def asks(self, at: datetime, peer: str, limit: int = 200) -> tuple[Ask, ...]:
        """What a peer is to be asked now: one request for all that has been asked equally often."""
        query = (
            select(
                DELIVERIES.c.id,
                DELIVERIES.c.commit_asks,
                DELIVERIES.c.first_at,
                REPORT_FILES.c.sop_class_uid,
                REPORT_FILES.c.sop_instance_uid,
            )
            .join(REPORT_FILES, REPORT_FILES.c.id == DELIVERIES.c.file_id)
            .where(_to_ask(at, peer))
            .order_by(DELIVERIES.c.commit_at)
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(
            _ask(peer, asks, [row for row in rows if row.commit_asks == asks])
            for asks in sorted({row.commit_asks for row in rows})
        )

    def asked(self, ask: Ask, transaction_uid: str, again_at: datetime, at: datetime) -> None:
        """A request is about to go out; without an answer it is asked again at `again_at`."""
        with self._database.writing() as connection:
            connection.execute(_of(ask).values(commit_at=stamp(again_at), commit_asks=ask.asks + 1))
            connection.execute(
                insert(COMMITMENTS),
                [
                    {"transaction_uid": transaction_uid, "delivery_id": number, "asked_at": stamp(at)}
                    for number in ask.delivery_ids
                ],
            )
            note_files(connection, ask.delivery_ids, "commitment asked", transaction_uid, at)

    def postponed(self, ask: Ask, reason: str, again_at: datetime, at: datetime) -> None:
        """The peer could not be asked now; this does not count as a request."""
        with self._database.writing() as connection:
            connection.execute(_of(ask).values(commit_at=stamp(again_at), commit_asks=ask.asks, reason=reason))
            note_files(connection, ask.delivery_ids, "commitment postponed", reason, at)

    def given_up(self, ask: Ask, reason: str, at: datetime) -> None:
        """The peer is not asked any more: its files stay SENT, with the reason."""
        with self._database.writing() as connection:
            connection.execute(_of(ask).values(commit_at="", reason=reason))
            note_files(connection, ask.delivery_ids, "commitment given up", reason, at)

    def reported(
        self, transaction_uid: str, references: Sequence[Reference], at: datetime, *, most_refusals: int
    ) -> bool:
        """Enter what a peer says that it keeps; False where we never asked that.

        What it does not keep is sent again, at most `most_refusals` times; then it stays SENT, with the reason.
        """
        failures = {one.sop_instance_uid: one.failure for one in references}
        query = (
            select(DELIVERIES.c.id, DELIVERIES.c.state, DELIVERIES.c.commit_refusals, REPORT_FILES.c.sop_instance_uid)
            .join(COMMITMENTS, COMMITMENTS.c.delivery_id == DELIVERIES.c.id)
            .join(REPORT_FILES, REPORT_FILES.c.id == DELIVERIES.c.file_id)
            .where(COMMITMENTS.c.transaction_uid == transaction_uid)
        )
        with self._database.writing() as connection:
            rows = connection.execute(query).all()
            for row in rows:
                failure = failures.get(row.sop_instance_uid)
                if row.state == DeliveryState.SENT and failure is not None:
                    _take(connection, row, failure, row.commit_refusals < most_refusals, at)
            for study in studies_of(connection, [row.id for row in rows]):
                settle(connection, study, at)
        return bool(rows)

    def requested(self, peer: str, transaction_uid: str, references: Sequence[Reference], at: datetime) -> None:
        """A peer wants to know what we keep; the same request again changes nothing."""
        known = select(ANSWERS.c.id).where(ANSWERS.c.peer == peer, ANSWERS.c.transaction_uid == transaction_uid)
        with self._database.writing() as connection:
            if connection.execute(known).first() is None:
                items = [[one.sop_class_uid, one.sop_instance_uid] for one in references]
                connection.execute(
                    insert(ANSWERS).values(
                        peer=peer,
                        transaction_uid=transaction_uid,
                        instances=json.dumps(items),
                        state=DeliveryState.PENDING,
                        first_at=stamp(at),
                        next_at=stamp(at),
                    )
                )

    def answers(self, at: datetime, peer: str, limit: int = 64) -> tuple[Answer, ...]:
        """What we owe a peer now, with what is true now of each instance."""
        query = select(ANSWERS).where(_to_answer(at, peer)).order_by(ANSWERS.c.next_at).limit(limit)
        with self._database.reading() as connection:
            return tuple(_answer(connection, row) for row in connection.execute(query).all())

    def answered(self, answer: Answer, state: DeliveryState, reason: str, at: datetime) -> None:
        """The peer has our answer, or will never take it."""
        self._settle(answer, at, state=state, reason=reason)

    def answer_postponed(self, answer: Answer, reason: str, next_at: datetime, at: datetime) -> None:
        """The peer could not be told now."""
        self._settle(answer, at, reason=reason, next_at=stamp(next_at))

    def _settle(self, answer: Answer, at: datetime, **columns: object) -> None:
        with self._database.writing() as connection:
            connection.execute(
                update(ANSWERS).where(ANSWERS.c.id == answer.id).values(attempts=answer.attempt + 1, **columns)
            )
            said = str(columns.get("state", "postponed"))
            detail = f"to {answer.peer}, {answer.transaction_uid}: {columns['reason']}".removesuffix(": ")
            note(connection, at, f"commitment answer {said}", detail=detail)


def _to_ask(at: datetime, peer: str) -> ColumnElement[bool]:
    return and_(
        DELIVERIES.c.peer == peer,
        DELIVERIES.c.commit_at > "",
        DELIVERIES.c.commit_at <= stamp(at),
        DELIVERIES.c.state == DeliveryState.SENT,
    )


def _to_answer(at: datetime, peer: str) -> ColumnElement[bool]:
    return and_(ANSWERS.c.peer == peer, ANSWERS.c.state == DeliveryState.PENDING, ANSWERS.c.next_at <= stamp(at))


def _of(ask: Ask) -> Any:
    return update(DELIVERIES).where(DELIVERIES.c.id.in_(ask.delivery_ids), DELIVERIES.c.state == DeliveryState.SENT)


def _ask(peer: str, asks: int, rows: Sequence[Any]) -> Ask:
    return Ask(
        peer=peer,
        delivery_ids=tuple(row.id for row in rows),
        references=tuple(
            Reference(sop_class_uid=row.sop_class_uid, sop_instance_uid=row.sop_instance_uid) for row in rows
        ),
        asks=asks,
        first_at=datetime.fromisoformat(min(row.first_at for row in rows)),
    )


def _take(connection: Connection, row: Any, failure: int, may_send_again: bool, at: datetime) -> None:
    """What a peer says of one file."""
    reason = f"the peer does not commit to it (0x{failure:04X})" if failure else ""
    columns: dict[str, object] = {"commit_at": "", "reason": reason}
    if not failure:
        columns["state"] = DeliveryState.COMMITTED
    elif may_send_again:
        columns |= {
            "state": DeliveryState.PENDING,
            "commit_refusals": row.commit_refusals + 1,
            "first_at": stamp(at),
            "next_at": stamp(at),
        }
    connection.execute(update(DELIVERIES).where(DELIVERIES.c.id == row.id).values(**columns))
    said = "delivery COMMITTED" if not failure else "commitment refused"
    note_files(connection, [row.id], said, reason, at)


def _answer(connection: Connection, row: Any) -> Answer:
    items: list[list[str]] = json.loads(row.instances)
    return Answer(
        id=row.id,
        peer=row.peer,
        transaction_uid=row.transaction_uid,
        references=_looked_up(connection, items),
        attempt=row.attempts,
        first_at=datetime.fromisoformat(row.first_at),
    )


def _looked_up(connection: Connection, items: Sequence[Sequence[str]]) -> tuple[Reference, ...]:
    """Whether each instance is a durable blob of ours, or one of our results (PS3.3 C.14.1.1)."""
    uids = [uid for _, uid in items]
    stored = select(INSTANCES.c.sop_instance_uid, INSTANCES.c.sop_class_uid).where(
        INSTANCES.c.sop_instance_uid.in_(uids), INSTANCES.c.state == InstanceState.STORED
    )
    classes = {row.sop_instance_uid: row.sop_class_uid for row in connection.execute(stored)}
    return tuple(
        Reference(sop_class_uid=sop_class, sop_instance_uid=uid, failure=_failure(classes.get(uid), sop_class))
        for sop_class, uid in items
    )


def _failure(kept: str | None, announced: str) -> int:
    if kept is None:
        return NO_SUCH_INSTANCE
    return 0 if kept == announced else CLASS_CONFLICT
