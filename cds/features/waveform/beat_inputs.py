"""A beat as the numbers that the recurrent network reads: its shape, and how it lies between its neighbours."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from cds.features.waveform.filters import Floats, filled, passed

SHAPE_HZ: Final = 100.0
BEFORE_SECONDS: Final = 0.24
AFTER_SECONDS: Final = 0.40
SHAPE: Final = round((BEFORE_SECONDS + AFTER_SECONDS) * SHAPE_HZ)
INPUTS: Final = SHAPE + 3
"""The shape, and the logarithms of three intervals over the usual one."""


def beat_inputs(lead: Floats, hz: float, peaks: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The inputs of every beat, shape (n, `INPUTS`).

    Parameters
    ----------
    lead
        Shape (samples,), one lead in any unit: its usual beat is brought to a height of 1.
    peaks
        Shape (n,), R peaks in time order, at least two.
    """
    level = passed(filled(lead[None]), hz, 0.5, 40.0)[0]
    times = peaks[:, None] / hz + np.arange(-BEFORE_SECONDS, AFTER_SECONDS - 1e-9, 1 / SHAPE_HZ)[:SHAPE]
    shapes = np.interp(times, np.arange(len(level)) / hz, level)
    height = float(np.median(np.abs(shapes).max(axis=1)))
    gaps = np.log(np.maximum(np.diff(peaks), 1) / max(float(np.median(np.diff(peaks))), 1.0))
    before, after = np.r_[0.0, gaps], np.r_[gaps, 0.0]
    parts = [np.clip(shapes / max(height, 1e-9), -4, 4), before[:, None], after[:, None], (after - before)[:, None]]
    return np.concatenate(parts, axis=1).astype(np.float32)
