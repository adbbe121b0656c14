"""Filters without phase shift, designed for whatever sampling frequency there is."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfiltfilt

Floats = npt.NDArray[np.float64]

LEAST_HZ: Final = 100.0
"""Below this a QRS complex is too coarsely sampled to be timed (AHA 2007, doi:10.1161/CIRCULATIONAHA.106.180200)."""


def filled(samples: Floats) -> Floats:
    """Gaps bridged by straight lines; a channel without any value is zero. Shape (channels, samples)."""
    missing = ~np.isfinite(samples)
    if not missing.any():
        return samples
    whole = np.array(samples, dtype=np.float64)
    places = np.arange(samples.shape[1])
    for number in np.flatnonzero(missing.any(axis=1)):
        known = ~missing[number]
        whole[number] = np.interp(places, places[known], samples[number, known]) if known.any() else 0.0
    return whole


def passed(samples: Floats, hz: float, low_hz: float | None, high_hz: float | None, order: int = 2) -> Floats:
    """A Butterworth band, high or low pass, forward and backward; the upper bound is held below Nyquist."""
    edges = [edge for edge in (low_hz, None if high_hz is None else min(high_hz, 0.45 * hz)) if edge is not None]
    kinds: dict[tuple[bool, bool], Literal["bandpass", "highpass", "lowpass"]] = {
        (True, True): "bandpass",
        (True, False): "highpass",
        (False, True): "lowpass",
    }
    kind = kinds[low_hz is not None, high_hz is not None]
    sections = butter(order, edges if len(edges) > 1 else edges[0], kind, fs=hz, output="sos")
    longest = max(samples.shape[-1] - 1, 0)
    padding = min(longest, round(hz * (1.0 if low_hz is None else 3.0 / max(low_hz, 0.5))))
    return np.asarray(sosfiltfilt(sections, samples, axis=-1, padlen=padding), dtype=np.float64)


def averaged(samples: Floats, hz: float, seconds: float) -> Floats:
    """The running mean over so many seconds, centred."""
    return np.asarray(uniform_filter1d(samples, max(1, round(seconds * hz)), axis=-1, mode="nearest"))
