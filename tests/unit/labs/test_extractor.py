from datetime import UTC, datetime, timedelta

import pytest

from cds.domain.evidence import Evidence, Missing, Modality
from cds.domain.labs import ANALYTES, latest_final
from cds.domain.records import LabResult, LabStatus, Records, RejectedRecord
from cds.domain.report import Case
from cds.domain.study import Patient, Study
from cds.features.labs import DEFAULT_RANGES, PRELIMINARY, Labs
from cds.ports import Extractor

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def result(
    key: str = "crp",
    value: float = 120.0,
    *,
    hours: float = 0,
    status: LabStatus = LabStatus.FINAL,
    comparator: str = "",
    low: float | None = None,
    high: float | None = None,
) -> LabResult:
    return LabResult(
        analyte=ANALYTES[key].code,
        value=value,
        unit=ANALYTES[key].unit,
        observed_at=NOON + timedelta(hours=hours),
        status=status,
        comparator=comparator,
        reference_low=low,
        reference_high=high,
        source="labs: a.csv row 2",
    )


def case(*labs: LabResult, age: float | None = 60, sex: str = "F", rejected: tuple[RejectedRecord, ...] = ()) -> Case:
    patient = Patient(patient_id="P1", sex=sex, age_years=age)
    study = Study(study_instance_uid="1.2.3", patient=patient, series=(), started_at=NOON)
    return Case(study=study, records=Records(labs=labs, rejected=rejected))


def read(of: Case) -> Evidence:
    found = Labs(Labs.Settings()).extract(of)
    assert isinstance(found, Evidence)
    return found


def note(*labs: LabResult, age: float | None = 60, sex: str = "F") -> str:
    return read(case(*labs, age=age, sex=sex)).observations[0].note


def test_it_keeps_the_contract_of_its_door() -> None:
    assert isinstance(Labs(Labs.Settings()), Extractor)
    assert Labs.modality is Modality.LABS


def test_each_value_is_one_observation_named_by_its_loinc_code_and_pointing_at_its_row() -> None:
    (observation,) = read(case(result())).observations
    assert observation.id == "labs/1988-5"
    assert observation.concept == ANALYTES["crp"].code
    (measurement,) = observation.measurements
    assert (measurement.value, measurement.unit) == (120.0, "mg/L")
    assert observation.source == "labs: a.csv row 2"


def test_observations_come_in_the_order_of_the_table_whatever_the_order_of_the_rows() -> None:
    one, two = result("wbc", 12), result("crp", 80)
    assert read(case(one, two)).observations == read(case(two, one)).observations
    assert [item.id for item in read(case(one, two)).observations] == ["labs/1988-5", "labs/6690-2"]


def test_the_laboratorys_own_range_goes_before_the_default() -> None:
    assert note(result(value=9, high=10)).startswith(
        "normal (reference range: up to 10 mg/L, as the laboratory gave it"
    )
    assert note(result(value=9)).startswith("high (reference range: up to 5 mg/L, default: Mayo")


def test_a_default_range_is_named_among_the_limits() -> None:
    assert DEFAULT_RANGES in read(case(result())).limits
    assert DEFAULT_RANGES not in read(case(result(high=5))).limits


def test_a_child_is_not_compared_with_adults() -> None:
    assert note(result("wbc", 17), age=4).startswith("not compared")
    assert note(result("wbc", 17, high=15), age=4).startswith("high")


def test_a_range_that_holds_at_all_ages_is_used_for_a_child() -> None:
    assert note(result("crp", 86), age=4).startswith("high (reference range: up to 5 mg/L, default: Mayo")


def test_a_range_by_sex_is_that_of_the_patients_sex() -> None:
    assert note(result("hemoglobin", 120), sex="F").startswith("normal")
    assert note(result("hemoglobin", 120), sex="M").startswith("low")
    assert note(result("hemoglobin", 120), sex="").startswith("not compared")


@pytest.mark.parametrize(
    ("comparator", "value", "word"),
    [("<", 0.5, "normal"), ("<", 5, "normal"), ("<=", 5, "normal"), ("<", 10, "not compared"), (">", 10, "high"),
     (">", 5, "high"), (">=", 5, "not compared"), (">", 3, "not compared")],
)  # fmt: skip
def test_a_bound_is_compared_only_where_it_leaves_no_doubt(comparator: str, value: float, word: str) -> None:
    text = note(result(value=value, comparator=comparator, high=5))
    assert text.startswith(comparator)
    assert f"; {word} (" in text


def test_a_lower_bound_below_the_range_is_low() -> None:
    assert "; low (" in note(result(value=3, comparator="<", low=3, high=5))


def test_without_values_the_reason_says_that_there_was_no_source_or_no_row() -> None:
    found = Labs(Labs.Settings()).extract(case())
    assert isinstance(found, Missing)
    assert "no source of laboratory values is configured" in found.reason


def test_with_only_refused_rows_the_reason_is_theirs_and_not_that_of_reports() -> None:
    refused = (
        RejectedRecord(source="labs: a.csv row 2", reason="the value is not a number"),
        RejectedRecord(source="reports: b.csv row 2", reason="the report has no text"),
    )
    found = Labs(Labs.Settings()).extract(case(rejected=refused))
    assert found == Missing(
        modality=Modality.LABS, reason="no laboratory value could be used: the value is not a number"
    )


def test_the_latest_final_value_counts_and_a_preliminary_one_only_without_a_final_one() -> None:
    early, late = result(value=1), result(value=2, hours=1)
    preliminary = result(value=3, hours=2, status=LabStatus.PRELIMINARY)
    assert latest_final([late, preliminary, early]) == ((late,), (preliminary, early))
    assert latest_final([preliminary]) == ((preliminary,), ())
    evidence = read(case(preliminary))
    assert PRELIMINARY in evidence.limits
    assert evidence.observations[0].note.endswith("; preliminary")


def test_a_correction_goes_before_what_it_corrects_in_any_order() -> None:
    final, corrected = result(value=1), result(value=2, status=LabStatus.CORRECTED)
    assert latest_final([final, corrected])[0] == latest_final([corrected, final])[0] == (corrected,)


def test_a_cancelled_value_never_counts_and_withdraws_that_of_the_same_time() -> None:
    early, late = result(value=1), result(value=2, hours=1)
    cancelled = result(value=2, hours=1, status=LabStatus.CANCELLED)
    assert latest_final([early, late, cancelled])[0] == (early,)
    assert latest_final([cancelled]) == ((), (cancelled,))


def test_default_ranges_can_be_switched_off() -> None:
    found = Labs(Labs.Settings(default_ranges=False)).extract(case(result()))
    assert isinstance(found, Evidence)
    assert found.observations[0].note == "not compared (reference range: no reference range given)"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("wbc", "none given, and no default range for this age"),
        ("pct", "none given, and no default range for this age"),
        ("mpv", "none given, and no default for this analyte, age and sex"),
    ],
)
def test_of_a_childs_value_it_is_said_that_no_range_is_for_that_age(key: str, said: str) -> None:
    assert note(result(key, 12.0), age=3) == f"not compared (reference range: {said})"
