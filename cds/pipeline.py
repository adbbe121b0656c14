"""The story: Case -> Evidence -> Findings -> Statements -> Report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cds.compared import compared
from cds.domain.comparison import Comparison
from cds.domain.evidence import Algorithm, Evidence, Gate, Missing, Modality
from cds.domain.finding import Finding
from cds.domain.report import Case, Report
from cds.errors import EvidenceError, UnusableStudy
from cds.observed import observed_findings
from cds.ports import Depending, Extractor, FusionModel, KnowledgeSource

Impression = Callable[[Sequence[Finding], Sequence[Missing]], tuple[str, str]]
Progress = Callable[[str], None]

IMAGING = frozenset({Modality.XRAY, Modality.CT})
LIMITS = (
    "Decision support, unverified: a physician must review the images and this report.",
    "Trained on public data of few sites; see the model cards for what was measured and on whom.",
)
"""What every report says whatever took part in it."""
COMPARISON = (
    "Earlier studies are compared by what the same algorithms measured in them; slice thickness, dose, contrast and"
    " inspiration may differ, and nobody has confirmed that a matched nodule is the same one."
)
INTERVALS = "its interval covers what the models disagree on, not the uncertainty of what went in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """All that takes part in one report, chosen by configuration; `extract` lets an extractor look at a case."""

    software: Algorithm
    extractors: tuple[Extractor, ...]
    fusion: FusionModel
    knowledge: tuple[KnowledgeSource, ...]
    impression: Impression
    extract: Callable[[Extractor, Case], Evidence | Missing] = lambda extractor, case: try_to_extract(extractor, case)

    def run(self, case: Case, started_at: datetime, progress: Progress = lambda step: None) -> Report:
        """One report of one case.

        Raises
        ------
        UnusableStudy
            When no imaging extractor found anything to read; the reasons are in the message.
        """
        evidence, missing = self._extract(case, progress)
        progress("fusing")
        fused = self.fusion.fuse(case, evidence, missing)
        findings = (*fused, *observed_findings(evidence, fused))
        comparisons = self._compare(case, evidence, progress)
        progress("consulting knowledge")
        known = replace(case, comparisons=comparisons)
        knowledge = tuple(source.consult(known, evidence, findings) for source in self.knowledge)
        return Report(
            case=case,
            created_at=started_at,
            software=self.software,
            evidence=evidence,
            missing=missing,
            findings=findings,
            knowledge=knowledge,
            impression=self.impression(findings, missing),
            limits=(*_limits(evidence, findings), *_case_limits(case, comparisons)),
            comparisons=comparisons,
            inputs_hash=inputs_hash(case),
        )

    def _extract(self, case: Case, progress: Progress) -> tuple[tuple[Evidence, ...], tuple[Missing, ...]]:
        evidence: list[Evidence] = []
        missing: list[Missing] = []
        for extractor in self.extractors:
            progress(f"reading {extractor.modality}")
            found = self.extract(extractor, case)
            if isinstance(found, Evidence):
                evidence.append(found)
            else:
                missing.append(found)
        if not any(part.modality in IMAGING for part in evidence):
            reasons = "; ".join(f"{part.modality}: {part.reason}" for part in missing if part.modality in IMAGING)
            raise UnusableStudy(f"no usable image in the study ({reasons or 'no imaging extractor is configured'})")
        present = {part.modality for part in evidence} | {part.modality for part in missing}
        missing += [Missing(modality=m, reason="no extractor is configured") for m in Modality if m not in present]
        return tuple(evidence), tuple(missing)

    def _compare(self, case: Case, evidence: Sequence[Evidence], progress: Progress) -> tuple[Comparison, ...]:
        """Every earlier study, read by the extractors that could read the present one."""
        present = {part.modality: part for part in evidence if part.modality in IMAGING}
        made: list[Comparison] = []
        for prior in case.priors:
            progress("reading an earlier study")
            for extractor in self.extractors:
                if now := present.get(extractor.modality):
                    made.append(compared(case.study, prior, now, self.extract(extractor, Case(study=prior))))
        return tuple(made)


def _case_limits(case: Case, comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """What the reader must know of what was there to be read: the study, and earlier ones."""
    limits: list[str] = []
    if case.held < case.expected:
        limits.append(f"The study was read with {case.held} of {case.expected} instances: the others did not come.")
    if any(each.changes for each in comparisons):
        limits.append(COMPARISON)
    limits += [f"Prior studies: not compared, or not all of them, because {reason}." for reason in case.not_compared]
    return tuple(limits)


def _limits(evidence: Sequence[Evidence], findings: Sequence[Finding]) -> tuple[str, ...]:
    """What a reader must know: of every report, of each part, and of each number's calibration."""
    bases: dict[str, list[str]] = {}
    for finding in findings:
        if finding.probability is not None:
            bases.setdefault(finding.calibrated_on or "nothing: it is not calibrated", []).append(finding.code.meaning)
    calibrated = [
        f"The probability of {', '.join(names)} was calibrated on {basis}; {INTERVALS}."
        for basis, names in bases.items()
    ]
    return tuple(dict.fromkeys([*LIMITS, *calibrated, *(limit for part in evidence for limit in part.limits)]))


def looked_at(extractor: Extractor, case: Case) -> Case:
    """What an extractor is given of a case: images and records, or the images alone where it says so."""
    alone = isinstance(extractor, Depending) and "records" not in extractor.depends_on
    return Case(study=case.study) if alone else Case(study=case.study, records=case.records)


def try_to_extract(extractor: Extractor, case: Case) -> Evidence | Missing:
    """An extractor that fails costs its modality, and the report says so."""
    try:
        return extractor.extract(looked_at(extractor, case))
    except EvidenceError as error:
        gate = Gate(name=f"{extractor.modality} readable", passed=False, reason=str(error))
        return Missing(modality=extractor.modality, reason=str(error), gates=(gate,))


def inputs_hash(case: Case) -> str:
    """Sha256 over all that goes in: image UIDs, every lab value, every text, earlier studies. Independent of order."""
    records = case.records
    parts: dict[str, object] = {
        "study": case.study.study_instance_uid,
        "images": sorted(instance.sop_instance_uid for instance in case.study.instances),
        "labs": sorted(
            [lab.analyte.key, repr(lab.value), lab.unit, lab.comparator, lab.observed_at.isoformat(), lab.status]
            for lab in records.labs
        ),
        "texts": sorted(hashlib.sha256(text.text.encode()).hexdigest() for text in records.texts),
        "reason": hashlib.sha256(case.study.reason_for_exam.encode()).hexdigest(),
    }
    if case.priors or case.not_compared:
        parts["priors"] = sorted(
            [prior.study_instance_uid, *sorted(instance.sop_instance_uid for instance in prior.instances)]
            for prior in case.priors
        )
        parts["not_compared"] = sorted(case.not_compared)
    if records.earlier:
        parts["earlier"] = sorted(
            [lab.analyte.key, repr(lab.value), lab.unit, lab.comparator, lab.observed_at.isoformat()]
            for lab in records.earlier
        )
    if records.waveforms:
        parts["waveforms"] = sorted(waveform.sha256 for waveform in records.waveforms)
    if case.expected:
        parts["complete"] = [case.held, case.expected]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
