from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pynetdicom.dsutils import split_dataset

from cds.domain.records import Identity
from cds.errors import ArchiveError
from cds_pacs.archive import ArchiveSettings, DicomArchive
from cds_pacs.testing.instances import (
    COMPREHENSIVE_SR,
    small_data_set,
    write_file,
)
from cds_pacs.testing.mini_pacs import MiniPacs

PATIENT = Identity(patient_id="P-1", birth_date=date(1950, 1, 1), sex="F")


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[MiniPacs]:
    with MiniPacs(tmp_path / "pacs") as running:
        yield running


@pytest.fixture
def archive() -> DicomArchive:
    return DicomArchive(ArchiveSettings(dimse_timeout_seconds=60.0))


def put(pacs: MiniPacs, folder: Path, study: int, instances: int = 1, **changes: object) -> None:
    for number in range(1, instances + 1):
        pacs.archive.add(write_file(folder, small_data_set(study, number, **{"PatientID": "P-1", **changes})))


def without(pacs: MiniPacs, monkeypatch: pytest.MonkeyPatch, *keywords: str) -> None:
    """Make the PACS one that does not return some attributes."""
    find = pacs.archive.find

    def poorer(query: Dataset) -> Iterator[Dataset]:
        for answer in find(query):
            for keyword in keywords:
                if keyword in answer:
                    delattr(answer, keyword)
            yield answer

    monkeypatch.setattr(pacs.archive, "find", poorer)


def test_the_number_of_study_related_instances_is_asked_for(
    pacs: MiniPacs, archive: DicomArchive, tmp_path: Path
) -> None:
    put(pacs, tmp_path, study=1, instances=3)
    put(pacs, tmp_path, study=2, instances=5)
    assert archive.instances("2.25.1", pacs.peer(), calling_ae_title="CDS") == 3


@pytest.mark.parametrize(
    "unsupported",
    [
        ("NumberOfStudyRelatedInstances",),
        ("NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances"),
    ],
)
def test_a_peer_without_counts_is_counted_by_series_or_image(
    pacs: MiniPacs,
    archive: DicomArchive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unsupported: tuple[str, ...],
) -> None:
    put(pacs, tmp_path, study=1, instances=3)
    pacs.archive.add(write_file(tmp_path, small_data_set(1, 4, PatientID="P-1", SeriesInstanceUID="2.25.1.9")))
    without(pacs, monkeypatch, *unsupported)
    assert archive.instances("2.25.1", pacs.peer(), calling_ae_title="CDS") == 4


def test_a_study_that_the_peer_does_not_know_has_no_count(pacs: MiniPacs, archive: DicomArchive) -> None:
    assert archive.instances("2.25.404", pacs.peer(), calling_ae_title="CDS") is None


def test_the_studies_of_a_patient_come_newest_first(pacs: MiniPacs, archive: DicomArchive, tmp_path: Path) -> None:
    put(pacs, tmp_path, study=1, StudyDate="20240105", StudyDescription="CT Thorax")
    put(pacs, tmp_path, study=2, StudyDate="20250105", instances=2)
    put(pacs, tmp_path, study=3)
    put(pacs, tmp_path, study=4, StudyDate="20250601", PatientID="P-2")
    found = archive.studies(PATIENT, pacs.peer(), calling_ae_title="CDS")
    assert [study.study_instance_uid for study in found] == ["2.25.2", "2.25.1", "2.25.3"]
    assert found[1].started_on == date(2024, 1, 5)
    assert found[1].description == "CT Thorax"
    assert found[1].modalities == ("CT",)
    assert [study.instances for study in found] == [2, 1, 1]
    assert found[2].started_on is None


@pytest.mark.parametrize(
    "other",
    [
        {"PatientBirthDate": "19510101"},
        {"PatientSex": "M"},
        {"IssuerOfPatientID": "ELSEWHERE"},
    ],
)
def test_an_answer_that_names_another_person_under_the_same_id_is_dropped(
    pacs: MiniPacs, archive: DicomArchive, tmp_path: Path, other: dict[str, str]
) -> None:
    put(pacs, tmp_path, study=1)
    put(pacs, tmp_path, study=2, **other)
    patient = Identity(patient_id="P-1", issuer_of_patient_id="HERE", birth_date=date(1950, 1, 1), sex="F")
    found = archive.studies(patient, pacs.peer(), calling_ae_title="CDS")
    assert [study.study_instance_uid for study in found] == ["2.25.1"]


@pytest.mark.parametrize("patient_id", ["*", "P-?", "P-1\\P-2", "", "  "])
def test_a_patient_id_that_would_match_others_is_never_asked_for(
    pacs: MiniPacs, archive: DicomArchive, tmp_path: Path, patient_id: str
) -> None:
    put(pacs, tmp_path, study=1)
    with pytest.raises(ArchiveError, match="wild cards"):
        archive.studies(Identity(patient_id=patient_id), pacs.peer(), calling_ae_title="CDS")


def test_a_study_is_fetched_byte_for_byte_whatever_its_sop_classes(
    pacs: MiniPacs, archive: DicomArchive, tmp_path: Path
) -> None:
    put(pacs, tmp_path, study=1, instances=4)
    put(pacs, tmp_path, study=2, instances=2)
    pacs.archive.add(write_file(tmp_path, small_data_set(1, 9, sop_class_uid=COMPREHENSIVE_SR, PatientID="P-1")))
    target = tmp_path / "fetched"
    target.mkdir()
    assert archive.fetch("2.25.1", target, pacs.peer(), calling_ae_title="CDS") == 5
    kept = {one.sop_instance_uid: data_set(one.path) for one in pacs.archive.objects("2.25.1")}
    assert {str(dcmread(path).SOPInstanceUID): data_set(path) for path in target.iterdir()} == kept


def data_set(path: Path) -> bytes:
    return path.read_bytes()[split_dataset(path)[1] :]


def test_an_instance_that_does_not_come_fails_the_fetch_and_leaves_nothing(
    pacs: MiniPacs, archive: DicomArchive, tmp_path: Path
) -> None:
    put(pacs, tmp_path, study=1, instances=3)
    pacs.archive.objects("2.25.1")[1].path.unlink()
    target = tmp_path / "fetched"
    target.mkdir()
    with pytest.raises(ArchiveError):
        archive.fetch("2.25.1", target, pacs.peer(), calling_ae_title="CDS")
    assert list(target.iterdir()) == []


def test_an_instance_of_another_study_is_refused(pacs: MiniPacs, archive: DicomArchive, tmp_path: Path) -> None:
    put(pacs, tmp_path, study=1, instances=2)
    put(pacs, tmp_path, study=2)
    stranger = pacs.archive.objects("2.25.2")[0]
    pacs.archive.objects("2.25.1")[1].path.write_bytes(stranger.path.read_bytes())
    target = tmp_path / "fetched"
    target.mkdir()
    with pytest.raises(ArchiveError, match="1 of 2 instances did not come"):
        archive.fetch("2.25.1", target, pacs.peer(), calling_ae_title="CDS")
    assert list(target.iterdir()) == []


def test_a_study_larger_than_allowed_is_not_fetched(pacs: MiniPacs, tmp_path: Path) -> None:
    put(pacs, tmp_path, study=1, instances=2)
    target = tmp_path / "fetched"
    target.mkdir()
    with pytest.raises(ArchiveError, match="more than 0 MB"):
        DicomArchive(ArchiveSettings(most_megabytes=0)).fetch("2.25.1", target, pacs.peer(), calling_ae_title="CDS")
    assert list(target.iterdir()) == []


def test_more_answers_than_allowed_are_an_error(pacs: MiniPacs, tmp_path: Path) -> None:
    for study in range(1, 5):
        put(pacs, tmp_path, study=study)
    with pytest.raises(ArchiveError, match="more than 3 times"):
        DicomArchive(ArchiveSettings(most_answers=3)).studies(PATIENT, pacs.peer(), calling_ae_title="CDS")


def test_a_study_that_takes_too_long_is_broken_off(pacs: MiniPacs, tmp_path: Path) -> None:
    put(pacs, tmp_path, study=1, instances=2)
    target = tmp_path / "fetched"
    target.mkdir()
    with pytest.raises(ArchiveError, match="within 0 s"):
        DicomArchive(ArchiveSettings(fetch_seconds=0.0)).fetch("2.25.1", target, pacs.peer(), calling_ae_title="CDS")
    assert list(target.iterdir()) == []


def test_a_peer_that_refuses_the_association_is_an_error_that_names_it(pacs: MiniPacs, archive: DicomArchive) -> None:
    pacs.faults.refuse = True
    with pytest.raises(ArchiveError, match=r"'pacs'.*rejected"):
        archive.instances("2.25.1", pacs.peer(), calling_ae_title="CDS")


def test_a_study_is_moved_to_our_own_listener(pacs: MiniPacs, archive: DicomArchive, tmp_path: Path) -> None:
    put(pacs, tmp_path, study=1, instances=3)
    with MiniPacs(tmp_path / "listener", ae_title="CDS") as listener:
        pacs.destinations.append(listener.peer("cds"))
        assert archive.move("2.25.1", pacs.peer(), calling_ae_title="CDS") == 3
        assert len(listener.archive.objects("2.25.1")) == 3


def test_a_peer_that_does_not_know_where_we_listen_cannot_move(
    pacs: MiniPacs, archive: DicomArchive, tmp_path: Path
) -> None:
    put(pacs, tmp_path, study=1)
    with pytest.raises(ArchiveError, match="0xA801"):
        archive.move("2.25.1", pacs.peer(), calling_ae_title="CDS")


def test_no_log_names_the_patient_however_much_is_logged(
    pacs: MiniPacs, archive: DicomArchive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(pacs, tmp_path, study=1, PatientID="CANARY-7", StudyDescription="CANARY-8")
    (tmp_path / "fetched").mkdir()
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "pynetdicom"):
        assert archive.studies(Identity(patient_id="CANARY-7"), pacs.peer(), calling_ae_title="CDS")
        assert archive.fetch("2.25.1", tmp_path / "fetched", pacs.peer(), calling_ae_title="CDS") == 1
    assert caplog.records
    assert "CANARY" not in caplog.text
    assert "Yellow" not in caplog.text


def test_no_message_names_the_patient(pacs: MiniPacs, archive: DicomArchive, tmp_path: Path) -> None:
    put(pacs, tmp_path, study=1, PatientID="CANARY-7")
    pacs.archive.objects("2.25.1")[0].path.unlink()
    messages = []
    for ask in (
        lambda: archive.studies(Identity(patient_id="CANARY-7*"), pacs.peer(), calling_ae_title="CDS"),
        lambda: archive.fetch("2.25.1", tmp_path, pacs.peer(), calling_ae_title="CDS"),
        lambda: archive.move("2.25.1", pacs.peer(), calling_ae_title="CDS"),
    ):
        with pytest.raises(ArchiveError) as caught:
            ask()
        messages.append(str(caught.value))
    assert len(messages) == 3
    assert not any("CANARY" in message or "Yellow" in message for message in messages)
