"""A connection that is read in time or not at all."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from struct import pack
from threading import Event
from typing import Final

AHEAD: Final = 512
"""Bytes that are read beyond what was asked for, so that the next header costs no call of its own."""

_NOW: Final = time.monotonic
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)


class Fault(IntEnum):
    """Why an association is aborted by the provider (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6


class ProtocolError(Exception):
    """The peer does not keep to the protocol; it is told so, and the association ends."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class TooSlow(Exception):
    """What was due did not come in time."""


class Gone(Exception):
    """The peer closed or broke the connection."""


class Leaving(Exception):
    """The node is stopping, and the peer has nothing under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a peer must keep up with.

    Attributes
    ----------
    idle_seconds
        Longest silence between two messages.
    grace_seconds
        How far a message may fall behind its pace.
    bytes_per_second
        The pace.
    tick_seconds
        How often a silent connection is looked at.
    """

    idle_seconds: float
    grace_seconds: float
    bytes_per_second: float
    tick_seconds: float


class Wire:
    """One connection, read by one thread.

    Whatever is read must be there by `deadline` (on the monotonic clock). `wait` and `expect` move it.
    """

    def __init__(self, sock: socket.socket, pace: Pace, leaving: Event, deadline: float) -> None:
        self.deadline = deadline
        self._sock = sock
        self._pace = pace
        self._leaving = leaving
        self._idle = False
        self._ahead = b""
        self._scratch = memoryview(bytearray(AHEAD))
        self._seconds_per_byte = 1 / pace.bytes_per_second
        _tick(sock, pace.tick_seconds)

    def wait(self) -> None:
        """Nothing is under way: the peer may be silent for a while."""
        self._idle = True
        self.deadline = _NOW() + self._pace.idle_seconds

    def expect(self, size: int) -> None:
        """So many bytes are on their way: time for them, and for the next header.

        A sender in time cannot save up: it is never further ahead than the grace.
        """
        self._idle = False
        latest = _NOW() + self._pace.grace_seconds
        self.deadline = min(self.deadline, latest) + size * self._seconds_per_byte

    def head(self, size: int) -> bytes:
        """Read a few bytes."""
        ahead = self._ahead
        while len(ahead) < size:
            self._acknowledge_at_once()
            ahead += self._scratch[: self._receive(self._scratch)]
        self._ahead = ahead[size:]
        return ahead[:size]

    def read(self, size: int) -> bytes:
        """Read so many bytes, into memory that grows with what comes."""
        content = bytearray(size + AHEAD)
        with memoryview(content) as view:
            self.read_into(view, size)
        return bytes(content[:size])

    def read_into(self, view: memoryview, size: int) -> None:
        """Fill the first `size` bytes of a view, which must be `AHEAD` longer; the rest is spoilt."""
        got = min(size, len(self._ahead))
        if got:
            view[:got] = self._ahead[:got]
            self._ahead = self._ahead[got:]
        end = size + AHEAD
        while got < size:
            got += self._receive(view[got:end])
        if got > size:
            self._ahead = bytes(view[size:got])

    def send(self, content: bytes) -> None:
        """Send all of it.

        Raises
        ------
        Gone
            When the peer does not take it.
        """
        try:
            self._sock.sendall(content)
        except OSError:
            raise Gone from None

    def linger(self, seconds: float) -> None:
        """Let the peer close first, so that it reads our last word; what it still says is dropped."""
        self._idle, self.deadline = False, _NOW() + seconds
        with suppress(Gone, TooSlow), memoryview(bytearray(1 << 16)) as view:
            while not self._leaving.is_set():
                self._receive(view)

    def _receive(self, view: memoryview) -> int:
        while True:
            try:
                count = self._sock.recv_into(view)
            except (TimeoutError, BlockingIOError):
                count = -1
            except OSError:
                raise Gone from None
            if not count:
                raise Gone
            if _NOW() > self.deadline:
                raise TooSlow
            if count > 0:
                return count
            if self._idle and self._leaving.is_set():
                raise Leaving

    def _acknowledge_at_once(self) -> None:
        """Ask the kernel not to hold the acknowledgement back; it forgets, so ask before each header.

        A sender with Nagle's algorithm waits for it with the rest of its message: 40 ms each time.
        """
        if _QUICKACK is not None:
            with suppress(OSError):
                self._sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


def _tick(sock: socket.socket, seconds: float) -> None:
    """Let no call wait for longer.

    The kernel keeps the time where there is no TLS. Python would ask before each call whether there is
    something, and every call gives the interpreter to another association and waits for it again.
    """
    if isinstance(sock, ssl.SSLSocket):
        sock.settimeout(seconds)
        return
    sock.settimeout(None)
    whole, part = divmod(seconds, 1)
    interval = pack("@ll", int(whole), int(part * 1_000_000) or int(not whole))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        sock.setsockopt(socket.SOL_SOCKET, option, interval)
