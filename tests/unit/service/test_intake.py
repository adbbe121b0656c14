from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds.errors import MalformedInstance, MismatchedInstance, OutOfResources
from cds.ports import CommitmentRequested, ReceivedInstance, Reference, StudyAnnounced
from cds.service.rebuild import adopt_orphans
from cds.store import Arrival, Ledger
from cds.testing.intake import FiledIntake
from cds_pacs.testing.instances import KEY_OBJECT, encoded, received, small_data_set

IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"


def now() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "data") as ledger:
        yield ledger


@pytest.fixture
def intake(ledger: Ledger) -> Iterator[FiledIntake]:
    intake = FiledIntake(ledger, now)
    yield intake
    intake.close()


def blobs(ledger: Ledger) -> list[str]:
    return list(ledger.blobs.names())


def spooled(ledger: Ledger) -> list[Path]:
    return list((ledger.data_dir / "spool").iterdir())


def test_what_is_taken_is_stored_and_entered(intake: FiledIntake, ledger: Ledger) -> None:
    instance = received(small_data_set())
    intake.take(instance)
    (name,) = blobs(ledger)
    assert ledger.blobs.read(name).data_set == instance.data_set
    assert ledger.arrivals.blobs() == {name}
    assert ledger.state()["studies"][0]["state"] == "RECEIVING"


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN])
def test_every_encoding_is_taken_as_it_is(intake: FiledIntake, ledger: Ledger, syntax: str) -> None:
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
    intake: FiledIntake, ledger: Ledger, number: int
) -> None:
    with pytest.raises(MalformedInstance) as caught:
        intake.take(garbage()[number])
    assert "Canary" not in str(caught.value) and "TEST-1" not in str(caught.value)
    assert blobs(ledger) == []
    assert ledger.state()["studies"] == []


@pytest.mark.parametrize("changes", [{"sop_instance_uid": "2.25.99"}, {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.4"}])
def test_what_is_not_what_was_announced_is_refused(
    intake: FiledIntake, ledger: Ledger, changes: dict[str, str]
) -> None:
    with pytest.raises(MismatchedInstance):
        intake.take(received(small_data_set(), **changes))
    assert blobs(ledger) == []


def test_a_disk_that_takes_nothing_is_out_of_resources(
    intake: FiledIntake, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("cds.store.journal.os.pwritev", broken)
    with pytest.raises(OutOfResources, match="Input/output error"):
        intake.take(received(small_data_set()))
    with pytest.raises(OutOfResources, match="Input/output error"):
        intake.notice(StudyAnnounced(study_instance_uid="2.25.1", references=(), calling_ae_title="A", address=""))
    assert intake.journal.broken


def test_below_the_reserve_nothing_more_is_taken(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        intake = FiledIntake(ledger, now, reserve_bytes=1 << 60)
        with pytest.raises(OutOfResources, match="nearly full"):
            intake.take(received(small_data_set()))
        with pytest.raises(OutOfResources, match="nearly full"):
            intake.intake.spool(received(small_data_set()))
        intake.close()


def large(number: int = 1) -> ReceivedInstance:
    return received(small_data_set(1, number, PixelData=bytes(3 << 20), Rows=1024, Columns=1536))


def test_a_large_instance_comes_in_parts_and_is_kept_as_it_was_sent(intake: FiledIntake, ledger: Ledger) -> None:
    instance = large()
    parts = [instance.data_set[start : start + 100_000] for start in range(0, len(instance.data_set), 100_000)]
    spool = intake.spool(instance, parts)
    spool.take()
    spool.abandon()
    intake.file()
    (name,) = blobs(ledger)
    assert ledger.blobs.read(name).data_set == instance.data_set
    assert ledger.state()["instances"][0]["sha256"] == hashlib.sha256(instance.data_set).hexdigest()
    assert spooled(ledger) == []


def test_a_large_instance_in_one_piece_is_kept_too(intake: FiledIntake, ledger: Ledger) -> None:
    intake.take(large())
    intake.take(large())
    assert len(blobs(ledger)) == len(ledger.state()["instances"]) == 1
    assert spooled(ledger) == []


@pytest.mark.parametrize("changes", [{"sop_instance_uid": "2.25.99"}, {"transfer_syntax_uid": IMPLICIT}, {}])
def test_a_large_instance_that_is_refused_or_does_not_come_whole_leaves_nothing(
    intake: FiledIntake, ledger: Ledger, changes: dict[str, str]
) -> None:
    instance = replace(large(), **changes)
    whole = bool(changes)
    spool = intake.spool(instance, [instance.data_set if whole else instance.data_set[:-1]])
    with pytest.raises((MalformedInstance, MismatchedInstance)):
        spool.take()
    intake.spool(large(), [b"begun"]).abandon()
    intake.file()
    assert spooled(ledger) == [] and blobs(ledger) == []


def test_a_disk_that_is_full_in_the_middle_of_a_large_instance_is_out_of_resources(
    intake: FiledIntake, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = intake.spool(large(), [b"begun"])

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("cds.store.durable.os.write", full)
    with pytest.raises(OutOfResources, match="No space left"):
        spool.write(b"more")
    with pytest.raises(OutOfResources):
        spool.take()
    spool.abandon()
    assert spooled(ledger) == []


def test_a_notice_is_there_until_it_was_acted_on(intake: FiledIntake, ledger: Ledger) -> None:
    reference = Reference(sop_class_uid="1.2", sop_instance_uid="2.25.1.1", failure=0x0110)
    asked = CommitmentRequested(
        transaction_uid="2.25.7", references=(reference,), calling_ae_title="A", address="127.0.0.1"
    )
    announced = StudyAnnounced(study_instance_uid="2.25.1", references=(), calling_ae_title="A", address="")
    intake.notice(asked)
    intake.notice(announced)
    (waiting,) = ledger.notices.waiting(CommitmentRequested)
    assert (waiting.notice, waiting.at) == (asked, now())
    ledger.notices.done(waiting.id)
    assert ledger.notices.waiting(CommitmentRequested) == ()
    assert [one.notice for one in ledger.notices.waiting(StudyAnnounced)] == [announced]


def test_a_lost_ledger_is_rebuilt_from_the_blobs(tmp_path: Path) -> None:
    with Ledger(tmp_path) as first:
        intake = FiledIntake(first, now)
        for number in (1, 2, 3):
            intake.take(received(small_data_set(1, number)))
        intake.close()
        before = {one["sop_instance_uid"]: one["sha256"] for one in first.state()["instances"]}
        assert adopt_orphans(first, now, "cds-pacs") == 0
    for file in tmp_path.glob("ledger.sqlite*"):
        file.unlink()
    with Ledger(tmp_path) as second:
        assert adopt_orphans(second, now, "cds-pacs") == 3
        assert {one["sop_instance_uid"]: one["sha256"] for one in second.state()["instances"]} == before


def test_a_rebuilding_that_was_broken_off_is_ended_at_the_next_start(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        ledger.blobs.put(received(small_data_set(1, number)))
    record = ledger.arrivals.record

    def once(arrival: Arrival, at: datetime) -> None:
        record(arrival, at)
        raise OutOfResources("the node is killed here")

    with monkeypatch.context() as patch, pytest.raises(OutOfResources):
        patch.setattr(ledger.arrivals, "record", once)
        adopt_orphans(ledger, now, "cds-pacs")
    assert len(ledger.state()["instances"]) == 1
    adopt_orphans(ledger, now, "cds-pacs")
    assert ledger.state()["studies"][0]["instances"] == 3


@pytest.mark.parametrize("damage", [lambda content: content[:-20], lambda content: content[:-20] + bytes(20)])
def test_a_file_that_is_not_whole_is_not_entered(ledger: Ledger, damage: Callable[[bytes], bytes]) -> None:
    name = ledger.blobs.put(received(small_data_set())).name
    path = ledger.blobs.path(name)
    path.write_bytes(damage(path.read_bytes()))
    assert adopt_orphans(ledger, now, "cds-pacs") == 0
    assert blobs(ledger) == [] and ledger.state()["instances"] == []


def test_a_result_of_this_software_is_known_by_its_model_name(intake: FiledIntake, ledger: Ledger) -> None:
    intake.take(received(small_data_set(1, 1)))
    intake.take(received(small_data_set(1, 2, sop_class_uid=KEY_OBJECT, ManufacturerModelName="cds-pacs")))
    assert ledger.state()["studies"][0]["instances"] == 1
    assert len(ledger.state()["instances"]) == 2


def test_a_key_object_is_no_image(intake: FiledIntake, ledger: Ledger) -> None:
    intake.take(received(small_data_set(1, 1, sop_class_uid=KEY_OBJECT)))
    (receiving,) = ledger.jobs.receiving()
    assert ledger.jobs.complete(receiving, "quiet", receiving.last_received_at) == "SKIPPED"
