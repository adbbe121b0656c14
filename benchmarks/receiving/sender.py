"""The sender: one process per association that only sends bytes built beforehand and reads the answers."""

from __future__ import annotations

import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Final, Self

from receiving import wire
from receiving.objects import NUMBER_DIGITS, Shape, data_set, sop_instance_uid

_CALLING: Final = "BENCHMARK"
_MAX_PDU_BYTES: Final = 131_072
_ECHO, _STORE = 1, 3
_READY_SECONDS: Final = 2.0
"""How long all associations are waited for; a receiver that admits only some serves the others as these end."""
_ANSWER_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a receiver listens, and under which AE title."""

    host: str
    port: int
    ae_title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """When the first byte was sent (``time.monotonic``), and the seconds from there to the last success."""

    started: float
    seconds: float


class Association:
    """One association for Verification and one storage SOP class, with TCP_NODELAY."""

    def __init__(self, address: Address, sop_class_uid: str) -> None:
        self.socket = socket.create_connection((address.host, address.port), timeout=_ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        contexts = ((_ECHO, wire.VERIFICATION), (_STORE, sop_class_uid))
        self.socket.sendall(wire.associate_request(address.ae_title, _CALLING, contexts, _MAX_PDU_BYTES))
        kind, body = wire.read_pdu(self.socket)
        if kind != wire.ASSOCIATE_AC:
            raise wire.WireError(f"the association was answered with PDU type {kind}")
        accepted = wire.read_accept(body)
        if accepted.contexts != {_ECHO, _STORE}:
            raise wire.WireError(f"presentation contexts {sorted(accepted.contexts)} accepted, not both")
        self.max_pdu_bytes = accepted.max_pdu_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()

    def release(self) -> None:
        """A-RELEASE-RQ, and wait for its answer (PS3.8 9.3.6)."""
        self.socket.sendall(wire.pdu(wire.RELEASE_RQ, bytes(4)))
        kind, _ = wire.read_pdu(self.socket)
        if kind != wire.RELEASE_RP:
            raise wire.WireError(f"PDU of type {kind} instead of A-RELEASE-RP")

    def echo(self) -> None:
        """One C-ECHO, answered with success."""
        self.socket.sendall(wire.command_pdu(_ECHO, wire.echo_request(1)))
        _demand_success(wire.read_status(self.socket), "C-ECHO")


class Objects:
    """The objects of one association as one message whose UID digits are written over."""

    def __init__(self, shape: Shape, run: str, association: int, max_pdu_bytes: int) -> None:
        template = sop_instance_uid(run, association, 0)
        self._uid = template[:-NUMBER_DIGITS]
        command = wire.store_request(shape.sop_class_uid, template, 1)
        self._message = wire.message(_STORE, command, data_set(shape, run, association), max_pdu_bytes)
        self._digits = _ends_of(template.encode(), self._message, NUMBER_DIGITS)

    def numbered(self, number: int) -> bytearray:
        """The message of object `number`; the same bytes are used again for the next."""
        digits = b"%0*d" % (NUMBER_DIGITS, number)
        for start in self._digits:
            self._message[start : start + NUMBER_DIGITS] = digits
        return self._message


def _ends_of(template: bytes, whole: bytearray, digits: int) -> tuple[int, int]:
    """Where the last digits of the UID stand: once in the command, once in the data set."""
    first = whole.index(template)
    second = whole.index(template, first + 1)
    if whole.find(template, second + 1) != -1:
        raise wire.WireError("the SOP Instance UID stands more than twice in a message")
    return first + len(template) - digits, second + len(template) - digits


def send(address: Address, shape: Shape, run: str, associations: int, count: int) -> Sent:
    """Send `count` objects over each association, all at once.

    Raises
    ------
    WireError
        When any answer is not 0x0000, or an association breaks.
    """
    context = multiprocessing.get_context("fork")  # ready within a millisecond; nothing here has threads
    lines: list[Connection] = []
    workers: list[BaseProcess] = []
    try:
        for number in range(1, associations + 1):
            ours, theirs = context.Pipe()
            worker: BaseProcess = context.Process(target=_work, args=(theirs, address, shape, run, number, count))
            worker.start()
            theirs.close()
            lines.append(ours)
            workers.append(worker)
        return _conduct(lines)
    finally:
        for worker in workers:
            worker.join(5.0)
            if worker.is_alive():
                worker.kill()
                worker.join()


def _conduct(lines: list[Connection]) -> Sent:
    """Wait until all are ready (or some time), start them together, collect when each ended."""
    deadline = time.monotonic() + _READY_SECONDS
    pending = set(lines)
    while pending and (left := deadline - time.monotonic()) > 0:
        for line in wait(list(pending), timeout=left):
            assert isinstance(line, Connection)
            _said(line)
            pending.discard(line)
    started = time.monotonic()
    for line in lines:
        line.send("go")
    ends = []
    for line in lines:
        if line in pending:
            _said(line)
        ends.append(_said(line))
    return Sent(started=started, seconds=max(ends) - started)


def _said(line: Connection) -> float:
    if not line.poll(_ANSWER_SECONDS):
        raise wire.WireError(f"a sender said nothing for {_ANSWER_SECONDS:.0f} s")
    word = line.recv()
    if not isinstance(word, float):
        raise wire.WireError(str(word))
    return word


def _work(line: Connection, address: Address, shape: Shape, run: str, number: int, count: int) -> None:
    """One association in a process of its own: ready, go, the time of the last answer; or what went wrong."""
    try:
        with Association(address, shape.sop_class_uid) as association:
            objects = Objects(shape, run, number, association.max_pdu_bytes)
            line.send(0.0)
            line.recv()
            _send_all(association.socket, objects, count)
            line.send(time.monotonic())
            association.release()
    except (wire.WireError, OSError, EOFError) as error:
        line.send(f"association {number}: {error}")


def _send_all(connection: socket.socket, objects: Objects, count: int) -> None:
    for number in range(1, count + 1):
        connection.sendall(objects.numbered(number))
        _demand_success(wire.read_status(connection), f"C-STORE {number}")


def _demand_success(status: int, what: str) -> None:
    if status != 0x0000:
        raise wire.WireError(f"{what} was answered 0x{status:04X}, not 0x0000")


def setup_milliseconds(address: Address, sop_class_uid: str, times: int, seconds: float) -> float:
    """Median of connect, A-ASSOCIATE, A-RELEASE in milliseconds; at most `times`, and no longer than `seconds`."""

    def once() -> None:
        with Association(address, sop_class_uid) as association:
            association.release()

    return _median_milliseconds(once, times, seconds)


def echo_milliseconds(address: Address, sop_class_uid: str, times: int, seconds: float) -> float:
    """Median of a C-ECHO on one association in milliseconds; at most `times`, and no longer than `seconds`."""
    with Association(address, sop_class_uid) as association:
        median = _median_milliseconds(association.echo, times, seconds)
        association.release()
    return median


def _median_milliseconds(once: Callable[[], None], times: int, seconds: float) -> float:
    taken: list[float] = []
    while len(taken) < times and sum(taken) < seconds:
        started = time.perf_counter()
        once()
        taken.append(time.perf_counter() - started)
    return 1000 * statistics.median(taken)
