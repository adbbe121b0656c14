"""`cds train waveform`: a recurrent network over the beats of one's own records, or over laboratory values in time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from cds.errors import ConfigError
from cds.features.waveform.gru import GruSpec, save_gru
from cds.training.waveform_card import model_card, write_curves
from cds.training.waveform_data import SERIES_NAMES, Sequences, read_sequences, standardised
from cds.training.waveform_figures import beat_figures, series_figures
from cds.training.waveform_fit import Fitted, Rows, Schedule, fit, probabilities

Progress = Callable[[str, int, int], None]
WEIGHTS: Final = "waveform.safetensors"
_FEWEST: Final = 10
"""Sequences of either outcome, and persons for a split by person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`folds` are of the cross-validation of series; beats have one split."""

    seed: int = 7
    width: int = 32
    folds: int = 5
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What training wrote, and the figures on what was held out."""

    weights: Path
    card: Path
    curves: tuple[Path, ...]
    metrics: dict[str, object]


def quiet(doing: str, done: int, of: int) -> None:
    """Tell nobody."""


def train(manifest: Path, out: Path, *, settings: Settings | None = None, progress: Progress = quiet) -> TrainResult:
    """Train, measure on what was held out, and write weights, sidecar, card and curves to `out`.

    An interrupted run in the same folder is resumed.

    Parameters
    ----------
    manifest
        See `cds.training.waveform_data.read_sequences`.

    Raises
    ------
    ConfigError
        When the manifest is wrong, has too little in it, or `out` holds a run of other data or settings.
    """
    chosen = settings or Settings()
    data = read_sequences(manifest)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the run folder {out.name} cannot be made: {error.strerror}") from None
    facts: dict[str, object] = {
        "sequences": len(data.steps),
        "steps": int(sum(map(len, data.steps))),
        "persons": len(np.unique(data.persons)),
        "data_sha256": data.sha256(),
        "settings": asdict(chosen),
        "torch": torch.__version__,
    }
    spec = GruSpec(kind=data.kind, inputs=data.steps[0].shape[1], classes=data.classes, width=chosen.width, facts=facts)
    key = hashlib.sha256(json.dumps([data.sha256(), facts["settings"]], sort_keys=True).encode()).hexdigest()
    work = _Work(data, spec, out, chosen, key, progress)
    fitted, measured, split = work.beats() if data.kind == "beats" else work.series()
    names = SERIES_NAMES if data.kind == "series" else ()
    spec = replace(spec, measured=measured, facts={**facts, "split": split}, names=names)
    written = save_gru(out / WEIGHTS, fitted.network, spec)
    card = out / "model-card.md"
    card.write_text(model_card(written), encoding="utf-8")
    return TrainResult(
        weights=out / WEIGHTS, card=card, curves=write_curves(out, fitted.losses, measured), metrics=measured
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """One run: what every step of it needs."""

    data: Sequences
    spec: GruSpec
    out: Path
    settings: Settings
    key: str
    progress: Progress

    def beats(self) -> tuple[Fitted, dict[str, object], str]:
        """Train on three fifths, stop by one, measure on one: of persons where there are enough, else of time."""
        parts, split = _parts(self.data, self.settings.seed)
        fitted = self._fit("training", self.data.steps, parts[0], parts[1], "beats")
        held = [int(row) for row in parts[2]]
        chances = probabilities(fitted.network, [self.data.steps[row] for row in held])
        return fitted, beat_figures(chances, [self.data.targets[row] for row in held], self.data.classes), split

    def series(self) -> tuple[Fitted, dict[str, object], str]:
        """Cross-validate by patient against the last values alone, then train on everybody."""
        died = np.concatenate(self.data.targets)
        if min(died.sum(), (1 - died).sum()) < _FEWEST:
            raise ConfigError(
                f"too few patients: {_FEWEST} of either outcome are needed, there are {np.bincount(died)}"
            )
        folds = _folds(died, self.settings.folds, self.settings.seed)
        said = np.zeros(len(died))
        last = np.zeros(len(died))
        for number, fold in enumerate(folds):
            rest = [other for place, other in enumerate(folds) if place != number]
            train, look = np.concatenate(rest[1:]), rest[0]
            steps = standardised(self.data.steps, [self.data.steps[row] for row in train])
            fitted = self._fit(f"fold {number + 1} of {len(folds)}", steps, train, look, f"fold{number}")
            said[fold] = [rows[0, 1] for rows in probabilities(fitted.network, [steps[row] for row in fold])]
            last[fold] = _by_last_values(steps, died, np.concatenate(rest), fold)
        steps = standardised(self.data.steps, self.data.steps)
        final = self._fit("training on everybody", steps, np.concatenate(folds[1:]), folds[0], "final")
        split = f"{len(folds)} folds by patient"
        return final, series_figures(said, last, died, self.data.persons), split

    def _fit(self, doing: str, steps: tuple[np.ndarray, ...], train: Rows, held: Rows, name: str) -> Fitted:
        return fit(
            self.spec,
            steps,
            self.data.targets,
            train,
            held,
            self.settings.schedule,
            self.settings.seed,
            self.out / f"{name}.checkpoint",
            f"{self.key}/{name}",
            lambda done, of: self.progress(doing, done, of),
        )


def _parts(data: Sequences, seed: int) -> tuple[tuple[Rows, Rows, Rows], str]:
    """Training, validation and test sequences, and a sentence on how they were told apart."""
    persons = np.unique(data.persons)
    if len(persons) >= _FEWEST:
        rarest = np.array([_rarest(data, person) for person in persons])
        dealt = np.zeros(len(persons), dtype=np.intp)
        for number, fold in enumerate(_folds(rarest, 5, seed)):
            dealt[fold] = (0, 0, 0, 1, 2)[number]
        part_of = dealt[np.searchsorted(persons, data.persons)]
        first, second, third = (np.flatnonzero(part_of == part) for part in range(3))
        return (first, second, third), f"by person, {len(persons)} of them"
    bounds = (data.begins < 0.6, (data.begins >= 0.6) & (data.begins < 0.8), data.begins >= 0.8)
    first, second, third = (np.flatnonzero(part) for part in bounds)
    if min(len(first), len(second), len(third)) == 0:
        raise ConfigError("the records are too short to be split by time into three parts")
    return (first, second, third), f"by time within {len(persons)} persons: not a test on unseen persons"


def _rarest(data: Sequences, person: str) -> int:
    """The last class, the commonest being the first, that a person has beats of."""
    return max(int(data.targets[row].max()) for row in np.flatnonzero(data.persons == person))


def _folds(kinds: np.ndarray, count: int, seed: int) -> list[Rows]:
    """Persons in `count` parts, each with its share of every kind."""
    random = np.random.default_rng(seed)
    number = np.zeros(len(kinds), dtype=np.intp)
    for kind in np.unique(kinds):
        rows = random.permutation(np.flatnonzero(kinds == kind))
        number[rows] = np.arange(len(rows)) % count
    return [np.flatnonzero(number == fold) for fold in range(count)]


def _by_last_values(steps: tuple[np.ndarray, ...], died: np.ndarray, train: Rows, fold: Rows) -> np.ndarray:
    """What a logistic regression on the last values says, which knows nothing of the way there; shape (fold,)."""
    from sklearn.linear_model import LogisticRegression

    width = (steps[0].shape[1] - 1) // 2
    ends = np.stack([one[-1, :width] for one in steps])
    model = LogisticRegression(C=0.1, max_iter=1000).fit(ends[train], died[train])
    return np.asarray(model.predict_proba(ends[fold])[:, 1], dtype=np.float64)
