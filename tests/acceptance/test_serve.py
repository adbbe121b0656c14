"""`cds serve` with its real models, killed with SIGKILL while it receives and while it analyses."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE, build_context
from pynetdicom.dsutils import split_dataset

from cds.testing.phantoms.ct import ct_thorax_phantom
from cds.testing.phantoms.xray import chest_xray_phantom
from cds_pacs.testing import MiniPacs
from faults.processes import lock_holder, workers
from support.node import ServedNode
from support.orthanc import free_port, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE_SECONDS = 240
PEERS = """
[[peers]]
name = "pacs"
ae_title = "PACS"
port = {port}
send_results = true
"""


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[MiniPacs]:
    with MiniPacs(tmp_path / "pacs") as pacs:
        yield pacs


@pytest.fixture
def node(tmp_path: Path, pacs: MiniPacs) -> Iterator[ServedNode]:
    node = ServedNode(tmp_path, free_port(), PEERS.format(port=pacs.port), quiet_seconds=2)
    yield node
    node.stop()


def start(node: ServedNode) -> None:
    node.start()
    node.wait_until_it_listens()


def listeners(node: ServedNode) -> set[int]:
    rings = (node.folder / "data" / "journal").glob("*.ring")
    return {holder for ring in rings if (holder := lock_holder(ring)) is not None}


def send(node: ServedNode, files: list[Path], *, kill_after: int = 0) -> dict[str, str]:
    """Send as a PACS does; the SHA-256 of each data set that was answered with success."""
    header = dcmread(files[0], stop_before_pixels=True)
    context = build_context(header.SOPClassUID, header.file_meta.TransferSyntaxUID)
    entity = AE(ae_title="PACS")
    entity.dimse_timeout = 60
    association = entity.associate("127.0.0.1", node.port, contexts=[context], ae_title="CDS")
    assert association.is_established
    accepted = {}
    for count, file in enumerate(files, start=1):
        answer = association.send_c_store(file)
        assert answer.Status == 0x0000
        content = file.read_bytes()[split_dataset(file)[1] :]
        accepted[str(dcmread(file, stop_before_pixels=True).SOPInstanceUID)] = hashlib.sha256(content).hexdigest()
        if count == kill_after:
            node.kill()
            return accepted
    association.release()
    return accepted


def in_state(node: ServedNode, study: str, state: str) -> None:
    def reached() -> bool:
        row = node.study(study)
        assert row["state"] not in ("FAILED", "SKIPPED", "QUARANTINED"), row
        return bool(row["state"] == state)

    wait_until(reached, PATIENCE_SECONDS, f"{state}; the node says {node.log()[-2000:]}")


def check_kept(node: ServedNode, accepted: dict[str, str]) -> None:
    kept = {row["sop_instance_uid"]: row["sha256"] for row in node.state()["instances"] if row["state"] == "STORED"}
    assert accepted.items() <= kept.items()


def test_killed_while_receiving_it_keeps_what_it_answered_and_reports_once(
    node: ServedNode, pacs: MiniPacs, tmp_path: Path
) -> None:
    ct = ct_thorax_phantom(tmp_path / "ct", matrix=256, slice_mm=3.0)
    files = list(ct.files)
    start(node)
    accepted = send(node, files, kill_after=len(files) // 2)
    start(node)
    check_kept(node, accepted)
    accepted |= send(node, files[len(files) // 2 :])
    in_state(node, ct.study_instance_uid, "REPORTED")
    check_kept(node, accepted)
    assert len(accepted) == len(files)
    # What had come before the kill may have been quiet long enough for a report of its own: then it is superseded.
    reports = node.study(ct.study_instance_uid)["reports"]
    assert [report["superseded"] for report in reports].count(False) == 1
    assert len(pacs.structured_reports(ct.study_instance_uid)) == len(reports)


def test_killed_while_analysing_it_reports_exactly_once(node: ServedNode, pacs: MiniPacs, tmp_path: Path) -> None:
    xray = chest_xray_phantom(tmp_path / "xray")
    start(node)
    assert node.process is not None
    worker = wait_until(lambda: workers(node.process.pid, listeners(node)), PATIENCE_SECONDS, "the worker")
    os.kill(worker[0], signal.SIGSTOP)  # the analysis lasts until the kill
    accepted = send(node, [xray.file])
    in_state(node, xray.study_instance_uid, "RUNNING")
    node.kill()
    assert pacs.structured_reports(xray.study_instance_uid) == ()
    start(node)
    in_state(node, xray.study_instance_uid, "REPORTED")
    check_kept(node, accepted)
    row = node.study(xray.study_instance_uid)
    assert row["attempts"] == 2
    assert len(row["reports"]) == len(pacs.structured_reports(xray.study_instance_uid)) == 1
    assert node.stop() == 0
