"""From scores of unseen patients to probabilities and a threshold."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from cds.features.labs_risk.inputs import Floats
from cds.features.labs_risk.model import Calibration, sigmoid

Bools = npt.NDArray[np.bool_]
CURVES: Final = ("temperature", "platt", "isotonic")
"""The simplest first."""
_CANDIDATES: Final = 161
_KNOTS: Final = 30
_NEARLY: Final = 0.001
"""A curve with more freedom must better the Brier score by this much."""


def curve_of(kind: str, scores: Floats, died: Floats, basis: str) -> Calibration:
    """Fit one kind of curve on scores and outcomes, shape (n,)."""
    prior = float(died.mean())
    if kind == "isotonic":
        return Calibration(kind=kind, knots=_knots(scores, died), prior=prior, basis=basis)
    if kind == "platt":
        line = LogisticRegression(C=1e6, max_iter=1000).fit(scores[:, None], died)
        scale, offset = float(line.coef_[0, 0]), float(line.intercept_[0])
        return Calibration(kind=kind, scale=scale, offset=offset, prior=prior, basis=basis)
    best = minimize_scalar(lambda scale: _log_loss(scale * scores, died), bounds=(0.05, 20.0), method="bounded")
    return Calibration(kind=kind, scale=float(best.x), prior=prior, basis=basis)


def _log_loss(logit: Floats, died: Floats) -> float:
    return float(np.mean(np.logaddexp(0.0, logit) - died * logit))


def _knots(scores: Floats, died: Floats) -> tuple[tuple[float, float], ...]:
    """The isotonic steps at evenly spread quantiles: a line through them cannot jump."""
    steps = IsotonicRegression(out_of_bounds="clip").fit(scores, died)
    where = np.unique(np.quantile(scores, np.linspace(0.0, 1.0, _KNOTS)))
    return tuple((float(x), float(y)) for x, y in zip(where, steps.predict(where), strict=True))


def best_curve(
    scores: Floats, died: Floats, parts: npt.NDArray[np.int64], basis: str
) -> tuple[Calibration, dict[str, float]]:
    """The curve with the least Brier score where it was not fitted, and each one's.

    Parameters
    ----------
    scores, died
        Shape (n,).
    parts
        Which part of the patients each row belongs to, shape (n,): a curve is fitted on the others.
    """
    errors = {kind: _brier_elsewhere(kind, scores, died, parts) for kind in CURVES}
    least = min(errors.values())
    chosen = next(kind for kind in CURVES if errors[kind] <= least + _NEARLY)
    return curve_of(chosen, scores, died, basis), errors


def _brier_elsewhere(kind: str, scores: Floats, died: Floats, parts: npt.NDArray[np.int64]) -> float:
    chance = np.empty(len(scores))
    for part in np.unique(parts):
        held = parts == part
        curve = curve_of(kind, scores[~held], died[~held], "")
        chance[held] = sigmoid(curve.log_odds(scores[held]))
    return float(np.mean((chance - died) ** 2))


def threshold_of(scores: Floats, died: Floats, prevalence: float, *, draws: int, seed: int) -> float:
    """The score with the best mean F1 over the conditions where the share `prevalence` dies.

    The median over bootstrap draws of the patients, so that no single patient sets it.

    Parameters
    ----------
    scores
        Shape (conditions, n), NaN where a patient has no value.
    died
        Shape (n,).
    """
    rng = np.random.default_rng(seed)
    tried = np.quantile(scores[~np.isnan(scores)], np.linspace(0.02, 0.98, _CANDIDATES))
    called = scores[:, None, :] >= tried[None, :, None]
    there = (~np.isnan(scores))[:, None, :]
    best = []
    for counts in rng.multinomial(len(died), np.full(len(died), 1 / len(died)), size=draws).astype(np.float64):
        best.append(tried[int(np.argmax(_mean_f1(called & there, there, died, counts, prevalence)))])
    return float(np.median(best))


def _mean_f1(called: Bools, there: Bools, died: Floats, counts: Floats, prevalence: float) -> Floats:
    """Shape (candidates,)."""
    positive, negative = counts * died, counts * (1.0 - died)
    found = called @ positive / np.maximum(there @ positive, 1e-9) * prevalence
    wrong = called @ negative / np.maximum(there @ negative, 1e-9) * (1.0 - prevalence)
    return np.asarray((2.0 * found / (found + wrong + prevalence)).mean(axis=0), dtype=np.float64)
