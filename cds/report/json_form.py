"""The report as JSON, for machines; `as_json` is also what the other forms are compared with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cds.domain.code import Code
from cds.domain.comparison import Change, Comparison
from cds.domain.evidence import Algorithm, Evidence, ImageRegion, Measurement, Missing, Observation, Site
from cds.domain.finding import Finding, Recommendation, Statement
from cds.domain.records import LabResult
from cds.domain.report import EncodedReport, Report
from cds.domain.revision import Difference
from cds.report import json_shape as shape
from cds.report import priors, revision
from cds.report.checks import ensure_truthful, in_decimals
from cds.report.chinese import chinese
from cds.report.identity import tracking_uid
from cds.report.labels import BANNER, Bilingual
from cds.report.laboratory import age, age_hours, earlier, is_stale, judged, trend, window
from cds.report.told import Earlier, gaps, limits, passage, sizes_said_earlier
from cds.report.wording import base, clean, rounded, sentence


class JsonReport:
    """Writes a report as one JSON document (UTF-8)."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        """`indent` is the number of spaces per level; 0 writes one line."""

        indent: int = 2

    name: ClassVar[str] = "json"

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def write(self, report: Report) -> tuple[EncodedReport, ...]:
        """One ``application/json`` document.

        Raises
        ------
        ReportError
            When the report cannot be encoded truthfully.
        """
        ensure_truthful(report)
        text = json.dumps(as_json(report), ensure_ascii=False, allow_nan=False, indent=self.settings.indent or None)
        content = text.encode("utf-8", "replace") + b"\n"
        return (EncodedReport(name="report.json", media_type="application/json", content=content),)


def as_json(report: Report) -> shape.ReportJson:
    """The report in JSON's own types, lists for tuples; see docs/reference-report.md."""
    report, said = in_decimals(report), limits(report)
    return {
        "banner": _text(BANNER),
        "study_instance_uid": report.study.study_instance_uid,
        "created_at": report.created_at.isoformat(),
        "verification": report.verification,
        "revision": report.revision,
        "predecessor": report.predecessor,
        "changes": None if report.changes is None else [_difference(each) for each in report.changes],
        "inputs_hash": report.inputs_hash,
        "algorithm": [_algorithm(each) for each in report.algorithms],
        "inputs": _inputs(report),
        "missing": [_missing(part) for part in gaps(report)],
        "gates": _gates([*report.evidence, *report.missing]),
        "evidence": [_observation(part, each) for part in report.evidence for each in part.observations],
        "findings": [_finding(report, each) for each in report.findings],
        "statements": [_statement(each) for each in report.statements],
        "recommendations": [_recommendation(each) for each in report.recommendations],
        "impression": _text(report.impression),
        "priors": [_prior(each) for each in report.comparisons],
        "not_compared": [_text((reason, chinese(reason))) for reason in report.case.not_compared],
        "said_earlier": [_earlier(each) for each in sizes_said_earlier(report)],
        "limits": [each[0] for each in said],
        "limits_zh": [each[1] for each in said],
    }


def _text(both: Bilingual) -> shape.TextJson:
    return {"en": clean(both[0]), "zh": clean(both[1])}


def _difference(each: Difference) -> shape.DifferenceJson:
    return {
        "matter": each.matter.value,
        "id": each.id,
        "name": _text(each.name),
        "then": None if each.then is None else _text(each.then),
        "now": None if each.now is None else _text(each.now),
        "text": _text(revision.sentence(each)),
    }


def _code(code: Code) -> shape.CodeJson:
    return {"value": code.value, "scheme": code.scheme, "meaning": code.meaning, "meaning_zh": code.meaning_zh}


def _algorithm(algorithm: Algorithm) -> shape.AlgorithmJson:
    return {
        "name": algorithm.name,
        "version": algorithm.version,
        "sha256": algorithm.sha256,
        "card": algorithm.card,
    }


def _inputs(report: Report) -> shape.InputsJson:
    records = report.case.records
    return {
        "images": [instance.sop_instance_uid for instance in report.study.instances],
        "complete": _complete(report),
        "labs": [_lab(report, lab) for lab in records.labs],
        "texts": [
            {
                "report_id": text.report_id,
                "kind": text.kind.value,
                "authored_at": text.authored_at.isoformat() if text.authored_at else None,
                "source": text.source,
                "sha256": hashlib.sha256(text.text.encode("utf-8", "surrogatepass")).hexdigest(),
            }
            for text in records.texts
        ],
        "waveforms": [
            {
                "waveform_id": each.waveform_id,
                "format": each.format.value,
                "acquired_at": each.acquired_at.isoformat() if each.acquired_at else None,
                "source": each.source,
                "sha256": each.sha256,
            }
            for each in records.waveforms
        ],
        "spans": _spans(report),
        "rejected": [
            {"source": each.source, "reason": clean(each.reason), "reason_zh": clean(chinese(each.reason))}
            for each in records.rejected
        ],
    }


def _complete(report: Report) -> shape.CompleteJson | None:
    """None where nobody said how many there are."""
    case = report.case
    return {"held": case.held, "expected": case.expected} if case.expected else None


def _prior(comparison: Comparison) -> shape.PriorJson:
    return {
        "title": _text(priors.heading(comparison)),
        "text": [_text(each) for each in priors.sentences(comparison)],
        "study_instance_uid": comparison.study_instance_uid,
        "performed_on": comparison.performed_on.isoformat() if comparison.performed_on else None,
        "days": comparison.days,
        "modality": comparison.modality.value,
        "reason": clean(comparison.reason),
        "reason_zh": clean(chinese(comparison.reason)),
        "changes": [_change(each) for each in comparison.changes],
    }


def _change(change: Change) -> shape.ChangeJson:
    seen = change.now or change.then
    return {
        "code": _code(change.concept),
        "site": _site(seen.site) if seen else None,
        "matched": change.matched,
        "then": _then(change.then),
        "now": _then(change.now),
        "trend": change.trend.value,
        "volume_change": None if change.volume_change is None else round(change.volume_change, 4),
        "doubling_days": None if change.doubling_days is None else round(change.doubling_days, 1),
    }


def _then(observation: Observation | None) -> shape.ThenJson | None:
    if observation is None:
        return None
    return {
        "observation": observation.id,
        "assertion": observation.assertion.value,
        "probability": None if observation.probability is None else rounded(observation.probability),
        "measurements": [_measurement(each) for each in observation.measurements],
    }


def _lab(report: Report, lab: LabResult) -> shape.LabJson:
    judgement = judged(report, lab)
    return {
        "loinc": lab.analyte.value,
        "name": lab.analyte.meaning,
        "name_zh": lab.analyte.meaning_zh,
        "comparator": lab.comparator,
        "value": lab.value,
        "unit": lab.unit,
        "reference_low": judgement.low,
        "reference_high": judgement.high,
        "reference_source": judgement.given_by,
        "flag": judgement.flag,
        "status": lab.status.value,
        "time": lab.observed_at.isoformat(),
        "source": lab.source,
        "age_hours": age_hours(report, lab),
        "age": _text(age(report, lab)),
        "stale": is_stale(report, lab),
        "window_hours": list(lab.window_hours) if lab.window_hours else None,
        "window": _text(window(lab)),
        "earlier": [_earlier_lab(each) for each in earlier(report, lab)],
        "trend": _text(said) if (said := trend(report, lab))[0] else None,
    }


def _earlier_lab(lab: LabResult) -> shape.EarlierLabJson:
    return {
        "comparator": lab.comparator,
        "value": lab.value,
        "time": lab.observed_at.isoformat(),
        "source": lab.source,
    }


def _spans(report: Report) -> list[shape.SpanJson]:
    return [
        {
            "report_id": each.span.report_id,
            "start": each.span.start,
            "end": each.span.end,
            "text": (found := passage(report, each)).words,
            "sentence": found.sentence,
            "observation": each.id,
        }
        for part in report.evidence
        for each in part.observations
        if each.span is not None
    ]


def _missing(part: Missing) -> shape.MissingJson:
    reason = clean(part.reason)
    return {"modality": part.modality.value, "reason": reason, "reason_zh": chinese(reason)}


def _gates(parts: Sequence[Evidence | Missing]) -> list[shape.GateJson]:
    return [
        {
            "modality": part.modality.value,
            "name": gate.name,
            "name_zh": chinese(gate.name),
            "passed": gate.passed,
            "reason": clean(gate.reason),
            "reason_zh": clean(chinese(gate.reason)),
        }
        for part in parts
        for gate in part.gates
    ]


def _earlier(each: Earlier) -> shape.EarlierJson:
    span = each.observation.span
    return {
        "code": _code(each.observation.concept),
        "site": _site(each.observation.site),
        "report_id": span.report_id if span else "",
        "said_at": each.said_at.isoformat() if each.said_at else None,
        "sizes": [_measurement(size) for size in each.sizes],
        "now": [_measurement(size) for size in each.now],
        "observation": each.observation.id,
    }


def _measurement(measurement: Measurement) -> shape.MeasurementJson:
    return {"quantity": _code(measurement.quantity), "value": measurement.value, "unit": measurement.unit}


def _site(site: Site | None) -> shape.SiteJson | None:
    if site is None:
        return None
    return {"region": _code(site.region), "laterality": _code(site.laterality) if site.laterality else None}


def _region(region: ImageRegion | None) -> shape.RegionJson | None:
    if region is None:
        return None
    return {
        "sop_instance_uid": region.sop_instance_uid,
        "frame": region.frame,
        "shape": region.shape,
        "points": [list(point) for point in region.points],
    }


def _observation(part: Evidence, observation: Observation) -> shape.ObservationJson:
    return {
        "id": observation.id,
        "modality": part.modality.value,
        "code": _code(observation.concept),
        "assertion": observation.assertion.value,
        "probability": observation.probability,
        "interval": list(observation.interval) if observation.interval else None,
        "measurements": [_measurement(each) for each in observation.measurements],
        "site": _site(observation.site),
        "source": observation.source,
        "note": clean(observation.note),
        "note_zh": clean(chinese(observation.note)),
    }


def _finding(report: Report, finding: Finding) -> shape.FindingJson:
    return {
        "id": finding.id,
        "tracking_uid": tracking_uid(report, finding.id),
        "code": _code(finding.code),
        "assertion": finding.assertion.value,
        "probability": finding.probability,
        "interval": list(finding.interval) if finding.interval else None,
        "calibrated_on": finding.calibrated_on,
        "site": _site(finding.site),
        "region": _region(finding.region),
        "measurements": [_measurement(each) for each in finding.measurements],
        "base": base(finding),
        "contributions": {each.modality.value: each.value for each in finding.contributions},
        "because": list(finding.because),
        "reason": clean(finding.reason),
        "reason_zh": clean(chinese(finding.reason)),
        "text": _text(sentence(finding)),
        "algorithm": f"{finding.algorithm.name} {finding.algorithm.version}",
    }


def _statement(statement: Statement) -> shape.StatementJson:
    return {
        "kind": statement.kind.value,
        "subject": _code(statement.subject),
        "relation": statement.relation,
        "object": _code(statement.object),
        "citation": statement.citation,
        "path": [
            {
                "subject": _code(step.subject),
                "relation": step.relation,
                "object": _code(step.object),
                "citation": step.citation,
            }
            for step in statement.path
        ],
        "text": _text(statement.text),
        "because": list(statement.because),
        "score": statement.score,
    }


def _recommendation(item: Recommendation) -> shape.RecommendationJson:
    return {
        "guideline": item.guideline,
        "table": item.table,
        "row": item.row,
        "text": _text(item.text),
        "citation": item.citation,
        "because": list(item.because),
        "applies": item.applies,
    }
