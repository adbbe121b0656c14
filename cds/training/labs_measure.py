"""What the cross-validation says: every kind of classifier under every condition, and which one ships."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cds.features.labs_risk.inputs import Floats
from cds.features.labs_risk.model import Calibration, sigmoid
from cds.features.labs_risk.scorers import KINDS
from cds.training.labs_calibrate import Bools, curve_of, threshold_of
from cds.training.labs_conditions import CONDITIONS
from cds.training.labs_cross import Crossed, Progress, Views
from cds.training.labs_figures import figures, published_tree, share_of_cohorts_beyond
from cds.training.metrics import Estimate, auroc

Figures = dict[str, dict[str, float | None]]
TREE: Final = "published tree"
NEARLY: Final = 0.005
"""A simpler kind ships where its largest shortfall in AUROC exceeds the least one by no more than this."""
DRAWS: Final = 1000
_DEATHS, _SURVIVORS = 13, 97
_PUBLISHED: Final = {"last": (0.973, 0.889), "admission": (0.882, 0.649)}
"""Accuracy and F1 of the published tree on its 110 test patients, 13 of whom died (Yan et al. 2020)."""


@dataclass(frozen=True, slots=True, eq=False)
class Unseen:
    """What one kind said of patients whom neither model, curve nor threshold had seen.

    Arrays have the shape (conditions, repeats, n); scores are NaN where a patient has no value.
    """

    scores: Floats
    chances: Floats
    called: Bools


def flat(crossed: Crossed, kind: str, died: npt.NDArray[np.int64]) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Scores, outcomes and patient's number of every row that there is, over conditions and repeats; shape (n,)."""
    scores = crossed.scores[KINDS.index(kind)]
    persons = np.broadcast_to(np.arange(len(died)), scores.shape)
    there = ~np.isnan(scores)
    return scores[there], died[persons[there]].astype(np.float64), persons[there]


def unseen(crossed: Crossed, kind: str, died: npt.NDArray[np.int64], curve: str, prevalence: float) -> Unseen:
    """Curve and threshold of each fold are fitted on the other folds of the same repeat."""
    scores = crossed.scores[KINDS.index(kind)]
    chances, called = np.full(scores.shape, np.nan), np.zeros(scores.shape, dtype=np.bool_)
    outcome = died.astype(np.float64)
    for repeat, folds in enumerate(crossed.folds):
        for fold in np.unique(folds):
            held, rest = folds == fold, folds != fold
            others = scores[:, repeat, rest]
            there = ~np.isnan(others)
            fitted = curve_of(curve, others[there], np.broadcast_to(outcome[rest], others.shape)[there], "")
            limit = threshold_of(others, outcome[rest], prevalence, draws=20, seed=repeat)
            mine = scores[:, repeat, held]
            chances[:, repeat, held] = sigmoid(fitted.log_odds(mine))
            called[:, repeat, held] = mine >= limit
    return Unseen(scores, chances, called)


def chosen_kind(crossed: Crossed, died: npt.NDArray[np.int64]) -> tuple[str, dict[str, float]]:
    """The simplest kind whose largest shortfall in AUROC, over the conditions, is nearly the least; and each one's."""
    areas = np.array(
        [[_area(crossed.scores[kind, place], died) for place in range(len(CONDITIONS))] for kind in range(len(KINDS))]
    )
    shortfall = (areas.max(axis=0) - areas).max(axis=1)
    kind = next(kind for kind, worst in zip(KINDS, shortfall, strict=True) if worst <= shortfall.min() + NEARLY)
    return kind, {name: float(worst) for name, worst in zip(KINDS, shortfall, strict=True)}


def _area(scores: Floats, died: npt.NDArray[np.int64]) -> float:
    """Mean AUROC of the repeats, shape of `scores` (repeats, n)."""
    found = []
    for row in scores:
        there = ~np.isnan(row)
        found.append(auroc(died[there].astype(np.float64), row[there]))
    return float(np.mean(found))


def compared(
    crossed: Crossed, views: Views, curves: Mapping[str, Calibration], prevalence: float, progress: Progress
) -> dict[str, object]:
    """Figures by kind, condition and share of deaths, and how often a cohort like the published one is bettered."""
    found: dict[str, object] = {}
    for number, kind in enumerate(KINDS):
        progress("measuring", number, len(KINDS) + 1)
        said = unseen(crossed, kind, views.died, curves[kind].kind, prevalence)
        found[kind] = {
            str(each): _of_condition(said, place, views, prevalence) for place, each in enumerate(CONDITIONS)
        }
    found[TREE] = {str(each): _of_tree(views, place, prevalence) for place, each in enumerate(CONDITIONS)}
    progress("measuring", len(KINDS) + 1, len(KINDS) + 1)
    return found


def _of_condition(said: Unseen, place: int, views: Views, prevalence: float) -> dict[str, object]:
    scores, moment = said.scores[place], CONDITIONS[place].moment
    there = ~np.isnan(scores)
    persons = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)[there]
    return _both(
        scores[there], said.chances[place][there], said.called[place][there], views.died, persons, moment, prevalence
    )


def _of_tree(views: Views, place: int, prevalence: float) -> dict[str, object]:
    condition = CONDITIONS[place]
    persons = np.flatnonzero(views.there(condition))
    called = published_tree(views.shown[str(condition)][persons])
    said = called.astype(np.float64)
    return _both(said, said, called, views.died, persons, condition.moment, prevalence)


def _both(
    scores: Floats,
    chances: Floats,
    called: Bools,
    died: npt.NDArray[np.int64],
    persons: npt.NDArray[np.intp],
    moment: str,
    prevalence: float,
) -> dict[str, object]:
    outcome = died[persons].astype(np.float64)
    prior = float(outcome.mean())
    shifted = _shifted(chances, prior, prevalence)
    accuracy, f1 = _PUBLISHED[moment]
    return {
        "n": len(np.unique(persons)),
        "as it is": _json(figures(scores, chances, called, outcome, persons, draws=DRAWS)),
        "at the prevalence": _json(
            figures(scores, shifted, called, outcome, persons, prevalence=prevalence, draws=DRAWS)
        ),
        "better_than_published": share_of_cohorts_beyond(
            called, outcome, deaths=_DEATHS, survivors=_SURVIVORS, accuracy=accuracy, f1=f1
        ),
    }


def _shifted(chances: Floats, prior: float, prevalence: float) -> Floats:
    held = np.clip(chances, 1e-6, 1.0 - 1e-6)
    odds = held / (1.0 - held) * (prevalence / (1.0 - prevalence)) * ((1.0 - prior) / prior)
    return odds / (1.0 + odds)


def _json(found: Mapping[str, Estimate]) -> Figures:
    return {name: each.as_json() for name, each in found.items()}
