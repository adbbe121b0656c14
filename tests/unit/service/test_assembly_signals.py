from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from cds.domain.records import Identity
from cds.errors import ArchiveError
from cds.ports import ArchivedStudy, Peer, Reference, StudyAnnounced
from cds.service.assembly import Assembly
from cds.service.counts import Counts
from cds.store import Ledger
from cds.testing.intake import FiledIntake
from cds_pacs.testing.instances import KEY_OBJECT, received, small_data_set

QUIET = 30.0
LONGEST = 600.0
PACS = Peer(name="pacs", ae_title="MODALITY", host="127.0.0.1", port=104, counts=True)


class Shelf:
    """An archive that says what the test wants; it counts the questions."""

    def __init__(self) -> None:
        self.answer: int | None = None
        self.down = False
        self.asked = 0

    def instances(self, study_instance_uid: str, peer: Peer, *, calling_ae_title: str) -> int | None:
        self.asked += 1
        if self.down:
            raise ArchiveError(f"peer {peer.name!r} does not answer")
        return self.answer

    def studies(self, patient: Identity, peer: Peer, *, calling_ae_title: str) -> tuple[ArchivedStudy, ...]:
        raise AssertionError("the assembly asks for no studies")

    def fetch(self, study_instance_uid: str, folder: Path, peer: Peer, *, calling_ae_title: str) -> int:
        raise AssertionError("the assembly fetches nothing")


class Hall:
    """An assembly with both clocks, the archive, and the background in hand."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.shelf = Shelf()
        self.wall = datetime(2026, 1, 1, tzinfo=UTC)
        self.seconds = 1000.0
        self.held_up: list[Callable[[], None]] | None = None
        self.intake = FiledIntake(ledger, lambda: self.wall)
        self.aside = ""
        self.assembly = Assembly(
            ledger,
            QUIET,
            lambda: self.wall,
            lambda: self.seconds,
            longest_seconds=LONGEST,
            counts=Counts(
                archives={"dicom": self.shelf},
                peers={"pacs": PACS},
                ae_title="CDS",
                monotonic=lambda: self.seconds,
                run=self.run,
            ),
            prior=lambda uid: self.aside,
        )

    def run(self, work: Callable[[], None]) -> None:
        if self.held_up is None:
            work()
        else:
            self.held_up.append(work)

    def take(self, *instances: int, study: int = 1, **changes: object) -> None:
        for instance in instances:
            self.intake.take(received(small_data_set(study, instance, **changes)))
        self.assembly.close_quiet_studies()

    def pass_by(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.seconds += seconds
        self.assembly.close_quiet_studies()

    def study(self) -> dict[str, object]:
        return dict(self.ledger.state()["studies"][0])


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    with Ledger(tmp_path / "data") as ledger:
        yield Hall(ledger)


def test_a_study_of_which_all_instances_are_here_is_complete_at_once(hall: Hall) -> None:
    hall.shelf.answer = 3
    hall.take(1, 2, 3)
    hall.pass_by(1.1)
    assert hall.study()["state"] == "READY"
    assert hall.study()["reason"] == "complete: all 3 instances that peer 'pacs' has"


def test_why_it_was_complete_stays_in_history_and_state_while_the_study_goes_on(hall: Hall) -> None:
    hall.shelf.answer = 1
    hall.take(1)
    hall.pass_by(1.1)
    job = hall.ledger.jobs.open_jobs()[0]
    attempt = hall.ledger.jobs.begin(job, hall.wall)
    assert hall.study()["state"] == "RUNNING"
    assert hall.study()["completed_by"] == "complete: all 1 instances that peer 'pacs' has"
    assert hall.study()["expected"] == 1
    assert attempt is not None
    assert (attempt.held, attempt.expected) == (1, 1)
    details = [detail for _, kind, detail in hall.ledger.history("2.25.1") if kind == "READY"]
    assert details == ["complete: all 1 instances that peer 'pacs' has"]


def test_a_study_that_is_to_have_more_is_waited_for_beyond_the_quiet_time(hall: Hall) -> None:
    hall.shelf.answer = 3
    hall.take(1, 2)
    for _ in range(5):
        hall.pass_by(QUIET)
    assert hall.study()["state"] == "RECEIVING"
    hall.take(3)
    hall.pass_by(1.1)
    assert hall.study()["state"] == "READY"


def test_while_a_study_waits_the_ledger_says_for_what(hall: Hall) -> None:
    hall.shelf.answer = 3
    hall.take(1)
    hall.pass_by(1.1)
    assert hall.study()["reason"] == "waiting: 1 of 3 instances that peer 'pacs' has"
    hall.take(2)
    hall.pass_by(1.1)
    assert hall.study()["reason"] == "waiting: 2 of 3 instances that peer 'pacs' has"


def test_what_a_peer_said_before_it_failed_holds_nothing_up(hall: Hall) -> None:
    hall.shelf.answer = 3
    hall.take(1, 2)
    hall.pass_by(1.1)
    hall.shelf.down = True
    hall.pass_by(11)
    assert (hall.study()["state"], hall.study()["reason"]) == ("RECEIVING", "")
    hall.pass_by(QUIET)
    assert hall.study()["state"] == "READY"
    assert hall.study()["reason"] == "complete: quiet for 30 s; peer 'pacs' did not say how many instances it has"
    assert hall.study()["expected"] is None


def test_an_answer_that_is_not_renewed_is_not_believed_for_longer_than_half_a_minute(hall: Hall) -> None:
    hall.shelf.answer = 3
    hall.take(1, 2)
    hall.pass_by(1.1)
    hall.held_up = []
    hall.pass_by(30)
    assert hall.study()["state"] == "RECEIVING"
    hall.pass_by(1)
    assert hall.study()["state"] == "READY"


def test_a_study_that_an_operator_closes_is_left_alone(hall: Hall) -> None:
    hall.shelf.answer = 3
    hall.take(1, 2)
    hall.pass_by(1.1)
    hall.ledger.levers.retry("2.25.1", hall.wall)
    asked = hall.shelf.asked
    hall.pass_by(LONGEST)
    assert (hall.study()["state"], hall.study()["reason"]) == ("READY", "completed by an operator")
    assert hall.shelf.asked == asked


def test_it_is_not_waited_for_beyond_the_longest_time_and_says_what_is_absent(hall: Hall) -> None:
    hall.shelf.answer = 3
    hall.take(1, 2)
    hall.pass_by(LONGEST - 1)
    assert hall.study()["state"] == "RECEIVING"
    hall.pass_by(2)
    assert hall.study()["state"] == "READY"
    assert hall.study()["reason"] == ("not complete: 2 of 3 instances that peer 'pacs' has; nothing came for 600 s")
    attempt = hall.ledger.jobs.begin(hall.ledger.jobs.open_jobs()[0], hall.wall)
    assert attempt is not None
    assert (attempt.held, attempt.expected) == (2, 3)


def test_instances_that_are_deleted_at_the_peer_are_not_waited_for(hall: Hall) -> None:
    hall.shelf.answer = 3
    hall.take(1, 2)
    hall.pass_by(QUIET)
    hall.shelf.answer = 2
    hall.pass_by(11)
    assert hall.study()["state"] == "READY"


def test_a_second_series_that_is_still_arriving_keeps_the_study_open(hall: Hall) -> None:
    hall.shelf.answer = 2
    hall.take(1)
    hall.take(2)
    hall.pass_by(0.5)
    hall.take(3, SeriesInstanceUID="2.25.1.7")
    hall.shelf.answer = 4
    hall.pass_by(0.9)
    hall.take(4, SeriesInstanceUID="2.25.1.7")
    assert hall.shelf.asked == 0
    hall.pass_by(1.1)
    assert hall.study()["state"] == "READY"


def test_an_answer_that_is_older_than_the_last_instance_completes_nothing(hall: Hall) -> None:
    hall.shelf.answer = 2
    hall.held_up = []
    hall.take(1)
    hall.pass_by(1.1)
    hall.take(2)
    hall.held_up.pop()()
    hall.pass_by(1.1)
    assert hall.study()["state"] == "RECEIVING"
    hall.held_up.pop()()
    hall.pass_by(0.25)
    assert hall.study()["state"] == "READY"


def test_a_peer_that_does_not_answer_holds_nothing_up(hall: Hall) -> None:
    hall.held_up = []
    hall.take(1)
    hall.pass_by(QUIET - 1)
    assert hall.study()["state"] == "RECEIVING"
    hall.pass_by(2)
    assert hall.study()["state"] == "READY"
    assert hall.study()["reason"] == ("complete: quiet for 30 s; peer 'pacs' did not say how many instances it has")
    assert len(hall.held_up) == 1


def test_a_peer_that_is_down_is_left_alone_for_longer_and_longer(hall: Hall) -> None:
    hall.shelf.down = True
    counts = Counts(
        archives={"dicom": hall.shelf},
        peers={"pacs": PACS},
        ae_title="CDS",
        monotonic=lambda: hall.seconds,
        run=hall.run,
    )
    asked: list[float] = []
    for _ in range(3000):
        before = hall.shelf.asked
        assert counts.look("2.25.1", PACS, arrivals=1) is None
        asked += [hall.seconds] if hall.shelf.asked > before else []
        hall.seconds += 1
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses == [30, 60, 120, 240, 480, 600, 600, 600]
    hall.shelf.down, hall.shelf.answer = False, 7
    hall.seconds += 600
    told = counts.look("2.25.1", PACS, arrivals=1)
    assert told is not None
    assert told.instances == 7


def test_a_study_from_a_sender_that_cannot_be_asked_goes_by_quiet_alone(hall: Hall) -> None:
    hall.intake.take(received(small_data_set(1, 1), calling_ae_title="STRANGER"))
    hall.pass_by(0)
    hall.pass_by(QUIET + 1)
    assert hall.study()["reason"] == "complete: quiet for 30 s"
    assert hall.shelf.asked == 0


def test_a_peer_that_knows_fewer_than_are_here_is_not_believed(hall: Hall) -> None:
    hall.shelf.answer = 1
    hall.take(1, 2)
    hall.pass_by(2)
    assert hall.study()["state"] == "RECEIVING"
    hall.pass_by(QUIET)
    assert hall.study()["reason"] == "complete: quiet for 30 s; 2 instances, of which peer 'pacs' knows 1"


def test_objects_without_pixels_count_as_the_peer_counts_them(hall: Hall) -> None:
    hall.shelf.answer = 2
    hall.take(1)
    hall.take(2, sop_class_uid=KEY_OBJECT)
    hall.pass_by(1.1)
    assert hall.study()["state"] == "READY"


def test_a_late_image_opens_the_study_again_and_is_counted_again(hall: Hall) -> None:
    hall.shelf.answer = 1
    hall.take(1)
    hall.pass_by(1.1)
    hall.shelf.answer = 3
    hall.take(2)
    hall.pass_by(QUIET)
    assert hall.study()["state"] == "RECEIVING"
    hall.take(3)
    hall.pass_by(1.1)
    assert hall.study()["state"] == "READY"
    assert len([kind for _, kind, _ in hall.ledger.history("2.25.1") if kind == "READY"]) == 2


def test_a_study_is_complete_once_every_announced_instance_is_here(hall: Hall) -> None:
    hall.ledger.completeness.announce("2.25.1", ["2.25.1.1", "2.25.1.2"], "MODALITY", hall.wall)
    hall.take(1)
    hall.pass_by(QUIET + 1)
    assert hall.study()["state"] == "RECEIVING"
    hall.take(2)
    hall.pass_by(1.1)
    assert hall.study()["reason"] == "complete: all 2 instances that were announced"
    assert hall.shelf.asked == 0


def test_a_notice_of_availability_is_an_announcement_that_outlives_a_restart(hall: Hall) -> None:
    named = tuple(
        Reference(sop_class_uid="1.2.840.10008.5.1.4.1.1.2", sop_instance_uid=f"2.25.1.{number}") for number in (1, 2)
    )
    hall.intake.notice(
        StudyAnnounced(study_instance_uid="2.25.1", references=named, calling_ae_title="MODALITY", address="127.0.0.1")
    )
    hall.take(1)
    assert hall.ledger.notices.waiting(StudyAnnounced) == ()
    hall.pass_by(QUIET + 1)
    assert hall.study()["state"] == "RECEIVING"
    hall.take(2)
    hall.pass_by(1.1)
    assert hall.study()["reason"] == "complete: all 2 instances that were announced"


def test_another_instance_does_not_stand_in_for_an_announced_one(hall: Hall) -> None:
    hall.ledger.completeness.announce("2.25.1", ["2.25.1.1", "2.25.1.2"], "MODALITY", hall.wall)
    hall.take(1, 3)
    hall.pass_by(QUIET + 1)
    assert hall.study()["state"] == "RECEIVING"
    hall.pass_by(LONGEST)
    assert hall.study()["reason"] == ("not complete: 1 of 2 instances that were announced; nothing came for 600 s")


def test_an_announcement_that_comes_twice_counts_once(hall: Hall) -> None:
    for _ in range(2):
        hall.ledger.completeness.announce("2.25.1", ["2.25.1.1", "2.25.1.2"], "MODALITY", hall.wall)
    hall.take(1, 2)
    hall.pass_by(1.1)
    assert hall.study()["expected"] == 2
    assert [kind for _, kind, _ in hall.ledger.history("2.25.1")].count("announced") == 1


def test_a_study_that_was_fetched_as_a_prior_makes_no_job(hall: Hall) -> None:
    hall.shelf.answer = 1
    hall.aside = "fetched for a comparison: makes no report of its own"
    hall.take(1)
    hall.pass_by(1.1)
    assert hall.study()["state"] == "SKIPPED"
    assert hall.study()["reason"] == hall.aside
    assert hall.ledger.jobs.open_jobs() == ()
