"""Finding: what fusion concludes, and Statement: what knowledge adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cds.domain.code import Code
from cds.domain.evidence import Algorithm, Assertion, ImageRegion, Measurement, Modality, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """How much one modality moved a probability: the difference in probability, -1..1."""

    modality: Modality
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One conclusion, which must point at its evidence.

    Attributes
    ----------
    id
        Unique within a report and stable over reruns, e.g. ``"pneumonia"``, ``"nodule/1"``.
    probability
        In 0..1; None where no calibrated number exists (`reason` then says why).
    interval
        95 % interval of `probability`, as (low, high).
    calibrated_on
        The set on which `probability` was calibrated; ``""`` without a probability.
    because
        Ids of the observations it rests on: never empty unless NOT_ASSESSED.
    reason
        Why the finding was abstained from or has no probability; ``""`` otherwise.
    """

    id: str
    code: Code
    assertion: Assertion
    algorithm: Algorithm
    probability: float | None = None
    interval: tuple[float, float] | None = None
    calibrated_on: str = ""
    site: Site | None = None
    region: ImageRegion | None = None
    measurements: tuple[Measurement, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    because: tuple[str, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        if not self.because and self.assertion is not Assertion.NOT_ASSESSED:
            raise ValueError(f"finding {self.id!r} points at no evidence: give `because`")
        if self.probability is not None and not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"finding {self.id!r}: a probability lies in 0..1 and is a number")


class StatementKind(StrEnum):
    """What a statement is for."""

    DIFFERENTIAL = "DIFFERENTIAL"
    FOLLOW_UP = "FOLLOW_UP"
    CONTRADICTION = "CONTRADICTION"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStep:
    """One edge of the knowledge graph, as it was walked."""

    subject: Code
    relation: str
    object: Code
    citation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What the knowledge graph says about the findings, with the path that explains it.

    `score` ranks statements of one kind (higher first, no unit). `text` is (English, Chinese).
    """

    kind: StatementKind
    subject: Code
    relation: str
    object: Code
    citation: str
    path: tuple[PathStep, ...]
    text: tuple[str, str]
    because: tuple[str, ...] = ()
    score: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What a guideline says to do, with its table and row. `text` is (English, Chinese).

    Where it does not apply, `applies` is False and `text` says why.
    """

    guideline: str
    table: str
    row: str
    text: tuple[str, str]
    citation: str
    because: tuple[str, ...] = ()
    applies: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """All that one knowledge source adds to the findings of one case."""

    algorithm: Algorithm
    statements: tuple[Statement, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
