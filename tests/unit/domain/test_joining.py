"""The join that every source of records shares: who, when, and what was not used."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest

from cds.domain.joining import Search, Tally, Window, search_for
from cds.domain.records import Identity
from cds.domain.same_person import doubt, identity_of, row_doubt
from cds.domain.study import Patient, Study

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OURS = Identity(patient_id="P-1", issuer_of_patient_id="A", birth_date=date(1950, 1, 2), sex="F")
STUDY = Study(study_instance_uid="1.2.3", patient=Patient(patient_id=" P-1 "), series=(), started_at=NOON)


def search(study: Study) -> Search | str:
    return search_for(study, before=72 * HOUR, after=24 * HOUR, zone=UTC)


def test_both_ends_of_a_window_are_inside() -> None:
    window = Window(NOON, before=72 * HOUR, after=24 * HOUR)
    assert window.holds(NOON - 72 * HOUR)
    assert window.holds(NOON + 24 * HOUR)
    assert not window.holds(NOON - 72 * HOUR - timedelta(seconds=1))
    assert not window.holds(NOON + 24 * HOUR + timedelta(seconds=1))
    assert str(window) == "72 h before to 24 h after the study"


def test_a_search_names_the_patient_without_the_padding_of_dicom() -> None:
    found = search(STUDY)
    assert isinstance(found, Search)
    assert found.identity == identity_of(STUDY.patient) == Identity(patient_id="P-1")


@pytest.mark.parametrize(
    ("study", "reason"),
    [
        (replace(STUDY, patient=Patient(patient_id="  ")), "the study has no Patient ID; no record can be joined"),
        (replace(STUDY, started_at=None), "the study has no date and time; no record can be joined"),
        (replace(STUDY, started_at=datetime(2026, 1, 31)), "the study has no date and time; no record can be joined"),
    ],
)
def test_a_study_that_nothing_can_be_joined_to_says_why(study: Study, reason: str) -> None:
    assert search(study) == reason


@pytest.mark.parametrize(
    ("issuer", "born", "sex"), list(product(("", "A", "B"), (None, date(1950, 1, 2), date(1951, 1, 2)), ("", "F", "M")))
)
def test_a_row_is_doubted_exactly_where_two_studies_are(issuer: str, born: date | None, sex: str) -> None:
    theirs = Identity(patient_id="P-1", issuer_of_patient_id=issuer, birth_date=born, sex=sex)
    assert bool(row_doubt(OURS, theirs)) == bool(doubt(OURS, theirs))
    assert "P-1" not in row_doubt(OURS, theirs) + doubt(OURS, theirs)


def test_an_empty_patient_id_is_nobodys() -> None:
    nobody = replace(OURS, patient_id=" ")
    assert doubt(nobody, nobody)
    assert row_doubt(nobody, nobody)


def test_thousands_of_rows_make_one_line_that_names_five() -> None:
    tally = Tally("labs: a.csv")
    for number in range(2, 2002):
        tally.row(number, "the value is not a number")
    tally.count("cancelled", 2)
    tally.note("labs: a.csv", "cannot be read")
    assert [(record.source, record.reason) for record in tally.rejected()] == [
        ("labs: a.csv", "cannot be read"),
        ("labs: a.csv rows 2, 3, 4, 5, 6 and 1995 more", "the value is not a number"),
        ("labs: a.csv", "cancelled: 2 rows"),
    ]
