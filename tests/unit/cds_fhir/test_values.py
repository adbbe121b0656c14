"""What an Observation says, in the normal form."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cds.domain.records import LabStatus

from .conftest import Join, Json, loinc, observation, patient, quantity, reasons, without


def test_a_quantity_with_a_comparator_is_converted_and_keeps_its_range_and_source(join: Join) -> None:
    span = {"low": quantity(0, "mg/dL"), "high": quantity(0.5, "mg/dL")}
    found = join(
        patient(),
        observation(
            valueQuantity=quantity(12, "mg/dL", comparator=">"), referenceRange=[span], meta={"versionId": "3"}
        ),
    )
    (lab,) = found.labs
    # 1 mg/dL is 10 mg/L
    assert (lab.comparator, lab.value, lab.unit) == (">", 120.0, "mg/L")
    assert (lab.reference_low, lab.reference_high) == (0.0, 5.0)
    assert (lab.source, lab.status) == ("fhir:Observation/o1/_history/3", LabStatus.FINAL)
    assert lab.observed_at == datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert found.rejected == ()


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ("preliminary", LabStatus.PRELIMINARY),
        ("final", LabStatus.FINAL),
        ("amended", LabStatus.CORRECTED),
        ("corrected", LabStatus.CORRECTED),
    ],
)
def test_the_status_is_the_one_of_r4(join: Join, status: str, wanted: LabStatus) -> None:
    assert [lab.status for lab in join(patient(), observation(status=status)).labs] == [wanted]


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_what_was_withdrawn_is_gone_and_nothing_else_with_it(join: Join, status: str) -> None:
    """A wrong result is marked, and the right one has the same code and time."""
    found = join(
        patient(),
        observation("o1", 1),
        observation("o1", 1, status=status),
        observation("o2", 7),
    )
    assert [(lab.value, lab.source) for lab in found.labs] == [(7.0, "fhir:Observation/o2/_history/+1")]
    assert reasons(found) == ["cancelled"]


@pytest.mark.parametrize("status", ["registered", "unknown"])
def test_a_status_without_a_result_gives_none(join: Join, status: str) -> None:
    found = join(patient(), observation(status=status))
    assert found.labs == () and "registered, unknown" in reasons(found)[0]


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"effectiveInstant": "2026-01-31T08:00:00.5+08:00"}, datetime(2026, 1, 31, 0, 0, 0, 500_000, UTC)),
        (
            {"effectivePeriod": {"start": "2026-01-30T08:00:00Z", "end": "2026-01-31T08:00:00Z"}},
            datetime(2026, 1, 31, 8, tzinfo=UTC),
        ),
        ({"effectivePeriod": {"start": "2026-01-30T08:00:00Z"}}, datetime(2026, 1, 30, 8, tzinfo=UTC)),
        ({"effectiveDateTime": "2026-01-31"}, datetime(2026, 1, 30, 16, tzinfo=UTC)),
        ({"effectiveDateTime": "2026-01-31T07:59:60Z"}, datetime(2026, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_every_form_of_time_is_read(join: Join, said: dict[str, object], wanted: datetime) -> None:
    found = join(patient(), without(observation(), "effectiveDateTime") | said, timezone="Asia/Shanghai")
    assert [lab.observed_at for lab in found.labs] == [wanted]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({}, "no effective"),
        ({"effectiveTiming": {"event": ["2026-01-31"]}}, "no effective"),
        ({"effectiveDateTime": "2026-01"}, "at least exact to the day"),
        ({"effectiveDateTime": "2026-01-31T08:00"}, "at least exact to the day"),
        ({"effectiveDateTime": "2026-02-31"}, "calendar"),
        ({"effectiveDateTime": 20260131}, "no effective"),
    ],
)
def test_a_time_that_is_none_is_a_reason(join: Join, said: dict[str, object], reason: str) -> None:
    found = join(patient(), without(observation(), "effectiveDateTime") | said)
    assert found.labs == () and reason in " ".join(reasons(found))


def test_components_are_values_of_their_own(join: Join) -> None:
    components = [
        {"code": loinc("6690-2"), "valueQuantity": quantity(17.4, "10*9/L")},
        {"code": loinc("2744-1"), "valueQuantity": quantity(7.2, "[pH]")},
        {"code": loinc("1988-5"), "dataAbsentReason": {"coding": [{"code": "error"}]}},
    ]
    found = join(
        patient(), without(observation(), "valueQuantity") | {"code": loinc("58410-2"), "component": components}
    )
    assert {lab.analyte.value: (lab.value, lab.source[-11:]) for lab in found.labs} == {
        "6690-2": (17.4, "component 1"),
        "2744-1": (7.2, "component 2"),
    }
    assert reasons(found) == ["it has no value (dataAbsentReason: error)"]


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"valueString": "<0.5 mg/dL"}, ("<", 5.0)),
        ({"valueString": "≥ 12 mg/L"}, (">=", 12.0)),
        ({"valueString": "12.3e1mg/L"}, ("", 123.0)),
    ],
)
def test_numbers_in_strings_are_read(join: Join, said: dict[str, object], wanted: tuple[str, float]) -> None:
    found = join(patient(), without(observation(), "valueQuantity") | said)
    assert [(lab.comparator, lab.value) for lab in found.labs] == [wanted]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"valueString": "positive"}, "not a number"),
        ({"valueString": "1,5 mg/L"}, "not a number"),
        ({"valueString": "12"}, "the unit does not fit"),
        ({"valueInteger": 0}, "the unit does not fit"),
        ({"valueBoolean": True}, "not of a type that is read"),
        ({"valueRange": {"low": quantity(1), "high": quantity(2)}}, "not of a type that is read"),
        ({"valueQuantity": quantity("12")}, "no value"),
        ({"valueQuantity": quantity(True)}, "no value"),
        ({"valueQuantity": quantity(-1)}, "negative"),
        ({"valueQuantity": quantity(1, comparator="ad")}, "comparator"),
        ({"valueQuantity": quantity(1, "mmol/L")}, "the unit does not fit"),
        ({}, "it has no value"),
    ],
)
def test_what_is_no_number_with_a_unit_is_a_reason_that_repeats_nothing(
    join: Join, said: dict[str, object], reason: str
) -> None:
    found = join(patient(), without(observation(), "valueQuantity") | said)
    assert found.labs == () and reason in reasons(found)[0] and "positive" not in reasons(found)[0]


def test_a_d_dimer_in_ddu_is_known_by_the_unit_that_is_shown(join: Join) -> None:
    value = quantity(500, "ng/mL", unit="ng/mL DDU")
    found = join(patient(), observation(code=loinc("48065-7"), valueQuantity=value))
    assert found.labs == () and "DDU" in reasons(found)[0]


@pytest.mark.parametrize(
    ("codings", "reason"),
    [
        ([{"system": "urn:local", "code": "CRP"}], "no coding of it is LOINC or in"),
        ([{"system": "http://loinc.org", "code": "8302-2"}], "LOINC 8302-2 is not among"),
        ([{"system": "http://loinc.org", "code": "Canary^Name"}], "the code is not among"),
        ([*loinc("1988-5")["coding"], *loinc("6690-2")["coding"]], "different analytes"),  # type: ignore[misc]
    ],
)
def test_an_analyte_is_known_by_loinc_alone(join: Join, codings: list[object], reason: str) -> None:
    found = join(patient(), observation(code={"coding": codings, "text": "CRP"}))
    assert found.labs == () and reason in reasons(found)[0] and "Canary" not in reasons(found)[0]


def test_of_several_ranges_only_the_normal_one_counts(join: Join) -> None:
    normal = {"high": quantity(5), "type": {"coding": [{"code": "normal"}]}}
    others = [
        {"high": quantity(50), "type": {"coding": [{"code": "critical"}]}},
        {"high": quantity(9), "age": {"high": {"value": 1}}},
    ]
    found = join(patient(), observation("o1", referenceRange=[*others, normal]))
    assert [(lab.reference_low, lab.reference_high) for lab in found.labs] == [(None, 5.0)]
    two = join(observation("o1", referenceRange=[normal, normal]))
    assert [lab.reference_high for lab in two.labs] == [None] and "several" in reasons(two)[0]


def test_a_range_that_cannot_be_read_costs_the_range_alone(join: Join) -> None:
    found = join(patient(), observation(referenceRange=[{"low": quantity(9), "high": quantity(5)}]))
    assert [lab.value for lab in found.labs] == [120.0] and "ends before it begins" in reasons(found)[0]


@pytest.mark.parametrize(
    "said",
    [
        {"modifierExtension": [{"url": "urn:not", "valueBoolean": True}]},
        {"implicitRules": "urn:rules"},
        {"focus": [{"reference": "Patient/fetus"}]},
    ],
)
def test_what_may_mean_something_else_is_not_used(join: Join, said: dict[str, object]) -> None:
    assert join(patient(), observation(**said)).labs == ()


def test_a_value_outside_the_window_is_counted_and_not_read(join: Join) -> None:
    found = join(
        patient(),
        *(observation(f"o{day}", effectiveDateTime=f"2025-11-{day:02}T08:00:00Z") for day in range(1, 11)),
        observation("near", effectiveDateTime="2026-02-01T13:00:00Z"),
    )
    assert found.labs == ()
    assert [(each.source, each.reason) for each in found.rejected] == [
        (
            "fhir: 10 observations, fhir:Observation/near/_history/+1",
            "outside the window of 72 h before to 24 h after the study",
        )
    ]


def test_a_value_counts_by_the_window_of_its_analyte_and_says_so_with_the_values_before_it(join: Join) -> None:
    def creatinine(identity: str, value: float, at: str) -> Json:
        code, amount = loinc("2160-0"), quantity(value, "mg/dL")
        return observation(identity, code=code, valueQuantity=amount, effectiveDateTime=at)

    found = join(
        patient(),
        creatinine("c1", 0.8, "2026-01-05T12:00:00Z"),
        creatinine("c2", 0.95, "2026-01-10T12:00:00Z"),
        creatinine("c0", 0.7, "2025-12-30T12:00:00Z"),
        observation("o1", 45, effectiveDateTime="2026-01-10T12:00:00Z"),
    )
    assert [(lab.analyte.value, lab.value, lab.window_hours) for lab in found.labs] == [("2160-0", 0.95, (720, 24))]
    assert [lab.value for lab in found.earlier] == [0.8]
    assert {source for each in found.rejected if "window" in each.reason for source in each.source.split(", ")} == {
        "fhir:Observation/c0/_history/+1",
        "fhir:Observation/o1/_history/+1",
    }
