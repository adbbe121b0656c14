"""Accepts connections within the limits, each in a thread of its own, and holds each to its deadlines."""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from cds_hl7.desk import Answer
from cds_hl7.framing import Block, Blocks, framed

_LOG: Final = logging.getLogger(__name__)
_BACKLOG: Final = 128
_READ_BYTES: Final = 1 << 16
_PAUSE_SECONDS: Final = 0.2

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Take = Callable[[Block], list[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of the connections together, and of each one; times in seconds.

    Attributes
    ----------
    networks
        Who may connect; None for everybody.
    idle
        How long a connection may say nothing between two messages.
    grace, bytes_per_second
        A message must be whole `grace` after its start, and a second later for each `bytes_per_second`.
    """

    networks: tuple[Network, ...] | None
    connections: int
    connections_per_address: int
    message_bytes: int
    idle: float
    grace: float
    bytes_per_second: int


class Line:
    """One connection."""

    def __init__(self, sock: socket.socket, address: str, limits: Limits, take: Take) -> None:
        self.socket = sock
        self.address = address
        self.thread: threading.Thread | None = None
        self.quiet_since: float | None = time.monotonic()
        self._limits = limits
        self._take = take
        self._blocks = Blocks(limits.message_bytes)
        self._begun_at = 0.0
        self._bytes = 0

    def serve(self) -> None:
        """Answer messages until the other side goes, or a deadline passes."""
        while part := self._next_part():
            blocks = self._blocks.feed(part)
            quiet_since, self.quiet_since = self.quiet_since, None
            if quiet_since is not None or blocks:
                self._begun_at, self._bytes = time.monotonic(), 0
            self._bytes += len(part)
            self._answer(blocks)
            if not self._blocks.inside:
                self.quiet_since = quiet_since if quiet_since is not None and not blocks else time.monotonic()
        rest = self._blocks.rest()
        self._answer([rest] if rest is not None else [])

    def cut(self) -> None:
        """Wake whoever waits on the socket, with its end."""
        try:
            # Not the SSLSocket's own: it would take the TLS from under the thread that reads.
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
        except OSError:
            return

    def _answer(self, blocks: Sequence[Block]) -> None:
        """Hand on every message before the first answer is waited for: they share a commit."""
        answers = [answer for block in blocks for answer in self._take(block)]
        if answers:
            said = b"".join(framed(answer()) for answer in answers)
            self.socket.settimeout(self._limits.grace)
            self.socket.sendall(said)

    def _next_part(self) -> bytes:
        """What comes next; nothing where it does not come in time."""
        if self.quiet_since is None:
            allowed = self._limits.grace + self._bytes / self._limits.bytes_per_second
            left = self._begun_at + allowed - time.monotonic()
        else:
            left = self.quiet_since + self._limits.idle - time.monotonic()
        if left <= 0:
            return b""
        self.socket.settimeout(left)
        try:
            return self.socket.recv(_READ_BYTES)
        except TimeoutError:
            return b""


class MllpServer:
    """Listens on a socket; whoever has said nothing longest gives way when there is no room."""

    def __init__(
        self,
        sock: socket.socket,
        limits: Limits,
        tls: Callable[[], ssl.SSLContext] | None,
        take: Take,
    ) -> None:
        self._socket = sock
        self._limits = limits
        self._tls = tls
        self._take = take
        self._lock = threading.Lock()
        self._lines: list[Line] = []
        self._is_stopping = False
        self._thread = threading.Thread(target=self._accept, name="cds-hl7", daemon=True)

    def start(self) -> None:
        """Accept connections, without blocking."""
        self._thread.start()

    def stop(self, drain_seconds: float) -> None:
        """Take no new connection, let messages that are arriving end within `drain_seconds`, then cut what is left."""
        self._is_stopping = True
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            if line.quiet_since is not None:
                line.cut()
        deadline = time.monotonic() + drain_seconds
        for line in lines:
            _join(line, max(0.0, deadline - time.monotonic()))
        for line in lines:
            line.cut()
            _join(line, drain_seconds)

    def _accept(self) -> None:
        while not self._is_stopping:
            try:
                sock, address = self._socket.accept()
            except OSError as error:
                if not self._is_stopping:
                    _LOG.error("no connection can be accepted now: %s", error.strerror)
                    threading.Event().wait(_PAUSE_SECONDS)
                continue
            self._welcome(sock, str(address[0]))

    def _welcome(self, sock: socket.socket, address: str) -> None:
        line = Line(sock, address, self._limits, self._take)
        if not may_connect(address, self._limits.networks):
            _LOG.warning("connection from %s refused: the address is not among those that may connect", address)
            sock.close()
        elif not self._admit(line):
            _LOG.warning("connection from %s refused: too many are busy", address)
            sock.close()
        else:
            line.thread = threading.Thread(target=self._run, args=(line,), name="cds-hl7-line", daemon=True)
            try:
                line.thread.start()
            except RuntimeError:
                _LOG.error("connection from %s closed: no thread can be started", address)
                line.thread = None
                self._forget(line)

    def _admit(self, new: Line) -> bool:
        with self._lock:
            near = [line for line in self._lines if line.address == new.address]
            for crowd, most in ((near, self._limits.connections_per_address), (self._lines, self._limits.connections)):
                if len(crowd) >= most and not self._give_way(crowd):
                    return False
            self._lines.append(new)
            return True

    def _give_way(self, crowd: Sequence[Line]) -> bool:
        quiet = [(line.quiet_since, number) for number, line in enumerate(crowd) if line.quiet_since is not None]
        if not quiet:
            return False
        longest = crowd[min(quiet)[1]]
        self._lines.remove(longest)
        longest.cut()
        return True

    def _run(self, line: Line) -> None:
        try:
            line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                self._shake_hands(line, self._tls())
            line.serve()
        except OSError as error:
            _LOG.warning("connection from %s broken off: %s", line.address, type(error).__name__)
        except Exception as error:  # a defect of ours: its message may carry what was received
            _LOG.error("connection from %s broken off by a defect: %s", line.address, type(error).__name__)
        finally:
            self._forget(line)

    def _shake_hands(self, line: Line, context: ssl.SSLContext) -> None:
        line.socket.settimeout(self._limits.grace)
        wrapped = context.wrap_socket(line.socket, server_side=True, do_handshake_on_connect=False)
        line.socket = wrapped
        wrapped.do_handshake()

    def _forget(self, line: Line) -> None:
        with self._lock:
            if line in self._lines:
                self._lines.remove(line)
        line.socket.close()


def may_connect(address: str, networks: Sequence[Network] | None) -> bool:
    """Whether an address is in one of the networks; IPv4 within IPv6 (``::ffff:192.0.2.1``) counts as IPv4."""
    if networks is None:
        return True
    given = ipaddress.ip_address(address.partition("%")[0])
    plain = getattr(given, "ipv4_mapped", None) or given
    return any(plain in network for network in networks)


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
    except OSError:
        sock.close()
        raise
    return sock


def _join(line: Line, seconds: float) -> None:
    if line.thread is not None and line.thread.ident is not None:
        line.thread.join(seconds)
