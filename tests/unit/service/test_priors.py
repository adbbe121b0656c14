from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cds.domain.records import Identity
from cds.errors import ArchiveError
from cds.ports import ArchivedStudy, Peer
from cds.service.prior_cache import PriorCache
from cds.service.priors import MOVED, NAMELESS, NO_ROOM, NONE, UNREADABLE, Priors, PriorsPlan
from cds.store import Attempt, Job, Ledger, StoredInstance
from cds.testing.intake import FiledIntake
from cds_pacs.testing.instances import received, small_data_set, write_file

PACS = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=104, priors=True)
SPARE = replace(PACS, name="spare", ae_title="SPARE")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
PERSON = {
    "PatientID": "P-1",
    "IssuerOfPatientID": "HERE",
    "PatientBirthDate": "19500101",
    "PatientSex": "F",
    "StudyTime": "080000",
}


class Shelf:
    """An archive that lists and fetches what the test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listed: dict[str, ArchivedStudy] = {}
        self.contents: dict[str, list[Path]] = {}
        self.down: set[str] = set()
        self.no_get = False
        self.asked: list[str] = []
        self.fetched: list[str] = []
        self.moved: list[str] = []
        self.send: Callable[[str], None] = lambda uid: None

    def put(self, study: int, day: date, *, count: int = 2, description: str = "CT chest", **changes: object) -> str:
        uid = f"2.25.{study}"
        self.contents[uid] = [
            write_file(
                self.folder,
                small_data_set(study, number, **{**PERSON, "StudyDate": f"{day:%Y%m%d}", **changes}),
            )
            for number in range(1, count + 1)
        ]
        self.listed[uid] = ArchivedStudy(
            study_instance_uid=uid,
            started_on=day,
            modalities=(str(changes.get("Modality", "CT")),),
            description=description,
            instances=count,
        )
        return uid

    def instances(self, study_instance_uid: str, peer: Peer, *, calling_ae_title: str) -> int | None:
        raise AssertionError("nobody asks for a count here")

    def studies(self, patient: Identity, peer: Peer, *, calling_ae_title: str) -> tuple[ArchivedStudy, ...]:
        self.asked.append(peer.name)
        if peer.name in self.down:
            raise ArchiveError(f"peer {peer.name!r} does not answer")
        assert patient.patient_id == "P-1"
        return tuple(sorted(self.listed.values(), key=lambda each: each.started_on or date.min, reverse=True))

    def fetch(self, study_instance_uid: str, folder: Path, peer: Peer, *, calling_ae_title: str) -> int:
        self.fetched.append(study_instance_uid)
        if self.no_get:
            raise ArchiveError(f"peer {peer.name!r} does not offer C-GET")
        for number, source in enumerate(self.contents[study_instance_uid]):
            (folder / f"{number}.dcm").write_bytes(source.read_bytes())
        return len(self.contents[study_instance_uid])


class MovingShelf(Shelf):
    """One that can send to our listener too."""

    def move(self, study_instance_uid: str, peer: Peer, *, calling_ae_title: str) -> int:
        self.moved.append(study_instance_uid)
        self.send(study_instance_uid)
        return len(self.contents[study_instance_uid])


class Desk:
    """Priors with everything around them in hand."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        (folder / "shelf").mkdir()
        (folder / "today").mkdir()
        self.folder = folder
        self.ledger = ledger
        self.shelf = MovingShelf(folder / "shelf")
        self.seconds = 100.0
        self.peers = {"pacs": PACS}
        self.plan = PriorsPlan()
        self.intake = FiledIntake(ledger, lambda: NOW)
        self.restart()

    def restart(self) -> None:
        self.cache = PriorCache(self.folder / "priors")
        self.priors = Priors(
            ledger=self.ledger,
            cache=self.cache,
            archives={"dicom": self.shelf},
            peers=self.peers,
            ae_title="CDS",
            plan=self.plan,
            monotonic=lambda: self.seconds,
            pause=self.pass_by,
        )

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds

    def attempt(self, **changes: object) -> Attempt:
        ds = small_data_set(99, 1, **{**PERSON, "StudyDate": "20260601", **changes})
        path = write_file(self.folder / "today", ds)
        instance = StoredInstance(
            sop_instance_uid=str(ds.SOPInstanceUID),
            sop_class_uid=str(ds.SOPClassUID),
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            path=path,
        )
        job = Job(study_instance_uid="2.25.99", generation=1)
        return Attempt(job=job, number=1, instances=(instance,), revision=1, predecessor="")

    def gathered(self, **changes: object) -> Attempt:
        return self.priors.add_to(self.attempt(**changes))

    def found(self, **changes: object) -> list[str]:
        return [prior.study_instance_uid for prior in self.gathered(**changes).priors]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Ledger(tmp_path / "data") as ledger:
        yield Desk(tmp_path, ledger)


def test_the_newest_earlier_studies_are_fetched_newest_first(desk: Desk) -> None:
    for study, day in ((1, date(2024, 1, 1)), (2, date(2026, 1, 1)), (3, date(2025, 1, 1))):
        desk.shelf.put(study, day)
    gathered = desk.gathered()
    assert [prior.study_instance_uid for prior in gathered.priors] == ["2.25.2", "2.25.3"]
    assert [len(prior.instances) for prior in gathered.priors] == [2, 2]
    assert gathered.not_compared == ()
    assert desk.shelf.fetched == ["2.25.2", "2.25.3"]


def test_a_chest_by_its_description_goes_before_a_newer_examination_of_something_else(desk: Desk) -> None:
    desk.shelf.put(1, date(2026, 5, 1), description="CT head")
    desk.shelf.put(2, date(2025, 1, 1), description="胸部CT平扫")
    desk.shelf.put(3, date(2024, 1, 1), description="CT Thorax")
    assert desk.found() == ["2.25.2", "2.25.3"]


@pytest.mark.parametrize(
    ("day", "modality"),
    [
        (date(2026, 6, 1), "CT"),
        (date(2026, 6, 2), "CT"),
        (date(2021, 5, 30), "CT"),
        (date(2026, 1, 1), "MR"),
        (date(2026, 1, 1), "DX"),
    ],
    ids=["the same day", "later", "too old", "another modality", "a radiograph beside a CT"],
)
def test_what_cannot_be_compared_is_not_fetched(desk: Desk, day: date, modality: str) -> None:
    desk.shelf.put(1, day, Modality=modality)
    gathered = desk.gathered()
    assert gathered.priors == ()
    assert desk.shelf.fetched == []
    assert gathered.not_compared == (NONE,)


def test_the_study_itself_is_no_earlier_one(desk: Desk) -> None:
    desk.shelf.put(99, date(2026, 1, 1))
    assert desk.found() == []


def test_a_fetched_study_is_used_again_without_the_peer(desk: Desk) -> None:
    desk.shelf.put(1, date(2026, 1, 1))
    assert desk.found() == ["2.25.1"]
    desk.restart()
    assert desk.found() == ["2.25.1"]
    assert desk.shelf.fetched == ["2.25.1"]


def test_a_study_that_has_grown_at_the_peer_is_fetched_again(desk: Desk) -> None:
    desk.shelf.put(1, date(2026, 1, 1), count=2)
    desk.gathered()
    desk.shelf.put(1, date(2026, 1, 1), count=3)
    assert [len(prior.instances) for prior in desk.gathered().priors] == [3]


def test_a_study_that_the_ledger_has_is_not_fetched(desk: Desk) -> None:
    desk.shelf.put(1, date(2026, 1, 1))
    for number in (1, 2):
        ds = small_data_set(1, number, **{**PERSON, "StudyDate": "20260101"})
        desk.intake.take(received(ds))
    seen = desk.ledger.jobs.receiving()[0]
    desk.ledger.jobs.complete(seen, "quiet", NOW)
    assert desk.found() == ["2.25.1"]
    assert desk.shelf.fetched == []


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"PatientBirthDate": "19510101"}, "birth date differs"),
        ({"PatientSex": "M"}, "sex differs"),
        ({"IssuerOfPatientID": "ELSEWHERE"}, "issuer of the Patient ID differs"),
        ({"PatientID": "P-2"}, "Patient ID differs"),
        ({"PatientBirthDate": "", "PatientSex": ""}, "nothing but the Patient ID agrees"),
        (
            {"IssuerOfPatientID": "", "PatientSex": ""},
            "only one of them names the issuer of the Patient ID, and birth date and sex do not both confirm it",
        ),
    ],
)
def test_a_study_whose_images_name_another_person_is_never_used_nor_kept(
    desk: Desk, other: dict[str, str], reason: str
) -> None:
    desk.shelf.put(1, date(2026, 1, 1), **other)
    gathered = desk.gathered()
    assert gathered.priors == ()
    assert gathered.not_compared == (f"an earlier study under the same Patient ID was not used: {reason}",)
    assert desk.cache.files("2.25.1") == ()


def test_a_peer_that_is_down_costs_the_comparison_and_is_left_alone_for_a_minute(desk: Desk) -> None:
    desk.shelf.down.add("pacs")
    wanted = ("peer 'pacs' could not be asked for earlier studies",)
    assert desk.gathered().not_compared == wanted
    assert desk.gathered().not_compared == wanted
    assert desk.shelf.asked == ["pacs"]
    desk.shelf.down.clear()
    desk.shelf.put(1, date(2026, 1, 1))
    desk.pass_by(61)
    assert desk.found() == ["2.25.1"]


def test_one_peer_stands_in_for_another_and_the_report_says_which_failed(desk: Desk) -> None:
    desk.peers = {"pacs": PACS, "spare": SPARE}
    desk.restart()
    desk.shelf.down.add("pacs")
    desk.shelf.put(1, date(2026, 1, 1))
    gathered = desk.gathered()
    assert [prior.study_instance_uid for prior in gathered.priors] == ["2.25.1"]
    assert gathered.not_compared == ("peer 'pacs' could not be asked for earlier studies",)


def test_a_study_that_cannot_be_fetched_leaves_nothing_behind_and_the_next_one_is_tried(desk: Desk) -> None:
    desk.shelf.put(1, date(2026, 1, 1))
    desk.shelf.put(2, date(2025, 1, 1))
    desk.shelf.contents["2.25.1"].append(desk.folder / "gone.dcm")
    gathered = desk.gathered()
    assert desk.priors.set_aside("2.25.1") == ""
    assert [path.name for path in (desk.folder / "priors").iterdir() if path.suffix] == []
    assert [prior.study_instance_uid for prior in gathered.priors] == ["2.25.2"]
    assert gathered.not_compared == (NO_ROOM,)


def test_a_damaged_file_is_told_and_not_compared(desk: Desk) -> None:
    desk.shelf.put(1, date(2026, 1, 1))
    desk.shelf.contents["2.25.1"][0].write_bytes(b"no DICOM at all")
    gathered = desk.gathered()
    assert gathered.priors == ()
    assert gathered.not_compared == (UNREADABLE,)


def test_no_earlier_study_is_asked_for_without_a_patient_id(desk: Desk) -> None:
    gathered = desk.gathered(PatientID="")
    assert gathered.not_compared == (NAMELESS,)
    assert desk.shelf.asked == []


def test_nothing_is_asked_or_said_where_no_peer_has_priors(desk: Desk) -> None:
    desk.peers = {"pacs": replace(PACS, priors=False)}
    desk.restart()
    attempt = desk.attempt()
    assert desk.priors.add_to(attempt) is attempt
    assert desk.shelf.asked == []


def test_a_peer_without_get_sends_to_our_listener_and_the_study_makes_no_job(desk: Desk) -> None:
    desk.shelf.put(1, date(2026, 1, 1))
    desk.shelf.no_get = True

    def send(uid: str) -> None:
        for number in (1, 2):
            assert desk.priors.set_aside(uid) == MOVED
            desk.intake.take(received(small_data_set(1, number, **{**PERSON, "StudyDate": "20260101"})))

    desk.shelf.send = send
    assert desk.found() == ["2.25.1"]
    assert desk.shelf.moved == ["2.25.1"]
    desk.restart()
    assert desk.priors.set_aside("2.25.1") == MOVED
    assert desk.priors.set_aside("2.25.2") == ""


def test_a_moved_study_that_does_not_come_is_not_waited_for_for_ever(desk: Desk) -> None:
    desk.shelf.put(1, date(2026, 1, 1))
    desk.shelf.no_get = True
    assert desk.gathered().not_compared == ("peer 'pacs' did not send an earlier study",)
    assert 130 < desk.seconds < 132


def test_a_study_that_could_not_be_moved_is_one_like_any_other_when_it_comes_by_itself(desk: Desk) -> None:
    desk.shelf.put(1, date(2026, 1, 1))
    desk.shelf.no_get = True

    def refuse(uid: str) -> None:
        raise ArchiveError("peer 'pacs' ended the transfer with 0xA801")

    desk.shelf.send = refuse
    assert desk.gathered().not_compared == ("peer 'pacs' did not send an earlier study",)
    assert desk.priors.set_aside("2.25.1") == ""


def test_a_study_that_is_just_arriving_by_itself_is_not_taken_for_a_prior(desk: Desk) -> None:
    desk.shelf.put(1, date(2026, 1, 1))
    desk.shelf.no_get = True
    desk.intake.take(received(small_data_set(1, 1, **{**PERSON, "StudyDate": "20260101"})))
    assert desk.found() == []
    assert desk.shelf.moved == []
    assert desk.priors.set_aside("2.25.1") == ""


def test_the_cache_forgets_the_longest_unused_first(tmp_path: Path) -> None:
    cache = PriorCache(tmp_path, most_bytes=250)
    for number in range(4):
        cache.fill(f"2.25.{number}", lambda folder: (folder / "0.dcm").write_bytes(bytes(100)))
    folders = {number: cache.files(f"2.25.{number}")[0].parent for number in range(4)}
    for number, folder in folders.items():
        os.utime(folder, (NOW.timestamp() + number, NOW.timestamp() + number))
    assert PriorCache(tmp_path, most_bytes=250, most_days=1e6).sweep() == 2
    assert [number for number, folder in folders.items() if folder.is_dir()] == [2, 3]


def test_what_a_crash_left_half_fetched_is_removed_at_the_start(tmp_path: Path) -> None:
    half = tmp_path / "abc.part"
    half.mkdir()
    (half / "0.dcm").write_bytes(b"x")
    assert PriorCache(tmp_path).clear_up() == 1
    assert list(tmp_path.iterdir()) == []
