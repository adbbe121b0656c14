"""HTTP/1.1 on one accepted connection: heads and bodies in, answers out, within deadlines."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import h11

_RECV_BYTES: Final = 262_144
_LINGER_SECONDS: Final = 1.0
_LINGER_BYTES: Final = 4 << 20

Headers = Sequence[tuple[str, str]]


class Gone(Exception):
    """The caller closed the connection, is too slow, or broke the protocol beyond an answer."""


class BadRequest(Exception):
    """What came is no HTTP; `status` is the answer to it."""

    def __init__(self, status: int) -> None:
        super().__init__(f"no HTTP request: {status}")
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How slow a caller may be.

    `head_seconds` is from the connection, or the last answer, to the end of a request's head. While a
    body comes, we wait `grace_seconds` in all, and a second more for each `bytes_per_second`.
    """

    head_seconds: float = 15.0
    grace_seconds: float = 30.0
    bytes_per_second: int = 10_000
    answer_seconds: float = 30.0
    head_bytes: int = 32_768


class Wire:
    """One connection, server side; not for several threads."""

    def __init__(self, sock: socket.socket, pace: Pace) -> None:
        self._sock = sock
        self._pace = pace
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=pace.head_bytes)
        self._is_closed = False

    def request(self) -> h11.Request:
        """The head of the next request.

        Raises
        ------
        Gone
            When none comes in time.
        BadRequest
            When it is none, or too long.
        """
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        deadline = time.monotonic() + self._pace.head_seconds
        while True:
            event = self._next_event()
            if isinstance(event, h11.Request):
                return event
            if event is not h11.NEED_DATA:
                raise Gone
            self._receive(deadline - time.monotonic())

    def body(self) -> Iterator[bytes]:
        """The body of the request, as it comes. Errors as in `request`."""
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))
        patience = self._pace.grace_seconds
        while True:
            event = self._next_event()
            if isinstance(event, h11.Data):
                yield event.data
            elif isinstance(event, h11.EndOfMessage):
                return
            elif event is h11.NEED_DATA:
                began = time.monotonic()
                received = self._receive(patience)
                patience += received / self._pace.bytes_per_second - (time.monotonic() - began)
            else:
                raise Gone

    def answer(self, status: int, headers: Headers, body: bytes = b"", *, close: bool = False) -> None:
        """Answer the request; with `close`, or where its body was not read, no other may follow."""
        ends = close or self._http.their_state is not h11.DONE
        fields = [*headers, ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        if ends:
            fields.append(("Connection", "close"))
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            raise Gone
        self._send(h11.Response(status_code=status, headers=fields))
        self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())

    @property
    def is_reusable(self) -> bool:
        """Whether another request may come."""
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    def linger(self) -> None:
        """Read over what the caller still sends, a little: closing on unread bytes would take the answer back."""
        try:
            socket.socket.shutdown(self._sock, socket.SHUT_WR)  # the socket's, where it is an SSLSocket
            deadline, left = time.monotonic() + _LINGER_SECONDS, _LINGER_BYTES
            while left > 0 and deadline > time.monotonic():
                self._sock.settimeout(_LINGER_SECONDS)
                read = len(self._sock.recv(_RECV_BYTES))
                if not read:
                    return
                left -= read
        except OSError:
            return

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            if self._is_closed:
                raise Gone from None
            raise BadRequest(error.error_status_hint) from None

    def _receive(self, seconds: float) -> int:
        if seconds <= 0:
            raise Gone
        try:
            self._sock.settimeout(seconds)
            data = self._sock.recv(_RECV_BYTES)
        except OSError:
            raise Gone from None
        self._is_closed = not data
        self._http.receive_data(data)
        return len(data)

    def _send(self, event: h11.Event) -> None:
        try:
            data = self._http.send(event)
            self._sock.settimeout(self._pace.answer_seconds)
            self._sock.sendall(data or b"")
        except (OSError, h11.LocalProtocolError):
            raise Gone from None
