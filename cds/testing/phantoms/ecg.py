"""Computed electrocardiograms: beats of known place, kind and intervals, as arrays, DICOM and WFDB files.

Every wave is a raised cosine, so that its begin and end are exact; a heart is not so tidy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from cds.testing.phantoms.patient import PhantomStudy, derived_uid, new_instance, save

Array = NDArray[np.float64]
Rhythm = Literal["sinus", "extrasystoles", "irregular"]

TWELVE_LEAD: Final = "1.2.840.10008.5.1.4.1.1.9.1.1"
LEADS: Final = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
_SCP: Final = (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8)
"""SCP-ECG lead numbers of `LEADS`."""
_P: Final = (0.10, 0.15, 0.05, -0.12, 0.03, 0.10, 0.05, 0.08, 0.08, 0.08, 0.08, 0.08)
_R: Final = (0.7, 1.1, 0.4, -0.9, 0.2, 0.8, 0.2, 0.5, 0.9, 1.4, 1.3, 1.0)
_S: Final = (-0.1, -0.2, -0.2, 0.1, -0.1, -0.2, -0.9, -1.2, -0.8, -0.5, -0.3, -0.2)
_T: Final = (0.2, 0.3, 0.1, -0.25, 0.05, 0.2, -0.1, 0.3, 0.4, 0.4, 0.35, 0.3)
"""Heights of the waves by lead, mV."""
_MICROVOLTS: Final = 2.5
"""Per unit of the encoded samples."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SyntheticEcg:
    """What was computed, and its truth.

    `samples` is (12, n) in mV; `peaks` are the R peaks, samples; `kinds` has a letter for each as WFDB has them:
    ``"N"`` normal, ``"V"`` premature ventricular. The intervals hold for every normal beat.
    """

    samples: Array = field(repr=False)
    hz: float
    peaks: NDArray[np.int64] = field(repr=False)
    kinds: tuple[str, ...]
    pr_ms: float
    qrs_ms: float
    qt_ms: float


def synthetic_ecg(
    *,
    seed: int = 1,
    seconds: float = 10.0,
    hz: float = 500.0,
    rate: float = 72.0,
    rhythm: Rhythm = "sinus",
    noise_mv: float = 0.01,
    pr_ms: float = 160.0,
    qrs_ms: float = 90.0,
    qt_ms: float = 380.0,
    st_mv: dict[str, float] | None = None,
) -> SyntheticEcg:
    """Compute an electrocardiogram.

    Parameters
    ----------
    rhythm
        ``"sinus"``: about even; ``"extrasystoles"``: every tenth beat or so is early, wide and has no P wave;
        ``"irregular"``: no P waves and intervals without order, as in atrial fibrillation.
    st_mv
        Level between QRS complex and T wave by lead, where it is not zero.
    """
    random = np.random.default_rng(seed)
    peaks, kinds = _places(random, seconds, 60.0 / rate, rhythm)
    times = np.arange(round(seconds * hz)) / hz
    samples = np.zeros((len(LEADS), len(times)))
    levels = np.array([(st_mv or {}).get(lead, 0.0) for lead in LEADS])
    spans = pr_ms / 1000, qrs_ms / 1000, qt_ms / 1000
    for peak, kind in zip(peaks, kinds, strict=True):
        near = slice(*np.searchsorted(times, (peak - 0.4, peak + 0.8)))
        beat = _extrasystole(times[near] - peak) if kind == "V" else _beat(times[near] - peak, *spans, levels)
        samples[:, near] += (
            beat if rhythm != "irregular" or kind == "V" else beat - _p_wave(times[near] - peak, *spans[:2])
        )
    samples += random.normal(0.0, noise_mv, samples.shape)
    return SyntheticEcg(
        samples=samples,
        hz=hz,
        peaks=np.round(peaks * hz).astype(np.int64),
        kinds=tuple(kinds),
        pr_ms=pr_ms,
        qrs_ms=qrs_ms,
        qt_ms=qt_ms,
    )


def _places(
    random: np.random.Generator, seconds: float, rr: float, rhythm: Rhythm
) -> tuple[NDArray[np.float64], list[str]]:
    """When each beat is, seconds, and of which kind."""
    places: list[float] = []
    kinds: list[str] = []
    now, compensate = 0.5, 0.0
    while now < seconds - 0.6:
        early = rhythm == "extrasystoles" and len(places) > 1 and kinds[-1] == "N" and random.random() < 0.1
        if early:
            now -= 0.35 * rr
            compensate = 0.35 * rr
        places.append(now)
        kinds.append("V" if early else "N")
        spread = 0.22 if rhythm == "irregular" else 0.02
        now += max(0.35, rr * (1 + spread * random.standard_normal())) + compensate
        compensate = 0.0
    return np.array(places), kinds


def _hump(times: Array, start: float, end: float) -> Array:
    """A raised cosine of height 1 between `start` and `end`, 0 elsewhere."""
    inside = (times > start) & (times < end)
    return np.where(inside, 0.5 - 0.5 * np.cos(2 * np.pi * (times - start) / (end - start)), 0.0)


def _p_wave(times: Array, pr: float, qrs: float) -> Array:
    onset = -0.45 * qrs - pr
    return np.outer(_P, _hump(times, onset, onset + 0.1))


def _beat(times: Array, pr: float, qrs: float, qt: float, levels: Array) -> Array:
    """One normal beat, (12, n): its QRS complex begins 0.45 of its duration before the R peak at 0."""
    onset = -0.45 * qrs
    end = onset + qrs
    r_wave = _hump(times, onset, -onset)
    s_wave = _hump(times, end - 0.45 * qrs, end)
    t_wave = _hump(times, max(onset + qt - 0.19, end + 0.05), onset + qt)  # some ST segment at any rate
    rise, fall = 0.02, 0.06
    segment = np.clip(np.minimum((times - end) / rise + 1, (onset + qt - 0.06 - times) / fall), 0.0, 1.0)
    waves = np.outer(_R, r_wave) + np.outer(_S, s_wave) + np.outer(_T, t_wave) + _p_wave(times, pr, qrs)
    return np.asarray(waves + np.outer(levels, segment))


def _extrasystole(times: Array) -> Array:
    """A wide beat of another axis with its T wave the other way."""
    heights = np.array(_R)
    return np.asarray(
        np.outer(1.5 - heights, _hump(times, -0.08, 0.08)) - np.outer(0.5 * (1.5 - heights), _hump(times, 0.1, 0.36))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EcgPhantom:
    """What was written."""

    file: Path
    study_instance_uid: str
    sop_instance_uid: str
    ecg: SyntheticEcg


def ecg_phantom(folder: Path, *, study: PhantomStudy | None = None, ecg: SyntheticEcg | None = None) -> EcgPhantom:
    """Write a 12-lead ECG instance (PS3.3 A.34.3) into `folder`."""
    study, ecg = study or PhantomStudy(), ecg or synthetic_ecg()
    uid = derived_uid("ecg", study.study_instance_uid, ecg.samples.shape[1])
    ds = new_instance(study, TWELVE_LEAD, uid, "ECG")
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = derived_uid("ecg series", uid), 9, 1
    ds.SeriesDescription = "Computed electrocardiogram"
    ds.AcquisitionDateTime = f"{study.started_at:%Y%m%d%H%M%S%z}"
    ds.AcquisitionContextSequence = DicomSequence([])
    ds.WaveformSequence = DicomSequence([_group(ecg)])
    folder.mkdir(parents=True, exist_ok=True)
    file = save(ds, folder / "ecg.dcm")
    return EcgPhantom(file=file, study_instance_uid=study.study_instance_uid, sop_instance_uid=uid, ecg=ecg)


def _group(ecg: SyntheticEcg) -> Dataset:
    group = Dataset()
    group.WaveformOriginality = "ORIGINAL"
    group.MultiplexGroupLabel = "RHYTHM"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = ecg.samples.shape
    group.SamplingFrequency = f"{ecg.hz:g}"
    group.ChannelDefinitionSequence = DicomSequence([_channel(n, lead) for n, lead in zip(_SCP, LEADS, strict=True)])
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.WaveformData = _encoded(ecg).T.tobytes()
    return group


def _encoded(ecg: SyntheticEcg) -> NDArray[np.int16]:
    return np.clip(np.round(ecg.samples * 1000 / _MICROVOLTS), -32767, 32767).astype("<i2")


def _channel(number: int, lead: str) -> Dataset:
    channel = Dataset()
    channel.ChannelSourceSequence = DicomSequence([_code(f"5.6.3-9-{number}", "SCPECG", f"Lead {lead}")])
    channel.ChannelSensitivity = f"{_MICROVOLTS:g}"
    channel.ChannelSensitivityUnitsSequence = DicomSequence([_code("uV", "UCUM", "microvolt")])
    channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = "1", "0"
    channel.ChannelSampleSkew = "0"
    channel.WaveformBitsStored = 16
    return channel


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    if scheme == "SCPECG":
        item.CodingSchemeVersion = "1.3"
    return item


def write_wfdb(folder: Path, name: str, ecg: SyntheticEcg) -> Path:
    """Write a WFDB record in format 16 with its beats as annotations; returns the header."""
    folder.mkdir(parents=True, exist_ok=True)
    encoded = _encoded(ecg)
    lines = [f"{name} {len(LEADS)} {ecg.hz:g} {ecg.samples.shape[1]}"]
    lines += [
        f"{name}.dat 16 {1000 / _MICROVOLTS:g}(0)/mV 16 0 {row[0]} 0 0 {lead}"
        for row, lead in zip(encoded, LEADS, strict=True)
    ]
    header = folder / f"{name}.hea"
    header.write_text("\n".join(lines) + "\n", encoding="ascii")
    (folder / f"{name}.dat").write_bytes(encoded.T.tobytes())
    (folder / f"{name}.atr").write_bytes(_annotations(ecg))
    return header


def _annotations(ecg: SyntheticEcg) -> bytes:
    """MIT format: six bits of code and ten of time since the one before; a skip where ten do not hold it."""
    words: list[int] = []
    before = 0
    for peak, kind in zip(ecg.peaks, ecg.kinds, strict=True):
        gap, before = int(peak) - before, int(peak)
        if gap > 1023:
            words += [59 << 10, gap >> 16, gap & 0xFFFF]
            gap = 0
        words.append({"N": 1, "V": 5}[kind] << 10 | gap)
    return np.array([*words, 0], dtype="<u2").tobytes()
