"""The storage SCU: delivers files to a peer, and looks at every answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, ClassVar, Final

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pynetdicom.dsutils import encode as encode_data_set
from pynetdicom.dsutils import split_dataset

from cds.domain.diagnosis import Diagnosis, fail
from cds.errors import DeliveryError, DeliveryPostponed
from cds.ports import CommitmentReported, Peer, Reference, Tls
from cds_pacs import commands
from cds_pacs.contexts import (
    EXPLICIT_VR_BIG_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    STRUCTURED_REPORTS,
    UNCOMPRESSED,
    requested_for,
)
from cds_pacs.scu import commitment
from cds_pacs.scu.association import Association
from cds_pacs.scu.examine import try_delivery
from cds_pacs.scu.pool import Pool
from cds_pacs.scu.upper_layer import AssociationEnded, AssociationRejected, Timeouts, no_association
from cds_pacs.status import Outcome, outcome_of

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderSettings:
    """Times in seconds.

    An association is kept for `idle_seconds` after its last use. After a storage commitment request it is
    kept for `answer_seconds`, for peers that answer over the same one. `tls` is filled by the host.
    """

    connect_timeout_seconds: float = 10.0
    acse_timeout_seconds: float = 15.0
    dimse_timeout_seconds: float = 20.0
    idle_seconds: float = 20.0
    answer_seconds: float = 1.0
    tls: Tls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set_at: int


class DicomSender:
    """Sends DICOM files by C-STORE, and asks for storage commitment (`cds.senders`, name ``dicom``)."""

    Settings: ClassVar = SenderSettings

    def __init__(self, settings: SenderSettings) -> None:
        self._answer_seconds = settings.answer_seconds
        timeouts = Timeouts(
            connect=settings.connect_timeout_seconds,
            associate=settings.acse_timeout_seconds,
            message=settings.dimse_timeout_seconds,
        )
        self._pool = Pool(timeouts, settings.tls, settings.idle_seconds)

    def send(self, files: Sequence[Path], peer: Peer, *, calling_ae_title: str) -> None:
        """Deliver DICOM files over one association; return only when the peer has accepted every one.

        Raises
        ------
        DeliveryPostponed
            When a retry may help: no connection, association rejected or broken off, no answer, 0xA7xx.
        DeliveryError
            When it will not: SOP class or transfer syntax not accepted, 0xA9xx, 0xCxxx, no such file.
        """
        described = [_describe(path) for path in files]
        if not described:
            return
        kinds = [(file.sop_class_uid, file.transfer_syntax_uid) for file in described]

        def store_all(association: Association) -> _File | None:
            for file in described:
                if not association.syntaxes(file.sop_class_uid):
                    return file
                _store(association, file, peer)
            return None

        try:
            refused = self._pool.use(peer, calling_ae_title, kinds, store_all)
        except (AssociationEnded, AssociationRejected) as error:
            raise _postponed(error, peer) from None
        if refused is not None:
            raise DeliveryError(self._not_accepted(refused, peer, calling_ae_title))

    def ask(
        self, transaction_uid: str, references: Sequence[Reference], peer: Peer, *, calling_ae_title: str
    ) -> CommitmentReported | None:
        """Ask the peer to commit to instances (N-ACTION); its answer, where it came over the same association.

        Raises
        ------
        DeliveryPostponed, DeliveryError
            When the peer did not take the request; whether a retry may help.
        """
        called = self._pool.called(peer, calling_ae_title)
        try:
            return commitment.ask(called, self._pool.timeouts, transaction_uid, references, self._answer_seconds)
        except (AssociationEnded, AssociationRejected) as error:
            raise _postponed(error, peer) from None
        except commitment.Refused as error:
            raise DeliveryError(f"peer {peer.name!r} {error}") from None

    def answer(
        self, transaction_uid: str, references: Sequence[Reference], peer: Peer, *, calling_ae_title: str
    ) -> None:
        """Tell the peer what we keep (N-EVENT-REPORT); errors as in `ask`."""
        called = self._pool.called(peer, calling_ae_title)
        try:
            commitment.answer(called, self._pool.timeouts, transaction_uid, references)
        except (AssociationEnded, AssociationRejected) as error:
            raise _postponed(error, peer) from None
        except commitment.Refused as error:
            raise DeliveryError(f"peer {peer.name!r} {error}") from None

    def examine(self, peer: Peer, *, calling_ae_title: str) -> Iterator[Diagnosis]:
        """Look whether the peer takes what it is to have; nothing is sent."""
        try:
            called = self._pool.called(peer, calling_ae_title)
        except DeliveryError as error:
            yield fail(f"peer {peer.name}", str(error), "see [node.tls]")
            return
        yield from try_delivery(peer, called, self._pool.timeouts)

    def close(self) -> None:
        """Release the associations that are kept."""
        self._pool.close()

    def _not_accepted(self, file: _File, peer: Peer, calling_ae_title: str) -> str:
        """Why a file cannot go there, and which structured report could."""
        refusal = (
            f"peer {peer.name!r} does not accept SOP Class {file.sop_class_uid} "
            f"in transfer syntax {file.transfer_syntax_uid}"
        )
        if file.sop_class_uid not in STRUCTURED_REPORTS:
            return refusal
        contexts = requested_for((sop_class, file.transfer_syntax_uid) for sop_class in STRUCTURED_REPORTS)
        try:
            association = Association.open(self._pool.called(peer, calling_ae_title), contexts, self._pool.timeouts)
        except (AssociationEnded, AssociationRejected):
            return refusal
        taken = [name for sop_class, name in STRUCTURED_REPORTS.items() if association.syntaxes(sop_class)]
        association.release()
        if not taken:
            return f"{refusal}, nor any other structured report"
        return f"{refusal}: set its sr_class to {' or '.join(repr(name) for name in taken)}"


def _store(association: Association, file: _File, peer: Peer) -> None:
    context_id, data_set = _as_accepted(association.syntaxes(file.sop_class_uid), file, peer)
    request: dict[int, int | str] = {
        commands.AFFECTED_CLASS: file.sop_class_uid,
        commands.FIELD: commands.Field.C_STORE,
        commands.PRIORITY: commands.LOWEST_PRIORITY,
        commands.AFFECTED_INSTANCE: file.sop_instance_uid,
    }
    with data_set:
        answer = association.request(context_id, request, data_set)
    status = commands.number(answer, commands.STATUS)
    if status is None:
        raise DeliveryPostponed(f"peer {peer.name!r} gave no status to SOP Instance {file.sop_instance_uid}")
    outcome = outcome_of(status)
    if outcome is Outcome.TRY_AGAIN:
        raise DeliveryPostponed(f"peer {peer.name!r} answered 0x{status:04X} to SOP Instance {file.sop_instance_uid}")
    if outcome is Outcome.REFUSED:
        raise DeliveryError(f"peer {peer.name!r} answered 0x{status:04X} to SOP Instance {file.sop_instance_uid}")
    if status:
        _LOG.warning("peer %s accepted SOP Instance %s with 0x%04X", peer.name, file.sop_instance_uid, status)


def _as_accepted(accepted: dict[str, int], file: _File, peer: Peer) -> tuple[int, BinaryIO]:
    """The file's data set as it lies there, where the peer takes it so, else encoded for what it takes."""
    if file.transfer_syntax_uid in accepted:
        stream = file.path.open("rb")
        stream.seek(file.data_set_at)
        return accepted[file.transfer_syntax_uid], stream
    syntax, context_id = next(iter(accepted.items()))
    if syntax not in UNCOMPRESSED or file.transfer_syntax_uid not in UNCOMPRESSED:
        raise DeliveryError(f"SOP Instance {file.sop_instance_uid} cannot be encoded for {peer.name!r}")
    ds = dcmread(file.path)
    encoded = encode_data_set(ds, syntax == IMPLICIT_VR_LITTLE_ENDIAN, syntax != EXPLICIT_VR_BIG_ENDIAN)
    if encoded is None:
        raise DeliveryError(f"SOP Instance {file.sop_instance_uid} cannot be encoded for {peer.name!r}")
    return context_id, BytesIO(encoded)


def _describe(path: Path) -> _File:
    try:
        meta, offset = split_dataset(path)
        return _File(
            path=path,
            sop_class_uid=str(meta.MediaStorageSOPClassUID),
            sop_instance_uid=str(meta.MediaStorageSOPInstanceUID),
            transfer_syntax_uid=str(meta.TransferSyntaxUID),
            data_set_at=offset,
        )
    except (OSError, InvalidDicomError, AttributeError) as error:
        raise DeliveryError(f"{path.name!r} is no DICOM file that could be sent ({type(error).__name__})") from None


def _postponed(error: AssociationEnded | AssociationRejected, peer: Peer) -> DeliveryPostponed:
    return DeliveryPostponed(no_association(peer, error))
