"""WFDB records; the checksums and first values that headers carry are the independent source."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from cds.errors import EvidenceError
from cds.features.waveform.wfdb import load_annotations, load_wfdb
from cds.testing.phantoms.ecg import synthetic_ecg, write_wfdb

DATA = Path(os.environ.get("CDS_DATA", Path(__file__).parents[4] / "shared" / "data")) / "ecg_wfdb"
NUMBERS = [[-5, 100], [7, -100], [0, 1]]
"""Encoded samples of two signals."""


def record(folder: Path, kind: int, data: bytes, extra: str = "", samples: int = 3) -> Path:
    lines = [
        f"r 2 250 {samples}",
        f"r.dat {kind}{extra} 100(0)/mV 12 0 0 0 0 I",
        f"r.dat {kind}{extra} 100/uV 12 0 0 0 0 V1",
    ]
    (folder / "r.hea").write_text("\n".join(lines) + "\n# a comment\n")
    (folder / "r.dat").write_bytes(data)
    return folder / "r.hea"


def packed_212(values: list[int]) -> bytes:
    """Two 12-bit numbers in three bytes, as signal(5) describes them."""
    found = b""
    for one, other in zip(values[::2], values[1::2], strict=True):
        a, b = one & 0xFFF, other & 0xFFF
        found += bytes([a & 0xFF, (a >> 8) | (b >> 8) << 4, b & 0xFF])
    return found


FLAT = [number for pair in NUMBERS for number in pair]
ENCODED = {
    16: np.array(FLAT, dtype="<i2").tobytes(),
    61: np.array(FLAT, dtype=">i2").tobytes(),
    32: np.array(FLAT, dtype="<i4").tobytes(),
    24: b"".join(int(number).to_bytes(3, "little", signed=True) for number in FLAT),
    80: bytes(number + 128 for number in FLAT),
    160: np.array([number + 32768 for number in FLAT], dtype="<u2").tobytes(),
    212: packed_212(FLAT),
}


@pytest.mark.parametrize("kind", sorted(ENCODED))
def test_every_format_gives_the_same_values(kind: int, tmp_path: Path) -> None:
    recording = load_wfdb(record(tmp_path, kind, ENCODED[kind]))
    assert recording.samples[0] == pytest.approx([-0.05, 0.07, 0.0])
    assert recording.samples[1] == pytest.approx([0.001, -0.001, 0.00001])
    assert [channel.lead for channel in recording.channels] == ["I", "V1"]


def test_differences_are_added_up(tmp_path: Path) -> None:
    recording = load_wfdb(record(tmp_path, 8, np.array([[1, 0], [2, 1], [-5, 1]], dtype="i1").tobytes()))
    assert recording.samples[0] == pytest.approx([0.01, 0.03, -0.02])


def test_a_byte_offset_is_skipped(tmp_path: Path) -> None:
    recording = load_wfdb(record(tmp_path, 16, b"head" + ENCODED[16], "+4"))
    assert recording.samples[0] == pytest.approx([-0.05, 0.07, 0.0])


def test_the_sample_that_stands_for_none_is_no_value(tmp_path: Path) -> None:
    values = np.array([[-32768, 1], [2, 3], [4, 5]], dtype="<i2")
    assert np.isnan(load_wfdb(record(tmp_path, 16, values.tobytes())).samples[0, 0])


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("r 1 250 3\n../r.dat 16 100 12 0 0 0 0 I\n", "ValueError"),
        ("r 1 250 3\nr.dat 310 100 12 0 0 0 0 I\n", "ValueError"),
        ("r/2 1 250 3\na 3\n", "ValueError"),
        ("r 2 250 3\nr.dat 16 100 12 0 0 0 0 I\n", "ValueError"),
        ("r 1 0 3\nr.dat 16 100 12 0 0 0 0 I\n", "ValueError"),
        ("", "IndexError"),
    ],
)
def test_a_header_that_cannot_be_used_is_an_error(header: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "r.hea").write_text(header)
    (tmp_path / "r.dat").write_bytes(b"\0" * 6)
    with pytest.raises(EvidenceError, match=reason):
        load_wfdb(tmp_path / "r.hea")


def test_a_cut_signal_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="ValueError"):
        load_wfdb(record(tmp_path, 16, ENCODED[16][:-2]))
    (tmp_path / "r.dat").unlink()
    with pytest.raises(EvidenceError, match="signal file"):
        load_wfdb(tmp_path / "r.hea")


def test_what_a_phantom_wrote_is_read_back(tmp_path: Path) -> None:
    ecg = synthetic_ecg(rhythm="extrasystoles", seconds=20.0, hz=1000.0)
    header = write_wfdb(tmp_path, "p", ecg)
    assert np.abs(load_wfdb(header).samples - ecg.samples).max() < 0.0013
    beats = load_annotations(header.with_suffix(".atr"))
    assert beats.samples.tolist() == ecg.peaks.tolist()
    assert beats.symbols == ecg.kinds
    assert "V" in beats.symbols


def test_annotations_that_are_cut_within_a_skip_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "r.atr").write_bytes(np.array([59 << 10, 1], dtype="<u2").tobytes())
    with pytest.raises(EvidenceError, match="cut"):
        load_annotations(tmp_path / "r.atr")


@pytest.mark.skipif(not DATA.is_dir(), reason="the MIT-BIH and PTB records are not in CDS_DATA")
@pytest.mark.parametrize("name", ["100", "s0010_re"])
def test_first_values_and_checksums_are_those_of_the_header(name: str) -> None:
    """header(5): a signal's checksum is the sum of its samples modulo 65,536, signed."""
    lines = [line.split() for line in (DATA / f"{name}.hea").read_text().splitlines() if line and line[0] != "#"]
    recording = load_wfdb(DATA / f"{name}.hea")
    for fields, samples in zip(lines[1:], recording.samples, strict=True):
        encoded = np.round(samples * float(fields[2]) + int(fields[4])).astype(np.int64)
        assert encoded[0] == int(fields[5])
        assert np.array(encoded.sum()).astype(np.int16) == int(fields[6])


@pytest.mark.skipif(not DATA.is_dir(), reason="the MIT-BIH record is not in CDS_DATA")
def test_record_100_has_its_published_beats() -> None:
    """MIT-BIH directory: 2,239 normal, 33 atrial premature, 1 premature ventricular."""
    beats = load_annotations(DATA / "100.atr").beats()
    assert {symbol: beats.symbols.count(symbol) for symbol in set(beats.symbols)} == {"N": 2239, "A": 33, "V": 1}
