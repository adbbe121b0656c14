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


def test_the_state_names_what_became_of_every_file_at_every_peer(book) -> None:
    book.arrive()
    book.reported()
    (delivery,) = book.ledger.deliveries.due(book.now)
    report, pdf = ids(delivery)
    book.ledger.deliveries.refused([pdf], "SOP class not accepted", book.now)
    book.ledger.deliveries.sent([report], book.now)
    (entered,) = book.study()["reports"]
    assert entered["delivery"] == "SENT"
    assert entered["deliveries"] == [
        {"peer": "pacs", "file": "r.dcm", "state": "SENT", "reason": "", "attempts": 1},
        {"peer": "pacs", "file": "r.pdf", "state": "FAILED", "reason": "SOP class not accepted", "attempts": 1},
    ]


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


def test_the_first_file_decides_for_a_peer_that_takes_no_structured_report(book) -> None:
    book.arrive()
    book.complete()
    job = book.job()
    book.ledger.jobs.begin(job, book.now)
    only = {"r.dcm": ["pacs"], "r.pdf": ["archive"]}
    book.ledger.jobs.report(job, book.report(job), ("pacs", "archive"), book.now, only)
    archive, pacs = book.ledger.deliveries.due(book.now)
    assert [file.sop_instance_uid for file in archive.files] == ["2.25.9.2"]
    assert [file.sop_instance_uid for file in pacs.files] == ["2.25.9"]
    book.ledger.deliveries.sent(ids(pacs), book.now)
    assert book.study()["state"] == "RUNNING"
    book.ledger.deliveries.sent(ids(archive), book.now)
    assert book.study()["state"] == "REPORTED"


def test_a_backlog_costs_no_scan_of_all_rows(book) -> None:
    from sqlalchemy.dialects import sqlite

    from cds.store import deliveries

    wanted = [
        deliveries.waiting_files(["2.25.1"], "pacs"),
        deliveries.studies_due(book.now, "pacs").limit(64),
    ]
    with book.ledger.deliveries._database.reading() as connection:
        for query in wanted:
            text = str(query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
            plan = [str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
            assert plan and not any(step.startswith("SCAN") for step in plan), plan


def test_what_waited_too_long_for_a_peer_that_is_down_is_ended_a_part_at_a_time(book) -> None:
    book.arrive()
    book.reported(peers=("a", "b"))
    book.later(hours=73)
    before = book.now - timedelta(hours=72)
    assert book.ledger.deliveries.give_up("a", before, "down", book.now) == 2
    assert [one.peer for one in book.ledger.deliveries.due(book.now)] == ["b"]
    assert book.ledger.deliveries.give_up("b", book.now - timedelta(hours=74), "down", book.now) == 0
