"""A FHIR server that hangs or trickles costs a remark on the report, never the report."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from cds.errors import ConfigError, EvidenceError
from cds_fhir.client import Client, Page, Unanswered, whole
from cds_fhir.client import Server as Peer

from .conftest import NOON, STUDY, Keep, Server, observation, patient, reasons, source

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n"
_ROUNDS = 60_000
"""So many bytes, one every few milliseconds: far longer than any budget here, and an end if nobody hangs up."""

Trickling = Callable[[bytes, bytes], str]


@pytest.fixture
def trickling() -> Iterator[Trickling]:
    """A server that says a beginning and then one piece after the other, until it is hung up on; its URL."""
    stop = threading.Event()
    threads: list[threading.Thread] = []
    open_sockets: list[socket.socket] = []

    def answer(connection: socket.socket, begin: bytes, piece: bytes) -> None:
        with connection:
            try:
                connection.sendall(begin)
                for _ in range(_ROUNDS if piece else 0):
                    if stop.wait(0.005):
                        return
                    connection.sendall(piece)
                while connection.recv(65536):
                    pass
            except OSError:
                return

    def serve(listening: socket.socket, begin: bytes, piece: bytes) -> None:
        while not stop.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            open_sockets.append(connection)
            threads.append(threading.Thread(target=answer, args=(connection, begin, piece), daemon=True))
            threads[-1].start()

    def start(begin: bytes, piece: bytes) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        open_sockets.append(listening)
        threads.append(threading.Thread(target=serve, args=(listening, begin, piece), daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/fhir"

    yield start
    stop.set()
    for each in open_sockets:
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue  # hung up already
        finally:
            each.close()
    for thread in threads:
        thread.join(60)


HANGS = {
    "says nothing": (b"", b""),
    "trickles its head": (_HEAD + b"X-Slow: ", b"a"),
    "trickles its body": (_HEAD + b"Content-Length: 1000000\r\n\r\n{", b" "),
    "stops in its body": (_HEAD + b"Content-Length: 1000000\r\n\r\n{", b""),
}
hangs = pytest.mark.parametrize("hang", list(HANGS.values()), ids=list(HANGS))


def test_an_answer_that_trickles_is_given_up_at_the_deadline_and_not_gathered_first() -> None:
    def trickle() -> Iterator[bytes]:
        yield b"1"
        raise AssertionError("more was read after the deadline")

    with pytest.raises(Unanswered, match="not whole in time"):
        whole(httpx2.Response(200, content=trickle()), time.monotonic() - 1, 100)


@hangs
def test_a_server_that_hangs_costs_a_remark_and_what_is_kept_still_joins(
    trickling: Trickling, keep: Keep, tmp_path: Path, hang: tuple[bytes, bytes]
) -> None:
    keep(patient(), observation())
    found = source(tmp_path, url=trickling(*hang), budget_seconds=1.0, answer_seconds=3600.0).records_for(STUDY)
    assert [lab.value for lab in found.labs] == [120.0]
    (reason,) = reasons(found)
    assert reason.startswith("the FHIR server could not be asked, what was fetched before is used: the server")


@hangs
def test_a_check_of_a_server_that_hangs_ends_with_the_reason(
    trickling: Trickling, tmp_path: Path, hang: tuple[bytes, bytes]
) -> None:
    with pytest.raises(ConfigError, match=r"\[records.fhir\] url: the server"):
        source(tmp_path, url=trickling(*hang), budget_seconds=1.0, answer_seconds=3600.0).check()


def test_a_greeting_in_tls_that_trickles_is_given_up_too(trickling: Trickling) -> None:
    url = trickling(b"\x16\x03\x03\x40\x00", b"\x02").replace("http:", "https:")  # a handshake record of 16 KiB
    with Client(Peer(url=url), seconds=0.5) as client, pytest.raises(Unanswered):
        client.capabilities()


def test_when_the_time_is_over_nothing_more_is_asked(server: Server) -> None:
    with (
        Client(Peer(url=server.url), seconds=0) as client,
        pytest.raises(Unanswered, match="not whole in time"),
    ):
        client.capabilities()
    assert server.asked == []


def test_late_records_of_a_server_that_is_down_are_a_failure_until_it_is_back(server: Server, tmp_path: Path) -> None:
    now = [NOON.timestamp()]
    watched = source(tmp_path, lambda: now[0], url=server.url)
    server.answers = [(500, {}, b"")]
    start = watched.arrivals("")
    for _ in range(2):
        with pytest.raises(EvidenceError, match=r"could not be asked.*answers 500"):
            watched.arrivals(start.position)
    server.add(patient(), observation())
    now[0] += 61
    assert [each.patient_id for each in watched.arrivals(start.position).patients] == ["P-1"]


def test_what_came_otherwise_while_the_server_is_down_is_late_all_the_same(
    server: Server, keep: Keep, tmp_path: Path
) -> None:
    watched = source(tmp_path, url=server.url)
    server.answers = [(500, {}, b"")]
    start = watched.arrivals("")
    keep(patient(), observation())
    found = watched.arrivals(start.position)
    assert [each.patient_id for each in found.patients] == ["P-1"]
    with pytest.raises(EvidenceError, match="could not be asked"):
        watched.arrivals(found.position)


def test_late_records_fail_where_a_file_for_asking_is_not_usable(server: Server, tmp_path: Path) -> None:
    watched = source(tmp_path, url=server.url, token_file=str(tmp_path / "gone"))
    with pytest.raises(EvidenceError, match="not usable"):
        watched.arrivals(watched.arrivals("").position)


def test_a_search_that_is_cut_after_a_page_is_behind_and_no_failure(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is over while the second page of Observations is read: the next call goes on with it at once."""
    server.add(patient(), *(observation(f"o{n}") for n in range(5)))
    behind = "the FHIR server has more than could be fetched by now"
    over: list[str] = []
    asked = Client.page

    def cut_once(client: Client, url: str) -> Page:
        if "start=3" in url and not over:
            over.append(url)
            raise Unanswered("the server's answer was not whole in time")
        return asked(client, url)

    watched = source(tmp_path, url=server.url)
    with monkeypatch.context() as patched:
        patched.setattr(Client, "page", cut_once)
        patched.setattr(Client, "left", lambda _: 0.0 if over else 60.0)
        assert behind in reasons(watched.records_for(STUDY))
    assert behind not in reasons(watched.records_for(STUDY))
    assert [query.get("start") for query in server.queries("Observation")] == [None, ["3"]]
