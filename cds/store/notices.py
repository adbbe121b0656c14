"""What peers told us beside their instances, until somebody has acted on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from cds.ports import Notice
from cds.store.database import Database
from cds.store.notice_json import decode_notice
from cds.store.tables import NOTICES


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingNotice:
    """A notice that waits to be acted on; `at` is when it came."""

    id: int
    notice: Notice
    at: datetime


class Notices:
    """The door of the ledger for what peers told us."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self, kind: type[Notice], limit: int = 100) -> tuple[WaitingNotice, ...]:
        """The notices of one kind, e.g. `CommitmentRequested`, in the order in which they came."""
        query = select(NOTICES).where(NOTICES.c.kind == kind.__name__).order_by(NOTICES.c.id).limit(limit)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(
            WaitingNotice(id=row.id, notice=decode_notice(row.kind, row.content), at=datetime.fromisoformat(row.at))
            for row in rows
        )

    def done(self, notice_id: int) -> None:
        """Forget a notice that has been acted on."""
        with self._database.writing() as connection:
            connection.execute(delete(NOTICES).where(NOTICES.c.id == notice_id))
