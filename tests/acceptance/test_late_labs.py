"""A laboratory value that comes by HL7 after the report was delivered makes revision 2 at the PACS."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset

from cds.ports import Peer
from cds.store import Ledger
from cds.testing.phantoms.patient import PhantomStudy
from cds.testing.phantoms.xray import chest_xray_phantom
from cds_hl7.framing import framed
from cds_pacs.testing import MiniPacs
from support.node import ServedNode
from support.orthanc import free_port, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE_SECONDS = 240
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
STUDY = PhantomStudy(seed=21, started_at=datetime(2026, 6, 15, 9, 30, tzinfo=UTC))
PEERS = """
[[peers]]
name = "pacs"
ae_title = "PACS"
port = {port}
send_results = true
"""
EXTRA = """
[node.hl7]
port = {port}
[records]
sources = ["hl7"]
poll_seconds = 0.5
late_days = 7
late_quiet_seconds = 1
"""


class Ward:
    """A node with an HL7 listener, and a PACS that has one study."""

    def __init__(self, folder: Path, pacs: MiniPacs) -> None:
        self.pacs = pacs
        self.hl7_port = free_port()
        self.node = ServedNode(
            folder,
            free_port(),
            PEERS.format(port=pacs.port),
            quiet_seconds=2,
            node='listeners = ["dicom", "hl7"]\n',
            extra=EXTRA.format(port=self.hl7_port),
        )
        self.phantom = chest_xray_phantom(folder / "images", study=STUDY, seed=21)
        self.uid = self.phantom.study_instance_uid
        self._messages = 0

    def send_labs(self, *values: str, observed: str = "20260615080000+0000") -> None:
        """ORU^R01 about the patient of the study; it is kept when it is answered AA."""
        self._messages += 1
        header = pydicom.dcmread(self.phantom.file, stop_before_pixels=True)
        issuer = str(header.get("IssuerOfPatientID", ""))
        lines = [
            f"MSH|^~\\&|LIS|LAB|CDS|NODE|20260615||ORU^R01^ORU_R01|M-{self._messages}|P|2.5.1||||||UNICODE UTF-8",
            f"PID|1||{header.PatientID}^^^{issuer}^MR||X||{header.PatientBirthDate}|{header.PatientSex}",
            f"OBR|1|PL-{self._messages}|F-{self._messages}|24323-8^panel^LN|||{observed}",
            *(f"OBX|{number}|NM|{value}|||F" for number, value in enumerate(values, start=1)),
        ]
        with socket.create_connection(("127.0.0.1", self.hl7_port), timeout=60) as line:
            line.sendall(framed("\r".join([*lines, ""]).encode()))
            assert b"MSA|AA" in line.recv(1 << 16)

    def send_study(self) -> None:
        self.pacs.archive.add(self.phantom.file)
        node = Peer(name="node", ae_title="CDS", host="127.0.0.1", port=self.node.port)
        self.pacs.forward(self.uid, node)

    def reports(self) -> list[Dataset]:
        found = [pydicom.dcmread(each.path) for each in self.pacs.structured_reports(self.uid)]
        return sorted(found, key=lambda ds: len(ds.get("PredecessorDocumentsSequence", [])))

    def is_reported(self, revisions: int) -> bool:
        row = self.node.study(self.uid)
        return bool(row["state"] == "REPORTED" and len(row["reports"]) == revisions)

    def wait_for(self, revisions: int) -> None:
        wait_until(
            lambda: self.is_reported(revisions),
            PATIENCE_SECONDS,
            f"revision {revisions}; the node says {self.node.log()[-3000:]}",
        )

    def said(self) -> list[str]:
        with Ledger(self.node.folder / "data") as ledger:
            return [detail for _, _, detail in ledger.history(self.uid)]


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with MiniPacs(tmp_path / "pacs") as pacs:
        ward = Ward(tmp_path, pacs)
        ward.node.start()
        try:
            wait_until(lambda: "listening on" in ward.node.log(), PATIENCE_SECONDS, "the node to listen")
            yield ward
        finally:
            ward.node.stop()


def page_of(ward: Ward, revision: int) -> str:
    """The text of the PDF that lies at the PACS beside the last revision."""
    pages = [pydicom.dcmread(each.path) for each in ward.pacs.archive.objects(ward.uid) if each.sop_class_uid == PDF]
    assert len(pages) == revision
    last = max(pages, key=lambda ds: (ds.ContentDate, ds.ContentTime))
    (ward.node.folder / "page.pdf").write_bytes(last.EncapsulatedDocument)
    command = ["pdftotext", "-layout", str(ward.node.folder / "page.pdf"), "-"]
    return " ".join(subprocess.run(command, capture_output=True, check=True).stdout.decode().split())


def test_a_late_value_makes_revision_two_which_says_what_changed(ward: Ward) -> None:
    ward.send_study()
    ward.wait_for(1)
    ward.send_labs("1988-5^CRP^LN||210|mg/L|0-5|H", "6690-2^WBC^LN||17.4|10*9/L|3.5-9.5|H")
    ward.wait_for(2)
    first, second = ward.reports()
    (study,) = second.PredecessorDocumentsSequence
    named = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert named == first.SOPInstanceUID
    assert [row["superseded"] for row in ward.node.study(ward.uid)["reports"]] == [True, False]
    assert "late records" in ward.said()
    page = page_of(ward, 2)
    assert "Changes since revision 1" in page
    assert "laboratory: took no part → took part" in page
    assert "new, 210 mg/L H, 2026-06-15 08:00" in page
    assert "新增，210 mg/L H" in page
    ward.send_labs("2160-0^Creatinine^LN||80|umol/L|60-110|N", observed="20200101080000+0000")
    wait_until(lambda: "no record that counts is new" in ward.said(), PATIENCE_SECONDS, "a look at the old value")
    ward.wait_for(2)
    assert len(ward.reports()) == 2


def test_a_node_that_is_killed_after_it_answered_aa_makes_revision_two_when_it_is_back(ward: Ward) -> None:
    ward.send_study()
    ward.wait_for(1)
    ward.send_labs("1988-5^CRP^LN||210|mg/L|0-5|H")
    ward.node.kill()
    before = ward.node.log().count("listening on")
    ward.node.start()
    wait_until(lambda: ward.node.log().count("listening on") > before, PATIENCE_SECONDS, "the node to listen again")
    ward.wait_for(2)
    assert [row["superseded"] for row in ward.node.study(ward.uid)["reports"]] == [True, False]
    assert len(ward.reports()) == 2
