"""Entering what arrived: instances, and what an arrival does to its study."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, exists, insert, select, update

from cds.domain.records import Identity
from cds.store.database import Database, note, stamp
from cds.store.tables import INSTANCES, REPORT_FILES, REPORTS, STUDIES
from cds.store.values import Arrival, InstanceState, StudyState, Taken

_REOPENED_BY_AN_IMAGE: Final = frozenset({StudyState.READY, StudyState.REPORTED, StudyState.FAILED, StudyState.SKIPPED})


class Arrivals:
    """The door of the ledger for instances."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, arrival: Arrival, at: datetime) -> Taken:
        """Enter an instance whose blob is durable.

        An identical re-send changes nothing. The same SOP Instance UID with other bytes is kept
        apart as a CONFLICT; the first one stays the one that is used.

        Raises
        ------
        OutOfResources
            When the database does not take it now; nothing was entered then.
        """
        with self._database.writing() as connection:
            known = connection.execute(
                select(INSTANCES.c.sha256).where(INSTANCES.c.sop_instance_uid == arrival.sop_instance_uid)
            ).scalars()
            digests = set(known)
            if arrival.sha256 in digests:
                return Taken.REPEAT
            taken = Taken.CONFLICT if digests else Taken.OWN if _is_ours(connection, arrival) else Taken.NEW
            _enter_study(connection, arrival, taken, at)
            _enter_instance(connection, arrival, taken, at)
            return taken

    def blobs(self) -> frozenset[str]:
        """The name of every blob that has a row."""
        with self._database.reading() as connection:
            return frozenset(connection.execute(select(INSTANCES.c.blob)).scalars())


def _is_ours(connection: Connection, arrival: Arrival) -> bool:
    made_here = exists().where(REPORT_FILES.c.sop_instance_uid == arrival.sop_instance_uid)
    return arrival.own or bool(connection.execute(select(made_here)).scalar())


def _enter_instance(connection: Connection, arrival: Arrival, taken: Taken, at: datetime) -> None:
    state = InstanceState.CONFLICT if taken is Taken.CONFLICT else InstanceState.STORED
    connection.execute(
        insert(INSTANCES).values(
            sop_instance_uid=arrival.sop_instance_uid,
            sha256=arrival.sha256,
            study_instance_uid=arrival.study_instance_uid,
            series_instance_uid=arrival.series_instance_uid,
            sop_class_uid=arrival.sop_class_uid,
            transfer_syntax_uid=arrival.transfer_syntax_uid,
            state=state,
            image=arrival.image,
            own=taken is Taken.OWN,
            blob=arrival.blob,
            size=arrival.size,
            calling_ae_title=arrival.calling_ae_title,
            address=arrival.address,
            received_at=stamp(at),
        )
    )
    note(
        connection,
        at,
        f"instance {state}",
        study_instance_uid=arrival.study_instance_uid,
        sop_instance_uid=arrival.sop_instance_uid,
        detail="our own result came back" if taken is Taken.OWN else "",
    )


def _enter_study(connection: Connection, arrival: Arrival, taken: Taken, at: datetime) -> None:
    query = select(STUDIES).where(STUDIES.c.study_instance_uid == arrival.study_instance_uid)
    study = connection.execute(query).mappings().one_or_none()
    if study is None:
        _open_study(connection, arrival, at)
    elif taken is Taken.NEW:
        _change_study(connection, arrival, dict(study), at)


def _open_study(connection: Connection, arrival: Arrival, at: datetime) -> None:
    connection.execute(
        insert(STUDIES).values(
            study_instance_uid=arrival.study_instance_uid,
            state=StudyState.RECEIVING,
            arrivals=1,
            first_received_at=stamp(at),
            last_received_at=stamp(at),
            changed_at=stamp(at),
            **_identity_columns(arrival.identity),
        )
    )
    note(connection, at, StudyState.RECEIVING, study_instance_uid=arrival.study_instance_uid)


def _change_study(connection: Connection, arrival: Arrival, study: Mapping[str, Any], at: datetime) -> None:
    state = StudyState(study["state"])
    changes: dict[str, object] = {"last_received_at": stamp(at), **_filled_in(arrival.identity, study)}
    difference = _difference(arrival.identity, study)
    if difference and state is not StudyState.DISCARDED:
        changes |= {"state": StudyState.IDENTITY_CONFLICT, "reason": difference}
    elif state is StudyState.RECEIVING:
        changes["arrivals"] = study["arrivals"] + 1
    elif arrival.image:
        changes |= _after_a_late_image(connection, study)
    if changes.get("state", state) != state:
        changes["changed_at"] = stamp(at)
        detail = difference or "a late image arrived"
        note(connection, at, str(changes["state"]), study_instance_uid=str(study["study_instance_uid"]), detail=detail)
    connection.execute(
        update(STUDIES).where(STUDIES.c.study_instance_uid == study["study_instance_uid"]).values(**changes)
    )


def _after_a_late_image(connection: Connection, study: Mapping[str, Any]) -> dict[str, object]:
    """What a late image does: the study is open again; a running analysis ends first."""
    state = StudyState(study["state"])
    reopen = {"state": StudyState.RECEIVING, "reason": "", "arrivals": study["arrivals"] + 1}
    if state in _REOPENED_BY_AN_IMAGE:
        return reopen
    if state is StudyState.RUNNING:
        reported = exists().where(
            REPORTS.c.study_instance_uid == study["study_instance_uid"],
            REPORTS.c.generation == study["generation"],
        )
        return reopen if connection.execute(select(reported)).scalar() else {"reopened": True}
    return {}


def _identity_columns(identity: Identity) -> dict[str, str]:
    return {
        "patient_id": identity.patient_id,
        "issuer_of_patient_id": identity.issuer_of_patient_id,
        "birth_date": identity.birth_date.isoformat() if identity.birth_date else "",
        "sex": identity.sex,
    }


def _filled_in(identity: Identity, study: Mapping[str, Any]) -> dict[str, str]:
    """What the study did not know of its patient, and this instance does."""
    return {name: value for name, value in _identity_columns(identity).items() if value and not study[name]}


def _difference(identity: Identity, study: Mapping[str, Any]) -> str:
    """In which attribute the instance names another patient; ``""`` where it does not."""
    differing = [
        name.replace("_", " ")
        for name, value in _identity_columns(identity).items()
        if value and study[name] and value != study[name]
    ]
    return f"instances of one study differ in {' and '.join(differing)}" if differing else ""
