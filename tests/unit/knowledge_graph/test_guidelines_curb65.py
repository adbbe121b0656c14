"""What of a case CURB-65 can use, and how the report tells a score that is not settled."""

from datetime import UTC, datetime

import pytest

from cds.domain.code import Code
from cds.domain.evidence import Algorithm, Assertion, Evidence, Measurement, Modality, Observation
from cds.domain.finding import Finding, Recommendation
from cds.domain.records import LabResult, Records, TextKind, TextReport
from cds.domain.report import Case
from cds.domain.study import Patient, Study
from cds.domain.vocabulary import FINDINGS
from knowledge_graph.curb65 import Criterion, score
from knowledge_graph.guidelines_curb65 import inputs, recommend

ALGORITHM = Algorithm(name="test", version="1")
UREA, NITROGEN = Code("22664-7", "LN", "Urea"), Code("3094-0", "LN", "Urea nitrogen")
EVERYTHING = "Confused, RR 32/min, BP 85/50 mmHg."


def lab(code: Code, value: float, unit: str, comparator: str = "") -> LabResult:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return LabResult(analyte=code, value=value, unit=unit, comparator=comparator, observed_at=at)


def case(reason: str = "", *labs: LabResult, age: float | None = 70.0, prior: str = "") -> Case:
    study = Study(study_instance_uid="1.2.3", patient=Patient(age_years=age), series=(), reason_for_exam=reason)
    texts = (TextReport(report_id="1", text=prior, kind=TextKind.PRIOR),) if prior else ()
    return Case(study=study, records=Records(labs=labs, texts=texts))


def finding(key: str = "pneumonia", assertion: Assertion = Assertion.PRESENT) -> Finding:
    because = () if assertion is Assertion.NOT_ASSESSED else (f"chest_xray/{key}",)
    return Finding(id=key, code=FINDINGS[key], assertion=assertion, algorithm=ALGORITHM, because=because, reason="x")


def told(who: Case, *evidence: Evidence, about: Finding | None = None) -> tuple[Recommendation, ...]:
    return recommend(who, evidence, (about or finding(),))


def test_a_complete_score_names_group_criteria_and_what_follows() -> None:
    (found,) = told(case(EVERYTHING, lab(UREA, 9.0, "mmol/L")))
    assert (found.applies, found.row) == (True, "group 3: score 3 or more")
    assert found.text[0].startswith("Score 5 of 5 (met: confusion, urea > 7 mmol/L, respiratory rate >= 30/min,")
    assert "assess for intensive care" in found.text[0]
    assert found.text[1].startswith("5分（满分5分）")
    assert found.citation.endswith("doi:10.1136/thorax.58.5.377")


def test_what_is_missing_is_named_and_the_score_told_as_a_range() -> None:
    (found,) = told(case("", lab(UREA, 9.0, "mmol/L")))
    assert found.text[0].startswith("Possible scores 2 to 5 of 5 (met: urea > 7 mmol/L, age >= 65 years; missing: ")
    assert "missing: confusion, respiratory rate >= 30/min, systolic < 90 mmHg" in found.text[0]
    assert found.row == "group 2: score 2 or group 3: score 3 or more"
    assert found.text[1].startswith("可能评分2至5分（满分5分）")


def test_a_group_that_is_settled_is_told_though_inputs_are_missing() -> None:
    (found,) = told(case("Confused, RR 32.", lab(UREA, 9.0, "mmol/L")))
    assert found.row == "group 3: score 3 or more"
    assert found.text[0].startswith("Possible scores 4 to 5 of 5")


def test_with_only_an_age_every_group_is_possible() -> None:
    (found,) = told(case(age=40.0))
    assert "Possible scores 0 to 4 of 5" in found.text[0]
    assert "All three groups are possible until these are known" in found.text[0]


@pytest.mark.parametrize("assertion", [Assertion.ABSENT, Assertion.NOT_ASSESSED])
def test_without_a_pneumonia_there_is_no_score(assertion: Assertion) -> None:
    assert told(case(EVERYTHING), about=finding(assertion=assertion)) == ()
    assert told(case(EVERYTHING), about=finding("pneumothorax")) == ()


def test_a_pneumonia_that_may_be_there_is_scored_too() -> None:
    assert len(told(case(EVERYTHING), about=finding(assertion=Assertion.UNCERTAIN))) == 1


@pytest.mark.parametrize(
    ("who", "words"),
    [
        (case(EVERYTHING, age=17.9), "for adults"),
        (case("Renal transplant, fever."), "Immunosuppression is mentioned"),
        (case("HIV, fever."), "Immunosuppression is mentioned"),
        (case("Breast cancer, fever."), "A malignancy is mentioned"),
    ],
)
def test_patients_whom_the_study_left_out_get_a_reason_and_no_score(who: Case, words: str) -> None:
    (found,) = told(who)
    assert not found.applies
    assert words in found.text[0]
    assert "分" not in found.text[1].replace("评分", "")


def test_tuberculosis_on_record_rules_the_score_out() -> None:
    item = Observation(id="text/1/0", concept=FINDINGS["tuberculosis"])
    (found,) = told(case(), Evidence(modality=Modality.TEXT, algorithm=ALGORITHM, observations=(item,)))
    assert not found.applies and "Tuberculosis is mentioned" in found.text[0]


def test_eighteen_years_are_adult_and_an_unknown_age_is_one_more_unknown() -> None:
    assert told(case(age=18.0))[0].applies
    assert Criterion.AGE in score(inputs(case(age=None))).unknown


@pytest.mark.parametrize(
    ("result", "met"),
    [
        (lab(UREA, 7.0, "mmol/L"), False),
        (lab(UREA, 7.1, "mmol/L"), True),
        (lab(NITROGEN, 19.6, "mg/dL"), False),  # 6.997 mmol/L of urea: 28.014 g of nitrogen in a mole
        (lab(NITROGEN, 19.7, "mg/dL"), True),  # 7.032 mmol/L
        (lab(UREA, 7.0, "mmol/L", ">"), True),
        (lab(UREA, 7.0, "mmol/L", ">="), None),
        (lab(UREA, 7.0, "mmol/L", "<"), False),
        (lab(UREA, 20.0, "mmol/L", "<"), None),
        (lab(UREA, 42.0, "mg/dL"), None),
    ],
)
def test_urea_and_urea_nitrogen_with_their_units_and_bounds(result: LabResult, met: bool | None) -> None:
    found = score(inputs(case("", result)))
    answer = True if Criterion.UREA in found.met else False if Criterion.UREA in found.not_met else None
    assert answer is met


def test_the_laboratory_value_is_among_the_reasons_where_it_is_an_observation() -> None:
    item = Observation(
        id="labs/22664-7", concept=UREA, measurements=(Measurement(quantity=UREA, value=9.0, unit="mmol/L"),)
    )
    part = Evidence(modality=Modality.LABS, algorithm=ALGORITHM, observations=(item,))
    assert told(case("", lab(UREA, 9.0, "mmol/L")), part)[0].because == ("chest_xray/pneumonia", "labs/22664-7")
    assert told(case("", lab(UREA, 9.0, "mmol/L")))[0].because == ("chest_xray/pneumonia",)


def answer_of(criterion: Criterion, who: Case) -> bool | None:
    found = score(inputs(who))
    return True if criterion in found.met else False if criterion in found.not_met else None


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("RR 29", False),
        ("RR 30", True),
        ("respiratory rate: 31/min", True),
        ("呼吸30次/分", True),
        ("呼吸频率：18次/分", False),
        ("RR 18, later RR 34", None),
        ("RR 1.5 (95 % CI)", None),
        ("RR 80 ms", None),
        ("tachypnea", None),
    ],
)
def test_breaths_per_minute_are_read_from_the_texts_of_now(text: str, met: bool | None) -> None:
    assert answer_of(Criterion.RESPIRATORY_RATE, case(text)) is met


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("BP 89/61", True),
        ("BP 90/61", False),
        ("blood pressure 120/60 mmHg", True),
        ("BP: 120/61", False),
        ("血压85/50mmHg", True),
        ("BP 130/80, then BP 80/40", None),
        ("hypotensive", None),
        ("BP 60/120", None),
    ],
)
def test_blood_pressure_is_read_from_the_texts_of_now(text: str, met: bool | None) -> None:
    assert answer_of(Criterion.BLOOD_PRESSURE, case(text)) is met


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("New confusion.", True),
        ("Disoriented in time", True),
        ("患者意识模糊", True),
        ("No confusion.", False),
        ("Alert and oriented", False),
        ("神志清楚", False),
        ("AMT 8/10", True),
        ("AMTS: 9", False),
        ("?confusion", None),
        ("possible delirium", None),
        ("risk of delirium", None),
        ("family reports confusion", None),
        ("not oriented", None),
        ("No confusion. Now confused.", None),
        ("fever", None),
    ],
)
def test_confusion_is_what_a_text_of_now_states_or_denies(text: str, met: bool | None) -> None:
    assert answer_of(Criterion.CONFUSION, case(text)) is met


def test_what_an_earlier_report_said_is_not_of_now() -> None:
    assert score(inputs(case(prior=EVERYTHING))).met == (Criterion.AGE,)


def test_vital_signs_that_a_source_delivers_go_before_texts() -> None:
    rate = lab(Code("9279-1", "LN", "Respiratory rate"), 18.0, "/min")
    low = lab(Code("8480-6", "LN", "Systolic blood pressure"), 85.0, "mm[Hg]")
    assert answer_of(Criterion.RESPIRATORY_RATE, case("RR 32", rate)) is False
    assert answer_of(Criterion.BLOOD_PRESSURE, case("", low)) is True


def test_every_sentence_is_whole_in_both_languages() -> None:
    for who in (
        case(),
        case(EVERYTHING),
        case("Confused."),
        case(age=12.0),
        case("", lab(UREA, 3.0, "mmol/L"), age=40.0),
    ):
        (found,) = told(who)
        assert found.text[0].isascii() and found.text[0].endswith(".") and found.text[0][0].isupper()
        assert found.text[1].endswith("。")
