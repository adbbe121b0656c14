from __future__ import annotations


def test_our_own_results_count_as_here_once_the_peer_has_accepted_them(book) -> None:
    book.arrive(1)
    book.reported()
    assert book.ledger.completeness.held("2.25.1", "pacs") == 1
    (delivery,) = book.ledger.deliveries.due(book.now)
    book.ledger.deliveries.sent([file.delivery_id for file in delivery.files], book.now)
    assert book.ledger.completeness.held("2.25.1", "pacs") == 3
    assert book.ledger.completeness.held("2.25.1", "another") == 1


def test_our_results_that_came_back_are_counted_once(book) -> None:
    book.arrive(1)
    book.reported()
    (delivery,) = book.ledger.deliveries.due(book.now)
    book.ledger.deliveries.sent([file.delivery_id for file in delivery.files], book.now)
    book.arrive(uid="2.25.9", content=b"sr", own=True, image=False)
    assert book.ledger.completeness.held("2.25.1", "pacs") == 3


def test_two_contents_of_one_instance_are_one(book) -> None:
    book.arrive(1)
    book.arrive(1, content=b"other pixels")
    assert book.ledger.completeness.held("2.25.1") == 1


def test_senders_are_told_without_padding(book) -> None:
    book.arrive(1, calling_ae_title="PACS ")
    book.arrive(2, calling_ae_title="CT1")
    assert book.ledger.completeness.senders("2.25.1") == {"PACS", "CT1"}


def test_files_of_a_study_that_still_arrives_or_has_two_patients_are_not_handed_out(book) -> None:
    book.arrive(1)
    assert book.ledger.jobs.kept("2.25.1") == ()
    assert len(book.ledger.jobs.kept("2.25.1", receiving=True)) == 1
    book.complete()
    assert len(book.ledger.jobs.kept("2.25.1")) == 1
    assert book.ledger.jobs.kept("2.25.404") == ()
