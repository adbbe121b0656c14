"""Rank diseases by what was observed, and say by which edges: paths are the explanation.

The score is a sum of log likelihood ratios, as in a naive Bayes classifier, in nats. Where an edge gives
likelihood ratios they are used; where it gives sensitivity and specificity, their ratio; where it gives
only how often (a sensitivity, or a grade in words), that is compared with how often the diseases of the
graph have the finding on average. A finding that a disease does not explain counts against it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from knowledge_graph.graph import Network
from knowledge_graph.model import EXPOSURES, Edge, Grade, Kind, Prior, Relation, Strength

FREQUENCY: Final[Mapping[Grade, float]] = MappingProxyType(
    {Grade.HALLMARK: 0.9, Grade.TYPICAL: 0.7, Grade.COMMON: 0.4, Grade.UNCOMMON: 0.15}
)
"""How often a grade in words stands for: our reading, so that words and figures can be added up."""

AGAINST: Final[Mapping[Grade, float]] = MappingProxyType(
    {Grade.HALLMARK: 0.1, Grade.TYPICAL: 0.25, Grade.COMMON: 0.5, Grade.UNCOMMON: 0.8}
)
"""The likelihood ratio of a finding that argues against a disease, where the source gives words only."""

LOG_PRIOR: Final[Mapping[Prior, float]] = MappingProxyType({Prior.COMMON: 0.0, Prior.UNCOMMON: -0.7, Prior.RARE: -1.4})
"""Each step is a factor of two: the rating is coarse and should not outweigh one good finding."""

LEAK: Final = 0.05
"""How often a finding is there that the graph does not connect with the disease: chance, or another disease."""

COMMON_ANYWAY: Final = 0.2
"""The same for a symptom or a laboratory value: hospital patients cough, have a high CRP or a low hemoglobin."""

ONE_KIND: Final = 0.5
"""How often a general finding shows itself as one of its kinds, where a source names the general one: each step."""

LARGEST: Final = math.log(20.0)
"""No single finding counts for more: few tests in this field have a likelihood ratio beyond 20."""

SAME: Final = 1e-9
"""Scores that differ by less are one score: sums of the same terms in another order differ in their last bits."""

EXPLAINED: Final = frozenset({Kind.FINDING, Kind.LAB, Kind.SYMPTOM})
"""What a disease should explain where it is there; a risk factor or a drug needs no explanation."""

SUPPORT: Final = (Relation.MANIFESTS_AS, Relation.SUGGESTS, Relation.RISK_FACTOR_OF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why one observation speaks for or against a disease.

    `path` runs from the disease to the observation (or from the observation to the disease, for risk
    factors and arguments against); `score` is in nats, positive in favour.
    """

    observed: str
    path: tuple[Edge, ...]
    score: float
    absent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A disease of the differential, with the paths for and against it, the strongest first."""

    disease: str
    score: float
    supporting: tuple[Reason, ...]
    contradicting: tuple[Reason, ...]


class Differential:
    """Ranks the diseases of one graph. Deterministic: the same input gives the same order."""

    def __init__(self, network: Network):
        self.network = network
        self._diseases = network.keys_of(Kind.DISEASE)
        self._links: dict[str, dict[str, tuple[Edge, ...]]] = {}
        self._background: dict[str, float] = {}

    def rank(self, present: Mapping[str, float], absent: Mapping[str, float] | None = None) -> tuple[Candidate, ...]:
        """The diseases that at least one observation supports, and none excludes, the likeliest first.

        Parameters
        ----------
        present, absent
            Concepts by key, each with how sure it is that they are there, or are not: 0..1.
        """
        seen = _most_specific(self.network, present)
        missing = {key: sure for key, sure in sorted((absent or {}).items()) if key not in seen}
        possible = [disease for disease in self._reached(seen) if self._possible(disease, seen, missing)]
        candidates = [self._judge(disease, seen, missing) for disease in possible]
        found = {candidate.disease: candidate for candidate in candidates if candidate.supporting}
        telling = [candidate for candidate in found.values() if not self._repeats(candidate, found)]
        return tuple(sorted(telling, key=lambda candidate: (-candidate.score, candidate.disease)))

    def _reached(self, keys: Iterable[str]) -> list[str]:
        """The diseases that some edge joins to the concepts, by key; no other has a reason to be named."""
        found: set[str] = set()
        for general in {general for key in keys for general in self.network.ascent(key)}:
            found.add(general)
            found.update(edge.subject for edge in self.network.incoming(general, Relation.MANIFESTS_AS))
            for relation in (Relation.SUGGESTS, Relation.RISK_FACTOR_OF, Relation.ARGUES_AGAINST):
                found.update(edge.object for edge in self.network.outgoing(general, relation))
        return sorted(self.network.descent(found & self._diseases) & self._diseases)

    def manifestations(self, disease: str) -> tuple[str, ...]:
        """What a disease shows by the graph, itself or by what it is a kind of: concepts by key."""
        links = self._links_of(disease)
        return tuple(sorted(key for key, path in links.items() if path[-1].relation is Relation.MANIFESTS_AS))

    def expected(self, disease: str, key: str) -> float:
        """How often an observation is there with a disease, 0..1 (never quite): by the graph, else by chance."""
        path = self._path(disease, key)
        manifest = path and _weighed(path).relation in {Relation.MANIFESTS_AS, Relation.SUGGESTS}
        return min(max(_expected(path) if manifest else 0.0, self._leak(key)), 0.95)

    def frequency(self, key: str) -> float:
        """How often the diseases of the graph have an observation, on average: 0..1."""
        return max(self._frequency(key), self._leak(key))

    def _possible(self, disease: str, seen: Mapping[str, float], missing: Mapping[str, float]) -> bool:
        """Whether what a disease needs by its definition may be there.

        A finding is looked for: where it is absent, so is the disease. An exposure (a drug, an injury) is
        told or not: until one of those that a disease can come from is known, the disease is not named.
        """
        for general in self.network.ascent(disease):
            required = {edge.object for edge in self.network.outgoing(general, Relation.REQUIRES)}
            exposures = {key for key in required if self.network.nodes[key].kind in EXPOSURES}
            if (required - exposures) & missing.keys() or (exposures and not exposures & seen.keys()):
                return False
        return True

    def _repeats(self, candidate: Candidate, found: Mapping[str, Candidate]) -> bool:
        """Whether a kind of a disease explains no more than the disease itself, and so tells a reader nothing."""
        general = [found[key] for key in self.network.ascent(candidate.disease) if key in found]
        return any(other.disease != candidate.disease and other.score >= candidate.score - SAME for other in general)

    def _judge(self, disease: str, present: Mapping[str, float], absent: Mapping[str, float]) -> Candidate:
        total = LOG_PRIOR[self.network.nodes[disease].prior]
        reasons: list[Reason] = []
        for key, sure in present.items():
            if key == disease:
                total += LARGEST * sure
                continue
            path = self._path(disease, key)
            if path:
                reasons.append(Reason(observed=key, path=path, score=sure * self._weight(path, key)))
            elif self.network.nodes[key].kind in EXPLAINED:
                leak = self._leak(key)
                total += sure * math.log(leak / max(self._frequency(key), leak))
        general = self.network.ascent(disease)
        for key, sure in absent.items():
            if key in general:
                total -= LARGEST * sure
                continue
            path = self._path(disease, key)
            if path and path[-1].relation is not Relation.ARGUES_AGAINST:
                weight = -sure * self._weight_of_absence(path, key)
                reasons.append(Reason(observed=key, path=path, score=-weight, absent=True))
        reasons.sort(key=lambda reason: (-abs(reason.score), reason.observed))
        total += sum(reason.score for reason in reasons)
        return Candidate(
            disease=disease,
            score=total,
            supporting=tuple(reason for reason in reasons if reason.score > 0),
            contradicting=tuple(reason for reason in reasons if reason.score < 0),
        )

    def _path(self, disease: str, key: str) -> tuple[Edge, ...]:
        """How the graph joins a disease and an observation: directly, or by what the observation is a kind of."""
        for general, steps in self.network.ascent(key).items():
            link = self._links_of(disease).get(general)
            if link:
                return (*link, *steps)
        return ()

    def _links_of(self, disease: str) -> dict[str, tuple[Edge, ...]]:
        if disease not in self._links:
            self._links[disease] = _links(self.network, disease)
        return self._links[disease]

    def _weight(self, path: tuple[Edge, ...], key: str) -> float:
        """Log likelihood ratio of the observation being there, clipped to +-LARGEST."""
        edge = _weighed(path)
        strength = edge.strength
        if edge.relation is Relation.ARGUES_AGAINST:
            ratio = (
                strength.lr_positive if strength.lr_positive is not None else AGAINST[strength.grade or Grade.COMMON]
            )
        elif edge.relation is Relation.IS_A:
            ratio = FREQUENCY[Grade.COMMON] / LEAK
        elif strength.lr_positive is not None:
            ratio = strength.lr_positive
        elif strength.sensitivity is not None and strength.specificity is not None:
            ratio = strength.sensitivity / max(1.0 - strength.specificity, 1e-3)
        elif edge.relation is Relation.RISK_FACTOR_OF:
            ratio = 1.0 + 3.0 * _often(strength)
        else:
            leak = self._leak(key)
            ratio = max(_expected(path), leak) / max(self._frequency(key), leak)
        return max(-LARGEST, min(LARGEST, math.log(max(ratio, 1e-6))))

    def _weight_of_absence(self, path: tuple[Edge, ...], key: str) -> float:
        """Log likelihood ratio of the observation not being there; 0 where its absence says nothing."""
        edge = _weighed(path)
        if edge.relation in {Relation.RISK_FACTOR_OF, Relation.IS_A}:
            return 0.0
        strength = edge.strength
        if path[-1].relation is Relation.IS_A:
            ratio = (1.0 - _expected(path)) / (1.0 - self._frequency(key))
        elif strength.lr_negative is not None:
            ratio = strength.lr_negative
        elif strength.sensitivity is not None and strength.specificity is not None:
            ratio = (1.0 - strength.sensitivity) / max(strength.specificity, 1e-3)
        else:
            ratio = (1.0 - _expected(path)) / (1.0 - self._frequency(key))
        return max(-LARGEST, min(0.0, math.log(max(ratio, 1e-6))))

    def _frequency(self, key: str) -> float:
        """How often the diseases of the graph have a finding, on average."""
        if key not in self._background:
            shares = []
            reached = self._reached((key,))
            for disease in reached:
                path = self._path(disease, key)
                manifest = path and _weighed(path).relation in {Relation.MANIFESTS_AS, Relation.SUGGESTS}
                shares.append(_expected(path) if manifest else self._leak(key))
            others = self._leak(key) * (len(self._diseases) - len(reached))
            self._background[key] = min(math.fsum((*shares, others)) / len(self._diseases), 0.95)
        return self._background[key]

    def _leak(self, key: str) -> float:
        return COMMON_ANYWAY if self.network.nodes[key].kind in {Kind.SYMPTOM, Kind.LAB} else LEAK


def _links(network: Network, disease: str) -> dict[str, tuple[Edge, ...]]:
    """Every concept that speaks for or against a disease, with the path from it.

    A disease inherits what it is a kind of, unless it has an edge of its own to the same concept; the
    more general disease itself supports it, by the is_a edges.
    """
    links: dict[str, tuple[Edge, ...]] = {}
    for general, steps in network.ascent(disease).items():
        for relation in (*SUPPORT, Relation.ARGUES_AGAINST):
            outward = relation is Relation.MANIFESTS_AS
            edges = network.outgoing(general, relation) if outward else network.incoming(general, relation)
            for edge in edges:
                links.setdefault(edge.object if outward else edge.subject, (*steps, edge))
        if steps:
            links.setdefault(general, steps)
    return links


def _most_specific(network: Network, present: Mapping[str, float]) -> dict[str, float]:
    """What was observed without what it only repeats in more general words (an opacity that is a consolidation)."""
    finding = {key for key in present if network.nodes[key].kind is Kind.FINDING}
    repeated = {general for key in finding for general in network.ascent(key) if general != key}
    return {key: sure for key, sure in sorted(present.items()) if key not in repeated}


def _weighed(path: tuple[Edge, ...]) -> Edge:
    """The edge of a path that carries the strength: the one that is not is_a, or the last."""
    return next((edge for edge in path if edge.relation is not Relation.IS_A), path[-1])


def _expected(path: tuple[Edge, ...]) -> float:
    """How often the observation at the end of a path is there; less for one kind of the finding that an edge names."""
    edge = _weighed(path)
    return _often(edge.strength) * ONE_KIND ** (len(path) - 1 - path.index(edge))


def _often(strength: Strength) -> float:
    if strength.sensitivity is not None:
        return strength.sensitivity
    return FREQUENCY[strength.grade] if strength.grade is not None else FREQUENCY[Grade.COMMON]
