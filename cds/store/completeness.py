"""What tells whether a study has come whole: who sent it, what is here, and what a peer announced."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import insert, select, union

from cds.store.database import Database, note, stamp
from cds.store.tables import ANNOUNCED, DELIVERIES, INSTANCES, REPORT_FILES, REPORTS
from cds.store.values import DeliveryState, InstanceState

_AT_PEER = (DeliveryState.SENT, DeliveryState.COMMITTED)


class Completeness:
    """The door of the ledger for the assembly's questions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def senders(self, study_instance_uid: str) -> frozenset[str]:
        """The calling AE titles that instances of a study came from."""
        query = select(INSTANCES.c.calling_ae_title).where(INSTANCES.c.study_instance_uid == study_instance_uid)
        with self._database.reading() as connection:
            return frozenset(title.strip() for title in connection.execute(query.distinct()).scalars())

    def held(self, study_instance_uid: str, peer: str = "") -> int:
        """How many instances of a study are here, or are our own results that `peer` accepted.

        That is what a peer counts that has sent all it has: our results are part of its study.
        """
        here = select(INSTANCES.c.sop_instance_uid).where(
            INSTANCES.c.study_instance_uid == study_instance_uid, INSTANCES.c.state == InstanceState.STORED
        )
        given = (
            select(REPORT_FILES.c.sop_instance_uid)
            .join(REPORTS, REPORTS.c.id == REPORT_FILES.c.report_id)
            .join(DELIVERIES, DELIVERIES.c.file_id == REPORT_FILES.c.id)
            .where(REPORTS.c.study_instance_uid == study_instance_uid)
            .where(DELIVERIES.c.peer == peer, DELIVERIES.c.state.in_(_AT_PEER))
        )
        with self._database.reading() as connection:
            return len(set(connection.execute(union(here, given)).scalars()))

    def announce(self, study_instance_uid: str, sop_instance_uids: Iterable[str], by: str, at: datetime) -> None:
        """Enter which instances a peer says there are; durable when it returns.

        Raises
        ------
        OutOfResources
            When the database does not take it now.
        """
        wanted = set(sop_instance_uids)
        with self._database.writing() as connection:
            known = set(
                connection.execute(
                    select(ANNOUNCED.c.sop_instance_uid).where(ANNOUNCED.c.study_instance_uid == study_instance_uid)
                ).scalars()
            )
            if new := sorted(wanted - known):
                connection.execute(
                    insert(ANNOUNCED),
                    [
                        {"study_instance_uid": study_instance_uid, "sop_instance_uid": uid, "announced_at": stamp(at)}
                        for uid in new
                    ],
                )
                detail = f"{len(new)} instances announced by {by}"
                note(connection, at, "announced", study_instance_uid=study_instance_uid, detail=detail)

    def announced(self, study_instance_uid: str) -> tuple[int, int]:
        """How many instances were announced, and how many of them are here."""
        told = select(ANNOUNCED.c.sop_instance_uid).where(ANNOUNCED.c.study_instance_uid == study_instance_uid)
        here = select(INSTANCES.c.sop_instance_uid).where(
            INSTANCES.c.study_instance_uid == study_instance_uid, INSTANCES.c.state == InstanceState.STORED
        )
        with self._database.reading() as connection:
            uids = set(connection.execute(told).scalars())
            return len(uids), len(uids & set(connection.execute(here).scalars())) if uids else 0

    def announced_studies(self) -> frozenset[str]:
        """Every study of which something was announced."""
        with self._database.reading() as connection:
            return frozenset(connection.execute(select(ANNOUNCED.c.study_instance_uid).distinct()).scalars())
