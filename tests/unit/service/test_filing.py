from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds.errors import ConfigError, OutOfResources
from cds.ports import StudyAnnounced
from cds.service.filing import Filer, Traffic
from cds.service.intake import JournalIntake
from cds.store import Ledger
from cds.store.database import Database
from cds.store.durable import make_folder
from cds.store.journal import Journal
from cds.store.journal_format import make_ring
from cds.store.journal_reader import JournalReader
from cds_pacs.testing.instances import received, small_data_set

ANNOUNCED = StudyAnnounced(study_instance_uid="2.25.1", references=(), calling_ae_title="A", address="")


class House:
    """A ledger, a filer with a clock of its own, and as many journals as a test wants."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder)
        self.seconds = 100.0
        self.spool_dir, self.journal_dir = folder / "spool", folder / "journal"
        make_folder(self.spool_dir)
        self.journals: list[Journal] = []
        self.filer = self.new_filer()

    def new_filer(self) -> Filer:
        return Filer(self.ledger, self.spool_dir, monotonic=lambda: self.seconds)

    def desk(self, name: str = "dicom-0", size: int = 1 << 20) -> JournalIntake:
        ring = self.journal_dir / f"{name}.ring"
        make_ring(ring, size)
        self.filer.follow(JournalReader(ring, follow=True))
        journal = Journal(ring, wait_seconds=0.02)
        self.journals.append(journal)
        return JournalIntake(
            journal, self.spool_dir, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC), own_model_name="cds-pacs"
        )

    def file(self) -> None:
        while self.filer.run_once():
            pass

    def crash(self) -> None:
        """Everything that only lives in memory is gone."""
        for journal in self.journals:
            journal.close()
        self.journals.clear()
        self.filer = self.new_filer()

    def instances(self) -> list[str]:
        return sorted(one["sop_instance_uid"] for one in self.ledger.state()["instances"])

    def blobs(self) -> list[str]:
        return sorted(self.ledger.blobs.read(name).sop_instance_uid for name in self.ledger.blobs.names())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.ledger.close()


def take(desk: JournalIntake, *numbers: int) -> list[str]:
    for number in numbers:
        desk.take(received(small_data_set(1, number)))
    return [f"2.25.1.{number}" for number in numbers]


def test_two_journals_are_filed_side_by_side_and_an_instance_in_both_is_entered_once(house: House) -> None:
    first, second = house.desk("dicom-0"), house.desk("dicom-1")
    uids = take(first, 1, 2, 3)
    take(second, 3, 4)
    house.file()
    assert house.instances() == house.blobs() == [*uids, "2.25.1.4"]


def test_what_a_crash_left_in_a_journal_is_filed_at_the_start_whatever_the_configuration_says_now(
    house: House,
) -> None:
    uids = take(house.desk("elsewhere-7"), 1, 2)
    house.crash()
    assert house.filer.recover(house.journal_dir) == 2
    assert house.instances() == house.blobs() == uids
    assert list(house.journal_dir.iterdir()) == []


def test_a_journal_may_have_another_size_after_a_restart(house: House) -> None:
    take(house.desk(size=1 << 20), 1)
    house.crash()
    house.filer.recover(house.journal_dir)
    take(house.desk(size=2 << 20), 2)
    house.file()
    assert house.instances() == ["2.25.1.1", "2.25.1.2"]


STEPS = [
    "cds.store.blobs.os.fsync",
    "cds.store.blobs.fsync_folder",
    "cds.store.arrivals.Arrivals.enter",
    "cds.store.journal_reader.os.pwrite",
    "cds.store.journal_reader.JournalReader.release",
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("lives", [True, False])
def test_an_error_or_a_crash_at_any_step_of_filing_files_everything_once(
    house: House, monkeypatch: pytest.MonkeyPatch, step: str, when: str, lives: bool
) -> None:
    desk = house.desk()
    uids = take(desk, 1, 2, 3)
    desk.take(received(small_data_set(1, 4, PixelData=bytes(2 << 20), Rows=1024, Columns=1024)))
    desk.notice(ANNOUNCED)
    with monkeypatch.context() as patch:
        patch.setattr(step, killed(when, _named(step)))
        with pytest.raises(OSError, match="killed here"):
            house.file()
    if lives:
        house.file()
    else:
        house.crash()
        house.filer.recover(house.journal_dir)
    assert house.instances() == house.blobs() == [*uids, "2.25.1.4"]
    assert len(house.ledger.notices.waiting(StudyAnnounced)) == 1
    assert list(house.spool_dir.iterdir()) == []


def _named(step: str) -> Callable[..., object]:
    from importlib import import_module

    for parts in range(step.count("."), 0, -1):
        names = step.split(".")
        try:
            found: object = import_module(".".join(names[:parts]))
        except ModuleNotFoundError:
            continue
        for name in names[parts:]:
            found = getattr(found, name)
        assert callable(found)
        return found
    raise AssertionError(step)


def killed(when: str, call: Callable[..., object]) -> Callable[..., object]:
    def die(*arguments: object, **named: object) -> None:
        if when == "after":
            call(*arguments, **named)
        raise OSError(errno.EINTR, "killed here")

    return die


def test_a_locked_database_makes_it_wait_and_nothing_is_lost_or_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Database.__init__.__kwdefaults__, "busy_seconds", 0.05)
    house = House(tmp_path)
    desk = house.desk()
    uids = take(desk, 1)
    house.file()
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        uids += take(desk, 2, 3)
        for _ in range(2):
            with pytest.raises(OutOfResources, match="locked"):
                house.filer.run_once()
        house.seconds += 50
        assert house.filer.filed_through() == 100.0
        other.rollback()
    house.file()
    assert house.instances() == house.blobs() == uids
    house.filer.run_once()
    assert house.filer.filed_through() == 150.0
    house.ledger.close()


def test_a_full_disk_makes_the_journal_wait_then_refuse_and_go_on_when_there_is_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = house.desk()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    taken: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("cds.store.durable.os.write", full)
        with pytest.raises(OSError, match="No space left"):
            taken += take(desk, 1)
            house.file()
        with pytest.raises(OutOfResources, match="full"):
            for number in range(2, 1000):
                taken += take(desk, number)
    house.file()
    assert house.instances() == house.blobs() == sorted(taken)
    assert len(taken) > 100


def test_what_was_spooled_and_never_taken_is_swept_at_the_start(house: House) -> None:
    house.desk().spool(received(small_data_set())).write(b"begun")
    house.crash()
    house.filer.recover(house.journal_dir)
    assert list(house.spool_dir.iterdir()) == []
    assert house.instances() == []


def test_a_listener_that_outlived_its_node_stops_the_start(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds.service.filing._ORPHANED_WRITER_SECONDS", 0.05)
    house.desk()
    with pytest.raises(ConfigError, match="still writes"):
        house.new_filer().recover(house.journal_dir)


def test_the_moment_up_to_which_all_is_filed_stands_still_while_something_waits(house: House) -> None:
    desk = house.desk()
    house.file()
    house.seconds = 200.0
    assert house.filer.filed_through() == 100.0
    house.filer.run_once()
    assert house.filer.filed_through() == 200.0
    house.seconds = 300.0
    take(desk, 1)
    assert house.filer.filed_through() == 200.0
    house.file()
    assert house.filer.filed_through() == 300.0


def test_filing_waits_for_a_pause_in_dense_traffic_but_not_for_ever() -> None:
    traffic = Traffic()
    assert traffic.is_dense(10.0, 4096)
    assert traffic.is_dense(10.02, 4096)
    assert not traffic.is_dense(10.1, 4096)
    verdicts = [traffic.is_dense(20.0 + 0.02 * step, 4096 * (step + 2)) for step in range(100)]
    assert verdicts == [True] * 50 + [False] * 50
    assert not traffic.is_dense(30.0, 4096 * 101)
    assert traffic.is_dense(40.0, 4096 * 200)
