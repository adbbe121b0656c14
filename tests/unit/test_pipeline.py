from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest

from cds.domain.evidence import Algorithm, Assertion, Evidence, Missing, Modality, Observation
from cds.domain.finding import Finding, Knowledge
from cds.domain.records import LabResult, Records, TextReport
from cds.domain.report import Case
from cds.domain.study import Instance, Patient, Series, Study
from cds.domain.vocabulary import FINDINGS
from cds.errors import EvidenceError, UnusableStudy
from cds.observed import observed_findings
from cds.pipeline import Pipeline, inputs_hash

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ALGORITHM = Algorithm(name="test", version="1")
NODULE = Observation(id="chest_ct/nodule/1", concept=FINDINGS["lung_nodule"])


class Ct:
    modality: ClassVar = Modality.CT

    def extract(self, case: Case) -> Evidence | Missing:
        return Evidence(modality=Modality.CT, algorithm=ALGORITHM, observations=(NODULE,), limits=("thin slices",))


class BrokenXray:
    modality: ClassVar = Modality.XRAY

    def extract(self, case: Case) -> Evidence | Missing:
        raise EvidenceError("no pixel data in 1.2.3")


class Fusion:
    def fuse(self, case: Case, evidence: Sequence[Evidence], missing: Sequence[Missing]) -> tuple[Finding, ...]:
        ids = tuple(item.id for part in evidence for item in part.observations)
        code = FINDINGS["lung_cancer"]
        return (Finding(id="lung_cancer", code=code, assertion=Assertion.UNCERTAIN, algorithm=ALGORITHM, because=ids),)


class NoKnowledge:
    def consult(self, case: Case, evidence: Sequence[Evidence], findings: Sequence[Finding]) -> Knowledge:
        return Knowledge(algorithm=ALGORITHM)


def pipeline(*extractors: object) -> Pipeline:
    return Pipeline(
        software=ALGORITHM,
        extractors=extractors,  # type: ignore[arg-type]
        fusion=Fusion(),
        knowledge=(NoKnowledge(),),
        impression=lambda findings, missing: (f"{len(findings)} findings", ""),
    )


def case(**records: tuple[object, ...]) -> Case:
    images = tuple(Instance(sop_instance_uid=f"1.2.{n}", sop_class_uid="1.2", path=Path("x")) for n in range(3))
    series = Series(series_instance_uid="1.2", modality="CT", instances=images)
    study = Study(study_instance_uid="1.2.3", patient=Patient(patient_id="CANARY"), series=(series,))
    return Case(study=study, records=Records(**records))  # type: ignore[arg-type]


def test_a_report_carries_findings_of_fusion_and_those_that_need_none() -> None:
    report = pipeline(Ct()).run(case(), NOW)
    assert [finding.id for finding in report.findings] == ["lung_cancer", "nodule/1"]
    assert report.findings[1].reason
    assert "thin slices" in report.limits


def test_every_report_says_on_what_its_probabilities_were_calibrated() -> None:
    class Sure(Fusion):
        def fuse(self, case: Case, evidence: Sequence[Evidence], missing: Sequence[Missing]) -> tuple[Finding, ...]:
            (finding,) = super().fuse(case, evidence, missing)
            return (replace(finding, probability=0.5, calibrated_on="a simulated cohort"),)

    report = replace(pipeline(Ct()), fusion=Sure()).run(case(), NOW)
    said = "The probability of Primary malignant neoplasm of lung was calibrated on a simulated cohort;"
    assert any(limit.startswith(said) for limit in report.limits)


def test_an_extractor_that_fails_is_a_missing_modality_with_its_reason() -> None:
    report = pipeline(BrokenXray(), Ct()).run(case(), NOW)
    reasons = {part.modality: part.reason for part in report.missing}
    assert reasons[Modality.XRAY] == "no pixel data in 1.2.3"
    assert [gate.passed for gate in report.gates] == [False]


def test_every_modality_is_either_evidence_or_missing() -> None:
    report = pipeline(Ct()).run(case(), NOW)
    assert {p.modality for p in report.evidence} | {p.modality for p in report.missing} == set(Modality)


def test_a_study_that_no_imaging_extractor_can_read_is_unusable_with_every_reason() -> None:
    with pytest.raises(UnusableStudy, match=r"no pixel data in 1\.2\.3"):
        pipeline(BrokenXray()).run(case(), NOW)


def test_the_inputs_hash_ignores_order_and_notices_every_input() -> None:
    lab = {"unit": "mg/L", "observed_at": NOW, "analyte": FINDINGS["pneumonia"]}
    one, two = LabResult(value=1.0, **lab), LabResult(value=2.0, **lab)  # type: ignore[arg-type]
    text = TextReport(report_id="a", text="clear")
    hashes = [
        inputs_hash(case()),
        inputs_hash(case(labs=(one,))),
        inputs_hash(case(labs=(one, two))),
        inputs_hash(case(labs=(one,), texts=(text,))),
    ]
    assert len(set(hashes)) == 4
    assert inputs_hash(case(labs=(two, one))) == hashes[2]


def test_no_value_prints_the_patient() -> None:
    report = pipeline(Ct()).run(case(texts=(TextReport(report_id="a", text="CANARY"),)), NOW)
    assert "CANARY" not in repr(report)


def test_texts_that_disagree_make_an_uncertain_finding() -> None:
    said = [
        Observation(id=f"text/a/{n}", concept=FINDINGS["pneumothorax"], assertion=assertion)
        for n, assertion in enumerate((Assertion.PRESENT, Assertion.ABSENT))
    ]
    part = Evidence(modality=Modality.TEXT, algorithm=ALGORITHM, observations=tuple(said))
    (finding,) = observed_findings([part], [])
    assert finding.assertion is Assertion.UNCERTAIN
    assert finding.because == ("text/a/0", "text/a/1")


def test_what_fusion_concluded_is_not_said_twice() -> None:
    part = Evidence(
        modality=Modality.TEXT,
        algorithm=ALGORITHM,
        observations=(Observation(id="text/a/1", concept=FINDINGS["pneumonia"]),),
    )
    code = FINDINGS["pneumonia"]
    fused = Finding(id="pneumonia", code=code, assertion=Assertion.PRESENT, algorithm=ALGORITHM, because=("x",))
    assert observed_findings([part], [fused]) == ()


def test_two_nodules_are_two_findings() -> None:
    second = Observation(id="chest_ct/nodule/2", concept=FINDINGS["lung_nodule"])
    part = Evidence(modality=Modality.CT, algorithm=ALGORITHM, observations=(NODULE, second))
    assert [finding.id for finding in observed_findings([part], [])] == ["nodule/1", "nodule/2"]


def test_knowledge_sees_what_has_changed_since_the_earlier_studies_and_the_report_keeps_the_case() -> None:
    seen: list[Case] = []

    class Asking(NoKnowledge):
        def consult(self, case: Case, evidence: Sequence[Evidence], findings: Sequence[Finding]) -> Knowledge:
            seen.append(case)
            return super().consult(case, evidence, findings)

    earlier = replace(case().study, study_instance_uid="1.2.2")
    now = replace(case(), priors=(earlier,))
    report = replace(pipeline(Ct()), knowledge=(Asking(),)).run(now, NOW)
    assert seen[0].comparisons == report.comparisons
    assert [each.study_instance_uid for each in report.comparisons] == ["1.2.2"]
    assert report.case == now
