"""Limits by age, what was missing, the sentence around a mention, sizes in earlier reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds.domain.analytes import ANALYTES
from cds.domain.evidence import Assertion, Evidence, Measurement, Missing, Modality, Observation, Site, Span
from cds.domain.labs import default_range
from cds.domain.records import LabResult, Records, TextKind, TextReport
from cds.domain.report import Case, Report
from cds.domain.vocabulary import ANATOMY, FINDINGS
from cds.features.labs import Labs
from cds.features.text.extractor import ORDER_ID as READ_AS
from cds.report.chinese import chinese
from cds.report.json_form import as_json
from cds.report.laboratory import judged, lab_sentence
from cds.report.pdf import EncapsulatedPdf
from cds.report.told import (
    AGE_UNKNOWN,
    CHILD,
    FLEISCHNER,
    LONGEST_SENTENCE,
    ONLY_ORDER,
    ORDER_ID,
    gaps,
    limits,
    passage,
    sizes_said_earlier,
)
from support.reports import CREATED, DIAMETER, TEXT_RULES, full_report, xray_only_report

Read = Callable[..., str]


def aged(report: Report, years: float | None) -> Report:
    patient = replace(report.study.patient, age_years=years)
    return replace(report, case=replace(report.case, study=replace(report.study, patient=patient)))


@pytest.mark.parametrize(
    ("years", "said"), [(0.5, CHILD), (4.0, CHILD), (17.9, CHILD), (None, AGE_UNKNOWN), (18.0, None), (60.0, None)]
)
def test_knowledge_about_adults_says_so_where_the_patient_may_be_a_child(
    years: float | None, said: str | None, tmp_path: Path
) -> None:
    told = [english for english, _ in limits(aged(full_report(tmp_path), years))]
    assert [each for each in told if each in (CHILD, AGE_UNKNOWN)] == ([said] if said else [])
    assert (FLEISCHNER in told) == (said is not None)


def test_a_report_without_knowledge_says_nothing_of_its_age(tmp_path: Path) -> None:
    assert CHILD not in [english for english, _ in limits(aged(xray_only_report(tmp_path), 4.0))]


def test_the_age_stands_in_the_page_in_both_languages(tmp_path: Path, read_page: Read) -> None:
    page = tmp_path / "page.pdf"
    page.write_bytes(EncapsulatedPdf().write(aged(full_report(tmp_path), 4.0))[1].content)
    said = "".join(read_page(page).split())
    assert "youngerthan18years" in said
    assert "患者未满18岁" in said
    assert "doi:10.1148/radiol.2017161659" in said


def order_only(report: Report) -> Report:
    """Only the reason for the examination was there to read."""
    observation = Observation(
        id="text/order/0",
        concept=FINDINGS["pneumonia"],
        assertion=Assertion.UNCERTAIN,
        span=Span(report_id=ORDER_ID, start=0, end=5),
        note="order; asked for, not found",
    )
    part = Evidence(modality=Modality.TEXT, algorithm=TEXT_RULES, observations=(observation,))
    others = tuple(each for each in report.evidence if each.modality is not Modality.TEXT)
    absent = tuple(each for each in report.missing if each.modality is not Modality.TEXT)
    case = Case(study=report.study, records=replace(report.case.records, texts=()))
    return replace(report, case=case, evidence=(*others, part), missing=absent)


def test_with_the_order_only_it_is_said_that_there_is_no_earlier_report(tmp_path: Path) -> None:
    report = order_only(full_report(tmp_path))
    assert Missing(modality=Modality.TEXT, reason=ONLY_ORDER) in gaps(report)
    assert {"modality": "text", "reason": ONLY_ORDER, "reason_zh": chinese(ONLY_ORDER)} in as_json(report)["missing"]
    assert gaps(full_report(tmp_path)) == full_report(tmp_path).missing
    assert gaps(xray_only_report(tmp_path)) == xray_only_report(tmp_path).missing


def test_words_of_the_order_are_quoted_in_their_sentence(tmp_path: Path) -> None:
    assert ORDER_ID == READ_AS
    report = order_only(full_report(tmp_path))
    found = passage(report, report.evidence[-1].observations[0])
    assert (found.before, found.words, found.after) == ("", "Fever", " and cough for 3 days")
    assert as_json(report)["inputs"]["spans"][0]["sentence"] == "Fever and cough for 3 days"


@pytest.mark.parametrize(
    ("text", "words", "sentence"),
    [
        ("No effusion. A 1.2 cm nodule is seen. Heart normal.", "nodule", "A 1.2 cm nodule is seen."),
        ("左肺上叶见结节。余肺未见异常。", "异常", "余肺未见异常。"),
        ("左肺上叶见结节。余肺未见异常。", "结节", "左肺上叶见结节。"),
        ("FINDINGS\nclear lungs\nIMPRESSION\nnormal", "clear", "clear lungs"),
        ("effusion.", "effusion.", "effusion."),
        ("one; two nodules; three", "nodules", "two nodules;"),
    ],
)
def test_the_sentence_around_a_mention_is_found(text: str, words: str, sentence: str, tmp_path: Path) -> None:
    start = text.index(words)
    observation = Observation(
        id="x", concept=FINDINGS["lung_nodule"], span=Span(report_id="r", start=start, end=start + len(words))
    )
    report = with_texts(full_report(tmp_path), TextReport(report_id="r", text=text))
    assert passage(report, observation).sentence == sentence
    assert passage(report, observation).words == words


def test_an_endless_sentence_is_cut_on_both_sides_of_the_mention(tmp_path: Path) -> None:
    text = "before " * 200 + "nodule" + " after" * 200
    start = text.index("nodule")
    observation = Observation(
        id="x", concept=FINDINGS["lung_nodule"], span=Span(report_id="r", start=start, end=start + 6)
    )
    found = passage(with_texts(full_report(tmp_path), TextReport(report_id="r", text=text)), observation)
    assert found.before.startswith("…")
    assert found.after.endswith("…")
    assert "nodule" in found.sentence
    assert len(found.sentence) <= LONGEST_SENTENCE + 2


def with_texts(report: Report, *texts: TextReport, observations: tuple[Observation, ...] = ()) -> Report:
    part = Evidence(modality=Modality.TEXT, algorithm=TEXT_RULES, observations=observations)
    others = tuple(each for each in report.evidence if each.modality is not Modality.TEXT)
    records = Records(labs=report.case.records.labs, texts=texts)
    return replace(report, case=replace(report.case, records=records), evidence=(*others, part))


def mention(report_id: str, size: float | None) -> Observation:
    return Observation(
        id=f"text/{report_id}/0",
        concept=FINDINGS["lung_nodule"],
        assertion=Assertion.NOT_ASSESSED,
        site=Site(region=ANATOMY["upper_lobe"], laterality=ANATOMY["left"]),
        span=Span(report_id=report_id, start=0, end=6),
        measurements=() if size is None else (Measurement(quantity=DIAMETER, value=size, unit="mm"),),
    )


def two_earlier_reports(folder: Path) -> Report:
    texts = (
        TextReport(report_id="old", text="nodule 5 mm", authored_at=datetime(2023, 5, 3, tzinfo=UTC)),
        TextReport(report_id="newer", text="nodule 6 mm", authored_at=datetime(2025, 1, 9, tzinfo=UTC)),
        TextReport(report_id="today", text="nodule 8 mm", kind=TextKind.CURRENT, authored_at=CREATED),
        TextReport(report_id="unmeasured", text="nodule", authored_at=CREATED),
    )
    observations = (mention("old", 5), mention("newer", 6), mention("today", 8), mention("unmeasured", None))
    return with_texts(full_report(folder), *texts, observations=observations)


def test_sizes_of_earlier_reports_stand_beside_today_s_with_their_dates(tmp_path: Path, read_page: Read) -> None:
    report = two_earlier_reports(tmp_path)
    found = sizes_said_earlier(report)
    assert [(each.observation.id, each.sizes[0].value) for each in found] == [("text/newer/0", 6), ("text/old/0", 5)]
    assert [each.now[0].value for each in found] == [8.24, 8.24]
    said = as_json(report)["said_earlier"]
    assert [each["said_at"] for each in said] == ["2025-01-09T00:00:00+00:00", "2023-05-03T00:00:00+00:00"]
    page = tmp_path / "page.pdf"
    page.write_bytes(EncapsulatedPdf().write(report)[1].content)
    shown = " ".join(read_page(page).split())
    assert "Sizes in earlier reports" in shown
    assert "2023-05-03 5 mm 8.24 mm" in shown


PROCALCITONIN = ANALYTES["pct"]


def with_lab(report: Report, lab: LabResult, *, default_ranges: bool = True) -> Report:
    """The laboratory evidence is the extractor's own."""
    case = replace(report.case, records=replace(report.case.records, labs=(lab,)))
    part = Labs(Labs.Settings(default_ranges=default_ranges)).extract(case)
    assert isinstance(part, Evidence)
    others = tuple(each for each in report.evidence if each.modality is not Modality.LABS)
    return replace(report, case=case, evidence=(*others, part))


def procalcitonin(value: float, **more: object) -> LabResult:
    return LabResult(analyte=PROCALCITONIN.code, value=value, unit="ng/mL", observed_at=CREATED, **more)  # type: ignore[arg-type]


def test_a_default_range_is_shown_and_marked_where_the_flag_rests_on_it(tmp_path: Path, read_page: Read) -> None:
    lab = procalcitonin(0.8)
    report = with_lab(full_report(tmp_path), lab)
    default = default_range(PROCALCITONIN, "F", 60.0)
    assert default is not None
    judgement = judged(report, lab)
    assert (judgement.high, judgement.flag, judgement.given_by) == (default.high, "H", f"default: {default.source}")
    said = as_json(report)["inputs"]["labs"][0]
    assert (said["reference_high"], said["reference_source"], said["flag"]) == (0.1, judgement.given_by, "H")
    english, words = lab_sentence(report, lab)
    assert f"(reference ≤0.1, default: {default.source}) H, above it" in english
    assert f"（参考范围 ≤0.1，默认：{default.source}） H，偏高" in words
    page = tmp_path / "page.pdf"
    page.write_bytes(EncapsulatedPdf().write(report)[1].content)
    shown = " ".join(read_page(page).split())
    assert "0.8 ng/mL ↑ H ≤0.1 ng/mL" in shown
    assert "default 默认: ABIM" in shown


def test_the_laboratory_s_own_range_goes_first(tmp_path: Path) -> None:
    lab = procalcitonin(0.8, reference_high=1.0)
    judgement = judged(with_lab(full_report(tmp_path), lab), lab)
    assert (judgement.high, judgement.flag, judgement.given_by, judgement.is_default) == (1.0, "", "laboratory", False)


def test_no_range_is_shown_where_defaults_are_switched_off(tmp_path: Path) -> None:
    lab = procalcitonin(0.8)
    judgement = judged(with_lab(full_report(tmp_path), lab, default_ranges=False), lab)
    assert (judgement.shown, judgement.flag, judgement.given_by) == ("", "", "")


@pytest.mark.parametrize("comparator", ["", "<", "<=", ">", ">="])
@pytest.mark.parametrize("value", [3.0, 4.0, 7.0, 10.0, 11.0])
def test_the_flag_is_the_word_of_the_laboratory_extractor(value: float, comparator: str, tmp_path: Path) -> None:
    lab = procalcitonin(value, comparator=comparator, reference_low=4.0, reference_high=10.0)
    report = with_lab(full_report(tmp_path), lab)
    (note,) = (each.note for part in report.evidence if part.modality is Modality.LABS for each in part.observations)
    word = {"H": "high", "L": "low"}.get(judged(report, lab).flag)
    assert (word in note) if word else not ("high (" in note or "low (" in note)


def test_of_a_childs_value_the_sr_and_the_page_say_that_no_range_is_for_that_age(
    tmp_path: Path, read_page: Read
) -> None:
    lab, report = procalcitonin(0.8), full_report(tmp_path)
    child = replace(report.case.study.patient, age_years=3.0)
    young = replace(report, case=replace(report.case, study=replace(report.case.study, patient=child)))
    report = with_lab(young, lab)
    english, words = lab_sentence(report, lab)
    assert "0.8 ng/mL (no reference range for this age)" in english
    assert "（该年龄无参考范围）" in words
    page = tmp_path / "page.pdf"
    page.write_bytes(EncapsulatedPdf().write(report)[1].content)
    assert "no reference range for this age" in " ".join(read_page(page).split())
