"""The DICOM upper layer as a requestor (PS3.8 9.3): connect, negotiate, read and write PDUs, each with a deadline."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext

from cds.errors import DeliveryError
from cds.ports import Peer, Tls
from cds_pacs.pdu import (
    APPLICATION_CONTEXT,
    HEADER,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    RELEASE_REQUEST,
    RELEASE_RESPONSE,
    VALUE_HEADER,
    Pdu,
    abort,
    pdu,
)
from cds_pacs.tls import certificate_of, client_context

LONGEST_PDU_READ: Final = 1 << 20
_LAST_WORDS_SECONDS: Final = 2.0
_SERVICE_USER: Final = 0
"""Source of an A-ABORT (PS3.8 table 9-26)."""
_PERMANENT: Final = 1
"""Result of a rejection (PS3.8 9.3.4): a retry does not help."""


class AssociationEnded(Exception):
    """The peer is not there, ended the association, or did not answer in time; the message says which."""


class AssociationRejected(Exception):
    """The peer rejected the association (PS3.8 9.3.4); `permanent` as it said."""

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.permanent = permanent


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """In seconds: for the connection, for the answer to the proposal, and for the answer to a message."""

    connect: float = 10.0
    associate: float = 15.0
    message: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """Whom we call, and as whom; `certificate` is the SHA-256 of the peer's certificate in hex, or ``""``."""

    host: str
    port: int
    ae_title: str
    calling_ae_title: str
    tls: Tls | None = None
    certificate: str = ""


def call(peer: Peer, calling_ae_title: str, tls: Tls | None) -> Called:
    """Whom to call for a peer, with our own key and certificate where it wants TLS.

    Raises
    ------
    DeliveryError
        When it wants TLS and we have no certificate.
    """
    if peer.tls and tls is None:
        raise DeliveryError(f"peer {peer.name!r} has tls = true: give us a certificate in [node.tls]")
    return Called(
        host=peer.host,
        port=peer.port,
        ae_title=peer.ae_title,
        calling_ae_title=calling_ae_title,
        tls=tls if peer.tls else None,
        certificate=peer.certificate,
    )


def no_association(peer: Peer, error: AssociationEnded | AssociationRejected) -> str:
    """Why there is no association with a peer, in words for its operator."""
    where = f"peer {peer.name!r} at {peer.host}:{peer.port}"
    if isinstance(error, AssociationRejected):
        return f"{where} rejected the association ({error}); does it know our AE title?"
    return f"{where}: {error}; is it running?"


class Connection:
    """A connection to a peer, plain or TLS."""

    def __init__(self, called: Called, timeouts: Timeouts) -> None:
        self._sock = _connected(called, timeouts)
        self._ahead = b""

    def send(self, content: bytes, seconds: float) -> None:
        """Send all of it; each part within `seconds`."""
        self._sock.settimeout(seconds)
        self._sock.sendall(content)

    def comes(self, seconds: float) -> bool:
        """Wait for the peer to say something; whether it does. 0 does not wait.

        Raises
        ------
        OSError
            When the peer closed the connection.
        """
        if self._ahead:
            return True
        self._sock.settimeout(seconds)
        try:
            self._ahead = self._sock.recv(1)
        except (BlockingIOError, TimeoutError, ssl.SSLWantReadError):
            return False
        if not self._ahead:
            raise ConnectionError("it closed the connection")
        return True

    def read_pdu(self, deadline: float) -> tuple[int, bytes]:
        """Type and content of the next PDU; `deadline` is of the monotonic clock.

        Raises
        ------
        OSError
            When it does not come whole in time, or is longer than we said that we read.
        """
        kind, length = HEADER.unpack(self._read(HEADER.size, deadline))
        if length > LONGEST_PDU_READ:
            raise ConnectionError(f"it does not speak DICOM here: a PDU of {length} bytes was announced")
        return kind, self._read(length, deadline)

    def close(self) -> None:
        """Close."""
        self._sock.close()

    def abort(self) -> None:
        """End the association at once, and close."""
        with suppress(OSError):
            self.send(abort(_SERVICE_USER, 0), _LAST_WORDS_SECONDS)
        self.close()

    def release(self) -> None:
        """End the association in good order, or at once where the peer does not play along; and close."""
        with suppress(OSError):
            self.send(RELEASE_REQUEST, _LAST_WORDS_SECONDS)
            kind, _ = self.read_pdu(time.monotonic() + _LAST_WORDS_SECONDS)
            if kind == Pdu.RELEASE_RQ:  # both at once (PS3.8 9.2.2.4)
                self.send(RELEASE_RESPONSE, _LAST_WORDS_SECONDS)
        self.close()

    def _read(self, length: int, deadline: float) -> bytes:
        content = bytearray(self._ahead)
        self._ahead = b""
        while len(content) < length:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("it gave no answer in time")
            self._sock.settimeout(remaining)
            _acknowledge_at_once(self._sock)
            part = self._sock.recv(length - len(content))
            if not part:
                raise ConnectionError("it closed the connection")
            content += part
        return bytes(content)


def _connected(called: Called, timeouts: Timeouts) -> socket.socket:
    try:
        sock = socket.create_connection((called.host, called.port), timeouts.connect)
    except OSError as error:
        raise AssociationEnded(f"no connection: {said(error)}") from None
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if called.tls is None:
            return sock
        sock.settimeout(timeouts.associate)
        secured = client_context(called.tls).wrap_socket(sock, server_hostname=called.host)
    except OSError as error:
        sock.close()
        raise AssociationEnded(f"no TLS: {said(error)}") from None
    if called.certificate and certificate_of(secured) != called.certificate:
        secured.close()
        raise AssociationEnded("no TLS: it has another certificate, not the one that is configured for it")
    return secured


def _acknowledge_at_once(sock: socket.socket) -> None:
    """Ask the kernel not to delay the next acknowledgement, and again, because it forgets.

    A peer with Nagle's algorithm that writes its answer in two parts waits for it: 40 ms.
    """
    if hasattr(socket, "TCP_QUICKACK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def proposal(
    called: Called, contexts: Sequence[PresentationContext], scp_of: Iterable[str], max_pdu_bytes: int
) -> bytes:
    """An A-ASSOCIATE-RQ; `scp_of` are the SOP classes of which we are the SCP (PS3.7 D.3.3.4)."""
    length = MaximumLengthNotification()
    length.maximum_length_received = max_pdu_bytes
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    roles = []
    for sop_class in scp_of:
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid = UID(sop_class)
        role.scu_role, role.scp_role = False, True
        roles.append(role)
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID(APPLICATION_CONTEXT)
    primitive.calling_ae_title = called.calling_ae_title
    primitive.called_ae_title = called.ae_title
    primitive.presentation_context_definition_list = list(contexts)
    primitive.user_information = [length, implementation, version, *roles]
    request = A_ASSOCIATE_RQ()
    request.from_primitive(primitive)
    return bytes(request.encode())


def acceptance(kind: int, body: bytes) -> A_ASSOCIATE:
    """The peer's answer to a proposal.

    Raises
    ------
    AssociationEnded, AssociationRejected
        When it is not an acceptance.
    """
    whole = pdu(kind, body)
    try:
        if kind == Pdu.ASSOCIATE_RJ:
            rejection = A_ASSOCIATE_RJ()
            rejection.decode(whole)
            raise AssociationRejected(
                f"{rejection.result_str}: {rejection.reason_str}", permanent=rejection.result == _PERMANENT
            )
        if kind == Pdu.ASSOCIATE_AC:
            accepted = A_ASSOCIATE_AC()
            accepted.decode(whole)
            primitive = accepted.to_primitive()
            if primitive.presentation_context_definition_results_list:
                return primitive
            raise AssociationEnded("its acceptance speaks of no presentation context")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError, struct.error) as error:
        raise AssociationEnded(f"its answer cannot be understood ({type(error).__name__})") from None
    raise AssociationEnded("it aborted the association" if kind == Pdu.ABORT else f"it answered with PDU type {kind}")


def pdvs(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The presentation data values of a P-DATA-TF PDU: context, message control header (PS3.8 E.2), content.

    Raises
    ------
    ConnectionError
        When it is broken.
    """
    at = 0
    while at < len(body):
        if len(body) - at < VALUE_HEADER.size:
            raise ConnectionError("it sent a broken PDU")
        length, context_id, flags = VALUE_HEADER.unpack_from(body, at)
        end = at + 4 + length
        if length < 2 or end > len(body):
            raise ConnectionError("it sent a broken PDU")
        yield context_id, flags, body[at + VALUE_HEADER.size : end]
        at = end


def said(error: OSError) -> str:
    """What happened, in words."""
    if isinstance(error, TimeoutError):
        return "it gave no answer in time"
    return error.strerror or str(error) or type(error).__name__
