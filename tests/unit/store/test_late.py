from __future__ import annotations

from datetime import timedelta

import pytest

from cds.domain.records import Arrivals, Identity
from cds.store import Ledger

from .conftest import NOW, Book

PATIENT = Identity(patient_id="TEST")


def came(book: Book, *patients: Identity, position: str = "2", days: float = 7) -> tuple[str, ...]:
    since = book.now - timedelta(days=days)
    return book.ledger.late.enter("hl7", Arrivals(position=position, patients=patients), since, book.now)


def watched(book: Book) -> None:
    """The source has answered once."""
    book.ledger.late.position("hl7", book.now)
    came(book, position="1")
    book.later(seconds=1)


def delivered(book: Book, uid: str = "2.25.9") -> None:
    book.arrive()
    book.reported(uid)
    send_all(book)


def send_all(book: Book) -> None:
    for delivery in book.ledger.deliveries.due(book.now):
        book.ledger.deliveries.sent([file.delivery_id for file in delivery.files], book.now)


def test_a_reported_study_of_the_patient_is_read_again_and_knows_what_it_was_read_with(book: Book) -> None:
    watched(book)
    delivered(book)
    assert came(book, PATIENT) == ("2.25.1",)
    assert (book.study()["state"], book.study()["reason"]) == ("READY", "late records")
    attempt = book.ledger.jobs.begin(book.job(), book.now)
    assert attempt is not None
    assert (attempt.revision, attempt.predecessor, attempt.known_inputs) == (2, "2.25.9", "h")
    assert attempt.before is not None
    assert attempt.before.read_bytes() == b"{}"


def test_the_position_is_remembered_with_what_it_led_to(book: Book) -> None:
    watched(book)
    delivered(book)
    came(book, PATIENT, position="17")
    book.ledger.close()
    with Ledger(book.ledger.data_dir) as again:
        assert again.late.position("hl7", book.now) == "17"
        assert [job.study_instance_uid for job in again.jobs.open_jobs()] == ["2.25.1"]


def test_a_kill_before_the_entry_leaves_the_position_as_it_was_so_that_it_is_asked_again(book: Book) -> None:
    watched(book)
    delivered(book)
    book.ledger.close()
    with Ledger(book.ledger.data_dir) as again:
        assert again.late.position("hl7", book.now) == "1"


def test_another_patient_and_another_issuer_are_left_alone_and_a_missing_issuer_is_not(book: Book) -> None:
    watched(book)
    identity = Identity(patient_id="TEST", issuer_of_patient_id="HOSP")
    book.arrive(identity=identity)
    book.reported()
    send_all(book)
    assert came(book, Identity(patient_id="OTHER", issuer_of_patient_id="HOSP")) == ()
    assert came(book, Identity(patient_id="TEST", issuer_of_patient_id="ELSEWHERE"), position="3") == ()
    assert came(book, Identity(patient_id="TEST"), position="4") == ("2.25.1",)


def test_a_study_of_which_nothing_was_received_lately_is_left_alone(book: Book) -> None:
    watched(book)
    delivered(book)
    book.later(days=8)
    assert came(book, PATIENT) == ()
    assert came(book, PATIENT, position="3", days=9) == ("2.25.1",)


def test_a_study_that_is_not_begun_needs_nothing(book: Book) -> None:
    watched(book)
    book.arrive()
    assert came(book, PATIENT) == ()
    assert book.study()["state"] == "RECEIVING"
    book.complete()
    assert came(book, PATIENT, position="3") == ()
    assert book.job().generation == 1


def test_records_that_come_while_the_analysis_runs_have_it_made_again(book: Book) -> None:
    watched(book)
    book.arrive()
    book.complete()
    job = book.job()
    book.ledger.jobs.begin(job, book.now)
    assert came(book, PATIENT) == ("2.25.1",)
    assert book.study()["state"] == "RUNNING"
    book.ledger.jobs.report(job, book.report(job), ["pacs"], book.now)
    assert (book.study()["state"], book.study()["reason"]) == ("READY", "late records")
    assert book.job().generation == job.generation + 1
    send_all(book)
    assert [each["delivery"] for each in book.study()["reports"]] == ["SENT"]


def test_an_analysis_that_begins_after_they_came_is_not_made_twice(book: Book) -> None:
    watched(book)
    book.arrive()
    book.complete()
    job = book.job()
    book.ledger.jobs.begin(job, book.now)
    came(book, PATIENT)
    book.ledger.jobs.begin(job, book.now)  # the worker died, and the next attempt looks for the records anew
    book.ledger.jobs.report(job, book.report(job), ["pacs"], book.now)
    assert book.study()["state"] == "RUNNING"
    assert book.ledger.jobs.open_jobs() == ()


def test_a_report_on_its_way_is_delivered_and_the_study_is_read_again(book: Book) -> None:
    watched(book)
    book.arrive()
    book.reported()
    assert came(book, PATIENT) == ("2.25.1",)
    send_all(book)
    assert book.study()["state"] == "READY"
    assert [each["delivery"] for each in book.study()["reports"]] == ["SENT"]


def test_a_report_that_no_peer_took_is_made_again_with_what_came(book: Book) -> None:
    watched(book)
    book.arrive()
    book.reported()
    for delivery in book.ledger.deliveries.due(book.now):
        book.ledger.deliveries.refused([file.delivery_id for file in delivery.files], "0xA900", book.now)
    assert book.study()["state"] == "FAILED"
    assert came(book, PATIENT) == ("2.25.1",)


def test_where_nothing_that_counts_is_new_the_last_report_stands(book: Book) -> None:
    watched(book)
    delivered(book)
    came(book, PATIENT)
    job = book.job()
    book.ledger.jobs.begin(job, book.now)
    book.ledger.jobs.keep_the_last(job, book.now)
    assert book.study()["state"] == "REPORTED"
    assert [(each["revision"], each["superseded"]) for each in book.study()["reports"]] == [(1, False)]
    assert "no record that counts is new" in [detail for _, _, detail in book.ledger.history("2.25.1")]


def test_a_study_that_was_discarded_stays_so(book: Book) -> None:
    watched(book)
    delivered(book)
    book.ledger.levers.discard("2.25.1", book.now)
    assert came(book, PATIENT) == ()
    assert book.study()["state"] == "DISCARDED"


def test_reports_made_before_a_source_first_answered_are_looked_at_once_it_does(book: Book) -> None:
    delivered(book)
    book.later(seconds=5)
    assert book.ledger.late.position("hl7", book.now) == ""
    book.later(seconds=5)
    book.arrive(study="2.25.2", number=1)
    (receiving,) = book.ledger.jobs.receiving()
    book.ledger.jobs.complete(receiving, "quiet", book.now)
    job = book.job()
    book.ledger.jobs.begin(job, book.now)
    book.ledger.jobs.report(job, book.report(job, "2.25.19"), ["pacs"], book.now)
    assert came(book, position="1") == ("2.25.2",)
    assert book.ledger.late.position("hl7", NOW) == "1"


def test_an_attempt_after_an_image_came_too_makes_its_report_whatever_the_records_say(book: Book) -> None:
    watched(book)
    delivered(book)
    came(book, PATIENT)
    book.arrive(2)
    book.complete()
    attempt = book.ledger.jobs.begin(book.job(), book.now)
    assert attempt is not None
    assert attempt.known_inputs == ""


QUIET = timedelta(seconds=30)


def burst(book: Book, position: str) -> tuple[str, ...]:
    since = book.now - timedelta(days=7)
    return book.ledger.late.enter("hl7", Arrivals(position=position, patients=(PATIENT,)), since, book.now, QUIET)


def renewals(book: Book, study: str = "2.25.1") -> int:
    return [detail for _, kind, detail in book.ledger.history(study) if kind == "READY"].count("late records")


def test_a_burst_of_records_has_the_study_read_again_once_when_it_is_over(book: Book) -> None:
    watched(book)
    delivered(book)
    for number in range(5):
        assert burst(book, f"{number + 2}") == ()
        book.later(seconds=20)
        assert book.ledger.late.release(book.now, QUIET) == ()
    assert book.study()["state"] == "REPORTED"
    assert [kind for _, kind, _ in book.ledger.history("2.25.1")].count("late records") == 1
    book.later(seconds=10)
    assert book.ledger.late.release(book.now, QUIET) == ("2.25.1",)
    assert book.ledger.late.release(book.now, QUIET) == ()
    assert renewals(book) == 1


def test_records_that_keep_coming_are_read_after_ten_times_the_quiet(book: Book) -> None:
    watched(book)
    delivered(book)
    released: tuple[str, ...] = ()
    waited = -20
    while not released:
        released = burst(book, f"{waited}")
        book.later(seconds=20)
        waited += 20
    assert (released, waited) == (("2.25.1",), 300)


def test_a_kill_while_a_study_waits_loses_neither_the_position_nor_the_study(book: Book) -> None:
    watched(book)
    delivered(book)
    burst(book, "17")
    book.ledger.close()
    book.later(seconds=30)
    with Ledger(book.ledger.data_dir) as again:
        assert again.late.position("hl7", book.now) == "17"
        assert again.late.release(book.now, QUIET) == ("2.25.1",)
        assert [job.study_instance_uid for job in again.jobs.open_jobs()] == ["2.25.1"]


def test_an_entry_that_fails_leaves_position_and_waiting_studies_as_they_were(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    watched(book)
    delivered(book)
    with monkeypatch.context() as patched:
        patched.setattr("cds.store.late._move_on", fail)
        with pytest.raises(RuntimeError):
            burst(book, "17")
    assert book.ledger.late.position("hl7", book.now) == "1"
    book.later(hours=1)
    assert book.ledger.late.release(book.now, QUIET) == ()


def test_an_attempt_that_begins_while_the_study_waits_has_seen_the_records(book: Book) -> None:
    watched(book)
    delivered(book)
    burst(book, "2")
    book.arrive(2)
    book.complete()
    book.ledger.jobs.begin(book.job(), book.now)
    book.later(hours=1)
    assert book.ledger.late.release(book.now, QUIET) == ()
    assert renewals(book) == 0


def test_records_that_come_while_the_analysis_runs_have_it_made_again_once_they_are_quiet(book: Book) -> None:
    watched(book)
    book.arrive()
    book.complete()
    job = book.job()
    book.ledger.jobs.begin(job, book.now)
    burst(book, "2")
    book.ledger.jobs.report(job, book.report(job), ["pacs"], book.now)
    assert book.ledger.jobs.open_jobs() == ()
    book.later(seconds=30)
    assert book.ledger.late.release(book.now, QUIET) == ("2.25.1",)
    assert book.job().generation == job.generation + 1


def test_a_clock_that_was_set_back_does_not_hold_a_study_up(book: Book) -> None:
    watched(book)
    delivered(book)
    burst(book, "2")
    book.later(hours=-2)
    assert book.ledger.late.release(book.now, QUIET) == ("2.25.1",)
