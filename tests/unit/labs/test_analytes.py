"""The table of analytes: LOINC check digits, names, house units that fit the property."""

import re

import pytest

from cds.domain.labs import ANALYTES, Analyte, by_code, by_name, default_range, map_names
from cds.domain.units import Kind

TABLE = pytest.mark.parametrize("analyte", ANALYTES.values(), ids=ANALYTES)
PROPERTIES = {
    Kind.MASS: "[Mass/volume]",
    Kind.MOLES: "[Moles/volume]",
    Kind.COUNT: "[#/volume]",
    Kind.ACTIVITY: "[Enzymatic activity/volume]",
    Kind.PRESSURE: "artial pressure",
    Kind.SEDIMENTATION: "sedimentation rate",
    Kind.PH: "pH of",
}


def mod_10(number: str) -> str:
    """LOINC's check digit (LOINC Users' Guide, appendix C): Luhn's over the digits before the hyphen."""
    digits = [int(digit) for digit in reversed(number)]
    doubled = [sum(divmod(2 * digit, 10)) if place % 2 == 0 else digit for place, digit in enumerate(digits)]
    return str(-sum(doubled) % 10)


@TABLE
def test_every_loinc_code_has_its_check_digit(analyte: Analyte) -> None:
    for code in (analyte.code.value, *analyte.also):
        number, _, check = code.partition("-")
        assert mod_10(number) == check, code


@TABLE
def test_the_house_unit_fits_the_property_of_the_loinc_code(analyte: Analyte) -> None:
    wanted = "" if analyte.signed else PROPERTIES.get(analyte.kind, "")
    if analyte.kind is Kind.PERCENT:
        assert re.search(r"/|saturation|Fraction|Ratio", analyte.long_name)
    assert wanted in analyte.long_name


@TABLE
def test_a_code_meaning_fits_dicoms_64_characters_and_has_chinese(analyte: Analyte) -> None:
    assert 0 < len(analyte.code.meaning) <= 64
    assert analyte.code.scheme == "LN"
    assert any("一" <= letter <= "鿿" for letter in analyte.code.meaning_zh)


@TABLE
def test_a_unit_fits_dicoms_16_characters(analyte: Analyte) -> None:
    assert len(analyte.unit) <= 16


@TABLE
def test_every_reference_range_has_a_source_and_ends_in_order(analyte: Analyte) -> None:
    for span in analyte.ranges:
        assert span.source
        assert span.low is not None or span.high is not None
        assert span.low is None or span.high is None or span.low < span.high


def test_no_code_and_no_name_means_two_analytes() -> None:
    codes = [code for analyte in ANALYTES.values() for code in (analyte.code.value, *analyte.also)]
    assert len(codes) == len(set(codes))
    for analyte in ANALYTES.values():
        for name in (analyte.code.meaning, analyte.code.meaning_zh, analyte.long_name, *analyte.names):
            assert by_name(name) is analyte, name


@pytest.mark.parametrize(
    ("name", "key"),
    [("CRP", "crp"), ("C-Reactive Protein", "crp"), ("c反应蛋白", "crp"), ("超敏C反应蛋白", "hs_crp"), 
     ("白细胞计数", "wbc"),
     ("White Blood Cells", "wbc"), ("淋巴细胞(%)", "lymphocytes_percent"), ("淋巴细胞（#）", "lymphocytes"),
     ("(%)lymphocyte", "lymphocytes_percent"), ("D-D dimer", "d_dimer"), ("NT-proBNP", "nt_probnp"), ("尿素", "urea"),
     ("尿素氮", "urea_nitrogen"), ("PaO2", "arterial_po2"), ("降钙素原", "pct"), ("CYFRA 21-1", "cyfra_21_1")],
)  # fmt: skip
def test_laboratories_names_are_understood_in_both_languages(name: str, key: str) -> None:
    assert by_name(name) is ANALYTES[key]


@pytest.mark.parametrize(
    "name", ["pH", "酸碱度", "PH value", "pO2", "pCO2", "neutrophils", "淋巴细胞", "", "estradiol", "eGFR"]
)
def test_a_name_that_leaves_the_quantity_open_is_not_guessed(name: str) -> None:
    assert by_name(name) is None


def test_a_bare_cell_name_is_its_count_or_its_share_as_the_unit_says() -> None:
    assert by_name("Lymphocytes", "%") is ANALYTES["lymphocytes_percent"]
    assert by_name("淋巴细胞", "×10⁹/L") is ANALYTES["lymphocytes"]
    assert by_name("Lymphocytes", "mg/L") is None


def test_a_code_of_the_same_quantity_by_another_method_is_the_same_analyte() -> None:
    assert by_code("26464-8") is by_code(" 6690-2 ") is ANALYTES["wbc"]
    assert by_code("2243-4") is None


def test_headers_that_are_not_known_are_left_out_of_the_map() -> None:
    assert map_names(["PATIENT_ID", "白细胞计数"]) == {"白细胞计数": ANALYTES["wbc"]}


def test_a_child_has_no_default_range_and_a_range_by_sex_needs_the_sex() -> None:
    hemoglobin = ANALYTES["hemoglobin"]
    assert default_range(hemoglobin, "F", 40) == hemoglobin.ranges[0]
    assert default_range(hemoglobin, "M", None) == hemoglobin.ranges[1]
    assert default_range(hemoglobin, "", 40) is None
    assert default_range(hemoglobin, "F", 17.9) is None
    assert default_range(ANALYTES["crp"], "", 4) == ANALYTES["crp"].ranges[0]
