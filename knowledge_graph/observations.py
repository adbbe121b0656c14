"""What of a case the graph can use: which of its concepts are there, which are not, and how sure that is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cds.domain.code import Code
from cds.domain.evidence import Assertion, Evidence, Modality, Observation
from cds.domain.finding import Finding, Statement, StatementKind
from cds.domain.records import LabResult
from cds.domain.report import Case
from cds.domain.vocabulary import ANATOMY
from cds.errors import KnowledgeError
from knowledge_graph.graph import Network
from knowledge_graph.model import Kind
from knowledge_graph.wording import contradiction_text

OPACITY: Final = "lung_opacity"
BILATERAL: Final = "bilateral_opacities"
UNCERTAIN: Final = 0.5
"""How sure an UNCERTAIN mention is."""
SURE: Final = 0.8
"""From this probability on, an image that shows what the text denies is a contradiction worth a sentence."""
UNSURE: Final = 0.2
"""Down to this probability, an image does not show what the text states."""
IMAGING: Final = frozenset({Modality.XRAY, Modality.CT})
DIRECTION: Final = re.compile(r"^(?:[<>]=?[^;]*;\s*)?(high|low|normal)\b", re.IGNORECASE)
"""How the note of a laboratory observation begins, after the comparator where there is one."""
RULE: Final = "Comparison of the report text with the image model (no literature): see docs/knowledge-graph.md"


@dataclass(slots=True)
class Seen:
    """Concepts by key, with how sure it is (0..1), and the observations that each rests on.

    `concluded` are those that a finding says are there; of the `doubtful` no finding and, where there is none,
    no observation says more than that they may be.
    """

    present: dict[str, float] = field(default_factory=dict)
    absent: dict[str, float] = field(default_factory=dict)
    because: dict[str, tuple[str, ...]] = field(default_factory=dict)
    concluded: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)

    def add(self, key: str, assertion: Assertion, sure: float, because: Iterable[str]) -> None:
        """Note one more observation of a concept; the surest counts.

        Where one source says that something is there and another that it is not, it counts as there: a
        missed finding costs more than one looked at in vain, and the contradiction is stated apart.
        """
        denied = assertion is Assertion.ABSENT
        side = self.absent if denied else self.present
        if denied and key in self.present:
            return
        if not denied and self.absent.pop(key, None) is not None:
            self.because.pop(key)
        side[key] = max(side.get(key, 0.0), sure)
        self.because[key] = tuple(dict.fromkeys((*self.because.get(key, ()), *because)))


def seen(network: Network, case: Case, evidence: Sequence[Evidence], findings: Sequence[Finding]) -> Seen:
    """All that the graph can use: findings and imaging and text observations by code, laboratory values by LOINC."""
    result = Seen()
    said: dict[str, set[Assertion]] = {}
    for finding in findings:
        if _usable(finding.assertion) and (key := network.key_of_code.get(finding.code)):
            result.add(key, finding.assertion, _sure(finding.assertion, finding.probability), finding.because)
            said.setdefault(key, set()).add(finding.assertion)
    result.concluded = {key for key, each in said.items() if Assertion.PRESENT in each}
    found = frozenset(said)
    for part in evidence:
        for item in part.observations:
            if part.modality is Modality.LABS:
                _add_lab(network, case, item, result)
            elif _usable(item.assertion) and (key := network.key_of_code.get(item.concept)):
                result.add(key, item.assertion, _sure(item.assertion, item.probability), (item.id,))
                if key not in found:
                    said.setdefault(key, set()).add(item.assertion)
    result.doubtful = {key for key, each in said.items() if key in result.present and Assertion.PRESENT not in each}
    if _one_sided(network, evidence, findings):
        result.absent[BILATERAL] = 1.0
    return result


def _one_sided(network: Network, evidence: Sequence[Evidence], findings: Sequence[Finding]) -> bool:
    """Whether every opacity whose side is known lies in the same lung; False where a side is not known."""
    items = [item for part in evidence if part.modality is not Modality.LABS for item in part.observations]
    seen_now = [(item.concept, item.assertion, item.site) for item in items]
    seen_now += [(finding.code, finding.assertion, finding.site) for finding in findings]
    sides = {
        site.laterality if site else None
        for code, assertion, site in seen_now
        if assertion in (Assertion.PRESENT, Assertion.UNCERTAIN)
        and (key := network.key_of_code.get(code))
        and OPACITY in network.ascent(key)
    }
    return len(sides) == 1 and bool(sides & {ANATOMY["right"], ANATOMY["left"]})


def contradictions(network: Network, evidence: Sequence[Evidence]) -> tuple[Statement, ...]:
    """One statement for each concept that a text denies and an image shows, or the reverse."""
    images = [item for part in evidence if part.modality in IMAGING for item in part.observations]
    texts = [item for part in evidence if part.modality is Modality.TEXT for item in part.observations]
    found: dict[Code, Statement] = {}
    for text in sorted(texts, key=lambda item: item.id):
        for image in sorted(images, key=lambda item: item.id):
            same = text.concept == image.concept
            if same and text.concept not in found and _contradict(text, image):
                found[text.concept] = _contradiction(text, image)
    return tuple(found[code] for code in sorted(found, key=lambda code: code.key))


def _contradict(text: Observation, image: Observation) -> bool:
    probability = image.probability
    if text.assertion is Assertion.ABSENT:
        return probability is not None and probability >= SURE
    if text.assertion is not Assertion.PRESENT or image.assertion is Assertion.PRESENT:
        return False
    return image.assertion is Assertion.ABSENT or (probability is not None and probability <= UNSURE)


def _contradiction(text: Observation, image: Observation) -> Statement:
    return Statement(
        kind=StatementKind.CONTRADICTION,
        subject=image.concept,
        relation="contradicts",
        object=text.concept,
        citation=RULE,
        path=(),
        text=contradiction_text(text.concept, text.assertion is Assertion.ABSENT, image.probability),
        because=(image.id, text.id),
        score=round(abs((image.probability if image.probability is not None else 0.0) - 0.5), 3),
    )


def _usable(assertion: Assertion) -> bool:
    return assertion is not Assertion.NOT_ASSESSED


def _sure(assertion: Assertion, probability: float | None) -> float:
    """A calibrated probability where there is one; 1 for a plain statement, half for an uncertain one."""
    if probability is not None and not 0.0 <= probability <= 1.0:
        raise KnowledgeError("an observation's probability is not a number in 0..1; no differential can rest on it")
    if assertion is Assertion.UNCERTAIN:
        return UNCERTAIN if probability is None else probability
    if probability is None:
        return 1.0
    return 1.0 - probability if assertion is Assertion.ABSENT else probability


def _add_lab(network: Network, case: Case, item: Observation, result: Seen) -> None:
    """The pattern that the value fits; where the graph has none for it, the patterns that it does not fit."""
    loinc = item.id.rpartition("/")[2]
    direction = _direction(case.records.labs, item, loinc)
    patterns = [node for node in network.of_kind(Kind.LAB) if loinc in node.loinc.split()] if direction else []
    fitting = [node for node in patterns if node.direction == direction]
    for node in fitting or patterns:
        result.add(node.key, Assertion.PRESENT if fitting else Assertion.ABSENT, 1.0, (item.id,))


def _direction(results: Sequence[LabResult], item: Observation, loinc: str) -> str:
    """High, low or normal: as the note says, else against the laboratory's own reference range, else ``""``."""
    noted = DIRECTION.match(item.note)
    if noted:
        return noted.group(1).lower()
    values = {measurement.value for measurement in item.measurements}
    for lab in results:
        if lab.analyte.value == loinc and lab.value in values and not lab.comparator:
            if lab.reference_high is not None and lab.value > lab.reference_high:
                return "high"
            if lab.reference_low is not None and lab.value < lab.reference_low:
                return "low"
            if lab.reference_high is not None or lab.reference_low is not None:
                return "normal"
    return ""
