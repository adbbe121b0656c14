"""How the laboratory values of the training patients hang together: a normal distribution, fitted with gaps."""

from __future__ import annotations

from typing import Final

import numpy as np

from cds.features.labs_risk.inputs import Floats, Preparation, patterns, regression, scaled

_ROUNDS: Final = 30
_SHRINKAGE: Final = 0.1
"""Towards no correlation: some pairs of analytes were seldom measured together."""
_LEAST_SD: Final = 1e-6
_LEAST_VARIANCE: Final = 1e-6
"""Of a variable that is the same in all patients: it must not make the covariance singular."""


def preparation_of(values: Floats) -> Preparation:
    """Fit the preparation on values in house units, shape (n, d), NaN where missing.

    Expectation and maximisation for incomplete normal data (Dempster, Laird and Rubin 1977,
    doi:10.1111/j.2517-6161.1977.tb01600.x). A variable that nobody has keeps mean 0 and deviation 1.
    """
    rows = scaled(values)
    known = ~np.isnan(rows)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, rows, 0.0).sum(axis=0) / count
    sd = np.sqrt((np.where(known, rows - mean, 0.0) ** 2).sum(axis=0) / count)
    width = rows.shape[1]
    fitted = Preparation(mean, np.where(sd > _LEAST_SD, sd, 1.0), np.zeros(width), np.eye(width))
    standardised = fitted.standardised(values)
    for _ in range(_ROUNDS):
        fitted = _better(fitted, standardised)
    return fitted


def _better(now: Preparation, standardised: Floats) -> Preparation:
    """One round: fill the gaps, then take mean and covariance, with what the gaps leave open."""
    filled = now.filled(standardised)
    left_open = np.zeros_like(now.covariance)
    for rows, there in patterns(~np.isnan(standardised)):
        gone = ~there
        rest = now.covariance[np.ix_(gone, gone)]
        if there.any():
            rest = rest - now.covariance[np.ix_(gone, there)] @ regression(now.covariance, there)
        left_open[np.ix_(gone, gone)] += len(rows) * rest
    centre = filled.mean(axis=0)
    apart = filled - centre
    covariance = (apart.T @ apart + left_open) / len(filled)
    shrunk = (1.0 - _SHRINKAGE) * covariance + _SHRINKAGE * np.diag(np.diag(covariance))
    np.fill_diagonal(shrunk, np.maximum(np.diag(shrunk), _LEAST_VARIANCE))
    return Preparation(now.mean, now.sd, centre, shrunk)
