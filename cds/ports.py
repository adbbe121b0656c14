"""The doors: one-method Protocols, each with its entry-point group.

An entry point names a class with a frozen dataclass ``Settings`` as class attribute and
``__init__(self, settings: Settings)``; `cds.discovery` builds it with the plugin's own table of
the configuration. Where ``Settings`` has a field ``device`` or ``data_dir``, the host fills it.
What is not named in the configuration is never imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Final, Literal, Protocol, runtime_checkable

from cds.domain.diagnosis import Diagnosis
from cds.domain.evidence import Evidence, Missing, Modality
from cds.domain.finding import Finding, Knowledge
from cds.domain.network import (
    Announced,
    ArchivedStudy,
    Bytes,
    CommitmentReported,
    CommitmentRequested,
    ListenerAddress,
    Notice,
    Peer,
    ReceivedInstance,
    Reference,
    StudyAnnounced,
    Tls,
)
from cds.domain.records import Arrivals, Identity, Records
from cds.domain.report import Case, EncodedReport, Report
from cds.domain.study import Study

__all__ = [
    "ARCHIVES",
    "EXTRACTORS",
    "FUSION",
    "KNOWLEDGE",
    "LISTENERS",
    "RECORDS",
    "SENDERS",
    "WRITERS",
    "Announced",
    "Archive",
    "ArchivedStudy",
    "Bytes",
    "CasePart",
    "Checkable",
    "CommitmentReported",
    "CommitmentRequested",
    "Committing",
    "Depending",
    "Examinable",
    "Extractor",
    "FusionModel",
    "Intake",
    "KnowledgeSource",
    "Listener",
    "ListenerAddress",
    "Moving",
    "Notice",
    "Peer",
    "ReceivedInstance",
    "RecordsSource",
    "Reference",
    "Sender",
    "Spool",
    "StudyAnnounced",
    "Tls",
    "Watched",
    "Writer",
]

LISTENERS: Final = "cds.listeners"
RECORDS: Final = "cds.records"
EXTRACTORS: Final = "cds.extractors"
FUSION: Final = "cds.fusion"
KNOWLEDGE: Final = "cds.knowledge"
WRITERS: Final = "cds.writers"
SENDERS: Final = "cds.senders"
ARCHIVES: Final = "cds.archives"


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
class Watched(Protocol):
    """What a records source may offer beside its door: whose records came after a report was made."""

    def arrivals(self, since: str) -> Arrivals:
        """Which patients' records came or changed since a position that an earlier call gave.

        ``""`` asks for the present position only, and names nobody. A call may name a part of them; the next one,
        from the position it gives, names the rest.

        Raises
        ------
        EvidenceError
            When the source cannot be asked now.
        """


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


CasePart = Literal["study", "records"]
"""What of a case an extractor may depend on: the images with what stands in them, and the patient's records."""


@runtime_checkable
class Depending(Protocol):
    """What an `Extractor` may also say: what it depends on; where it says nothing, that is everything.

    It is given the study, and records only where it names them. The evidence of one that names the study alone is
    used again when nothing but records has come.
    """

    depends_on: ClassVar[frozenset[CasePart]]


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
