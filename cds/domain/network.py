"""What nodes of a network are to each other, and what they tell: peers, instances on their way, notices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedStudy:
    """A study that an archive has, as its query told; `instances` is None where it did not say."""

    study_instance_uid: str
    started_on: date | None
    modalities: tuple[str, ...]
    description: str
    instances: int | None
