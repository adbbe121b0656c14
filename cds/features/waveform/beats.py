"""The beats of a recording: cut out, aligned, and the one that is the typical one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from cds.features.waveform.filters import Floats, filled, passed
from cds.features.waveform.rpeaks import Peaks

BEFORE_SECONDS: Final = 0.40
AFTER_SECONDS: Final = 0.70
"""What is cut out around an R peak: a P wave before it, and a T wave after it up to a QT of 600 ms."""
QRS_AROUND_SECONDS: Final = 0.06
BASELINE_HZ: Final = 0.5
"""High-pass against wander; without phase shift it leaves ST as it is up to 0.67 Hz
(AHA 2007, doi:10.1161/CIRCULATIONAHA.106.180200)."""
ALIGNED_WITHIN_SECONDS: Final = 0.02
ALIKE: Final = 0.9
"""Correlation with the typical beat from which a beat is of its kind."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beats:
    """The beats of one recording.

    Attributes
    ----------
    peaks
        Shape (n,), samples of the R peaks that have a whole window, aligned to each other.
    typical
        Shape (leads, window): the median of the beats that are alike, baseline removed.
    similarity
        Shape (n,): correlation of each beat's QRS complex with the typical one, all leads together.
    similarity_of_lead
        Shape (leads,): the median of the same, lead by lead; low where a lead is noise.
    at
        Where in the window the R peak lies.
    """

    hz: float
    peaks: Peaks
    typical: Floats = field(repr=False)
    similarity: Floats = field(repr=False)
    similarity_of_lead: Floats = field(repr=False)
    at: int

    @property
    def alike(self) -> npt.NDArray[np.bool_]:
        """Which beats the typical one is made of."""
        return self.similarity >= ALIKE


def cut_beats(samples: Floats, hz: float, peaks: Peaks) -> Beats | None:
    """Cut out and align; None where no beat has a whole window.

    Parameters
    ----------
    samples
        Shape (leads, samples), mV.
    """
    level = passed(filled(samples), hz, BASELINE_HZ, 150.0)
    before, after = round(BEFORE_SECONDS * hz), round(AFTER_SECONDS * hz)
    reach = round(ALIGNED_WITHIN_SECONDS * hz)
    whole = peaks[(peaks >= before + reach) & (peaks < samples.shape[1] - after - reach)]
    if len(whole) == 0:
        return None
    window = np.arange(-before, after)
    aligned = _aligned(level, whole, reach, round(QRS_AROUND_SECONDS * hz))
    windows = level[:, aligned[:, None] + window]  # (leads, beats, window)
    core = slice(before - round(QRS_AROUND_SECONDS * hz), before + round(QRS_AROUND_SECONDS * hz) + 1)
    together, apart = _similarity(windows[:, :, core])
    kept = together >= ALIKE
    typical = np.median(windows[:, kept if kept.any() else slice(None)], axis=1)
    return Beats(hz=hz, peaks=aligned, typical=typical, similarity=together, similarity_of_lead=apart, at=before)


def _aligned(level: Floats, peaks: Peaks, reach: int, around: int) -> Peaks:
    """Each R peak moved to where its QRS complex fits the median complex best."""
    core = np.arange(-around, around + 1)
    template = np.median(level[:, peaks[:, None] + core], axis=1)
    template = template - template.mean(axis=1, keepdims=True)
    lags = np.arange(-reach, reach + 1)
    scores = np.stack([np.einsum("lbw,lw->b", level[:, (peaks + lag)[:, None] + core], template) for lag in lags])
    return np.asarray(peaks + lags[np.argmax(scores, axis=0)], dtype=np.intp)


def _similarity(cores: Floats) -> tuple[Floats, Floats]:
    """Correlation with the median beat: of each beat by all leads together, and of each lead by its median beat."""
    centred = cores - cores.mean(axis=2, keepdims=True)
    middle = np.median(centred, axis=1, keepdims=True)
    products, sizes = (centred * middle).sum(axis=2), (centred**2).sum(axis=2)
    own = (middle**2).sum(axis=2)
    apart = products / np.sqrt(np.maximum(sizes * own, 1e-18))
    together = products.sum(axis=0) / np.sqrt(np.maximum(sizes.sum(axis=0) * own.sum(), 1e-18))
    return together, np.median(apart, axis=1)
