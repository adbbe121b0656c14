"""HTTP/1.1 on accepted connections: each in a thread of its own, requests whole and within limits and deadlines."""

from __future__ import annotations

import logging
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import h11

_LOG: Final = logging.getLogger(__name__)
_RECV_BYTES: Final = 262_144
_LINGER_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.2
_LINGER_BYTES: Final = 4 << 20
_HEAD_BYTES: Final = 32_768
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of connections and requests; times in seconds.

    A request must be whole `grace` after its first byte, and a second later for each `bytes_per_second`.
    """

    connections: int
    body_bytes: int
    idle: float
    grace: float
    bytes_per_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request; `body` is empty where its head already decided the answer."""

    method: str
    target: str
    headers: dict[str, str] = field(repr=False)
    address: str
    body: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered."""

    status: int
    body: bytes = b""
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Service:
    """What answers: `admit` by the head alone (None: read the body), `take` with the body, `refuse` what is no HTTP."""

    admit: Callable[[Request], Answer | None]
    take: Callable[[Request], Answer]
    refuse: Callable[[int, str], Answer]


class _Gone(Exception):
    """The caller closed the connection, is too slow, or broke the protocol beyond an answer."""


class _TooLong(Exception):
    """The body is longer than is taken."""


class HttpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves what is accepted on a socket that listens already.

    Parameters
    ----------
    sock
        Bound and listening.
    tls
        Gives the TLS context for a new connection; None: without TLS.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, sock: socket.socket, limits: Limits, tls: Callable[[], ssl.SSLContext] | None, service: Service
    ) -> None:
        super().__init__(sock.getsockname(), socketserver.BaseRequestHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = sock
        self._limits = limits
        self._tls = tls
        self._service = service
        self._places = threading.BoundedSemaphore(limits.connections)
        self._open: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._is_stopping = False
        self._thread = threading.Thread(target=self.serve_forever, args=(0.2,), name="cds-fhir", daemon=True)

    def start(self) -> None:
        """Accept connections, without blocking."""
        self._thread.start()

    def stop(self, drain_seconds: float) -> None:
        """Take no new connection, let requests end within `drain_seconds`, then cut what is left."""
        self._is_stopping = True
        self.shutdown()
        self._thread.join()
        self.server_close()
        deadline = time.monotonic() + drain_seconds
        with self._lock:
            running = list(self._open.items())
        for sock, thread in running:
            _end(sock, socket.SHUT_RD)  # who waits for a request gets its end; an answer can still be sent
            thread.join(max(0.0, deadline - time.monotonic()))
        for sock, thread in running:
            _end(sock, socket.SHUT_RDWR)
            thread.join(drain_seconds)

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept a connection; where none can be, wait a little, for the next attempt comes at once."""
        try:
            return super().get_request()
        except OSError as error:
            _LOG.error("no connection can be accepted now: %s", error.strerror)
            threading.Event().wait(_PAUSE_SECONDS)
            raise

    def process_request(self, request: object, client_address: object) -> None:
        """Start the thread of a connection."""
        try:
            super().process_request(request, client_address)  # type: ignore[arg-type]
        except RuntimeError:
            self._places.release()
            raise

    def verify_request(self, request: object, client_address: object) -> bool:
        """Whether there is a place for one more connection."""
        is_free = self._places.acquire(blocking=False)
        if not is_free:
            _LOG.warning("a connection is closed: too many are open")
        return is_free

    def finish_request(self, request: object, client_address: object) -> None:
        """Serve one connection; runs in its thread."""
        if not isinstance(request, socket.socket) or not isinstance(client_address, tuple):
            raise TypeError("TCP only")
        address = str(client_address[0])
        with self._lock:
            self._open[request] = threading.current_thread()
        try:
            self._serve(request, address)
        except OSError as error:
            _LOG.warning("connection from %s broken off: %s", address, type(error).__name__)
        finally:
            with self._lock:
                del self._open[request]
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A defect of ours: its message may carry what was received."""
        _LOG.error("a connection is broken off by a defect", exc_info=False)

    def _serve(self, sock: socket.socket, address: str) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain = sock
        if self._tls is not None:
            sock.settimeout(self._limits.grace)
            sock = self._tls().wrap_socket(sock, server_side=True)
        try:
            wire = _Wire(sock, self._limits, address)
            while wire.serve(self._service) and not self._is_stopping:
                pass
        except _Gone:
            return
        finally:
            if sock is not plain:
                sock.close()


class _Wire:
    """One connection, server side."""

    def __init__(self, sock: socket.socket, limits: Limits, address: str) -> None:
        self._sock = sock
        self._limits = limits
        self._address = address
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)

    def serve(self, service: Service) -> bool:
        """Answer one request; whether another one may come."""
        try:
            head = self._head()
            admitted = service.admit(head)
            answer = admitted if admitted is not None else service.take(self._whole(head))
        except h11.RemoteProtocolError as error:
            answer = service.refuse(error.error_status_hint, "no HTTP/1.1 request that can be read")
        except _TooLong:
            answer = service.refuse(413, f"the body is longer than {self._limits.body_bytes} bytes")
        return self._answer(answer)

    def _head(self) -> Request:
        event = self._next(time.monotonic() + self._limits.idle)
        if not isinstance(event, h11.Request):
            raise _Gone
        return Request(
            method=event.method.decode("ascii", "replace"),
            target=event.target.decode("ascii", "replace"),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers},
            address=self._address,
        )

    def _whole(self, head: Request) -> Request:
        said = head.headers.get("content-length", "0")
        if said.isdigit() and int(said) > self._limits.body_bytes:
            raise _TooLong
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))
        body, began = bytearray(), time.monotonic()
        while True:
            allowed = self._limits.grace + len(body) / self._limits.bytes_per_second
            event = self._next(began + allowed)
            if isinstance(event, h11.EndOfMessage):
                return Request(
                    method=head.method, target=head.target, headers=head.headers, address=head.address, body=bytes(body)
                )
            if not isinstance(event, h11.Data):
                raise _Gone
            body += event.data
            if len(body) > self._limits.body_bytes:
                raise _TooLong

    def _answer(self, answer: Answer) -> bool:
        """Send an answer; where the body was not read, no other request may follow."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            raise _Gone
        ends = self._http.their_state is not h11.DONE
        fields = [*answer.headers, ("Content-Length", str(len(answer.body))), ("Cache-Control", "no-store")]
        self._send(h11.Response(status_code=answer.status, headers=fields + [("Connection", "close")] * ends))
        self._send(h11.Data(data=answer.body))
        self._send(h11.EndOfMessage())
        state: object = self._http.our_state  # it has moved on since it was looked at above
        if ends or state is not h11.DONE:
            self._linger()
            return False
        self._http.start_next_cycle()
        return True

    def _next(self, deadline: float) -> object:
        while True:
            event = self._http.next_event()
            if not isinstance(event, type) or event is h11.PAUSED:
                return event
            seconds = deadline - time.monotonic()
            if seconds <= 0:
                raise _Gone
            self._sock.settimeout(seconds)
            try:
                data = self._sock.recv(_RECV_BYTES)
            except OSError:
                raise _Gone from None
            if not data:
                raise _Gone
            self._http.receive_data(data)

    def _send(self, event: h11.Event) -> None:
        try:
            data = self._http.send(event)
            self._sock.settimeout(self._limits.grace)
            self._sock.sendall(data or b"")
        except (OSError, h11.LocalProtocolError):
            raise _Gone from None

    def _linger(self) -> None:
        """Read over what the caller still sends, a little: closing on unread bytes would take the answer back."""
        deadline, left = time.monotonic() + _LINGER_SECONDS, _LINGER_BYTES
        try:
            socket.socket.shutdown(self._sock, socket.SHUT_WR)  # the socket's, where it is an SSLSocket
            while left > 0 and deadline > time.monotonic():
                self._sock.settimeout(_LINGER_SECONDS)
                read = len(self._sock.recv(_RECV_BYTES))
                if not read:
                    return
                left -= read
        except OSError:
            return


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
        sock.listen(64)
    except OSError:
        sock.close()
        raise
    return sock


def _end(sock: socket.socket, how: int) -> None:
    try:
        socket.socket.shutdown(sock, how)  # the socket's, where it is an SSLSocket
    except OSError:
        return
