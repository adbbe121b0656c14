"""Both ways with a real Orthanc and its DICOMweb plugin."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from cds.domain.diagnosis import Verdict
from cds.domain.records import Identity
from cds.errors import ArchiveError
from cds.ports import Peer
from cds_dicomweb.archive import ArchiveSettings, DicomWebArchive
from cds_dicomweb.listener import DicomWebListener, ListenerSettings
from cds_dicomweb.sender import DicomWebSender, SenderSettings
from cds_dicomweb.testing import RememberingIntake
from cds_pacs.testing.instances import COMPREHENSIVE_SR, encoded, small_data_set, write_file
from support.orthanc import free_port

ORTHANC = "/usr/sbin/Orthanc"
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.skipif(
        not (os.path.exists(ORTHANC) and os.path.exists(PLUGIN)), reason="needs Debian's orthanc and orthanc-dicomweb"
    ),
]


class Orthanc:
    def __init__(self, folder: Path, port: int, cds_port: int) -> None:
        self.port = port
        configuration = {
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "HttpPort": port,
            "DicomServerEnabled": False,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "Plugins": [PLUGIN],
            "DicomWeb": {"Enable": True, "Servers": {"cds": [f"http://127.0.0.1:{cds_port}/dicom-web/"]}},
        }
        (folder / "orthanc.json").write_text(json.dumps(configuration))
        with (folder / "orthanc.log").open("wb") as log:
            self.process = subprocess.Popen([ORTHANC, str(folder / "orthanc.json")], stdout=log, stderr=log)

    def call(self, path: str, body: object = None) -> object:
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data=data, timeout=60) as answer:
            return json.load(answer)

    def is_up(self) -> bool:
        try:
            return bool(self.call("/system"))
        except (urllib.error.URLError, ConnectionError):
            return False

    def peer(self) -> Peer:
        return Peer(name="orthanc", ae_title="ORTHANC", host="127.0.0.1", port=self.port, via="dicomweb")


@pytest.fixture(scope="module")
def cds_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, cds_port: int) -> Iterator[Orthanc]:
    running = Orthanc(tmp_path_factory.mktemp("orthanc"), free_port(), cds_port)
    try:
        deadline, pause = time.monotonic() + 120, threading.Event()
        while not running.is_up():
            assert time.monotonic() < deadline, "Orthanc does not answer"
            pause.wait(0.1)
        yield running
    finally:
        running.process.terminate()
        running.process.wait(60)


def test_what_we_store_in_orthanc_is_counted_found_and_fetched(orthanc: Orthanc, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "back").mkdir()
    changes = {"PatientID": "ORTHANC-1", "StudyDate": "20240102", "StudyDescription": "Thorax"}
    files = [write_file(tmp_path / "out", small_data_set(11, number, **changes)) for number in (1, 2, 3)]
    files.append(
        write_file(
            tmp_path / "out",
            small_data_set(11, 4, sop_class_uid=COMPREHENSIVE_SR, SeriesInstanceUID="2.25.11.9", **changes),
        )
    )
    sender, archive = DicomWebSender(SenderSettings()), DicomWebArchive(ArchiveSettings())
    sender.send(files, orthanc.peer(), calling_ae_title="CDS")
    sender.send(files, orthanc.peer(), calling_ae_title="CDS")  # again: it has them, and that is as good
    assert archive.instances("2.25.11", orthanc.peer(), calling_ae_title="CDS") == 4
    assert archive.instances("2.25.999", orthanc.peer(), calling_ae_title="CDS") is None
    (study,) = archive.studies(Identity(patient_id="ORTHANC-1"), orthanc.peer(), calling_ae_title="CDS")
    assert (study.study_instance_uid, str(study.started_on)) == ("2.25.11", "2024-01-02")
    assert (set(study.modalities), study.description) == ({"CT", "SR"}, "Thorax")
    assert archive.fetch("2.25.11", tmp_path / "back", orthanc.peer(), calling_ae_title="CDS") == 4
    sent = sorted(str(dcmread(file).to_json()) for file in files)
    assert sorted(str(dcmread(file).to_json()) for file in (tmp_path / "back").iterdir()) == sent


def test_orthanc_passes_the_examination(orthanc: Orthanc) -> None:
    for plugin in (DicomWebSender(SenderSettings()), DicomWebArchive(ArchiveSettings())):
        lines = list(plugin.examine(orthanc.peer(), calling_ae_title="CDS"))
        assert [line.verdict for line in lines] == [Verdict.OK], lines


def test_a_study_that_orthanc_has_not_is_not_fetched(orthanc: Orthanc, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="orthanc"):
        DicomWebArchive(ArchiveSettings()).fetch("2.25.999", tmp_path, orthanc.peer(), calling_ae_title="CDS")


def test_orthanc_stores_a_study_with_us(
    orthanc: Orthanc, cds_port: int, listening, caller: Peer, tmp_path: Path
) -> None:
    sets = [small_data_set(12, number, PatientID="ORTHANC-2", PixelData=bytes(100_000)) for number in range(1, 6)]
    files = [write_file(tmp_path, ds) for ds in sets]
    DicomWebSender(SenderSettings()).send(files, orthanc.peer(), calling_ae_title="CDS")
    (study,) = orthanc.call("/tools/find", {"Level": "Study", "Query": {"PatientID": "ORTHANC-2"}})  # type: ignore[misc]
    intake = RememberingIntake(spool_above_bytes=50_000)
    listener = DicomWebListener(ListenerSettings())
    listener.start(listening(port=cds_port), intake)
    try:
        orthanc.call("/dicom-web/servers/cds/stow", {"Resources": [study], "Synchronous": True})
    finally:
        listener.stop()
    assert intake.taken == {str(ds.SOPInstanceUID): encoded(ds) for ds in sets}
    assert intake.announced["2.25.12.1"].calling_ae_title == caller.ae_title
