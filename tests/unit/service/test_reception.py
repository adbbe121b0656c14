from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pynetdicom import AE, build_context

from cds.errors import ConfigError
from cds.ports import ListenerAddress
from cds.service.filing import Filer
from cds.service.reception import IntakePlan, ListenerPlan, Reception
from cds.store import Ledger
from cds_pacs.testing.instances import CT_IMAGE, small_data_set, write_file

PATIENCE_SECONDS = 60


def until(condition: Callable[[], object]) -> None:
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        pause.wait(0.02)


class Front:
    """A reception with its filer, without the rest of a node."""

    def __init__(self, folder: Path, *, processes: int = 1, table: dict[str, object] | None = None) -> None:
        address = ListenerAddress(
            ae_title="CDS", host="127.0.0.1", port=0, max_associations=10, accept_unknown=True, peers=()
        )
        plan = IntakePlan(data_dir=folder, journal_bytes=1 << 20)
        listener = ListenerPlan(name="dicom", address=address, table=table or {}, processes=processes)
        self.folder = folder
        self.ledger = Ledger(folder)
        self.filer = Filer(self.ledger, plan.spool_dir)
        self.reception = Reception([listener], plan)
        self.port = 0

    def start(self) -> None:
        self.port = self.reception.start(self.filer.follow)
        self.filer.start()

    def children(self) -> list[int]:
        return [desk._child.pid or 0 for desk in self.reception._desks if desk._child is not None]

    def send(self, *numbers: int) -> list[int]:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)):
                return []
        entity = AE(ae_title="MODALITY")
        association = entity.associate(
            "127.0.0.1", self.port, contexts=[build_context(CT_IMAGE, "1.2.840.10008.1.2.1")]
        )
        if not association.is_established:
            return []
        statuses = []
        for number in numbers:
            answer = association.send_c_store(write_file(self.folder, small_data_set(1, number)))
            statuses.append(int(answer.get("Status", -1)))
        association.release()
        return statuses

    def stored(self) -> int:
        return len(self.ledger.state()["instances"])

    def close(self) -> None:
        self.reception.stop(10.0)
        self.filer.stop(10.0)
        self.ledger.close()


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    front = Front(tmp_path)
    front.start()
    yield front
    front.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_listener_that_ends_is_replaced_on_the_same_port_and_keeps_what_it_took(
    front: Front, number: signal.Signals
) -> None:
    assert front.send(1, 2) == [0, 0]
    (child,) = front.children()
    os.kill(child, number)
    until(lambda: front.children() not in ([], [child]))
    until(lambda: front.send(3) == [0])
    until(lambda: front.stored() == 3)


def test_the_listeners_process_imports_neither_database_nor_workflow_nor_models() -> None:
    heavy = "{'sqlalchemy', 'dbos', 'torch'}"
    program = f"import sys, cds.service.reception; assert not {heavy} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE_SECONDS)


def test_several_processes_share_one_port_and_each_has_its_journal(tmp_path: Path) -> None:
    front = Front(tmp_path, processes=2)
    front.start()
    assert sorted(ring.name for ring in tmp_path.glob("journal/*.ring")) == ["dicom-0.ring", "dicom-1.ring"]
    for number in range(1, 9):
        assert front.send(number) == [0]
    first, second = front.children()
    os.kill(first, signal.SIGKILL)
    until(lambda: first not in front.children() and len(front.children()) == 2)
    assert second in front.children()
    front.close()
    with Ledger(tmp_path) as ledger:
        assert len(ledger.state()["instances"]) == 8


def test_a_table_that_the_plugin_does_not_know_stops_the_start(tmp_path: Path) -> None:
    front = Front(tmp_path, table={"drain_secnds": 5})
    with pytest.raises(ConfigError, match="drain_seconds"):
        front.start()
    assert front.children() == []
    front.close()


def test_what_came_before_the_stop_is_filed_by_then(front: Front) -> None:
    assert front.send(*range(1, 11)) == [0] * 10
    front.reception.stop(10.0)
    front.filer.stop(10.0)
    assert front.stored() == 10
