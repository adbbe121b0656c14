"""Accepts connections within the limits, each in a thread of its own; whoever says nothing longest gives way."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cds_dicomweb.tls import ServerTls

_LOG: Final = logging.getLogger(__name__)

_BACKLOG: Final = 128
_OUT_OF_DESCRIPTORS_PAUSE_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How many connections are open at once, in all and from one address."""

    connections: int
    connections_per_address: int
    handshake_seconds: float


class Connection:
    """One accepted connection: waiting for a request, or busy with one."""

    def __init__(self, server: ConnectionServer, sock: socket.socket, address: str) -> None:
        self._server = server
        self.socket = sock
        self.address = address
        self.waiting_since: float | None = time.monotonic()
        self.thread: threading.Thread | None = None

    def begin(self) -> bool:
        """A request is there: whether it may still be served."""
        with self._server.lock:
            self.waiting_since = None
            return self in self._server.connections and not self._server.is_stopping

    def end(self) -> bool:
        """The request is answered: whether another one may come."""
        with self._server.lock:
            self.waiting_since = time.monotonic()
            return self in self._server.connections and not self._server.is_stopping

    def certificate(self) -> bytes | None:
        """The caller's verified certificate (DER); None without TLS."""
        getpeercert = getattr(self.socket, "getpeercert", None)
        return bytes(getpeercert(binary_form=True) or b"") if getpeercert else None

    def cut(self) -> None:
        """Wake whoever waits on the socket, with its end."""
        try:
            # Not the SSLSocket's own: it would take the TLS from under the thread that reads.
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
        except OSError:
            return


class ConnectionServer:
    """Listens on a socket; `serve` is called with each connection, in the connection's own thread."""

    def __init__(
        self, sock: socket.socket, caps: Caps, tls: ServerTls | None, serve: Callable[[Connection], None]
    ) -> None:
        self._sock = sock
        self._caps = caps
        self._tls = tls
        self._serve = serve
        self._woken, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, name="cds-dicomweb", daemon=True)
        self.lock = threading.Lock()
        self.connections: dict[Connection, None] = {}
        self.is_stopping = False

    def start(self) -> None:
        """Accept connections, without blocking."""
        self._thread.start()

    def stop(self, drain_seconds: float) -> None:
        """Take no new connection, let requests end within `drain_seconds`, then cut what is left."""
        with self.lock:
            self.is_stopping = True
            running = list(self.connections)
        self._waker.send(b"\x00")
        self._thread.join()
        for sock in (self._sock, self._woken, self._waker):
            sock.close()
        for connection in running:
            if connection.waiting_since is not None:
                connection.cut()
        deadline = time.monotonic() + drain_seconds
        for connection in running:
            _join(connection, max(0.0, deadline - time.monotonic()))
        for connection in running:
            connection.cut()
            _join(connection, drain_seconds)

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self.is_stopping:
                selector.select()
                if not self.is_stopping:
                    self._accept_one()

    def _accept_one(self) -> None:
        try:
            sock, address = self._sock.accept()
        except BlockingIOError:
            return  # another process was quicker, or the caller has gone
        except OSError as error:
            _LOG.error("no connection can be accepted now: %s", error.strerror)
            threading.Event().wait(_OUT_OF_DESCRIPTORS_PAUSE_SECONDS)
            return
        connection = Connection(self, sock, str(address[0]))
        if not self._admit(connection):
            _LOG.warning("connection from %s closed: too many are busy", connection.address)
            sock.close()
            return
        connection.thread = threading.Thread(
            target=self._run, args=(connection,), name=f"cds-dicomweb@{connection.address}", daemon=True
        )
        try:
            connection.thread.start()
        except RuntimeError:
            _LOG.error("connection from %s closed: no thread can be started", connection.address)
            self._forget(connection)

    def _admit(self, new: Connection) -> bool:
        """Make room for one more connection, if there is any to be made."""
        with self.lock:
            near = [other for other in self.connections if other.address == new.address]
            if len(near) >= self._caps.connections_per_address and not self._give_way(near):
                return False
            if len(self.connections) >= self._caps.connections and not self._give_way(list(self.connections)):
                return False
            self.connections[new] = None
            return True

    def _give_way(self, crowd: list[Connection]) -> bool:
        waiting = [
            (other.waiting_since, number) for number, other in enumerate(crowd) if other.waiting_since is not None
        ]
        if not waiting:
            return False
        longest = crowd[min(waiting)[1]]
        del self.connections[longest]
        longest.cut()
        return True

    def _run(self, connection: Connection) -> None:
        try:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                self._shake_hands(connection, self._tls)
            self._serve(connection)
        except OSError as error:
            _LOG.warning("connection from %s broken off: %s", connection.address, type(error).__name__)
        except Exception as error:  # a defect of ours: its message may carry what was received
            _LOG.error("connection from %s broken off by a defect: %s", connection.address, type(error).__name__)
        finally:
            self._forget(connection)

    def _shake_hands(self, connection: Connection, tls: ServerTls) -> None:
        plain = connection.socket
        plain.settimeout(self._caps.handshake_seconds)
        wrapped = tls.context().wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        connection.socket = wrapped
        wrapped.do_handshake()

    def _forget(self, connection: Connection) -> None:
        with self.lock:
            self.connections.pop(connection, None)
        connection.socket.close()


def _join(connection: Connection, seconds: float) -> None:
    if connection.thread is not None and connection.thread.ident is not None:
        connection.thread.join(seconds)


def listening_socket(host: str, port: int, *, is_shared: bool) -> socket.socket:
    """Bind and listen, IPv4 or IPv6.

    Raises
    ------
    OSError
        When the port is taken, or the address is not ours.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
