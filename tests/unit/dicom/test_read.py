from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_charset_files, get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from cds.dicom import text
from cds.dicom.read import headers, read_studies, source_dataset

STUDY = "1.2.826.0.1.3680043.8.498.9"


def write(path: Path, number: int, *, series: int = 1, **changes: object) -> Path:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = f"{STUDY}.{series}.{number}"
    ds.StudyDate, ds.StudyTime = "20240229", "081530.5"
    ds.Modality = "CT"
    ds.PatientName = "Test^Person=测试^人"
    ds.PatientID = "T1"
    ds.PatientBirthDate = "20200229"
    ds.PatientSex = "M"
    ds.StudyInstanceUID = STUDY
    ds.SeriesInstanceUID = f"{STUDY}.{series}"
    ds.InstanceNumber = number
    ds.Rows, ds.Columns, ds.BitsAllocated = 2, 3, 16
    ds.PixelData = bytes(12)
    ds["PixelData"].VR = "OW"
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def test_a_folder_is_read_recursively_whatever_the_files_are_called(tmp_path: Path) -> None:
    write(tmp_path / "b" / "IM2", 2)
    write(tmp_path / "a.dcm", 10)
    write(tmp_path / "c" / "d" / "x", 1, series=2)
    (study,), unreadable = read_studies([tmp_path])
    assert unreadable == ()
    assert [series.series_instance_uid for series in study.series] == [f"{STUDY}.1", f"{STUDY}.2"]
    assert [instance.instance_number for instance in study.series[0].instances] == [2, 10]
    assert (study.instances[0].rows, study.instances[0].columns, study.instances[0].frames) == (2, 3, 1)


def test_the_study_and_its_patient_come_over_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "1", 1, AccessionNumber="A1", StudyDescription="胸部", ReasonForStudy="cough")
    (study,), _ = read_studies([path])
    assert study.patient.name == "Test^Person=测试^人"
    assert study.patient.birth_date == date(2020, 2, 29)
    assert study.patient.age_years == pytest.approx(4.0, abs=0.01)
    assert study.started_at == datetime(2024, 2, 29, 8, 15, 30, 500_000, tzinfo=UTC)
    assert (study.accession_number, study.description, study.reason_for_exam) == ("A1", "胸部", "cough")


def test_the_reason_in_the_request_comes_before_the_study_wide_one(tmp_path: Path) -> None:
    request = Dataset()
    request.ReasonForTheRequestedProcedure = "发热"
    path = write(tmp_path / "1", 1, RequestAttributesSequence=Sequence([request]), ReasonForStudy="cough")
    assert read_studies([path])[0][0].reason_for_exam == "发热"


def test_the_offset_from_utc_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "1", 1, TimezoneOffsetFromUTC="+0800")
    started = read_studies([path])[0][0].started_at
    assert started is not None and started.utcoffset() == timedelta(hours=8)


def test_what_cannot_be_read_is_named_with_its_reason_and_the_rest_is_read(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", 1).read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-5])
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "note.txt").write_text("not an image")
    (tmp_path / "twice").write_bytes(whole)
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "DICOMDIR").write_bytes(Path(get_testdata_file("DICOMDIR")).read_bytes())
    studies, unreadable = read_studies([tmp_path, tmp_path / "gone"])
    assert len(studies) == 1
    assert {item.path.name: item.reason.split(" (")[0] for item in unreadable} == {
        "cut": "the data set ends inside element",
        "empty": "not a DICOM file: no DICM prefix at byte 128",
        "gone": "No such file or directory",
        "note.txt": "not a DICOM file: no DICM prefix at byte 128",
        "whole": "the same SOP Instance UID was read before",
    }


def test_two_patients_in_one_study_are_not_read_at_all(tmp_path: Path) -> None:
    write(tmp_path / "1", 1)
    write(tmp_path / "2", 2, PatientID="T2")
    studies, unreadable = read_studies([tmp_path])
    assert studies == ()
    assert [item.reason for item in unreadable] == [f"more than one patient in study {STUDY}"] * 2


def test_headers_are_the_instances_without_their_pixels(tmp_path: Path) -> None:
    write(tmp_path / "1", 1)
    write(tmp_path / "2", 2)
    (study,), _ = read_studies([tmp_path])
    evidence = headers(study)
    assert [ds.SOPInstanceUID for ds in evidence] == [instance.sop_instance_uid for instance in study.instances]
    assert "PixelData" not in evidence[0]
    assert source_dataset(study).PatientID == "T1"


@pytest.mark.parametrize("path", get_charset_files("chr[A-RT-Z]*.dcm"), ids=lambda path: Path(path).name)
def test_names_decode_as_pydicom_decodes_them(path: str) -> None:
    ds = pydicom.dcmread(path)
    codecs = text.character_sets("\\".join(_listed(ds.get("SpecificCharacterSet", ""))).encode())
    raw = ds.get_item("PatientName").value
    assert isinstance(raw, bytes)
    ds.decode()
    assert text.decode(raw, codecs).rstrip("=") == str(ds.PatientName)


def _listed(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(term) for term in value]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("value", "years"), [(b"077Y", 77.0), (b"018M", 1.5), (b"052W", 0.9966), (b"003D", 0.0082), (b"4Y", None)]
)
def test_ages_are_years(value: bytes, years: float | None) -> None:
    assert text.age_years(value) == (None if years is None else pytest.approx(years, abs=1e-3))


def test_broken_dates_times_and_numbers_are_none_or_zero_and_never_raise() -> None:
    assert text.day(b"20241350") is None
    assert text.day(b"2024.02.29") == date(2024, 2, 29)
    assert text.clock(b"99").isoformat() == "00:00:00"
    assert text.zone(b"nonsense") == UTC
    assert text.zone(b"-0330") == timezone(-timedelta(hours=3, minutes=30))
    assert text.whole_number(b"1.5") is None
