from __future__ import annotations

import pytest

from cds.errors import CdsError

STUDY = "2.25.1"


def deliver(book, *, ok: bool = True) -> None:
    for delivery in book.ledger.deliveries.due(book.now):
        ids = [file.delivery_id for file in delivery.files]
        if ok:
            book.ledger.deliveries.sent(ids, book.now)
        else:
            book.ledger.deliveries.refused(ids, "0xA900", book.now)


def due(book) -> list[tuple[str, list[str]]]:
    return [(one.peer, [file.sop_instance_uid for file in one.files]) for one in book.ledger.deliveries.due(book.now)]


def test_a_resend_to_one_peer_leaves_the_others_alone(book) -> None:
    book.arrive()
    book.reported(peers=("a", "b"))
    deliver(book)
    assert book.ledger.levers.resend(STUDY, ["b"], book.now) == 2
    assert due(book) == [("b", ["2.25.9", "2.25.9.2"])]
    assert book.study()["state"] == "REPORTED"


def test_a_superseded_report_is_not_sent_again(book) -> None:
    book.arrive(1)
    book.reported("2.25.9")
    deliver(book)
    book.arrive(2)
    book.reported("2.25.10")
    deliver(book)
    book.ledger.levers.resend(STUDY, ["pacs"], book.now)
    assert due(book) == [("pacs", ["2.25.10", "2.25.10.2"])]


def test_a_resend_gives_a_peer_only_what_is_for_it(book) -> None:
    book.arrive()
    book.reported()
    deliver(book)
    book.ledger.levers.resend(STUDY, ["pacs"], book.now, lambda files: {"r.dcm": ["pacs"], "r.pdf": []})
    assert due(book) == [("pacs", ["2.25.9"])]
    with pytest.raises(CdsError, match="'send'"):
        book.ledger.levers.resend(STUDY, ["pacs"], book.now, lambda files: dict.fromkeys([f.name for f in files], ()))


def test_a_report_older_than_a_failed_analysis_is_sent_again_without_starting_that_one(book) -> None:
    book.arrive()
    book.reported()
    deliver(book)
    book.ledger.levers.retry(STUDY, book.now)
    job = book.job()
    book.ledger.jobs.begin(job, book.now)
    book.ledger.jobs.fail(job, "no grid", book.now)
    book.ledger.levers.resend(STUDY, ["pacs"], book.now)
    assert book.study()["state"] == "FAILED"
    assert book.ledger.jobs.open_jobs() == ()
    assert due(book) == [("pacs", ["2.25.9", "2.25.9.2"])]


def test_what_is_discarded_is_not_delivered_and_not_asked_for(book) -> None:
    book.arrive()
    book.reported(peers=("a", "b"))
    (first, _) = book.ledger.deliveries.due(book.now)
    book.ledger.deliveries.sent([file.delivery_id for file in first.files], book.now, book.now)
    book.ledger.levers.discard(STUDY, book.now)
    assert due(book) == []
    assert not book.ledger.commitments.anything_due(book.now, "a")
    assert book.study()["state"] == "DISCARDED"
    with pytest.raises(CdsError, match="DISCARDED"):
        book.ledger.levers.resend(STUDY, ["a"], book.now)


@pytest.mark.parametrize("lever", ["retry", "discard"])
def test_a_study_that_never_came_is_named(book, lever: str) -> None:
    with pytest.raises(CdsError, match=r"no study 2\.25\.404"):
        getattr(book.ledger.levers, lever)("2.25.404", book.now)


def test_a_study_that_is_worked_on_is_not_retried(book) -> None:
    book.arrive()
    book.complete()
    with pytest.raises(CdsError, match="READY"):
        book.ledger.levers.retry(STUDY, book.now)


def test_a_retry_closes_a_study_that_waits_for_more_and_keeps_what_was_absent(book) -> None:
    book.arrive()
    (receiving,) = book.ledger.jobs.receiving()
    book.ledger.jobs.waits(receiving, "waiting: 1 of 3 instances that peer 'pacs' has", held=1, expected=3)
    book.ledger.levers.retry(STUDY, book.now)
    assert book.study()["state"] == "READY"
    assert book.study()["completed_by"] == "completed by an operator"
    attempt = book.ledger.jobs.begin(book.job(), book.now)
    assert (attempt.held, attempt.expected) == (1, 3)


def test_a_retry_closes_a_study_of_which_nobody_said_how_much_there_is(book) -> None:
    book.arrive()
    book.ledger.levers.retry(STUDY, book.now)
    attempt = book.ledger.jobs.begin(book.job(), book.now)
    assert (attempt.held, attempt.expected) == (0, 0)
    assert book.ledger.jobs.receiving() == ()


def test_a_retry_of_what_has_no_image_skips_it(book) -> None:
    book.arrive(image=False)
    book.ledger.levers.retry(STUDY, book.now)
    assert book.study()["state"] == "SKIPPED"
