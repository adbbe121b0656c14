"""One electrocardiogram read: its beats, rate, regularity, intervals and ST levels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from cds.domain.evidence import Gate
from cds.features.waveform import gates
from cds.features.waveform.beats import Beats, cut_beats
from cds.features.waveform.filters import Floats
from cds.features.waveform.intervals import Intervals, measure_intervals
from cds.features.waveform.rpeaks import Peaks, find_rpeaks

MOST_BEATS: Final = 2000
"""That the typical beat is made of, evenly from all: more do not change a median, and cost memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """The distances of the beats, ms. `rmssd_share` is RMSSD over the mean interval."""

    beats: int
    mean_ms: float
    sdnn_ms: float
    rmssd_ms: float
    shortest_ms: float
    longest_ms: float

    @property
    def rate(self) -> float:
        """Beats per minute."""
        return 60_000.0 / self.mean_ms

    @property
    def rmssd_share(self) -> float:
        """How irregular, whatever the rate."""
        return self.rmssd_ms / self.mean_ms


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ecg:
    """What was read.

    Attributes
    ----------
    samples
        Shape (leads, samples), mV, of the leads that were read.
    leads
        Their names.
    unlike
        Share of the beats that are not like the typical one; None where no beat could be cut out.
    gates
        Every check, passed or not; where one is not passed, `rhythm` is None.
    """

    samples: Floats = field(repr=False)
    hz: float
    leads: tuple[str, ...]
    peaks: Peaks = field(repr=False)
    gates: tuple[Gate, ...]
    rhythm: Rhythm | None = None
    intervals: Intervals | None = None
    unlike: float | None = None


def read_ecg(samples: Floats, hz: float, leads: tuple[str, ...]) -> Ecg:
    """Read all leads together; `samples` is (leads, samples) in mV, NaN where a value is missing."""
    checked = gates.of_recording(samples.shape[1] / hz, hz)
    if not all(gate.passed for gate in checked):
        return _refused(samples, hz, leads, checked)
    found = dict(enumerate(gates.faults(samples, hz)))
    kept = _without(samples, found)
    if len(kept) == 0:
        return _refused(samples, hz, leads, (*checked, gates.of_leads(leads, found)))
    peaks = find_rpeaks(kept, hz)
    beats = _beats(kept, hz, peaks)
    if beats is not None:
        good = [number for number in found if not found[number]]
        unsteady = [
            n for n, alike in zip(good, beats.similarity_of_lead, strict=True) if alike < gates.LEAST_SIMILARITY
        ]
        if unsteady and len(unsteady) < len(good):  # the rest may be read; find its beats without the noise
            found |= dict.fromkeys(unsteady, "noise")
            kept = _without(samples, found)
            peaks = find_rpeaks(kept, hz)
            beats = _beats(kept, hz, peaks)
        elif unsteady:
            found |= dict.fromkeys(unsteady, "noise")
    rhythm = _rhythm(peaks, hz)
    checked += (gates.of_leads(leads, found), gates.of_beats(len(peaks), rhythm.rate if rhythm else None))
    if rhythm is None or not all(gate.passed for gate in checked):
        return _refused(samples, hz, leads, checked)
    return Ecg(
        samples=kept,
        hz=hz,
        leads=tuple(name for number, name in enumerate(leads) if not found[number]),
        peaks=peaks,
        gates=checked,
        rhythm=rhythm,
        intervals=measure_intervals(beats, float(np.median(np.diff(peaks))) / hz) if beats is not None else None,
        unlike=float((~beats.alike).mean()) if beats is not None else None,
    )


def corrected_qt(qt_ms: float, rr_ms: float) -> tuple[float, float]:
    """QTc by Bazett (QT / RR^1/2; Heart 1920;7:353) and by Fridericia (QT / RR^1/3; Acta Med Scand 1920;53:469).

    Both take RR in seconds and are made for about 60 beats per minute.

    >>> [round(value) for value in corrected_qt(400.0, 1000.0)]
    [400, 400]
    """
    rr = rr_ms / 1000.0
    return qt_ms / math.sqrt(rr), qt_ms / rr ** (1 / 3)


def _without(samples: Floats, found: dict[int, str]) -> Floats:
    return samples[[number for number in found if not found[number]]]


def _beats(samples: Floats, hz: float, peaks: Peaks) -> Beats | None:
    step = max(1, -(-len(peaks) // MOST_BEATS))
    return cut_beats(samples, hz, peaks[::step])


def _rhythm(peaks: Peaks, hz: float) -> Rhythm | None:
    if len(peaks) < 2:
        return None
    rr = np.diff(peaks) * 1000.0 / hz
    steps = np.diff(rr)
    return Rhythm(
        beats=len(peaks),
        mean_ms=float(rr.mean()),
        sdnn_ms=float(rr.std()),
        rmssd_ms=float(np.sqrt((steps**2).mean())) if len(steps) else 0.0,
        shortest_ms=float(rr.min()),
        longest_ms=float(rr.max()),
    )


def _refused(samples: Floats, hz: float, leads: tuple[str, ...], checked: tuple[Gate, ...]) -> Ecg:
    return Ecg(samples=samples, hz=hz, leads=leads, peaks=np.zeros(0, dtype=np.intp), gates=checked)
