"""Conversions, held against the SI conversion table of the AMA Manual of Style (11th ed., 17.5)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.domain.labs import ANALYTES, accepted_units, convert, parse_value
from cds.domain.units import Kind, factor


@pytest.mark.parametrize(
    ("key", "value", "unit", "expected"),
    [
        ("creatinine", 88.4, "umol/L", 1.0),
        ("glucose", 1.0, "mmol/L", 1 / 0.0555),
        ("bilirubin", 17.104, "umol/L", 1.0),
        ("calcium", 0.25, "mmol/L", 1.0),
        ("urea_nitrogen", 0.357, "mmol/L", 1.0),
        ("lactate", 9.01, "mg/dL", 1.0),
        ("albumin", 4.0, "g/dL", 40.0),
        ("hemoglobin", 14.0, "g/dL", 140.0),
        ("crp", 0.8, "mg/dL", 8.0),
        ("nt_probnp", 1.0, "pmol/L", 8.457),
        ("ldh", 1.0, "ukat/L", 60.0),
        ("arterial_po2", 10.0, "kPa", 75.0),
        ("sodium", 140.0, "mEq/L", 140.0),
        ("calcium", 5.0, "mEq/L", 10.0),
    ],
)
def test_a_conversion_agrees_with_the_published_factor(key: str, value: float, unit: str, expected: float) -> None:
    assert convert(value, unit, ANALYTES[key]) == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize(
    "unit",
    ["10*9/L", "10^9/L", "10**9/L", "10E9/L", "x10^9/L", "×10⁹/L", "10⁹/L", "109/L", "K/uL", "k/µL", "K/μL", "10*3/uL",
     "10^3/mm3", "x10(3)/uL", "10*3/mcL", "G/L", "10*9/l", "Giga/L", " 10*9 / L ", "10*6/mL", "10*3/uL{cells}"],
)  # fmt: skip
def test_every_spelling_of_giga_per_litre_is_the_same(unit: str) -> None:
    assert convert(7.5, unit, ANALYTES["wbc"]) == 7.5


@pytest.mark.parametrize("unit", ["/uL", "/mm3", "cells/uL", "#/uL", "/cumm", "10*6/L", "/mm^3"])
def test_every_spelling_of_cells_per_microlitre_is_the_same(unit: str) -> None:
    assert convert(7500, unit, ANALYTES["wbc"]) == 7.5


@pytest.mark.parametrize("unit", ["μg/mL FEU", "ug/mL{FEU}", "mg/L", "mg{FEU}/L", "MG/L FEU", "µg/ml", "mcg/mL"])
def test_every_spelling_of_a_d_dimer_in_feu_is_the_same(unit: str) -> None:
    assert convert(1.2, unit, ANALYTES["d_dimer"]) == 1.2


@pytest.mark.parametrize("unit", ["mg/L DDU", "ng/mL{DDU}", "ug/mL ddu"])
def test_a_d_dimer_in_ddu_is_refused_because_it_is_another_quantity(unit: str) -> None:
    with pytest.raises(ValueError, match="DDU"):
        convert(1.2, unit, ANALYTES["d_dimer"])


def test_giga_and_gram_per_litre_are_told_apart_by_the_analyte() -> None:
    assert convert(140, "G/L", ANALYTES["hemoglobin"]) == 140
    assert convert(140, "g/L", ANALYTES["platelets"]) == 140


@pytest.mark.parametrize(
    ("key", "unit"),
    [("wbc", "mg/L"), ("wbc", "%"), ("lymphocytes", "%"), ("lymphocytes_percent", "10*9/L"), ("crp", "mmol/L"),
     ("crp", ""), ("crp", "furlong"), ("ldh", "mg/L"), ("arterial_ph", "mmol/L"), ("hemoglobin", "mmol/L")],
)  # fmt: skip
def test_a_unit_of_another_kind_is_refused_and_the_message_names_what_fits(key: str, unit: str) -> None:
    with pytest.raises(ValueError, match="accepted are: ") as refused:
        convert(5, unit, ANALYTES[key])
    assert accepted_units(ANALYTES[key])[0] in str(refused.value)
    assert "furlong" not in str(refused.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1])
def test_a_value_that_is_no_amount_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"finite|negative"):
        convert(value, "mg/L", ANALYTES["crp"])


def test_a_value_that_overflows_in_the_house_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        convert(1e308, "g/L", ANALYTES["bnp"])


def test_a_converted_value_carries_no_rounding_noise() -> None:
    assert repr(convert(0.8, "mg/dL", ANALYTES["crp"])) == "8.0"


@pytest.mark.parametrize("analyte", ANALYTES.values(), ids=ANALYTES)
def test_every_house_unit_converts_to_itself(analyte) -> None:  # type: ignore[no-untyped-def]
    assert convert(3.25, analyte.unit, analyte) == 3.25


@pytest.mark.parametrize("analyte", ANALYTES.values(), ids=ANALYTES)
def test_every_unit_that_is_named_as_accepted_is_accepted(analyte) -> None:  # type: ignore[no-untyped-def]
    for unit in accepted_units(analyte):
        assert convert(1.0, unit.replace("no unit", ""), analyte) > 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("12.5", ("", 12.5)), ("<0.5", ("<", 0.5)), (">=100", (">=", 100)), ("≥ 100", (">=", 100)), ("≤.5", ("<=", 0.5)),
     ("＜０.５", ("<", 0.5)), ("LESS THAN 10", ("<", 10)), ("大于100", (">", 100)), (" 12.3 ↑", ("", 12.3)),
     ("1e3", ("", 1000)),
     ("=<3", ("<=", 3)), ("-1", ("", -1))],
)  # fmt: skip
def test_results_are_read_as_laboratories_write_them(text: str, expected: tuple[str, float]) -> None:
    assert parse_value(text) == expected


@pytest.mark.parametrize(
    "text", ["", "NEG", "1,234", "1,5", "1_000", "nan", "inf", "1e999", "3-5", "< ", "1+", "0x10", "１２a"]
)
def test_what_is_no_number_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="the value is not a") as refused:
        parse_value(text)
    assert not text.strip() or text not in str(refused.value)


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_a_value_error(text: str) -> None:
    try:
        comparator, number = parse_value(text)
    except ValueError:
        return
    assert comparator in ("", "<", "<=", ">", ">=")
    assert math.isfinite(number)


@given(st.text(max_size=20), st.sampled_from(list(Kind)))
def test_any_text_is_a_unit_with_a_positive_factor_or_none(text: str, kind: Kind) -> None:
    found = factor(text, kind)
    assert found is None or found > 0
