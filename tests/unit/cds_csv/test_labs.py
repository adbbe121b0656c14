import dataclasses
from datetime import UTC, date, datetime

import pytest

from cds.domain.records import LabStatus
from cds.domain.study import Patient

from .conftest import NOON, PATIENT, Join, lab, study_of


def test_a_value_is_joined_in_the_house_unit_with_its_row_and_its_own_range(join_labs: Join) -> None:
    (value,) = join_labs(lab(value="<12", unit="mg/dL", reference_low="0", reference_high="0.5")).labs
    assert (value.analyte.key, value.value, value.unit, value.comparator) == ("LN:1988-5", 120.0, "mg/L", "<")
    assert (value.reference_low, value.reference_high) == (0.0, 5.0)
    assert value.source == "labs: labs.csv row 2"
    assert value.observed_at == datetime(2026, 1, 31, 8, tzinfo=UTC)


def test_a_name_stands_in_for_a_code_in_either_language(join_labs: Join) -> None:
    found = join_labs(lab(code="", name="C反应蛋白"), lab(code="", name="White Blood Cells", value="12", unit="K/uL"))
    assert [value.analyte.value for value in found.labs] == ["1988-5", "6690-2"]
    assert found.rejected == ()


def test_a_code_that_is_not_known_is_not_read_by_its_name(join_labs: Join) -> None:
    found = join_labs(lab(code="2243-4", name="CRP"))
    assert found.labs == ()
    assert found.rejected[0].reason == "LOINC 2243-4 is not among the analytes that are used"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"value": "abc"}, "the value is not a number"),
        ({"value": "nan"}, "the value is not a number"),
        ({"value": "-3"}, "the value is negative"),
        ({"value": "1,5"}, "decimal point"),
        ({"unit": "bananas"}, "accepted are: g/L"),
        ({"unit": "%"}, "accepted are: g/L"),
        ({"observed_at": "yesterday"}, "the time is not understood"),
        ({"observed_at": "2026-02-30T08:00"}, "does not exist in the calendar"),
        ({"observed_at": ""}, "the time is not understood"),
        ({"code": "", "name": "Horoskop"}, "the name is not among the analytes"),
        ({"code": "", "name": ""}, "the row names no analyte"),
        ({"code": "Muster"}, "the code is not among the analytes"),
        ({"status": "perhaps"}, "the status is not known"),
        ({"birth_date": "02.01.1950"}, "identity: the birth date is not understood"),
        ({"birth_date": "1950-13-02"}, "identity: the birth date does not exist"),
        ({"sex": "Muster"}, "identity: the sex is not understood"),
    ],
)
def test_a_bad_row_costs_itself_only_and_its_reason_repeats_no_cell(
    join_labs: Join, changes: dict[str, str], reason: str
) -> None:
    found = join_labs(lab(**changes), lab(code="6690-2", value="12", unit="10*9/L"))
    assert [value.analyte.value for value in found.labs] == ["6690-2"]
    (rejected,) = found.rejected
    assert rejected.source == "labs: labs.csv row 2"
    assert reason in rejected.reason
    given = [cell for cell in changes.values() if len(cell) > 2]
    assert not any(cell in rejected.reason for cell in given)


def test_equal_reasons_make_one_line_with_the_first_row_numbers(join_labs: Join) -> None:
    found = join_labs(*[lab(code="2243-4")] * 8)
    (rejected,) = found.rejected
    assert rejected.source == "labs: labs.csv rows 2, 3, 4, 5, 6 and 3 more"


def test_a_range_that_cannot_be_read_costs_the_range_not_the_value(join_labs: Join) -> None:
    found = join_labs(lab(reference_low="5", reference_high="3"))
    assert found.labs[0].reference_low is None
    assert "used without its reference range" in found.rejected[0].reason


def test_other_patients_rows_are_passed_over_in_silence_even_when_broken(join_labs: Join) -> None:
    found = join_labs(lab(), lab(patient_id="P-2", value="abc"), lab(patient_id="P-10"), lab(patient_id="p-1"))
    assert len(found.labs) == 1
    assert found.rejected == ()


def test_with_no_row_of_the_patient_that_is_said(join_labs: Join) -> None:
    found = join_labs(lab(patient_id="P-2"))
    assert found.labs == ()
    assert "no row has the Patient ID of this study" in found.rejected[0].reason


@pytest.mark.parametrize(
    ("changes", "issuer", "reason"),
    [
        ({}, "", None),
        ({"sex": ""}, "", None),
        ({"birth_date": ""}, "", None),
        ({"birth_date": "19500102", "sex": "女"}, "", None),
        ({"issuer": "A"}, "A", None),
        ({"issuer": "A"}, "", None),
        ({}, "A", None),
        ({"birth_date": "", "sex": ""}, "", "nothing but the Patient ID agrees"),
        ({"birth_date": "", "sex": "", "issuer": "A"}, "A", "nothing but the Patient ID agrees"),
        ({"birth_date": "1950-01-03"}, "", "the birth date does not"),
        ({"sex": "M"}, "", "the sex does not"),
        ({"sex": "M", "birth_date": ""}, "", "the sex does not"),
        ({"issuer": "B"}, "A", "another issuer"),
        ({"issuer": "A", "sex": ""}, "", "only one side names the issuer"),
        ({"birth_date": ""}, "A", "only one side names the issuer"),
    ],
)
def test_identity_is_patient_id_and_issuer_checked_by_birth_date_and_sex(
    join_labs: Join, changes: dict[str, str], issuer: str, reason: str | None
) -> None:
    study = study_of(dataclasses.replace(PATIENT, issuer_of_patient_id=issuer))
    found = join_labs(lab(**changes), study=study)
    assert len(found.labs) == (reason is None)
    if reason is not None:
        assert reason in found.rejected[0].reason


def test_nothing_joins_on_the_patient_id_alone(join_labs: Join) -> None:
    found = join_labs(lab(), study=study_of(Patient(patient_id="P-1")))
    assert found.labs == ()
    assert "nothing but the Patient ID agrees" in found.rejected[0].reason


def test_a_study_without_patient_id_takes_no_record_not_even_of_an_empty_id(join_labs: Join) -> None:
    nobody = Patient(patient_id=" ", birth_date=date(1950, 1, 2), sex="F")
    found = join_labs(lab(patient_id=""), study=study_of(nobody))
    assert found.labs == ()
    assert found.rejected[0].reason == "the study has no Patient ID; no record can be joined"


def test_a_study_without_a_time_takes_no_record(join_labs: Join) -> None:
    for moment in (None, datetime(2026, 1, 31, 12)):
        found = join_labs(lab(), study=study_of(started_at=moment))
        assert found.labs == ()
        assert found.rejected[0].reason == "the study has no date and time; no record can be joined"


@pytest.mark.parametrize(
    ("observed_at", "inside"),
    [
        ("2026-01-28T12:00:00Z", True),
        ("2026-01-28T11:59:59Z", False),
        ("2026-02-01T12:00:00Z", True),
        ("2026-02-01T12:00:01Z", False),
        ("2026-02-01T20:00:00+08:00", True),
        ("2026-02-01T20:00:01+08:00", False),
        ("2026-01-31", True),
        ("2026/1/31 9:05", True),
        ("20260131T0905", True),
    ],
)
def test_the_window_is_72_hours_before_to_24_after_both_ends_included(
    join_labs: Join, observed_at: str, inside: bool
) -> None:
    found = join_labs(lab(observed_at=observed_at))
    assert len(found.labs) == inside
    if not inside:
        assert found.rejected[0].source == "labs: labs.csv"
        assert found.rejected[0].reason == "outside the window of 72 h before to 24 h after the study: 1 row"


def test_a_time_without_a_zone_is_in_the_configured_one(join_labs: Join) -> None:
    (value,) = join_labs(lab(observed_at="2026-01-31 20:00"), timezone="Asia/Shanghai").labs
    assert value.observed_at == NOON


def test_the_latest_final_value_counts_and_the_others_are_counted(join_labs: Join) -> None:
    found = join_labs(
        lab(value="1", observed_at="2026-01-31T08:00Z"),
        lab(value="2", observed_at="2026-01-31T10:00Z"),
        lab(value="3", observed_at="2026-01-31T09:00Z"),
        lab(value="4", observed_at="2026-01-31T11:00Z", status="preliminary"),
        lab(value="", observed_at="2026-01-31T11:30Z", status="cancelled"),
    )
    assert [(value.value, value.status) for value in found.labs] == [(2.0, LabStatus.FINAL)]
    assert {record.reason for record in found.rejected} == {
        "cancelled: 1 row",
        "superseded by a later, final or corrected value, or withdrawn: 3 rows",
    }


def test_a_d_dimer_of_unstated_basis_says_that_it_was_taken_as_feu(join_labs: Join) -> None:
    (assumed,) = join_labs(lab(code="", name="D-dimer", value="1.2")).labs
    (stated,) = join_labs(lab(code="", name="D-dimer", value="1.2", unit="mg/L FEU")).labs
    (coded,) = join_labs(lab(code="48065-7", value="1.2")).labs
    assert assumed.source.endswith("taken as FEU")
    assert "FEU" not in stated.source + coded.source
    found = join_labs(lab(code="", name="D-dimer", unit="mg/L DDU"))
    assert found.labs == ()
    assert "only FEU is taken" in found.rejected[0].reason


def test_no_patient_data_stands_in_what_was_rejected(join_labs: Join) -> None:
    canary = Patient(patient_id="CANARY-7", birth_date=date(1931, 7, 19), sex="M")
    rows = [
        lab(patient_id="CANARY-7", birth_date="1931-07-19", sex="F"),
        lab(patient_id="CANARY-7", birth_date="1931-07-19", sex="M", unit="CANARY-7"),
        lab(patient_id="CANARY-7", birth_date="1931-07-19", sex="M", code="", name="CANARY-7"),
        lab(patient_id="CANARY-7", birth_date="CANARY-7", sex="M"),
    ]
    found = join_labs(*rows, study=study_of(canary))
    assert found.labs == ()
    assert len(found.rejected) == 4
    assert "CANARY" not in repr(found)
    assert "1931" not in repr(found)
