"""What every writer makes sure of before it writes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from cds.domain.comparison import Change
from cds.domain.evidence import Evidence, Observation
from cds.domain.finding import Finding
from cds.domain.report import Report
from cds.errors import ReportError
from cds.report.wording import DECIMALS, rounded


def in_decimals(report: Report) -> Report:
    """The report with every probability as it can be carried, so that all encodings give the same number."""
    return replace(
        report,
        evidence=tuple(_evidence(part) for part in report.evidence),
        findings=tuple(_finding(each) for each in report.findings),
        comparisons=tuple(
            replace(each, changes=tuple(_change(change) for change in each.changes)) for each in report.comparisons
        ),
    )


def _evidence(part: Evidence) -> Evidence:
    return replace(part, observations=tuple(_observation(each) for each in part.observations))


def _observation(each: Observation) -> Observation:
    return replace(each, probability=_rounded(each.probability), interval=_bounds(each.interval))


def _change(change: Change) -> Change:
    then, now = change.then, change.now
    return replace(change, then=then and _observation(then), now=now and _observation(now))


def _finding(finding: Finding) -> Finding:
    return replace(
        finding,
        probability=_rounded(finding.probability),
        interval=_bounds(finding.interval),
        contributions=tuple(replace(part, value=round(part.value, DECIMALS)) for part in finding.contributions),
    )


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else rounded(probability)


def _bounds(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if interval is None else (rounded(interval[0]), rounded(interval[1]))


def ensure_truthful(report: Report) -> None:
    """Refuse a report that no encoding could carry truthfully.

    Raises
    ------
    ReportError
        When a number is not finite, an interval does not lie in 0..1 in order, a region is on an image
        that is not of the study, two findings share an id, or the report's time has no zone.
    """
    if report.created_at.tzinfo is None:
        raise ReportError("the report's time has no time zone; give an aware datetime")
    for where, value in _numbers(report):
        if not math.isfinite(value):
            raise ReportError(f"{where} carries a number that is not finite")
    _ensure_intervals(report)
    _ensure_references(report)


def _numbers(report: Report) -> Iterator[tuple[str, float]]:
    for part in report.evidence:
        for each in part.observations:
            values = [each.probability, *(each.interval or ()), *(m.value for m in each.measurements)]
            yield from ((f"observation {each.id!r}", value) for value in values if value is not None)
    for finding in report.findings:
        values = [finding.probability, *(finding.interval or ()), *(m.value for m in finding.measurements)]
        values += [part.value for part in finding.contributions]
        values += [axis for point in (finding.region.points if finding.region else ()) for axis in point]
        yield from ((f"finding {finding.id!r}", value) for value in values if value is not None)
    for lab in report.case.records.labs:
        bounds = [lab.value, lab.reference_low, lab.reference_high]
        yield from ((f"laboratory value {lab.analyte.key}", value) for value in bounds if value is not None)
    for comparison in report.comparisons:
        changes = [number for each in comparison.changes for number in (each.volume_change, each.doubling_days)]
        yield from (("a comparison with an earlier study", number) for number in changes if number is not None)
    yield from ((f"statement {each.subject.key}", each.score) for each in report.statements)


def _ensure_intervals(report: Report) -> None:
    for finding in report.findings:
        if finding.interval is not None and not 0.0 <= finding.interval[0] <= finding.interval[1] <= 1.0:
            raise ReportError(f"finding {finding.id!r}: an interval is (low, high) within 0..1")


def _ensure_references(report: Report) -> None:
    images = {instance.sop_instance_uid for instance in report.study.instances}
    seen: set[str] = set()
    for finding in report.findings:
        if finding.id in seen:
            raise ReportError(f"two findings have the id {finding.id!r}; an id is unique within a report")
        seen.add(finding.id)
        if finding.region is not None and finding.region.sop_instance_uid not in images:
            raise ReportError(
                f"finding {finding.id!r} is marked on image {finding.region.sop_instance_uid}, "
                "which is not of the study"
            )
