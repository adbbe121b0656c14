"""How often the differential names the disease of a simulated patient, against Resnik similarity on the same patients.

    python benchmarks/kg_differential.py [--patients 300] [--seed 1] [--data DIR] [--json FILE]

Patients are drawn from HPO's annotations as in Koehler et al. 2009 (doi:10.1016/j.ajhg.2009.09.003): a disease, each
of its phenotypes with the frequency that its annotation gives (`UNSAID` where it gives none: the others are dropped),
at least `FEWEST` and at most `MOST` of them. Imprecision replaces a phenotype by something that it is a kind of: every
one (`vague`), as published, or each with a chance of one half (`half_vague`), which is our milder form. Noise then adds
half as many phenotypes that are neither above nor below one of the disease or of each other. All kinds of patients have
the same diseases and start from the same phenotypes. `vague_noise` is the published protocol with everything.

`ours` is `Differential` over the packed arrays of the import. `resnik` is the best-match average: how alike two
phenotypes are is the information content of what both are a kind of (-ln of the share of diseases that have it); the
mean over the patient's phenotypes of the best match in the disease, and the mean over the disease's of the best match
in the patient, are averaged. `resnik_query` is the first of the two means alone. `resnik` and `resnik_query` rank every
annotated disease, `ours` those that some phenotype reaches; one that is not named is missed. Of diseases with the same
score each order is taken as equally likely. Intervals are 95 % of a bootstrap over patients.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from knowledge_graph.arrays import MappedNetwork, pack
from knowledge_graph.graph import Network
from knowledge_graph.imports import read_source
from knowledge_graph.model import Graph, Relation
from knowledge_graph.query import SAME, Differential

FILES: Final = ("kg_hp.obo.gz", "kg_hp_phenotype_annotation.tab.gz")
DATA: Final = Path(os.environ.get("CDS_DATA", Path(__file__).parents[2] / "shared" / "data"))
TOP: Final = "HP:0000118"
"""Phenotypic abnormality: what lies above it describes no patient."""
UNSAID: Final = 0.5
"""How often a phenotype is drawn whose annotation does not say how often it is there."""
FEWEST: Final = 3
MOST: Final = 10
CUTS: Final = (1, 10)
RESAMPLES: Final = 2000
CONDITIONS: Final = {
    "plain": (0.0, False),
    "noise": (0.0, True),
    "half_vague": (0.5, False),
    "half_vague_noise": (0.5, True),
    "vague": (1.0, False),
    "vague_noise": (1.0, True),
}
"""Each with the share of phenotypes that are made less precise, and whether others are added."""

Floats = npt.NDArray[np.float64]
Annotations = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The disease of a patient, and the phenotypes that are told: keys."""

    disease: str
    phenotypes: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, rank and print; 1 where the files are not there."""
    parser = argparse.ArgumentParser(description="Simulated patients: the differential against Resnik similarity.")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--patients", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="Write the figures there.")
    options = parser.parse_args(arguments)
    missing = [name for name in FILES if not (options.data / name).is_file()]
    if missing:
        print(f"not there: {', '.join(missing)}; name their folder with --data", file=sys.stderr)
        return 1
    imported = read_source([options.data / name for name in FILES], datetime.now(UTC), "hpo", "HPO licence")
    graph = Graph(nodes=imported.nodes, edges=imported.edges)
    with tempfile.TemporaryDirectory() as folder:
        pack(graph, Path(folder) / "arrays")
        result = compared(graph, MappedNetwork(Path(folder) / "arrays"), options.patients, options.seed)
    text = json.dumps(result, indent=1)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


def compared(graph: Graph, network: Network, count: int, seed: int) -> dict[str, object]:
    """Both rankings of all patients, condition by condition."""
    annotations = annotated(graph)
    differential, resnik = Differential(network), Resnik(network, annotations)
    figures: dict[str, object] = {}
    for condition, patients in drawn(network, annotations, count, seed).items():
        hits: dict[str, list[list[float]]] = {"ours": [], "resnik": [], "resnik_query": []}
        seconds: list[float] = []
        for patient in patients:
            begun = time.perf_counter()
            candidates = differential.rank(dict.fromkeys(patient.phenotypes, 1.0))
            seconds.append(time.perf_counter() - begun)
            hits["ours"].append(hit({item.disease: item.score for item in candidates}, patient.disease))
            whole, query = resnik.scores(patient.phenotypes)
            hits["resnik"].append(hit(dict(zip(resnik.diseases, whole.tolist(), strict=True)), patient.disease))
            hits["resnik_query"].append(hit(dict(zip(resnik.diseases, query.tolist(), strict=True)), patient.disease))
        figures[condition] = {
            "phenotypes_median": statistics.median(len(patient.phenotypes) for patient in patients),
            **recalls({name: np.array(values) for name, values in hits.items()}, seed),
            "ours_ms_median": round(1000 * statistics.median(seconds), 1),
        }
        print(condition, figures[condition], file=sys.stderr)
    return {"graph": network.sha256, "diseases": len(annotations), "patients": count, "seed": seed, **figures}


def annotated(graph: Graph) -> Annotations:
    """The phenotypes of each disease, and how often the annotation says they are there (`UNSAID`: it does not)."""
    found: dict[str, dict[str, float]] = {}
    for edge in graph.edges:
        if edge.relation is Relation.MANIFESTS_AS:
            often = edge.strength.sensitivity
            found.setdefault(edge.subject, {})[edge.object] = UNSAID if often is None else often
    return found


def drawn(network: Network, annotations: Annotations, count: int, seed: int) -> dict[str, list[Patient]]:
    """The patients of each condition: diseases, none twice, that show `FEWEST` phenotypes or more on average."""
    draw = random.Random(seed)
    usual = sorted({key for phenotypes in annotations.values() for key in phenotypes if TOP in network.ascent(key)})
    enough = sorted(key for key, phenotypes in annotations.items() if sum(phenotypes.values()) >= FEWEST)
    patients: dict[str, list[Patient]] = {condition: [] for condition in CONDITIONS}
    for disease in draw.sample(enough, count):
        shown = manifested(draw, annotations[disease])
        added = unrelated(draw, network, usual, annotations[disease], len(shown) // 2)
        vague = [(draw.random(), key, less_precise(draw, network, key)) for key in shown]
        for condition, (share, noise) in CONDITIONS.items():
            told = list(dict.fromkeys(general if chance < share else key for chance, key, general in vague))
            extra = added[: len(told) // 2] if noise else []
            patients[condition].append(Patient(disease=disease, phenotypes=(*told, *extra)))
    return patients


def manifested(draw: random.Random, phenotypes: Mapping[str, float]) -> list[str]:
    """What one patient shows of a disease: each phenotype as often as it is there, `FEWEST` to `MOST` of them."""
    while True:
        shown = [key for key, often in sorted(phenotypes.items()) if draw.random() < often]
        if len(shown) >= FEWEST:
            return draw.sample(shown, min(len(shown), MOST))


def unrelated(
    draw: random.Random, network: Network, usual: Sequence[str], phenotypes: Iterable[str], count: int
) -> list[str]:
    """Phenotypes that are neither above nor below one of the disease, or one another."""
    taken, added = list(phenotypes), list[str]()
    while len(added) < count:
        key = draw.choice(usual)
        if not any(key in network.ascent(other) or other in network.ascent(key) for other in taken):
            taken.append(key)
            added.append(key)
    return added


def less_precise(draw: random.Random, network: Network, key: str) -> str:
    """Something that a phenotype is a kind of, each as likely; itself where there is nothing that says anything."""
    above = sorted(other for other in network.ascent(key) if other not in {key, TOP} and TOP in network.ascent(other))
    return draw.choice(above) if above else key


class Resnik:
    """How alike a patient's phenotypes and those of each disease are, by information content."""

    def __init__(self, network: Network, annotations: Annotations):
        self.diseases = sorted(annotations)
        self._network = network
        keys = sorted({key for phenotypes in annotations.values() for key in phenotypes})
        index = {key: at for at, key in enumerate(keys)}
        self._terms = len(keys)
        rows = [sorted(index[key] for key in annotations[disease]) for disease in self.diseases]
        self._row = np.array([at for row in rows for at in row])
        self._counts = np.array([len(row) for row in rows])
        self._starts = np.cumsum(self._counts) - self._counts
        below: dict[str, list[int]] = {}
        for key, at in index.items():
            for general in network.ascent(key):
                below.setdefault(general, []).append(at)
        self._below = {general: np.array(ats) for general, ats in below.items()}
        having: dict[str, int] = {}
        for phenotypes in annotations.values():
            for general in {general for key in phenotypes for general in network.ascent(key)}:
                having[general] = having.get(general, 0) + 1
        self.content = {key: -float(np.log(number / len(annotations))) for key, number in having.items()}

    def scores(self, phenotypes: Sequence[str]) -> tuple[Floats, Floats]:
        """Best-match average, and the patient's side of it alone, by disease: each ``(diseases,)``, in nats."""
        alike = np.stack([self._alike(key) for key in phenotypes])
        query = np.maximum.reduceat(alike[:, self._row], self._starts, axis=1).mean(axis=0)
        disease = np.add.reduceat(alike.max(axis=0)[self._row], self._starts) / self._counts
        return (query + disease) / 2, query

    def _alike(self, key: str) -> Floats:
        """The information content of the most telling concept that both are a kind of, by annotated phenotype."""
        alike = np.zeros(self._terms)
        shared = [general for general in self._network.ascent(key) if general in self.content]
        for general in sorted(shared, key=lambda general: self.content[general]):
            alike[self._below[general]] = self.content[general]
        return alike


def hit(scores: Mapping[str, float], truth: str) -> list[float]:
    """How likely the disease is among the first of each of `CUTS`, where those of one score come in any order."""
    if truth not in scores:
        return [0.0 for _ in CUTS]
    values = np.fromiter(scores.values(), dtype=np.float64)
    better = int((values > scores[truth] + SAME).sum())
    tied = int((np.abs(values - scores[truth]) <= SAME).sum())
    return [min(max((cut - better) / tied, 0.0), 1.0) for cut in CUTS]


def recalls(hits: Mapping[str, Floats], seed: int) -> dict[str, object]:
    """Recall by ranking and cut with its interval, and ours less the others, patient by patient."""
    draw = np.random.default_rng(seed)
    count = len(hits["ours"])
    picks = draw.integers(0, count, size=(RESAMPLES, count))
    result: dict[str, object] = {
        name: {f"top{cut}": interval(values[:, at], picks) for at, cut in enumerate(CUTS)}
        for name, values in hits.items()
    }
    for name in ("resnik", "resnik_query"):
        less = hits["ours"] - hits[name]
        result[f"ours_less_{name}"] = {f"top{cut}": interval(less[:, at], picks) for at, cut in enumerate(CUTS)}
    return result


def interval(values: Floats, picks: npt.NDArray[np.int64]) -> list[float]:
    """The mean, and 2.5 and 97.5 % of the means of the resamples."""
    low, high = np.percentile(values[picks].mean(axis=1), (2.5, 97.5))
    return [round(float(value), 3) for value in (values.mean(), low, high)]


if __name__ == "__main__":
    sys.exit(main())
