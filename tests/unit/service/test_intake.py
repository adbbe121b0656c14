from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds.errors import MalformedInstance, MismatchedInstance, OutOfResources
from cds.ports import ReceivedInstance
from cds.service import StudyIntake
from cds.store import Ledger
from cds_pacs.testing.instances import KEY_OBJECT, encoded, received, small_data_set

IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "data") as ledger:
        yield ledger


@pytest.fixture
def intake(ledger: Ledger) -> StudyIntake:
    return StudyIntake(ledger, lambda: datetime(2026, 1, 1, tzinfo=UTC), "cds-pacs")


def blobs(ledger: Ledger) -> list[str]:
    return list(ledger.blobs.names())


def test_what_is_taken_is_stored_and_entered(intake: StudyIntake, ledger: Ledger) -> None:
    instance = received(small_data_set())
    intake.take(instance)
    (name,) = blobs(ledger)
    assert ledger.blobs.read(name).data_set == instance.data_set
    assert ledger.arrivals.blobs() == {name}
    assert ledger.state()["studies"][0]["state"] == "RECEIVING"


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN])
def test_every_encoding_is_taken_as_it_is(intake: StudyIntake, ledger: Ledger, syntax: str) -> None:
    ds = small_data_set()
    intake.take(received(ds, data_set=encoded(ds, syntax), transfer_syntax_uid=syntax))
    assert ledger.blobs.read(blobs(ledger)[0]).transfer_syntax_uid == syntax


def garbage() -> list[ReceivedInstance]:
    ds = small_data_set()
    whole = encoded(ds)
    bad_uid = small_data_set(SOPInstanceUID="../../x")
    return [
        received(ds, data_set=b""),
        received(ds, data_set=bytes(1000)),
        received(ds, data_set=bytes(range(256)) * 8),
        received(ds, data_set=whole[:100]),
        received(ds, data_set=whole[: len(whole) - 10]),
        received(ds, data_set=whole + b"\x01\x02\x03"),
        received(ds, transfer_syntax_uid=BIG_ENDIAN),
        received(bad_uid),
        received(small_data_set(StudyInstanceUID=None)),
        received(small_data_set(SeriesInstanceUID="1.2.x")),
    ]


@pytest.mark.parametrize("number", range(10))
def test_what_cannot_be_understood_is_refused_and_leaves_nothing(
    intake: StudyIntake, ledger: Ledger, number: int
) -> None:
    with pytest.raises(MalformedInstance) as caught:
        intake.take(garbage()[number])
    assert "Canary" not in str(caught.value) and "TEST-1" not in str(caught.value)
    assert blobs(ledger) == []
    assert ledger.state()["studies"] == []


@pytest.mark.parametrize("changes", [{"sop_instance_uid": "2.25.99"}, {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.4"}])
def test_what_is_not_what_was_announced_is_refused(
    intake: StudyIntake, ledger: Ledger, changes: dict[str, str]
) -> None:
    with pytest.raises(MismatchedInstance):
        intake.take(received(small_data_set(), **changes))
    assert blobs(ledger) == []


def test_a_full_disk_is_out_of_resources(intake: StudyIntake, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("cds.store.durable.os.fsync", full)
        with pytest.raises(OutOfResources, match="No space left"):
            intake.take(received(small_data_set()))
    assert blobs(ledger) == [] and ledger.state()["studies"] == []
    intake.take(received(small_data_set()))
    assert len(blobs(ledger)) == 1


def test_an_instance_whose_row_was_lost_is_entered_at_the_start(intake: StudyIntake, ledger: Ledger) -> None:
    ledger.blobs.put(received(small_data_set()))
    assert intake.adopt_orphans() == 1
    assert ledger.state()["studies"][0]["instances"] == 1
    assert intake.adopt_orphans() == 0


def test_a_lost_ledger_is_rebuilt_from_the_blobs(tmp_path: Path) -> None:
    def clock() -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    with Ledger(tmp_path) as first:
        for number in (1, 2, 3):
            StudyIntake(first, clock, "cds-pacs").take(received(small_data_set(1, number)))
        before = {one["sop_instance_uid"]: one["sha256"] for one in first.state()["instances"]}
    for file in tmp_path.glob("ledger.sqlite*"):
        file.unlink()
    with Ledger(tmp_path) as second:
        assert StudyIntake(second, clock, "cds-pacs").adopt_orphans() == 3
        assert {one["sop_instance_uid"]: one["sha256"] for one in second.state()["instances"]} == before


def test_a_damaged_file_without_a_row_is_removed(intake: StudyIntake, ledger: Ledger) -> None:
    name = ledger.blobs.put(received(small_data_set())).name
    path = ledger.blobs.path(name)
    path.write_bytes(path.read_bytes()[:-20])
    intake.adopt_orphans()
    assert blobs(ledger) == [] and ledger.state()["instances"] == []


def test_a_result_of_this_software_is_known_by_its_model_name(intake: StudyIntake, ledger: Ledger) -> None:
    intake.take(received(small_data_set(1, 1)))
    intake.take(received(small_data_set(1, 2, sop_class_uid=KEY_OBJECT, ManufacturerModelName="cds-pacs")))
    assert ledger.state()["studies"][0]["instances"] == 1
    assert len(ledger.state()["instances"]) == 2


def test_a_key_object_is_no_image(intake: StudyIntake, ledger: Ledger) -> None:
    intake.take(received(small_data_set(1, 1, sop_class_uid=KEY_OBJECT)))
    (receiving,) = ledger.jobs.receiving()
    assert ledger.jobs.complete(receiving, "quiet", receiving.last_received_at) == "SKIPPED"
