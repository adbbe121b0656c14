"""One training run of the risk model, from a cohort to files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import sklearn
from safetensors.numpy import save as save_tensors

from cds.features.labs_risk.inputs import VARIABLES, Floats
from cds.features.labs_risk.model import Calibration, RiskModel, Sidecar
from cds.features.labs_risk.scorers import KINDS
from cds.training import baselines
from cds.training.labs_calibrate import best_curve, threshold_of
from cds.training.labs_card import model_card
from cds.training.labs_conditions import CONDITIONS
from cds.training.labs_cross import Crossed, Fitted, Progress, Settings, Trainer, Views, crossed, searched
from cds.training.labs_curves import write_curves
from cds.training.labs_data import MOMENTS, Cohort, has_labs
from cds.training.labs_measure import chosen_kind, compared, flat, unseen
from cds.training.labs_temporal import temporal_figures
from cds.training.labs_trend import trend_figures

WEIGHTS: Final = "labs_risk.safetensors"
"""The name of the weights in the run folder; sidecar, card and curves lie beside them."""
LEAST_KNOWN: Final = 0.5
"""Half: LDH, lymphocytes in % or hs-CRP alone settle more than this; urea, sodium or the age alone do not."""
_DRAWS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What training wrote, and the figures of its cross-validation."""

    weights: Path
    sidecar: Path
    card: Path
    curves: tuple[Path, ...]
    metrics: dict[str, object]


def run(cohort: Cohort, out: Path, settings: Settings, progress: Progress) -> TrainResult:
    """Cross-validate, choose, calibrate, fit on everybody, and write everything.

    Raises
    ------
    ConfigError
        When a class has too few patients, or `out` holds a run of other data or settings.
    """
    scored = crossed(cohort, settings, out, progress)
    views = Views.of(cohort, settings.seed)
    kind, shortfall = chosen_kind(scored, views.died)
    basis = f"patients whom the model had not seen, {settings.repeats} x {settings.folds} folds, all conditions"
    curves, errors = _curves(scored, views, basis)
    found, fitted, linear = _fitted(views, kind, settings.seed)
    threshold = _threshold(scored, views, kind, settings)
    measured: dict[str, object] = {
        "chosen": kind,
        "shortfall": shortfall,
        "brier_by_curve": errors[kind],
        "cross_validation": compared(scored, views, curves, settings.prevalence, progress),
        "trend": trend_figures(cohort, settings),
        "temporal": temporal_figures(cohort, kind, curves[kind], threshold, settings),
    }
    sidecar = Sidecar(
        version=settings.version,
        sha256="",
        kind=kind,
        calibration=curves[kind],
        threshold=threshold,
        prevalence=settings.prevalence,
        least_known=LEAST_KNOWN,
        training=_facts(cohort, views, settings, found, scored),
        measured=measured,
    )
    tensors = _tensors(fitted, _direction(fitted, linear, views))
    said = unseen(scored, kind, views.died, curves[kind].kind, settings.prevalence)
    return _written(out, sidecar, tensors, views, write_curves(out, said, views.died))


def _fitted(views: Views, kind: str, seed: int) -> tuple[dict[str, baselines.Parameters], Fitted, Fitted]:
    """The best parameters of every kind, and the chosen and the logistic classifier, on all patients."""
    everybody = np.arange(len(views.died))
    found = searched(views, everybody, seed)
    trainer = Trainer(views, everybody, seed)
    return found, trainer.fit(kind, found[kind]), trainer.fit("logistic", found["logistic"])


def _curves(scored: Crossed, views: Views, basis: str) -> tuple[dict[str, Calibration], dict[str, dict[str, float]]]:
    curves: dict[str, Calibration] = {}
    errors: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        scores, died, persons = flat(scored, kind, views.died)
        curves[kind], errors[kind] = best_curve(scores, died, persons % 5, basis)
    return curves, errors


def _threshold(scored: Crossed, views: Views, kind: str, settings: Settings) -> float:
    """The mean over the repeats."""
    scores = scored.scores[KINDS.index(kind)]
    died = views.died.astype(np.float64)
    found = [
        threshold_of(scores[:, repeat], died, settings.prevalence, draws=_DRAWS, seed=repeat)
        for repeat in range(settings.repeats)
    ]
    return float(np.mean(found))


def _direction(chosen: Fitted, linear: Fitted, views: Views) -> Floats:
    """The logistic model's weights on the scale of the chosen one's scores, shape (d,).

    By it the model judges what a missing value may still change, whatever its kind.
    """
    weights = np.asarray(linear.arrays["weights"], dtype=np.float64)
    values = np.concatenate([views.whole[moment] for moment in MOMENTS])
    values = values[has_labs(values)]
    slope = np.polyfit(linear.scores(values), chosen.scores(values), 1)[0]
    return weights * float(slope)


def _tensors(fitted: Fitted, direction: Floats) -> baselines.Arrays:
    prepared = fitted.preparation
    parts: baselines.Arrays = {
        "prepare.mean": prepared.mean,
        "prepare.sd": prepared.sd,
        "prepare.centre": prepared.centre,
        "prepare.covariance": prepared.covariance,
        "prepare.direction": direction,
    }
    parts |= {f"score.{name}": array for name, array in fitted.arrays.items()}
    return {name: np.ascontiguousarray(array) for name, array in parts.items()}


def _facts(
    cohort: Cohort, views: Views, settings: Settings, found: Mapping[str, baselines.Parameters], scored: Crossed
) -> dict[str, object]:
    return {
        "patients": len(cohort.persons),
        "died": int(views.died.sum()),
        "assessed": {str(each): int(views.there(each).sum()) for each in CONDITIONS},
        "refused_values": dict(cohort.refused),
        "data_sha256": cohort.sha256(),
        "settings": asdict(settings),
        "parameters": {kind: dict(each) for kind, each in found.items()},
        "parameters_in_folds": {
            kind: {name: scored.chosen[kind].count(name) for name in sorted(set(scored.chosen[kind]))} for kind in KINDS
        },
        "known": {key: int((~np.isnan(views.whole["last"][:, place])).sum()) for place, key in enumerate(VARIABLES)},
        "scikit_learn": sklearn.__version__,
    }


def _written(
    out: Path, sidecar: Sidecar, tensors: baselines.Arrays, views: Views, curves: tuple[Path, ...]
) -> TrainResult:
    content = save_tensors(tensors)
    sidecar = replace(sidecar, sha256=hashlib.sha256(content).hexdigest())
    model = RiskModel(sidecar, tensors)
    weights, card = out / WEIGHTS, out / "model-card.md"
    weights.write_bytes(content)
    weights.with_suffix(".json").write_text(sidecar.as_json(), encoding="utf-8")
    card.write_text(model_card(sidecar, model, views.whole["last"]), encoding="utf-8")
    settings = json.dumps(sidecar.training.get("settings"), indent=1, sort_keys=True)
    (out / "config.json").write_text(settings + "\n", encoding="utf-8")
    return TrainResult(
        weights=weights,
        sidecar=weights.with_suffix(".json"),
        card=card,
        curves=curves,
        metrics=_summary(sidecar),
    )


def _summary(sidecar: Sidecar) -> dict[str, object]:
    """The shipped kind's figures by condition; the sidecar has those of every kind."""
    measured = sidecar.measured["cross_validation"]
    mine = measured[sidecar.kind] if isinstance(measured, dict) else {}
    return {"kind": sidecar.kind} | {name: found["at the prevalence"] for name, found in mine.items()}
