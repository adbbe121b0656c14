"""How good a fusion is: against the best possible score, against each modality alone, and calibrated or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cds.fusion.calibration import calibrated
from cds.fusion.spec import MODALITIES, FusionSpec
from cds.fusion.tokens import Tokens
from cds.fusion.weights import FusionWeights
from cds.training.cohort import TARGETS, Cohort
from cds.training.fusion_manifest import RealCohort
from cds.training.metrics import Estimate, auroc, calibration_error, measured

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Json = Mapping[str, object]

EVEN: Final = np.full(len(TARGETS), 0.5)
"""Prevalence of the sets on which AUROC is measured: it does not depend on it, its interval does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """How many cases, bootstrap repeats, and the seed (one that no training or calibration used)."""

    cases: int = 10_000
    repeats: int = 300
    seed: int = 909


def bearing(spec: FusionSpec, target: str) -> tuple[int, ...]:
    """The modalities (columns of `MODALITIES`) that bear on `target`."""
    there = (
        spec.xray.target == target,
        spec.nodule.target == target,
        any(analyte.target == target for analyte in spec.analytes),
        any(mention.target == target for mention in spec.mentions),
    )
    return tuple(column for column, bears in enumerate(there) if bears)


def measure_on_cohort(weights: FusionWeights, cohort: Cohort, measuring: Measuring) -> Json:
    """All figures of the model card, per target, as plain numbers."""
    tokens, truth = cohort.sample(measuring.cases, measuring.seed, prevalence=EVEN, complete=True)
    natural, outcome = cohort.sample(2 * measuring.cases, measuring.seed + 1)
    return {
        target: {
            "auroc": _discrimination(weights, cohort, tokens, truth[:, column], column, measuring),
            "calibration": _calibration(weights, cohort, natural, outcome[:, column], column, measuring),
        }
        for column, target in enumerate(TARGETS)
    }


def _discrimination(
    weights: FusionWeights, cohort: Cohort, tokens: Tokens, truth: Flags, target: int, measuring: Measuring
) -> Json:
    """With all modalities, and with each that bears on the target removed: fusion, best possible, best single."""
    columns = bearing(weights.spec, TARGETS[target])
    settings = {"all": tuple(range(len(MODALITIES)))}
    for gone in columns:
        settings[f"without {MODALITIES[gone]}"] = tuple(m for m in range(len(MODALITIES)) if m != gone)
    return {
        name: _compare(weights, cohort, tokens, truth, target, kept, [m for m in columns if m in kept], measuring)
        for name, kept in settings.items()
    }


def _compare(
    weights: FusionWeights,
    cohort: Cohort,
    tokens: Tokens,
    truth: Flags,
    target: int,
    kept: Sequence[int],
    singles: Sequence[int],
    measuring: Measuring,
) -> Json:
    part = only(tokens, kept)
    scores = {"fusion": fused(weights, part)[:, target], "best_possible": cohort.bayes_score(part)[:, target]}
    for modality in singles:
        # The strongest rival: the exact posterior of that modality alone, not a model of it.
        scores[MODALITIES[modality]] = cohort.bayes_score(only(tokens, [modality]))[:, target]
    draws = bootstrap(scores, truth, measuring)
    alone = {MODALITIES[m]: draws[MODALITIES[m]] for m in singles}
    best = max(alone, key=lambda name: alone[name][0])
    return {
        "fusion": estimate(draws["fusion"]).as_json(),
        "best_possible": estimate(draws["best_possible"]).as_json(),
        "share_of_best_possible": estimate(draws["fusion"] / draws["best_possible"]).as_json(),
        "single": {name: estimate(values).as_json() for name, values in alone.items()},
        "best_single": best,
        "gain_over_best_single": estimate(draws["fusion"] - alone[best]).as_json(),
    }


def _calibration(
    weights: FusionWeights, cohort: Cohort, tokens: Tokens, truth: Flags, target: int, measuring: Measuring
) -> Json:
    """At the cohort's own prevalence, modalities missing at random."""
    raw = weights.ensemble.log_odds(tokens)
    probability, low, high = (part[:, target] for part in calibrated(raw, weights.spec.targets))
    exact = 1 / (1 + np.exp(-cohort.bayes_score(tokens)[:, target]))
    rows = np.arange(len(truth))
    return {
        "ece": _resampled(lambda r: calibration_error(truth[r].astype(float), probability[r]), rows, measuring),
        "ece_best_possible": calibration_error(truth.astype(float), exact),
        "mean_distance_to_exact": float(np.abs(probability - exact).mean()),
        "interval_coverage_of_exact": float(((low <= exact) & (exact <= high)).mean()),
        "median_interval_width": float(np.median(high - low)),
        "prevalence": float(truth.mean()),
    }


def measure_on_cases(weights: FusionWeights, cases: RealCohort, measuring: Measuring) -> Json:
    """Figures on real cases, per target, with intervals by person; a target without both classes is left out."""
    probability, _, _ = calibrated(weights.ensemble.log_odds(cases.tokens), weights.spec.targets)
    figures: dict[str, object] = {}
    for column, target in enumerate(weights.spec.targets):
        known = np.isfinite(cases.labels[:, column])
        labels = cases.labels[known, column]
        if len(np.unique(labels)) == 2:
            found = measured(
                labels,
                probability[known, column],
                cases.groups[known],
                threshold=target.present_from,
                repeats=measuring.repeats,
                seed=measuring.seed,
            )
            figures[target.id] = {"cases": len(labels)} | {name: value.as_json() for name, value in found.items()}
    return figures


def only(tokens: Tokens, kept: Sequence[int]) -> Tokens:
    """The cases with only the modalities `kept`."""
    present = np.zeros((len(tokens), len(MODALITIES)), dtype=bool)
    present[:, list(kept)] = True
    return tokens.keep(present)


def fused(weights: FusionWeights, tokens: Tokens) -> Array:
    """Calibrated log-odds (n, targets)."""
    probability, _, _ = calibrated(weights.ensemble.log_odds(tokens), weights.spec.targets)
    clipped = np.clip(probability, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(clipped / (1 - clipped)))


def bootstrap(scores: Mapping[str, Array], truth: Flags, measuring: Measuring) -> dict[str, Array]:
    """AUROC of each score (repeats + 1,): first on all cases, then on resamples shared by all scores."""
    rng = np.random.default_rng(measuring.seed)
    rows = [np.arange(len(truth)), *(rng.integers(0, len(truth), len(truth)) for _ in range(measuring.repeats))]
    labels = truth.astype(float)
    return {name: np.array([auroc(labels[row], score[row]) for row in rows]) for name, score in scores.items()}


def estimate(draws: Array) -> Estimate:
    """The first draw with the 95 % percentile interval of the others."""
    low, high = np.percentile(draws[1:], (2.5, 97.5))
    return Estimate(float(draws[0]), float(low), float(high))


def _resampled(
    metric: Callable[[npt.NDArray[np.intp]], float], rows: npt.NDArray[np.intp], measuring: Measuring
) -> Json:
    rng = np.random.default_rng(measuring.seed)
    draws = [metric(rng.choice(rows, len(rows))) for _ in range(measuring.repeats)]
    return estimate(np.array([metric(rows), *draws])).as_json()
