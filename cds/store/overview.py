"""The ledger at a glance: what monitoring and the doctor ask for, counted by the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select

from cds.store.database import Database
from cds.store.tables import DELIVERIES, EVENTS, INSTANCES, STUDIES


class Overview:
    """The door of the ledger for those who only count."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def studies(self) -> Mapping[str, int]:
        """How many studies are in each state."""
        return self._counted(STUDIES.c.state)

    def instances(self) -> Mapping[str, int]:
        """How many instances are in each state."""
        return self._counted(INSTANCES.c.state)

    def deliveries(self) -> Mapping[str, int]:
        """How many objects are at each point of their way to a peer."""
        return self._counted(DELIVERIES.c.state)

    def received_bytes(self) -> int:
        """Size of all data sets that were kept."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.coalesce(func.sum(INSTANCES.c.size), 0))).scalar_one())

    def last_heard(self) -> Mapping[str, datetime]:
        """When the last instance came, by calling AE title."""
        query = select(INSTANCES.c.calling_ae_title, func.max(INSTANCES.c.received_at)).group_by(
            INSTANCES.c.calling_ae_title
        )
        with self._database.reading() as connection:
            return {title: datetime.fromisoformat(at) for title, at in connection.execute(query)}

    def last_event_at(self) -> datetime | None:
        """When the ledger's last entry was made; None where there is none."""
        with self._database.reading() as connection:
            last = connection.execute(select(func.max(EVENTS.c.at))).scalar_one_or_none()
        return datetime.fromisoformat(last) if last else None

    def _counted(self, column: object) -> Mapping[str, int]:
        with self._database.reading() as connection:
            rows = connection.execute(select(column, func.count()).group_by(column))  # type: ignore[call-overload]
            return {str(state): int(count) for state, count in rows}
