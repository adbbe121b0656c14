"""Reading patients, their values and outcomes; made-up tables."""

import os
from pathlib import Path

import numpy as np
import pytest

from cds.errors import ConfigError
from cds.features.labs_risk.inputs import THREE, VARIABLES
from cds.training.labs_conditions import LACKS, lacking
from cds.training.labs_data import Cohort, has_labs, read_cohort, snapshot, trend
from cds.training.labs_table import analyte_of

DATA = Path(os.environ.get("CDS_DATA", Path(__file__).parents[4] / "shared" / "data"))
LDH, LYMPHOCYTES, CRP = (VARIABLES.index(key) for key in THREE)
WIDE = """patient_id,outcome,admitted_at,observed_at,age,LDH [U/L],Lymphocyte (%),hs-CRP [mg/L],creatinine [mg/dL]
a,1,2020-01-01 08:00,2020-01-01 10:00,70,400,10,,1.0
,,,2020-01-09 10:00,,900,3,120,
b,0,2020-01-02 08:00,2020-01-02 09:00,40,180,30,5,
"""


def read(folder: Path, text: str, name: str = "labs.csv") -> Cohort:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_cohort(path)


def test_admission_has_the_first_values_of_two_days_and_last_the_latest_of_the_stay(tmp_path: Path) -> None:
    cohort = read(tmp_path, WIDE)
    assert cohort.died.tolist() == [1, 0]
    assert snapshot(cohort, "last")[0, [LDH, LYMPHOCYTES, CRP]].tolist() == [900.0, 3.0, 120.0]
    first = snapshot(cohort, "admission")[0, [LDH, LYMPHOCYTES, CRP]]
    assert first[:2].tolist() == [400.0, 10.0]
    assert np.isnan(first[2])


def test_the_trend_is_the_ratio_of_the_last_value_to_one_a_day_before(tmp_path: Path) -> None:
    change = trend(read(tmp_path, WIDE))
    assert change[0, 0] == pytest.approx(np.log(900.1 / 400.1))
    assert np.isnan(change[1]).all()


def test_three_layouts_and_chinese_headers_give_the_same_cohort(tmp_path: Path) -> None:
    wide = read(tmp_path, WIDE)
    chinese = read(
        tmp_path,
        "患者ID,出院方式,入院时间,RE_DATE,年龄,乳酸脱氢酶,淋巴细胞(%),超敏C反应蛋白,肌酐\n"
        "a,1,2020/1/1 8:00,2020/1/1 10:00,70,400,10,,88.4\n"
        ",,,2020/1/9 10:00,,900,3,120,\n"
        "b,0,2020/1/2 8:00,2020/1/2 9:00,40,180,30,5,\n",
    )
    rows = (
        "name,value,unit,observed_at\nLDH,400,U/L,2020-01-01 10:00\n淋巴细胞百分比,10,%,2020-01-01 10:00\n"
        "creatinine,1.0,mg/dL,2020-01-01 10:00\nlactate dehydrogenase,900,U/L,2020-01-09 10:00\n"
        "LYMPH%,3,%,2020-01-09 10:00\nhs-CRP,12,mg/dL,2020-01-09 10:00\n"
    )
    (tmp_path / "a.csv").write_text(rows, encoding="utf-8")
    (tmp_path / "b.csv").write_text("LDH [U/L],淋巴细胞(%),hsCRP [mg/L]\n180,30,5\n", encoding="utf-8")
    filed = read(
        tmp_path,
        "patient_id,outcome,admitted_at,age,file\na,1,2020-01-01 08:00,70,a.csv\nb,0,2020-01-02 08:00,40,b.csv\n",
    )
    creatinine = VARIABLES.index("creatinine")
    assert snapshot(chinese, "last")[0, creatinine] == pytest.approx(1.0, abs=1e-4)  # 88.4 umol/L, within rounding
    for other in (chinese, filed):
        for moment in ("last", "admission"):
            ours, theirs = snapshot(wide, moment), snapshot(other, moment)
            np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert filed.died.tolist() == wide.died.tolist()


def test_what_cannot_be_used_is_counted_by_its_reason_and_never_guessed(tmp_path: Path) -> None:
    cohort = read(tmp_path, "patient_id,outcome,LDH [U/L],hs-CRP [mg/L]\na,1,-1,high\nb,0,<200,3\n")
    assert sorted(cohort.refused.values()) == [1, 1]
    assert has_labs(snapshot(cohort, "last")).tolist() == [False, True]


def test_a_row_without_a_time_among_others_that_have_one_is_counted_and_not_used(tmp_path: Path) -> None:
    text = "patient_id,outcome,observed_at,LDH\na,1,2020-01-01 10:00,300\na,1,soon,900\n"
    cohort = read(tmp_path, text)
    assert snapshot(cohort, "last")[0, LDH] == 300.0
    assert sum(cohort.refused.values()) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("patient_id,LDH\na,3\n", "no column outcome"),
        ("patient_id,outcome\na,1\n", "names no analyte"),
        ("patient_id,outcome,LDH\na,2,3\n", "row 2"),
        ("patient_id,outcome,LDH\na,1,3\na,0,3\n", "row 3"),
        ("patient_id,outcome,LDH\n,1,3\n", "no patient_id"),
        ("patient_id,outcome,LDH,乳酸脱氢酶\na,1,3,4\n", "two columns are 'ldh'"),
        ("patient_id,outcome,LDH\na,,3\n", "no outcome"),
        ("", "empty"),
    ],
)
def test_a_wrong_manifest_says_what_is_wrong_and_names_no_patient(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("header", "key", "unit"),
    [
        ("LDH [ukat/L]", "ldh", "ukat/L"),
        ("Lymphocyte (%)", "lymphocytes_percent", "%"),
        ("lymphocyte%", "lymphocytes_percent", "%"),
        ("(%)lymphocyte", "lymphocytes_percent", "%"),
        ("肌酐", "creatinine", "umol/L"),
        ("creatinine [mg/dL]", "creatinine", "mg/dL"),
        ("高敏C反应蛋白（mg/L）", "hs_crp", "mg/L"),
    ],
)
def test_a_header_names_analyte_and_unit(header: str, key: str, unit: str) -> None:
    found = analyte_of(header)
    assert found is not None
    assert (found[0].key, found[1]) == (key, unit)


def test_removing_values_leaves_every_row_something_and_only_what_was_there() -> None:
    values = np.random.default_rng(0).uniform(1.0, 9.0, (200, len(VARIABLES)))
    for lack in LACKS:
        left = lacking(values, lack, seed=1)
        there = ~np.isnan(left)
        assert there.any(axis=1).all()
        assert (left[there] == values[there]).all()
    assert 0.55 < (~np.isnan(lacking(values, "40 % removed", seed=1))).mean() < 0.65
    assert set(np.flatnonzero((~np.isnan(lacking(values, "three", 1))).any(axis=0))) == {LDH, LYMPHOCYTES, CRP}


def test_the_chinese_and_the_english_file_of_the_hospital_are_one_cohort() -> None:
    paths = [DATA / f"labs_hairlab_375_{language}.xlsx" for language in ("zh", "en")]
    if not all(path.is_file() for path in paths):
        pytest.skip("the public tables are not in CDS_DATA")
    chinese, english = map(read_cohort, paths)
    assert chinese.sha256() == english.sha256()
    assert (len(english.persons), int(english.died.sum())) == (375, 174)  # as the paper has it
