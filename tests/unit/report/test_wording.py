"""The sentences of a report."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.domain.code import Code
from cds.domain.evidence import Assertion, Measurement, Missing, Modality
from cds.domain.finding import Contribution, Finding, Statement, StatementKind
from cds.domain.vocabulary import FINDINGS
from cds.errors import ReportError
from cds.report.wording import (
    base,
    clean,
    contributions_sentence,
    impression,
    measure,
    number,
    one_line,
    path_sentence,
    percent,
    rounded,
    sentence,
    span,
    unit,
)
from support.reports import DIAMETER, FUSION, abstained, nodule, not_cancer, pneumonia


def test_the_impression_speaks_of_the_present_first_and_of_the_missing_last() -> None:
    missing = (Missing(modality=Modality.LABS, reason="none joined"),)
    english, chinese = impression((abstained(), pneumonia()), missing)
    assert english.split("\n") == [
        "Pneumonia (right lung): present, probability 84 % (95 % interval 71–91 %).",
        "Primary malignant neoplasm of lung: not assessed; no chest CT took part.",
        f"Probabilities hold for: {pneumonia().calibrated_on}.",
        "Not available: laboratory.",
    ]
    assert chinese.split("\n")[0] == "肺炎（右肺）：存在，概率 84 %（95%区间 71–91 %）。"
    assert chinese.split("\n")[-1] == "缺失：检验。"


def test_a_number_that_no_patient_stands_behind_says_so_in_its_own_sentence() -> None:
    english, chinese = sentence(replace(pneumonia(), calibrated_on="simulated cohort 1: no real patients"))
    assert english == (
        "Pneumonia (right lung): suspected, probability 84 % (model spread 71–91 %), learned from a simulated cohort,"
        " never measured on patients."
    )
    assert chinese == "肺炎（右肺）：疑似，概率 84 %（模型间差异 71–91 %），依据模拟队列，未经患者验证。"


def test_what_is_absent_by_a_simulated_cohort_is_still_called_absent() -> None:
    assert (
        sentence(replace(not_cancer(), calibrated_on="simulated cohort 1"))[0].partition(": ")[2].startswith("absent")
    )


def test_the_interval_of_an_image_model_is_the_spread_of_its_members() -> None:
    english, chinese = sentence(replace(pneumonia(), calibrated_on="see docs/model-card-xray.md"))
    assert ": present, probability 84 % (model spread 71–91 %)" in english
    assert "模型间差异" in chinese


def test_an_impression_without_a_positive_says_so_first() -> None:
    english, chinese = impression((not_cancer(),), ())
    assert english.split("\n")[0] == "No finding was called present."
    assert chinese.split("\n")[0] == "未判定任何阳性所见。"


@pytest.mark.parametrize(
    ("interval", "said"), [((0.71, 0.91), "71–91 %"), ((0.001, 0.01), "<1–1 %"), ((0.993, 0.999), ">99 %")]
)
def test_an_interval_whose_bounds_are_written_alike_is_written_once(interval: tuple[float, float], said: str) -> None:
    assert span(interval) == said


def test_many_nodules_are_one_line_with_the_largest() -> None:
    found = [nodule(1, "1.2", 4.0), nodule(2, "1.2", 11.5), nodule(3, "1.2", 6.0)]
    first = impression(found, ())[0].split("\n")[0]
    assert first == "Pulmonary nodule: 3, present; the largest 11.5 mm (left lung)."


def test_a_finding_without_a_number_gives_its_reason() -> None:
    finding = Finding(
        id="x",
        code=FINDINGS["pneumothorax"],
        assertion=Assertion.NOT_ASSESSED,
        algorithm=FUSION,
        reason="out of distribution.",
    )
    assert sentence(finding)[0] == "Pneumothorax: not assessed; out of distribution."


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0 %"), (0.004, "<1 %"), (0.05, "5 %"), (0.834, "83 %"), (0.994, ">99 %"), (1.0, "100 %")],
)
def test_a_percentage_is_never_rounded_to_certainty(value: float, said: str) -> None:
    assert percent(value) == said


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_an_error(value: float) -> None:
    with pytest.raises(ReportError, match="not finite"):
        number(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (8.0, "8"),
        (8.24, "8.24"),
        (0.031, "0.031"),
        (1234.56, "1235"),
        (12345.6, "12346"),
        (-0.5, "-0.5"),
        (96.5, "96.5"),
    ],
)
def test_a_number_has_four_significant_digits_and_no_exponent(value: float, said: str) -> None:
    assert number(value) == said


@pytest.mark.parametrize(
    ("ucum", "said"),
    [("mm", " mm"), ("mm3", " mm³"), ("10*9/L", " ×10^9/L"), ("10*-3", " ×10^-3"), ("1", ""), ("", "")],
)
def test_a_ucum_unit_is_written_as_one_reads_it(ucum: str, said: str) -> None:
    assert unit(ucum) == said
    assert measure(Measurement(quantity=DIAMETER, value=2.0, unit=ucum)) == f"2{said}"


@given(st.text())
def test_cleaned_text_can_be_encoded_and_has_no_control_characters(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert not any(ord(each) < 32 and each not in "\t\n" for each in cleaned)
    assert not set(cleaned) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_a_lone_surrogate_never_leaves() -> None:
    assert clean("a\ud800b") == "a b"


def test_a_cut_line_ends_with_an_ellipsis_and_keeps_its_length() -> None:
    assert one_line("one two\nthree", 9) == "one two…"
    assert len(one_line("x" * 100, 10)) == 10


def test_a_statement_without_a_path_is_its_own_relation() -> None:
    a, b = Code("a", "99CDS", "A"), Code("b", "99CDS", "B")
    statement = Statement(
        kind=StatementKind.DIFFERENTIAL,
        subject=a,
        relation="differs_from",
        object=b,
        citation="c",
        path=(),
        text=("", ""),
    )
    assert path_sentence(statement) == "A —differs from→ B"


@pytest.mark.parametrize(
    ("value", "kept", "said"),
    [
        (0.834567, 0.835, "84 %"),
        (0.8344, 0.834, "83 %"),
        (0.825, 0.825, "83 %"),
        (0.00002, 0.001, "<1 %"),
        (0.99998, 0.999, ">99 %"),
        (0.0, 0.0, "0 %"),
        (1.0, 1.0, "100 %"),
        (0.01, 0.01, "1 %"),
    ],
)
def test_a_probability_has_three_decimals_and_its_percentage_is_made_from_them(
    value: float, kept: float, said: str
) -> None:
    assert rounded(value) == kept
    assert percent(value) == percent(kept) == said


@given(st.floats(0, 1))
def test_rounding_is_idempotent_and_never_makes_certain_what_is_not(value: float) -> None:
    assert rounded(rounded(value)) == rounded(value)
    assert (rounded(value) in (0.0, 1.0)) == (value in (0.0, 1.0))
    assert abs(rounded(value) - value) <= 0.001


def test_contributions_start_from_a_base_value_and_add_up() -> None:
    finding = pneumonia()
    start = base(finding)
    assert start == 0.445  # 0.835 - 0.31 - 0.12 + 0.04
    english, chinese = contributions_sentence(finding)
    assert english.startswith(
        "Contributions to the probability, from a base value of 45 %: chest X-ray +31.0 percentage"
    )
    assert chinese.startswith("各模态对概率的贡献（基线值 45 %）：胸部X线 +31.0 个百分点；")


def test_contributions_that_do_not_add_up_from_a_probability_have_no_base() -> None:
    high = replace(pneumonia(), contributions=(Contribution(modality=Modality.XRAY, value=0.95),))
    assert base(high) is None
    assert "base value" not in contributions_sentence(high)[0]
    assert base(replace(pneumonia(), contributions=())) is None
