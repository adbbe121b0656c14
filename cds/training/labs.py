"""`cds train labs` and `cds evaluate labs`: risk of death from laboratory values, on one's own patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cds.errors import ConfigError
from cds.features.labs_risk.inputs import AGE, VARIABLES, Floats
from cds.features.labs_risk.model import SHIPPED, RiskModel
from cds.training.labs_cross import Progress, Settings
from cds.training.labs_data import MOMENTS, Cohort, Moment, has_labs, read_cohort, snapshot
from cds.training.labs_figures import figures, published_tree
from cds.training.labs_run import TrainResult, run

__all__ = ["Settings", "TrainResult", "evaluate", "train"]

_FAR_SD = 2.5
"""A median this many SD from the training patients' speaks of another unit rather than of other patients."""
_FEWEST = 5


def quiet(doing: str, done: int, of: int) -> None:
    """Tell nobody."""


def train(manifest: Path, out: Path, *, settings: Settings | None = None, progress: Progress = quiet) -> TrainResult:
    """Cross-validate, choose, calibrate and fit a model, and write weights, sidecar, card and curves to `out`.

    An interrupted run in the same folder is resumed.

    Parameters
    ----------
    manifest
        See `cds.training.labs_data.read_cohort`.

    Raises
    ------
    ConfigError
        When the manifest is wrong, has too few patients, or `out` holds a run of other data or settings.
    """
    chosen = settings or Settings()
    if not 0.0 < chosen.prevalence < 1.0:
        raise ConfigError(f"the prevalence must lie between 0 and 1, not at {chosen.prevalence}")
    return run(read_cohort(manifest), out, chosen, progress)


def evaluate(
    manifest: Path, *, model: Path | None = None, prevalence: float | None = None, repeats: int = 1000
) -> dict[str, object]:
    """Measure a model on a cohort, with last values and with those of admission.

    Parameters
    ----------
    model
        The weights; those that ship where None.
    prevalence
        The share of deaths for which probabilities are given; the model's own where None.

    Returns
    -------
    dict
        Ready for JSON: for ``last`` and ``admission`` each figure as ``{"value", "low", "high"}``, ``n``, ``died``,
        ``without_values`` (not measured), ``would_abstain`` (measured, and too little is known of them to be said in a
        report) and the ``published_tree``; ``unlike_training`` names analytes whose unit may be another.

    Raises
    ------
    ConfigError
        When the manifest or the model is wrong, or nobody has a value.
    """
    if prevalence is not None and not 0.0 < prevalence < 1.0:
        raise ConfigError(f"the prevalence must lie between 0 and 1, not at {prevalence}")
    loaded = RiskModel.load(model or SHIPPED)
    cohort = read_cohort(manifest)
    found: dict[str, object] = {moment: _measured(loaded, cohort, moment, prevalence, repeats) for moment in MOMENTS}
    return found | {
        "prevalence": loaded.sidecar.prevalence if prevalence is None else prevalence,
        "refused_values": dict(cohort.refused),
        "unlike_training": _unlike(loaded, snapshot(cohort, "last")),
        "model": {"version": loaded.sidecar.version, "kind": loaded.sidecar.kind, "sha256": loaded.sidecar.sha256},
    }


def _measured(
    model: RiskModel, cohort: Cohort, moment: Moment, prevalence: float | None, repeats: int
) -> dict[str, object]:
    values = snapshot(cohort, moment)
    there = has_labs(values)
    if not there.any():
        raise ConfigError("nobody has a value of an analyte that the model reads; name columns as docs/howto say")
    died = cohort.died[there].astype(np.float64)
    reading = model.read(values[there], prevalence)
    if not np.isfinite(reading.probability).all():
        raise ConfigError("the model gave a number that is none; its weights are broken")
    persons = np.arange(len(died))
    ours = figures(reading.score, reading.probability, reading.high_risk, died, persons, draws=repeats)
    tree = published_tree(values[there])
    theirs = figures(tree.astype(np.float64), tree.astype(np.float64), tree, died, persons, draws=repeats)
    return {name: each.as_json() for name, each in ours.items()} | {
        "n": len(died),
        "died": int(died.sum()),
        "without_values": int((~there).sum()),
        "would_abstain": int((reading.known < model.sidecar.least_known).sum()),
        "published_tree": {name: theirs[name].as_json() for name in ("accuracy", "f1", "balanced_accuracy")},
    }


def _unlike(model: RiskModel, values: Floats) -> list[str]:
    """Analytes whose median is far from the training patients': a column in another unit looks like this."""
    apart = model.preparation.standardised(values)
    enough = (~np.isnan(apart)).sum(axis=0) >= _FEWEST
    medians = [np.nanmedian(apart[:, place]) if enough[place] else 0.0 for place in range(len(VARIABLES))]
    return [key for key, far in zip(VARIABLES, medians, strict=True) if abs(far) > _FAR_SD and key != AGE]
