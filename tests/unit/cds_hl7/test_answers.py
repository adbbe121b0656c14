"""Which message is answered how; and nothing of a patient is in an answer."""

from __future__ import annotations

import pytest

from cds_hl7.desk import Desk, Rules
from cds_hl7.framing import Block, Fault
from cds_hl7.kept import KeptMessages, MessageStore
from cds_hl7.person import Identifier

from .conftest import CRP, OBR, PID, Hand, message, msh, oru, said

BAD = [
    (oru(control_id=""), "AE", "control ID"),
    (message(PID, kind="ADT^A03"), "AR", "event"),
    (message(PID, kind="SIU^S12"), "AR", "message type"),
    (message(PID, OBR, CRP, processing="T"), "AR", "processing ID"),
    (message(PID, OBR, CRP, version="3.0"), "AR", "version"),
    (message(OBR, CRP), "AE", "no PID"),
    (oru(pid="PID|1||^^^HOSP"), "AE", "no patient identifier"),
    (oru(pid=PID.replace("19500102", "Canary")), "AE", "birth date"),
    (oru(pid=PID.replace("19500102", "19501340")), "AE", "calendar"),
    (oru(pid=PID.replace("|F", "|Canary")), "AE", "sex"),
    (message(PID, kind="ADT^A40"), "AE", "MRG-1"),
    (oru("OBX|1|TX|x||白").replace("白".encode(), "白".encode("gb18030")), "AE", "character set"),
    (msh(charset="nonsense").encode(), "AE", "character set"),
    (b"GET / HTTP/1.1\r\nHost: Canary\r\n", "AE", "does not begin with an MSH"),
]


@pytest.mark.parametrize(("content", "acknowledgment", "reason"), BAD, ids=[reason for _, _, reason in BAD])
def test_what_cannot_be_used_is_answered_with_the_reason_and_not_kept(
    hand: Hand, store: MessageStore, content: bytes, acknowledgment: str, reason: str
) -> None:
    (answer,) = hand(content)
    assert answer[0] == acknowledgment
    assert reason in answer[2]
    assert store.count() == 0


@pytest.mark.parametrize("content", [content for content, _, _ in BAD])
def test_no_answer_carries_a_word_of_the_patient(store: MessageStore, content: bytes) -> None:
    for answer in Desk(store, Rules()).take(Block(content)):
        assert b"Canary" not in answer() and b"1950" not in answer() and b"P-1^" not in answer()


def test_no_log_line_carries_a_word_of_the_patient(hand: Hand, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    for content, _, _ in BAD:
        hand(content)
    assert caplog.records
    assert not any(word in record.getMessage() for record in caplog.records for word in ("Canary", "P-1", "1950"))


def test_a_message_that_is_kept_is_answered_aa_with_its_control_id(hand: Hand, store: MessageStore) -> None:
    assert hand(oru(control_id="A.7")) == [["AA", "A.7"]]
    assert store.count() == 1


def test_the_answer_goes_back_to_the_sender_in_its_separators_and_character_set(store: MessageStore) -> None:
    content = msh(charset="GB 18030-2000", control_id="号-1").replace("LIS", "检验").encode("gb18030")
    content += f"\r{PID}\r".encode()
    (answer,) = Desk(store, Rules()).take(Block(content))
    fields = answer().decode("gb18030").split("\r")[0].split("|")
    assert fields[2:6] == ["CDS", "NODE", "检验", "LAB"]
    assert fields[8] == "ACK^R01" and fields[10:12] == ["P", "2.5.1"] and fields[17] == "GB 18030-2000"
    assert "MSA|AA|号-1\r" in answer().decode("gb18030")


def test_a_refusal_says_its_condition_of_table_0357_in_err(store: MessageStore) -> None:
    (answer,) = Desk(store, Rules()).take(Block(message(PID, kind="SIU^S12")))
    err = next(line for line in answer().decode().split("\r") if line.startswith("ERR")).split("|")
    assert (err[3], err[4]) == ("200^Unsupported message type^HL70357", "E")
    assert err[8] == said(answer())[2]


def test_a_message_sent_again_gets_the_same_answer_and_makes_no_second_row(store: MessageStore) -> None:
    desk = Desk(store, Rules())
    first, again = ([answer() for answer in desk.take(Block(oru()))] for _ in range(2))
    assert first == again
    assert store.count() == 1


def test_a_message_sent_again_at_another_time_is_the_same_message(hand: Hand, store: MessageStore) -> None:
    later = oru().replace(b"20260131080500", b"20260131090000")
    assert later != oru()
    assert hand(oru()) == hand(later) == [["AA", "M-1"]]
    assert store.count() == 1


def test_another_message_under_a_used_control_id_is_refused_and_not_dropped_in_silence(hand: Hand) -> None:
    hand(oru())
    (answer,) = hand(oru(CRP.replace("120", "12")))
    assert answer[0] == "AR" and "MSH-10" in answer[2]


def test_the_same_control_id_of_another_sender_is_another_message(hand: Hand, store: MessageStore) -> None:
    assert hand(oru()) == hand(oru().replace(b"|LIS|", b"|RIS|")) == [["AA", "M-1"]]
    assert store.count() == 2


def test_two_messages_in_a_block_are_answered_each(hand: Hand, store: MessageStore) -> None:
    assert hand(oru(control_id="1") + oru(control_id="2")) == [["AA", "1"], ["AA", "2"]]
    assert store.count() == 2


@pytest.mark.parametrize("fault", [Fault.NO_END, Fault.TOO_LONG])
def test_a_faulty_block_is_answered_by_its_control_id_and_not_kept(store: MessageStore, fault: Fault) -> None:
    (answer,) = Desk(store, Rules()).take(Block(oru()[:120], fault))
    assert said(answer()) == ["AE", "M-1", fault.value]
    assert store.count() == 0


def test_a_database_that_takes_nothing_is_answered_ar_so_that_it_is_sent_again(
    hand: Hand, store: MessageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store._database.execute("PRAGMA query_only=1")
    (answer,) = hand(oru())
    assert answer[0] == "AR" and "later" in answer[2]
    store._database.execute("PRAGMA query_only=0")
    assert hand(oru()) == [["AA", "M-1"]]


def test_processing_ids_are_those_of_the_settings(store: MessageStore) -> None:
    desk = Desk(store, Rules(processing_ids=("P", "D")))
    assert [said(a())[0] for a in desk.take(Block(message(PID, OBR, CRP, processing="D")))] == ["AA"]


def test_what_was_answered_aa_is_found_by_every_identifier_of_the_patient(hand: Hand, store: MessageStore) -> None:
    hand(oru(pid="PID|1||P-1^^^HOSP~N-9^^^NID||x||19500102|F"))
    for identifier in (Identifier("P-1", "HOSP"), Identifier("N-9", "NID")):
        _, kept = KeptMessages(store.path).about(identifier)
        assert [message.control_id for message in kept] == ["M-1"]
