"""Where the waves of the typical beat begin and end, over all leads: PR, QRS, QT and the ST level of each lead.

QRS bounds come from the spatial velocity of all leads, wave peaks from the spatial magnitude, the end of the T
wave from the tangent (Lepeschkin and Surawicz 1952, doi:10.1161/01.CIR.6.3.378). Bounds over all leads together
are what AHA/ACC/HRS 2007 ask for (doi:10.1161/CIRCULATIONAHA.106.180200).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from cds.features.waveform.beats import Beats
from cds.features.waveform.filters import Floats, passed

SMOOTH_HZ: Final = 40.0
"""P and T waves have nothing above it."""
STILL: Final = 0.05
"""Of the highest velocity in the QRS complex: what stays below it is not the QRS any more."""
STILL_SECONDS: Final = 0.012
WIDEST_QRS_SECONDS: Final = 0.12
"""To each side of the R peak."""
EARLIEST_P_SECONDS: Final = 0.30
LATEST_P_SECONDS: Final = 0.03
T_AFTER_SECONDS: Final = 0.08
ST_SECONDS: Final = 0.06
"""After the J point, as MDC 2:14336 has it (PS3.16 CID 3688)."""
LEAST_WAVE_MV: Final = 0.02
"""Root mean square over the leads below which nothing is called a wave."""
ABOVE_FLOOR: Final = 3.0
"""Times the level around it."""
RISEN: Final = 0.12
"""Of the height of the P wave over that level, at which it begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """Bounds in the window of the typical beat, samples; None where there is no such wave.

    `st_mv` is the level of each lead 60 ms after the J point against the level before the QRS complex; NaN where
    the complex has no end that can be found.
    """

    hz: float
    p_onset: int | None
    qrs_onset: int | None
    qrs_end: int | None
    t_end: int | None
    st_mv: tuple[float, ...]

    @property
    def pr_ms(self) -> float | None:
        """From the begin of the P wave to that of the QRS complex."""
        return self._ms(self.p_onset, self.qrs_onset)

    @property
    def qrs_ms(self) -> float | None:
        """The duration of the QRS complex."""
        return self._ms(self.qrs_onset, self.qrs_end)

    @property
    def qt_ms(self) -> float | None:
        """From the begin of the QRS complex to the end of the T wave."""
        return self._ms(self.qrs_onset, self.t_end)

    def _ms(self, start: int | None, end: int | None) -> float | None:
        return None if start is None or end is None else 1000.0 * (end - start) / self.hz


def measure_intervals(beats: Beats, rr_seconds: float) -> Intervals:
    """Measure the typical beat; `rr_seconds` is the usual distance of two beats."""
    hz, at = beats.hz, beats.at
    onset, end = _qrs(beats.typical, hz, at)
    if onset is None or end is None:
        none = tuple(float("nan") for _ in beats.typical)
        return Intervals(hz=hz, p_onset=None, qrs_onset=None, qrs_end=None, t_end=None, st_mv=none)
    before = slice(max(0, onset - round(0.02 * hz)), max(1, onset - round(0.004 * hz)))
    level = beats.typical - np.median(beats.typical[:, before], axis=1, keepdims=True)
    smooth = passed(level, hz, None, SMOOTH_HZ)
    p_onset = _p_onset(smooth, hz, onset, rr_seconds, at)
    st_at = end + round(ST_SECONDS * hz)
    spread = max(1, round(0.005 * hz))
    st = smooth[:, st_at - spread : st_at + spread + 1].mean(axis=1)
    return Intervals(
        hz=hz,
        p_onset=p_onset,
        qrs_onset=onset,
        qrs_end=end,
        t_end=_t_end(smooth, hz, end, _next_wave(hz, at, p_onset, rr_seconds)),
        st_mv=tuple(float(value) for value in st),
    )


def _qrs(typical: Floats, hz: float, at: int) -> tuple[int | None, int | None]:
    """Onset and end of the QRS complex: where the spatial velocity has come to rest."""
    velocity = np.sqrt((np.gradient(passed(typical, hz, None, 60.0), axis=1) ** 2).sum(axis=0)) * hz
    reach, rest = round(WIDEST_QRS_SECONDS * hz), max(1, round(STILL_SECONDS * hz))
    left, right = max(0, at - reach), min(len(velocity), at + reach)
    top = float(velocity[at - reach // 2 : at + reach // 2].max())
    # what surrounds the complex: the noise of the median beat, which has no wave everywhere
    noise = float(np.percentile(np.concatenate([velocity[: left + 1], velocity[right - 1 :]]), 50))
    limit = max(STILL * top, 1.5 * noise)
    if limit > 0.5 * top:
        return None, None
    moving = velocity > limit
    return _rest(moving[left : at + 1][::-1], rest, at, -1), _rest(moving[at:right], rest, at, 1)


def _rest(moving: np.ndarray[tuple[int], np.dtype[np.bool_]], rest: int, at: int, way: int) -> int | None:
    """The sample from which on nothing moves for `rest` samples, going `way` from `at`."""
    still = np.convolve(~moving, np.ones(rest, dtype=np.int64), mode="valid") == rest
    # the R peak itself stands still for a moment: begin where it moves first
    first = int(np.argmax(moving)) if moving.any() else 0
    found = np.flatnonzero(still[first:])
    return at + way * (first + int(found[0])) if len(found) else None


def _magnitude(smooth: Floats) -> Floats:
    """Root mean square over the leads, shape (window,)."""
    return np.asarray(np.sqrt((smooth**2).mean(axis=0)))


def _next_wave(hz: float, at: int, p_onset: int | None, rr_seconds: float) -> int:
    """Where the next beat begins: with its P wave, where beats have one."""
    lead_in = (at - p_onset) / hz if p_onset is not None else max(0.05, 0.25 * rr_seconds - 0.05)
    return at + round((rr_seconds - lead_in - 0.02) * hz)


def _t_end(smooth: Floats, hz: float, qrs_end: int, next_wave: int) -> int | None:
    """Where the tangent at the steepest fall of the T wave meets the level after it."""
    start, stop = qrs_end + round(T_AFTER_SECONDS * hz), min(smooth.shape[1], next_wave)
    if stop - start < round(0.1 * hz):
        return None
    size = _magnitude(smooth - np.median(smooth[:, stop - max(2, round(0.04 * hz)) : stop], axis=1, keepdims=True))
    return _foot(size, start, stop, hz, 1)


def _p_onset(smooth: Floats, hz: float, qrs_onset: int, rr_seconds: float, at: int) -> int | None:
    """Where the P wave rises from the level before it."""
    start = max(0, at - round(min(0.40, 0.5 * rr_seconds) * hz), qrs_onset - round(EARLIEST_P_SECONDS * hz))
    stop = qrs_onset - round(LATEST_P_SECONDS * hz)
    if stop - start < round(0.08 * hz):
        return None
    size = _magnitude(smooth - np.median(smooth[:, start : start + max(2, round(0.03 * hz))], axis=1, keepdims=True))
    return _foot(size, start, stop, hz, -1)


def _foot(size: Floats, start: int, stop: int, hz: float, way: int) -> int | None:
    """The foot on the far side of the highest wave in ``start:stop``; None where there is no wave."""
    peak = start + int(np.argmax(size[start:stop]))
    edge = round(0.01 * hz)
    if peak - start < edge or stop - 1 - peak < edge:
        return None
    tail = size[peak:stop] if way > 0 else size[start : peak + 1][::-1]
    floor = float(np.percentile(tail, 10))
    if size[peak] < max(LEAST_WAVE_MV, ABOVE_FLOOR * floor):
        return None
    return peak + way * (_tangent_foot(tail, floor) if way > 0 else _risen(tail, floor))


def _tangent_foot(tail: Floats, floor: float) -> int:
    """Samples from the peak to where the steepest tangent meets the floor."""
    slopes = np.gradient(tail)
    steepest = int(np.argmin(slopes))
    foot = steepest + (float(tail[steepest]) - floor) / max(-float(slopes[steepest]), 1e-12)
    return min(round(foot), len(tail) - 1)


def _risen(tail: Floats, floor: float) -> int:
    """Samples from the peak to where the wave is `RISEN` of its height; a P wave rises too slowly for a tangent."""
    below = np.flatnonzero(tail <= floor + RISEN * (tail[0] - floor))
    return int(below[0]) if len(below) else len(tail) - 1
