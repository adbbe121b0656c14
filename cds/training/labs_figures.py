"""Figures of the risk model with intervals: drawn by patient, and weighted to any share of deaths."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from cds.features.labs_risk.inputs import THREE, VARIABLES, Floats
from cds.training.metrics import BINS, Estimate

Bools = npt.NDArray[np.bool_]
FIGURES: Final = (
    "auroc",
    "accuracy",
    "f1",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "sensitivity_at_90_specificity",
    "ece",
)
_LDH, _LYMPHOCYTES, _CRP = (VARIABLES.index(key) for key in THREE)
_FALSE_ALARMS: Final = 0.1


def figures(
    scores: Floats,
    chances: Floats,
    called: Bools,
    died: Floats,
    persons: npt.NDArray[np.int64],
    *,
    prevalence: float | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Every figure with its 95 % percentile bootstrap interval; whole patients are drawn.

    Parameters
    ----------
    scores, chances, called, died
        Score, probability of death, whether called at high risk, and outcome 0 or 1; shape (n,).
    persons
        The number of the patient of each row, shape (n,).
    prevalence
        The share of deaths that the rows are weighted to; None for the share that there is.
    """
    _, row_person = np.unique(persons, return_inverse=True)
    count = int(row_person.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)
    weights = np.concatenate([np.ones((1, count)), drawn])[:, row_person]
    if prevalence is not None:
        weights = _weighted_to(prevalence, weights, died)
    found = _all_figures(scores, chances, called, died, weights)
    return {name: _estimate(values) for name, values in found.items()}


def _weighted_to(prevalence: float, weights: Floats, died: Floats) -> Floats:
    deaths = (weights @ died)[:, None]
    others = (weights @ (1.0 - died))[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return weights * np.where(died == 1.0, prevalence / deaths, (1.0 - prevalence) / others)


def _estimate(values: Floats) -> Estimate:
    known = values[1:][~np.isnan(values[1:])]
    low, high = np.percentile(known, (2.5, 97.5)) if len(known) else (np.nan, np.nan)
    return Estimate(float(values[0]), float(low), float(high))


def _all_figures(scores: Floats, chances: Floats, called: Bools, died: Floats, weights: Floats) -> dict[str, Floats]:
    """Each figure for each row of `weights`, shape (draws,)."""
    alive = 1.0 - died
    with np.errstate(divide="ignore", invalid="ignore"):
        deaths, survivors = weights @ died, weights @ alive
        found, alarms = weights @ (died * called), weights @ (alive * called)
        sensitivity, specificity = found / deaths, 1.0 - alarms / survivors
        area, at_90 = _curve(scores, died, weights)
        return {
            "auroc": area,
            "accuracy": (found + survivors - alarms) / (deaths + survivors),
            "f1": 2.0 * found / (deaths + found + alarms),
            "balanced_accuracy": (sensitivity + specificity) / 2.0,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "sensitivity_at_90_specificity": at_90,
            "ece": _calibration_error(chances, died, weights),
        }


def _curve(scores: Floats, died: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Area under the ROC curve, ties counted one half, and the sensitivity at 90 % specificity."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))
    deaths = np.add.reduceat(weights[:, order] * died[order], starts, axis=1)
    others = np.add.reduceat(weights[:, order] * (1.0 - died[order]), starts, axis=1)
    found = np.cumsum(deaths, axis=1) / deaths.sum(axis=1, keepdims=True)
    alarms = np.cumsum(others, axis=1) / others.sum(axis=1, keepdims=True)
    before = np.concatenate([np.zeros((len(weights), 1)), found[:, :-1]], axis=1)
    steps = np.diff(alarms, axis=1, prepend=0.0)
    at_90 = np.where(alarms <= _FALSE_ALARMS + 1e-12, found, 0.0).max(axis=1)
    return ((found + before) / 2.0 * steps).sum(axis=1), at_90


def _calibration_error(chances: Floats, died: Floats, weights: Floats) -> Floats:
    place = np.minimum((chances * BINS).astype(np.int64), BINS - 1)
    gaps = [np.abs(weights @ ((chances - died) * (place == number))) for number in range(BINS)]
    return np.asarray(np.sum(gaps, axis=0) / weights.sum(axis=1), dtype=np.float64)


def published_tree(values: Floats) -> Bools:
    """High risk by the tree of Yan et al. 2020 (doi:10.1038/s42256-020-0180-7, figure 2), shape (n,).

    LDH from 365 U/L; else hs-CRP from 41.2 mg/L with lymphocytes up to 14.7 %. What is missing is taken as the
    median of the rows.
    """
    known = np.where(
        np.isnan(values), np.nanmedian(np.where(np.isnan(values).all(axis=0), 0.0, values), axis=0), values
    )
    late = (known[:, _CRP] >= 41.2) & (known[:, _LYMPHOCYTES] <= 14.7)
    return np.asarray((known[:, _LDH] >= 365.0) | late, dtype=np.bool_)


def share_of_cohorts_beyond(
    called: Bools, died: Floats, *, deaths: int, survivors: int, accuracy: float, f1: float, draws: int = 4000
) -> float:
    """In what share of cohorts drawn from the rows, with so many deaths, both figures are exceeded."""
    rng = np.random.default_rng(0)
    found = rng.choice(called[died == 1.0], (draws, deaths)).sum(axis=1)
    alarms = rng.choice(called[died == 0.0], (draws, survivors)).sum(axis=1)
    right = (found + survivors - alarms) / (deaths + survivors)
    harmonic = 2.0 * found / (deaths + found + alarms)
    return float(np.mean((right > accuracy) & (harmonic > f1)))
