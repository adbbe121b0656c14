from __future__ import annotations

from datetime import date

import pytest

from cds.domain.records import Identity
from cds.store import Taken


def test_a_first_instance_opens_its_study(book) -> None:
    assert book.arrive() is Taken.NEW
    assert book.study()["state"] == "RECEIVING"
    assert book.study()["instances"] == 1
    assert [one["state"] for one in book.ledger.state()["instances"]] == ["STORED"]


def test_an_identical_resend_changes_nothing(book) -> None:
    book.arrive()
    before, history = book.ledger.state(), book.ledger.history("2.25.1")
    book.later(seconds=5)
    assert book.arrive() is Taken.REPEAT
    assert book.ledger.state() == before
    assert book.ledger.history("2.25.1") == history


def test_other_bytes_under_one_uid_are_a_conflict_and_the_first_ones_are_used(book) -> None:
    book.arrive(content=b"first")
    assert book.arrive(content=b"second") is Taken.CONFLICT
    assert [one["state"] for one in book.ledger.state()["instances"]] == ["STORED", "CONFLICT"]
    assert book.study()["instances"] == 1
    book.complete()
    attempt = book.ledger.jobs.begin(book.job(), book.now)
    assert [one.path.read_bytes()[-5:] for one in attempt.instances] == [b"first"]


def test_a_repeated_conflict_is_entered_once(book) -> None:
    book.arrive(content=b"first")
    book.arrive(content=b"second")
    assert book.arrive(content=b"second") is Taken.REPEAT
    assert len(book.ledger.state()["instances"]) == 2


def test_a_study_of_conflicts_only_is_skipped_not_lost(book) -> None:
    book.arrive(uid="2.25.7", study="2.25.1")
    book.arrive(uid="2.25.7", study="2.25.2", content=b"other")
    assert book.complete("2.25.2") == "SKIPPED"


@pytest.mark.parametrize(
    ("identity", "attribute"),
    [
        (Identity(patient_id="OTHER", birth_date=date(1950, 1, 1), sex="F"), "patient id"),
        (Identity(patient_id="TEST", birth_date=date(1951, 1, 1), sex="F"), "birth date"),
        (Identity(patient_id="TEST", birth_date=date(1950, 1, 1), sex="M"), "sex"),
    ],
)
def test_two_patients_in_one_study_are_never_fused(book, identity: Identity, attribute: str) -> None:
    book.arrive(1)
    book.arrive(2, identity=identity)
    assert book.study()["state"] == "IDENTITY_CONFLICT"
    assert attribute in book.study()["reason"]
    assert "TEST" not in book.study()["reason"] and "OTHER" not in book.study()["reason"]
    assert book.ledger.jobs.receiving() == ()
    book.arrive(3)
    assert book.study()["state"] == "IDENTITY_CONFLICT"


def test_two_issuers_are_two_patients_but_an_unknown_issuer_is_not(book) -> None:
    book.arrive(1, identity=Identity(patient_id="TEST"))
    book.arrive(2, identity=Identity(patient_id="TEST", issuer_of_patient_id="A"))
    assert book.study()["state"] == "RECEIVING"
    book.arrive(3, identity=Identity(patient_id="TEST", issuer_of_patient_id="B"))
    assert book.study()["state"] == "IDENTITY_CONFLICT"


def test_a_second_patient_ends_a_running_analysis_without_a_report(book) -> None:
    book.arrive(1)
    book.complete()
    job = book.job()
    book.ledger.jobs.begin(job, book.now)
    book.arrive(2, identity=Identity(patient_id="OTHER"))
    assert not book.ledger.jobs.report(job, book.report(job), ["pacs"], book.now)
    assert book.study()["state"] == "IDENTITY_CONFLICT"
    assert book.study()["reports"] == []


@pytest.mark.parametrize("state", ["READY", "SKIPPED", "FAILED", "REPORTED"])
def test_a_late_image_opens_the_study_again(book, state: str) -> None:
    book.arrive(1)
    book.complete()
    job = book.job()
    if state == "REPORTED":
        book.ledger.jobs.begin(job, book.now)
        book.ledger.jobs.report(job, book.report(job), ["pacs"], book.now)
        (delivery,) = book.ledger.deliveries.due(book.now)
        book.ledger.deliveries.sent([file.delivery_id for file in delivery.files], book.now)
    elif state in ("SKIPPED", "FAILED"):
        book.ledger.jobs.begin(job, book.now)
        getattr(book.ledger.jobs, {"SKIPPED": "skip", "FAILED": "fail"}[state])(job, "why", book.now)
    assert book.study()["state"] == state
    book.arrive(2)
    assert book.study()["state"] == "RECEIVING"
    assert book.complete() == "READY"
    assert book.job().generation == job.generation + 1


@pytest.mark.parametrize("changes", [{"image": False}, {"own": True, "image": False}])
def test_a_key_object_or_our_own_result_after_the_report_makes_no_job(book, changes: dict[str, bool]) -> None:
    book.arrive(1)
    book.reported()
    (delivery,) = book.ledger.deliveries.due(book.now)
    book.ledger.deliveries.sent([file.delivery_id for file in delivery.files], book.now)
    taken = book.arrive(2, **changes)
    assert taken is (Taken.OWN if changes.get("own") else Taken.NEW)
    assert book.study()["state"] == "REPORTED"


def test_our_own_result_is_known_by_its_uid_and_is_no_input(book) -> None:
    book.arrive(1)
    book.reported(uid="2.25.9")
    assert book.arrive(uid="2.25.9") is Taken.OWN
    assert book.arrive(uid="2.25.9.2") is Taken.OWN
    assert book.study()["instances"] == 1
    assert len(book.ledger.state()["instances"]) == 3


def test_objects_without_pixels_count_and_do_not_start_a_job(book) -> None:
    book.arrive(1, image=False)
    assert book.complete() == "SKIPPED"
    assert "no image" in book.study()["reason"]
    book.arrive(2)
    assert book.study()["state"] == "RECEIVING"
    assert book.complete() == "READY"
    assert book.study()["instances"] == 2


@pytest.mark.parametrize("lever", ["discard", "quarantine"])
def test_a_study_that_was_set_aside_stays_so_when_images_come(book, lever: str) -> None:
    book.arrive(1)
    if lever == "discard":
        book.ledger.levers.discard("2.25.1", book.now)
    else:
        book.complete()
        for _ in range(4):
            book.ledger.jobs.begin(book.job(), book.now)
    before = book.study()["state"]
    book.arrive(2)
    assert book.study()["state"] == before
    assert book.study()["instances"] == 2
