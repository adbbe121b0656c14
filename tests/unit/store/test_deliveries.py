from __future__ import annotations

from datetime import timedelta


def ids(delivery) -> list[int]:
    return [file.delivery_id for file in delivery.files]


def test_the_dicom_files_of_a_report_are_due_at_once_the_structured_report_first(book) -> None:
    book.arrive()
    book.reported()
    (delivery,) = book.ledger.deliveries.due(book.now)
    assert [file.sop_instance_uid for file in delivery.files] == ["2.25.9", "2.25.9.2"]
    assert [file.path.read_bytes() for file in delivery.files] == [b"sr", b"pdf"]


def test_reported_means_that_the_peer_accepted_the_structured_report(book) -> None:
    book.arrive()
    book.reported()
    (delivery,) = book.ledger.deliveries.due(book.now)
    report, pdf = ids(delivery)
    book.ledger.deliveries.sent([pdf], book.now)
    assert book.study()["state"] == "RUNNING"
    assert book.study()["reports"][0]["delivery"] == "PENDING"
    book.ledger.deliveries.sent([report], book.now)
    assert book.study()["state"] == "REPORTED"
    assert book.study()["reports"][0]["delivery"] == "SENT"


def test_a_companion_that_is_refused_does_not_cost_the_report(book) -> None:
    book.arrive()
    book.reported()
    (delivery,) = book.ledger.deliveries.due(book.now)
    report, pdf = ids(delivery)
    book.ledger.deliveries.refused([pdf], "SOP class not accepted", book.now)
    book.ledger.deliveries.sent([report], book.now)
    assert book.study()["state"] == "REPORTED"


def test_a_refused_report_is_failed_and_says_why(book) -> None:
    book.arrive()
    book.reported()
    (delivery,) = book.ledger.deliveries.due(book.now)
    book.ledger.deliveries.refused(ids(delivery), "0xA900", book.now)
    assert book.study()["state"] == "FAILED"
    assert "pacs: 0xA900" in book.study()["reason"]
    assert book.study()["reports"][0]["delivery"] == "FAILED"


def test_with_two_peers_both_must_accept(book) -> None:
    book.arrive()
    book.reported(peers=("a", "b"))
    first, second = book.ledger.deliveries.due(book.now)
    book.ledger.deliveries.sent(ids(first), book.now)
    assert book.study()["state"] == "RUNNING"
    book.ledger.deliveries.sent(ids(second), book.now)
    assert book.study()["state"] == "REPORTED"


def test_a_postponed_delivery_is_due_again_at_its_time_as_another_attempt(book) -> None:
    book.arrive()
    book.reported()
    (delivery,) = book.ledger.deliveries.due(book.now)
    book.ledger.deliveries.postponed(delivery, "down", book.now + timedelta(seconds=30), book.now)
    assert book.ledger.deliveries.due(book.now + timedelta(seconds=29)) == ()
    (again,) = book.ledger.deliveries.due(book.now + timedelta(seconds=30))
    assert again.attempt == 1 and again.id != delivery.id
    assert again.first_at == delivery.first_at
    assert not book.ledger.deliveries.still_pending(delivery)
    assert book.ledger.deliveries.still_pending(again)


def test_revisions_go_to_a_peer_in_their_order(book) -> None:
    book.arrive(1)
    book.reported("2.25.9")
    book.arrive(2)
    book.reported("2.25.10")
    (first,) = book.ledger.deliveries.due(book.now)
    assert first.files[0].sop_instance_uid == "2.25.9"
    book.ledger.deliveries.sent(ids(first), book.now)
    assert book.study()["state"] == "RUNNING"
    (second,) = book.ledger.deliveries.due(book.now)
    assert second.files[0].sop_instance_uid == "2.25.10"
    book.ledger.deliveries.sent(ids(second), book.now)
    assert book.study()["state"] == "REPORTED"


def test_a_study_that_receives_again_is_not_called_reported_by_its_old_report(book) -> None:
    book.arrive(1)
    book.reported()
    book.arrive(2)
    (delivery,) = book.ledger.deliveries.due(book.now)
    book.ledger.deliveries.sent(ids(delivery), book.now)
    assert book.study()["state"] == "RECEIVING"
    assert book.study()["reports"][0]["delivery"] == "SENT"


def test_a_resend_makes_every_file_due_again(book) -> None:
    book.arrive()
    book.reported()
    (delivery,) = book.ledger.deliveries.due(book.now)
    book.ledger.deliveries.refused(ids(delivery), "0xA900", book.now)
    book.ledger.levers.resend("2.25.1", ["pacs", "new"], book.now)
    assert book.study()["state"] == "RUNNING"
    due = book.ledger.deliveries.due(book.now)
    assert {one.peer for one in due} == {"pacs", "new"}
    assert delivery.id not in {one.id for one in due}


def test_what_is_due_can_be_asked_of_one_peer(book) -> None:
    book.arrive()
    book.reported()
    assert len(book.ledger.deliveries.due(book.now, "pacs")) == 1
    assert book.ledger.deliveries.due(book.now, "other") == ()
    assert book.ledger.deliveries.anything_due(book.now, "pacs")
    assert not book.ledger.deliveries.anything_due(book.now, "other")
    assert not book.ledger.deliveries.anything_due(book.now - timedelta(seconds=1), "pacs")
