"""The listener over real sockets, with a client of the `hl7` package and with bad ones."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import hl7
import pytest
from hl7.client import MLLPClient

from cds.errors import ConfigError
from cds.testing.contract_listeners import loopback
from cds_hl7.framing import framed
from cds_hl7.kept import KeptMessages, MessageStore, store_path
from cds_hl7.listener import Hl7Listener, Hl7ListenerSettings
from cds_hl7.person import Identifier
from cds_hl7.server import may_connect

from .conftest import CRP, OBR, PID, Caller, Listening, message, oru

Call = Callable[[int], Caller]


def kept_in(folder: Path) -> list[str]:
    _, kept = KeptMessages(store_path(str(folder))).about(Identifier("P-1", "HOSP"))
    return [each.control_id for each in kept]


def wait_for_the_end(caller: Caller) -> bool:
    """Whether the other side ends the connection before the socket's own deadline."""
    try:
        return caller.socket.recv(1) == b""
    except ConnectionError:
        return True


def test_the_client_of_the_hl7_package_is_answered(listening: Listening, tmp_path: Path) -> None:
    with MLLPClient("127.0.0.1", listening()) as client:
        for number in range(3):
            answer = client.send_message(hl7.parse(oru(control_id=f"C-{number}").decode()))
            found = hl7.parse(answer.strip(b"\x0b\x1c\r").decode())
            assert (str(found["MSA.1"]), str(found["MSA.2"])) == ("AA", f"C-{number}")
    assert kept_in(tmp_path) == ["C-0", "C-1", "C-2"]


def test_a_message_that_comes_byte_by_byte_is_taken(listening: Listening, call: Call) -> None:
    caller = call(listening())
    caller.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    caller.send(*(bytes((byte,)) for byte in framed(oru())))
    assert caller.answer() == ["AA", "M-1"]


def test_the_end_bytes_may_come_apart(listening: Listening, call: Call) -> None:
    caller = call(listening())
    caller.send(b"\x0b" + oru(control_id="1") + b"\x1c")
    assert caller.answer() == ["AA", "1"]
    caller.send(b"\r")
    assert caller.ask(oru(control_id="2")) == ["AA", "2"]


def test_messages_sent_without_waiting_are_answered_in_order(listening: Listening, call: Call) -> None:
    caller = call(listening())
    caller.send(b"".join(framed(oru(control_id=str(n))) for n in range(200)))
    assert [caller.answer() for _ in range(200)] == [["AA", str(n)] for n in range(200)]


def test_a_block_whose_end_is_lost_is_refused_and_the_next_one_taken(
    listening: Listening, call: Call, tmp_path: Path
) -> None:
    caller = call(listening())
    caller.send(b"\x0b" + oru(control_id="1"), framed(oru(control_id="2")))
    assert caller.answer() == ["AE", "1", "the block has no end"]
    assert caller.answer() == ["AA", "2"]
    assert kept_in(tmp_path) == ["2"]


def test_a_connection_that_ends_within_a_block_leaves_nothing(listening: Listening, call: Call, tmp_path: Path) -> None:
    port = listening()
    caller = call(port)
    caller.send(b"\x0b" + oru())
    caller.socket.shutdown(socket.SHUT_WR)
    assert caller.answer() == ["AE", "M-1", "the block has no end"]
    assert wait_for_the_end(caller)
    assert kept_in(tmp_path) == []


def test_ten_megabytes_are_taken_and_more_is_refused_with_the_connection_open(
    listening: Listening, call: Call, tmp_path: Path
) -> None:
    caller = call(listening())
    text = "OBX|1|TX|11^report^L||" + "a" * 10_000_000 + "||||||F"
    assert caller.ask(oru(text, control_id="big")) == ["AA", "big"]
    assert caller.ask(oru(text + text, control_id="bigger"))[:2] == ["AE", "bigger"]
    assert caller.ask(oru(control_id="next")) == ["AA", "next"]
    assert kept_in(tmp_path) == ["big", "next"]


def test_the_wrong_character_set_costs_the_message_and_not_the_connection(listening: Listening, call: Call) -> None:
    caller = call(listening())
    answer = caller.ask(message(PID, OBR, CRP) + "OBX|2|TX|x||白\r".encode("gb18030"))
    assert answer[0] == "AE" and "character set" in answer[2]
    assert caller.ask(oru(control_id="2")) == ["AA", "2"]


def test_whoever_says_nothing_is_let_go(listening: Listening, call: Call) -> None:
    assert wait_for_the_end(call(listening(idle_seconds=0.2)))


def test_a_message_that_drips_is_refused_after_its_time(listening: Listening, call: Call) -> None:
    caller = call(listening(grace_seconds=0.3, bytes_per_second=1_000_000))
    content = iter(b"\x0b" + oru() * 100)
    caller.socket.settimeout(0.02)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        caller.socket.send(bytes((next(content),)))
        try:
            assert caller.answer()[0] == "AE"
        except TimeoutError:
            continue
        break
    else:
        pytest.fail("a byte now and then kept the connection for 20 s")


def test_an_address_that_is_not_on_the_list_is_not_served(listening: Listening, call: Call) -> None:
    closed = replace(loopback(), accept_unknown=False)
    caller = call(listening(closed, addresses=("192.0.2.0/24",)))
    assert wait_for_the_end(caller)
    assert call(listening(closed)).ask(oru())[0] == "AA"


def test_of_too_many_connections_the_one_that_was_quiet_longest_gives_way(listening: Listening, call: Call) -> None:
    port = listening(max_connections_per_address=2)
    first, second = call(port), call(port)
    assert first.ask(oru(control_id="1"))[0] == second.ask(oru(control_id="2"))[0] == "AA"
    assert call(port).ask(oru(control_id="3"))[0] == "AA"
    assert wait_for_the_end(first)
    assert second.ask(oru(control_id="4"))[0] == "AA"


def test_a_busy_connection_does_not_give_way(listening: Listening, call: Call) -> None:
    port = listening(max_connections_per_address=1)
    busy = call(port)
    busy.send(framed(oru(control_id="1")) + b"\x0b" + oru(control_id="2"))
    assert busy.answer() == ["AA", "1"]
    assert wait_for_the_end(call(port))
    busy.send(b"\x1c\r")
    assert busy.answer() == ["AA", "2"]


def test_stop_lets_a_message_that_is_arriving_end(tmp_path: Path) -> None:
    listener = Hl7Listener(Hl7ListenerSettings(data_dir=str(tmp_path), drain_seconds=0.2))
    from cds.testing.contract_listeners import RefusingIntake

    caller = Caller(listener.start(loopback(), RefusingIntake()))
    assert caller.ask(oru(control_id="1"))[0] == "AA"
    caller.send(b"\x0b" + oru(control_id="2"))
    listener.stop()
    assert caller.answer()[:2] in (["AE", "2"], [])
    caller.socket.close()
    assert kept_in(tmp_path) == ["1"]


def test_two_listeners_on_one_file_make_one_row_of_a_message_sent_to_both(
    listening: Listening, call: Call, tmp_path: Path
) -> None:
    one, two = call(listening()), call(listening())
    assert one.ask(oru()) == two.ask(oru()) == ["AA", "M-1"]
    assert kept_in(tmp_path) == ["M-1"]


@pytest.mark.parametrize(
    ("settings", "word"), [({"charset": "Klingon"}, "charset"), ({"addresses": ("here",)}, "addresses")]
)
def test_a_wrong_setting_is_named(settings: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        Hl7Listener(Hl7ListenerSettings(**settings))  # type: ignore[arg-type]


def test_a_file_of_a_newer_version_is_not_written(tmp_path: Path, listening: Listening) -> None:
    store = MessageStore(store_path(str(tmp_path)))
    store._database.execute("PRAGMA user_version=99")
    store.close()
    with pytest.raises(ConfigError, match="version 99"):
        listening()


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path, listening: Listening) -> None:
    path = store_path(str(tmp_path))
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigError, match="damaged"):
        listening()


def test_an_ipv4_address_within_ipv6_counts_as_ipv4() -> None:
    from ipaddress import ip_network

    networks = (ip_network("192.0.2.0/24"), ip_network("fe80::/10"))
    assert may_connect("::ffff:192.0.2.7", networks)
    assert may_connect("fe80::1%eth0", networks)
    assert not may_connect("::ffff:198.51.100.7", networks)
    assert may_connect("198.51.100.7", None)
