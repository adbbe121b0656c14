"""`cds train fusion` and `cds evaluate fusion`: on the simulated cohort, or on a manifest of real cases."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from scipy.special import expit, logit

from cds.errors import ConfigError, FusionError
from cds.fusion.calibration import fit_interval_scale, fit_temperature, member_log_odds
from cds.fusion.spec import FORMAT, FusionSpec, NetworkSpec, TargetSpec, XraySpec
from cds.fusion.weights import SHIPPED, FusionWeights, XrayToken, load_weights, save_weights
from cds.training.cohort import PARAMETERS, TARGETS, Cohort, load_cohort
from cds.training.fusion_card import render
from cds.training.fusion_evaluation import EVEN, Json, Measuring, measure_on_cases, measure_on_cohort
from cds.training.fusion_fit import Draw, Effort, Progress, draw_from_cases, draw_from_pool, fit_ensemble
from cds.training.fusion_manifest import RealCohort, read_manifest
from cds.training.fusion_xray import fit_xray_token, read_embeddings

CARD: Final = "model-card-fusion.md"
CPU: Final = torch.device("cpu")
POOL: Final = 40_000
"""Simulated cases of each member, its own: so that the members differ by what they saw."""
CALIBRATION_CASES: Final = 20_000
STUDENT: Final = 2.776
"""t(0.975) with 4 degrees of freedom: the interval of five members where no exact posterior is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionTraining:
    """What can be chosen.

    Attributes
    ----------
    embeddings
        ``.npz`` of held-out X-ray embeddings (X, y, group), to fit the X-ray token of a new X-ray
        model; ``""`` keeps the token of the weights that come with the software.
    xray_card
        JSON sidecar of the X-ray model that made `embeddings`.
    """

    embeddings: str = ""
    xray_card: str = ""
    steps: int = 600
    batch: int = 512
    members: int = 5
    width: int = 32
    layers: int = 2
    heads: int = 4
    seed: int = 7
    measuring: Measuring = field(default_factory=Measuring)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a run left behind: weights, model card, and the figures that stand in it."""

    weights: Path
    card: Path
    metrics: Json


def train(
    out: Path,
    *,
    manifest: Path | None = None,
    settings: FusionTraining | None = None,
    progress: Progress = lambda step, fraction: None,
) -> TrainResult:
    """Train, calibrate, measure, and write ``fusion.safetensors``, its sidecar, metrics and card to `out`.

    An interrupted run in `out` goes on with the member that was not finished; a folder with a run of
    other settings is refused.

    Parameters
    ----------
    manifest
        None: the simulated cohort, as the shipped weights were made. Else a CSV of real cases
        (`cds.training.fusion_manifest`).
    progress
        Called with what is being done and the share of the run that is done, 0 to 1.

    Raises
    ------
    ConfigError
        When the manifest, the embeddings or the run folder cannot be used.
    """
    chosen = settings or FusionTraining()
    xray, described = _xray_token(chosen)
    cohort = load_cohort(xray)
    spec = _untrained(cohort, described, chosen)
    real = read_manifest(manifest, spec, xray) if manifest else None
    _claim(out, spec, chosen, manifest)
    if real is None:
        weights = _train_on_cohort(spec, cohort, chosen, out, progress)
        progress("measuring", 1.0)
        metrics = measure_on_cohort(weights, cohort, chosen.measuring)
    else:
        weights = _train_on_cases(spec, xray, real, chosen, out, progress)
        metrics = measure_on_cases(weights, real.only("test"), chosen.measuring)
    return _write(out, weights, metrics, cohort if real is None else None)


def evaluate(manifest: Path, *, weights: Path = SHIPPED, measuring: Measuring | None = None) -> Json:
    """Figures of `weights` on every case of a manifest, with 95 % bootstrap intervals by person."""
    loaded = _load(weights)
    return measure_on_cases(loaded, read_manifest(manifest, loaded.spec, loaded.xray), measuring or Measuring())


def _load(path: Path) -> FusionWeights:
    try:
        return load_weights(path, CPU)
    except FusionError as error:
        raise ConfigError(str(error)) from error


def _xray_token(settings: FusionTraining) -> tuple[XrayToken, XraySpec]:
    """The token fitted on the given embeddings, or that of the shipped weights."""
    if settings.xray_card and not settings.embeddings:
        raise ConfigError("xray_card names the model that made the embeddings; give the embeddings with it")
    if not settings.embeddings:
        shipped = _load(SHIPPED)
        return shipped.xray, shipped.spec.xray
    if not settings.xray_card:
        raise ConfigError("embeddings need xray_card, the JSON sidecar of the X-ray model that made them")
    x, y, group = read_embeddings(Path(settings.embeddings))
    token = fit_xray_token(x, y, group)
    return token, _xray_spec(Path(settings.xray_card), token)


def _xray_spec(path: Path, token: XrayToken) -> XraySpec:
    try:
        card = json.loads(path.read_text("utf-8"))
        version, sha256 = str(card["version"]), str(card["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path.name} must be the X-ray model's JSON with version and sha256: {error}") from error
    size, embedding_size = token.projection.shape
    return XraySpec(
        algorithm=path.stem,
        version=version,
        sha256=sha256,
        embedding_size=embedding_size,
        token_size=size,
        target=TARGETS[0],
    )


def _untrained(cohort: Cohort, xray: XraySpec, settings: FusionTraining) -> FusionSpec:
    return FusionSpec(
        format=FORMAT,
        name="cds-fusion-transformer",
        version=cohort.version,
        card=CARD,
        calibrated_on="",
        targets=tuple(_target(cohort, target) for target in TARGETS),
        analytes=tuple(analyte.spec for analyte in cohort.analytes),
        mentions=tuple(mention.spec for mention in cohort.mentions),
        xray=xray,
        nodule=cohort.nodules.spec,
        network=NetworkSpec(
            members=settings.members, layers=settings.layers, width=settings.width, heads=settings.heads
        ),
    )


def _target(cohort: Cohort, target: str) -> TargetSpec:
    band = cohort.bands[target]
    return TargetSpec(
        id=target, absent_below=band.absent_below, present_from=band.present_from, band_source=band.source
    )


def _claim(out: Path, spec: FusionSpec, settings: FusionTraining, manifest: Path | None) -> None:
    """Make `out` this run's folder; refuse it where it holds a run of something else."""
    parts = [repr(dataclasses.replace(settings, measuring=Measuring())), spec.to_json(), PARAMETERS.read_text("utf-8")]
    parts += [hashlib.sha256(manifest.read_bytes()).hexdigest()] if manifest else []
    mark = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    file = out / "run.txt"
    if file.exists() and file.read_text("utf-8").strip() != mark:
        raise ConfigError(f"the folder {out.name} holds a run with other settings; name another one")
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(mark + "\n", "utf-8")


def _effort(settings: FusionTraining) -> Effort:
    return Effort(steps=settings.steps, batch=settings.batch, seed=settings.seed)


def _train_on_cohort(
    spec: FusionSpec, cohort: Cohort, settings: FusionTraining, out: Path, progress: Progress
) -> FusionWeights:
    """Members trained at even prevalence; temperature, prevalence and intervals fitted on other cases."""

    def draws(member: int) -> Draw:
        return draw_from_pool(*cohort.sample(POOL, settings.seed * 100 + member, prevalence=EVEN))

    ensemble = fit_ensemble(spec, draws, _effort(settings), out, progress)
    tokens, truth = cohort.sample(CALIBRATION_CASES, settings.seed * 100 + 99, prevalence=EVEN)
    middle = ensemble.log_odds(tokens).mean(axis=0)
    targets = tuple(
        dataclasses.replace(
            target,
            temperature=fit_temperature(middle[:, column], truth[:, column]),
            offset=float(logit(cohort.prevalence[column])),
        )
        for column, target in enumerate(spec.targets)
    )
    natural, _ = cohort.sample(CALIBRATION_CASES, settings.seed * 100 + 98)
    members = member_log_odds(ensemble.log_odds(natural), targets)
    exact = expit(cohort.bayes_score(natural))
    targets = tuple(
        dataclasses.replace(target, interval_scale=fit_interval_scale(members[..., column], exact[:, column]))
        for column, target in enumerate(targets)
    )
    told = f"simulated cohort {cohort.version}: {CALIBRATION_CASES:,} drawn cases, no real patients"
    return FusionWeights(dataclasses.replace(spec, targets=targets, calibrated_on=told), ensemble, cohort.xray)


def _train_on_cases(
    spec: FusionSpec, xray: XrayToken, real: RealCohort, settings: FusionTraining, out: Path, progress: Progress
) -> FusionWeights:
    """Members trained on resampled persons; temperature on the validation split, intervals from the spread."""
    fitting, held_out = real.only("train"), real.only("val")
    for name, part in (("train", fitting), ("val", held_out), ("test", real.only("test"))):
        if part.lacks_a_class():
            raise ConfigError(f"the split {name!r} has not both classes of every target: {len(part)} cases")

    def draws(member: int) -> Draw:
        return draw_from_cases(fitting.tokens, fitting.labels, fitting.groups, settings.seed * 100 + member)

    ensemble = fit_ensemble(spec, draws, _effort(settings), out, progress)
    middle = ensemble.log_odds(held_out.tokens).mean(axis=0)
    targets = []
    for column, target in enumerate(spec.targets):
        known = np.isfinite(held_out.labels[:, column])
        temperature = fit_temperature(middle[known, column], held_out.labels[known, column] == 1)
        scale = STUDENT * float(np.sqrt(1 + 1 / spec.network.members))
        targets.append(dataclasses.replace(target, temperature=temperature, interval_scale=scale))
    told = f"the validation split of a site's own cohort, {len(held_out):,} cases"
    return FusionWeights(dataclasses.replace(spec, targets=tuple(targets), calibrated_on=told), ensemble, xray)


def _write(out: Path, weights: FusionWeights, metrics: Json, cohort: Cohort | None) -> TrainResult:
    path, card = out / SHIPPED.name, out / CARD
    spec = save_weights(path, weights)
    (out / "fusion.metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", "utf-8")
    card.write_text(render(spec, metrics, cohort), "utf-8")
    return TrainResult(weights=path, card=card, metrics=metrics)
