"""Whatever a file holds, reading it ends with samples or with an `EvidenceError`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cds.dicom.waveform import load_waveforms
from cds.errors import EvidenceError
from cds.features.waveform.reading import read_ecg
from cds.features.waveform.wfdb import load_annotations, load_wfdb
from cds.testing.phantoms.ecg import ecg_phantom, synthetic_ecg

WORDS = st.sampled_from(
    ["r", "2", "0", "-1", "250", "3", "r.dat", "212", "16", "16x2", "100(5)/mV", "1e400", "x", "/", "\0", "é"]
)


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(st.lists(WORDS, max_size=10), max_size=4), data=st.binary(max_size=40))
def test_a_wfdb_record_is_read_or_refused(lines: list[list[str]], data: bytes) -> None:
    with TemporaryDirectory() as folder:
        header = Path(folder) / "r.hea"
        header.write_text("\n".join(" ".join(line) for line in lines), encoding="utf-8")
        (Path(folder) / "r.dat").write_bytes(data)
        try:
            samples = load_wfdb(header).samples
        except EvidenceError:
            return
        assert samples.ndim == 2


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=60))
def test_annotations_are_read_or_refused(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "r.atr"
        path.write_bytes(data)
        try:
            found = load_annotations(path)
        except EvidenceError:
            return
        assert len(found.samples) == len(found.symbols)


@settings(max_examples=60, deadline=None)
@example(share=1.0, at=136, byte=0)  # an explicit data set that is taken for an implicit one
@given(share=st.floats(0.0, 1.0), at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_dicom_file_that_was_cut_or_changed_is_read_or_refused(share: float, at: int, byte: int) -> None:
    with TemporaryDirectory() as folder:
        file = ecg_phantom(Path(folder), ecg=synthetic_ecg(seconds=1.0, hz=100.0)).file
        content = bytearray(file.read_bytes())
        content[at % len(content)] = byte
        file.write_bytes(content[: round(share * len(content))])
        try:
            recordings = load_waveforms(file)
        except EvidenceError:
            return
        assert all(recording.samples.shape[0] == len(recording.channels) for recording in recordings)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([1e-6, 1.0, 1e6]), walk=st.booleans())
def test_what_is_read_of_any_numbers_is_finite(seed: int, size: float, walk: bool) -> None:
    random = np.random.default_rng(seed)
    samples = random.normal(0, size, (2, 1500))
    ecg = read_ecg(np.cumsum(samples, axis=1) if walk else samples, 200.0, ("I", "II"))
    if ecg.rhythm is not None:
        assert np.isfinite([ecg.rhythm.rate, ecg.rhythm.sdnn_ms, ecg.rhythm.rmssd_ms]).all()
    if ecg.intervals is not None:
        for value in (ecg.intervals.pr_ms, ecg.intervals.qrs_ms, ecg.intervals.qt_ms):
            assert value is None or 0 < value < 1500
