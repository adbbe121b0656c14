from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cds.errors import EvidenceError
from cds.ports import Watched
from cds_hl7 import late
from cds_hl7.kept import MessageStore, store_path
from cds_hl7.source import Hl7Records

from .conftest import Hand, message, oru

Ask = Callable[[str], tuple[str, set[tuple[str, str]]]]
A40 = ("EVN|A40|20260131080000", "PID|1||P-1^^^HOSP^MR||Canary^Name||19500102|F", "MRG|P-OLD^^^HOSP^MR")


def pid(patient_id: str) -> str:
    return f"PID|1||{patient_id}^^^HOSP^MR||Canary^Name||19500102|F"


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    source = Hl7Records(Hl7Records.Settings(data_dir=str(tmp_path)))
    assert isinstance(source, Watched)

    def run(since: str) -> tuple[str, set[tuple[str, str]]]:
        found = source.arrivals(since)
        return found.position, {(each.patient_id, each.issuer_of_patient_id) for each in found.patients}

    return run


def test_the_first_question_names_nobody_and_the_next_those_who_came_after_it(ask: Ask, hand: Hand) -> None:
    hand(oru(control_id="M-1"))
    begin, nobody = ask("")
    hand(oru(control_id="M-2", pid=pid("P-2")))
    then, named = ask(begin)
    assert (nobody, named) == (set(), {("P-2", "HOSP")})
    assert ask(then) == (then, set())


def test_a_message_that_is_sent_again_names_nobody(ask: Ask, hand: Hand) -> None:
    hand(oru())
    begin, _ = ask("")
    hand(oru())
    assert ask(begin) == (begin, set())


def test_a_merge_names_every_identifier_that_it_joins(ask: Ask, hand: Hand) -> None:
    begin, _ = ask("")
    hand(message(*A40, kind="ADT^A40^ADT_A39", control_id="A-1"))
    then, named = ask(begin)
    assert named == {("P-1", "HOSP"), ("P-OLD", "HOSP")}
    hand(oru(control_id="M-9", pid=pid("P-OLD")))
    assert ask(then)[1] == {("P-1", "HOSP"), ("P-OLD", "HOSP")}


def test_before_any_message_there_is_a_position_and_the_first_message_is_named(
    ask: Ask, store: MessageStore, hand: Hand
) -> None:
    begin, _ = ask("")
    hand(oru())
    assert ask(begin)[1] == {("P-1", "HOSP")}


def test_a_file_that_was_made_anew_is_looked_at_from_its_beginning(ask: Ask, hand: Hand) -> None:
    hand(oru())
    hand(oru(control_id="M-2", pid=pid("P-2")))
    assert ask("2 1999-01-01T00:00:00.000Z")[1] == {("P-1", "HOSP"), ("P-2", "HOSP")}
    assert ask("77 2026-01-01T00:00:00.000Z")[1] == {("P-1", "HOSP"), ("P-2", "HOSP")}


def test_what_is_too_much_for_one_look_is_named_by_the_next(
    ask: Ask, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "AT_ONCE", 2)
    begin, _ = ask("")
    for number in range(5):
        hand(oru(control_id=f"M-{number}", pid=pid(f"P-{number}")))
    looks: list[set[tuple[str, str]]] = []
    for _ in range(3):
        begin, named = ask(begin)
        looks.append(named)
    assert [len(look) for look in looks] == [2, 2, 1]
    assert len(set().union(*looks)) == 5


def test_a_file_that_cannot_be_read_is_an_error_that_says_so(tmp_path: Path, ask: Ask) -> None:
    path = store_path(str(tmp_path))
    path.parent.mkdir()
    path.write_bytes(b"no database at all, and long enough to be looked at" * 40)
    with pytest.raises(EvidenceError, match="cannot be read"):
        ask("")


def test_a_file_of_the_first_version_is_upgraded_and_keeps_its_messages(tmp_path: Path) -> None:
    path = store_path(str(tmp_path))
    MessageStore(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.executescript("DROP INDEX subjects_by_message; PRAGMA user_version=1")
    MessageStore(path).close()
    with closing(sqlite3.connect(path)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        plan = " ".join(
            row[3] for row in database.execute("EXPLAIN QUERY PLAN SELECT * FROM subjects WHERE message > 5")
        )
    assert version == 2
    assert "subjects_by_message" in plan
