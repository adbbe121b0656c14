from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

import pytest

from cds.domain.records import Identity
from cds.errors import ArchiveError
from cds_dicomweb.archive import ArchiveSettings, DicomWebArchive
from cds_dicomweb.testing import Origin
from cds_dicomweb.testing.origin import BOUNDARY, Reply
from cds_pacs.testing.instances import encoded, part10, small_data_set

PATIENT = Identity(patient_id="P 1&x=/#", birth_date=date(1950, 1, 1), sex="F")


@pytest.fixture
def archive() -> DicomWebArchive:
    return DicomWebArchive(ArchiveSettings())


def put(origin: Origin, study: int, instances: int = 1, **changes: object) -> None:
    for number in range(1, instances + 1):
        origin.put(part10(small_data_set(study, number, **{"PatientID": PATIENT.patient_id, **changes})))


def test_the_peer_s_own_count_is_believed(origin: Origin, archive: DicomWebArchive) -> None:
    put(origin, study=1, instances=3)
    put(origin, study=2, instances=2)
    assert archive.instances("2.25.1", origin.peer(), calling_ae_title="CDS") == 3
    assert len(origin.targets) == 1


@pytest.mark.parametrize("page", [1000, 2, 3])
def test_a_peer_that_does_not_count_is_counted_page_by_page(
    origin: Origin, archive: DicomWebArchive, page: int
) -> None:
    put(origin, study=1, instances=5)
    origin.counts, origin.page = False, page
    assert archive.instances("2.25.1", origin.peer(), calling_ae_title="CDS") == 5


def test_a_peer_that_gives_the_same_page_again_and_again_is_asked_twice(
    origin: Origin, archive: DicomWebArchive
) -> None:
    study = b'[{"0020000D":{"vr":"UI","Value":["2.25.1"]}}]'
    page = Reply(200, b'[{"00080018":{"vr":"UI","Value":["1.1"]}}]', headers=(("Warning", "299 more"),))
    origin.says += [Reply(200, study), page, page, page]
    assert archive.instances("2.25.1", origin.peer(), calling_ae_title="CDS") == 1
    assert origin.says == [page]


def test_a_count_may_be_written_as_text(origin: Origin, archive: DicomWebArchive) -> None:
    told = b'[{"0020000D":{"vr":"UI","Value":["2.25.1"]},"00201208":{"vr":"IS","Value":["7"]}}]'
    origin.says.append(Reply(200, told))
    assert archive.instances("2.25.1", origin.peer(), calling_ae_title="CDS") == 7


def test_an_answer_about_another_study_is_none(origin: Origin, archive: DicomWebArchive) -> None:
    told = b'[{"0020000D":{"vr":"UI","Value":["2.25.2"]},"00201208":{"vr":"IS","Value":[7]}}]'
    origin.says.append(Reply(200, told))
    assert archive.instances("2.25.1", origin.peer(), calling_ae_title="CDS") is None


def test_no_content_means_nothing_found(origin: Origin, archive: DicomWebArchive) -> None:
    origin.says.append(Reply(204))
    assert archive.studies(PATIENT, origin.peer(), calling_ae_title="CDS") == ()


def test_a_patient_s_studies_come_with_what_the_peer_says_of_them(origin: Origin, archive: DicomWebArchive) -> None:
    put(origin, study=1, instances=2, StudyDate="20200101", StudyDescription="Thorax")
    put(origin, study=2, StudyDate="20210101")
    put(origin, study=3)
    newest, older, undated = archive.studies(PATIENT, origin.peer(), calling_ae_title="CDS")
    assert (older.study_instance_uid, older.started_on) == ("2.25.1", date(2020, 1, 1))
    assert (older.description, older.modalities, older.instances) == ("Thorax", ("CT",), 2)
    assert newest.study_instance_uid == "2.25.2"
    assert (undated.study_instance_uid, undated.started_on) == ("2.25.3", None)


@pytest.mark.parametrize(
    "changes", [{"PatientBirthDate": "19600101"}, {"PatientSex": "M"}, {"PatientID": "P 1&x=/#2"}, {"PatientID": ""}]
)
def test_a_study_of_somebody_else_is_dropped(
    origin: Origin, archive: DicomWebArchive, changes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_dicomweb.testing.origin._KEYS", ())  # an origin that matches nothing and returns all
    put(origin, study=1)
    put(origin, study=2, **changes)
    found = archive.studies(PATIENT, origin.peer(), calling_ae_title="CDS")
    assert [study.study_instance_uid for study in found] == ["2.25.1"]


@pytest.mark.parametrize("url", ["http://192.0.2.1:8042/dicom-web", "http://pacs.example/dicom-web"])
def test_no_patient_id_goes_into_a_url_that_others_can_read(origin: Origin, archive: DicomWebArchive, url: str) -> None:
    with pytest.raises(ArchiveError, match="needs https"):
        archive.studies(PATIENT, origin.peer(url=url), calling_ae_title="CDS")


def test_neither_patient_nor_url_stands_in_a_log_or_an_error(
    origin: Origin, archive: DicomWebArchive, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    patient = Identity(patient_id="CANARY")
    assert archive.studies(patient, origin.peer(), calling_ae_title="CDS") == ()
    origin.says.append(Reply(500, b"CANARY"))
    with pytest.raises(ArchiveError) as caught:
        archive.studies(patient, origin.peer(), calling_ae_title="CDS")
    assert any("CANARY" in target for target in origin.targets)
    assert "CANARY" not in caplog.text + str(caught.value) + repr(caught.value.__context__)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html/>", "text/html"),
        Reply(200, b"{]"),
        Reply(200, b'"text"'),
        Reply(200, b"[" * 100_000),
        Reply(302, headers=(("Location", "http://127.0.0.1:9/"),)),
        Reply(401),
        Reply(413),
        Reply(500),
        Reply(200, b"\x1f\x8b", headers=(("Content-Encoding", "gzip"),)),
    ],
)
def test_an_answer_that_is_no_dicom_json_is_an_error_that_names_the_peer(
    origin: Origin, archive: DicomWebArchive, reply: Reply
) -> None:
    origin.says.append(reply)
    with pytest.raises(ArchiveError, match="origin"):
        archive.instances("2.25.1", origin.peer(), calling_ae_title="CDS")


def test_odd_values_in_dicom_json_are_no_values(origin: Origin, archive: DicomWebArchive) -> None:
    told = (
        b'[{"0020000D":{"Value":["2.25.1"]},"00100020":{"Value":["P 1&x=/#"]},"00201208":{"Value":[null,"x"]},'
        b'"00080020":{"Value":["2020"]},"00080061":{"Value":[null,7,"CT"]},"00081030":7,"00100021":{"Value":{}}}, {}]'
    )
    origin.says.append(Reply(200, told))
    (study,) = archive.studies(PATIENT, origin.peer(), calling_ae_title="CDS")
    assert (study.instances, study.started_on, study.modalities, study.description) == (None, None, ("CT",), "")


def test_a_study_is_fetched_byte_for_byte(origin: Origin, archive: DicomWebArchive, tmp_path: Path) -> None:
    put(origin, study=1, instances=3, PixelData=bytes(range(256)) * 4000)
    put(origin, study=2)
    assert archive.fetch("2.25.1", tmp_path, origin.peer(), calling_ae_title="CDS") == 3
    sent = sorted(content for uid, content in origin.files.items() if uid.startswith("2.25.1."))
    assert sorted(file.read_bytes() for file in tmp_path.iterdir()) == sent


def test_the_preamble_of_a_fetched_file_is_zeroed(origin: Origin, archive: DicomWebArchive, tmp_path: Path) -> None:
    content = part10(small_data_set())
    origin.put(b"MZ" + bytes(126) + content[128:])
    archive.fetch("2.25.1", tmp_path, origin.peer(), calling_ae_title="CDS")
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == content


def retrieved(*files: bytes) -> Reply:
    parts = b"".join(b"--%s\r\n\r\n%s\r\n" % (BOUNDARY.encode(), file) for file in files)
    kind = f"multipart/related; type=application/dicom; boundary={BOUNDARY}"
    return Reply(200, parts + f"--{BOUNDARY}--".encode(), kind)


ONE = part10(small_data_set())


@pytest.mark.parametrize(
    "reply",
    [
        retrieved(ONE, part10(small_data_set(study=2))),
        retrieved(ONE, b"no file"),
        retrieved(ONE, ONE[: len(ONE) - len(encoded(small_data_set()))]),
        Reply(200, ONE, "application/dicom"),
        Reply(200, ONE, "multipart/related"),
        Reply(206, retrieved(ONE).body, retrieved(ONE).content_type),
        Reply(404),
        Reply(500),
    ],
    ids=["another study's", "no file", "no data set", "not multipart", "no boundary", "partial", "404", "500"],
)
def test_a_study_that_does_not_come_as_asked_leaves_nothing(
    origin: Origin, archive: DicomWebArchive, tmp_path: Path, reply: Reply
) -> None:
    origin.says.append(reply)
    with pytest.raises(ArchiveError, match="origin"):
        archive.fetch("2.25.1", tmp_path, origin.peer(), calling_ae_title="CDS")
    assert list(tmp_path.iterdir()) == []


def test_a_study_that_is_cut_off_leaves_nothing(origin: Origin, archive: DicomWebArchive, tmp_path: Path) -> None:
    put(origin, study=1, instances=2)
    origin.cut_retrievals = True
    with pytest.raises(ArchiveError, match="closing delimiter"):
        archive.fetch("2.25.1", tmp_path, origin.peer(), calling_ae_title="CDS")
    assert list(tmp_path.iterdir()) == []


def test_a_study_larger_than_allowed_is_not_fetched(origin: Origin, tmp_path: Path) -> None:
    put(origin, study=1, instances=2, PixelData=bytes(600_000))
    with pytest.raises(ArchiveError, match="larger"):
        DicomWebArchive(ArchiveSettings(most_megabytes=1)).fetch(
            "2.25.1", tmp_path, origin.peer(), calling_ae_title="CDS"
        )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_take_it_is_an_error(origin: Origin, archive: DicomWebArchive, tmp_path: Path) -> None:
    put(origin, study=1)
    with pytest.raises(ArchiveError, match="cannot be kept"):
        archive.fetch("2.25.1", tmp_path / "missing", origin.peer(), calling_ae_title="CDS")
