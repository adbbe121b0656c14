"""Repeated, stratified cross-validation by patient, with the hyper-parameter search inside each fold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedKFold

from cds.errors import ConfigError
from cds.features.labs_risk.inputs import Floats, Preparation
from cds.features.labs_risk.scorers import KINDS, scores
from cds.training import baselines
from cds.training.labs_conditions import CONDITIONS, Condition, lacking, multiplied
from cds.training.labs_data import MOMENTS, Cohort, has_labs, snapshot
from cds.training.labs_gaussian import preparation_of
from cds.training.metrics import auroc

Progress = Callable[[str, int, int], None]
Indices = npt.NDArray[np.intp]
_INNER_FOLDS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What can be chosen in training.

    Attributes
    ----------
    repeats, folds
        Of the cross-validation.
    prevalence
        The share of deaths for which probabilities are given and the threshold is chosen. Default: 13 of 110, the
        later patients of the same hospital on which Yan et al. 2020 tested.
    seed
        The same seed and data give the same model.
    version
        Of the model that is written.
    """

    repeats: int = 5
    folds: int = 5
    prevalence: float = 0.12
    seed: int = 7
    version: str = "1.0.0"


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """A cohort as each condition shows it; arrays of shape (n, d), `there` (n,) where any laboratory value is left."""

    died: npt.NDArray[np.int64]
    whole: Mapping[str, Floats]
    shown: Mapping[str, Floats]

    @classmethod
    def of(cls, cohort: Cohort, seed: int) -> Views:
        """Every moment, whole and with its lacks."""
        whole: dict[str, Floats] = {moment: snapshot(cohort, moment) for moment in MOMENTS}
        shown = {
            str(each): lacking(whole[each.moment], each.lack, seed + number) for number, each in enumerate(CONDITIONS)
        }
        return cls(cohort.died, whole, shown)

    def there(self, condition: Condition) -> npt.NDArray[np.bool_]:
        """Patients who have a laboratory value under this condition, shape (n,)."""
        return has_labs(self.shown[str(condition)])


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A preparation with one classifier's arrays."""

    kind: str
    preparation: Preparation
    arrays: baselines.Arrays

    def scores(self, values: Floats) -> Floats:
        """One score a row; values in house units, shape (n, d)."""
        gapped = self.preparation.standardised(values)
        return scores(self.kind, self.arrays, gapped, self.preparation.filled(gapped))


@dataclass(frozen=True, slots=True, eq=False)
class Crossed:
    """Scores of patients whom the model had not seen.

    Attributes
    ----------
    scores
        Shape (kinds, conditions, repeats, n); NaN where a patient has no value.
    folds
        The fold of each patient, shape (repeats, n).
    chosen
        Hyper-parameters by kind, one for each fold.
    """

    scores: Floats
    folds: npt.NDArray[np.int64]
    chosen: Mapping[str, tuple[str, ...]]


class Trainer:
    """Fits every kind on some of the patients; what the kinds share is made once."""

    def __init__(self, views: Views, rows: Indices, seed: int) -> None:
        values = np.concatenate([views.whole[moment][rows] for moment in MOMENTS])
        labels = np.tile(views.died[rows], len(MOMENTS))
        kept = has_labs(values)
        self.preparation = preparation_of(values[kept])
        many, self._labels, self._weights = multiplied(values[kept], labels[kept], seed)
        self._gapped = self.preparation.standardised(many)
        self._filled = self.preparation.filled(self._gapped)
        self._seed = seed

    def fit(self, kind: str, parameters: baselines.Parameters) -> Fitted:
        """One classifier on every training row under every lack."""
        arrays = baselines.fit(kind, parameters, self._gapped, self._filled, self._labels, self._weights, self._seed)
        return Fitted(kind, self.preparation, arrays)


def searched(views: Views, rows: Indices, seed: int) -> dict[str, baselines.Parameters]:
    """The best of each kind's grid, by the mean AUROC over the conditions in an inner cross-validation."""
    found: dict[str, list[float]] = {kind: [0.0] * len(baselines.GRIDS[kind]) for kind in KINDS}
    for part, held in _parts(views, rows, _INNER_FOLDS, seed):
        trainer = Trainer(views, part, seed)
        for kind in KINDS:
            for number, parameters in enumerate(baselines.GRIDS[kind]):
                found[kind][number] += _quality(trainer.fit(kind, parameters), views, held)
    return {kind: baselines.GRIDS[kind][int(np.argmax(found[kind]))] for kind in KINDS}


def _quality(fitted: Fitted, views: Views, rows: Indices) -> float:
    """Mean AUROC over the conditions; those with one class only do not count."""
    found = []
    for condition in CONDITIONS:
        kept = rows[views.there(condition)[rows]]
        score = fitted.scores(views.shown[str(condition)][kept])
        found.append(auroc(views.died[kept].astype(np.float64), score))
    return float(np.nanmean(found))


def _parts(views: Views, rows: Indices, folds: int, seed: int) -> list[tuple[Indices, Indices]]:
    split = StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, views.died[rows])
    return [(rows[part], rows[held]) for part, held in split]


def crossed(cohort: Cohort, settings: Settings, out: Path, progress: Progress) -> Crossed:
    """Cross-validate every kind; each fold is kept in `out`, so that an interrupted run goes on.

    Raises
    ------
    ConfigError
        When a class has too few patients, or `out` holds a run of other data or settings.
    """
    views = Views.of(cohort, settings.seed)
    least = int(min(views.died.sum(), len(views.died) - views.died.sum()))
    if least < settings.folds * _INNER_FOLDS:
        raise ConfigError(f"at least {settings.folds * _INNER_FOLDS} patients of each outcome are needed, not {least}")
    folder = _folder(cohort, settings, out)
    shape = (len(KINDS), len(CONDITIONS), settings.repeats, len(views.died))
    found, folds = np.full(shape, np.nan), np.zeros(shape[2:], dtype=np.int64)
    chosen: dict[str, list[str]] = {kind: [] for kind in KINDS}
    every = np.arange(len(views.died))
    for repeat in range(settings.repeats):
        for fold, (part, held) in enumerate(_parts(views, every, settings.folds, settings.seed + repeat)):
            progress("cross-validating", repeat * settings.folds + fold, settings.repeats * settings.folds)
            kept = folder / f"{repeat}-{fold}.npz"
            scored, names = _kept(kept) or _fold(views, part, held, settings.seed + repeat, kept)
            found[:, :, repeat, held] = scored
            folds[repeat, held] = fold
            for kind, name in zip(KINDS, names, strict=True):
                chosen[kind].append(name)
    progress("cross-validating", settings.repeats * settings.folds, settings.repeats * settings.folds)
    return Crossed(found, folds, {kind: tuple(names) for kind, names in chosen.items()})


def _fold(views: Views, part: Indices, held: Indices, seed: int, kept: Path) -> tuple[Floats, Sequence[str]]:
    """Scores of the held-out patients, shape (kinds, conditions, held), and the parameters that were chosen."""
    best = searched(views, part, seed)
    trainer = Trainer(views, part, seed)
    found = np.full((len(KINDS), len(CONDITIONS), len(held)), np.nan)
    for number, kind in enumerate(KINDS):
        fitted = trainer.fit(kind, best[kind])
        for place, condition in enumerate(CONDITIONS):
            there = views.there(condition)[held]
            found[number, place, there] = fitted.scores(views.shown[str(condition)][held[there]])
    names = [json.dumps(dict(best[kind]), sort_keys=True) for kind in KINDS]
    unfinished = kept.with_suffix(".part.npz")
    np.savez(unfinished, scores=found, names=np.array(names))
    unfinished.replace(kept)
    return found, names


def _kept(path: Path) -> tuple[Floats, Sequence[str]] | None:
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        return file["scores"], [str(name) for name in file["names"]]


def _folder(cohort: Cohort, settings: Settings, out: Path) -> Path:
    """The folder of the folds; it remembers what it was made from."""
    key = hashlib.sha256((cohort.sha256() + json.dumps(asdict(settings), sort_keys=True)).encode()).hexdigest()
    folder = out / "folds"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stamp = folder / "made-from.txt"
        if stamp.is_file() and stamp.read_text(encoding="utf-8") != key:
            raise ConfigError(f"the run folder {out.name} holds a run of other data or settings; name another")
        stamp.write_text(key, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the run folder {out.name} cannot be written: {error.strerror}") from None
    return folder
