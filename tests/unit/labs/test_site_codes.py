"""What a site decides about its own names, and what no source may say of an analyte."""

from pathlib import Path

import pytest

from cds.domain.analyte import Analyte
from cds.domain.labs import ANALYTES, contradicts, convert, fits_specimen
from cds.domain.site_codes import site_codes


def test_a_row_stands_for_its_code_and_for_its_name_where_it_has_none(tmp_path: Path) -> None:
    table = tmp_path / "codes.csv"
    table.write_text(
        "code,name,loinc,unit\n50912,Creatinine,2160-0,mg/dL\n,肌酐(酶法),2160-0,μmol/L\n", encoding="utf-8"
    )
    found = site_codes(table)
    assert {key: (row.analyte.key, row.unit) for key, row in found.items()} == {
        "50912": ("creatinine", "mg/dL"),
        "肌酐(酶法)": ("creatinine", "μmol/L"),
    }


def test_a_row_that_nobody_decided_maps_nothing(tmp_path: Path) -> None:
    table = tmp_path / "codes.csv"
    table.write_text("name,loinc,unit,confidence\nCreat.,,,similar name\n", encoding="utf-8")
    assert site_codes(table) == {}


def test_a_table_without_codes_or_names_says_what_is_wanted(tmp_path: Path) -> None:
    table = tmp_path / "codes.csv"
    table.write_text("loinc,unit\n2160-0,\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no column code"):
        site_codes(table)


@pytest.mark.parametrize(
    ("said", "key", "fits"),
    [
        ("", "creatinine", True),
        ("Serum", "creatinine", True),
        ("血清", "creatinine", True),
        ("Urine", "creatinine", False),
        ("尿液", "urine_creatinine", True),
        ("Blood", "urine_creatinine", False),
        ("Pleural", "creatinine", False),
        ("Cerebrospinal Fluid (CSF)", "glucose", False),
    ],
)
def test_a_value_of_another_specimen_is_not_of_the_analyte(said: str, key: str, fits: bool) -> None:
    assert fits_specimen(said, ANALYTES[key]) is fits


@pytest.mark.parametrize("analyte", ANALYTES.values(), ids=lambda analyte: analyte.key)
def test_every_analytes_specimen_is_that_of_its_loinc_name(analyte: Analyte) -> None:
    assert (analyte.specimen == "urine") is ("rine" in analyte.long_name) is analyte.key.startswith("urine_")


def test_a_name_that_is_another_analyte_contradicts_its_code_and_another_method_does_not() -> None:
    assert contradicts("Transferrin", "mg/dL", ANALYTES["tibc"])
    assert contradicts("尿素氮", "mg/dL", ANALYTES["urea"])
    assert not contradicts("CRP", "mg/L", ANALYTES["hs_crp"])
    assert not contradicts("Lymphocytes", "%", ANALYTES["lymphocytes"])
    assert not contradicts("a name of the site's own", "", ANALYTES["tibc"])


def test_a_unit_that_one_analyte_alone_has_is_not_taken_for_others() -> None:
    """MCHC in % is in g/dL; m/uL of erythrocytes are millions; MIMIC-III has both."""
    assert convert(33.1, "%", ANALYTES["mchc"]) == 331.0
    assert convert(4.2, "m/uL", ANALYTES["rbc"]) == 4.2
    with pytest.raises(ValueError, match="unit"):
        convert(33.1, "%", ANALYTES["hemoglobin"])
    with pytest.raises(ValueError, match="unit"):
        convert(4.2, "m/uL", ANALYTES["platelets"])


def test_only_what_can_be_negative_may_be() -> None:
    assert convert(-4.0, "mEq/L", ANALYTES["base_excess"]) == -4.0
    with pytest.raises(ValueError, match="negative"):
        convert(-4.0, "mEq/L", ANALYTES["bicarbonate"])


@pytest.mark.parametrize(
    ("key", "value", "unit", "expected"),
    [
        ("magnesium", 1.0, "mmol/L", 2.4305),
        ("cholesterol", 5.0, "mmol/L", 193.325),
        ("uric_acid", 300.0, "μmol/L", 5.0433),
        ("phosphate", 1.0, "mmol/L", 3.0974),
        ("fibrinogen", 300.0, "mg/dL", 3.0),
        ("tsh", 2.0, "uIU/mL", 2.0),
        ("hematocrit", 0.42, "L/L", 42.0),
        ("prothrombin_time", 12.5, "SECONDS", 12.5),
        ("inr", 1.1, "", 1.1),
    ],
)
def test_units_of_the_wider_panel_convert(key: str, value: float, unit: str, expected: float) -> None:
    """Factors of the AMA Manual of Style's table of SI conversions, to its number of digits."""
    assert convert(value, unit, ANALYTES[key]) == pytest.approx(expected, rel=1e-3)
