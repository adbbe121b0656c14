"""What a stranger may cost: little time, little memory, nobody else's place (promises 3 and 5)."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from struct import pack
from types import SimpleNamespace

import pytest

from cds.errors import OutOfResources
from cds.ports import Peer
from cds_pacs.listener import ListenerSettings
from cds_pacs.testing.bare_scu import (
    CT_IMAGE,
    BareScu,
    association_request,
    command_set,
    context,
    message,
    p_data,
    store_command,
    value,
)
from cds_pacs.testing.door import Door
from cds_pacs.testing.tray import Tray

HASTY = ListenerSettings(
    association_seconds=0.3, idle_seconds=0.3, grace_seconds=0.3, least_bytes_per_second=10_000, drain_seconds=2
)
PATIENT_BUT_STRICT = ListenerSettings(
    association_seconds=60, idle_seconds=60, grace_seconds=0.3, least_bytes_per_second=1_000_000, drain_seconds=2
)
VERIFICATION = context(1, "1.2.840.10008.1.1", ["1.2.840.10008.1.2"])
ABORT = 7


@pytest.fixture(scope="module")
def hall() -> Iterator[Door]:
    with Door(max_associations=50) as door:
        yield door


def drip(scu: BareScu, content: bytes, pause: float = 0.02) -> None:
    """Send byte after byte until the other side has enough."""
    waiting = threading.Event()
    with pytest.raises(OSError):
        for at in range(len(content)):
            scu.say(content[at : at + 1])
            waiting.wait(pause)


def test_who_says_nothing_is_sent_away(open_door: Callable[..., Door]) -> None:
    door = open_door(settings=HASTY)
    with door.call() as scu:
        assert scu.hear()[0] == ABORT


def test_who_drips_an_association_request_is_sent_away(open_door: Callable[..., Door]) -> None:
    door = open_door(settings=HASTY)
    with door.call() as scu:
        drip(scu, association_request() * 100)


def test_who_is_silent_after_the_association_is_sent_away(open_door: Callable[..., Door]) -> None:
    door = open_door(settings=replace(HASTY, association_seconds=60))
    with door.call() as scu:
        scu.associate()
        assert scu.hear() == (ABORT, bytes((0, 0, 2, 0)))


def test_who_drips_a_data_set_is_sent_away(open_door: Callable[..., Door]) -> None:
    door = open_door(settings=PATIENT_BUT_STRICT)
    with door.call() as scu:
        scu.associate()
        scu.say(message(store_command("2.25.1")))
        drip(scu, pack(">BxLLBB", 4, 60, 56, 1, 0) + bytes(10_000))
    assert door.tray.count == 0


def test_who_sends_one_small_pdu_after_the_other_is_sent_away(open_door: Callable[..., Door]) -> None:
    door = open_door(settings=PATIENT_BUT_STRICT)
    pdu, waiting = p_data(value(b"ab", 0)), threading.Event()
    with door.call() as scu:
        scu.associate()
        scu.say(message(store_command("2.25.1")))
        with pytest.raises(OSError):
            for _ in range(10_000):
                scu.say(pdu)
                waiting.wait(0.02)
    assert door.tray.count == 0


def test_a_fast_beginning_buys_no_long_silence(open_door: Callable[..., Door]) -> None:
    """10 MB at once are hours at the least pace; the sender must go on all the same."""
    door = open_door(settings=replace(PATIENT_BUT_STRICT, grace_seconds=2.0))
    with door.call() as scu:
        scu.associate()
        scu.say(message(store_command("2.25.1")), *[p_data(value(bytes(100_000), 0))] * 100)
        assert scu.hear() == (ABORT, bytes((0, 0, 2, 0)))


def test_a_slow_disk_is_not_the_senders_fault(open_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch) -> None:
    begun, later = time.monotonic(), [0.0]

    def clock() -> float:
        return begun + later[0]

    class Slow(Tray):
        def spool(self, announced):
            later[0] += 100.0
            return super().spool(announced)

    monkeypatch.setattr("cds_pacs.scp.wire._NOW", clock)
    monkeypatch.setattr("cds_pacs.scp.data_sets.time", SimpleNamespace(monotonic=clock))
    door = open_door(settings=PATIENT_BUT_STRICT, tray=Slow(spool_above_bytes=1_000))
    with door.call() as scu:
        scu.associate()
        assert scu.store("2.25.1", bytes(1 << 20)) == 0x0000


@pytest.mark.parametrize("head", [pack(">BxL", 1, 0xFFFFFFFF), pack(">BxL", 1, 131_073), pack(">BxL", 4, 100)])
def test_nothing_giant_and_no_data_before_the_association(hall: Door, head: bytes) -> None:
    with hall.call() as scu:
        scu.say(head)
        assert scu.hear() == (ABORT, bytes(4))


def test_a_pdu_longer_than_announced_is_not_read(hall: Door) -> None:
    with hall.call() as scu:
        scu.associate()
        scu.say(message(store_command("2.25.1")), pack(">BxL", 4, 132_000))
        assert scu.hear() == (ABORT, bytes((0, 0, 2, 6)))


@pytest.mark.parametrize("content", [b"GET / HTTP/1.1\r\n\r\n", bytes(1000), b"\x16\x03\x01\x02\x00\x01" + bytes(512)])
def test_other_protocols_are_turned_away(hall: Door, content: bytes) -> None:
    with hall.call() as scu:
        scu.say(content)
        assert scu.hear()[0] == ABORT


def test_fifty_silent_sockets_keep_nobody_out(hall: Door) -> None:
    silent = [socket.create_connection(("127.0.0.1", hall.port)) for _ in range(50)]
    for sock in silent[::2]:
        sock.sendall(b"\x01\x00\x00")
    with hall.call() as scu:
        scu.associate()
        assert scu.store("2.25.1", bytes(100_000)) == 0x0000
        scu.release()
    for sock in silent:
        sock.close()


def test_connections_have_a_limit_and_come_back(open_door: Callable[..., Door], until) -> None:
    until(lambda: not association_threads())
    door = open_door(settings=ListenerSettings(spare_connections=6, drain_seconds=2), max_associations=2)
    held = [door.call() for _ in range(5)]  # 2 + 6 / 2 from one address
    with door.call() as refused:
        assert closed(refused)
    assert len(association_threads()) == 5
    held.pop().sock.close()
    until(lambda: len(association_threads()) == 4)
    with door.call() as scu:
        scu.associate()
        scu.release()
    for scu in held:
        scu.sock.close()


def test_one_address_cannot_take_the_last_places(open_door: Callable[..., Door]) -> None:
    door = open_door(max_associations=2, settings=ListenerSettings(reserved_associations=1, drain_seconds=2))
    held = [door.call() for _ in range(2)]
    for scu in held:
        scu.associate()
    with door.call() as third:
        third.say(association_request())
        assert third.hear() == (3, bytes((0, 2, 3, 2)))
    other = socket.create_connection(("127.0.0.1", door.port), timeout=60, source_address=("127.0.0.2", 0))
    with BareScu(door.port, sock=other) as scu:
        scu.associate()
        assert scu.store("2.25.1", b"ab") == 0x0000
        scu.release()
    for scu in held:
        scu.release()


def test_fifty_associations_at_a_time_are_all_served(hall: Door) -> None:
    hall.tray.taken.clear()
    many = [hall.call() for _ in range(50)]
    for scu in many:
        scu.associate()
    for number, scu in enumerate(many):
        scu.say(message(store_command(f"2.25.{number}"), bytes((number,)) * 50_000))
    assert {scu.status() for scu in many} == {0x0000}
    for scu in many:
        scu.release()
    assert {taken.sop_instance_uid: bytes(taken.data_set) for taken in hall.tray.taken} == {
        f"2.25.{number}": bytes((number,)) * 50_000 for number in range(50)
    }


def test_a_sender_that_breaks_off_a_hundred_times_leaves_nothing(hall: Door, until) -> None:
    hall.tray.taken.clear()
    for size in range(100):
        scu = hall.call()
        scu.associate()
        scu.say(message(store_command("2.25.1"), bytes(5_000))[: 150 + 50 * size])
        if size % 2:
            scu.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))  # a reset
        scu.sock.close()
    until(lambda: not association_threads())
    complete = len(message(store_command("2.25.1"), bytes(5_000)))
    assert len(hall.tray.taken) <= sum(150 + 50 * size >= complete for size in range(100))


REFUSED = [
    pytest.param([(0x0002, CT_IMAGE), (0x0800, 0)], 0xC000, id="no SOP Instance UID"),
    pytest.param([(0x1000, "2.25.1"), (0x0800, 0)], 0xC000, id="no SOP Class UID"),
    pytest.param([(0x0002, CT_IMAGE), (0x1000, "2.25.1"), (0x0800, 0x0101)], 0xC000, id="no data set"),
    pytest.param([(0x0002, CT_IMAGE + ".1"), (0x1000, "2.25.1"), (0x0800, 0)], 0x0122, id="another SOP class"),
]


@pytest.mark.parametrize(("elements", "status"), REFUSED)
def test_a_store_request_that_cannot_be_right_is_refused(hall: Door, elements: list, status: int) -> None:
    hall.tray.taken.clear()
    command = command_set((0x0100, 1), (0x0110, 9), *elements)
    has_data = (0x0800, 0) in elements
    with hall.call() as scu:
        scu.associate()
        scu.say(message(command, b"ab" if has_data else None))
        answer = scu.response()
        assert (int.from_bytes(answer[0x0900], "little"), answer[0x0120]) == (status, pack("<H", 9))
        assert scu.store("2.25.2", b"ab") == 0x0000
        scu.release()
    assert len(hall.tray.taken) == 1


@pytest.mark.parametrize("field", [0x0020, 0x0010, 0x0021, 0x0110, 0x0120, 0x0130, 0x0140, 0x0150, 0x0100, 0x0042])
@pytest.mark.parametrize("data_set", [None, bytes(300_000)])
def test_another_operation_is_not_recognised(hall: Door, field: int, data_set: bytes | None) -> None:
    command = command_set((0x0002, CT_IMAGE), (0x0100, field), (0x0110, 3), (0x0800, 0x0101 if data_set is None else 1))
    with hall.call() as scu:
        scu.associate()
        scu.say(message(command, data_set))
        answer = scu.response()
        assert (answer[0x0100], answer[0x0900]) == (pack("<H", field | 0x8000), pack("<H", 0x0211))
        scu.release()


def test_a_store_in_the_verification_context_is_not_supported(hall: Door) -> None:
    with hall.call() as scu:
        scu.associate(association_request(VERIFICATION))
        assert scu.store("2.25.1", b"ab") == 0x0122
        assert scu.echo() == 0x0000
        scu.release()


def test_a_cancel_is_not_answered(hall: Door) -> None:
    with hall.call() as scu:
        scu.associate(association_request(VERIFICATION))
        scu.say(message(command_set((0x0100, 0x0FFF), (0x0120, 1), (0x0800, 0x0101))))
        assert scu.echo() == 0x0000
        scu.release()


def test_a_response_that_nobody_asked_for_ends_the_association(hall: Door) -> None:
    with hall.call() as scu:
        scu.associate()
        scu.say(message(command_set((0x0100, 0x8001), (0x0120, 1), (0x0800, 0x0101), (0x0900, 0))))
        assert scu.hear()[0] == ABORT


def test_stopping_ends_idle_associations_soon_and_leaves_no_thread(open_door: Callable[..., Door], until) -> None:
    until(lambda: not association_threads())
    threads, descriptors = set(threading.enumerate()), descriptor_count()
    door = open_door(settings=ListenerSettings(drain_seconds=30))
    idle, silent = door.call(), door.call()
    idle.associate()
    until(lambda: len(association_threads()) == 2)
    door.stop()
    assert idle.hear() == (ABORT, bytes(4))
    assert silent.hear()[0] in (0, ABORT)
    idle.sock.close()
    silent.sock.close()
    assert not set(threading.enumerate()) - threads
    assert descriptor_count() <= descriptors


def test_stopping_breaks_off_what_does_not_end(open_door: Callable[..., Door], until) -> None:
    until(lambda: not association_threads())
    threads = set(threading.enumerate())
    door = open_door(settings=ListenerSettings(drain_seconds=0.1))
    with door.call() as scu:
        scu.associate()
        scu.say(message(store_command("2.25.1")), p_data(value(bytes(10), 0)))
        door.stop()
        assert closed(scu)
    assert not set(threading.enumerate()) - threads
    assert door.tray.count == 0


def test_two_listeners_may_share_a_port(open_door: Callable[..., Door]) -> None:
    first = open_door(shared=True)
    second = open_door(shared=True, port=first.port)
    for _ in range(40):
        with first.call() as scu:
            scu.associate()
            assert scu.store("2.25.1", b"ab") == 0x0000
            scu.release()
    assert first.tray.count + second.tray.count == 40
    assert first.tray.count and second.tray.count


def test_the_title_of_a_peer_with_tls_is_its_own_even_where_anybody_may_call(open_door: Callable[..., Door]) -> None:
    careful = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=104, tls=True)
    door = open_door(peers=(careful,), accept_unknown=True)
    for calling, kind in (("PACS", 3), ("OTHER", 2)):
        with door.call() as scu:
            scu.say(association_request(calling=calling))
            assert scu.hear()[0] == kind


def test_an_error_of_the_intake_is_not_told_in_full(open_door: Callable[..., Door]) -> None:
    door = open_door(tray=Tray(error=OutOfResources("the disk is full " * 20)))
    with door.call() as scu:
        scu.associate()
        scu.say(message(store_command("2.25.1"), b"ab"))
        answer = scu.response()
    assert (answer[0x0900], len(answer[0x0902])) == (pack("<H", 0xA700), 64)


def closed(scu: BareScu) -> bool:
    try:
        return scu.hear()[0] == 0
    except OSError:
        return True


def association_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("cds-association")]


def descriptor_count() -> int:
    return len(os.listdir("/proc/self/fd"))
