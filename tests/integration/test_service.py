"""The node in this process, with a stand-in for the models and a small PACS for the world."""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from cds.errors import ConfigError, DeliveryError
from cds.ports import ListenerAddress, Peer
from cds.service import IntakePlan, ListenerPlan, Node, NodePlan, RetryPolicy, WorkerProcess
from cds.store import Ledger
from cds.testing.stand_in import Script, make_stand_in
from cds_pacs.sender import DicomSender, SenderSettings
from cds_pacs.testing import MiniPacs
from cds_pacs.testing.instances import KEY_OBJECT, small_data_set, write_file

STUDY = "2.25.1"


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        pause.wait(0.05)


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pacs = MiniPacs(folder / "pacs")
        self.pacs.start()
        self.script = Script(folder / "script")
        self.ledger = Ledger(folder / "data")
        self.node = self.new_node(self.ledger)
        self.port = self.node.start()
        self.peer = Peer(name="node", ae_title="CDS", host="127.0.0.1", port=self.port)

    def new_node(self, ledger: Ledger, port: int = 0) -> Node:
        address = ListenerAddress(
            ae_title="CDS",
            host="127.0.0.1",
            port=port,
            max_associations=10,
            accept_unknown=False,
            peers=(self.pacs.peer(),),
        )
        plan = NodePlan(
            intake=IntakePlan(data_dir=self.folder / "data", journal_bytes=16 << 20),
            listeners=(ListenerPlan(name="dicom", address=address, table={"drain_seconds": 5}),),
            study_quiet_seconds=2.0,
            retry=RetryPolicy(first_seconds=0.3, longest_seconds=0.5),
        )
        return Node(
            ledger,
            plan,
            senders={"dicom": DicomSender(SenderSettings(acse_timeout_seconds=5, dimse_timeout_seconds=5))},
            analyst=WorkerProcess(make_stand_in(self.folder / "script")),
        )

    def restart(self) -> None:
        self.node.stop()
        self.node = self.new_node(self.ledger)
        self.port = self.node.start()
        self.peer = Peer(name="node", ae_title="CDS", host="127.0.0.1", port=self.port)

    def forward(self, study: int, *instances: int, **changes: object) -> None:
        for instance in instances:
            self.pacs.archive.add(write_file(self.folder, small_data_set(study, instance, **changes)))
        try:
            self.pacs.forward(f"2.25.{study}", self.peer)
        finally:
            sent = time.monotonic()
            until(lambda: self.node.filed_through() >= sent)

    def study(self, study: int = 1) -> dict[str, Any]:
        (found,) = self.ledger.state(f"2.25.{study}")["studies"]
        return dict(found)

    def wait_for(self, state: str, study: int = 1) -> None:
        until(lambda: self.study(study)["state"] == state)

    def close(self) -> None:
        self.script.release()
        self.node.stop()
        self.pacs.stop()
        self.ledger.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_a_study_goes_in_and_its_report_comes_back_to_the_pacs(world: World) -> None:
    world.forward(1, 1, 2, 3)
    world.wait_for("REPORTED")
    (report,) = world.pacs.structured_reports(STUDY)
    (entered,) = world.study()["reports"]
    assert {way["state"] for way in entered.pop("deliveries")} == {"SENT"}
    assert entered == {
        "sop_instance_uid": report.sop_instance_uid,
        "revision": 1,
        "delivery": "SENT",
        "superseded": False,
    }
    assert (world.study()["instances"], world.study()["attempts"]) == (3, 1)
    assert len(world.study()["inputs_hash"]) == 64


def test_our_own_report_coming_back_makes_no_job(world: World) -> None:
    world.forward(1, 1)
    world.wait_for("REPORTED")
    before = world.study()
    world.forward(1)
    assert len(world.ledger.state()["instances"]) == 2
    until(lambda: world.ledger.jobs.receiving() == ())
    assert world.study() == before
    assert world.script.runs(STUDY) == 1


def test_a_late_image_makes_a_second_revision(world: World) -> None:
    world.forward(1, 1)
    world.wait_for("REPORTED")
    first = world.study()["reports"][0]["sop_instance_uid"]
    world.forward(1, 2)
    assert world.study()["state"] == "RECEIVING"
    world.wait_for("REPORTED")
    reports = world.study()["reports"]
    assert [(one["revision"], one["superseded"]) for one in reports] == [(1, True), (2, False)]
    assert {one.sop_instance_uid for one in world.pacs.structured_reports(STUDY)} == {
        first,
        reports[1]["sop_instance_uid"],
    }


@pytest.mark.parametrize(
    ("word", "state", "reason"),
    [
        ("unusable", "SKIPPED", "nothing here can be read"),
        ("error", "FAILED", "the slices do not lie on a grid"),
        ("defect", "FAILED", "the analysis raised ValueError"),
    ],
)
def test_what_gives_no_report_says_why_and_a_retry_helps_when_the_cause_is_gone(
    world: World, word: str, state: str, reason: str
) -> None:
    world.script.write(STUDY, word)
    world.forward(1, 1)
    world.wait_for(state)
    assert world.study()["reason"] == reason
    assert world.pacs.structured_reports(STUDY) == ()
    world.ledger.levers.retry(STUDY, _now())
    world.wait_for("REPORTED")


def test_a_study_that_kills_the_worker_is_quarantined_and_the_queue_goes_on(world: World) -> None:
    world.script.write(STUDY, "crash", "crash", "crash")
    world.forward(1, 1)
    world.forward(2, 1)
    world.wait_for("QUARANTINED", study=1)
    world.wait_for("REPORTED", study=2)
    assert world.study()["attempts"] == 3
    assert world.script.runs(STUDY) == 3


def test_a_study_without_images_is_skipped(world: World) -> None:
    world.forward(1, 1, sop_class_uid=KEY_OBJECT)
    world.wait_for("SKIPPED")
    assert "no image" in world.study()["reason"]


def test_a_pacs_that_is_busy_then_well_gets_the_report_once(world: World) -> None:
    world.forward(1, 1)
    world.pacs.faults.statuses = [0xA700, 0xA700, 0xA700]
    world.wait_for("REPORTED")
    assert len(world.pacs.structured_reports(STUDY)) == 1
    postponed = [detail for _, kind, detail in world.ledger.history(STUDY) if kind == "delivery postponed"]
    assert len(postponed) == 3 and "0xA700" in postponed[0]


def test_a_pacs_that_stores_and_breaks_off_still_has_the_report_once(world: World) -> None:
    world.forward(1, 1)
    world.pacs.faults.abort_after_storing = True
    until(lambda: world.pacs.structured_reports(STUDY))
    assert world.study()["state"] == "RUNNING"
    world.pacs.faults.abort_after_storing = False
    world.wait_for("REPORTED")
    assert len(world.pacs.structured_reports(STUDY)) == 1


def test_a_pacs_that_refuses_for_good_is_told_in_the_state_and_a_resend_helps(world: World) -> None:
    world.forward(1, 1)
    world.pacs.faults.statuses = [0xA900, 0xA900]
    world.wait_for("FAILED")
    assert "0xA900" in world.study()["reason"]
    assert world.study()["reports"][0]["delivery"] == "FAILED"
    world.pacs.faults.statuses = []
    world.ledger.levers.resend(STUDY, ["pacs"], _now())
    world.wait_for("REPORTED")


def test_two_patients_in_one_study_are_never_fused(world: World) -> None:
    world.pacs.archive.add(write_file(world.folder, small_data_set(1, 1)))
    world.forward(1, 2, PatientID="OTHER")
    assert world.study()["state"] == "IDENTITY_CONFLICT"
    world.restart()
    assert world.study()["state"] == "IDENTITY_CONFLICT"
    assert world.script.runs(STUDY) == 0


def test_other_pixels_under_one_uid_are_kept_apart(world: World, tmp_path: Path) -> None:
    world.forward(1, 1)
    world.forward(1, 1, PixelData=bytes(32))
    assert [one["state"] for one in world.ledger.state()["instances"]] == ["STORED", "CONFLICT"]
    world.wait_for("REPORTED")
    assert world.study()["instances"] == 1


def test_garbage_is_refused_and_what_comes_after_it_is_not(world: World) -> None:
    with pytest.raises(DeliveryError, match="0xC000"):
        world.forward(1, 1, PatientID="X" * 10, StudyInstanceUID="2.25.1", SeriesInstanceUID="1.02.3")
    assert world.ledger.state()["studies"] == []
    world.forward(2, 1)
    world.wait_for("REPORTED", study=2)


def test_the_node_answers_while_an_analysis_runs(world: World) -> None:
    world.script.write(STUDY, "hang")
    world.forward(1, 1)
    until(lambda: world.script.runs(STUDY) == 1)
    entity = AE(ae_title="PACS")
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", world.port, ae_title="CDS")
    assert association.send_c_echo().Status == 0x0000
    association.release()
    assert world.study()["state"] == "RUNNING"
    world.script.release()
    world.wait_for("REPORTED")


def test_a_second_node_on_the_folder_is_refused(world: World) -> None:
    with Ledger(world.folder / "data") as other, pytest.raises(ConfigError, match="another node"):
        world.new_node(other).start()
    assert world.ledger.state()["node"]["port"] == world.port


def test_a_taken_port_stops_the_start_and_leaves_nothing_running(tmp_path: Path, world: World) -> None:
    world.node.stop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        plan_port = taken.getsockname()[1]
        with pytest.raises(OSError, match=r"in use.*the address of listener 'dicom'"):
            world.new_node(world.ledger, port=plan_port).start()
    assert not world.ledger.lock.held_by_anyone()
    world.node = world.new_node(world.ledger)
    world.node.start()


def test_after_a_restart_everything_goes_on_and_nothing_is_done_twice(world: World) -> None:
    world.forward(1, 1)
    world.wait_for("REPORTED")
    world.forward(2, 1)
    world.restart()
    world.wait_for("REPORTED", study=2)
    assert world.script.runs(STUDY) == 1
    assert len(world.pacs.structured_reports("2.25.2")) == 1
    assert world.ledger.sweep() == 0


def test_threads_return_to_the_baseline(world: World) -> None:
    world.forward(1, 1)
    world.wait_for("REPORTED")
    baseline = threading.active_count()
    for study in range(2, 8):
        world.forward(study, 1)
    for study in range(2, 8):
        world.wait_for("REPORTED", study=study)
    until(lambda: threading.active_count() <= baseline + 4)


def test_a_node_that_cannot_tell_that_it_listens_lets_go_of_everything(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody_listens(port: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("signal.signal", lambda *_: None)
    world.node.stop()
    world.node = world.new_node(world.ledger)
    with pytest.raises(OSError, match="No space"):
        world.node.run(nobody_listens)
    assert multiprocessing.active_children() == []
    world.node = world.new_node(world.ledger)
    world.node.start()


def _now() -> Any:
    from cds.service.node import utc_now

    return utc_now()
