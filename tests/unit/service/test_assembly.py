from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cds.service.assembly import Assembly
from cds.store import Ledger
from cds.testing.intake import FiledIntake
from cds_pacs.testing.instances import received, small_data_set

QUIET = 30.0


class Hall:
    """An assembly with both clocks in hand."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.wall = datetime(2026, 1, 1, tzinfo=UTC)
        self.seconds = 1000.0
        self.intake = FiledIntake(ledger, lambda: self.wall)
        self.restart()

    def restart(self) -> None:
        self.assembly = Assembly(self.ledger, QUIET, lambda: self.wall, lambda: self.seconds)

    def take(self, instance: int, study: int = 1) -> None:
        self.intake.take(received(small_data_set(study, instance)))
        self.assembly.close_quiet_studies()

    def pass_by(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.seconds += seconds
        self.assembly.close_quiet_studies()

    def states(self) -> list[str]:
        return [study["state"] for study in self.ledger.state()["studies"]]


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    with Ledger(tmp_path / "data") as ledger:
        yield Hall(ledger)


def test_a_study_is_complete_when_it_has_been_quiet(hall: Hall) -> None:
    hall.take(1)
    hall.pass_by(29.9)
    assert hall.states() == ["RECEIVING"]
    hall.pass_by(0.2)
    assert hall.states() == ["READY"]
    assert "quiet for 30 s" in hall.ledger.state()["studies"][0]["reason"]


def test_every_arrival_keeps_the_study_open(hall: Hall) -> None:
    for number in range(1, 6):
        hall.take(number)
        hall.pass_by(20)
    assert hall.states() == ["RECEIVING"]
    hall.pass_by(20)
    assert hall.states() == ["READY"]


def test_an_identical_resend_does_not_keep_it_open(hall: Hall) -> None:
    hall.take(1)
    hall.pass_by(20)
    hall.take(1)
    hall.pass_by(15)
    assert hall.states() == ["READY"]


def test_studies_are_closed_each_by_itself(hall: Hall) -> None:
    hall.take(1, study=1)
    hall.pass_by(20)
    hall.take(1, study=2)
    hall.pass_by(15)
    assert hall.states() == ["READY", "RECEIVING"]


def test_a_clock_set_forward_a_day_closes_nothing_early(hall: Hall) -> None:
    hall.take(1)
    hall.wall += timedelta(days=1)
    hall.pass_by(1)
    assert hall.states() == ["RECEIVING"]
    hall.pass_by(30)
    assert hall.states() == ["READY"]


def test_a_clock_set_back_an_hour_keeps_nothing_open(hall: Hall) -> None:
    hall.take(1)
    hall.wall -= timedelta(hours=1)
    hall.pass_by(31)
    assert hall.states() == ["READY"]


def test_a_study_that_was_quiet_before_the_start_is_closed_at_once(hall: Hall) -> None:
    hall.take(1)
    hall.wall += timedelta(seconds=40)
    hall.restart()
    hall.pass_by(0)
    assert hall.states() == ["READY"]


def test_a_study_that_was_arriving_at_the_crash_waits_its_time_again(hall: Hall) -> None:
    hall.take(1)
    hall.wall += timedelta(seconds=10)
    hall.restart()
    hall.pass_by(0)
    hall.pass_by(29)
    assert hall.states() == ["RECEIVING"]
    hall.pass_by(2)
    assert hall.states() == ["READY"]
