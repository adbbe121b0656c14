"""The main job against the real thing: Debian's Orthanc auto-forwards, and the report comes back."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import highdicom.sr
import pydicom
import pytest
from pydicom.uid import ComprehensiveSRStorage, EncapsulatedPDFStorage

from cds.testing.phantoms.xray import chest_xray_phantom
from support.node import ServedNode
from support.orthanc import ORTHANC, Orthanc, free_port, wait_until

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not Path(ORTHANC).exists(), reason="needs Debian's orthanc: apt-get install orthanc"),
]
ROOT = Path(__file__).parents[2]
CT = Path(os.environ.get("CDS_DATA", ROOT.parent / "shared" / "data")) / "ct_chest_series"
PEERS = """
[[peers]]
name = "pacs"
ae_title = "ORTHANC"
port = {port}
send_results = true
"""
PATIENCE_SECONDS = 300


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Orthanc, ServedNode]]:
    folder = tmp_path_factory.mktemp("orthanc")
    port = free_port()
    pacs = Orthanc(folder, port)
    (folder / "node").mkdir()
    node = ServedNode(folder / "node", port, PEERS.format(port=pacs.dicom_port))
    node.start()
    pacs.start()
    node.wait_until_it_listens()
    try:
        yield pacs, node
    finally:
        pacs.stop()
        node.stop()


def real_series(folder: Path) -> list[Path]:
    if not CT.is_dir():
        pytest.skip(f"the real chest CT is not at hand: no folder {CT.name}; set CDS_DATA to where it lies")
    return sorted(CT.glob("*.dcm"))


def phantom(folder: Path) -> list[Path]:
    return [chest_xray_phantom(folder).file]


@pytest.mark.parametrize("source", [phantom, real_series])
def test_a_study_uploaded_to_orthanc_comes_back_as_one_report_and_one_pdf(
    world: tuple[Orthanc, ServedNode], tmp_path: Path, source: object
) -> None:
    pacs, node = world
    files = source(tmp_path)  # type: ignore[operator]
    study = str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
    for file in files:
        pacs.upload(file.read_bytes())

    def reported() -> bool:
        row = node.study(study)
        assert row["state"] not in ("FAILED", "SKIPPED", "QUARANTINED"), row
        return bool(row["state"] == "REPORTED")

    wait_until(reported, PATIENCE_SECONDS, f"a report; the node says {node.log()[-3000:]}")
    # Orthanc forwards the study once more with the results in it: that must not make another report.
    received = len(files) + 2
    wait_until(lambda: len(mine(node, pacs, study)) >= received, PATIENCE_SECONDS, "our own results forwarded back")
    by_class = results(pacs, study)
    assert sorted(len(found) for found in by_class.values()) == [1, 1]
    row = node.study(study)
    assert row["state"] == "REPORTED"
    assert [report["delivery"] for report in row["reports"]] == ["SENT"]
    sr = by_class[str(ComprehensiveSRStorage)][0]
    assert row["reports"][0]["sop_instance_uid"] == pydicom.dcmread(io.BytesIO(sr)).SOPInstanceUID
    check_sr(sr, tmp_path, images=len(files))
    check_with_dciodvfy(by_class[str(EncapsulatedPDFStorage)][0], tmp_path / "pdf.dcm")


def mine(node: ServedNode, pacs: Orthanc, study: str) -> set[str]:
    """What stands in the PACS under the study and has reached the node."""
    received = {row["sop_instance_uid"] for row in node.state()["instances"]}
    return received & {row["uid"] for row in pacs.instances(study)}


def results(pacs: Orthanc, study: str) -> dict[str, list[bytes]]:
    """What of ours stands in the PACS under the study, by SOP class."""
    ours = {str(ComprehensiveSRStorage): [], str(EncapsulatedPDFStorage): []}
    for row in pacs.instances(study):
        if row["class"] in ours:
            ours[row["class"]].append(pacs.file(row["id"]))
    return ours


def check_sr(content: bytes, folder: Path, images: int) -> None:
    file = folder / "sr.dcm"
    check_with_dciodvfy(content, file)
    report = highdicom.sr.srread(file)
    assert report.content.get_image_measurement_groups() or report.content.get_planar_roi_measurement_groups()
    evidence = report.CurrentRequestedProcedureEvidenceSequence
    referenced = [
        item for s in evidence for series in s.ReferencedSeriesSequence for item in series.ReferencedSOPSequence
    ]
    assert len(referenced) == images
    dump = shutil.which("dsrdump", path="/usr/bin")
    if dump is None:
        pytest.skip("dsrdump is absent: apt-get install dcmtk")
    # dsrdump cuts long values in the middle of a character, hence "replace".
    text = subprocess.run([dump, str(file)], capture_output=True, check=True).stdout.decode(errors="replace")
    for wanted in ('"Finding"', '"Algorithm Name"', '"Image Library"'):
        assert wanted in text


def check_with_dciodvfy(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfy is absent: apt-get install dicom3tools")
    answer = subprocess.run([tool, str(file)], capture_output=True, text=True, check=False)
    errors = [line for line in (answer.stdout + answer.stderr).splitlines() if line.startswith("Error")]
    assert errors == []
