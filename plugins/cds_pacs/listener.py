"""The storage SCP: hands what arrives to the intake, and answers what the intake decided."""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt

from cds.errors import CdsError
from cds.ports import Intake, ListenerAddress, Peer, ReceivedInstance
from cds_pacs.contexts import VERIFICATION, supported_of
from cds_pacs.server import CappedServer, Limits
from cds_pacs.status import PROCESSING_FAILURE, SUCCESS, status_of

_LOG: Final = logging.getLogger(__name__)

_CALLING_AE_TITLE_UNKNOWN: Final = (0x01, 0x01, 0x03)
_CALLED_AE_TITLE_UNKNOWN: Final = (0x01, 0x01, 0x07)
_LOCAL_LIMIT_EXCEEDED: Final = (0x02, 0x03, 0x02)
"""Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

_COMMENT_LENGTH: Final = 64
"""Error Comment (0000,0902) is LO."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """Times in seconds, sizes in bytes."""

    max_pdu_bytes: int = 131_072
    acse_timeout_seconds: float = 15.0
    dimse_timeout_seconds: float = 60.0
    network_timeout_seconds: float = 60.0
    drain_seconds: float = 8.0
    check_called_ae_title: bool = False


class DicomListener:
    """Receives instances by C-STORE and answers C-ECHO (`cds.listeners`, name ``dicom``)."""

    Settings: ClassVar = ListenerSettings

    def __init__(self, settings: ListenerSettings) -> None:
        self._settings = settings
        self._server: CappedServer | None = None
        self._thread: threading.Thread | None = None

    def start(self, address: ListenerAddress, intake: Intake) -> int:
        """Listen, without blocking; the port that was bound.

        Raises
        ------
        OSError
            When the port is taken, or the address is not ours.
        """
        _quieten()
        settings = self._settings
        entity = AE(ae_title=address.ae_title)
        entity.maximum_pdu_size = settings.max_pdu_bytes
        entity.acse_timeout = settings.acse_timeout_seconds
        entity.dimse_timeout = settings.dimse_timeout_seconds
        entity.network_timeout = settings.network_timeout_seconds
        entity.maximum_associations = 1_000_000  # ours counts what is established, not who is connected
        entity.add_supported_context(VERIFICATION)
        desk = _Desk(address, settings, intake)
        server = CappedServer(
            entity,
            (address.host, address.port),
            [(evt.EVT_REQUESTED, desk.admit), (evt.EVT_C_STORE, desk.store)],
            Limits(pdu_bytes=max(1 << 20, 4 * settings.max_pdu_bytes)),
        )
        desk.server = server
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, name="cds-listener", daemon=True)
        self._thread.start()
        return int(server.server_address[1])

    def stop(self) -> None:
        """Take no new association, let the running ones end, abort what is left."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        deadline = time.monotonic() + self._settings.drain_seconds
        for association in server.active_associations:
            if association.is_established:
                association.join(max(0.0, deadline - time.monotonic()))
        for association in server.active_associations:
            association.abort()
        if self._thread is not None:
            self._thread.join()


class _Desk:
    """Where an association is admitted and an instance handed in."""

    def __init__(self, address: ListenerAddress, settings: ListenerSettings, intake: Intake) -> None:
        self._address = address
        self._settings = settings
        self._intake = intake
        self.server: CappedServer | None = None

    def admit(self, event: Any) -> None:
        """Admit a requested association, or reject it."""
        association = event.assoc
        request = association.requestor.primitive
        refusal = self._refusal(str(request.calling_ae_title), str(request.called_ae_title), _address_of(association))
        if refusal is None:
            association.acceptor.supported_contexts = supported_of(request.presentation_context_definition_list)
            return
        _LOG.warning("association from %s rejected: result, source, reason %s", _address_of(association), refusal)
        association.acse.send_reject(*refusal)
        association.kill()

    def store(self, event: Any) -> Dataset:
        """Hand the instance in; success only after the intake has returned."""
        request = event.request
        instance = ReceivedInstance(
            data_set=request.DataSet.getvalue() if request.DataSet is not None else b"",
            transfer_syntax_uid=str(event.context.transfer_syntax),
            sop_class_uid=str(request.AffectedSOPClassUID),
            sop_instance_uid=str(request.AffectedSOPInstanceUID),
            calling_ae_title=str(event.assoc.requestor.ae_title).strip(),
            address=_address_of(event.assoc),
        )
        try:
            self._intake.take(instance)
        except CdsError as error:
            _LOG.warning("instance from %s not stored: %s", instance.address, error)
            return _answer(status_of(error), str(error))
        except Exception as error:  # a defect of ours: the sender must not hear success
            _LOG.error("instance from %s not stored: %s", instance.address, type(error).__name__)
            return _answer(PROCESSING_FAILURE, "internal error")
        return _answer(SUCCESS)

    def _refusal(self, calling: str, called: str, address: str) -> tuple[int, int, int] | None:
        if self.server is not None and self.server.established() >= self._address.max_associations:
            return _LOCAL_LIMIT_EXCEEDED
        if self._settings.check_called_ae_title and called.strip() != self._address.ae_title:
            return _CALLED_AE_TITLE_UNKNOWN
        known = any(_is_from(peer, calling.strip(), address) for peer in self._address.peers)
        return None if known or self._address.accept_unknown else _CALLING_AE_TITLE_UNKNOWN


def _is_from(peer: Peer, calling_ae_title: str, address: str) -> bool:
    if peer.ae_title.strip() != calling_ae_title:
        return False
    caller = ipaddress.ip_address(address)
    mapped = caller.ipv4_mapped if isinstance(caller, ipaddress.IPv6Address) else None
    return any((mapped or caller) in ipaddress.ip_network(network) for network in peer.addresses)


def _address_of(association: Any) -> str:
    return str(association.requestor.address_info.address)


def _answer(status: int, comment: str = "") -> Dataset:
    answer = Dataset()
    answer.Status = status
    if comment:
        answer.ErrorComment = comment.encode("ascii", "replace").decode()[:_COMMENT_LENGTH]
    return answer


def _quieten() -> None:
    """Keep pynetdicom from logging what it sees, and from spending a third of its time on that."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
