"""Counts and earlier studies against the real thing: Debian's Orthanc is asked, and sends by C-GET and C-MOVE."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest

from cds.domain.records import Identity
from cds.errors import ArchiveError
from cds.ports import Peer
from cds.testing.phantoms.patient import PhantomStudy
from cds.testing.phantoms.xray import PNEUMONIA, chest_xray_phantom
from cds_pacs.archive import ArchiveSettings, DicomArchive
from cds_pacs.testing.instances import small_data_set, write_file
from cds_pacs.testing.mini_pacs import MiniPacs
from support.node import ServedNode
from support.orthanc import ORTHANC, Orthanc, free_port, wait_until

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not Path(ORTHANC).exists(), reason="needs Debian's orthanc: apt-get install orthanc"),
]
PEERS = """
[[peers]]
name = "pacs"
ae_title = "ORTHANC"
port = {port}
send_results = true
counts = true
priors = true
"""
EXTRA = '[archives.dicom]\nretrieve = "{retrieve}"\n[report]\nwriters = ["sr", "pdf", "json"]\n'
NOW = PhantomStudy(seed=11, started_at=datetime(2026, 6, 15, 9, 30, tzinfo=UTC))
THEN = replace(NOW, seed=12, started_at=datetime(2025, 12, 15, 9, 30, tzinfo=UTC))
PERSON = Identity(patient_id="P-1", birth_date=date(1950, 1, 1), sex="F")
QUIET_SECONDS = 120
PATIENCE_SECONDS = 240
"""Less than the quiet time: what is ready by then was complete by the count."""


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Orthanc, int]]:
    port = free_port()
    running = Orthanc(tmp_path_factory.mktemp("orthanc"), port)
    running.start()
    try:
        yield running, port
    finally:
        running.stop()


@pytest.fixture
def peer(pacs: tuple[Orthanc, int]) -> Peer:
    return Peer(name="orthanc", ae_title="ORTHANC", host="127.0.0.1", port=pacs[0].dicom_port)


@pytest.fixture(scope="module")
def stocked(pacs: tuple[Orthanc, int], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two studies of one person and one of another under the same Patient ID."""
    folder = tmp_path_factory.mktemp("stock")
    for study, instances, changes in (
        (1, 3, {"StudyDate": "20250101", "StudyDescription": "CT Thorax"}),
        (2, 2, {"StudyDate": "20260101"}),
        (3, 1, {"StudyDate": "20260201", "PatientBirthDate": "19991231"}),
    ):
        for number in range(1, instances + 1):
            pacs[0].upload(
                write_file(folder, small_data_set(study, number, **{"PatientID": "P-1", **changes})).read_bytes()
            )


@pytest.mark.usefixtures("stocked")
def test_orthanc_tells_how_many_instances_a_study_has(peer: Peer) -> None:
    archive = DicomArchive(ArchiveSettings())
    assert archive.instances("2.25.1", peer, calling_ae_title="CDS") == 3
    assert archive.instances("2.25.404", peer, calling_ae_title="CDS") is None


@pytest.mark.usefixtures("stocked")
def test_orthanc_lists_the_studies_of_the_person_and_not_those_of_a_namesake(peer: Peer) -> None:
    found = DicomArchive(ArchiveSettings()).studies(PERSON, peer, calling_ae_title="CDS")
    assert [study.study_instance_uid for study in found] == ["2.25.2", "2.25.1"]
    assert found[1].started_on == date(2025, 1, 1)
    assert found[1].modalities == ("CT",)
    assert [study.instances for study in found] == [2, 3]


@pytest.mark.usefixtures("stocked")
def test_orthanc_sends_a_study_by_c_get(peer: Peer, tmp_path: Path) -> None:
    assert DicomArchive(ArchiveSettings()).fetch("2.25.1", tmp_path, peer, calling_ae_title="CDS") == 3
    uids = {str(pydicom.dcmread(file).SOPInstanceUID) for file in tmp_path.iterdir()}
    assert uids == {"2.25.1.1", "2.25.1.2", "2.25.1.3"}


@pytest.mark.usefixtures("stocked")
def test_orthanc_sends_a_study_to_our_listener_by_c_move(pacs: tuple[Orthanc, int], peer: Peer, tmp_path: Path) -> None:
    with MiniPacs(tmp_path, ae_title="CDS", port=pacs[1]) as listener:
        assert DicomArchive(ArchiveSettings()).move("2.25.1", peer, calling_ae_title="CDS") == 3
        assert len(listener.archive.objects("2.25.1")) == 3


@pytest.mark.usefixtures("stocked")
def test_orthanc_does_not_move_to_an_ae_title_that_it_does_not_know(peer: Peer) -> None:
    with pytest.raises(ArchiveError, match="transfer"):
        DicomArchive(ArchiveSettings()).move("2.25.1", peer, calling_ae_title="NOBODY")


@pytest.mark.parametrize("retrieve", ["get", "move"])
def test_a_report_is_made_at_once_and_compares_with_the_earlier_study_in_orthanc(retrieve: str, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "orthanc").mkdir()
    pacs = Orthanc(tmp_path / "orthanc", port)
    (tmp_path / "node").mkdir()
    node = ServedNode(
        tmp_path / "node",
        port,
        PEERS.format(port=pacs.dicom_port),
        quiet_seconds=QUIET_SECONDS,
        extra=EXTRA.format(retrieve=retrieve),
    )
    then = chest_xray_phantom(tmp_path / "then", study=THEN, seed=12)
    now = chest_xray_phantom(tmp_path / "now", study=NOW, seed=11, opacities=PNEUMONIA)
    pacs.configuration.write_text(pacs.configuration.read_text().replace("forward.lua", "quiet.lua"))
    (pacs.folder / "quiet.lua").write_text(
        "function OnStableStudy(studyId, tags, metadata)\n"
        f"  if tags['StudyInstanceUID'] == '{now.study_instance_uid}' then\n"
        "    RestApiPost('/modalities/cds/store', studyId)\n  end\nend\n"
    )
    node.start()
    pacs.start()
    try:
        node.wait_until_it_listens()
        pacs.upload(then.file.read_bytes())
        pacs.upload(now.file.read_bytes())

        def reported() -> bool:
            return bool(node.study(now.study_instance_uid)["state"] == "REPORTED")

        wait_until(reported, PATIENCE_SECONDS, f"a report; the node says {node.log()[-3000:]}")
        row = node.study(now.study_instance_uid)
        assert row["completed_by"] == "complete: all 1 instances that peer 'pacs' has"
        form = report_of(node)
        (prior,) = form["priors"]
        assert prior["study_instance_uid"] == then.study_instance_uid
        assert prior["days"] == 182
        (change,) = prior["changes"]
        assert 0 <= change["then"]["probability"] <= 1
        assert 0 <= change["now"]["probability"] <= 1
        assert form["inputs"]["complete"] == {"held": 1, "expected": 1}
        check_only_one_report(pacs, node, then.study_instance_uid, moved=retrieve == "move")
    finally:
        pacs.stop()
        node.stop()


def report_of(node: ServedNode) -> dict[str, Any]:
    (file,) = (node.folder / "data" / "reports").rglob("*.json")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def check_only_one_report(pacs: Orthanc, node: ServedNode, prior: str, *, moved: bool) -> None:
    """The earlier study has no report of its own, wherever it went."""
    row = node.study(prior)
    if moved:
        wait_until(lambda: node.study(prior)["state"] == "SKIPPED", PATIENCE_SECONDS, "the moved study set aside")
        assert "comparison" in node.study(prior)["reason"]
    else:
        assert row["state"] == ""
    classes = [pydicom.dcmread(io.BytesIO(pacs.file(each["id"]))).SOPClassUID for each in pacs.instances(prior)]
    assert len(classes) == 1
