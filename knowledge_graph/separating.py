"""What is not known yet and would tell most: about one disease, and between the likeliest ones.

Both rest on how often the graph's sources see a finding or laboratory pattern with a disease. The second is the
expected information gain, in bits: how much less uncertain the first few diseases would be, on average over
what the observation may turn out to be.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from knowledge_graph.graph import Network
from knowledge_graph.model import Kind
from knowledge_graph.query import Candidate, Differential

FIRST: Final = 4
"""Between so many of the likeliest diseases the next observation should decide."""
LOOKED_FOR: Final = frozenset({Kind.FINDING, Kind.LAB})
"""What an examination can look for; symptoms are asked for, and texts rarely say all of them."""
EXPECTED_AT_LEAST: Final = 0.3
"""What is seen in fewer of a disease's patients is not asked for."""
LEAST_BITS: Final = 0.05
"""An observation that would tell less than this is not worth a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Separator:
    """An observation that would tell the likeliest diseases apart, and which of them it would speak for most."""

    observation: str
    bits: float
    speaks_for: str


def missing(differential: Differential, candidate: Candidate, known: Collection[str], most: int = 2) -> tuple[str, ...]:
    """What a disease would show, is not known either way, and would raise it most: by key, the most telling first.

    Parameters
    ----------
    known
        What was observed, present or absent; other kinds of what one of these is a kind of count as known too
        (whoever saw a consolidation has looked for opacities).
    """
    network = differential.network
    told = _told(network, known)
    gains = {
        key: often * _raise(differential, candidate.disease, key)
        for key in _shown(differential, candidate.disease)
        if not network.ascent(key).keys() & told
        and (often := differential.expected(candidate.disease, key)) >= EXPECTED_AT_LEAST
    }
    telling = [key for key, gain in gains.items() if gain > 0.0]
    return tuple(sorted(telling, key=lambda key: (-gains[key], key))[:most])


def separators(
    differential: Differential, ranked: Sequence[Candidate], known: Collection[str]
) -> tuple[Separator, ...]:
    """Observations not known yet, by how much they are expected to tell the first diseases apart, the most first."""
    first = ranked[:FIRST]
    if len(first) < 2:
        return ()
    shares = _shares([candidate.score for candidate in first])
    network = differential.network
    told = _told(network, known)
    shown = {key for one in first for key in _shown(differential, one.disease)}
    keys = sorted(key for key in shown if not network.ascent(key).keys() & told)
    found = [_separator(differential, [one.disease for one in first], shares, key) for key in keys]
    return tuple(sorted((one for one in found if one.bits >= LEAST_BITS), key=lambda one: (-one.bits, one.observation)))


def _separator(differential: Differential, diseases: Sequence[str], shares: Sequence[float], key: str) -> Separator:
    often = [differential.expected(disease, key) for disease in diseases]
    there = sum(share * each for share, each in zip(shares, often, strict=True))
    present = [share * each / there for share, each in zip(shares, often, strict=True)]
    lacking = [share * (1.0 - each) / (1.0 - there) for share, each in zip(shares, often, strict=True)]
    bits = _entropy(shares) - there * _entropy(present) - (1.0 - there) * _entropy(lacking)
    most = max(range(len(diseases)), key=lambda index: (often[index], -index))
    return Separator(observation=key, bits=max(bits, 0.0), speaks_for=diseases[most])


def _told(network: Network, known: Collection[str]) -> set[str]:
    return {general for key in known for general in network.ascent(key)}


def _shown(differential: Differential, disease: str) -> list[str]:
    nodes = differential.network.nodes
    return [key for key in differential.manifestations(disease) if nodes[key].kind in LOOKED_FOR]


def _raise(differential: Differential, disease: str, key: str) -> float:
    return math.log(differential.expected(disease, key) / differential.frequency(key))


def _shares(scores: Sequence[float]) -> list[float]:
    weights = [math.exp(score - max(scores)) for score in scores]
    return [weight / sum(weights) for weight in weights]


def _entropy(shares: Sequence[float]) -> float:
    return -sum(share * math.log2(share) for share in shares if share > 0.0)
