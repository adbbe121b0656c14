from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cds.domain.records import Records
from cds.domain.study import Patient, Study
from cds.ports import ListenerAddress
from cds.testing.contract_listeners import RefusingIntake, loopback
from cds_hl7.desk import Desk, Rules
from cds_hl7.framing import Block, Blocks, framed
from cds_hl7.kept import MessageStore, store_path
from cds_hl7.listener import Hl7Listener, Hl7ListenerSettings
from cds_hl7.source import Hl7Records

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PATIENT = Patient(patient_id="P-1", issuer_of_patient_id="HOSP", birth_date=date(1950, 1, 2), sex="F")
STUDY = Study(study_instance_uid="1.2.3", patient=PATIENT, series=(), started_at=NOON, accession_number="ACC-1")
PID = "PID|1||P-1^^^HOSP^MR||Canary^Name||19500102|F"
OBR = "OBR|1|PL-1|F-1|24323-8^panel^LN|||20260131080000+0000"
CRP = "OBX|1|NM|1988-5^CRP^LN||120|mg/L|0-5|H|||F"


def msh(kind: str = "ORU^R01^ORU_R01", control_id: str = "M-1", charset: str = "UNICODE UTF-8", **other: str) -> str:
    processing, version = other.get("processing", "P"), other.get("version", "2.5.1")
    return f"MSH|^~\\&|LIS|LAB|CDS|NODE|20260131080500||{kind}|{control_id}|{processing}|{version}||||||{charset}"


def message(*segments: str, **header: str) -> bytes:
    return "\r".join([msh(**header), *segments, ""]).encode()


def oru(*obx: str, control_id: str = "M-1", pid: str = PID, obr: str = OBR) -> bytes:
    return message(pid, obr, *(obx or (CRP,)), control_id=control_id)


def said(answer: bytes) -> list[str]:
    """MSA-1 to MSA-3 of an answer."""
    lines = answer.decode().split("\r")
    return next(line for line in lines if line.startswith("MSA")).split("|")[1:]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MessageStore]:
    opened = MessageStore(store_path(str(tmp_path)))
    yield opened
    opened.close()


Hand = Callable[[bytes], list[list[str]]]


@pytest.fixture
def hand(store: MessageStore) -> Hand:
    """Hand a block to the desk; MSA of each answer."""
    desk = Desk(store, Rules())
    return lambda content: [said(answer()) for answer in desk.take(Block(content))]


Join = Callable[..., Records]


@pytest.fixture
def join(tmp_path: Path, hand: Hand) -> Join:
    """Take messages, then join them to a study."""

    def run(*messages: bytes, study: Study = STUDY, **settings: object) -> Records:
        for each in messages:
            assert [answer[0] for answer in hand(each)] == ["AA"]
        found = Hl7Records(Hl7Records.Settings(data_dir=str(tmp_path), **settings))  # type: ignore[arg-type]
        return found.records_for(study)

    return run


def study_of(**changes: object) -> Study:
    patient = replace(PATIENT, **{k: v for k, v in changes.items() if hasattr(PATIENT, k)})  # type: ignore[arg-type]
    return replace(STUDY, patient=patient, **{k: v for k, v in changes.items() if not hasattr(PATIENT, k)})  # type: ignore[arg-type]


class Caller:
    """A raw socket that speaks MLLP as badly as it is told to."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._blocks = Blocks(1 << 20)
        self._read: list[bytes] = []

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def answer(self) -> list[str]:
        """MSA of the next answer; empty where the connection ends before one comes."""
        while not self._read:
            part = self.socket.recv(1 << 16)
            if not part:
                return []
            self._read += [block.content for block in self._blocks.feed(part)]
        return said(self._read.pop(0))

    def ask(self, content: bytes) -> list[str]:
        self.send(framed(content))
        return self.answer()


Listening = Callable[..., int]


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    """Start a listener on a free port, with settings and an address of one's own."""
    running: list[Hl7Listener] = []

    def start(address: ListenerAddress | None = None, **settings: object) -> int:
        listener = Hl7Listener(Hl7ListenerSettings(data_dir=str(tmp_path), **settings))  # type: ignore[arg-type]
        running.append(listener)
        return listener.start(address or loopback(), RefusingIntake())

    yield start
    for listener in running:
        listener.stop()


@pytest.fixture
def call() -> Iterator[Callable[[int], Caller]]:
    callers: list[Caller] = []

    def connect(port: int) -> Caller:
        callers.append(Caller(port))
        return callers[-1]

    yield connect
    for caller in callers:
        caller.socket.close()
