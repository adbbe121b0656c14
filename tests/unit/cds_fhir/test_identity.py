"""Whom resources are about: Patients, their identifiers and links."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds.domain.records import Identity

from .conftest import SYSTEM, Join, Keep, observation, patient, reasons, source, study_of, without


def test_a_value_is_joined_by_the_identifier_whose_system_is_the_issuer(join: Join) -> None:
    assert len(join(patient(), observation()).labs) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gender": "male"}, "sex differs"),
        ({"birthDate": "1950-01-03"}, "birth date differs"),
        ({"birthDate": "1951"}, "birth date differs"),
        ({"birthDate": "1950-02"}, "birth date differs"),
        ({"birthDate": "1950", "gender": "unknown"}, "nothing but the Patient ID agrees"),
        ({"birthDate": "yesterday", "gender": "unknown"}, "nothing but the Patient ID agrees"),
    ],
)
def test_birth_date_and_sex_check_the_identity(join: Join, changes: dict[str, object], reason: str) -> None:
    found = join(patient(**changes), observation())
    assert found.labs == ()
    assert reasons(found) == [f"it is not certain that it is the same person: {reason}"]


def test_a_partial_birth_date_that_fits_is_no_contradiction(join: Join) -> None:
    assert len(join(patient(birthDate="1950-01"), observation()).labs) == 1


def test_the_same_id_by_another_issuer_is_another_patient(join: Join) -> None:
    other = patient(identifier=[{"system": "urn:other", "value": "P-1"}])
    found = join(other, observation())
    assert found.labs == ()
    assert reasons(found) == ["no FHIR resource has the Patient ID of this study by the same issuer"]


def test_where_the_images_name_no_issuer_birth_date_and_sex_must_both_confirm(join: Join) -> None:
    study = study_of(issuer_of_patient_id="")
    assert len(join(patient(), observation(), study=study).labs) == 1
    assert join(patient(gender="unknown"), study=study).labs == ()


def test_patients_that_are_linked_are_one_person_in_both_directions_and_in_chains(join: Join) -> None:
    found = join(
        patient("p1", link=[{"other": {"reference": "Patient/p2"}, "type": "replaces"}]),
        without(patient("p2", "P-2"), "birthDate"),
        patient("p3", "P-3", link=[{"other": {"reference": "Patient/p2"}, "type": "seealso"}]),
        observation("o2", 7, subject={"reference": "Patient/p2"}, effectiveDateTime="2026-01-31T09:00:00Z"),
        observation("o3", 8, subject={"reference": "Patient/p3"}, effectiveDateTime="2026-01-31T10:00:00Z"),
    )
    assert [lab.value for lab in found.labs] == [8.0]
    assert reasons(found) == ["superseded by a later, final or corrected value, or withdrawn"]


def test_a_link_that_was_taken_back_joins_no_more(join: Join) -> None:
    found = join(
        patient("p2", "P-2", link=[{"other": {"reference": "Patient/p1"}, "type": "replaced-by"}]),
        patient("p2", "P-2"),
        patient("p1"),
        observation(subject={"reference": "Patient/p2"}),
    )
    assert found.labs == ()


def test_a_linked_patient_of_another_sex_is_not_the_same_person(join: Join) -> None:
    found = join(
        patient("p1", link=[{"other": {"reference": "Patient/p2"}, "type": "replaces"}]),
        patient("p2", "P-2", gender="male"),
        observation(subject={"reference": "Patient/p2"}),
    )
    assert found.labs == () and "sex differs" in reasons(found)[0]


def test_an_identifier_that_was_taken_away_leads_no_more(join: Join) -> None:
    assert join(patient(), patient(value="P-9"), observation()).labs == ()


def test_ids_of_two_senders_are_two_worlds(keep: Keep, join: Join) -> None:
    """Patient/p1 of one sender is not Patient/p1 of another."""
    keep(patient("p1", "P-9"), observation("o9", 1), origin="elsewhere")
    found = join(patient(), observation())
    assert [(lab.value, lab.source) for lab in found.labs] == [(120.0, "fhir:Observation/o1/_history/+1")]


@pytest.mark.parametrize(
    "subject",
    [
        {"identifier": {"system": SYSTEM, "value": "P-1"}},
        {"identifier": {"system": SYSTEM, "value": "P-1"}, "reference": "Patient/never-seen"},
    ],
)
def test_a_subject_told_by_identifier_is_checked_by_the_patient_that_has_it(
    join: Join, subject: dict[str, object]
) -> None:
    assert join(observation(subject=subject)).labs == ()
    assert len(join(patient()).labs) == 1


def test_a_contained_patient_is_checked_by_what_it_says(join: Join) -> None:
    inside = patient("p")
    about = observation(subject={"reference": "#p"}, contained=[inside])
    assert len(join(about).labs) == 1
    other = observation("o2", subject={"reference": "#p"}, contained=[inside | {"gender": "male"}])
    assert len(join(other).labs) == 1  # the first one still is


def test_a_referenced_patient_counts_more_than_an_identifier_beside_it(join: Join) -> None:
    subject = {"reference": "Patient/p2", "identifier": {"system": SYSTEM, "value": "P-1"}}
    assert join(patient(), patient("p2", "P-2"), observation(subject=subject)).labs == ()


def test_arrivals_names_the_patients_of_new_resources_and_all_their_identifiers(tmp_path: Path, keep: Keep) -> None:
    keep(patient())
    watched = source(tmp_path)
    start = watched.arrivals("")
    assert start.patients == ()
    assert watched.arrivals(start.position) == start
    keep(patient(), observation())
    keep(patient("p2", "P-2", link=[{"other": {"reference": "Patient/p1"}, "type": "replaced-by"}]))
    later = watched.arrivals(start.position)
    assert set(later.patients) == {
        Identity(patient_id="P-1", issuer_of_patient_id="HOSP"),
        Identity(patient_id="P-2", issuer_of_patient_id="HOSP"),
    }
    assert watched.arrivals(later.position).patients == ()


def test_a_patient_that_comes_after_its_value_is_named_then(tmp_path: Path, keep: Keep) -> None:
    keep(observation())
    watched = source(tmp_path)
    start = watched.arrivals("0")
    assert start.patients == ()
    keep(patient())
    assert [each.patient_id for each in watched.arrivals(start.position).patients] == ["P-1"]
