"""What the recurrent network learns from: beats of annotated records, or series of values with an outcome."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from cds.errors import ConfigError, EvidenceError
from cds.features.labs_risk.inputs import AGE, VARIABLES, scaled, values_of
from cds.features.waveform.beat_inputs import beat_inputs
from cds.features.waveform.gru import Kind
from cds.features.waveform.wfdb import load_annotations, load_wfdb
from cds.training.labs_data import Cohort, Person, read_cohort

Inputs = npt.NDArray[np.float32]
Targets = npt.NDArray[np.int64]

IGNORED: Final = -100
"""The target of a beat that is of no class that is learned."""
CLASSES: Final = ("normal", "supraventricular", "ventricular", "irregular rhythm")
_AAMI: Final = dict.fromkeys("NLRejB", 0) | dict.fromkeys("AaJSn", 1) | dict.fromkeys("VE", 2)
"""Beat classes of ANSI/AAMI EC57 by annotation; fusion, paced and unknown beats are ignored."""
OUTCOMES: Final = ("survived", "died")
BEATS_AT_ONCE: Final = 32
MOST_STEPS: Final = 64
SERIES_NAMES: Final = (*VARIABLES, *(f"{name} measured" for name in VARIABLES), "log hours since the step before")


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """Sequences of steps with their targets.

    `steps` are (length, inputs), `targets` (length,) for beats and (1,) for series; `persons` and `begins` say of
    whom each is, and where in the record it begins (its share, 0 to 1).
    """

    kind: Kind
    classes: tuple[str, ...]
    steps: tuple[Inputs, ...] = field(repr=False)
    targets: tuple[Targets, ...] = field(repr=False)
    persons: npt.NDArray[np.str_] = field(repr=False)
    begins: npt.NDArray[np.float64] = field(repr=False)

    def sha256(self) -> str:
        """Of everything that is learned from."""
        digest = hashlib.sha256()
        for steps, targets in zip(self.steps, self.targets, strict=True):
            digest.update(steps.tobytes() + targets.tobytes())
        return digest.hexdigest()


def read_sequences(manifest: Path) -> Sequences:
    """Read a manifest: a CSV with a column ``record`` names annotated WFDB records; else see `read_cohort`.

    Raises
    ------
    ConfigError
        When a file, column or value is wrong; the message names the row.
    """
    rows = _rows(manifest) if manifest.suffix.lower() == ".csv" else []
    if rows and "record" in rows[0]:
        return _beats(manifest, rows)
    try:
        return _series(read_cohort(manifest))
    except ConfigError as error:
        raise ConfigError(f"{error}; for beats a column record (docs/howto/connect-waveforms.md)") from None


def _rows(manifest: Path) -> list[dict[str, str]]:
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"the manifest {manifest.name} cannot be read: {type(error).__name__}") from None


def _beats(manifest: Path, rows: Sequence[dict[str, str]]) -> Sequences:
    steps: list[Inputs] = []
    targets: list[Targets] = []
    persons: list[str] = []
    begins: list[float] = []
    for number, row in enumerate(rows, 2):
        path = manifest.parent / (row["record"] or "").strip()
        rhythm = (row.get("rhythm") or "").strip()
        if rhythm not in ("", "irregular"):
            raise ConfigError(f"{manifest.name} row {number}: rhythm is irregular or empty, not {rhythm!r}")
        try:
            inputs, labels = _record(path.with_suffix(".hea"), irregular=rhythm == "irregular")
        except EvidenceError as error:
            raise ConfigError(f"{manifest.name} row {number}: {error}") from None
        for start in range(0, len(inputs), BEATS_AT_ONCE):
            steps.append(inputs[start : start + BEATS_AT_ONCE])
            targets.append(labels[start : start + BEATS_AT_ONCE])
            persons.append((row.get("person") or "").strip() or path.stem)
            begins.append(start / len(inputs))
    if not steps:
        raise ConfigError(f"{manifest.name} names no record")
    return Sequences("beats", CLASSES, tuple(steps), tuple(targets), np.array(persons), np.array(begins))


def _record(header: Path, *, irregular: bool) -> tuple[Inputs, Targets]:
    """Inputs and classes of the annotated beats of a record, by its first lead."""
    recording = load_wfdb(header)
    beats = load_annotations(header.with_suffix(".atr")).beats()
    if len(beats.samples) < 3:
        raise EvidenceError(f"the record {header.stem} has fewer than three annotated beats")
    classes = [_AAMI.get(symbol, IGNORED) for symbol in beats.symbols]
    labels = np.array([3 if irregular and kind == 0 else kind for kind in classes], dtype=np.int64)
    return beat_inputs(recording.samples[0], recording.sampling_hz, beats.samples), labels


def _series(cohort: Cohort) -> Sequences:
    used = [person for person in cohort.persons if person.samples]
    return Sequences(
        "series",
        OUTCOMES,
        tuple(_steps(person) for person in used),
        tuple(np.array([person.died], dtype=np.int64) for person in used),
        np.array([person.patient_id for person in used]),
        np.zeros(len(used)),
    )


def _steps(person: Person) -> Inputs:
    """The last `MOST_STEPS` samples: values on their scale, which were measured, and the time since the one before.

    Not standardised, NaN where a value is not known yet; shape (steps, 2 d + 1).
    """
    samples = person.samples
    age = {} if person.age is None else {AGE: person.age}
    measured = scaled(np.stack([values_of({**sample.values, **age}) for sample in samples]))
    known = ~np.isnan(measured)
    latest = np.maximum.accumulate(np.where(known, np.arange(len(samples))[:, None], -1), axis=0)
    carried = np.where(latest >= 0, np.take_along_axis(measured, np.maximum(latest, 0), axis=0), np.nan)
    hours = np.array([sample.hours or 0.0 for sample in samples])
    waited = np.log1p(np.maximum(np.diff(hours, prepend=hours[:1]), 0.0))
    steps = np.concatenate([carried, known, waited[:, None]], axis=1)
    return np.asarray(steps[-MOST_STEPS:], dtype=np.float32)


def standardised(steps: Sequence[Inputs], by: Sequence[Inputs]) -> tuple[Inputs, ...]:
    """Series with mean 0 and SD 1 by the last steps of `by`, at most 3 SD away; what is not known is 0."""
    width = len(VARIABLES)
    ends = np.stack([one[-1, :width] for one in by]).astype(np.float64)
    seen = np.isfinite(ends)
    counts = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, ends, 0.0).sum(axis=0) / counts
    deviation = np.sqrt(np.where(seen, (ends - mean) ** 2, 0.0).sum(axis=0) / counts)
    return tuple(_standard(one, mean, np.maximum(deviation, 1e-3)) for one in steps)


def _standard(one: Inputs, mean: npt.NDArray[np.float64], deviation: npt.NDArray[np.float64]) -> Inputs:
    width = len(mean)
    values = np.clip(np.nan_to_num((one[:, :width] - mean) / deviation), -3.0, 3.0)
    return np.concatenate([values, one[:, width:]], axis=1).astype(np.float32)
