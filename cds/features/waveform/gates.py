"""What a recording and each of its leads must be, to be read as an electrocardiogram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from cds.domain.evidence import Gate
from cds.features.waveform.filters import LEAST_HZ, Floats, filled, passed

LEAST_SECONDS: Final = 5.0
"""Half of the 10 s of a resting electrocardiogram; below, rate and regularity rest on four beats."""
LEAST_BEATS: Final = 3
FLAT_MV: Final = 0.05
"""Between the 1st and the 99th percentile; low voltage is 0.5 mV from peak to peak in a limb lead."""
SATURATED_SHARE: Final = 0.01
"""Of the samples at the highest or the lowest value, in runs of `SATURATED_SECONDS`: the amplifier is at its end."""
SATURATED_SECONDS: Final = 0.05
MISSING_SHARE: Final = 0.1
LEAST_SIMILARITY: Final = 0.8
"""Median correlation of a lead's QRS complexes with their median: noise has none."""
NOISE_SHARE: Final = 0.5
"""Of a lead's spread that may lie above 40 Hz, where an electrocardiogram has little."""
RATES: Final = (20.0, 300.0)
"""Per minute: beyond, what was counted is not the heart."""


def of_recording(seconds: float, hz: float) -> tuple[Gate, ...]:
    """Whether it is long and fine enough."""
    long, fine = seconds >= LEAST_SECONDS, hz >= LEAST_HZ
    length = f"{seconds:.1f} s were recorded"
    sampled = f"sampled at {hz:g} Hz"
    return (
        Gate(
            name="ECG length",
            passed=long,
            reason=length if long else f"{length}; {LEAST_SECONDS:g} s or more are read",
        ),
        Gate(
            name="ECG sampling",
            passed=fine,
            reason=sampled if fine else f"{sampled}; {LEAST_HZ:g} Hz or more are read",
        ),
    )


def faults(samples: Floats, hz: float) -> tuple[str, ...]:
    """Why each lead cannot be read, ``""`` where it can; `samples` is (leads, samples) in mV."""
    return tuple(_fault(lead, hz) for lead in samples)


def _fault(lead: Floats, hz: float) -> str:
    known = np.isfinite(lead)
    if known.mean() < 1.0 - MISSING_SHARE:
        return "values are missing"
    values = filled(lead[None])
    low, high = np.percentile(values, [1, 99])
    if high - low < FLAT_MV:
        return "flat"
    if _saturated(values[0], hz):
        return "saturated"
    if hz > 3 * 40.0:
        above = passed(values, hz, 40.0, None).std()
        if above > NOISE_SHARE * passed(values, hz, 0.5, None).std():
            return "noise"
    return ""


def _saturated(values: Floats, hz: float) -> bool:
    """Whether runs at either end of the range make up too much of the lead."""
    run = max(2, round(SATURATED_SECONDS * hz))
    for end in (values.max(), values.min()):
        at_end = (values == end).astype(np.int64)
        edges = np.diff(at_end, prepend=0, append=0)
        lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
        if lengths[lengths >= run].sum() > SATURATED_SHARE * len(values):
            return True
    return False


def of_leads(names: Sequence[str], found: Mapping[int, str]) -> Gate:
    """Which leads are read, and why others are not; `found` are the faults by number."""
    read = [name for number, name in enumerate(names) if not found.get(number)]
    count = f"{len(read)} of {len(names)} leads are read"
    reasons = {
        fault: [names[n] for n in found if found[n] == fault] for fault in dict.fromkeys(found.values()) if fault
    }
    said = "; ".join([count, *(f"{fault}: {', '.join(leads)}" for fault, leads in reasons.items())])
    return Gate(name="ECG leads", passed=bool(read), reason=said)


def of_beats(count: int, rate: float | None) -> Gate:
    """Whether there are enough beats, at a rate that a heart can have."""
    enough = count >= LEAST_BEATS
    possible = rate is not None and RATES[0] <= rate <= RATES[1]
    reason = f"{count} beats were found"
    if not enough:
        reason += f"; {LEAST_BEATS} or more are read"
    elif not possible:
        reason += f"; a rate outside {RATES[0]:g} to {RATES[1]:g} per minute is not believed"
    return Gate(name="ECG beats", passed=enough and possible, reason=reason)
