from __future__ import annotations

import hashlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless
from pynetdicom.dsutils import split_dataset

from cds.errors import DeliveryError, DeliveryPostponed
from cds.ports import Peer
from cds_pacs.sender import DicomSender, SenderSettings
from cds_pacs.testing import MiniPacs
from cds_pacs.testing.instances import COMPREHENSIVE_SR, small_data_set, write_file

STORESCP = Path("/usr/bin/storescp")


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[MiniPacs]:
    with MiniPacs(tmp_path / "pacs") as pacs:
        yield pacs


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    kinds = [{"sop_class_uid": COMPREHENSIVE_SR}, {}]
    return [write_file(tmp_path, small_data_set(1, number, **kind)) for number, kind in enumerate(kinds, start=1)]


def send(files: list[Path], peer: Peer) -> None:
    settings = SenderSettings(
        connect_timeout_seconds=60, acse_timeout_seconds=60, dimse_timeout_seconds=60, idle_seconds=0
    )
    DicomSender(settings).send(files, peer, calling_ae_title="CDS")


def test_files_arrive_byte_for_byte(pacs: MiniPacs, files: list[Path]) -> None:
    send(files, pacs.peer())
    stored = {one.sop_instance_uid: one.sha256 for one in pacs.archive.objects()}
    for file in files:
        data_set = file.read_bytes()[split_dataset(file)[1] :]
        assert stored[str(dcmread(file).SOPInstanceUID)] == hashlib.sha256(data_set).hexdigest()


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0110])
def test_a_busy_peer_postpones_the_delivery(pacs: MiniPacs, files: list[Path], status: int) -> None:
    pacs.faults.statuses = [status]
    with pytest.raises(DeliveryPostponed, match=f"0x{status:04X}"):
        send(files, pacs.peer())
    send(files, pacs.peer())
    assert len(pacs.archive.objects()) == 2


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0122])
def test_a_refusal_is_final(pacs: MiniPacs, files: list[Path], status: int) -> None:
    pacs.faults.statuses = [status]
    with pytest.raises(DeliveryError, match=f"0x{status:04X}") as caught:
        send(files, pacs.peer())
    assert not caught.value.retryable


@pytest.mark.parametrize("status", [0xB000, 0x0111])
def test_a_warning_and_a_duplicate_count_as_accepted(pacs: MiniPacs, files: list[Path], status: int) -> None:
    pacs.faults.statuses = [status]
    send(files, pacs.peer())


@pytest.mark.parametrize("fault", ["refuse", "abort", "abort_after_storing"])
def test_a_peer_that_breaks_off_is_tried_again(pacs: MiniPacs, files: list[Path], fault: str) -> None:
    setattr(pacs.faults, fault, True)
    with pytest.raises(DeliveryPostponed):
        send(files, pacs.peer())
    setattr(pacs.faults, fault, False)
    send(files, pacs.peer())
    assert len(pacs.archive.objects()) == 2


def test_a_peer_that_is_down_is_tried_again(pacs: MiniPacs, files: list[Path]) -> None:
    peer = pacs.peer()
    pacs.stop()
    with pytest.raises(DeliveryPostponed, match="is it running"):
        send(files, peer)


@pytest.mark.parametrize("content", [None, b"", b"hello"])
def test_what_is_no_dicom_file_is_refused(pacs: MiniPacs, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "report.dcm"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DeliveryError, match="no DICOM file"):
        send([path], pacs.peer())


@pytest.mark.skipif(not STORESCP.exists(), reason="DCMTK is not installed: apt-get install dcmtk")
class TestDcmtk:
    @pytest.fixture
    def storescp(self, tmp_path: Path, request: pytest.FixtureRequest, free_port: int, until) -> Iterator[Peer]:
        folder = tmp_path / "storescp"
        folder.mkdir()
        options = getattr(request, "param", [])
        process = subprocess.Popen([STORESCP, *options, "-od", str(folder), str(free_port)])
        until(lambda: _listens(free_port))
        yield Peer(name="dcmtk", ae_title="STORESCP", host="127.0.0.1", port=free_port)
        process.kill()
        process.wait()

    @pytest.mark.parametrize("storescp", [["+x="], ["+xi"]], indirect=True, ids=["explicit", "implicit only"])
    def test_storescp_takes_reports(self, storescp: Peer, files: list[Path], tmp_path: Path) -> None:
        send(files[:1], storescp)
        (arrived,) = (tmp_path / "storescp").iterdir()
        assert dcmread(arrived).SOPInstanceUID == dcmread(files[0]).SOPInstanceUID

    @pytest.mark.parametrize("storescp", [["--refuse"], ["--abort-after"], ["--abort-during"]], indirect=True)
    def test_a_storescp_that_misbehaves_is_tried_again(self, storescp: Peer, files: list[Path]) -> None:
        with pytest.raises(DeliveryPostponed):
            send(files, storescp)

    @pytest.mark.parametrize("storescp", [["+xi"]], indirect=True)
    def test_a_transfer_syntax_that_the_peer_does_not_take_is_final(
        self, storescp: Peer, files: list[Path], tmp_path: Path
    ) -> None:
        ds = dcmread(files[1])
        ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
        path = tmp_path / "compressed.dcm"
        ds.PixelData = encapsulate([b"\x00\x01"])
        ds["PixelData"].is_undefined_length = True
        ds.save_as(path)
        with pytest.raises(DeliveryError) as caught:
            send([path], storescp)
        assert not caught.value.retryable


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
