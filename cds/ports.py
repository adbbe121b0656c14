"""The doors: one-method Protocols, each with its entry-point group.

An entry point names a class with a frozen dataclass ``Settings`` as class attribute and
``__init__(self, settings: Settings)``; `cds.discovery` builds it with the plugin's own table of
the configuration. Where ``Settings`` has a field ``device`` or ``data_dir``, the host fills it.
What is not named in the configuration is never imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar, Final, Protocol, runtime_checkable

from cds.domain.diagnosis import Diagnosis
from cds.domain.evidence import Evidence, Missing, Modality
from cds.domain.finding import Finding, Knowledge
from cds.domain.records import Identity, Records
from cds.domain.report import Case, EncodedReport, Report
from cds.domain.study import Study

LISTENERS: Final = "cds.listeners"
RECORDS: Final = "cds.records"
EXTRACTORS: Final = "cds.extractors"
FUSION: Final = "cds.fusion"
KNOWLEDGE: Final = "cds.knowledge"
WRITERS: Final = "cds.writers"
SENDERS: Final = "cds.senders"
ARCHIVES: Final = "cds.archives"

Bytes = bytes | bytearray | memoryview
"""Bytes that may still lie in the buffer they were received into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The node's own key and certificate, and the authorities whose certificates it trusts (PS3.15 B.12).

    The files may be exchanged while the node runs.
    """

    certificate_file: Path
    key_file: Path
    ca_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A node that we know: who may call us, where results go, and what it can tell us.

    Attributes
    ----------
    via
        Name of the plugins that speak with it, in `cds.senders` and `cds.archives`.
    url
        Root of its web services, where it speaks DICOMweb.
    tls
        Whether the connections to it, and from it, are mutual TLS.
    certificate
        SHA-256 of its certificate (DER), in hex; ``""`` where any trusted one does.
    addresses
        Networks from which it may call us under its AE title.
    send_results, send, sr_class
        Whether results go there; the names of the writers whose objects do; and which structured
        report it is to have (``"comprehensive"``, ``"comprehensive-3d"``, ``"enhanced"``).
    commitment
        Whether it is asked to commit to what it accepted (PS3.4 Annex J).
    counts
        Whether it can be asked how many instances a study has.
    priors
        Whether it can be asked for earlier studies of the patient.
    """

    name: str
    ae_title: str
    host: str
    port: int
    via: str = "dicom"
    url: str = ""
    tls: bool = False
    certificate: str = ""
    addresses: tuple[str, ...] = ("127.0.0.1/32", "::1/128")
    send_results: bool = False
    send: tuple[str, ...] = ("sr", "pdf")
    sr_class: str = "comprehensive"
    commitment: bool = False
    counts: bool = False
    priors: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What a sender said of an instance before its data set came.

    The UIDs are those of the C-STORE request (PS3.7 9.1.1); nothing of it is believed yet.
    """

    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    calling_ae_title: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedInstance(Announced):
    """One data set as it came over the wire, before anything was believed of it.

    `data_set` is encoded in `transfer_syntax_uid`, without preamble and file meta. It may be a
    view of a buffer that is used again: whoever wants to keep it copies it.
    """

    data_set: Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A SOP Instance that a peer or we speak of; `failure` is the Failure Reason (0008,1197), 0 for none."""

    sop_class_uid: str
    sop_instance_uid: str
    failure: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRequested:
    """A peer asks whether we keep what it sent (N-ACTION of Storage Commitment, PS3.4 J.3.2)."""

    transaction_uid: str
    references: tuple[Reference, ...]
    calling_ae_title: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentReported:
    """A peer says what it keeps of ours (N-EVENT-REPORT, PS3.4 J.3.3); a failed one has its `failure`."""

    transaction_uid: str
    references: tuple[Reference, ...]
    calling_ae_title: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyAnnounced:
    """A peer says which instances of a study there are (Instance Availability Notification, PS3.4 R)."""

    study_instance_uid: str
    references: tuple[Reference, ...]
    calling_ae_title: str
    address: str


Notice = CommitmentRequested | CommitmentReported | StudyAnnounced
"""What a peer tells us beside its instances."""


class Spool(Protocol):
    """A data set on its way to the disk, too large to be held in memory."""

    def write(self, part: Bytes) -> None:
        """Add the next part, in order.

        Raises
        ------
        OutOfResources
            When the disk does not take it.
        """

    def take(self) -> None:
        """All parts are there: check and keep it, durably, as `Intake.take` does; with its errors."""

    def abandon(self) -> None:
        """The rest will not come: forget it. May be called at any time, also after `take`."""


class Intake(Protocol):
    """What a listener gives to the node. Safe to call from several threads."""

    @property
    def spool_above_bytes(self) -> int:
        """Data sets longer than this go through `spool`, so that memory stays bounded."""

    def take(self, instance: ReceivedInstance) -> None:
        """Make the instance durable, then return; success may be answered only after that.

        Raises
        ------
        MalformedInstance, MismatchedInstance, OutOfResources
            When it was not stored; the listener maps these to its protocol's statuses.
        """

    def spool(self, announced: Announced) -> Spool:
        """Begin to keep a large instance.

        Raises
        ------
        OutOfResources
            When there is no room for it.
        """

    def notice(self, notice: Notice) -> None:
        """Make a notice durable, then return.

        Raises
        ------
        OutOfResources
            When it could not be kept; a retry may help.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerAddress:
    """Where the node listens, and for whom.

    `shared` lets several processes listen on one port (SO_REUSEPORT). With `tls` every connection is mutual TLS.
    """

    ae_title: str
    host: str
    port: int
    max_associations: int
    accept_unknown: bool
    peers: tuple[Peer, ...]
    shared: bool = False
    tls: Tls | None = None


@runtime_checkable
class Listener(Protocol):
    """Receives instances from the network (`cds.listeners`)."""

    def start(self, address: ListenerAddress, intake: Intake) -> int:
        """Listen, without blocking; the port that was bound (for port 0)."""

    def stop(self) -> None:
        """Finish running transfers, take no new ones, and close."""


@runtime_checkable
class RecordsSource(Protocol):
    """Finds the records that belong to a study (`cds.records`)."""

    def records_for(self, study: Study) -> Records:
        """Join by identity and time; what was seen and not used stands in ``rejected``."""


@runtime_checkable
class Checkable(Protocol):
    """What a plugin may offer beside its door: a look at its settings before the work starts."""

    def check(self) -> None:
        """Look at what the settings name.

        Raises
        ------
        ConfigError
            When it is not there or not usable; the message says what would be right.
        """


@runtime_checkable
class Examinable(Protocol):
    """What a sender or an archive may offer beside its door: to try a peer out."""

    def examine(self, peer: Peer, *, calling_ae_title: str) -> Iterable[Diagnosis]:
        """Look at what is set up wrong most often; sends nothing of a patient, raises for nothing the peer does."""


@runtime_checkable
class Extractor(Protocol):
    """Turns one modality of a case into evidence (`cds.extractors`)."""

    modality: ClassVar[Modality]

    def extract(self, case: Case) -> Evidence | Missing:
        """The evidence, or why there is none: no such input, gate not passed.

        Raises
        ------
        EvidenceError
            When the input is there and should be readable, and is not.
        """


@runtime_checkable
class FusionModel(Protocol):
    """Turns evidence into findings (`cds.fusion`)."""

    def fuse(self, case: Case, evidence: Sequence[Evidence], missing: Sequence[Missing]) -> tuple[Finding, ...]:
        """The findings; each points at observations in `evidence`. The order of `evidence` is irrelevant.

        Raises
        ------
        FusionError
            When no trustworthy number comes out (NaN, wrong embedding size).
        """


@runtime_checkable
class KnowledgeSource(Protocol):
    """Adds differential and follow-up to findings (`cds.knowledge`)."""

    def consult(self, case: Case, evidence: Sequence[Evidence], findings: Sequence[Finding]) -> Knowledge:
        """Statements with paths and citations, and guideline recommendations; deterministic."""


@runtime_checkable
class Writer(Protocol):
    """Encodes a report (`cds.writers`)."""

    def write(self, report: Report) -> tuple[EncodedReport, ...]:
        """The encodings; the same report gives the same SOP Instance UIDs.

        Raises
        ------
        ReportError
            When the report cannot be encoded truthfully.
        """


@runtime_checkable
class Sender(Protocol):
    """Delivers encoded reports to a peer (`cds.senders`)."""

    def send(self, files: Sequence[Path], peer: Peer, *, calling_ae_title: str) -> None:
        """Deliver DICOM files; return only when the peer has accepted every one.

        Raises
        ------
        DeliveryPostponed
            When a retry may help (connection refused, 0xA7xx).
        DeliveryError
            When it will not (0xA9xx, 0xCxxx, SOP class not accepted).
        """


@runtime_checkable
class Committing(Protocol):
    """What a sender may offer beside its door: storage commitment (PS3.4 Annex J)."""

    def ask(
        self, transaction_uid: str, references: Sequence[Reference], peer: Peer, *, calling_ae_title: str
    ) -> CommitmentReported | None:
        """Ask the peer to commit to instances.

        Its answer, where it gives it at once; else None, and it comes to the listener.

        Raises
        ------
        DeliveryPostponed, DeliveryError
            When the peer did not take the request; whether a retry may help.
        """

    def answer(
        self, transaction_uid: str, references: Sequence[Reference], peer: Peer, *, calling_ae_title: str
    ) -> None:
        """Tell the peer what we keep; an instance that we do not has its `failure`. Errors as in `ask`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedStudy:
    """A study that an archive has, as its query told; `instances` is None where it did not say."""

    study_instance_uid: str
    started_on: date | None
    modalities: tuple[str, ...]
    description: str
    instances: int | None


@runtime_checkable
class Archive(Protocol):
    """Asks a peer for what it keeps (`cds.archives`)."""

    def instances(self, study_instance_uid: str, peer: Peer, *, calling_ae_title: str) -> int | None:
        """How many instances of a study the peer has; None where it does not say.

        Raises
        ------
        ArchiveError
            When the peer cannot be asked.
        """

    def studies(self, patient: Identity, peer: Peer, *, calling_ae_title: str) -> tuple[ArchivedStudy, ...]:
        """Every study of a patient, by patient ID and issuer, newest first. Errors as in `instances`."""

    def fetch(self, study_instance_uid: str, folder: Path, peer: Peer, *, calling_ae_title: str) -> int:
        """Fetch a study's instances as DICOM files into a folder; how many. Errors as in `instances`."""


@runtime_checkable
class Moving(Protocol):
    """What an archive may offer beside its door: to have a peer send a study to our listener (C-MOVE)."""

    def move(self, study_instance_uid: str, peer: Peer, *, calling_ae_title: str) -> int:
        """Return when the peer has sent it; how many instances. Errors as in `Archive.instances`."""
