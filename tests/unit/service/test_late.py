from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cds.domain.records import Arrivals, Identity
from cds.errors import EvidenceError, OutOfResources
from cds.service.late import LatePlan, LateRecords
from cds.store import Ledger

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Source:
    """Answers what the test gives it, and remembers what it was asked."""

    answers: list[Arrivals | Exception]
    asked: list[str] = field(default_factory=list)
    thrice: threading.Event = field(default_factory=threading.Event)

    def arrivals(self, since: str) -> Arrivals:
        self.asked.append(since)
        if len(self.asked) >= 3:
            self.thrice.set()
        answer = self.answers.pop(0) if self.answers else Arrivals(position=since)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "data") as opened:
        yield opened


def late(ledger: Ledger, **sources: Source) -> LateRecords:
    return LateRecords(ledger, sources, LatePlan(), lambda: NOW)


def test_every_question_goes_on_from_the_position_of_the_last_answer(ledger: Ledger) -> None:
    source = Source([Arrivals(position="5"), Arrivals(position="9", patients=(Identity(patient_id="P"),))])
    watch = late(ledger, hl7=source)
    for _ in range(3):
        watch.look()
    assert source.asked == ["", "5", "9"]


def test_after_a_restart_a_source_is_asked_from_where_it_was(ledger: Ledger) -> None:
    late(ledger, hl7=Source([Arrivals(position="5")])).look()
    again = Source([])
    late(ledger, hl7=again).look()
    assert again.asked == ["5"]


def test_a_source_that_fails_costs_one_line_and_a_word_and_the_others_go_on(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    lame = Source([EvidenceError("the folder is gone"), EvidenceError("the folder is gone"), Arrivals(position="1")])
    well = Source([Arrivals(position="1")])
    watch = late(ledger, csv=lame, hl7=well)
    with caplog.at_level(logging.WARNING):
        watch.look()
        assert watch.troubles() == {"csv": "the folder is gone", "hl7": ""}
        watch.look()
        watch.look()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert watch.troubles() == {"csv": "", "hl7": ""}
    assert well.asked == ["", "1", "1"]
    assert lame.asked == ["", "", ""]


def test_a_defect_of_a_source_is_named_by_its_type_and_carries_nothing_of_a_patient(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    watch = late(ledger, csv=Source([KeyError("Wang^XiaoDong")]))
    watch.look()
    assert "KeyError" in watch.troubles()["csv"]
    assert "Wang" not in caplog.text + watch.troubles()["csv"]


def test_with_no_days_nobody_is_asked(ledger: Ledger) -> None:
    source = Source([])
    watch = LateRecords(ledger, {"hl7": source}, LatePlan(days=0), lambda: NOW)
    watch.start()
    watch.look()
    watch.stop(1.0)
    assert source.asked == []


def test_the_watch_asks_until_it_is_stopped(ledger: Ledger) -> None:
    source = Source([])
    watch = LateRecords(ledger, {"hl7": source}, LatePlan(poll_seconds=0.01), lambda: NOW)
    watch.start()
    assert source.thrice.wait(60.0)
    watch.stop(60.0)
    asked = len(source.asked)
    assert watch.look() == 0
    assert len(source.asked) == asked + 1


def test_each_look_has_studies_read_again_that_were_quiet_for_the_planned_time(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[datetime, timedelta]] = []

    def release(at: datetime, quiet: timedelta) -> tuple[str, ...]:
        asked.append((at, quiet))
        if len(asked) == 1:
            raise OutOfResources("the database is busy")
        return ("2.25.1",)

    monkeypatch.setattr(ledger.late, "release", release)
    watch = LateRecords(ledger, {"hl7": Source([])}, LatePlan(quiet_seconds=7), lambda: NOW)
    assert [watch.look(), watch.look()] == [0, 1]
    assert asked == [(NOW, timedelta(seconds=7))] * 2
