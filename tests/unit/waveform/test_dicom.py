"""DICOM waveforms in physical units; pydicom and the tables of ITU-T G.711 are the independent sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.waveforms import multiplex_array

from cds.dicom.waveform import lead_named, load_waveforms
from cds.domain.waveform import STORAGE_CLASSES
from cds.errors import EvidenceError
from cds.testing.phantoms.ecg import LEADS, ecg_phantom, synthetic_ecg

TWELVE = Path(str(get_testdata_file("waveform_ecg.dcm")))


def altered(folder: Path, **values: object) -> tuple[Path, Dataset]:
    """The phantom with other attributes of its multiplex group."""
    file = ecg_phantom(folder, ecg=synthetic_ecg(seconds=2.0)).file
    ds = pydicom.dcmread(file)
    group = ds.WaveformSequence[0]
    for name, value in values.items():
        setattr(group, name, value)
    ds.save_as(file)
    return file, ds


def bytes_as(folder: Path, kind: str, interpretation: str, encoded: list[int]) -> np.ndarray:
    """One channel of 8 or 16 bit samples without a sensitivity, as it is read."""
    data = np.array(encoded, dtype=kind)
    file, ds = altered(
        folder,
        NumberOfWaveformChannels=1,
        NumberOfWaveformSamples=len(encoded),
        WaveformBitsAllocated=data.itemsize * 8,
        WaveformSampleInterpretation=interpretation,
        WaveformData=data.tobytes() + b"\0" * (data.nbytes % 2),
    )
    group = ds.WaveformSequence[0]
    group.ChannelDefinitionSequence = group.ChannelDefinitionSequence[:1]
    for name in ("ChannelSensitivity", "ChannelSensitivityCorrectionFactor", "ChannelBaseline"):
        del group.ChannelDefinitionSequence[0][name]
    ds.save_as(file)
    return load_waveforms(file)[0].samples[0]


def test_samples_are_what_pydicom_reads_in_millivolts() -> None:
    recordings = load_waveforms(TWELVE)
    ds = pydicom.dcmread(TWELVE)
    assert [one.label for one in recordings] == ["RHYTHM", "MEDIAN BEAT"]
    assert [one.derived for one in recordings] == [False, True]
    for number, recording in enumerate(recordings):
        assert recording.samples == pytest.approx(multiplex_array(ds, number, as_raw=False).T / 1000)
        assert tuple(channel.lead for channel in recording.channels) == LEADS
        assert {channel.unit for channel in recording.channels} == {"mV"}


def test_sensitivity_correction_and_baseline_make_the_value(tmp_path: Path) -> None:
    file, ds = altered(tmp_path)
    channel = ds.WaveformSequence[0].ChannelDefinitionSequence[0]
    channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = "2", "1.5", "70"
    ds.save_as(file)
    raw = multiplex_array(pydicom.dcmread(file), 0)[:, 0]
    assert load_waveforms(file)[0].samples[0] == pytest.approx((raw * 3.0 + 70) / 1000)


@pytest.mark.parametrize(("kind", "interpretation"), [("i1", "SB"), ("u1", "UB"), ("<i2", "SS"), ("<u2", "US")])
def test_linear_samples_are_what_was_written(tmp_path: Path, kind: str, interpretation: str) -> None:
    numbers = [0, 1, 100, 127] if kind[-2] == "u" else [-100, -1, 0, 127]
    assert bytes_as(tmp_path, kind, interpretation, numbers).tolist() == numbers


def test_mu_law_is_expanded_as_g711_has_it(tmp_path: Path) -> None:
    """G.711 table 2a: 0xFF and 0x7F are zero, 0x80 the highest, 0x00 the lowest, here on the 16-bit scale."""
    assert bytes_as(tmp_path, "u1", "MB", [0xFF, 0x7F, 0x80, 0x00, 0xFE, 0x7E]).tolist() == [0, 0, 32124, -32124, 8, -8]


def test_a_law_is_expanded_as_g711_has_it(tmp_path: Path) -> None:
    """G.711 table 1a: 0xD5 and 0x55 are the least, 0xAA the highest, 0x2A the lowest, here on the 16-bit scale."""
    assert bytes_as(tmp_path, "u1", "AB", [0xD5, 0x55, 0xAA, 0x2A]).tolist() == [8, -8, 32256, -32256]


def test_padding_is_no_value(tmp_path: Path) -> None:
    bytes_as(tmp_path, "<i2", "SS", [5, -32768, 7])
    file = tmp_path / "ecg.dcm"
    ds = pydicom.dcmread(file)
    ds.WaveformSequence[0].add_new(0x5400100A, "OW", np.int16(-32768).tobytes())
    ds.save_as(file)
    read = load_waveforms(file)[0].samples[0]
    assert np.isnan(read[1])
    assert read[[0, 2]].tolist() == [5, 7]


def test_the_file_says_whose_it_is(tmp_path: Path) -> None:
    recording = load_waveforms(ecg_phantom(tmp_path).file)[0]
    assert recording.identity is not None
    assert (recording.identity.patient_id, recording.identity.sex) == ("PHANTOM-ADULT", "F")
    assert "PHANTOM" not in repr(recording)


@pytest.mark.parametrize(
    "values",
    [
        {"WaveformData": b"\0\0"},
        {"SamplingFrequency": "0"},
        {"NumberOfWaveformChannels": 3},
        {"WaveformSampleInterpretation": "XX"},
        {"NumberOfWaveformSamples": 2**31},
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_broken_group_is_an_error_that_says_so(tmp_path: Path, values: dict[str, object]) -> None:
    file, _ = altered(tmp_path, **values)
    with pytest.raises(EvidenceError, match="cannot be decoded"):
        load_waveforms(file)


def test_a_file_that_is_gone_or_no_waveform_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="cannot be read"):
        load_waveforms(tmp_path / "gone.dcm")
    with pytest.raises(EvidenceError, match="no Waveform Sequence"):
        load_waveforms(Path(str(get_testdata_file("CT_small.dcm"))))


@pytest.mark.parametrize(
    ("said", "lead"),
    [
        ("Lead I (Einthoven)", "I"),
        ("avr", "aVR"),
        ("Lead V6", "V6"),
        ("MLII", "MLII"),
        ("arterial pressure", ""),
        ("", ""),
    ],
)
def test_leads_are_known_by_their_names(said: str, lead: str) -> None:
    assert lead_named(said) == lead


def test_the_storage_classes_are_those_of_the_standard() -> None:
    """As pydicom's dictionary of UIDs has them; the trial class is named too, the waveform SR is none."""
    from pydicom.uid import UID_dictionary

    named = {uid for uid, entry in UID_dictionary.items() if "Waveform" in entry[0] and entry[1] == "SOP Class"}
    assert {uid for uid in named if ".5.1.4.1.1.9." in uid or uid.endswith(".1.1.9.1")} == STORAGE_CLASSES
