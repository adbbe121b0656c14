"""Whether the change of a value says more than the value: measured, for the last values."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from cds.features.labs_risk.inputs import Floats
from cds.training.labs_cross import Settings
from cds.training.labs_data import Cohort, has_labs, snapshot, trend
from cds.training.labs_figures import figures
from cds.training.labs_gaussian import preparation_of

_PENALTY = 0.1


def trend_figures(cohort: Cohort, settings: Settings) -> dict[str, object]:
    """AUROC and Brier score of the logistic model on last values, without and with the change of three analytes.

    The same folds for both; a change that is not known counts as none.
    """
    values = snapshot(cohort, "last")
    kept = has_labs(values)
    died, changes = cohort.died[kept], np.nan_to_num(trend(cohort)[kept])
    alone, along = np.zeros((settings.repeats, len(died))), np.zeros((settings.repeats, len(died)))
    for repeat in range(settings.repeats):
        split = StratifiedKFold(settings.folds, shuffle=True, random_state=settings.seed + repeat)
        for part, held in split.split(died, died):
            prepared = preparation_of(values[kept][part])
            filled = prepared.filled(prepared.standardised(values[kept]))
            alone[repeat, held] = _scores(filled, died, part, held)
            along[repeat, held] = _scores(np.concatenate([filled, changes], axis=1), died, part, held)
    return {"last values": _summary(alone, died), "last values and their trend": _summary(along, died)}


def _scores(features: Floats, died: np.ndarray, part: np.ndarray, held: np.ndarray) -> Floats:
    fitted = LogisticRegression(C=_PENALTY, max_iter=3000).fit(features[part], died[part])
    return np.asarray(fitted.decision_function(features[held]), dtype=np.float64)


def _summary(scores: Floats, died: np.ndarray) -> dict[str, object]:
    outcome = np.tile(died, len(scores)).astype(np.float64)
    persons = np.tile(np.arange(len(died)), len(scores))
    flat = scores.reshape(-1)
    found = figures(flat, 1.0 / (1.0 + np.exp(-flat)), flat >= 0.0, outcome, persons)
    return {name: found[name].as_json() for name in ("auroc", "accuracy", "f1", "ece")}
