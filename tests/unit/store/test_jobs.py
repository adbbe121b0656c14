from __future__ import annotations

import pytest

from cds.domain.report import EncodedReport
from cds.errors import CdsError, ReportError


def test_a_study_in_which_something_arrived_meanwhile_is_not_closed(book) -> None:
    book.arrive(1)
    (seen,) = book.ledger.jobs.receiving()
    book.arrive(2)
    assert book.ledger.jobs.complete(seen, "quiet", book.now) is None
    assert book.study()["state"] == "RECEIVING"


def test_an_attempt_is_counted_before_it_begins(book) -> None:
    book.arrive()
    book.complete()
    attempt = book.ledger.jobs.begin(book.job(), book.now)
    assert attempt.number == 1
    assert (book.study()["state"], book.study()["attempts"]) == ("RUNNING", 1)


def test_after_three_attempts_without_an_answer_the_study_is_quarantined(book) -> None:
    book.arrive()
    book.complete()
    job = book.job()
    assert [book.ledger.jobs.begin(job, book.now).number for _ in range(3)] == [1, 2, 3]
    assert book.ledger.jobs.begin(job, book.now) is None
    assert book.study()["state"] == "QUARANTINED"
    assert book.ledger.jobs.open_jobs() == ()


def test_a_job_with_a_report_is_not_begun_again(book) -> None:
    book.arrive()
    job = book.reported()
    assert book.ledger.jobs.open_jobs() == ()
    assert book.ledger.jobs.begin(job, book.now) is None
    assert not book.ledger.jobs.report(job, book.report(job, "2.25.10", 2), ["pacs"], book.now)
    assert len(book.study()["reports"]) == 1


def test_an_image_during_the_analysis_makes_a_second_revision_that_supersedes_the_first(book) -> None:
    book.arrive(1)
    book.complete()
    job = book.job()
    book.ledger.jobs.begin(job, book.now)
    book.arrive(2)
    assert book.study()["state"] == "RUNNING"
    book.ledger.jobs.report(job, book.report(job), ["pacs"], book.now)
    assert book.study()["state"] == "RECEIVING"
    book.complete()
    attempt = book.ledger.jobs.begin(book.job(), book.now)
    assert (attempt.revision, attempt.predecessor, len(attempt.instances)) == (2, "2.25.9", 2)
    book.ledger.jobs.report(book.job(), book.report(book.job(), "2.25.10", 2), ["pacs"], book.now)
    reports = book.study()["reports"]
    assert [(one["sop_instance_uid"], one["revision"], one["superseded"]) for one in reports] == [
        ("2.25.9", 1, True),
        ("2.25.10", 2, False),
    ]


def test_the_same_report_again_makes_no_new_revision(book) -> None:
    book.arrive()
    book.reported()
    (delivery,) = book.ledger.deliveries.due(book.now)
    book.ledger.deliveries.sent([file.delivery_id for file in delivery.files], book.now)
    book.ledger.levers.retry("2.25.1", book.now)
    book.ledger.jobs.begin(book.job(), book.now)
    assert not book.ledger.jobs.report(book.job(), book.report(book.job(), revision=2), ["pacs"], book.now)
    assert book.study()["state"] == "REPORTED"
    assert [one["revision"] for one in book.study()["reports"]] == [1]
    assert book.ledger.deliveries.due(book.now) == ()


@pytest.mark.parametrize(("content_hash", "revisions"), [("said", [1]), ("said otherwise", [1, 2])])
def test_a_retry_makes_a_new_revision_only_where_the_report_says_something_else(book, content_hash, revisions) -> None:
    book.arrive()
    book.complete()
    book.ledger.jobs.begin(book.job(), book.now)
    assert book.ledger.jobs.report(
        book.job(), book.report(book.job(), "2.25.9", 1, content_hash="said"), ["pacs"], book.now
    )
    (delivery,) = book.ledger.deliveries.due(book.now)
    book.ledger.deliveries.sent([file.delivery_id for file in delivery.files], book.now)
    book.ledger.levers.retry("2.25.1", book.now)
    attempt = book.ledger.jobs.begin(book.job(), book.now)
    again = book.report(book.job(), "2.25.10", attempt.revision, content_hash=content_hash)
    assert book.ledger.jobs.report(book.job(), again, ["pacs"], book.now) == (len(revisions) == 2)
    assert sorted(one["revision"] for one in book.study()["reports"]) == revisions
    assert bool(book.ledger.deliveries.due(book.now)) == (len(revisions) == 2)
    assert book.study()["state"] == ("RUNNING" if len(revisions) == 2 else "REPORTED")


def test_an_interrupted_job_is_a_new_job_and_its_attempt_is_given_back(book) -> None:
    book.arrive()
    book.complete()
    job = book.job()
    book.ledger.jobs.begin(job, book.now)
    book.ledger.jobs.put_back(job, book.now, counts=False)
    assert (book.study()["state"], book.study()["attempts"]) == ("READY", 0)
    assert book.job().id != job.id
    assert book.ledger.jobs.begin(job, book.now) is None


def test_a_report_without_a_peer_to_take_it_is_never_called_reported(book) -> None:
    book.arrive()
    book.reported(peers=())
    assert book.study()["state"] == "FAILED"
    assert "send_results" in book.study()["reason"]
    book.ledger.levers.resend("2.25.1", ["pacs"], book.now)
    assert book.study()["state"] == "RUNNING"
    assert len(book.ledger.deliveries.due(book.now)) == 1


def test_levers_refuse_what_makes_no_sense_and_say_why(book) -> None:
    with pytest.raises(CdsError, match="there is no study"):
        book.ledger.levers.retry("2.25.404", book.now)
    book.arrive()
    book.complete()
    with pytest.raises(CdsError, match="READY"):
        book.ledger.levers.retry("2.25.1", book.now)
    with pytest.raises(CdsError, match="no report yet"):
        book.ledger.levers.resend("2.25.1", ["pacs"], book.now)
    with pytest.raises(CdsError, match="nobody to send to"):
        book.ledger.levers.resend("2.25.1", [], book.now)


def test_a_discarded_study_is_not_delivered_any_more(book) -> None:
    book.arrive()
    book.reported()
    book.ledger.levers.discard("2.25.1", book.now)
    assert book.ledger.deliveries.due(book.now) == ()
    assert book.study()["state"] == "DISCARDED"
    assert book.study()["reports"][0]["delivery"] == "FAILED"


def test_every_change_of_state_is_in_the_history_with_its_date(book) -> None:
    book.arrive()
    book.later(seconds=30)
    book.complete()
    first = book.now
    job = book.job()
    book.later(seconds=1)
    book.ledger.jobs.begin(job, book.now)
    book.ledger.jobs.fail(job, "why", book.now)
    history = book.ledger.history("2.25.1")
    assert [kind for _, kind, _ in history] == ["RECEIVING", "instance STORED", "READY", "RUNNING", "FAILED"]
    assert history[2][0] == first
    assert history[4] == (book.now, "FAILED", "why")


def test_reports_need_a_structured_report_and_plain_names(book) -> None:
    pdf = EncodedReport(name="a.pdf", media_type="application/pdf", content=b"", sop_instance_uid="1.2")
    with pytest.raises(ReportError, match="no structured report"):
        book.ledger.report_files.put("2.25.1", "job", [pdf], revision=1, inputs_hash="")
    for name in ("../x", "a/b", ""):
        bad = EncodedReport(
            name=name,
            media_type="application/dicom",
            content=b"",
            sop_instance_uid="1.2",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
        )
        with pytest.raises(ReportError, match="plain file name"):
            book.ledger.report_files.put("2.25.1", "job", [bad], revision=1, inputs_hash="")


def test_a_sweep_removes_report_files_without_a_row_and_keeps_the_others(book) -> None:
    book.arrive()
    book.reported()
    kept = [path for _, _, path in book.ledger.report_paths("2.25.1")]
    orphan = book.ledger.report_files.put(
        "2.25.2",
        "job",
        [EncodedReport(name="r.dcm", media_type="", content=b"", sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33")],
        revision=1,
        inputs_hash="",
    )
    path = book.ledger.report_files.path(orphan.files[0].path)
    assert path.exists()
    assert book.ledger.sweep() == 1
    assert not path.parent.parent.exists()
    assert len(kept) == 3 and all(one.exists() for one in kept)


def test_the_longest_waiting_jobs_come_first(book) -> None:
    for study in ("2.25.3", "2.25.1", "2.25.2"):
        book.arrive(study=study)
        book.complete(study)
        book.later(seconds=1)
    assert [job.study_instance_uid for job in book.ledger.jobs.open_jobs(2)] == ["2.25.3", "2.25.1"]
