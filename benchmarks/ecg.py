"""R peaks against annotations, rates over leads, and a DICOM 12-lead file against an independent count.

    python benchmarks/ecg.py [--data FOLDER]

FOLDER (default: CDS_DATA, else ../shared/data) has ``ecg_wfdb/100.*`` (MIT-BIH) and ``ecg_wfdb/s0010_re.*`` (PTB);
the DICOM file is pydicom's own. Exit status 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.data import get_testdata_file
from scipy.signal import resample_poly

from cds.dicom.waveform import load_waveforms
from cds.features.waveform.reading import corrected_qt, read_ecg
from cds.features.waveform.rpeaks import find_rpeaks
from cds.features.waveform.wfdb import load_annotations, load_wfdb
from cds.testing.phantoms.ecg import LEADS, synthetic_ecg

Floats = npt.NDArray[np.float64]

TOLERANCE_SECONDS = 0.05
TARGET = 0.998
SPREAD = 1.0
"""Beats per minute by which leads may differ."""


def matched(found: Floats, truth: Floats, tolerance: float) -> int:
    """How many can be paired one to one in time order, each pair at most `tolerance` apart."""
    one = other = pairs = 0
    while one < len(found) and other < len(truth):
        distance = found[one] - truth[other]
        pairs += abs(distance) <= tolerance
        one += distance <= tolerance
        other += distance >= -tolerance
    return pairs


def copies(samples: Floats, hz: float) -> Iterator[tuple[str, Floats, float]]:
    """The record as it is, and changed as another recorder might have it."""
    random = np.random.default_rng(0)
    seconds = np.arange(samples.shape[1]) / hz
    spread = samples.std(axis=1, keepdims=True)
    yield "as it is", samples, hz
    yield "first lead alone", samples[:1], hz
    yield "second lead alone (no target)", samples[1:], hz
    for factor in (0.01, 1000.0):
        yield f"amplitude x {factor:g}", samples * factor, hz
    yield "inverted", -samples, hz
    yield "one lead inverted", samples * np.array([[1.0], [-1.0]]), hz
    for decibels in (12, 6, 3):
        yield (
            f"white noise, {decibels} dB",
            samples + random.normal(size=samples.shape) * spread * 10 ** (-decibels / 20),
            hz,
        )
    yield "white noise, 0 dB (no target)", samples + random.normal(size=samples.shape) * spread, hz
    yield "wander of 1 mV", samples + np.sin(2 * np.pi * 0.3 * seconds), hz
    yield "mains hum of 0.3 mV", samples + 0.3 * np.sin(2 * np.pi * 50 * seconds), hz
    for other, (up, down) in {250.0: (25, 36), 500.0: (25, 18), 1000.0: (25, 9)}.items():
        yield f"resampled to {other:g} Hz", resample_poly(samples, up, down, axis=1), other


def mit_bih(folder: Path) -> bool:
    """Record 100, every copy of it."""
    recording = load_wfdb(folder / "100.hea")
    truth = load_annotations(folder / "100.atr").beats().samples / recording.sampling_hz
    print(f"MIT-BIH record 100, {len(truth)} annotated beats, tolerance {1000 * TOLERANCE_SECONDS:g} ms")
    print(f"{'copy':32}{'found':>7}{'sensitivity':>13}{'PPV':>9}{'s':>7}")
    good = True
    for name, samples, hz in copies(recording.samples, recording.sampling_hz):
        begun = time.perf_counter()
        found = find_rpeaks(samples, hz) / hz
        took = time.perf_counter() - begun
        pairs = matched(found, truth, TOLERANCE_SECONDS)
        sensitivity, ppv = pairs / len(truth), pairs / max(len(found), 1)
        met = min(sensitivity, ppv) >= TARGET
        good &= met or "no target" in name
        print(f"{name:32}{len(found):7}{sensitivity:13.5f}{ppv:9.5f}{took:7.2f}{'' if met else '  below the target'}")
    return good


def ptb(folder: Path) -> bool:
    """The rate of each lead of s0010_re alone."""
    recording = load_wfdb(folder / "s0010_re.hea")
    rates = {}
    for number, channel in enumerate(recording.channels):
        peaks = find_rpeaks(recording.samples[number : number + 1], recording.sampling_hz)
        rates[channel.lead] = 60 * recording.sampling_hz / float(np.median(np.diff(peaks)))
    print("\nPTB s0010_re, beats per minute, each lead alone")
    print("  ".join(f"{lead} {rate:.1f}" for lead, rate in rates.items()))
    spread = max(rates.values()) - min(rates.values())
    print(f"they differ by {spread:.2f} at most")
    return spread <= SPREAD and all(40 <= rate <= 150 for rate in rates.values())


def counted(samples: Floats, hz: float) -> float:
    """A rate without any detector: the delay at which the derivatives of all leads fit themselves best."""
    slopes = np.diff(samples, axis=1)
    slopes = slopes - slopes.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(slopes, 2 * slopes.shape[1], axis=1)) ** 2
    fit = np.fft.irfft(power, axis=1).sum(axis=0)
    least, most = round(0.35 * hz), round(1.5 * hz)
    return float(60 * hz / (least + int(np.argmax(fit[least:most]))))


def dicom_file() -> bool:
    """The 12-lead file of pydicom: against autocorrelation, and against what the recorder itself wrote."""
    path = Path(str(get_testdata_file("waveform_ecg.dcm")))
    recording = load_waveforms(path)[0]
    ecg = read_ecg(recording.samples, recording.sampling_hz, tuple(c.lead for c in recording.channels))
    assert ecg.rhythm is not None
    assert ecg.intervals is not None
    own = written_by_recorder(path)
    apart = counted(recording.samples, recording.sampling_hz)
    qt = ecg.intervals.qt_ms or 0.0
    print("\nDICOM 12-lead ECG of pydicom's test data")
    print(
        f"heart rate {ecg.rhythm.rate:.1f} /min; by autocorrelation {apart:.1f};"
        f" by the recorder {60000 / own['RR Interval']:.1f}"
    )
    rows = {
        "RR Interval": ecg.rhythm.mean_ms,
        "PR Interval": ecg.intervals.pr_ms or 0.0,
        "QRS Duration": ecg.intervals.qrs_ms or 0.0,
        "QT Interval": qt,
        "QTc Interval": corrected_qt(qt, ecg.rhythm.mean_ms)[0],
    }
    for name, value in rows.items():
        print(f"{name:14}{value:6.0f} ms, the recorder {own[name]:.0f} ms")
    return abs(ecg.rhythm.rate - apart) <= 2.0 and abs(ecg.rhythm.mean_ms - own["RR Interval"]) <= 5.0


def computed() -> None:
    """Intervals of computed electrocardiograms of known truth: mean and SD of the error, ms; no target."""
    random = np.random.default_rng(1)
    errors: dict[str, list[float]] = {"PR": [], "QRS": [], "QT": []}
    beats = right = 0
    for seed in range(100):
        rate = float(random.uniform(50, 110))
        qt = float(random.uniform(0.36, 0.42) * 1000 * np.sqrt(60 / rate))
        made = synthetic_ecg(
            seed=seed,
            hz=float(random.choice([250, 500, 1000])),
            rate=rate,
            noise_mv=float(random.uniform(0.0, 0.05)),
            pr_ms=float(random.uniform(130, 210)),
            qrs_ms=float(random.uniform(75, 130)),
            qt_ms=qt,
        )
        ecg = read_ecg(made.samples, made.hz, LEADS)
        beats, right = beats + len(made.peaks), right + matched(ecg.peaks / made.hz, made.peaks / made.hz, 0.05)
        found = ecg.intervals
        values = (None, None, None) if found is None else (found.pr_ms, found.qrs_ms, found.qt_ms)
        for name, value, truth in zip(errors, values, (made.pr_ms, made.qrs_ms, made.qt_ms), strict=True):
            errors[name] += [] if value is None else [value - truth]
    print(f"\n100 computed electrocardiograms: {right} of {beats} beats; errors of intervals, ms: mean, SD, worst")
    for name, each in errors.items():
        print(f"{name:4} {np.mean(each):6.1f} {np.std(each):6.1f} {max(each, key=abs):6.1f}   in {len(each)} of 100")


def written_by_recorder(path: Path) -> dict[str, float]:
    """The measurements among the file's own waveform annotations, ms."""
    items = pydicom.dcmread(path).WaveformAnnotationSequence
    named = [item for item in items if "ConceptNameCodeSequence" in item and "NumericValue" in item]
    return {str(item.ConceptNameCodeSequence[0].CodeMeaning): float(item.NumericValue) for item in named}


def main() -> int:
    """Print every figure; 1 where a target is missed."""
    here = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CDS_DATA", here)))
    folder = parser.parse_args().data / "ecg_wfdb"
    good = dicom_file()
    computed()
    if not (folder / "100.hea").is_file():
        print(f"\nno records in {folder.name}: MIT-BIH and PTB are not measured")
        return 0 if good else 1
    print()
    good = mit_bih(folder) and good
    good = ptb(folder) and good
    print("\nevery target is met" if good else "\na target is missed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
