"""What one observation is worth: published likelihood ratios, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cds.domain.evidence import Assertion, Modality, Observation
from cds.domain.vocabulary import FINDINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A report's statement about any of `keys`: the ratio of each assertion."""

    target: str
    keys: tuple[str, ...]
    ratio: Mapping[Assertion, float]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """A number in `unit`: the ratio of the last step whose lower edge it reaches."""

    target: str
    modality: Modality
    unit: str
    steps: tuple[tuple[float, float], ...]
    source: str
    loinc: str = ""


STATEMENTS = (
    Said(
        target="pneumonia",
        keys=("pneumonia",),
        ratio={Assertion.PRESENT: 0.196 / 0.036, Assertion.UNCERTAIN: 0.400 / 0.293, Assertion.ABSENT: 0.404 / 0.671},
        source="doi:10.2214/AJR.19.21521, scenarios 2 and 4: radiograph report against CT",
    ),
    Said(
        target="lung_cancer",
        keys=("lung_nodule", "lung_mass", "lung_cancer"),
        ratio={Assertion.PRESENT: 0.754 / 0.098, Assertion.ABSENT: 0.246 / 0.902},
        source="doi:10.3399/bjgp20X713993: radiograph report against lung cancer within a year",
    ),
)
NUMBERS = (
    Stepped(
        target="pneumonia",
        modality=Modality.LABS,
        loinc="1988-5",
        unit="mg/L",
        steps=((0.0, 0.2), (75.0, 1.0), (200.0, 5.0)),
        source="C-reactive protein, doi:10.1155/2016/2198745: ratio < 0.2 below 75 mg/L, > 5 above 200 mg/L",
    ),
    Stepped(
        target="lung_cancer",
        modality=Modality.LABS,
        loinc="2039-6",
        unit="ng/mL",
        steps=((0.0, 0.72), (5.625, 1.61)),
        source="CEA, doi:10.1155/2024/4782618, table 2: lung cancer against benign lung disease",
    ),
    Stepped(
        target="lung_cancer",
        modality=Modality.CT,
        unit="mm",
        steps=((0.0, 0.097), (6.0, 0.83), (10.0, 14.4)),
        source="diameters of 378 nodules rated malignant and 804 rated benign, LIDC-IDRI, doi:10.1118/1.3528204",
    ),
)


NOT_OF_NOW = frozenset({"prior report", "order", "asked for, not found"})
"""Parts of a text observation's note: what an earlier report said, or what was asked, is not what is there now."""


def likelihood_ratio(target: str, modality: Modality, item: Observation) -> float | None:
    """How many times likelier `item` is with `target` than without; None where no rule covers it."""
    if modality is Modality.TEXT and NOT_OF_NOW & set(item.note.split("; ")):
        return None
    if modality is Modality.TEXT:
        rules = (rule for rule in STATEMENTS if rule.target == target)
        ratios = [rule.ratio.get(item.assertion) for rule in rules if item.concept in map(FINDINGS.get, rule.keys)]
        return ratios[0] if ratios else None
    for step in (rule for rule in NUMBERS if rule.target == target and rule.modality is modality):
        sizes = [m.value for m in item.measurements if m.unit == step.unit]
        if sizes and (not step.loinc or (item.concept.scheme, item.concept.value) == ("LN", step.loinc)):
            return [ratio for edge, ratio in step.steps if max(sizes) >= edge][-1]
    return None
