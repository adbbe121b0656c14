"""The patient and study module, copied from files that real devices could write."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from cds.errors import ReportError
from cds.report.source import SourceHeader, read_header
from support.images import series_of
from support.reports import abstained, report_of, study_of


def header_of(folder: Path, **more: str) -> SourceHeader:
    xray = series_of(folder, "DX", 1, **more)
    return read_header(report_of(study_of(xray), (abstained(),), parts=()))


def rewritten(folder: Path, old: bytes, new: bytes, **more: str) -> SourceHeader:
    """The header after bytes of the file were exchanged for as many others."""
    assert len(old) == len(new)
    xray = series_of(folder, "DX", 1, **more)
    path = xray.instances[0].path
    raw = path.read_bytes()
    assert old in raw
    path.write_bytes(raw.replace(old, new))
    return read_header(report_of(study_of(xray), (abstained(),), parts=()))


@pytest.mark.parametrize("escapes", [True, False])
def test_gb2312_by_code_extension_is_read_with_and_without_its_escapes(escapes: bool, tmp_path: Path) -> None:
    mark = b"\x1b$)A" if escapes else b""
    name = b"Zhang^XiaoDong=" + mark + "张".encode("gb2312") + b"^" + mark + "小东".encode("gb2312")
    placeholder = "N" * len(name)
    header = rewritten(tmp_path, placeholder.encode(), name, charset="\\ISO 2022 IR 58", name=placeholder)
    assert header.text("PatientName") == "Zhang^XiaoDong=张^小东"


def test_a_second_byte_that_looks_like_a_backslash_does_not_cut_a_gbk_name(tmp_path: Path) -> None:
    character = b"\x81\x5c".decode("gb18030")
    assert header_of(tmp_path, charset="GB18030", name=f"={character}^一").text("PatientName") == f"={character}^一"


def test_a_misspelled_character_set_is_understood(tmp_path: Path) -> None:
    header = rewritten(tmp_path, b"ISO_IR 100", b"ISO-IR 100", charset="ISO_IR 100", name="Müller^Jürg")
    assert header.text("PatientName") == "Müller^Jürg"


def test_control_characters_are_left_out_of_what_is_copied(tmp_path: Path) -> None:
    header = rewritten(tmp_path, b"Chest^Bell", b"Che\x07t^B\x0bl\x7f", name="Chest^Bell")
    assert header.text("PatientName") == "Chet^Bl"


def test_an_unknown_character_set_keeps_every_byte(tmp_path: Path) -> None:
    header = rewritten(tmp_path, b"ISO_IR 100", b"ISO_IR 999", charset="ISO_IR 100", name="Müller")
    assert header.text("PatientName") == "Müller"


def test_nested_identifiers_are_copied_with_their_text_decoded(tmp_path: Path) -> None:
    other = Dataset()
    other.PatientID, other.IssuerOfPatientID, other.TypeOfPatientID = "A-1", "Krankenhaus Süd", "TEXT"
    header = header_of(tmp_path, charset="ISO_IR 100", name="Müller", OtherPatientIDsSequence=[other])  # type: ignore[arg-type]
    (copied,) = header.elements.OtherPatientIDsSequence
    assert (copied.PatientID, copied.IssuerOfPatientID) == ("A-1", "Krankenhaus Süd")


def test_what_the_source_lacks_stands_empty_where_the_module_needs_it(tmp_path: Path) -> None:
    header = header_of(tmp_path, StudyID="", ReferringPhysicianName="")
    assert header.elements.StudyID in ("", None)
    assert "ReferringPhysicianName" in header.elements


def test_a_file_of_another_study_gives_no_patient(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="can be read: the report has no patient"):
        header_of(tmp_path, StudyInstanceUID="1.2.3.999")


def test_a_file_of_rubbish_is_passed_over_for_one_that_reads(tmp_path: Path) -> None:
    ct = series_of(tmp_path, "CT", 2)
    ct.instances[0].path.write_bytes(b"no DICOM at all" * 20)
    header = read_header(report_of(study_of(ct), (abstained(),), parts=()))
    assert header.text("PatientID") == "MRN-4711"
