"""The ledger as JSON: what `cds state` prints."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, select, true

from cds.store.deliveries import report_delivery
from cds.store.tables import DELIVERIES, INSTANCES, REPORT_FILES, REPORTS, STUDIES
from cds.store.values import InstanceState

State = dict[str, Any]
"""JSON, as the documentation of `cds state --json` describes it."""


def read_state(connection: Connection, study_instance_uid: str | None) -> State:
    """Instances and studies, oldest first: of one study, or all there are."""
    instances = connection.execute(
        select(INSTANCES).where(_of(INSTANCES, study_instance_uid)).order_by(INSTANCES.c.id)
    ).all()
    counted = Counter(row.study_instance_uid for row in instances if row.state == InstanceState.STORED and not row.own)
    reports = _reports(connection, study_instance_uid)
    studies = connection.execute(
        select(STUDIES)
        .where(_of(STUDIES, study_instance_uid))
        .order_by(STUDIES.c.first_received_at, STUDIES.c.study_instance_uid)
    ).all()
    return {
        "instances": [
            {"sop_instance_uid": row.sop_instance_uid, "sha256": row.sha256, "state": row.state} for row in instances
        ],
        "studies": [
            {
                "study_instance_uid": row.study_instance_uid,
                "state": row.state,
                "reason": row.reason,
                "completed_by": row.completed_by,
                "expected": row.expected or None,
                "instances": counted[row.study_instance_uid],
                "attempts": row.attempts,
                "inputs_hash": row.inputs_hash,
                "reports": reports[row.study_instance_uid],
            }
            for row in studies
        ],
    }


def _reports(connection: Connection, study_instance_uid: str | None) -> dict[str, list[State]]:
    structured = and_(REPORT_FILES.c.report_id == REPORTS.c.id, REPORT_FILES.c.position == 0)
    query = (
        select(REPORTS, DELIVERIES.c.state)
        .join(REPORT_FILES, structured)
        .outerjoin(DELIVERIES, DELIVERIES.c.file_id == REPORT_FILES.c.id)
        .where(_of(REPORTS, study_instance_uid))
        .order_by(REPORTS.c.revision)
    )
    rows: dict[int, Any] = {}
    ways: dict[int, list[str]] = defaultdict(list)
    for row in connection.execute(query):
        rows[row.id] = row
        ways[row.id] += [row.state] if row.state is not None else []
    reports: dict[str, list[State]] = defaultdict(list)
    for row in rows.values():
        reports[row.study_instance_uid].append(
            {
                "sop_instance_uid": row.sop_instance_uid,
                "revision": row.revision,
                "delivery": report_delivery(ways[row.id]),
                "superseded": row.superseded,
            }
        )
    return reports


def _of(table: Table, study_instance_uid: str | None) -> ColumnElement[bool]:
    return true() if study_instance_uid is None else table.c.study_instance_uid == study_instance_uid
