from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cds.service import AnalysisResult
from cds.service.ahead import Ahead
from cds.service.analysis import AnalysisCrashed
from cds.service.assembly import Assembly
from cds.store import Attempt, Ledger
from cds.testing.intake import FiledIntake
from cds_pacs.testing.instances import received, small_data_set

QUIET = 30.0


class Worker:
    """Remembers what it was asked to read; `hold` keeps it at it."""

    def __init__(self) -> None:
        self.read: list[tuple[str, int, int]] = []
        self.error: Exception | None = None
        self.go_on = threading.Event()
        self.go_on.set()

    def start(self) -> None: ...

    def refusal(self) -> str:
        return ""

    def stop(self, grace_seconds: float) -> None: ...

    def analyse(self, attempt: Attempt) -> AnalysisResult:
        self.read.append((attempt.job.study_instance_uid, len(attempt.instances), attempt.number))
        assert self.go_on.wait(60)
        if self.error:
            raise self.error
        return AnalysisResult(inputs_hash="h", encodings=())


class NoPriors:
    def add_to(self, attempt: Attempt) -> Attempt:
        return attempt


class House:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.wall = datetime(2026, 1, 1, tzinfo=UTC)
        self.seconds = 1000.0
        self.intake = FiledIntake(ledger, lambda: self.wall)
        self.assembly = Assembly(ledger, QUIET, lambda: self.wall, lambda: self.seconds)
        self.worker = Worker()
        self.ahead = Ahead(ledger, self.worker, self.assembly, NoPriors())  # type: ignore[arg-type]

    def take(self, instance: int, study: int = 1) -> None:
        self.intake.take(received(small_data_set(study, instance)))
        self.look()

    def pass_by(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.seconds += seconds
        self.look()

    def look(self) -> None:
        self.assembly.close_quiet_studies()
        self.ahead.look()
        self.wait()

    def wait(self) -> None:
        thread = self.ahead._thread
        if thread is not None and self.worker.go_on.is_set():
            thread.join(60)

    def study(self, number: int = 0) -> dict[str, object]:
        return dict(self.ledger.state()["studies"][number])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Ledger(tmp_path / "data") as ledger:
        yield House(ledger)


def test_a_pausing_study_is_read_once_and_nothing_is_entered(house: House) -> None:
    house.take(1)
    house.pass_by(0.5)
    assert house.worker.read == []
    house.pass_by(1)
    house.pass_by(1)
    ((_, instances, number),) = house.worker.read
    assert (instances, number) == (1, 0)
    assert (house.study()["state"], house.study()["attempts"], house.study()["reports"]) == ("RECEIVING", 0, [])


def test_more_that_arrives_is_read_again_but_not_for_ever(house: House) -> None:
    for number in range(1, 8):
        house.take(number)
        house.pass_by(2)
    assert [instances for _, instances, _ in house.worker.read] == [1, 2, 3]


def test_a_job_that_waits_goes_first(house: House) -> None:
    house.take(1, study=1)
    house.pass_by(QUIET + 1)
    assert house.study()["state"] == "READY"
    before = len(house.worker.read)
    house.take(1, study=2)
    house.pass_by(2)
    assert len(house.worker.read) == before


def test_one_study_is_read_at_a_time(house: House) -> None:
    house.worker.go_on.clear()
    house.take(1, study=1)
    house.take(1, study=2)
    house.pass_by(2)
    house.pass_by(2)
    house.worker.go_on.set()
    house.wait()
    assert len(house.worker.read) == 1
    house.pass_by(1)
    assert len({uid for uid, _, _ in house.worker.read}) == 2


def test_what_goes_wrong_ahead_is_no_attempt(house: House) -> None:
    house.worker.error = AnalysisCrashed("the worker process died during the analysis")
    house.take(1)
    house.pass_by(2)
    house.pass_by(QUIET)
    assert len(house.worker.read) == 1
    assert (house.study()["state"], house.study()["attempts"]) == ("READY", 0)
