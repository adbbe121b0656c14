from __future__ import annotations

from datetime import timedelta

import pytest

from cds.ports import Reference
from cds.store.commitments import CLASS_CONFLICT, NO_SUCH_INSTANCE
from cds.store.values import DeliveryState

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
ASKED = "2.25.77"


def sent(book) -> None:
    """A report whose SR and PDF the peer has accepted, and is to be asked for."""
    book.arrive()
    book.reported()
    (delivery,) = book.ledger.deliveries.due(book.now)
    book.ledger.deliveries.sent([file.delivery_id for file in delivery.files], book.now, book.now)


def ask(book, uid: str = ASKED):
    (one,) = book.ledger.commitments.asks(book.now, "pacs")
    book.ledger.commitments.asked(one, uid, book.now + timedelta(hours=1), book.now)
    return one


def said(*failures: int) -> list[Reference]:
    uids = ["2.25.9", "2.25.9.2"]
    return [
        Reference(sop_class_uid="", sop_instance_uid=uid, failure=failure)
        for uid, failure in zip(uids, failures, strict=False)
    ]


def report(book, *failures: int, uid: str = ASKED, most: int = 2) -> bool:
    return bool(book.ledger.commitments.reported(uid, said(*failures), book.now, most_refusals=most))


def delivery(book) -> str:
    return str(book.study()["reports"][0]["delivery"])


def test_what_is_not_to_be_asked_is_never_due(book) -> None:
    book.arrive()
    book.reported()
    (one,) = book.ledger.deliveries.due(book.now)
    book.ledger.deliveries.sent([file.delivery_id for file in one.files], book.now)
    assert not book.ledger.commitments.anything_due(book.now + timedelta(days=9), "pacs")


def test_the_files_of_a_report_are_asked_for_in_one_request(book) -> None:
    sent(book)
    assert book.ledger.commitments.anything_due(book.now, "pacs")
    assert not book.ledger.commitments.anything_due(book.now, "other")
    one = ask(book)
    assert [reference.sop_instance_uid for reference in one.references] == ["2.25.9", "2.25.9.2"]
    assert not book.ledger.commitments.anything_due(book.now, "pacs")


def test_a_peer_that_keeps_everything_makes_the_report_committed(book) -> None:
    sent(book)
    ask(book)
    assert delivery(book) == "SENT"
    assert report(book, 0, 0)
    assert delivery(book) == "COMMITTED"
    assert book.study()["state"] == "REPORTED"
    assert not book.ledger.commitments.anything_due(book.now + timedelta(days=9), "pacs")


def test_what_the_peer_did_not_speak_of_stays_as_it_was(book) -> None:
    sent(book)
    ask(book)
    assert report(book, 0)
    book.later(hours=2)
    (again,) = book.ledger.commitments.asks(book.now, "pacs")
    assert [reference.sop_instance_uid for reference in again.references] == ["2.25.9.2"]
    assert again.asks == 1


def test_what_the_peer_does_not_keep_is_sent_again_a_bounded_number_of_times(book) -> None:
    sent(book)
    for number in range(3):
        uid = f"2.25.{100 + number}"
        ask(book, uid)
        assert report(book, NO_SUCH_INSTANCE, 0, uid=uid)
        due = book.ledger.deliveries.due(book.now, "pacs")
        if number == 2:
            assert due == ()
            break
        (one,) = due
        assert [file.sop_instance_uid for file in one.files] == ["2.25.9"]
        book.ledger.deliveries.sent([one.files[0].delivery_id], book.now, book.now)
    assert delivery(book) == "SENT"
    assert any("0x0112" in detail for _, _, detail in book.ledger.history("2.25.1"))


def test_an_answer_to_an_earlier_request_still_counts(book) -> None:
    sent(book)
    ask(book, "2.25.100")
    book.later(hours=1)
    ask(book, "2.25.101")
    assert report(book, 0, 0, uid="2.25.100")
    assert delivery(book) == "COMMITTED"


def test_the_same_answer_twice_changes_nothing(book) -> None:
    sent(book)
    ask(book)
    report(book, NO_SUCH_INSTANCE, 0)
    before = book.ledger.deliveries.due(book.now, "pacs")
    report(book, NO_SUCH_INSTANCE, 0)
    assert book.ledger.deliveries.due(book.now, "pacs") == before


def test_an_answer_to_what_was_never_asked_is_not_believed(book) -> None:
    sent(book)
    ask(book)
    assert not report(book, 0, 0, uid="2.25.78")
    assert delivery(book) == "SENT"


def test_a_request_that_could_not_be_made_does_not_count(book) -> None:
    sent(book)
    one = ask(book)
    book.ledger.commitments.postponed(one, "down", book.now + timedelta(minutes=10), book.now)
    book.later(minutes=10)
    (again,) = book.ledger.commitments.asks(book.now, "pacs")
    assert again.asks == 0


def test_a_peer_that_is_given_up_keeps_its_files_as_sent(book) -> None:
    sent(book)
    book.ledger.commitments.given_up(ask(book), "no answer", book.now)
    assert delivery(book) == "SENT"
    assert not book.ledger.commitments.anything_due(book.now + timedelta(days=9), "pacs")


def test_a_resend_forgets_what_was_asked_of_the_old_one(book) -> None:
    sent(book)
    ask(book)
    book.ledger.levers.resend("2.25.1", ["pacs"], book.now)
    assert not book.ledger.commitments.anything_due(book.now + timedelta(days=9), "pacs")


@pytest.mark.parametrize(
    ("sop_class", "uid", "failure"),
    [(CT, "2.25.1.1", 0), (MR, "2.25.1.1", CLASS_CONFLICT), (CT, "2.25.1.2", NO_SUCH_INSTANCE)],
)
def test_a_peer_is_told_of_each_instance_whether_we_keep_it(book, sop_class: str, uid: str, failure: int) -> None:
    book.arrive(1)
    asked = [Reference(sop_class_uid=sop_class, sop_instance_uid=uid)]
    book.ledger.commitments.requested("pacs", "2.25.5", asked, book.now)
    (answer,) = book.ledger.commitments.answers(book.now, "pacs")
    assert answer.references == (Reference(sop_class_uid=sop_class, sop_instance_uid=uid, failure=failure),)


def test_other_pixels_under_a_uid_that_we_have_do_not_count_as_kept_twice(book) -> None:
    book.arrive(1)
    book.arrive(1, content=b"other pixels")
    book.ledger.commitments.requested(
        "pacs", "2.25.5", [Reference(sop_class_uid=CT, sop_instance_uid="2.25.1.1")], book.now
    )
    (answer,) = book.ledger.commitments.answers(book.now, "pacs")
    assert [reference.failure for reference in answer.references] == [0]


def test_an_answer_is_owed_until_the_peer_has_it(book) -> None:
    book.ledger.commitments.requested("pacs", "2.25.5", [], book.now)
    book.ledger.commitments.requested("pacs", "2.25.5", [], book.now)
    (answer,) = book.ledger.commitments.answers(book.now, "pacs")
    book.ledger.commitments.answer_postponed(answer, "down", book.now + timedelta(seconds=30), book.now)
    assert not book.ledger.commitments.anything_due(book.now, "pacs")
    book.later(seconds=30)
    (answer,) = book.ledger.commitments.answers(book.now, "pacs")
    assert answer.attempt == 1
    book.ledger.commitments.answered(answer, DeliveryState.SENT, "", book.now)
    assert book.ledger.commitments.answers(book.now + timedelta(days=9), "pacs") == ()
