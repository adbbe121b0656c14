"""What callers that are slow, many, silent or gone can do to the others: nothing."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from cds.errors import OutOfResources
from cds_dicomweb.client import Unanswered, within
from cds_dicomweb.testing import RememberingIntake
from cds_dicomweb.wire import Gone, Pace, Wire
from cds_pacs.testing.instances import part10, small_data_set
from support.orthanc import free_port

KIND = 'multipart/related; type="application/dicom"; boundary=b0'
Until = Callable[[Callable[[], object]], None]


def body(*files: bytes) -> bytes:
    return b"".join(b"--b0\r\n\r\n%s\r\n" % file for file in files) + b"--b0--\r\n"


def post(url: str, content: object) -> httpx2.Response:
    return httpx2.post(f"{url}/studies", content=content, headers={"Content-Type": KIND}, timeout=60)  # type: ignore[arg-type]


def serves(url: str) -> bool:
    """Whether a store succeeds; a caller that the machine holds up is cut off as any other."""
    try:
        return post(url, body(part10(small_data_set()))).status_code == 200
    except httpx2.HTTPError:
        return False


def head(length: int) -> bytes:
    lines = (
        "POST /dicom-web/studies HTTP/1.1",
        "Host: x",
        f"Content-Type: {KIND}",
        f"Content-Length: {length}",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


def connected(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.settimeout(30)
    return sock


def said(sock: socket.socket) -> bytes:
    """Everything until the other side closes."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(65536):
            answer += part
    return answer


def test_silent_connections_beyond_the_cap_give_way_to_one_that_speaks(node) -> None:
    running = node(max_connections=8, max_connections_per_address=8)
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(connected(running.port))
        assert post(running.url, body(part10(small_data_set()))).status_code == 200


def test_a_head_that_comes_a_byte_at_a_time_is_cut_off_at_its_deadline(node, until: Until) -> None:
    running = node(head_seconds=0.3)
    with connected(running.port) as sock, contextlib.suppress(OSError):
        stop = threading.Event()
        for byte in head(10) * 1000:
            sock.sendall(bytes([byte]))
            if stop.wait(0.01):
                break
    with connected(running.port) as silent:
        assert said(silent) == b""
    until(lambda: serves(running.url))


def test_a_body_that_comes_too_slowly_is_cut_off_and_what_was_begun_is_forgotten(node, until: Until) -> None:
    running = node(grace_seconds=2.0, bytes_per_second=1_000_000, intake=RememberingIntake(spool_above_bytes=1000))
    with connected(running.port) as sock:
        sock.sendall(head(10_000_000) + body(part10(small_data_set(PixelData=bytes(5000))))[:-20])
        until(lambda: running.intake.spooled)
        assert said(sock) == b""
    until(lambda: running.intake.spools_open == 0)
    assert running.intake.taken == {}


class Steady:
    """A connection on which every kilobyte takes so long by a clock of its own."""

    def __init__(self, content: bytes, seconds: float) -> None:
        self.parts = [content[at : at + 1000] for at in range(0, len(content), 1000)]
        self.seconds = seconds
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def recv(self, size: int) -> bytes:
        self.now += self.seconds
        return self.parts.pop(0)


@pytest.mark.parametrize(("seconds", "arrives"), [(0.9, True), (1.2, False)])
def test_a_steady_caller_may_take_longer_than_the_grace_and_one_that_falls_behind_may_not(
    monkeypatch: pytest.MonkeyPatch, seconds: float, arrives: bool
) -> None:
    sock = Steady(head(40_000) + bytes(40_000), seconds)
    monkeypatch.setattr("cds_dicomweb.wire.time", sock)
    wire = Wire(sock, Pace(grace_seconds=2.0, bytes_per_second=1000))  # type: ignore[arg-type]
    wire.request()
    if arrives:
        assert b"".join(wire.body()) == bytes(40_000)
        assert sock.now > 30
    else:
        with pytest.raises(Gone):
            list(wire.body())
        assert sock.parts


def test_a_caller_that_goes_in_the_middle_leaves_nothing(node, until: Until) -> None:
    running = node(intake=RememberingIntake(spool_above_bytes=1000))
    whole = body(part10(small_data_set(PixelData=bytes(5000))))
    for end in (len(head(0)) // 2, len(head(0)) + 200, len(head(0)) + 3000):
        with connected(running.port) as sock:
            sock.sendall((head(len(whole)) + whole)[:end])
    until(lambda: len(running.listener._server.connections) == 0)
    assert running.intake.taken == {}
    assert running.intake.spools_open == 0


def test_a_head_that_is_too_long_is_431(node) -> None:
    with connected(node().port) as sock:
        sock.sendall(b"POST /dicom-web/studies HTTP/1.1\r\nX: " + b"y" * 100_000)
        assert said(sock).startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n", b"\x01\x00\x00\x00\x00\xd0\x00\x01\r\n\r\n"]
)
def test_what_is_no_http_is_400_or_closed(node, until: Until, garbage: bytes) -> None:
    running = node(head_seconds=0.5)
    with connected(running.port) as sock:
        sock.sendall(garbage)
        assert said(sock)[:12] in (b"HTTP/1.1 400", b"")
    until(lambda: serves(running.url))


def test_a_refusal_is_heard_even_while_the_body_is_still_being_sent(node, listening) -> None:
    running = node(address=listening(peers=()))
    with connected(running.port) as sock:
        sock.sendall(head(3_000_000))
        with contextlib.suppress(OSError):
            sock.sendall(bytes(3_000_000))
        assert said(sock).startswith(b"HTTP/1.1 403")


def test_a_body_is_asked_for_only_after_its_head_was_accepted(node) -> None:
    content = body(part10(small_data_set()))
    waiting = head(len(content)).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    running = node()
    with connected(running.port) as sock:
        sock.sendall(waiting)
        assert sock.recv(1000).startswith(b"HTTP/1.1 100")
        sock.sendall(content)
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    with connected(running.port) as sock:
        sock.sendall(waiting.replace(b"multipart/related", b"text/plain"))
        assert said(sock).startswith(b"HTTP/1.1 415")


def test_an_address_that_is_no_peer_s_is_refused_unless_the_node_takes_all(node, listening, caller) -> None:
    content = body(part10(small_data_set()))
    elsewhere = type(caller)(name="a", ae_title="A", host="h", port=1, via="dicomweb", addresses=("192.0.2.0/24",))
    dimse = type(caller)(name="b", ae_title="B", host="h", port=1)
    assert post(node(address=listening(peers=(elsewhere, dimse))).url, content).status_code == 403
    open_to_all = node(address=listening(peers=(elsewhere, dimse), accept_unknown=True))
    assert post(open_to_all.url, content).status_code == 200
    assert open_to_all.intake.announced["2.25.1.1"].calling_ae_title == "DICOMWEB"


def test_requests_beyond_max_associations_are_told_to_come_again(node, listening, until: Until) -> None:
    intake = RememberingIntake()
    intake.hold.clear()
    running = node(address=listening(max_associations=1), intake=intake)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, running.url, body(part10(small_data_set(instance=1))))
        assert intake.is_entered.wait(60)
        second = post(running.url, body(part10(small_data_set(instance=2))))
        assert (second.status_code, second.headers["retry-after"]) == (503, "30")
        intake.hold.set()
        assert first.result().status_code == 200
    assert post(running.url, body(part10(small_data_set(instance=2)))).status_code == 200


def test_stop_lets_a_running_request_end_and_takes_no_new_one(node, listening) -> None:
    intake = RememberingIntake()
    intake.hold.clear()
    running = node(intake=intake)
    idle = connected(running.port)
    with ThreadPoolExecutor(2) as pool:
        request = pool.submit(post, running.url, body(part10(small_data_set())))
        assert intake.is_entered.wait(60)
        stopped = pool.submit(running.listener.stop)
        assert said(idle) == b""  # stop has begun: who waits is sent away
        intake.hold.set()
        assert request.result().status_code == 200
        stopped.result()
    idle.close()
    assert list(intake.taken) == ["2.25.1.1"]
    with pytest.raises(ConnectionRefusedError):
        connected(running.port)


def test_stop_cuts_what_does_not_end(node) -> None:
    running = node(drain_seconds=0.1)
    with connected(running.port) as sock:
        sock.sendall(head(1000) + b"--b0\r\n")
        answered = post(running.url, body(part10(small_data_set())))
        running.listener.stop()
        assert said(sock) == b""
        assert answered.status_code == 200


def test_a_spool_that_finds_no_room_is_out_of_resources(node) -> None:
    content = body(part10(small_data_set(PixelData=bytes(50_000))))
    for place in ("spool", "write"):
        running = node(intake=RememberingIntake(spool_above_bytes=1000, refuse={place: OutOfResources("full")}))
        answer = post(running.url, content)
        assert answer.status_code == 503
        assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xA700]
        assert running.intake.spools_open == 0


def test_threads_and_descriptors_are_back_at_the_baseline_after_load(node, until: Until) -> None:
    running = node()
    assert post(running.url, body(part10(small_data_set()))).status_code == 200  # all that is made once is made
    until(lambda: not running.listener._server.connections)
    files = os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else []
    threads = threading.active_count()
    for _ in range(300):
        connected(running.port).close()
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda n: post(running.url, body(part10(small_data_set(instance=n)))), range(1, 101))
        assert {answer.status_code for answer in answers} <= {200, 503}
    until(lambda: threading.active_count() <= threads)
    if files:
        until(lambda: len(os.listdir("/proc/self/fd")) <= len(files))


def test_several_listeners_share_a_port(node, listening) -> None:
    port = free_port()
    first = node(address=listening(shared=True, port=port))
    second = node(address=listening(shared=True, port=port))
    assert first.port == second.port == port
    for number in range(1, 21):
        assert post(first.url, body(part10(small_data_set(instance=number)))).status_code == 200
    assert len({**first.intake.taken, **second.intake.taken}) == 20


MEMORY = """
import resource, sys, threading
from cds.ports import ListenerAddress
from cds_dicomweb.listener import DicomWebListener, ListenerSettings
class Spool:
    def __init__(self): self.size = 0
    def write(self, part): self.size += len(part)
    def take(self): print(self.size, flush=True)
    def abandon(self): pass
class Intake:
    spool_above_bytes = 1 << 20
    def take(self, instance): pass
    def spool(self, announced): return Spool()
    def notice(self, notice): pass
address = ListenerAddress(ae_title="CDS", host="127.0.0.1", port=0, max_associations=4, accept_unknown=True, peers=())
listener = DicomWebListener(ListenerSettings())
print(listener.start(address, Intake()), flush=True)
sys.stdin.readline()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sys.stdin.readline()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, flush=True)
listener.stop()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux")
def test_an_instance_of_256_megabytes_passes_through_in_bounded_memory() -> None:
    start, block, blocks = part10(small_data_set(PixelData=b"")), bytes(1 << 20), 256

    def content():
        yield b"--b0\r\n\r\n" + start
        for _ in range(blocks):
            yield block
        yield b"\r\n--b0--\r\n"

    with subprocess.Popen(
        [sys.executable, "-c", MEMORY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin and child.stdout
        port = int(child.stdout.readline())
        url = f"http://127.0.0.1:{port}/dicom-web"
        assert post(url, body(part10(small_data_set(PixelData=bytes(2 << 20))))).status_code == 200  # warm
        child.stdout.readline()
        print(file=child.stdin, flush=True)
        assert post(url, content()).status_code == 200
        assert int(child.stdout.readline()) > blocks << 20
        print(file=child.stdin, flush=True)
        assert int(child.stdout.readline()) < 16_000  # kilobytes


def test_an_answer_that_trickles_is_given_up_at_the_deadline_and_not_gathered_first() -> None:
    def trickle() -> Iterator[bytes]:
        yield b"1"
        yield b"2"
        raise AssertionError("more was read after the deadline")

    pieces = within(httpx2.Response(200, content=trickle()), seconds=0)
    assert next(pieces) == b"1"
    with pytest.raises(Unanswered, match="not whole"):
        list(pieces)
