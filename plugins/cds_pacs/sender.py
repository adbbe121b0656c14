"""The storage SCU: delivers files to a peer, and looks at every answer."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pynetdicom import _config, evt
from pynetdicom.association import Association

from cds.errors import DeliveryError, DeliveryPostponed
from cds.ports import Peer
from cds_pacs.contexts import requested_for
from cds_pacs.server import CarefulEntity
from cds_pacs.status import Outcome, outcome_of

_LOG: Final = logging.getLogger(__name__)

_config.STORE_SEND_CHUNKED_DATASET = True  # files given by path go out byte for byte, never decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderSettings:
    """Times in seconds, sizes in bytes."""

    connect_timeout_seconds: float = 10.0
    acse_timeout_seconds: float = 15.0
    dimse_timeout_seconds: float = 20.0
    max_pdu_bytes: int = 131_072


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


class DicomSender:
    """Sends DICOM files by C-STORE (`cds.senders`, name ``dicom``)."""

    Settings: ClassVar = SenderSettings

    def __init__(self, settings: SenderSettings) -> None:
        self._settings = settings

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
        with self._association(described, peer, calling_ae_title) as association:
            for number, file in enumerate(described, start=1):
                _store(association, file, number, peer)

    @contextmanager
    def _association(self, files: Sequence[_File], peer: Peer, calling_ae_title: str) -> Iterator[Association]:
        entity = CarefulEntity(ae_title=calling_ae_title)
        entity.connection_timeout = self._settings.connect_timeout_seconds
        entity.acse_timeout = self._settings.acse_timeout_seconds
        entity.dimse_timeout = self._settings.dimse_timeout_seconds
        entity.network_timeout = self._settings.dimse_timeout_seconds
        association = entity.associate(
            peer.host,
            peer.port,
            contexts=requested_for((file.sop_class_uid, file.transfer_syntax_uid) for file in files),
            ae_title=peer.ae_title,
            max_pdu=self._settings.max_pdu_bytes,
            evt_handlers=[(evt.EVT_CONN_OPEN, _send_at_once)],
        )
        if not association.is_established:
            raise _no_association(association, peer)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()


def _store(association: Association, file: _File, number: int, peer: Peer) -> None:
    if not association.is_established:
        raise DeliveryPostponed(f"peer {peer.name!r} ended the association")
    content = _as_accepted(association, file, peer)
    try:
        answer = association.send_c_store(content, msg_id=number)
    except RuntimeError:
        raise DeliveryPostponed(f"peer {peer.name!r} ended the association") from None
    except ValueError as error:
        raise DeliveryError(f"SOP Instance {file.sop_instance_uid} cannot be encoded for {peer.name!r}") from error
    status = int(answer.Status) if "Status" in answer else None
    if status is None:
        raise DeliveryPostponed(f"peer {peer.name!r} gave no answer to SOP Instance {file.sop_instance_uid}")
    outcome = outcome_of(status)
    if outcome is Outcome.TRY_AGAIN:
        raise DeliveryPostponed(f"peer {peer.name!r} answered 0x{status:04X} to SOP Instance {file.sop_instance_uid}")
    if outcome is Outcome.REFUSED:
        raise DeliveryError(f"peer {peer.name!r} answered 0x{status:04X} to SOP Instance {file.sop_instance_uid}")
    if status:
        _LOG.warning("peer %s accepted SOP Instance %s with 0x%04X", peer.name, file.sop_instance_uid, status)


def _as_accepted(association: Association, file: _File, peer: Peer) -> Any:
    """The file's path where the peer takes it as it is, else its data set for another encoding."""
    accepted = {
        str(context.transfer_syntax[0])
        for context in association.accepted_contexts
        if str(context.abstract_syntax) == file.sop_class_uid
    }
    if not accepted:
        raise DeliveryError(
            f"peer {peer.name!r} does not accept SOP Class {file.sop_class_uid} "
            f"in transfer syntax {file.transfer_syntax_uid}"
        )
    return file.path if file.transfer_syntax_uid in accepted else dcmread(file.path)


def _describe(path: Path) -> _File:
    try:
        meta = read_file_meta_info(path)
        return _File(
            path=path,
            sop_class_uid=str(meta.MediaStorageSOPClassUID),
            sop_instance_uid=str(meta.MediaStorageSOPInstanceUID),
            transfer_syntax_uid=str(meta.TransferSyntaxUID),
        )
    except (OSError, InvalidDicomError, AttributeError) as error:
        raise DeliveryError(f"{path.name!r} is no DICOM file that could be sent ({type(error).__name__})") from None


def _no_association(association: Association, peer: Peer) -> DeliveryError:
    where = f"{peer.host}:{peer.port}"
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        return DeliveryPostponed(
            f"peer {peer.name!r} at {where} rejected the association ({answer.result_str}: {answer.reason_str}); "
            "does it know our AE title?"
        )
    if answer is None:
        return DeliveryPostponed(f"peer {peer.name!r} at {where} does not answer: is it running?")
    if association.rejected_contexts and not association.accepted_contexts:
        refused = ", ".join(sorted({str(context.abstract_syntax) for context in association.rejected_contexts}))
        return DeliveryError(
            f"peer {peer.name!r} at {where} accepts none of the SOP Classes as we have them: {refused}"
        )
    return DeliveryPostponed(f"peer {peer.name!r} at {where} broke the association off")


def _send_at_once(event: Any) -> None:
    """Switch Nagle's algorithm off: with it each C-STORE waits 40 ms for a delayed acknowledgement."""
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
