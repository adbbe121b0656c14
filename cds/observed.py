"""Findings that need no fusion: what one modality observed and no model of ours weighs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cds.domain.code import Code
from cds.domain.evidence import Assertion, Evidence, Modality, Observation
from cds.domain.finding import Finding
from cds.domain.vocabulary import ECG

NO_NUMBER = {
    Modality.CT: "measured on the images; no calibrated probability exists for it",
    Modality.XRAY: "seen on the image; no calibrated probability exists for it",
    Modality.TEXT: "stated in a report text; not assessed on the images",
    Modality.WAVEFORM: "numbers only, not interpreted",
}

ECG_NUMBERS = frozenset(
    f"{Modality.WAVEFORM}/{name}" for name in ("heart_rate", "pr", "qrs", "qt", "qtc_bazett", "qtc_fridericia")
)


def observed_findings(evidence: Sequence[Evidence], fused: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings that stand in the evidence itself and that fusion did not conclude.

    Every imaging observation is a finding of its own (each nodule is tracked apart). Mentions in
    texts are gathered to one finding per concept; where texts disagree it is UNCERTAIN. What was measured
    in a waveform is one finding of numbers. Laboratory values are inputs, not findings; a probability made of
    them is one.
    """
    known = {finding.code for finding in fused}
    found: list[Finding] = []
    for part in sorted(evidence, key=lambda part: list(Modality).index(part.modality)):
        if part.modality in (Modality.XRAY, Modality.CT):
            own = [_imaging(part, item) for item in part.observations if item.concept not in known]
        elif part.modality is Modality.WAVEFORM:
            own = _measured(part)
        elif part.modality is Modality.TEXT:
            own = _textual(part, known)
        elif part.modality is Modality.LABS:
            own = [_imaging(part, item) for item in part.observations if item.probability is not None]
        else:
            continue
        found += own
        known |= {finding.code for finding in own}
    return tuple(found)


def _imaging(part: Evidence, item: Observation) -> Finding:
    return Finding(
        id=item.id.removeprefix(f"{part.modality}/"),
        code=item.concept,
        assertion=item.assertion,
        algorithm=part.algorithm,
        probability=item.probability,
        interval=item.interval,
        calibrated_on=f"see {part.algorithm.card}" if item.probability is not None else "",
        site=item.site,
        region=item.region,
        measurements=item.measurements,
        because=(item.id,),
        reason=item.note or ("" if item.probability is not None else NO_NUMBER[part.modality]),
    )


def _measured(part: Evidence) -> list[Finding]:
    """The numbers that every electrocardiogram is told by; those of one lead, and of its quality, stay evidence."""
    told = [item for item in part.observations if item.id in ECG_NUMBERS]
    if not told:
        return []
    return [
        Finding(
            id="waveform/ecg",
            code=ECG,
            assertion=Assertion.PRESENT,
            algorithm=part.algorithm,
            measurements=tuple(measurement for item in told for measurement in item.measurements),
            because=tuple(item.id for item in told),
            reason=NO_NUMBER[Modality.WAVEFORM],
        )
    ]


def _textual(part: Evidence, known: Iterable[Code]) -> list[Finding]:
    asserted = (item for item in part.observations if item.assertion is not Assertion.NOT_ASSESSED)
    by_code: dict[Code, list[Observation]] = {}
    for item in asserted:
        if item.concept not in known:
            by_code.setdefault(item.concept, []).append(item)
    return [_gathered(part, code, items) for code, items in by_code.items()]


def _gathered(part: Evidence, code: Code, items: Sequence[Observation]) -> Finding:
    said = {item.assertion for item in items}
    sites = {item.site for item in items if item.site}
    return Finding(
        id=f"text/{code.meaning.lower().replace(' ', '_')}",
        code=code,
        assertion=said.pop() if len(said) == 1 else Assertion.UNCERTAIN,
        algorithm=part.algorithm,
        site=sites.pop() if len(sites) == 1 else None,
        measurements=items[0].measurements if len(items) == 1 else (),
        because=tuple(item.id for item in items),
        reason=NO_NUMBER[Modality.TEXT],
    )
