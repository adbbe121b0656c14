"""`cds serve` over the web alone: a study with a prior comes by STOW-RS, its report goes out by STOW-RS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread

from cds.ports import Peer
from cds.testing.phantoms import CHILD, PhantomStudy
from cds.testing.phantoms.xray import chest_xray_phantom
from cds_dicomweb.sender import DicomWebSender, SenderSettings
from cds_dicomweb.testing import Origin
from support.node import ServedNode
from support.orthanc import free_port, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE_SECONDS = 240
PEERS = """
[[peers]]
name = "vna"
ae_title = "VNA"
port = {port}
via = "dicomweb"
send_results = true
counts = true
priors = true
"""


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as origin:
        yield origin


@pytest.fixture
def node(tmp_path: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedNode]:
    monkeypatch.setitem(os.environ, "CDS_NODE__LISTENERS", '["dicomweb"]')
    node = ServedNode(tmp_path, free_port(), PEERS.format(port=origin.port), quiet_seconds=3)
    node.start()
    node.wait_until_it_listens()
    yield node
    node.stop()


def test_a_study_comes_in_its_prior_is_fetched_and_its_report_goes_out(
    node: ServedNode, origin: Origin, tmp_path: Path
) -> None:
    a_year_ago = datetime(2025, 6, 2, 10, 0, tzinfo=UTC)
    prior = chest_xray_phantom(tmp_path / "prior", study=PhantomStudy(seed=4, patient=CHILD, started_at=a_year_ago))
    origin.put(prior.file.read_bytes())
    phantom = chest_xray_phantom(tmp_path / "study", study=PhantomStudy(seed=3, patient=CHILD))
    to_us = Peer(name="node", ae_title="CDS", host="127.0.0.1", port=node.port, via="dicomweb")
    DicomWebSender(SenderSettings()).send([phantom.file], to_us, calling_ae_title="VNA")

    def is_reported() -> bool:
        row = node.study(phantom.study_instance_uid)
        assert row["state"] not in ("FAILED", "SKIPPED", "QUARANTINED"), row
        return bool(row["state"] == "REPORTED")

    wait_until(is_reported, PATIENCE_SECONDS, "the study to be reported")
    results = [ds for ds in origin.data_sets() if ds.StudyInstanceUID == phantom.study_instance_uid]
    assert "SR" in {ds.Modality for ds in results}
    assert f"GET /dicom-web/studies/{prior.study_instance_uid}" in origin.targets
    patient = dcmread(phantom.file, stop_before_pixels=True)
    assert str(patient.PatientName) not in node.log()
    assert str(patient.PatientID) not in node.log()
