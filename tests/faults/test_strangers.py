"""Who costs a listener something without being a modality: others are served within 2 s, and nothing remains."""

from __future__ import annotations

import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from struct import pack

import pytest

from cds_pacs.testing.bare_scu import (
    CT_IMAGE,
    BareScu,
    association_request,
    context,
    message,
    store_command,
    value,
)
from faults.processes import forget_peak, peak_bytes, resident_bytes
from faults.senders import Pulse, instance
from faults.stage import Stage

DEFLATED = "1.2.840.10008.1.2.1.99"
GROWTH = 16 << 20
HASTY = (
    "association_seconds = 2.0\nidle_seconds = 3.0\ngrace_seconds = 2.0\nleast_bytes_per_second = 4000\n"
    "spare_connections = 200\n"
)


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("stage"), listener=HASTY)
    stage.start()
    stage.send(instance(1, 1))
    stage.check()
    yield stage
    stage.close()


@contextmanager
def bounded(stage: Stage) -> Iterator[Pulse]:
    """Others are served as long as the block runs; then threads, descriptors and memory are back."""
    listener, before = stage.listener, stage.usage()["listener"]
    forget_peak(listener)
    resident = resident_bytes(listener)
    with stage.pulse() as pulse:
        yield pulse
        assert stage.send(instance(1, 1)) == [0x0000]
    grown = peak_bytes(listener) - resident
    assert grown < GROWTH, f"{grown >> 20} MB more memory"
    stage.wait(lambda: stage.usage()["listener"] <= before, f"threads and descriptors {before} again")
    assert stage.listener == listener, "the listener was replaced"


@contextmanager
def connections(port: int, count: int, first_words: bytes = b"") -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        found = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]
        for sock in found:
            sock.sendall(first_words)
        yield found


@pytest.mark.parametrize("count", [10, 50])
def test_idle_sockets_keep_nobody_out(common: Stage, count: int) -> None:
    with bounded(common) as pulse, connections(common.port, count):
        pulse.wait(1.0)
    common.check()


def test_idle_associations_keep_nobody_out_for_long(common: Stage) -> None:
    with bounded(common) as pulse, connections(common.port, 20, association_request()):
        pulse.wait(1.0)
    common.check()


@pytest.mark.parametrize("head", [pack(">BxL", 1, 0xFFFFFFFF), association_request() + pack(">BxL", 4, 0xFFFFFFFF)])
def test_a_declared_pdu_of_4_gib_is_not_buffered(common: Stage, head: bytes) -> None:
    megabyte = bytes(1 << 20)
    with bounded(common), connections(common.port, 3, head) as giants:
        for sock in giants:
            with pytest.raises(OSError):
                for _ in range(100_000):  # it hears us out for a second
                    sock.sendall(megabyte)
    common.check()


def test_a_byte_at_a_time_is_cut_off(common: Stage) -> None:
    def drip(sock: socket.socket, pause: threading.Event) -> None:
        with pytest.raises(OSError):
            for byte in association_request() * 50:
                sock.sendall(bytes((byte,)))
                pause.wait(0.2)

    with bounded(common), connections(common.port, 20) as drips:
        threads = [threading.Thread(target=drip, args=(sock, threading.Event())) for sock in drips]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive(), "who drips was not sent away"
    common.check()


def test_a_data_set_that_drips_is_cut_off_and_leaves_nothing(common: Stage) -> None:
    with bounded(common), common.sender.call() as scu:
        scu.say(message(store_command("2.25.9.9")), pack(">BxL", 4, 4_006), value(bytes(4_000), 2)[:6])
        with pytest.raises(OSError):
            for _ in range(200):
                scu.say(b"\0")
                threading.Event().wait(0.1)
    common.check()


def test_contexts_without_data_cost_nothing(common: Stage) -> None:
    proposed = [context(2 * n + 1, f"1.2.840.10008.5.1.4.1.1.{n + 1}", ["1.2.840.10008.1.2"] * 20) for n in range(128)]
    with bounded(common):
        for _ in range(20):
            with BareScu(common.port) as scu:
                scu.associate(association_request(*proposed))
                scu.release()
    common.check()


def test_a_deflate_bomb_costs_no_memory(common: Stage) -> None:
    """An image whose last element inflates to 439 MB."""
    one = instance(2, 1)
    private = pack("<HH2sH2s", 0x7FE1, 0x0010, b"LO", 2, b"X ") + pack("<HH2s2xL", 0x7FE1, 0x1010, b"OB", 439 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts = [one.content + private, *[bytes(1 << 20)] * 439]
    bomb = b"".join(packer.compress(part) for part in parts) + packer.flush()
    with bounded(common), BareScu(common.port) as scu:
        scu.associate(association_request(context(1, CT_IMAGE, [DEFLATED])))
        assert common.sender.store(scu, replace(one, content=bomb)) in (0x0000, 0xC000, 0xA700)
    common.check()


def test_a_hundred_aborts_in_the_middle_of_a_data_set_leave_nothing(common: Stage) -> None:
    one = instance(3, 1, size=3 << 20)
    with bounded(common):
        for _ in range(100):
            with common.sender.call() as scu:
                scu.say(message(store_command(one.uid), one.content)[:2_000_000])
    common.check()


def test_random_bytes_are_turned_away(common: Stage) -> None:
    with bounded(common), connections(common.port, 30, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(range(256)) * 20):
        pass
    common.check()


def test_it_stops_with_nothing_left_behind(common: Stage) -> None:
    common.stop()
    common.check()
