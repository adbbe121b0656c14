"""The doors: one-method Protocols, each with its entry-point group.

An entry point names a class with a frozen dataclass ``Settings`` as class attribute and
``__init__(self, settings: Settings)``; `cds.discovery` builds it with the plugin's own table of
the configuration. Where ``Settings`` has a field ``device`` or ``data_dir``, the host fills it.
What is not named in the configuration is never imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol, runtime_checkable

from cds.domain.evidence import Evidence, Missing, Modality
from cds.domain.finding import Finding, Knowledge
from cds.domain.records import Records
from cds.domain.report import Case, EncodedReport, Report
from cds.domain.study import Study

LISTENERS: Final = "cds.listeners"
RECORDS: Final = "cds.records"
EXTRACTORS: Final = "cds.extractors"
FUSION: Final = "cds.fusion"
KNOWLEDGE: Final = "cds.knowledge"
WRITERS: Final = "cds.writers"
SENDERS: Final = "cds.senders"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A DICOM node that we know: who may call us, and where results go."""

    name: str
    ae_title: str
    host: str
    port: int
    send_results: bool = False
    addresses: tuple[str, ...] = ("127.0.0.1/32", "::1/128")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedInstance:
    """One data set as it came over the wire, before anything was believed of it.

    `data_set` is encoded in `transfer_syntax_uid`, without preamble and file meta; the UIDs are
    those of the C-STORE request (PS3.7 9.1.1).
    """

    data_set: bytes
    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    calling_ae_title: str
    address: str


class Intake(Protocol):
    """What a listener gives its instances to."""

    def take(self, instance: ReceivedInstance) -> None:
        """Make the instance durable, then return; success may be answered only after that.

        Raises
        ------
        MalformedInstance, MismatchedInstance, OutOfResources
            When it was not stored; the listener maps these to its protocol's statuses.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerAddress:
    """Where the node listens, and for whom."""

    ae_title: str
    host: str
    port: int
    max_associations: int
    accept_unknown: bool
    peers: tuple[Peer, ...]


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
