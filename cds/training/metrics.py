"""How good a binary model is, with intervals that know that images of one person are not independent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]
Metric = Callable[[Floats, Floats, float], float]

BINS: Final = 15
"""Equal-width bins of the expected calibration error (Guo et al. 2017, arXiv 1706.04599)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; NaN where the data cannot say (one class only)."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float | None]:
        """Plain numbers, null for what is not known."""
        named = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if np.isnan(number) else round(number, 6) for name, number in named.items()}

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def auroc(labels: Floats, probabilities: Floats, threshold: float = 0.5) -> float:
    """Area under the ROC curve by the Mann-Whitney statistic (ties count one half)."""
    positives = int((labels == 1).sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(probabilities)
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def sensitivity(labels: Floats, probabilities: Floats, threshold: float = 0.5) -> float:
    """Share of the positives at or above the threshold."""
    found = probabilities[labels == 1] >= threshold
    return float(found.mean()) if len(found) else float("nan")


def specificity(labels: Floats, probabilities: Floats, threshold: float = 0.5) -> float:
    """Share of the negatives below the threshold."""
    cleared = probabilities[labels == 0] < threshold
    return float(cleared.mean()) if len(cleared) else float("nan")


def balanced_accuracy(labels: Floats, probabilities: Floats, threshold: float = 0.5) -> float:
    """Mean of sensitivity and specificity."""
    return (sensitivity(labels, probabilities, threshold) + specificity(labels, probabilities, threshold)) / 2


def accuracy(labels: Floats, probabilities: Floats, threshold: float = 0.5) -> float:
    """Share that is right."""
    return float(((probabilities >= threshold) == (labels == 1)).mean()) if len(labels) else float("nan")


def brier(labels: Floats, probabilities: Floats, threshold: float = 0.5) -> float:
    """Mean squared distance of probability and outcome."""
    return float(np.mean((probabilities - labels) ** 2)) if len(labels) else float("nan")


def calibration_error(labels: Floats, probabilities: Floats, threshold: float = 0.5) -> float:
    """Expected calibration error of the probability of the positive class, `BINS` equal-width bins."""
    if not len(labels):
        return float("nan")
    index = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(index, weights=probabilities - labels, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


METRICS: Final[Mapping[str, Metric]] = {
    "auroc": auroc,
    "balanced_accuracy": balanced_accuracy,
    "accuracy": accuracy,
    "sensitivity": sensitivity,
    "specificity": specificity,
    "ece": calibration_error,
    "brier": brier,
}


def measured(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    threshold: float = 0.5,
    repeats: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Every metric with its 95 % percentile bootstrap interval.

    Parameters
    ----------
    labels
        0 or 1, shape (n,).
    probabilities
        Of class 1, shape (n,).
    groups
        The person of each row, shape (n,): whole persons are drawn. Without it, rows are.
    """
    y, p = np.asarray(labels, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if y.shape != p.shape or y.ndim != 1:
        raise ValueError(f"labels {y.shape} and probabilities {p.shape} must be two equally long columns")
    if not np.isfinite(p).all() or not np.isin(y, (0.0, 1.0)).all():
        raise ValueError("labels must be 0 or 1, and probabilities numbers")
    rows = _rows_by_group(np.arange(len(y)) if groups is None else np.asarray(groups))
    draws = {name: np.empty(repeats) for name in METRICS}
    rng = np.random.default_rng(seed)
    for repeat in range(repeats):
        drawn = np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))])
        for name, metric in METRICS.items():
            draws[name][repeat] = metric(y[drawn], p[drawn], threshold)
    return {name: _estimate(metric(y, p, threshold), draws[name]) for name, metric in METRICS.items()}


def _rows_by_group(groups: npt.NDArray[np.generic]) -> list[npt.NDArray[np.intp]]:
    _, inverse = np.unique(groups, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    return np.split(order, np.cumsum(np.bincount(inverse))[:-1])


def _estimate(value: float, draws: Floats) -> Estimate:
    known = draws[~np.isnan(draws)]
    low, high = np.percentile(known, (2.5, 97.5)) if len(known) else (np.nan, np.nan)
    return Estimate(value, float(low), float(high))
