"""R peaks of an electrocardiogram from all of its leads together.

Two running means of the QRS energy, as Elgendi has them (doi:10.1371/journal.pone.0073557), with heights
and gaps judged by their neighbours and a second look into long gaps, as Pan and Tompkins have it
(doi:10.1109/TBME.1985.325532).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter1d, median_filter
from scipy.signal import find_peaks

from cds.features.waveform.filters import Floats, averaged, filled, passed

Peaks = npt.NDArray[np.intp]

QRS_BAND_HZ: Final = (8.0, 20.0)
QRS_SECONDS: Final = 0.097
BEAT_SECONDS: Final = 0.611
OFFSET: Final = 0.08
"""Band, windows and offset of Elgendi's detector, the best of its published sweep."""
REFRACTORY_SECONDS: Final = 0.2
"""No ventricle beats twice within this (Pan and Tompkins)."""
LEAST_HEIGHT: Final = 0.3
"""Of the median height of the beats around: what is lower is a P or T wave or noise."""
LEAST_HEIGHT_IN_GAP: Final = 0.2
LONG_GAP: Final = 1.66
"""Of the median interval around: what is longer is looked at again (Pan and Tompkins)."""
AROUND: Final = 9
"""Beats that make the neighbourhood."""
LEAST_PEAKEDNESS: Final = 2.5
"""95th percentile of the per-beat maxima over the median energy, below which a lead shows no QRS."""


def find_rpeaks(samples: Floats, hz: float) -> Peaks:
    """Samples at which the R peaks lie, in time order.

    Parameters
    ----------
    samples
        Shape (leads, samples), in any one unit: neither amplitude nor polarity matters.
    hz
        Sampling frequency, at least `cds.features.waveform.filters.LEAST_HZ`.
    """
    energy = qrs_energy(samples, hz)
    if not energy.any():
        return np.zeros(0, dtype=np.intp)
    candidates = _candidates(energy, hz)
    kept = _apart(candidates, energy, hz)
    kept = kept[energy[kept] >= LEAST_HEIGHT * _around(energy[kept])]
    return _looked_again(kept, energy, hz)


def qrs_energy(samples: Floats, hz: float) -> Floats:
    """How much every sample is like a QRS complex: each lead in units of its own beats; shape (samples,)."""
    band = np.abs(passed(filled(samples), hz, *QRS_BAND_HZ))
    window = max(1, round(2.0 * hz))
    heights = maximum_filter1d(band, window, axis=1)[:, :: max(1, window // 2)]
    height = np.median(heights, axis=1)
    usable = height > 0
    if not usable.any():
        return np.zeros(samples.shape[1])
    background = np.median(band, axis=1)
    peaked = np.where(usable, height / np.maximum(background, 1e-12), 0.0)
    weight = np.where(usable, np.maximum(peaked - LEAST_PEAKEDNESS, 1e-3) ** 2, 0.0)
    scaled = np.divide(band, height[:, None], out=np.zeros_like(band), where=usable[:, None])
    return np.asarray(np.sqrt(weight @ np.minimum(scaled, 3.0) ** 2 / weight.sum()))


def _candidates(energy: Floats, hz: float) -> Peaks:
    """The highest sample of each block in which the short mean is above the long one."""
    short, long = averaged(energy**2, hz, QRS_SECONDS), averaged(energy**2, hz, BEAT_SECONDS)
    inside = short > long + OFFSET * np.mean(np.minimum(energy**2, 1.0))
    edges = np.diff(inside.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    wide = ends - starts >= 0.5 * QRS_SECONDS * hz
    found = [start + int(np.argmax(energy[start:end])) for start, end in zip(starts[wide], ends[wide], strict=True)]
    return np.array(found, dtype=np.intp)


def _apart(peaks: Peaks, energy: Floats, hz: float) -> Peaks:
    """Of peaks within the refractory time only the highest."""
    if len(peaks) == 0:
        return peaks
    only = np.zeros_like(energy)
    only[peaks] = energy[peaks]
    found, _ = find_peaks(np.pad(only, 1), distance=max(1, round(REFRACTORY_SECONDS * hz)))
    return np.asarray(found - 1, dtype=np.intp)


def _around(values: Floats) -> Floats:
    """The median of the neighbourhood of each value."""
    return np.asarray(median_filter(values, AROUND, mode="nearest"), dtype=np.float64)


def _looked_again(peaks: Peaks, energy: Floats, hz: float) -> Peaks:
    """Peaks with those that a long gap still hides."""
    if len(peaks) < 3:
        return peaks
    gaps = np.diff(peaks).astype(np.float64)
    usual, heights = _around(gaps), _around(energy[peaks])
    margin = round(0.25 * hz)
    found: list[int] = []
    for number in np.flatnonzero(gaps > LONG_GAP * usual):
        start, end = int(peaks[number]) + margin, int(peaks[number + 1]) - margin
        if end - start < margin:
            continue
        inner, told = find_peaks(energy[start:end], height=LEAST_HEIGHT_IN_GAP * heights[number], distance=margin)
        tall = told["peak_heights"] >= max(LEAST_HEIGHT_IN_GAP * heights[number], 4.0 * float(np.median(energy)))
        found += [start + int(place) for place in inner[tall]]
    return np.sort(np.concatenate([peaks, np.array(found, dtype=np.intp)]))
