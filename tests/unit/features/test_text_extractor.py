"""Texts of a case as evidence."""

from __future__ import annotations

from cds.domain.evidence import Assertion, Evidence, Missing, Modality, Observation
from cds.domain.records import Records, TextKind, TextReport
from cds.domain.report import Case
from cds.domain.study import Patient, Study
from cds.domain.vocabulary import ANATOMY, FINDINGS
from cds.features.text.extractor import DIAMETER, ReportText, TextSettings


def case(*texts: TextReport, reason: str = "") -> Case:
    study = Study(study_instance_uid="1.2.3", patient=Patient(), series=(), reason_for_exam=reason)
    return Case(study=study, records=Records(texts=texts))


def current(text: str, report_id: str = "r1") -> TextReport:
    return TextReport(report_id=report_id, text=text, kind=TextKind.CURRENT)


def evidence(found: Evidence | Missing) -> Evidence:
    assert isinstance(found, Evidence)
    return found


def observed(*texts: TextReport, reason: str = "") -> tuple[Observation, ...]:
    return evidence(ReportText(TextSettings()).extract(case(*texts, reason=reason))).observations


def test_a_case_without_text_is_missing_with_a_reason() -> None:
    found = ReportText(TextSettings()).extract(case(current(" \n ")))
    assert isinstance(found, Missing)
    assert found.modality is Modality.TEXT
    assert "no report" in found.reason


def test_one_observation_per_mention_with_its_span_site_and_size() -> None:
    text = "An 8 mm nodule in the right upper lobe. No effusion."
    nodule, effusion = observed(current(text))
    assert nodule.id == f"text/r1/{text.index('nodule')}"
    assert nodule.concept == FINDINGS["lung_nodule"]
    assert nodule.assertion is Assertion.PRESENT
    assert nodule.site is not None
    assert (nodule.site.region, nodule.site.laterality) == (ANATOMY["upper_lobe"], ANATOMY["right"])
    assert [(m.quantity, m.value, m.unit) for m in nodule.measurements] == [(DIAMETER, 8.0, "mm")]
    assert nodule.span is not None
    assert text[nodule.span.start : nodule.span.end] == "nodule"
    assert nodule.source == nodule.span.report_id == "r1"
    assert effusion.assertion is Assertion.ABSENT
    assert nodule.probability is None


def test_what_is_not_of_this_patient_and_now_is_never_present() -> None:
    text = "History of pneumonia. Family history of lung cancer. Evaluate for pneumothorax. 否认肺结核病史。"
    found = observed(current(text))
    assert [(o.assertion, o.note) for o in found] == [
        (Assertion.NOT_ASSESSED, "historical"),
        (Assertion.NOT_ASSESSED, "said of: family"),
        (Assertion.UNCERTAIN, "asked for, not found"),
        (Assertion.NOT_ASSESSED, "historical"),
    ]


def test_a_prior_report_says_so() -> None:
    (found,) = observed(TextReport(report_id="p", text="Left effusion.", kind=TextKind.PRIOR))
    assert found.note == "prior report; said then: present"
    assert found.assertion is Assertion.NOT_ASSESSED


def test_the_order_is_a_question_and_not_a_finding() -> None:
    pneumonia, effusion = observed(reason="Pneumonia, no effusion")
    assert (pneumonia.id, pneumonia.source) == ("text/order/0", "order")
    assert pneumonia.assertion is effusion.assertion is Assertion.UNCERTAIN
    assert pneumonia.note == "order; asked for, not found"


def test_change_stands_in_the_note() -> None:
    (found,) = observed(current("The effusion has resolved."))
    assert found.assertion is Assertion.ABSENT
    assert found.note == "change: resolved"


def test_ids_are_unique_even_where_one_word_means_two_findings() -> None:
    found = observed(current("Ground glass nodule."), current("Ground glass nodule.", "r2"))
    assert len({observation.id for observation in found}) == len(found) == 4


def test_a_text_beyond_the_limit_is_cut_and_the_evidence_says_so() -> None:
    text = "Effusion. " * 3
    found = evidence(ReportText(TextSettings(max_characters=12)).extract(case(current(text))))
    assert len(found.observations) == 1
    assert any("longer than 12" in limit for limit in found.limits)


def test_the_algorithm_names_the_word_lists_by_their_digest() -> None:
    found = evidence(ReportText(TextSettings()).extract(case(current("Effusion."))))
    assert found.algorithm.name == "cds-text-rules"
    assert len(found.algorithm.sha256) == 64


def test_no_text_stands_in_a_repr() -> None:
    assert "canary" not in repr(case(current("canary effusion"), reason="canary"))
