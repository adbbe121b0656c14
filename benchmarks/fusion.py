"""Measure the fusion again: AUROC against the best possible, calibration, and the time of one case.

    python benchmarks/fusion.py [--weights FILE] [--cases 10000] [--json]

Reads the shipped weights and draws fresh cases from the simulated cohort, with a seed that neither
training nor calibration used. The figures of the model card come from the same function.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch

from cds.fusion.transformer import FusionSettings, TransformerFusion
from cds.fusion.weights import SHIPPED, load_weights
from cds.testing.contract_fusion import fuse, sample_evidence
from cds.training.cohort import load_cohort
from cds.training.fusion_evaluation import Measuring, measure_on_cohort

Figures = Mapping[str, float]


def milliseconds_per_case(weights: Path, repeats: int = 30) -> dict[str, float]:
    """Median and slowest time of one `fuse` with four modalities (16 coalitions), after a warm-up."""
    model = TransformerFusion(FusionSettings(weights=str(weights)))
    size = load_weights(weights, torch.device("cpu")).spec.xray.embedding_size
    evidence = sample_evidence(embedding_size=size)
    fuse(model, evidence)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        fuse(model, evidence)
        times.append(1000 * (time.perf_counter() - started))
    return {"median": round(statistics.median(times), 2), "slowest": round(max(times), 2)}


def main() -> None:
    """Print the figures as a table, or all of them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    weights = load_weights(given.weights, torch.device("cpu"))
    figures = measure_on_cohort(weights, load_cohort(weights.xray), Measuring(cases=given.cases, seed=given.seed))
    spent = milliseconds_per_case(given.weights)
    if given.json:
        print(json.dumps({"figures": figures, "milliseconds_per_case": spent}, indent=1))
        return
    print(f"{'target':12} {'modalities':20} {'fusion':>24} {'best possible':>14} {'best single':>24}")
    for target, parts in figures.items():
        for name, row in cast("Mapping[str, Mapping[str, Mapping[str, object]]]", parts)["auroc"].items():
            fused, best = cast(Figures, row["fusion"]), cast(Figures, row["best_possible"])
            single = str(row["best_single"])
            alone = f"{single} {cast('Mapping[str, Figures]', row['single'])[single]['value']:.4f}"
            said = f"{fused['value']:.4f} ({fused['low']:.4f}-{fused['high']:.4f})"
            print(f"{target:12} {name:20} {said:>24} {best['value']:>14.4f} {alone:>24}")
    print(f"one case: median {spent['median']} ms, slowest {spent['slowest']} ms")


if __name__ == "__main__":
    main()
