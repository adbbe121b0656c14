"""The ledger as JSON: what `cds state` prints."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, select, true

from cds.store.deliveries import report_delivery
from cds.store.tables import DELIVERIES, INSTANCES, REPORT_FILES, REPORTS, STUDIES
from cds.store.values import InstanceState

State = dict[str, Any]
"""JSON, as the documentation of `cds state --json` describes it."""

_WAY: Final = (DELIVERIES.c.peer, DELIVERIES.c.state, DELIVERIES.c.reason, DELIVERIES.c.attempts)
_TOLD: Final = ("peer", "file", "state", "reason", "attempts")


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
                "changed_at": row.changed_at,
                "reports": reports[row.study_instance_uid],
            }
            for row in studies
        ],
    }


def _reports(connection: Connection, study_instance_uid: str | None) -> dict[str, list[State]]:
    """Every revision of every study; `delivery` is the structured report's, `deliveries` are every file's."""
    query = (
        select(REPORTS, REPORT_FILES.c.position, REPORT_FILES.c.name.label("file"), *_WAY)
        .join(REPORT_FILES, REPORT_FILES.c.report_id == REPORTS.c.id)
        .outerjoin(DELIVERIES, DELIVERIES.c.file_id == REPORT_FILES.c.id)
        .where(_of(REPORTS, study_instance_uid))
        .order_by(REPORTS.c.revision, DELIVERIES.c.peer, REPORT_FILES.c.position)
    )
    revisions: dict[int, list[Any]] = defaultdict(list)
    for row in connection.execute(query):
        revisions[row.id].append(row)
    reports: dict[str, list[State]] = defaultdict(list)
    for rows in revisions.values():
        ways = [row for row in rows if row.peer is not None]
        reports[rows[0].study_instance_uid].append(
            {
                "sop_instance_uid": rows[0].sop_instance_uid,
                "revision": rows[0].revision,
                "delivery": report_delivery([row.state for row in ways if row.position == 0]),
                "superseded": rows[0].superseded,
                "deliveries": [{key: getattr(row, key) for key in _TOLD} for row in ways],
            }
        )
    return reports


def _of(table: Table, study_instance_uid: str | None) -> ColumnElement[bool]:
    return true() if study_instance_uid is None else table.c.study_instance_uid == study_instance_uid
