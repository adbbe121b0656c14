"""What peers told us beside their instances, until somebody has acted on it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import delete, select

from cds.ports import CommitmentReported, CommitmentRequested, Notice, Reference, StudyAnnounced
from cds.store.database import Database
from cds.store.tables import NOTICES

_KINDS: Final = MappingProxyType(
    {kind.__name__: kind for kind in (CommitmentRequested, CommitmentReported, StudyAnnounced)}
)


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


def encode_notice(notice: Notice) -> tuple[str, str]:
    """The kind of a notice, and its content as JSON."""
    return type(notice).__name__, json.dumps(asdict(notice))


def decode_notice(kind: str, content: str) -> Notice:
    """What `encode_notice` encoded."""
    values: dict[str, Any] = json.loads(content)
    references = tuple(Reference(**reference) for reference in values.pop("references"))
    return _KINDS[kind](references=references, **values)
