"""pynetdicom's application entity, with limits on what the other side may cost.

pynetdicom 3.0.4 buffers a PDU of any declared size, and a byte now and then keeps a thread for ever.
Its private parts are used (the version is pinned for it).
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

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


def _acknowledge_at_once(sock: socket.socket) -> None:
    """Ask the kernel not to delay the next acknowledgement; it forgets, so ask before each message."""
    if hasattr(socket, "TCP_QUICKACK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
