"""Whether what the earlier patients taught holds for the later ones: a split by the day of admission."""

from __future__ import annotations

from typing import Final

import numpy as np

from cds.features.labs_risk.model import Calibration, sigmoid
from cds.training.labs_conditions import CONDITIONS
from cds.training.labs_cross import Indices, Settings, Trainer, Views, searched
from cds.training.labs_data import Cohort
from cds.training.labs_figures import figures

EARLIER: Final = 0.7
"""The share of patients, by admission, that the others are measured with."""
_FEWEST: Final = 10
_DRAWS: Final = 1000
_SHOWN: Final = ("auroc", "accuracy", "f1", "balanced_accuracy", "ece")


def temporal_figures(
    cohort: Cohort, kind: str, curve: Calibration, threshold: float, settings: Settings
) -> dict[str, object]:
    """Figures of the later patients, by a model of the earlier ones; empty where admissions are not known.

    Curve and threshold are those of the cross-validation over all patients; only the AUROC knows nothing of the later
    ones.
    """
    parts = _split(cohort)
    if parts is None:
        return {}
    earlier, later = parts
    views = Views.of(cohort, settings.seed)
    fitted = Trainer(views, earlier, settings.seed).fit(kind, searched(views, earlier, settings.seed)[kind])
    found: dict[str, object] = {"n": len(later), "died": int(views.died[later].sum())}
    for condition in CONDITIONS:
        rows = later[views.there(condition)[later]]
        scores = fitted.scores(views.shown[str(condition)][rows])
        died = views.died[rows].astype(np.float64)
        chances = sigmoid(curve.log_odds(scores, settings.prevalence))
        measured = figures(
            scores, chances, scores >= threshold, died, rows, prevalence=settings.prevalence, draws=_DRAWS
        )
        found[str(condition)] = {name: measured[name].as_json() for name in _SHOWN}
    return found


def _split(cohort: Cohort) -> tuple[Indices, Indices] | None:
    """The earlier and the later patients; None where a day is missing or either part has too few of an outcome."""
    days = [person.admitted_at for person in cohort.persons]
    if any(day is None for day in days):
        return None
    order = np.array(sorted(range(len(days)), key=lambda place: str(days[place])))
    cut = round(EARLIER * len(order))
    parts = np.sort(order[:cut]), np.sort(order[cut:])
    deaths = [int(cohort.died[part].sum()) for part in parts]
    fewest = min(min(dead, len(part) - dead) for dead, part in zip(deaths, parts, strict=True))
    return parts if fewest >= _FEWEST else None
