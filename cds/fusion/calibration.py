"""From raw log-odds of an ensemble to a calibrated probability and its interval.

A temperature is fitted on held-out cases (Guo et al., ICML 2017, arXiv:1706.04599). The interval is
split-conformal on the ensemble's spread: its half-width is ``scale * (spread + FLOOR)``, both in
probability, with the scale at which 95 % of held-out cases have their exact posterior inside. It
says how well the network knows the cohort it was trained on, not how well that cohort resembles a
hospital.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from cds.fusion.spec import TargetSpec

Array = npt.NDArray[np.float64]

FLOOR: Final = 0.002
"""Probability added to the spread: members that agree by chance do not make a zero-width interval."""
COVERAGE: Final = 0.95
LEAST: Final = 0.001
"""No bound is nearer to 0 or 1, unless the probability itself is: a bound of 0 would say impossible."""


def fit_temperature(log_odds: Array, labels: npt.NDArray[np.bool_]) -> float:
    """The temperature (0.2 to 5) with the least log loss of ``log_odds / temperature`` on `labels`, both (n,)."""
    sign = np.where(labels, 1.0, -1.0)
    found = minimize_scalar(
        lambda logt: -float(np.mean(log_expit(sign * log_odds / np.exp(logt)))),
        bounds=(np.log(0.2), np.log(5.0)),
        method="bounded",
    )
    return float(np.exp(found.x))


def calibrated(raw: Array, targets: tuple[TargetSpec, ...]) -> tuple[Array, Array, Array]:
    """Probability, lower and upper bound, each (n, targets), from raw log-odds (members, n, targets)."""
    scale = np.array([target.interval_scale for target in targets])
    members = member_log_odds(raw, targets)
    probability = expit(members.mean(axis=0))
    half = scale * (spread(members) + FLOOR)
    low = np.maximum(probability - half, np.minimum(probability, LEAST))
    high = np.minimum(probability + half, np.maximum(probability, 1.0 - LEAST))
    return probability, low, high


def member_log_odds(raw: Array, targets: tuple[TargetSpec, ...]) -> Array:
    """Each member's calibrated log-odds (members, n, targets)."""
    temperature = np.array([target.temperature for target in targets])
    offset = np.array([target.offset for target in targets])
    return np.asarray(raw / temperature + offset)


def spread(members: Array) -> Array:
    """Standard deviation of the members' probabilities (n, ...) from log-odds; 0 for an ensemble of one."""
    return expit(members).std(axis=0, ddof=1) if len(members) > 1 else np.zeros(members.shape[1:])


def fit_interval_scale(members: Array, exact: Array) -> float:
    """The conformal scale from log-odds of members (m, n) and the exact posterior (n,): quantile at `COVERAGE`."""
    score = np.sort(np.abs(exact - expit(members.mean(axis=0))) / (spread(members) + FLOOR))
    rank = min(len(score), int(np.ceil((len(score) + 1) * COVERAGE)))
    return float(score[rank - 1])
