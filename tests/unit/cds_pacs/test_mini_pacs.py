from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.presentation import build_role
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from cds_pacs.testing import MiniPacs
from cds_pacs.testing.instances import small_data_set, write_file


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[MiniPacs]:
    with MiniPacs(tmp_path / "pacs") as pacs:
        for study, instance in ((1, 1), (1, 2), (2, 1)):
            ds = small_data_set(study, instance, StudyDate=f"2024010{study}")
            pacs.archive.add(write_file(tmp_path, ds))
        yield pacs


def query(level: str, **keys: object) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


def find(pacs: MiniPacs, identifier: Dataset) -> list[Dataset]:
    entity = AE()
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association = entity.associate(pacs.host, pacs.port)
    model = StudyRootQueryRetrieveInformationModelFind
    answers = [answer for _, answer in association.send_c_find(identifier, model) if answer is not None]
    association.release()
    return answers


def test_a_study_query_gives_one_answer_per_study_with_its_counts(pacs: MiniPacs) -> None:
    answers = find(pacs, query("STUDY", StudyInstanceUID="", NumberOfStudyRelatedInstances="", ModalitiesInStudy=""))
    assert {(str(one.StudyInstanceUID), int(one.NumberOfStudyRelatedInstances)) for one in answers} == {
        ("2.25.1", 2),
        ("2.25.2", 1),
    }
    assert answers[0].ModalitiesInStudy == "CT"


@pytest.mark.parametrize(
    ("level", "keys", "count"),
    [
        ("IMAGE", {"StudyInstanceUID": "2.25.1", "SOPInstanceUID": ""}, 2),
        ("SERIES", {"StudyInstanceUID": "2.25.1", "SeriesInstanceUID": ""}, 1),
        ("STUDY", {"PatientID": "TEST-*", "StudyInstanceUID": ""}, 2),
        ("STUDY", {"PatientID": "TEST-2", "StudyInstanceUID": ""}, 1),
        ("STUDY", {"StudyDate": "20240102-", "StudyInstanceUID": ""}, 1),
        ("STUDY", {"StudyDate": "20230101-20231231", "StudyInstanceUID": ""}, 0),
        ("STUDY", {"StudyInstanceUID": ["2.25.1", "2.25.2"]}, 2),
        ("STUDY", {"StudyInstanceUID": "2.25.3"}, 0),
    ],
)
def test_keys_match_as_the_standard_says(pacs: MiniPacs, level: str, keys: dict[str, object], count: int) -> None:
    assert len(find(pacs, query(level, **keys))) == count


def test_a_move_sends_the_study_to_a_known_destination(pacs: MiniPacs, tmp_path: Path) -> None:
    with MiniPacs(tmp_path / "other", ae_title="OTHER") as other:
        pacs.destinations.append(other.peer())
        entity = AE()
        entity.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
        association = entity.associate(pacs.host, pacs.port)
        model = StudyRootQueryRetrieveInformationModelMove
        statuses = [
            status.Status
            for status, _ in association.send_c_move(query("STUDY", StudyInstanceUID="2.25.1"), "OTHER", model)
        ]
        assert statuses[-1] == 0x0000
        unknown = [
            status.Status
            for status, _ in association.send_c_move(query("STUDY", StudyInstanceUID="2.25.1"), "NOBODY", model)
        ]
        assert unknown[-1] == 0xA801
        association.release()
        assert len(other.archive.objects("2.25.1")) == 2


def test_a_get_brings_the_study(pacs: MiniPacs) -> None:
    got: list[str] = []

    def store(event) -> int:
        got.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    entity = AE()
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    entity.add_requested_context(CTImageStorage)
    association = entity.associate(
        pacs.host,
        pacs.port,
        ext_neg=[build_role(CTImageStorage, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, store)],
    )
    model = StudyRootQueryRetrieveInformationModelGet
    list(association.send_c_get(query("STUDY", StudyInstanceUID="2.25.1"), model))
    association.release()
    assert sorted(got) == ["2.25.1.1", "2.25.1.2"]


def test_forwarding_sends_what_was_stored_byte_for_byte(pacs: MiniPacs, tmp_path: Path) -> None:
    with MiniPacs(tmp_path / "other", ae_title="OTHER") as other:
        assert pacs.forward("2.25.1", other.peer()) == 2
        assert {one.sha256 for one in other.archive.objects()} == {one.sha256 for one in pacs.archive.objects("2.25.1")}


def test_the_archive_outlives_the_process(pacs: MiniPacs, tmp_path: Path) -> None:
    pacs.stop()
    again = MiniPacs(tmp_path / "pacs")
    assert {(one.sop_instance_uid, one.sha256) for one in again.archive.objects()} == {
        (one.sop_instance_uid, one.sha256) for one in pacs.archive.objects()
    }
