"""The connection itself, over a socket that does what the test says."""

from __future__ import annotations

import socket
import time
from threading import Event

import pytest

from cds_pacs.scp.wire import AHEAD, Gone, Leaving, Pace, TooSlow, Wire

PACE = Pace(idle_seconds=1, grace_seconds=1, bytes_per_second=1000, tick_seconds=0.1)
FAR = 1e12


class Script:
    """A socket that gives out prepared pieces; None is a silence, b"" the end."""

    def __init__(self, *pieces: bytes | None) -> None:
        self.pieces = list(pieces)
        self.calls: list[str] = []

    def settimeout(self, seconds: float | None) -> None:
        self.calls.append("settimeout")

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        acknowledge = (level, option, value) == (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self.calls.append("acknowledge" if acknowledge else "setsockopt")

    def recv_into(self, view: memoryview) -> int:
        self.calls.append("receive")
        piece = self.pieces.pop(0) if self.pieces else None
        if piece is None:
            raise BlockingIOError
        if len(piece) > len(view):
            self.pieces.insert(0, piece[len(view) :])
            piece = piece[: len(view)]
        view[: len(piece)] = piece
        return len(piece)


def wire(script: Script, deadline: float = FAR, leaving: Event | None = None) -> Wire:
    return Wire(script, PACE, leaving or Event(), deadline)  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux delays and tells")
def test_the_acknowledgement_is_asked_for_before_a_header_is_waited_for() -> None:
    script = Script(b"head", b"head")
    one = wire(script)
    script.calls.clear()
    one.head(4)
    one.head(4)
    assert script.calls == ["acknowledge", "receive"] * 2


def test_the_next_header_comes_with_the_payload_in_one_call() -> None:
    script = Script(b"payload" + b"header")
    one = wire(script)
    script.calls.clear()
    view = memoryview(bytearray(7 + AHEAD))
    one.read_into(view, 7)
    assert (bytes(view[:7]), one.head(6), script.calls) == (b"payload", b"header", ["receive"])


def test_what_was_read_ahead_is_used_first() -> None:
    one = wire(Script(b"ab" + bytes(range(200)), bytes(range(200, 256))))
    assert one.head(2) == b"ab"
    assert one.read(100) == bytes(range(100))
    assert one.head(10) == bytes(range(100, 110))
    assert one.read(146) == bytes(range(110, 256))


def test_an_end_is_an_end_also_in_the_middle() -> None:
    with pytest.raises(Gone):
        wire(Script(b"ab", b"")).head(4)
    with pytest.raises(Gone):
        wire(Script(b"ab", b"")).read(4)


@pytest.mark.parametrize("tick_seconds", [0.02, 1e-9])
def test_a_silent_peer_is_left_with_the_deadline_and_one_that_reads_nothing_with_a_tick(tick_seconds: float) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pace = Pace(idle_seconds=1, grace_seconds=1, bytes_per_second=1000, tick_seconds=tick_seconds)
        one = Wire(ours, pace, Event(), time.monotonic() + 0.1)
        with pytest.raises(TooSlow):
            one.head(1)
        with pytest.raises(Gone):
            one.send(bytes(1 << 24))


@pytest.mark.parametrize("piece", [None, b"x"])
def test_silence_and_drips_alike_end_with_the_deadline(piece: bytes | None) -> None:
    with pytest.raises(TooSlow):
        wire(Script(*[piece] * 10), deadline=0.0).read(100)


def test_a_stopping_node_leaves_between_messages_only() -> None:
    leaving = Event()
    leaving.set()
    one = wire(Script(None, b"abcd"), leaving=leaving)
    one.wait()
    with pytest.raises(Leaving):
        one.head(4)
    one = wire(Script(None, b"abcd"), leaving=leaving)
    one.wait()
    one.expect(4)
    assert one.read(4) == b"abcd"


def test_bytes_buy_time_but_never_more_than_the_grace_ahead() -> None:
    one = wire(Script())
    one.wait()
    before = one.deadline
    for _ in range(1000):
        one.expect(100)
    assert one.deadline <= time.monotonic() + PACE.grace_seconds + 100 / PACE.bytes_per_second
    one.deadline = before
    one.expect(50)
    assert one.deadline == pytest.approx(before + 0.05, abs=1e-6)
