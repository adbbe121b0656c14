"""Beats, rate, intervals and gates on computed electrocardiograms whose truth is known, and on record 100."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from cds.dicom.waveform import load_waveforms
from cds.domain.study import Patient
from cds.features.waveform.limits import limits_of, st_beyond
from cds.features.waveform.reading import Ecg, corrected_qt, read_ecg
from cds.features.waveform.rpeaks import find_rpeaks
from cds.features.waveform.wfdb import load_annotations, load_wfdb
from cds.testing.phantoms.ecg import LEADS, SyntheticEcg, synthetic_ecg

DATA = Path(os.environ.get("CDS_DATA", Path(__file__).parents[4] / "shared" / "data")) / "ecg_wfdb"
WOMAN, MAN, CHILD = Patient(sex="F", age_years=60.0), Patient(sex="M", age_years=30.0), Patient(age_years=4.0)


def read(ecg: SyntheticEcg) -> Ecg:
    return read_ecg(ecg.samples, ecg.hz, LEADS)


def gate(ecg: Ecg, name: str) -> tuple[bool, str]:
    return next((each.passed, each.reason) for each in ecg.gates if each.name == name)


@pytest.mark.parametrize(
    "made",
    [
        {},
        {"rate": 45.0},
        {"rate": 130.0, "qt_ms": 300.0, "pr_ms": 140.0},
        {"rhythm": "irregular", "seconds": 30.0},
        {"hz": 250.0},
        {"hz": 1000.0},
        {"noise_mv": 0.1},
    ],
    ids=str,
)
def test_every_beat_is_found_and_no_other(made: dict[str, float]) -> None:
    ecg = synthetic_ecg(**made)  # type: ignore[arg-type]
    found = find_rpeaks(ecg.samples, ecg.hz)
    assert len(found) == len(ecg.peaks)
    assert np.abs(found - ecg.peaks).max() <= 0.05 * ecg.hz


@pytest.mark.parametrize("factor", [-1.0, 1e-3, 1e3])
def test_neither_amplitude_nor_polarity_moves_a_peak(factor: float) -> None:
    ecg = synthetic_ecg(rhythm="extrasystoles", seconds=30.0)
    assert find_rpeaks(ecg.samples * factor, ecg.hz).tolist() == find_rpeaks(ecg.samples, ecg.hz).tolist()


def test_a_lead_of_noise_beside_good_ones_hides_no_beat() -> None:
    ecg = synthetic_ecg(seconds=20.0)
    noise = np.random.default_rng(3).normal(0, 1.0, (1, ecg.samples.shape[1]))
    found = find_rpeaks(np.concatenate([noise, ecg.samples[:3]]), ecg.hz)
    assert len(found) == len(ecg.peaks)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "made",
    [{}, {"qrs_ms": 130.0, "qt_ms": 430.0, "pr_ms": 220.0}, {"rate": 100.0, "qt_ms": 330.0}, {"hz": 250.0}],
    ids=str,
)
def test_intervals_are_near_the_truth(made: dict[str, float], seed: int) -> None:
    """PR and QT come out 10 to 20 ms short: a wave is called one where it rises from what surrounds it."""
    ecg = synthetic_ecg(seed=seed, noise_mv=0.02, **made)  # type: ignore[arg-type]
    found = read(ecg).intervals
    assert found is not None
    assert found.pr_ms == pytest.approx(ecg.pr_ms - 12, abs=10)
    assert found.qrs_ms == pytest.approx(ecg.qrs_ms + 2, abs=8)
    assert found.qt_ms == pytest.approx(ecg.qt_ms - 18, abs=12)


def test_st_levels_are_those_that_were_drawn() -> None:
    levels = {"V2": 0.3, "V3": 0.25, "II": -0.1, "III": -0.12}
    ecg = read(synthetic_ecg(st_mv=levels))
    assert ecg.intervals is not None
    for lead, found in zip(ecg.leads, ecg.intervals.st_mv, strict=True):
        assert found == pytest.approx(levels.get(lead, 0.0), abs=0.02)


def test_without_p_waves_there_is_no_pr_interval_and_the_rhythm_is_irregular() -> None:
    ecg = read(synthetic_ecg(rhythm="irregular", seconds=30.0))
    assert ecg.rhythm is not None
    assert ecg.intervals is not None
    assert ecg.intervals.pr_ms is None
    assert ecg.rhythm.rmssd_share > 0.1
    regular = read(synthetic_ecg(seconds=30.0)).rhythm
    assert regular is not None
    assert regular.rmssd_share < 0.05


def test_beats_of_another_shape_are_counted() -> None:
    made = synthetic_ecg(rhythm="extrasystoles", seconds=60.0)
    ecg = read(made)
    assert ecg.unlike == pytest.approx(made.kinds.count("V") / len(made.kinds), abs=0.02)


def test_corrected_qt_by_both_formulas() -> None:
    """At 100 beats a minute (RR 0.6 s): 360 / 0.6**0.5 = 465, 360 / 0.6**(1/3) = 427."""
    assert corrected_qt(360.0, 600.0) == pytest.approx((464.76, 426.83), abs=0.01)


def test_too_short_and_too_coarse_are_refused_with_the_reason() -> None:
    short = read(synthetic_ecg(seconds=3.0))
    assert short.rhythm is None
    assert gate(short, "ECG length") == (False, "3.0 s were recorded; 5 s or more are read")
    made = synthetic_ecg(hz=500.0)
    coarse = read_ecg(made.samples[:, ::10], 50.0, LEADS)
    assert gate(coarse, "ECG sampling") == (False, "sampled at 50 Hz; 100 Hz or more are read")


def test_each_lead_that_cannot_be_read_is_named_with_its_fault() -> None:
    made = synthetic_ecg()
    samples = made.samples.copy()
    samples[0] = 0.001
    samples[1] = np.clip(samples[1] * 20, -0.5, 0.5)
    samples[2] = np.random.default_rng(0).normal(0, 1, samples.shape[1])
    samples[3, : samples.shape[1] // 2] = np.nan
    ecg = read_ecg(samples, made.hz, LEADS)
    passed, reason = gate(ecg, "ECG leads")
    assert passed
    assert reason == "8 of 12 leads are read; flat: I; saturated: II; noise: III; values are missing: aVR"
    assert ecg.leads == LEADS[4:]
    assert ecg.rhythm is not None
    assert ecg.rhythm.beats == len(made.peaks)


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_is_not_read(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.5, (2, 5000))
    assert read_ecg(noise, 500.0, ("I", "II")).rhythm is None


def test_silence_is_not_read() -> None:
    ecg = read_ecg(np.zeros((2, 5000)), 500.0, ("I", "II"))
    assert gate(ecg, "ECG leads") == (False, "0 of 2 leads are read; flat: I, II")


def test_st_counts_only_with_a_neighbour_and_by_sex_and_age() -> None:
    """Fourth Universal Definition: V2 and V3 from 0.15 mV in women, 0.25 mV in men below 40, elsewhere 0.1 mV."""
    levels = {"V2": 0.17, "V3": 0.16, "I": 0.3, "II": -0.06, "III": -0.07}
    depressed = {"II": "depressed", "III": "depressed"}
    assert st_beyond(levels, WOMAN) == {"V2": "elevated", "V3": "elevated", **depressed}
    assert st_beyond(levels, MAN) == depressed
    assert st_beyond(levels, CHILD) == {}


def test_limits_are_of_adults_and_of_the_sex() -> None:
    assert limits_of(CHILD) == {}
    assert limits_of(Patient()) == {}
    assert (limits_of(WOMAN)["qtc_bazett"].high, limits_of(MAN)["qtc_bazett"].high) == (460.0, 450.0)
    assert [limits_of(MAN)["heart_rate"].word(rate) for rate in (59.0, 60.0, 101.0)] == ["below", "within", "above"]


def test_pydicoms_ecg_has_the_rate_and_intervals_that_its_recorder_wrote_into_it() -> None:
    """Its waveform annotations say RR 982, PR 161, QRS 75, QT 368 ms; CSE lets programs differ by some 10 to 30 ms."""
    recording = load_waveforms(Path(str(get_testdata_file("waveform_ecg.dcm"))))[0]
    ecg = read_ecg(recording.samples, recording.sampling_hz, LEADS)
    assert ecg.rhythm is not None
    assert ecg.intervals is not None
    assert ecg.rhythm.mean_ms == pytest.approx(982, abs=3)
    assert ecg.intervals.pr_ms == pytest.approx(161, abs=20)
    assert ecg.intervals.qrs_ms == pytest.approx(75, abs=12)
    assert ecg.intervals.qt_ms == pytest.approx(368, abs=20)


@pytest.mark.skipif(not DATA.is_dir(), reason="the MIT-BIH record is not in CDS_DATA")
def test_record_100_is_found_beat_by_beat() -> None:
    recording = load_wfdb(DATA / "100.hea")
    truth = load_annotations(DATA / "100.atr").beats().samples
    found = find_rpeaks(recording.samples, recording.sampling_hz)
    nearest = np.abs(found[:, None] - truth[None]).min(axis=0)
    assert len(found) == len(truth) == 2273
    assert (nearest <= 0.05 * recording.sampling_hz).mean() >= 0.998
