"""The node is killed at every stage; what it promised holds afterwards.

P1 nothing that was answered with success is lost, P2 one report per study and set of inputs,
P3 REPORTED only if the PACS has it, P4 no file without a row and no row without a file.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pynetdicom import build_context
from pynetdicom.dsutils import split_dataset

from cds.store import Ledger
from cds.testing.stand_in import Script
from cds_pacs.testing import MiniPacs
from cds_pacs.testing.entity import CarefulEntity
from cds_pacs.testing.instances import CT_IMAGE, small_data_set, write_file
from support.orthanc import free_port, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
QUIET_SECONDS = 2.0
PATIENCE_SECONDS = 120
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace: apt-get install strace")


def until(condition: Callable[[], object]) -> None:
    wait_until(condition, PATIENCE_SECONDS, "what the test waits for")


class Theatre:
    """A small PACS here, a node in a process of its own, and a sender that keeps every answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.port = free_port()
        self.script = Script(folder / "script")
        self.pacs = MiniPacs(folder / "pacs")
        self.pacs.start()
        self.process: subprocess.Popen[bytes] | None = None
        self.accepted: dict[str, str] = {}

    def start(self, *wrapper: str) -> None:
        log = (self.folder / "node.log").open("ab")
        arguments = [self.data_dir, self.folder / "script", self.port, self.pacs.port, QUIET_SECONDS]
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "cds.testing.stand_in_node", *map(str, arguments)],
            stdout=log,
            stderr=log,
        )
        log.close()
        until(lambda: self.listens() or self.process.poll() is not None)

    def listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)

    def kill_if_it_lives(self) -> None:
        """Kill what the injected signal did not reach, together with its tracer."""
        if self.process.poll() is None:
            pid = int(self.state()["node"]["pid"]) if self.state()["node"] else None
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
            self.process.wait()

    def listener(self) -> int | None:
        """The process id of the listener, which holds its journal."""
        inode = (self.data_dir / "journal" / "dicom-0.ring").stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[3] == "WRITE" and fields[5].endswith(f":{inode}"):
                return int(fields[4])
        return None

    def files(self, studies: int, instances: int) -> list[Path]:
        folder = self.folder / "sent"
        folder.mkdir(exist_ok=True)
        return [
            write_file(folder, small_data_set(study, instance, PixelData=instance.to_bytes(2, "little") * 16))
            for study in range(1, studies + 1)
            for instance in range(1, instances + 1)
        ]

    def send(self, files: list[Path], after_each: Callable[[int], None] = lambda count: None) -> None:
        """Send until the node is gone; what it answered with success is remembered."""
        entity = CarefulEntity(ae_title="MODALITY")
        entity.dimse_timeout = 5  # how long a sender waits for a node that is gone
        association = entity.associate(
            "127.0.0.1", self.port, contexts=[build_context(CT_IMAGE, "1.2.840.10008.1.2.1")]
        )
        for count, file in enumerate(files, start=1):
            if not association.is_established:
                return
            try:
                answer = association.send_c_store(file)
            except RuntimeError:
                return
            if "Status" in answer and answer.Status == 0x0000:
                self.accepted[str(dcmread(file).SOPInstanceUID)] = _sha256_of(file)
            after_each(count)
        association.release()

    def send_the_rest(self, files: list[Path]) -> None:
        """Send what was not answered with success, as every sender does."""
        self.send([file for file in files if str(dcmread(file).SOPInstanceUID) not in self.accepted])

    def state(self) -> dict[str, Any]:
        with Ledger(self.data_dir) as ledger:
            return ledger.state()

    def wait_until_all_are(self, state: str, studies: int) -> None:
        """Wait for the studies, with all in them that was answered with success: filing is later than the answer."""

        def so() -> bool:
            now = self.state()
            filed = {instance["sop_instance_uid"] for instance in now["instances"]}
            return self.accepted.keys() <= filed and [one["state"] for one in now["studies"]] == [state] * studies

        until(so)

    def close(self) -> None:
        self.script.release()
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.pacs.stop()

    def check_promises(self) -> None:
        with Ledger(self.data_dir) as ledger:
            state = ledger.state()
            rows = {one["sop_instance_uid"]: one for one in state["instances"]}
            assert len(rows) == len(state["instances"])
            assert self.accepted.keys() <= rows.keys()
            blobs = {ledger.blobs.read(name).sop_instance_uid: name for name in ledger.blobs.names()}
            assert blobs.keys() == rows.keys()
            assert set(blobs.values()) == ledger.arrivals.blobs()
            for uid, digest in self.accepted.items():
                assert rows[uid]["sha256"] == digest
                assert hashlib.sha256(ledger.blobs.read(blobs[uid]).data_set).hexdigest() == digest
            self._check_reports(ledger, state)
            assert list(self.data_dir.rglob("*.part")) == []
            assert ledger.sweep() == 0

    def _check_reports(self, ledger: Ledger, state: dict[str, Any]) -> None:
        for study in state["studies"]:
            assert study["state"] == "REPORTED", study
            uid = study["study_instance_uid"]
            at_the_pacs = sorted(one.sop_instance_uid for one in self.pacs.structured_reports(uid))
            assert at_the_pacs == sorted(report["sop_instance_uid"] for report in study["reports"])
            assert [report["superseded"] for report in study["reports"]].count(False) == 1
            assert all(path.exists() for _, _, path in ledger.report_paths(uid))


def _sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()[split_dataset(file)[1] :]).hexdigest()


@pytest.fixture
def theatre(tmp_path: Path) -> Iterator[Theatre]:
    theatre = Theatre(tmp_path)
    yield theatre
    theatre.close()


@pytest.mark.parametrize("after", [1, 7, 16])
def test_killed_while_receiving(theatre: Theatre, after: int) -> None:
    files = theatre.files(studies=4, instances=5)
    theatre.start()
    theatre.send(files, after_each=lambda count: theatre.kill() if count == after else None)
    assert len(theatre.accepted) == after
    theatre.start()
    theatre.send_the_rest(files)
    assert len(theatre.accepted) == len(files)
    theatre.wait_until_all_are("REPORTED", studies=4)
    theatre.check_promises()
    assert theatre.terminate() == 0


def test_killed_while_analysing(theatre: Theatre) -> None:
    theatre.script.write("2.25.1", "hang")
    theatre.start()
    theatre.send(theatre.files(studies=2, instances=2))
    until(lambda: theatre.script.runs("2.25.1") == 1)
    theatre.kill()
    theatre.start()
    theatre.wait_until_all_are("REPORTED", studies=2)
    first, second = theatre.state()["studies"]
    assert (first["attempts"], second["attempts"]) == (2, 1)
    theatre.check_promises()


def test_a_study_that_kills_the_node_each_time_is_quarantined(theatre: Theatre) -> None:
    theatre.script.write("2.25.1", "hang", "hang", "hang", "hang")
    theatre.start()
    theatre.send(theatre.files(studies=1, instances=1))
    for run in (1, 2, 3):
        until(lambda run=run: theatre.script.runs("2.25.1") == run)
        theatre.kill()
        theatre.start()
    theatre.wait_until_all_are("QUARANTINED", studies=1)
    assert theatre.script.runs("2.25.1") == 3
    assert theatre.pacs.structured_reports("2.25.1") == ()


def test_killed_after_the_pacs_accepted_the_report_and_before_that_was_noted(theatre: Theatre) -> None:
    theatre.pacs.faults.abort_after_storing = True
    theatre.start()
    theatre.send(theatre.files(studies=1, instances=1))
    until(lambda: theatre.pacs.structured_reports("2.25.1"))
    theatre.kill()
    assert theatre.state()["studies"][0]["state"] == "RUNNING"
    theatre.pacs.faults.abort_after_storing = False
    theatre.start()
    theatre.wait_until_all_are("REPORTED", studies=1)
    theatre.check_promises()


def test_killed_while_the_pacs_is_down(theatre: Theatre) -> None:
    theatre.pacs.faults.refuse = True
    theatre.start()
    theatre.send(theatre.files(studies=2, instances=1))
    until(lambda: len([s for s in theatre.state()["studies"] if s["reports"]]) == 2)
    theatre.kill()
    theatre.start()
    theatre.pacs.faults.refuse = False
    theatre.wait_until_all_are("REPORTED", studies=2)
    theatre.check_promises()


def test_terminated_during_an_analysis_it_drains_and_no_attempt_is_lost(theatre: Theatre) -> None:
    theatre.script.write("2.25.1", "hang")
    theatre.start()
    theatre.send(theatre.files(studies=1, instances=1))
    until(lambda: theatre.script.runs("2.25.1") == 1)
    assert theatre.terminate() == 0
    study = theatre.state()["studies"][0]
    assert (study["state"], study["attempts"]) == ("READY", 0)
    theatre.start()
    theatre.wait_until_all_are("REPORTED", studies=1)
    assert theatre.state()["studies"][0]["attempts"] == 1
    theatre.check_promises()


def test_terminated_while_a_peer_hangs_it_leaves_in_time(theatre: Theatre) -> None:
    theatre.pacs.stop()
    with socket.create_server(("127.0.0.1", theatre.pacs.port)) as frozen:
        theatre.start()
        theatre.send(theatre.files(studies=1, instances=1))
        frozen.settimeout(PATIENCE_SECONDS)
        connection, _ = frozen.accept()
        with connection:
            assert theatre.terminate() == 0
    theatre.pacs.start()
    theatre.start()
    theatre.wait_until_all_are("REPORTED", studies=1)
    theatre.check_promises()


def test_a_listener_that_is_killed_is_replaced_and_nothing_is_lost(theatre: Theatre) -> None:
    files = theatre.files(studies=2, instances=5)
    theatre.start()
    first = theatre.listener()
    theatre.send(files, after_each=lambda count: os.kill(first, signal.SIGKILL) if count == 4 else None)
    until(lambda: theatre.listener() not in (None, first) and theatre.listens())
    theatre.send_the_rest(files)
    assert len(theatre.accepted) == len(files)
    assert theatre.process.poll() is None
    theatre.wait_until_all_are("REPORTED", studies=2)
    theatre.check_promises()
    assert theatre.terminate() == 0


def test_node_and_listener_killed_together(theatre: Theatre) -> None:
    files = theatre.files(studies=2, instances=5)
    theatre.start()

    def kill_both(count: int) -> None:
        if count == 6:
            listener = theatre.listener()
            theatre.kill()
            with suppress(ProcessLookupError):  # it ends by itself when the node is gone
                os.kill(listener, signal.SIGKILL)

    theatre.send(files, after_each=kill_both)
    theatre.start()
    theatre.send_the_rest(files)
    theatre.wait_until_all_are("REPORTED", studies=2)
    theatre.check_promises()


def test_what_was_answered_and_not_filed_is_filed_at_the_next_start(theatre: Theatre) -> None:
    files = theatre.files(studies=1, instances=6)
    theatre.start()
    with closing(sqlite3.connect(theatre.data_dir / "ledger.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        theatre.send(files)
        assert len(theatre.accepted) == len(files)
        theatre.kill()
    assert theatre.state()["instances"] == []
    theatre.start()
    theatre.wait_until_all_are("REPORTED", studies=1)
    theatre.check_promises()
    assert theatre.terminate() == 0


KERNEL = {
    "rename": ("rename,renameat,renameat2", (1,)),
    "fsync": ("fsync", (2, 5, 9)),
    "fdatasync": ("fdatasync", (2, 4, 6, 9)),
    "pwritev": ("pwritev,pwritev2", (1, 2, 4)),
    "unlink": ("unlink,unlinkat", (1,)),
    "pwrite64": ("pwrite64", (2, 4, 7)),
}
"""Calls by which something becomes durable, and at which of them in each thread the process is killed."""
SEED = random.Random(int(os.environ.get("CDS_FAULT_SEED", "1")))
STRIKES = [
    (call, number)
    for call, (_, many) in KERNEL.items()
    for number in (many if os.environ.get("CDS_FAULT_KERNEL") == "all" else [SEED.choice(many)])
]
"""One of each call, drawn by ``CDS_FAULT_SEED``; every one with ``CDS_FAULT_KERNEL=all``."""


@needs_strace
@pytest.mark.parametrize(("call", "number"), STRIKES)
def test_killed_at_a_call_to_the_kernel(theatre: Theatre, call: str, number: int) -> None:
    """Node, listener or worker: whichever makes the call is killed in it."""
    files = theatre.files(studies=2, instances=3)
    theatre.start()
    assert theatre.terminate() == 0
    kernel = KERNEL[call][0]
    inject = f"inject={kernel}:signal=SIGKILL:when={number}"
    theatre.start("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={kernel}", "-e", inject)
    if theatre.listens():
        theatre.send(files)
    theatre.kill_if_it_lives()
    theatre.start()
    theatre.send_the_rest(files)
    theatre.wait_until_all_are("REPORTED", studies=2)
    theatre.check_promises()
