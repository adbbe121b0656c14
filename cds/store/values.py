"""What the store speaks of: states, and the rows as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from cds.domain.records import Identity
from cds.domain.study import Study


class InstanceState(StrEnum):
    """What became of one received data set."""

    STORED = "STORED"
    QUARANTINED = "QUARANTINED"
    CONFLICT = "CONFLICT"


class StudyState(StrEnum):
    """The one state that a study is in."""

    RECEIVING = "RECEIVING"
    READY = "READY"
    RUNNING = "RUNNING"
    REPORTED = "REPORTED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    QUARANTINED = "QUARANTINED"
    IDENTITY_CONFLICT = "IDENTITY_CONFLICT"
    DISCARDED = "DISCARDED"


class DeliveryState(StrEnum):
    """How far one object has come on its way to one peer."""

    PENDING = "PENDING"
    SENT = "SENT"
    COMMITTED = "COMMITTED"
    FAILED = "FAILED"


class Taken(StrEnum):
    """What the ledger made of an arrival."""

    NEW = "NEW"
    REPEAT = "REPEAT"
    CONFLICT = "CONFLICT"
    OWN = "OWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A data set whose blob is durable already, ready to be entered.

    Attributes
    ----------
    blob
        Name inside the `BlobStore`.
    sha256, size
        Of the data set as received, without the file meta; `size` in bytes.
    image
        Whether the object has pixels that a model could read; others make no job by themselves.
    own
        Whether it is a result of this software that a peer sent back.
    """

    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    identity: Identity = field(repr=False)
    blob: str
    sha256: str
    size: int
    image: bool
    own: bool
    calling_ae_title: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiving:
    """A study that is still arriving; `arrivals` counts what has come, and changes with each.

    `reason` is what the ledger says of it, such as what it waits for.
    """

    study_instance_uid: str
    arrivals: int
    last_received_at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One analysis of one study; every new set of inputs or retry is a new generation."""

    study_instance_uid: str
    generation: int

    @property
    def id(self) -> str:
        """The same for the same job, after any restart."""
        return f"analyse/{self.study_instance_uid}/{self.generation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInstance:
    """One instance as an analysis finds it: a DICOM file (PS3.10)."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt at a job that was counted before it began.

    `predecessor` is the SOP Instance UID of the report that the new one supersedes, or ``""``;
    `held` of `expected` instances were here when the study was complete (0: nobody said how many).
    `priors` are earlier studies of the patient, newest first; `not_compared` is why there are none, or not more.
    `before` is the report that the new one supersedes, as JSON, where it was kept. Where only records that came
    late could make another report, `known_inputs` is the inputs hash of that one, else ``""``.
    """

    job: Job
    number: int
    instances: tuple[StoredInstance, ...]
    revision: int
    predecessor: str
    held: int = 0
    expected: int = 0
    priors: tuple[Study, ...] = ()
    not_compared: tuple[str, ...] = ()
    before: Path | None = None
    known_inputs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverableFile:
    """One DICOM file that a peer is to have."""

    delivery_id: int
    sop_instance_uid: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The files of one report that are still to go to one peer, the structured report first.

    `attempt` counts from 0; `first_at` is when the first attempt was due, `due_at` when this one is.
    """

    report_id: int
    study_instance_uid: str
    peer: str
    attempt: int
    first_at: datetime
    due_at: datetime
    files: tuple[DeliverableFile, ...]

    @property
    def id(self) -> str:
        """The same for the same attempt, after any restart."""
        return f"deliver/{self.report_id}/{self.peer}/{self.attempt}"
