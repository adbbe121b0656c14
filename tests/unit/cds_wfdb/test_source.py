"""Recordings joined by an index: by identity, in the window, from the index's folder and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cds.domain.records import Records
from cds.domain.study import Patient, Study
from cds.domain.waveform import WaveformFormat
from cds.errors import ConfigError
from cds.testing.phantoms.ecg import ecg_phantom, synthetic_ecg, write_wfdb
from cds_wfdb.source import WfdbRecords, WfdbSettings

HEAD = "patient_id,issuer_of_patient_id,birth_date,sex,file,acquired_at\n"
GOOD = "P-1,,1960-02-29,F,a.hea,2026-06-15T08:00:00+00:00\n"
STUDY = Study(
    study_instance_uid="1.2.3",
    patient=Patient(patient_id="P-1", birth_date=date(1960, 2, 29), sex="F"),
    series=(),
    started_at=datetime(2026, 6, 15, 9, 30, tzinfo=UTC),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_wfdb(tmp_path, "a", synthetic_ecg(seconds=2.0))
    return tmp_path


def found(folder: Path, rows: str, study: Study = STUDY) -> Records:
    index = folder / "index.csv"
    index.write_text(HEAD + rows, encoding="utf-8")
    return WfdbRecords(WfdbSettings(index=str(index))).records_for(study)


def reasons(records: Records) -> list[str]:
    assert not records.waveforms
    return [each.reason for each in records.rejected]


def test_the_recording_of_the_studys_patient_is_joined(folder: Path) -> None:
    records = found(folder, "P-2,,1950-01-01,M,b.hea,2026-06-15T08:00:00+00:00\n" + GOOD)
    (waveform,) = records.waveforms
    assert (waveform.format, waveform.path) == (WaveformFormat.WFDB, folder / "a.hea")
    assert waveform.acquired_at == datetime(2026, 6, 15, 8, tzinfo=UTC)
    assert waveform.source == "waveforms: index.csv row 3"
    assert not records.rejected


def test_other_samples_are_another_recording(folder: Path) -> None:
    (before,) = found(folder, GOOD).waveforms
    file = folder / "a.dat"
    samples = bytearray(file.read_bytes())
    samples[0] ^= 1
    file.write_bytes(samples)
    (after,) = found(folder, GOOD).waveforms
    assert before.sha256 != after.sha256


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (GOOD.replace("1960-02-29", "1961-02-28"), "it is not certain that it is the same person: birth date differs"),
        (
            GOOD.replace("1960-02-29,F", ","),
            "it is not certain that it is the same person: nothing but the Patient ID agrees",
        ),
        (GOOD.replace("2026-06-15", "2026-06-01"), "outside the window of 72 h before to 24 h after the study"),
        (GOOD.replace("+00:00", ""), "the time is not understood; ISO 8601 with a zone is wanted"),
        (GOOD.replace("1960-02-29", "1960-02-30"), "the birth date does not exist in the calendar"),
        (GOOD.replace(",F,", ",X,"), "the sex is not understood; M, F, O or empty is wanted"),
        (GOOD.replace("a.hea", "../a.hea"), "the file lies outside the folder of the index"),
        (GOOD.replace("a.hea", "gone.hea"), "the file cannot be read"),
        (GOOD.replace("a.hea", "a.dat"), "the file is neither a WFDB header nor DICOM, by its ending (HEA, DCM)"),
        (GOOD.replace("a.hea", ""), "the row names no file"),
        (GOOD.replace("P-1", "P-9"), "no row has the Patient ID of this study"),
    ],
)
def test_what_does_not_count_is_told_without_patient_data(row: str, reason: str, folder: Path) -> None:
    assert reasons(found(folder, row)) == [reason]


def test_a_record_without_its_signals_is_rejected(folder: Path) -> None:
    (folder / "a.dat").unlink()
    assert reasons(found(folder, GOOD)) == ["a signal file of the record cannot be read"]


def test_an_index_without_a_column_or_that_is_gone_is_told(folder: Path) -> None:
    index = folder / "index.csv"
    index.write_text("patient_id,file\n")
    source = WfdbRecords(WfdbSettings(index=str(index)))
    assert reasons(source.records_for(STUDY)) == ["the index has no column acquired_at"]
    with pytest.raises(ConfigError, match="no column acquired_at"):
        source.check()
    index.unlink()
    assert reasons(source.records_for(STUDY)) == ["the index cannot be read"]


@pytest.mark.parametrize(
    ("study", "reason"),
    [
        (replace(STUDY, patient=Patient()), "the study has no Patient ID; no record can be joined"),
        (replace(STUDY, started_at=None), "the study has no date and time; no record can be joined"),
    ],
)
def test_a_study_that_nothing_can_be_joined_to_is_told(study: Study, reason: str, folder: Path) -> None:
    assert reasons(found(folder, GOOD, study)) == [reason]


def test_one_named_file_belongs_to_whatever_study_is_read(tmp_path: Path) -> None:
    file = ecg_phantom(tmp_path).file
    source = WfdbRecords(WfdbSettings(file=str(file)))
    source.check()
    (waveform,) = source.records_for(STUDY).waveforms
    assert (waveform.format, waveform.source, waveform.acquired_at) == (
        WaveformFormat.DICOM,
        "waveforms: ecg.dcm",
        None,
    )


def test_a_named_file_that_is_of_another_kind_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither a WFDB header"):
        WfdbRecords(WfdbSettings(file=str(tmp_path / "a.txt"))).check()


def test_a_window_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="window_hours_before"):
        WfdbRecords(WfdbSettings(window_hours_before=-1.0))
