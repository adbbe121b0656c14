import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from cds.domain.evidence import Algorithm, Evidence, Missing, Modality, Observation
from cds.domain.finding import Finding, Knowledge
from cds.domain.records import Records, TextReport
from cds.domain.report import Case, EncodedReport, Report
from cds.domain.study import Patient, Study
from cds.domain.vocabulary import FINDINGS
from cds.errors import EvidenceError
from cds.pipeline import Pipeline, try_to_extract
from cds.ports import CasePart
from cds.reading import Analysis, Reading
from cds.store import Attempt, Job
from cds.store.values import StoredInstance
from support.images import series_of

ALGORITHM = Algorithm(name="test", version="1")
STUDY = Study(study_instance_uid="2.25.1", patient=Patient(), series=())


class Ct:
    """Counts how often it was asked, and finds one nodule."""

    modality: ClassVar = Modality.CT

    def __init__(self) -> None:
        self.asked = 0

    def extract(self, case: Case) -> Evidence | Missing:
        self.asked += 1
        nodule = Observation(id="chest_ct/nodule/1", concept=FINDINGS["lung_nodule"])
        return Evidence(modality=Modality.CT, algorithm=ALGORITHM, observations=(nodule,))


class Fusion:
    def fuse(self, case: Case, evidence: Sequence[Evidence], missing: Sequence[Missing]) -> tuple[Finding, ...]:
        return ()


class NoKnowledge:
    def consult(self, case: Case, evidence: Sequence[Evidence], findings: Sequence[Finding]) -> Knowledge:
        return Knowledge(algorithm=ALGORITHM)


class Writer:
    """Writes the revision, and counts."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, report: Report) -> tuple[EncodedReport, ...]:
        self.written += 1
        return (EncodedReport(name="r", media_type="a/b", content=f"{report.revision}".encode()),)


class Room:
    """A reading with its parts in sight, and the attempts at one study."""

    def __init__(self, folder: Path, ct: Ct | None = None) -> None:
        self.ct, self.writer, self.texts = ct or Ct(), Writer(), ()
        self.images = series_of(folder, "CT", 3).instances
        pipeline = Pipeline(
            software=ALGORITHM,
            extractors=(self.ct,),
            fusion=Fusion(),
            knowledge=(NoKnowledge(),),
            impression=lambda findings, missing: ("", ""),
        )
        self.analysis = Analysis(pipeline=pipeline, records=(self,), writers={"w": self.writer})
        self.reading = Reading(self.analysis)

    def records_for(self, study: Study) -> Records:
        return Records(texts=self.texts)

    def attempt(self, instances: int = 3) -> Attempt:
        stored = tuple(
            StoredInstance(
                sop_instance_uid=image.sop_instance_uid,
                sop_class_uid=image.sop_class_uid,
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                path=image.path,
            )
            for image in self.images[:instances]
        )
        return Attempt(
            job=Job(study_instance_uid="2.25.1", generation=1), number=0, instances=stored, revision=1, predecessor=""
        )


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_the_same_case_is_read_and_written_once(room: Room) -> None:
    first = room.reading(room.attempt())
    assert room.reading(replace(room.attempt(), number=1)) == first
    assert (room.ct.asked, room.writer.written) == (1, 1)


def test_one_more_image_is_another_case(room: Room) -> None:
    room.reading(room.attempt(2))
    room.reading(room.attempt(3))
    assert (room.ct.asked, room.writer.written) == (2, 2)


def test_a_text_that_comes_meanwhile_is_another_case(room: Room) -> None:
    first = room.reading(room.attempt())
    room.texts = (TextReport(report_id="1", text="no nodule"),)
    second = room.reading(room.attempt())
    assert second.inputs_hash != first.inputs_hash
    assert room.writer.written == 2


def test_what_else_is_known_of_the_study_is_written_but_the_images_are_not_read_again(room: Room) -> None:
    room.reading(room.attempt())
    room.reading(replace(room.attempt(), held=3, expected=4))
    assert (room.ct.asked, room.writer.written) == (1, 2)


class Images(Ct):
    """Depends on the images alone."""

    depends_on: ClassVar[frozenset[CasePart]] = frozenset({"study"})
    given: tuple[Records, ...] = ()

    def extract(self, case: Case) -> Evidence | Missing:
        self.given = (*self.given, case.records)
        return super().extract(case)


def test_a_late_text_has_what_depends_on_records_read_again_and_not_the_images(tmp_path: Path) -> None:
    room = Room(tmp_path, Images())
    room.reading(room.attempt())
    room.texts = (TextReport(report_id="1", text="no nodule"),)
    room.reading(replace(room.attempt(), revision=2, predecessor="2.25.7"))
    assert (room.ct.asked, room.writer.written) == (1, 2)
    room.reading(room.attempt(2))
    assert room.ct.asked == 2


def test_an_extractor_that_names_the_study_alone_is_given_no_records_with_or_without_a_memory(tmp_path: Path) -> None:
    images = Images()
    room = Room(tmp_path, images)
    room.texts = (TextReport(report_id="1", text="no nodule"),)
    room.reading(room.attempt())
    try_to_extract(images, Case(study=STUDY, records=room.records_for(STUDY)))
    assert images.given == (Records(), Records())


def test_an_extractor_that_says_nothing_is_given_records_and_asked_again_when_they_change(room: Room) -> None:
    room.reading(room.attempt())
    room.texts = (TextReport(report_id="1", text="no nodule"),)
    room.reading(room.attempt())
    assert room.ct.asked == 2


def test_another_revision_is_written_anew(room: Room) -> None:
    room.reading(room.attempt())
    second = room.reading(replace(room.attempt(), revision=2, predecessor="2.25.7"))
    assert second.encodings[0].content == b"2"
    assert room.ct.asked == 1


def test_files_of_no_study_are_an_error(room: Room) -> None:
    with pytest.raises(EvidenceError, match="cannot be read"):
        room.reading(replace(room.attempt(), instances=()))


def test_a_second_attempt_says_the_same_under_another_revision(room: Room) -> None:
    first = room.reading(room.attempt())
    again = room.reading(replace(room.attempt(), number=1, revision=2, predecessor="2.25.77"))
    assert again.encodings != first.encodings
    assert again.content_hash == first.content_hash != ""


def test_a_report_of_another_algorithm_says_something_else(room: Room) -> None:
    first = room.reading(room.attempt())
    updated = replace(room.analysis.pipeline, software=replace(ALGORITHM, version="2"))
    second = Reading(replace(room.analysis, pipeline=updated))(room.attempt())
    assert second.inputs_hash == first.inputs_hash
    assert second.content_hash != first.content_hash


def test_where_the_records_of_a_late_look_are_those_of_the_last_report_no_model_runs(room: Room) -> None:
    first = room.reading(room.attempt())
    again = replace(room.attempt(), number=1, revision=2, predecessor="2.25.9", known_inputs=first.inputs_hash)
    assert room.reading(again).nothing_new
    assert (room.ct.asked, room.writer.written) == (1, 1)
    room.texts = (TextReport(report_id="r", text="A nodule."),)
    assert not room.reading(again).nothing_new
    assert room.writer.written == 2


def test_the_report_is_kept_as_json_and_the_next_revision_says_what_changed_against_it(
    room: Room, tmp_path: Path
) -> None:
    (kept,) = (each for each in room.reading(room.attempt()).encodings if each.media_type == "application/json")
    before = tmp_path / "before.json"
    before.write_bytes(kept.content)
    room.texts = (TextReport(report_id="r", text="A nodule."),)
    revised = room.reading(replace(room.attempt(), number=1, revision=2, predecessor="2.25.9", before=before))
    (now,) = (each for each in revised.encodings if each.media_type == "application/json")
    assert [(each["matter"], each["id"]) for each in json.loads(now.content)["changes"]] == [("text", "r")]
