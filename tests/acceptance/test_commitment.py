"""Storage commitment against the real thing, both ways: Debian's Orthanc is SCP and SCU of it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from cds import ports
from cds.discovery import build
from cds.ports import ListenerAddress, Peer
from cds.service import IntakePlan, ListenerPlan, Node, NodePlan, RetryPolicy, WorkerProcess
from cds.store import Ledger
from cds.testing.stand_in import make_stand_in
from cds_pacs.testing.instances import small_data_set, write_file
from support.orthanc import ORTHANC, Orthanc, free_port, wait_until

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not Path(ORTHANC).exists(), reason="needs Debian's orthanc: apt-get install orthanc"),
]
STUDY = "2.25.1"
PATIENCE_SECONDS = 120


class World:
    """Orthanc, and a node with a stand-in for the models that asks it to keep what it sends."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.folder = folder
        self.pacs = Orthanc(folder, port)
        self.pacs.start()
        peer = Peer(
            name="pacs",
            ae_title="ORTHANC",
            host="127.0.0.1",
            port=self.pacs.dicom_port,
            send_results=True,
            commitment=True,
        )
        address = ListenerAddress(
            ae_title="CDS", host="127.0.0.1", port=port, max_associations=25, accept_unknown=False, peers=(peer,)
        )
        plan = NodePlan(
            intake=IntakePlan(data_dir=folder / "data"),
            listeners=(ListenerPlan(name="dicom", address=address),),
            study_quiet_seconds=1.0,
            retry=RetryPolicy(first_seconds=0.5, longest_seconds=1.0),
        )
        sender: type[ports.Sender] = ports.Sender  # type: ignore[type-abstract]
        self.ledger = Ledger(folder / "data")
        self.node = Node(
            self.ledger,
            plan,
            senders={"dicom": build(ports.SENDERS, "dicom", sender, {})},
            analyst=WorkerProcess(make_stand_in(folder / "script")),
        )
        self.node.start()

    def close(self) -> None:
        self.node.stop()
        self.ledger.close()
        self.pacs.stop()

    def upload(self, study: int, *instances: int) -> list[dict[str, str]]:
        """Give instances to Orthanc, which forwards them; what it calls them in a commitment request."""
        references = []
        for instance in instances:
            file = write_file(self.folder, small_data_set(study, instance))
            self.pacs.upload(file.read_bytes())
            ds = dcmread(file)
            references.append({"SOPClassUID": str(ds.SOPClassUID), "SOPInstanceUID": str(ds.SOPInstanceUID)})
        return references

    def deliveries(self, study: str) -> list[str]:
        return [report["delivery"] for row in self.ledger.state(study)["studies"] for report in row["reports"]]

    def ask(self, references: list[dict[str, str]]) -> dict[str, Any]:
        """Let Orthanc ask the node to commit, and wait for our answer as Orthanc has it."""
        body = json.dumps({"DicomInstances": references}).encode()
        url = f"http://127.0.0.1:{self.pacs.http_port}/modalities/cds/storage-commitment"
        with urllib.request.urlopen(urllib.request.Request(url, data=body, method="POST"), timeout=60) as answer:
            path = json.load(answer)["Path"]
        return wait_until(  # type: ignore[return-value]
            lambda: self._answered(path), PATIENCE_SECONDS, "our answer to Orthanc's storage commitment request"
        )

    def _answered(self, path: str) -> dict[str, Any] | None:
        found: dict[str, Any] = self.pacs.get(path)  # type: ignore[assignment]
        return found if found["Status"] != "Pending" else None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("commitment"))
    yield world
    world.close()


def test_orthanc_commits_to_our_report(world: World) -> None:
    world.upload(1, 1, 2)
    wait_until(
        lambda: world.deliveries(STUDY) == ["COMMITTED"],
        PATIENCE_SECONDS,
        f"COMMITTED; history {world.ledger.history(STUDY)}",
    )
    assert world.ledger.state(STUDY)["studies"][0]["state"] == "REPORTED"


def test_we_commit_to_what_orthanc_sent(world: World) -> None:
    references = world.upload(2, 1, 2, 3)
    wait_until(lambda: world.deliveries("2.25.2"), PATIENCE_SECONDS, "a report")
    answer = world.ask(references)
    assert answer["Status"] == "Success"
    assert {one["SOPInstanceUID"] for one in answer["Success"]} == {one["SOPInstanceUID"] for one in references}
    assert answer["Failures"] == []


def test_we_do_not_commit_to_what_never_came_or_is_of_another_class(world: World) -> None:
    (reference,) = world.upload(3, 1)
    wait_until(lambda: world.deliveries("2.25.3"), PATIENCE_SECONDS, "a report")
    never = {"SOPClassUID": reference["SOPClassUID"], "SOPInstanceUID": "2.25.404"}
    other = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4", "SOPInstanceUID": reference["SOPInstanceUID"]}
    answer = world.ask([never, other])
    assert answer["Status"] == "Failure"
    reasons = {one["SOPInstanceUID"]: one["FailureReason"] for one in answer["Failures"]}
    assert reasons == {"2.25.404": 0x0112, reference["SOPInstanceUID"]: 0x0119}


def test_what_orthanc_lost_is_sent_again_until_it_keeps_it(world: World) -> None:
    """Orthanc loses the report after it accepted it; asked again, it says so, and has it again."""
    world.upload(4, 1)
    wait_until(lambda: world.deliveries("2.25.4") == ["COMMITTED"], PATIENCE_SECONDS, "COMMITTED")
    report = world.ledger.state("2.25.4")["studies"][0]["reports"][0]["sop_instance_uid"]
    (row,) = [one for one in world.pacs.instances("2.25.4") if one["uid"] == report]
    url = f"http://127.0.0.1:{world.pacs.http_port}/instances/{row['id']}"
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=60).close()
    with world.ledger.deliveries._database.writing() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET state = 'SENT', commit_asks = 0, commit_at = ?", (_now(),))
    wait_until(
        lambda: report in {one["uid"] for one in world.pacs.instances("2.25.4")},
        PATIENCE_SECONDS,
        "the report in Orthanc again",
    )
    wait_until(lambda: world.deliveries("2.25.4") == ["COMMITTED"], PATIENCE_SECONDS, "COMMITTED again")
    assert any("0x0112" in detail for _, _, detail in world.ledger.history("2.25.4"))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
