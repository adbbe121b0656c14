"""`cds train image` and `cds evaluate image`: a chest X-ray model on one's own radiographs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import torch

from cds.errors import ConfigError
from cds.features.xray.model import SHIPPED, XrayModel
from cds.training.image_data import Images, Progress, load_images, person_folds, read_manifest
from cds.training.image_loop import Schedule
from cds.training.image_members import Split, TrainSettings, fitted
from cds.training.image_run import TrainResult, finished, resized, scored
from cds.training.metrics import measured

__all__ = ["Schedule", "TrainResult", "TrainSettings", "evaluate", "train"]

_MARGIN: Final = 1.125
"""Images are kept this much larger than the network reads, so that zooming loses less."""


def quiet(doing: str, done: int, of: int) -> None:
    """Tell nobody."""


def train(
    manifest: Path, out: Path, *, settings: TrainSettings | None = None, progress: Progress = quiet
) -> TrainResult:
    """Train, calibrate and measure a model, and write weights, sidecar and model card to `out`.

    An interrupted run in the same folder is resumed.

    Parameters
    ----------
    manifest
        See `cds.training.image_data.read_manifest`.

    Raises
    ------
    ConfigError
        When the manifest is wrong, has too few persons, or `out` holds a run of other data or settings.
    """
    chosen = settings or TrainSettings()
    rows = read_manifest(manifest)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the run folder {out.name} cannot be made: {error.strerror}") from None
    images = load_images(rows, round(chosen.size * _MARGIN), progress)
    split = split_of(images, chosen)
    states = fitted(images, split, out, chosen, progress)
    return finished(load_images(rows, chosen.size, progress), split, states, out, chosen, progress)


def split_of(images: Images, settings: TrainSettings) -> Split:
    """Persons held out of everything, and one fold for each network."""
    parts = person_folds(images, settings.holdout, settings.seed)
    held, rest = parts[0], np.sort(np.concatenate(parts[1:]))
    others = Images(pixels=images.pixels[rest], labels=images.labels[rest], persons=images.persons[rest])
    folds = person_folds(others, settings.members, settings.seed)
    return Split(held=held, folds=tuple(rest[fold] for fold in folds))


def evaluate(
    manifest: Path, *, model: Path | None = None, device: str = "auto", repeats: int = 1000, progress: Progress = quiet
) -> dict[str, object]:
    """Measure a model on a manifest.

    Parameters
    ----------
    model
        The weights; those that ship where None.

    Returns
    -------
    dict
        Ready for JSON: ``auroc``, ``balanced_accuracy``, ``accuracy``, ``sensitivity``, ``specificity``,
        ``ece`` and ``brier`` as ``{"value", "low", "high"}`` (null where one class is absent), ``n``,
        ``n_persons``, ``threshold``, ``model`` and ``skipped`` with row, file and reason.

    Raises
    ------
    ConfigError
        When the manifest or the model is wrong, or no file can be read.
    """
    loaded = XrayModel.load(model or SHIPPED, device)
    images = load_images(read_manifest(manifest), loaded.sidecar.architecture.size, progress)
    parts = []
    for number, part in enumerate(torch.split(resized(images, loaded.sidecar.architecture.size), 128)):
        progress("reading", number * 128, len(images.labels))
        parts.append(loaded.probabilities(scored(loaded, part)[0]))
    chances = torch.cat(parts).double().numpy()
    if not np.isfinite(chances).all():
        raise ConfigError("the model gave a number that is none; its weights are broken")
    estimates = measured(images.labels, chances, images.persons, repeats=repeats)
    return {name: estimate.as_json() for name, estimate in estimates.items()} | {
        "n": len(images.labels),
        "n_persons": len(np.unique(images.persons)),
        "threshold": 0.5,
        "model": {"version": loaded.sidecar.version, "sha256": loaded.sidecar.sha256},
        "skipped": [asdict(row) for row in images.skipped],
    }
