"""Node, Edge, Source and Graph: what a knowledge graph is, as frozen values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum

from cds.domain.code import Code


class Kind(StrEnum):
    """What a node stands for."""

    DISEASE = "disease"
    FINDING = "finding"
    LAB = "lab"
    RISK = "risk"
    EXAMINATION = "examination"
    SYMPTOM = "symptom"
    DRUG = "drug"
    ANATOMY = "anatomy"


class Relation(StrEnum):
    """How two nodes hang together, read from subject to object."""

    MANIFESTS_AS = "manifests_as"
    SUGGESTS = "suggests"
    ARGUES_AGAINST = "argues_against"
    IS_A = "is_a"
    INVESTIGATED_BY = "investigated_by"
    FOLLOWED_BY = "followed_by"
    RISK_FACTOR_OF = "risk_factor_of"
    REQUIRES = "requires"
    LOCATED_IN = "located_in"


OBSERVED = frozenset({Kind.FINDING, Kind.LAB, Kind.SYMPTOM, Kind.RISK, Kind.DRUG, Kind.DISEASE})
EXPOSURES = frozenset({Kind.RISK, Kind.DRUG})
MANIFEST = frozenset({Kind.FINDING, Kind.LAB, Kind.SYMPTOM, Kind.DISEASE})
ENDS: dict[Relation, tuple[frozenset[Kind], frozenset[Kind]]] = {
    Relation.MANIFESTS_AS: (frozenset({Kind.DISEASE}), MANIFEST),
    Relation.SUGGESTS: (OBSERVED, frozenset({Kind.DISEASE})),
    Relation.ARGUES_AGAINST: (OBSERVED, frozenset({Kind.DISEASE})),
    Relation.IS_A: (frozenset(Kind), frozenset(Kind)),
    Relation.INVESTIGATED_BY: (frozenset({Kind.DISEASE, Kind.FINDING}), frozenset({Kind.EXAMINATION})),
    Relation.FOLLOWED_BY: (frozenset({Kind.DISEASE, Kind.FINDING}), frozenset({Kind.EXAMINATION})),
    Relation.RISK_FACTOR_OF: (OBSERVED, frozenset({Kind.DISEASE})),
    Relation.REQUIRES: (frozenset({Kind.DISEASE}), frozenset({Kind.FINDING, *EXPOSURES})),
    Relation.LOCATED_IN: (frozenset({Kind.DISEASE, Kind.FINDING}), frozenset({Kind.ANATOMY})),
}
"""The kinds that may stand at either end of a relation."""

WEIGHED = frozenset(
    {Relation.MANIFESTS_AS, Relation.SUGGESTS, Relation.ARGUES_AGAINST, Relation.RISK_FACTOR_OF},
)
"""The relations that move a ranking and so need a strength."""


class Grade(StrEnum):
    """How often, in words, where the cited source gives no figure."""

    HALLMARK = "hallmark"
    TYPICAL = "typical"
    COMMON = "common"
    UNCOMMON = "uncommon"


class Prior(StrEnum):
    """How often a disease is met in chest imaging of adults: a rating for review, not a published figure."""

    COMMON = "common"
    UNCOMMON = "uncommon"
    RARE = "rare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A publication: what an edge cites.

    `text` is author, journal, year and pages; `doi` is without ``https://doi.org/``, ``""`` where there is none.
    """

    key: str
    text: str
    doi: str = ""

    def citation(self, where: str) -> str:
        """The reference with the place in it, e.g. ``"Wang CS et al. JAMA ..., abstract. doi:10..."``."""
        place = f"{self.text}, {where}." if where else f"{self.text}."
        return f"{place} doi:{self.doi}" if self.doi else place


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A concept.

    Attributes
    ----------
    key
        How the files refer to it; the key of `cds.domain.vocabulary` where that has the concept.
    code
        What leaves the house; the meanings are the labels in English and Chinese.
    synonyms
        Other names by which a reader may ask for it.
    loinc, direction
        For a laboratory pattern: the analyte (several codes, with blanks between, where they measure the
        same), and ``"high"``, ``"low"`` or ``"normal"``.
    prior
        For a disease.
    xrefs
        The same concept elsewhere, e.g. ``"ICD10CM:J84.112"``, ``"DOID:0050156"``, ``"HP:0002094"``. Nothing is
        concluded from them, so they are no part of the graph's hash.
    """

    key: str
    kind: Kind
    code: Code
    synonyms: tuple[str, ...] = ()
    loinc: str = ""
    direction: str = ""
    prior: Prior = Prior.UNCOMMON
    xrefs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """How strongly an edge speaks: published figures where there are any, a grade in words otherwise.

    `sensitivity` is the share of patients with the disease who have the finding, `specificity` the share of
    those without it who have not, both 0..1; `lr_positive` and `lr_negative` are likelihood ratios.
    """

    sensitivity: float | None = None
    specificity: float | None = None
    lr_positive: float | None = None
    lr_negative: float | None = None
    grade: Grade | None = None

    @property
    def known(self) -> bool:
        """Whether anything is said at all."""
        return any(
            value is not None
            for value in (self.sensitivity, self.specificity, self.lr_positive, self.lr_negative, self.grade)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One statement of one source about two concepts (by key)."""

    subject: str
    relation: Relation
    object: str
    citation: str
    strength: Strength = Strength()
    note: str = ""

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes two edges the same edge."""
        return (self.subject, self.relation.value, self.object)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """All nodes and edges, sorted by key: the same content is the same value."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @property
    def sha256(self) -> str:
        """Hash over the content in canonical JSON, the same from text files and from a database."""
        content = {"nodes": [_node(node) for node in self.nodes], "edges": [_edge(edge) for edge in self.edges]}
        text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _node(node: Node) -> list[object]:
    code = node.code
    return [
        *(node.key, node.kind.value, code.scheme, code.value, code.meaning, code.meaning_zh),
        *(list(node.synonyms), node.loinc, node.direction, node.prior.value),
    ]


def _edge(edge: Edge) -> list[object]:
    strength = edge.strength
    figures = [strength.sensitivity, strength.specificity, strength.lr_positive, strength.lr_negative]
    return [*edge.identity, edge.citation, figures, strength.grade.value if strength.grade else "", edge.note]
