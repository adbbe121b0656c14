"""What every fusion plugin must keep: run `check_fusion` in your plugin's own tests.

Each check is a function that raises AssertionError with a sentence; `check_fusion` runs them all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import Final

from cds.domain.code import Code
from cds.domain.evidence import (
    Algorithm,
    Assertion,
    Evidence,
    Gate,
    Measurement,
    Missing,
    Modality,
    Observation,
    Span,
)
from cds.domain.finding import Finding
from cds.domain.report import Case
from cds.domain.study import Patient, Study
from cds.domain.vocabulary import FINDINGS
from cds.errors import FusionError
from cds.ports import FusionModel

DIAMETER: Final = Code("81827009", "SCT", "Diameter")
LABS: Final = (
    (Code("1988-5", "LN", "C reactive protein [Mass/volume] in Serum or Plasma"), 187.0, "mg/L"),
    (Code("2039-6", "LN", "Carcinoembryonic Ag [Mass/volume] in Serum or Plasma"), 3.4, "ng/mL"),
)


def sample_case() -> Case:
    """A case without images: fusion reads the evidence, not the study."""
    return Case(study=Study(study_instance_uid="2.25.1", patient=Patient(), series=()))


def sample_evidence(*, embedding_size: int = 0) -> tuple[Evidence, ...]:
    """Evidence of four modalities that speaks for pneumonia and for lung cancer.

    Parameters
    ----------
    embedding_size
        Length of the X-ray embedding; 0 for none.
    """
    return (_xray(embedding_size), _ct(), _labs(), _text())


def _evidence(modality: Modality, observations: tuple[Observation, ...], **more: object) -> Evidence:
    algorithm = Algorithm(name=f"sample-{modality}", version="1")
    part = Evidence(modality=modality, algorithm=algorithm, observations=observations)
    return dataclasses.replace(part, **more)  # type: ignore[arg-type]


def _xray(embedding_size: int) -> Evidence:
    seen = Observation(id="chest_xray/pneumonia", concept=FINDINGS["pneumonia"], probability=0.8, source="2.25.2")
    return _evidence(Modality.XRAY, (seen,), embedding=tuple(0.1 * (-1) ** i for i in range(embedding_size)))


def _ct() -> Evidence:
    def nodule(number: int, diameter_mm: float) -> Observation:
        size = Measurement(quantity=DIAMETER, value=diameter_mm, unit="mm")
        return Observation(
            id=f"chest_ct/nodule/{number}", concept=FINDINGS["lung_nodule"], measurements=(size,), source="2.25.3"
        )

    return _evidence(Modality.CT, (nodule(1, 14.2), nodule(2, 5.1)))


def _labs() -> Evidence:
    observations = (
        Observation(
            id=f"labs/{code.value}",
            concept=code,
            measurements=(Measurement(quantity=code, value=value, unit=unit),),
            source="labs.csv",
        )
        for code, value, unit in LABS
    )
    return _evidence(Modality.LABS, tuple(observations))


def _text() -> Evidence:
    def mention(key: str, start: int, assertion: Assertion) -> Observation:
        span = Span(report_id="r1", start=start, end=start + 4)
        return Observation(id=f"text/r1/{start}", concept=FINDINGS[key], assertion=assertion, span=span, source="r1")

    return _evidence(
        Modality.TEXT,
        (mention("pneumonia", 10, Assertion.PRESENT), mention("lung_nodule", 40, Assertion.UNCERTAIN)),
    )


def check_fusion(model: FusionModel, *, embedding_size: int = 0) -> None:
    """Run every check on `model`.

    Parameters
    ----------
    embedding_size
        What the model wants of a chest X-ray embedding; 0 where it reads none.

    Raises
    ------
    AssertionError
        With a sentence that says which promise is not kept.
    """
    evidence = sample_evidence(embedding_size=embedding_size)
    for check in CHECKS:
        check(model, evidence)


def findings_are_valid(model: FusionModel, evidence: Sequence[Evidence]) -> None:
    """Numbers are finite and in range, ids unique, a missing number has its reason."""
    findings = fuse(model, evidence)
    assert findings, "with evidence of every modality there must be a finding"
    assert len({item.id for item in findings}) == len(findings), "two findings share an id"
    for finding in findings:
        _is_valid(finding)


def evidence_is_named(model: FusionModel, evidence: Sequence[Evidence]) -> None:
    """`because` names observations that were given, contributions name modalities that were given."""
    for part in _subsets(evidence):
        ids = {item.id for given in part for item in given.observations}
        modalities = {given.modality for given in part}
        for finding in fuse(model, part):
            assert set(finding.because) <= ids, f"{finding.id}: `because` names what was not given"
            named = {item.modality for item in finding.contributions}
            assert named <= modalities, f"{finding.id}: a modality that was missing cannot contribute"


def order_is_irrelevant(model: FusionModel, evidence: Sequence[Evidence]) -> None:
    """The order of evidence and of observations changes no finding, not even in the last digit."""
    expected = fuse(model, evidence)
    for shuffled in permutations(evidence):
        turned = [dataclasses.replace(part, observations=part.observations[::-1]) for part in shuffled]
        assert fuse(model, turned) == expected, "the findings depend on the order of the evidence"


def doubles_count_once(model: FusionModel, evidence: Sequence[Evidence]) -> None:
    """An observation that is given twice under the same id is one observation."""
    doubled = [dataclasses.replace(part, observations=part.observations * 2) for part in evidence]
    assert fuse(model, doubled) == fuse(model, evidence), "an observation given twice counted twice"


def same_input_same_findings(model: FusionModel, evidence: Sequence[Evidence]) -> None:
    """A rerun is the same report (promise P10)."""
    assert fuse(model, evidence) == fuse(model, evidence), "two runs on the same evidence differ"


def any_modality_may_be_missing(model: FusionModel, evidence: Sequence[Evidence]) -> None:
    """Every subset of the modalities gives valid findings; without evidence nothing is concluded."""
    for part in _subsets(evidence):
        for finding in fuse(model, part):
            _is_valid(finding)
    for finding in fuse(model, ()):
        assert finding.assertion is Assertion.NOT_ASSESSED, f"{finding.id} was concluded from nothing"


def laboratory_values_alone_settle_nothing(model: FusionModel, evidence: Sequence[Evidence]) -> None:
    """That something is there or is not needs an image or a report text that bears on it."""
    labs = [part for part in evidence if part.modality is Modality.LABS]
    of_labs = {item.id for part in labs for item in part.observations}
    for part in _subsets(evidence):
        for finding in fuse(model, part):
            settled = finding.assertion in (Assertion.PRESENT, Assertion.ABSENT)
            assert not (settled and set(finding.because) <= of_labs), (
                f"{finding.id} is {finding.assertion} by laboratory values only: nobody looked"
            )


def gates_not_passed_are_survived(model: FusionModel, evidence: Sequence[Evidence]) -> None:
    """Evidence whose gate was not passed is used or not, but the findings stay valid."""
    gate = Gate(name="age", passed=False, reason="sample reason")
    for finding in fuse(model, [dataclasses.replace(part, gates=(gate,)) for part in evidence]):
        _is_valid(finding)


def nan_never_becomes_a_finding(model: FusionModel, evidence: Sequence[Evidence]) -> None:
    """NaN and infinity anywhere raise FusionError, or are not read at all; no number comes of them."""
    for bad in (math.nan, math.inf):
        for broken in _broken(evidence, bad):
            try:
                findings = fuse(model, broken)
            except FusionError:
                continue
            for finding in findings:
                _is_valid(finding)


CHECKS: Final[tuple[Callable[[FusionModel, Sequence[Evidence]], None], ...]] = (
    findings_are_valid,
    evidence_is_named,
    order_is_irrelevant,
    doubles_count_once,
    same_input_same_findings,
    any_modality_may_be_missing,
    laboratory_values_alone_settle_nothing,
    gates_not_passed_are_survived,
    nan_never_becomes_a_finding,
)


def fuse(model: FusionModel, evidence: Sequence[Evidence]) -> tuple[Finding, ...]:
    """The findings of `evidence`, every other modality missing."""
    there = {part.modality for part in evidence}
    missing = tuple(Missing(modality=item, reason="not in this sample") for item in Modality if item not in there)
    return model.fuse(sample_case(), tuple(evidence), missing)


def _is_valid(finding: Finding) -> None:
    where = f"finding {finding.id!r}"
    if finding.probability is None:
        assert finding.reason, f"{where} has no probability and no reason"
        assert not finding.calibrated_on, f"{where} has no probability and yet names a calibration"
    else:
        assert math.isfinite(finding.probability), f"{where}: the probability is no number"
        assert finding.calibrated_on or finding.reason, f"{where}: an uncalibrated probability must say so in `reason`"
        assert finding.because, f"{where} has a probability and points at no evidence"
    if finding.interval is not None:
        low, high = finding.interval
        assert finding.probability is not None, f"{where} has an interval without a probability"
        assert 0 <= low <= finding.probability <= high <= 1, f"{where}: the interval does not hold the probability"
    for part in finding.contributions:
        assert -1 <= part.value <= 1, f"{where}: a contribution is a difference of probabilities, -1 to 1"


def _subsets(evidence: Sequence[Evidence]) -> Iterator[tuple[Evidence, ...]]:
    """Every subset of at least one part."""
    for chosen in range(1, 2 ** len(evidence)):
        yield tuple(part for bit, part in enumerate(evidence) if chosen >> bit & 1)


def _broken(evidence: Sequence[Evidence], bad: float) -> Iterator[tuple[Evidence, ...]]:
    """The evidence with one number after the other replaced by `bad`."""
    for place, part in enumerate(evidence):
        for spoiled in _spoiled(part, bad):
            yield (*evidence[:place], spoiled, *evidence[place + 1 :])


def _spoiled(part: Evidence, bad: float) -> Iterator[Evidence]:
    if part.embedding:
        yield dataclasses.replace(part, embedding=(bad, *part.embedding[1:]))
    for place, item in enumerate(part.observations):
        others = part.observations[:place], part.observations[place + 1 :]
        if item.probability is not None:
            spoiled = dataclasses.replace(item, probability=bad)
            yield dataclasses.replace(part, observations=(*others[0], spoiled, *others[1]))
        if item.measurements:
            measured = (dataclasses.replace(item.measurements[0], value=bad), *item.measurements[1:])
            spoiled = dataclasses.replace(item, measurements=measured)
            yield dataclasses.replace(part, observations=(*others[0], spoiled, *others[1]))
