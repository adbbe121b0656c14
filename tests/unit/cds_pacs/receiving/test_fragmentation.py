"""Whatever pieces a message comes in, it is the same message (PS3.7 6.3.1, PS3.8 Annex D and E)."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds.errors import OutOfResources
from cds_pacs.testing.bare_scu import (
    COMMAND,
    LAST,
    BareScu,
    association_request,
    message,
    p_data,
    store_command,
    value,
)
from cds_pacs.testing.door import Door
from cds_pacs.testing.tray import Tray

DATA_SET = random.Random(1).randbytes(70_000)
UID = "2.25.11"


@pytest.fixture(scope="module")
def hall() -> Iterator[Door]:
    with Door(max_associations=50) as door:
        yield door


def split(content: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    return [content[a:b] for a, b in itertools.pairwise(edges)]


def values(content: bytes, cuts: list[int], kind: int) -> list[bytes]:
    parts = split(content, cuts)
    return [value(part, kind | (LAST if number == len(parts) else 0)) for number, part in enumerate(parts, start=1)]


def sent(door: Door, stream: list[bytes]) -> bytes:
    door.tray.taken.clear()
    with door.call() as scu:
        scu.associate()
        scu.say(*stream)
        assert scu.status() == 0x0000
        scu.release()
    (taken,) = door.tray.taken
    assert taken.sop_instance_uid == UID
    return bytes(taken.data_set)


CUTS = st.lists(st.integers(0, 1 << 20), max_size=8)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, len(DATA_SET)), command_cuts=CUTS, data_cuts=CUTS, grouping=CUTS, network=CUTS)
def test_any_split_of_a_message_gives_the_same_instance(
    hall: Door, size: int, command_cuts: list[int], data_cuts: list[int], grouping: list[int], network: list[int]
) -> None:
    """Cut into values, the values grouped into PDUs, the PDUs cut by the network."""
    data_set = DATA_SET[:size]
    pieces = values(store_command(UID), command_cuts, COMMAND) + values(data_set, data_cuts, 0)
    groups = sorted({cut % (len(pieces) + 1) for cut in grouping} | {0, len(pieces)})
    pdus = [p_data(*pieces[a:b]) for a, b in itertools.pairwise(groups)]
    assert sent(hall, split(b"".join(pdus), network)) == data_set


@pytest.mark.parametrize("payload", [1, 2, 7, 505, 511, 512, 513, 16_378, 65_535])
def test_fragments_of_any_size_are_put_together(hall: Door, payload: int) -> None:
    data_set = DATA_SET[: min(len(DATA_SET), 2_000 * payload)]
    pieces = [value(data_set[at : at + payload], 0) for at in range(0, len(data_set), payload)]
    stream = [p_data(value(store_command(UID), COMMAND | LAST)), *map(p_data, pieces), p_data(value(b"", LAST))]
    assert sent(hall, [b"".join(stream)]) == data_set


def test_a_message_that_comes_byte_by_byte_is_taken(hall: Door) -> None:
    stream = p_data(value(store_command(UID), COMMAND | LAST)) + p_data(value(DATA_SET[:50], LAST))
    assert sent(hall, [bytes((byte,)) for byte in stream]) == DATA_SET[:50]


def test_command_and_data_set_may_share_a_pdu(hall: Door) -> None:
    pdu = p_data(value(store_command(UID), COMMAND | LAST), value(b"", 0), value(DATA_SET[:99], 0), value(b"x", LAST))
    assert sent(hall, [pdu]) == DATA_SET[:99] + b"x"


def test_messages_that_come_without_waiting_are_answered_in_turn(hall: Door) -> None:
    hall.tray.taken.clear()
    with hall.call() as scu:
        scu.associate()
        scu.say(
            *(
                p_data(value(store_command(f"2.25.{number}", message_id=number), COMMAND | LAST), value(b"ab", LAST))
                for number in range(1, 30)
            )
        )
        answers = [scu.response() for _ in range(1, 30)]
        scu.release()
    assert [int.from_bytes(answer[0x0120], "little") for answer in answers] == list(range(1, 30))
    assert [taken.sop_instance_uid for taken in hall.tray.taken] == [f"2.25.{number}" for number in range(1, 30)]


@pytest.mark.parametrize("max_pdu", [16, 64, 100, 4096, 0])
def test_a_response_is_cut_to_what_the_peer_takes(hall: Door, max_pdu: int) -> None:
    with hall.call() as scu:
        scu.associate(association_request(max_pdu=max_pdu))
        scu.say(message(store_command(UID), b"ab"))
        last, content = False, b""
        while not last:
            kind, pdu = scu.hear()
            assert kind == 4 and (not max_pdu or len(pdu) <= max_pdu)
            last = bool(pdu[5] & LAST)
            content += pdu[6:]
        assert content.endswith(UID.encode() + b"\0" * (len(UID) % 2))


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param([p_data(value(b"ab", LAST))], id="data before a command"),
        pytest.param([p_data(value(store_command(UID), COMMAND | LAST, 3))], id="a context that was not accepted"),
        pytest.param(
            [p_data(value(store_command(UID), COMMAND | LAST)), p_data(value(b"ab", LAST, 3))], id="contexts that mix"
        ),
        pytest.param([p_data(value(store_command(UID), COMMAND | LAST)) * 2], id="a command in place of data"),
        pytest.param([p_data(value(b"\x08\0\0\0\2\0\0\0ab", COMMAND | LAST))], id="another group than 0000"),
        pytest.param([p_data(value(b"\0\0\0\0\4\0\0\0ab", COMMAND | LAST))], id="a truncated command set"),
        pytest.param([p_data(value(b"", COMMAND | LAST))], id="an empty command set"),
        pytest.param([p_data(value(bytes(20_000), COMMAND))], id="a command set without an end"),
        pytest.param([p_data()], id="a PDU without a value"),
        pytest.param([p_data(b"\0\0\0\1\1")], id="a value shorter than its head"),
        pytest.param([p_data(b"\0\1\0\0\1\3ab")], id="a value longer than its PDU"),
        pytest.param([b"\4\0\xff\xff\xff\xff"], id="a giant PDU"),
        pytest.param([b"\2\0\0\0\0\4abcd"], id="an answer that was not asked for"),
        pytest.param([b"\x99\0\0\0\0\4abcd"], id="an unknown PDU"),
        pytest.param([b"\5\0\0\0\1\0abcd"], id="a release of the wrong length"),
    ],
)
def test_what_is_no_message_ends_the_association_and_nothing_else(hall: Door, stream: list[bytes]) -> None:
    hall.tray.taken.clear()
    with hall.call() as scu:
        scu.associate()
        scu.say(*stream)
        kind, content = scu.hear()
        assert (kind, content[2]) == (7, 2)  # by the provider (PS3.8 9.2, AA-8)
    assert hall.tray.taken == []
    assert sent(hall, [p_data(value(store_command(UID), COMMAND | LAST), value(b"ab", LAST))]) == b"ab"


@pytest.mark.parametrize(("stream", "reason"), [(b"\x99\0\0\0\0\4abcd", 1), (b"\1\0\0\0\0\4abcd", 2), (p_data(), 6)])
def test_the_abort_says_why(hall: Door, stream: bytes, reason: int) -> None:
    with hall.call() as scu:
        scu.associate()
        scu.say(stream)
        assert scu.hear() == (7, bytes((0, 0, 2, reason)))


def test_a_large_data_set_goes_on_in_parts(open_door: Callable[..., Door]) -> None:
    door = open_door(tray=Tray(spool_above_bytes=300_000))
    content = DATA_SET * 30
    with door.call() as scu:
        scu.associate()
        assert scu.store("2.25.1", content, payload=50_001) == 0x0000
        assert scu.store("2.25.2", DATA_SET) == 0x0000
        assert scu.store("2.25.3", content[:300_000], payload=1_000) == 0x0000
        assert scu.store("2.25.4", content[:300_001]) == 0x0000
        scu.release()
    assert [bytes(spool.content) for spool in door.tray.spools] == [content, content[:300_001]]
    assert [spool.state for spool in door.tray.spools] == ["taken", "taken"]
    assert max(spool.longest for spool in door.tray.spools) <= 1 << 18
    assert [len(taken.data_set) for taken in door.tray.taken] == [len(DATA_SET), 300_000]


def test_a_threshold_below_a_pdu_is_kept(open_door: Callable[..., Door]) -> None:
    door = open_door(tray=Tray(spool_above_bytes=10))
    with door.call() as scu:
        scu.associate()
        assert scu.store("2.25.1", DATA_SET) == 0x0000
        assert scu.store("2.25.2", DATA_SET[:10]) == 0x0000
        scu.release()
    assert bytes(door.tray.spools[0].content) == DATA_SET
    assert bytes(door.tray.taken[0].data_set) == DATA_SET[:10]


def test_a_large_data_set_that_breaks_off_is_abandoned(open_door: Callable[..., Door], until) -> None:
    door = open_door(tray=Tray(spool_above_bytes=1_000))
    with BareScu(door.port) as scu:
        scu.associate()
        scu.say(p_data(value(store_command(UID), COMMAND | LAST)), *[p_data(value(DATA_SET, 0))] * 10)
        until(lambda: door.tray.spools and door.tray.spools[0].content)
    until(lambda: door.tray.spools[0].state == "abandoned")
    assert door.tray.count == 0


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_disk_that_fills_up_on_the_way_is_told_in_the_response(open_door: Callable[..., Door], after: int) -> None:
    class Filling(Tray):
        def spool(self, announced):
            spool = super().spool(announced)
            write, calls = spool.write, []

            def failing(part) -> None:
                calls.append(part)
                if len(calls) > after:
                    raise OutOfResources("the disk is full")
                write(part)

            spool.write = failing
            return spool

    door = open_door(tray=Filling(spool_above_bytes=1_000))
    with door.call() as scu:
        scu.associate()
        assert scu.store("2.25.1", DATA_SET * 30) == 0xA700
        assert scu.store("2.25.2", b"ab") == 0x0000
        scu.release()
    assert [spool.state for spool in door.tray.spools] == ["abandoned"]


MEMORY = """
import sys
from cds_pacs.testing.door import Door
from cds_pacs.testing.tray import Tray
def resident():
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096
with Door(tray=Tray(spool_above_bytes=64 << 20, keep=False)) as door:
    print(door.port, flush=True)
    for _ in sys.stdin:
        print(resident(), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_given_back_after_a_large_data_set() -> None:
    """In a process of its own: what other tests leave behind is not the listener's."""
    with subprocess.Popen(
        [sys.executable, "-c", MEMORY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin and child.stdout

        def resident() -> int:
            print(file=child.stdin, flush=True)
            return int(child.stdout.readline())

        with BareScu(int(child.stdout.readline()), seconds=60) as scu:
            scu.associate()
            before = resident()
            assert scu.store("2.25.1", bytes(48 << 20)) == 0x0000
            assert scu.store("2.25.2", b"ab") == 0x0000
            assert resident() - before < 16 << 20
            scu.release()
        child.stdin.close()
