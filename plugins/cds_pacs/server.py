"""The server: pynetdicom's, with limits on what a stranger may cost.

What is mended here was measured on pynetdicom 3.0.4, whose private parts are used (the version is
pinned for it): a PDU of any declared size was buffered before anybody was known, a byte now and
then kept a thread for ever, idle connections filled the association limit, a sender with Nagle's
algorithm waited 40 ms per message for our acknowledgement, and each association copied every context.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

_HEADER_BYTES: Final = 6
"""PDU type, a reserved byte and the length (PS3.8 9.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one connection, one address and all together may cost.

    Attributes
    ----------
    pdu_bytes
        Longest PDU that is read.
    pdu_seconds
        Time within which a PDU must have come whole.
    connections
        Open connections, with an association or not.
    connections_per_address
        The same, from one address.
    """

    pdu_bytes: int = 1 << 20
    pdu_seconds: float = 30.0
    connections: int = 300
    connections_per_address: int = 150


class CappedSocket(AssociationSocket):
    """Reads no more, and no longer, than the limits allow; and is closed when it is closed."""

    limits: Limits = Limits()

    def recv(self, nr_bytes: int) -> bytearray:
        """Read `nr_bytes`, or fewer where the peer closed the connection.

        Raises
        ------
        OSError
            When more is announced than is allowed, or it does not come in time; pynetdicom then
            closes the connection.
        """
        content = bytearray()
        try:
            content = self._read(nr_bytes)
        finally:
            if len(content) < nr_bytes and self.assoc.is_acceptor and not self.assoc.is_established:
                self.assoc.dul.to_user_queue.put(None)  # nobody needs to wait for the request any more
        return content

    def _read(self, nr_bytes: int) -> bytearray:
        sock = self.socket
        if sock is None:
            raise OSError("the connection is closed")
        if nr_bytes > self.limits.pdu_bytes:
            raise OSError(f"a PDU of {nr_bytes} bytes was announced; the limit is {self.limits.pdu_bytes}")
        if nr_bytes == _HEADER_BYTES:
            _acknowledge_at_once(sock)
        content = bytearray(nr_bytes)
        view = memoryview(content)
        deadline = time.monotonic() + self.limits.pdu_seconds
        got = 0
        while got < nr_bytes:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError(f"a PDU did not come whole within {self.limits.pdu_seconds:g} s")
            sock.settimeout(remaining)
            count = sock.recv_into(view[got:])
            if not count:
                break
            got += count
        sock.settimeout(self.limits.pdu_seconds)
        return content if got == nr_bytes else content[:got]

    def _shutdown_socket(self) -> None:
        """Shut the connection down and free its descriptor, also where the peer was faster."""
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()


class CarefulEntity(AE):
    """An application entity whose outgoing connections are capped sockets too."""

    def _create_socket(self, assoc: Association, address: Any, tls_args: Any) -> CappedSocket:
        sock = CappedSocket(assoc, address=address)
        sock.tls_args = tls_args
        return sock


class StoringAssociation(Association):
    """Serves every C-STORE as storage, also of SOP classes that pynetdicom does not know."""

    def _serve_request(self, msg: Any, context_id: int) -> None:
        context = self._accepted_cx.get(context_id)
        if not isinstance(msg, C_STORE) or context is None or not msg.is_valid_request:
            super()._serve_request(msg, context_id)
            return
        self._is_paused = True
        try:
            StorageServiceClass(self).SCP(msg, context)
        except Exception:  # whatever it was, the sender must not wait for an answer
            self.abort()
        self._is_paused = False


class CappedHandler(RequestHandler):
    """Makes one association of one connection."""

    server: CappedServer

    def _create_association(self) -> Association:
        association = StoringAssociation(self.ae, "acceptor")
        association._server = self.server
        association.name = f"AcceptorThread@{self.client_address[0]}"  # pynetdicom finds its threads by this name
        sock = CappedSocket(association, client_socket=self.request)
        sock.limits = self.server.limits
        association.set_socket(sock)
        acceptor = association.acceptor
        acceptor.maximum_length = self.ae.maximum_pdu_size
        acceptor.ae_title = self.server.ae_title
        acceptor.address_info = self.local
        acceptor.implementation_class_uid = self.ae.implementation_class_uid
        acceptor.implementation_version_name = self.ae.implementation_version_name
        acceptor.supported_contexts = list[PresentationContext]()  # set when the request is known
        association.requestor.address_info = self.remote
        self._bind(association)
        return association

    def _bind(self, association: Association) -> None:
        bound: dict[Any, Any] = self.server._handlers
        for event, handlers in bound.items():
            for handler, arguments in [handlers] if event.is_intervention else handlers:
                association.bind(event, handler, arguments)


class CappedServer(ThreadedAssociationServer):
    """Accepts connections within the limits."""

    request_queue_size = 128
    limits: Limits = Limits()

    def __init__(self, entity: AE, address: tuple[str, int], handlers: Sequence[Any], limits: Limits) -> None:
        self.limits = limits
        super().__init__(
            entity,
            address,
            entity.ae_title,
            entity.supported_contexts,
            evt_handlers=list(handlers),
            request_handler=CappedHandler,
        )
        entity._servers.append(self)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether one more connection from this address is taken."""
        open_now = Counter(
            thread.name
            for thread in threading.enumerate()
            if isinstance(thread, StoringAssociation) and thread._server is self
        )
        here = open_now[f"AcceptorThread@{client_address[0]}"]
        return open_now.total() < self.limits.connections and here < self.limits.connections_per_address

    def established(self) -> int:
        """How many associations are established."""
        return sum(association.is_established for association in self.active_associations)


def _acknowledge_at_once(sock: socket.socket) -> None:
    """Ask the kernel not to delay the next acknowledgement; it forgets, so ask before each message."""
    if hasattr(socket, "TCP_QUICKACK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
