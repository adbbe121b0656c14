"""Entering what arrived: instances, and what an arrival does to its study."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from cds.domain.records import Identity
from cds.ports import Notice
from cds.store.database import Database, stamp
from cds.store.notice_json import encode_notice
from cds.store.tables import EVENTS, INSTANCES, META, NOTICES, REPORT_FILES, REPORTS, STUDIES
from cds.store.values import Arrival, InstanceState, StudyState, Taken

_REOPENED_BY_AN_IMAGE: Final = frozenset({StudyState.READY, StudyState.REPORTED, StudyState.FAILED, StudyState.SKIPPED})
_IDENTITY: Final = ("patient_id", "issuer_of_patient_id", "birth_date", "sex")
_CHANGING: Final = ("state", "reason", "arrivals", "reopened", "last_received_at", "changed_at", *_IDENTITY)
_JOURNAL_KEY: Final = "journal/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is entered in one transaction; the blobs of its arrivals are durable.

    Attributes
    ----------
    journals
        How far each journal is filed by this batch, by its name.
    """

    arrivals: Sequence[tuple[Arrival, datetime]]
    notices: Sequence[tuple[Notice, datetime]] = ()
    journals: Mapping[str, str] = field(default_factory=dict)


class Arrivals:
    """The door of the ledger for instances."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, arrival: Arrival, at: datetime) -> Taken:
        """Enter one instance; see `enter`."""
        return self.enter(Batch(arrivals=[(arrival, at)]))[0]

    def enter(self, batch: Batch) -> tuple[Taken, ...]:
        """Enter what arrived, in order and as one; what became of each arrival.

        An identical re-send changes nothing. The same SOP Instance UID with other bytes is kept
        apart as a CONFLICT; the first one stays the one that is used.

        Raises
        ------
        OutOfResources
            When the database does not take it now; nothing was entered then.
        """
        with self._database.writing() as connection:
            page = _Page(connection, [arrival for arrival, _ in batch.arrivals])
            taken = tuple(page.enter(arrival, at) for arrival, at in batch.arrivals)
            page.write()
            _enter_notices(connection, batch.notices)
            _enter_journals(connection, batch.journals)
            return taken

    def known(self, arrivals: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Which of these (SOP Instance UID, sha256) have a row."""
        uids = sorted({uid for uid, _ in arrivals})
        columns = select(INSTANCES.c.sop_instance_uid, INSTANCES.c.sha256)
        with self._database.reading() as connection:
            rows = connection.execute(columns.where(INSTANCES.c.sop_instance_uid.in_(uids))).all()
        return frozenset((uid, digest) for uid, digest in rows)

    def filed(self, journal: str) -> str:
        """How far a journal is filed, as the last batch said; ``""`` where none did."""
        query = select(META.c.value).where(META.c.key == _JOURNAL_KEY + journal)
        with self._database.reading() as connection:
            return str(connection.execute(query).scalar_one_or_none() or "")

    def blobs(self) -> frozenset[str]:
        """The name of every blob that has a row."""
        with self._database.reading() as connection:
            return frozenset(connection.execute(select(INSTANCES.c.blob)).scalars())

    def any(self) -> bool:
        """Whether anything has ever arrived."""
        with self._database.reading() as connection:
            return connection.execute(select(INSTANCES.c.id).limit(1)).first() is not None


class _Page:
    """The rows that a batch is about: read at once, changed here, and written at once."""

    def __init__(self, connection: Connection, arrivals: Sequence[Arrival]) -> None:
        self._connection = connection
        uids = sorted({arrival.sop_instance_uid for arrival in arrivals})
        self._digests: dict[str, set[str]] = defaultdict(set)
        digests = select(INSTANCES.c.sop_instance_uid, INSTANCES.c.sha256)
        for uid, digest in connection.execute(digests.where(INSTANCES.c.sop_instance_uid.in_(uids))):
            self._digests[uid].add(digest)
        made_here = select(REPORT_FILES.c.sop_instance_uid).where(REPORT_FILES.c.sop_instance_uid.in_(uids))
        self._made_here = frozenset(connection.execute(made_here).scalars())
        studies = select(STUDIES).where(
            STUDIES.c.study_instance_uid.in_(sorted({arrival.study_instance_uid for arrival in arrivals}))
        )
        rows = connection.execute(studies.with_for_update()).mappings()
        self._studies: dict[str, dict[str, Any]] = {row["study_instance_uid"]: dict(row) for row in rows}
        self._opened: list[dict[str, Any]] = []
        self._changed: dict[str, dict[str, Any]] = {}
        self._instances: list[dict[str, object]] = []
        self._events: list[dict[str, object]] = []

    def enter(self, arrival: Arrival, at: datetime) -> Taken:
        digests = self._digests[arrival.sop_instance_uid]
        if arrival.sha256 in digests:
            return Taken.REPEAT
        ours = arrival.own or arrival.sop_instance_uid in self._made_here
        taken = Taken.CONFLICT if digests else Taken.OWN if ours else Taken.NEW
        digests.add(arrival.sha256)
        self._enter_study(arrival, taken, at)
        self._enter_instance(arrival, taken, at)
        return taken

    def write(self) -> None:
        if self._opened:
            self._connection.execute(insert(STUDIES), self._opened)
        if self._changed:
            key = STUDIES.c.study_instance_uid == bindparam("key")
            changes = update(STUDIES).where(key).values({name: bindparam(f"new_{name}") for name in _CHANGING})
            rows = [
                {"key": uid, **{f"new_{name}": study[name] for name in _CHANGING}}
                for uid, study in self._changed.items()
            ]
            self._connection.execute(changes, rows)
        for table, new in ((INSTANCES, self._instances), (EVENTS, self._events)):
            if new:
                self._connection.execute(insert(table), new)

    def _enter_instance(self, arrival: Arrival, taken: Taken, at: datetime) -> None:
        state = InstanceState.CONFLICT if taken is Taken.CONFLICT else InstanceState.STORED
        row = {
            "sop_instance_uid": arrival.sop_instance_uid,
            "sha256": arrival.sha256,
            "study_instance_uid": arrival.study_instance_uid,
            "series_instance_uid": arrival.series_instance_uid,
            "sop_class_uid": arrival.sop_class_uid,
            "transfer_syntax_uid": arrival.transfer_syntax_uid,
            "state": state,
            "image": arrival.image,
            "own": taken is Taken.OWN,
            "blob": arrival.blob,
            "size": arrival.size,
            "calling_ae_title": arrival.calling_ae_title,
            "address": arrival.address,
            "received_at": stamp(at),
        }
        self._instances.append(row)
        detail = "our own result came back" if taken is Taken.OWN else ""
        self._note(at, f"instance {state}", arrival, arrival.sop_instance_uid, detail)

    def _enter_study(self, arrival: Arrival, taken: Taken, at: datetime) -> None:
        study = self._studies.get(arrival.study_instance_uid)
        if study is None:
            self._open_study(arrival, at)
        elif taken is Taken.NEW:
            self._change_study(arrival, study, at)

    def _open_study(self, arrival: Arrival, at: datetime) -> None:
        study = {
            "study_instance_uid": arrival.study_instance_uid,
            "state": StudyState.RECEIVING,
            "reason": "",
            "generation": 0,
            "arrivals": 1,
            "reopened": False,
            "first_received_at": stamp(at),
            "last_received_at": stamp(at),
            "changed_at": stamp(at),
            **_identity_columns(arrival.identity),
        }
        self._studies[arrival.study_instance_uid] = study
        self._opened.append(study)
        self._note(at, StudyState.RECEIVING, arrival)

    def _change_study(self, arrival: Arrival, study: dict[str, Any], at: datetime) -> None:
        state = StudyState(study["state"])
        changes: dict[str, object] = {"last_received_at": stamp(at), **_filled_in(arrival.identity, study)}
        difference = _difference(arrival.identity, study)
        if difference and state is not StudyState.DISCARDED:
            changes |= {"state": StudyState.IDENTITY_CONFLICT, "reason": difference}
        elif state is StudyState.RECEIVING:
            changes["arrivals"] = study["arrivals"] + 1
        elif arrival.image:
            changes |= self._after_a_late_image(study)
        if changes.get("state", state) != state:
            changes["changed_at"] = stamp(at)
            self._note(at, str(changes["state"]), arrival, detail=difference or "a late image arrived")
        study |= changes
        if not any(study is new for new in self._opened):
            self._changed[arrival.study_instance_uid] = study

    def _after_a_late_image(self, study: Mapping[str, Any]) -> dict[str, object]:
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
            return reopen if self._connection.execute(select(reported)).scalar() else {"reopened": True}
        return {}

    def _note(self, at: datetime, kind: str, arrival: Arrival, sop_instance_uid: str = "", detail: str = "") -> None:
        event: dict[str, object] = {
            "at": stamp(at),
            "kind": kind,
            "study_instance_uid": arrival.study_instance_uid,
            "sop_instance_uid": sop_instance_uid,
            "detail": detail,
        }
        self._events.append(event)


def _enter_notices(connection: Connection, notices: Sequence[tuple[Notice, datetime]]) -> None:
    if rows := [(*encode_notice(notice), stamp(at)) for notice, at in notices]:
        connection.execute(insert(NOTICES), [{"kind": kind, "content": text, "at": at} for kind, text, at in rows])


def _enter_journals(connection: Connection, journals: Mapping[str, str]) -> None:
    """Say how far each journal is filed, in the transaction that files it: nothing is filed twice."""
    if rows := [{"key": _JOURNAL_KEY + name, "value": value} for name, value in journals.items()]:
        connection.execute(delete(META).where(META.c.key.in_([row["key"] for row in rows])))
        connection.execute(insert(META), rows)


def _identity_columns(identity: Identity) -> dict[str, str]:
    birth_date = identity.birth_date.isoformat() if identity.birth_date else ""
    values = (identity.patient_id, identity.issuer_of_patient_id, birth_date, identity.sex)
    return dict(zip(_IDENTITY, values, strict=True))


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
