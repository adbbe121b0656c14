"""Copied values keep to DICOM's rules, judged by dciodvfy; what a PACS matches on stays what it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import config, dcmread
from pydicom.dataset import Dataset

from cds.domain.report import Report
from cds.report.chinese import chinese
from cds.report.json_form import as_json
from cds.report.pdf import EncapsulatedPdf
from cds.report.source import read_header
from cds.report.sr import StructuredReport
from cds.report.told import limits
from cds.report.validity import CUT, FIRST, KEPT, LEFT_OUT, MOST_CHARACTERS, NOT_KEPT, REWRITTEN, valid
from support.images import series_of
from support.reports import abstained, evidence, report_of, study_of

Run = Callable[[str, Path], str]
NAME_OF = {
    "StudyID": "Study ID",
    "StudyDescription": "Study Description",
    "ReferringPhysicianName": "Referring Physician's Name",
    "PatientName": "Patient's Name",
    "EthnicGroup": "Ethnic Group",
    "PatientBirthDate": "Patient's Birth Date",
    "StudyDate": "Study Date",
    "StudyTime": "Study Time",
    "PatientSex": "Patient's Sex",
    "PatientAge": "Patient's Age",
    "AccessionNumber": "Accession Number",
    "PatientID": "Patient ID",
    "IssuerOfPatientID": "Issuer of Patient ID",
}
"""Attribute names of PS3.6."""


def report_with(folder: Path, **values: object) -> Report:
    """A report of a study whose images carry these values, valid or not."""
    if "PatientName" in values:
        values["name"] = values.pop("PatientName")
    with config.disable_value_validation():
        xray = series_of(folder, "DX", 1, **values)  # type: ignore[arg-type]
    return report_of(study_of(xray), (abstained(),), parts=evidence(xray.instances[0], None))


LENGTH = re.compile(r"<(?P<value>.*)> - Length invalid for this VR = \d+, expected <= (?P<most>\d+)")


def errors(report: Report, folder: Path, run: Run) -> list[str]:
    """What dciodvfy calls an error in either object, but for its count of bytes.

    PS3.5 6.2 counts characters, of a person name in each component group; dciodvfy counts the bytes of the
    whole value, and so calls 22 Chinese characters in UTF-8 too long for 64.
    """
    contents = [StructuredReport().write(report)[0].content, EncapsulatedPdf().write(report)[0].content]
    found = []
    for number, content in enumerate(contents):
        file = folder / f"written-{number}.dcm"
        file.write_bytes(content)
        lines = [line for line in run("dciodvfy", file).splitlines() if line.startswith("Error")]
        true = [line for line in lines if not fits_by_characters(line) and "contains invalid data values" not in line]
        found += true
    return found


def fits_by_characters(line: str) -> bool:
    said = LENGTH.search(line)
    if said is None:
        return False
    groups = said["value"].split("=") if " PN " in line else [said["value"]]
    return not said["value"].isascii() and all(len(group) <= int(said["most"]) for group in groups)


def written(report: Report) -> Dataset:
    with config.disable_value_validation():
        ds = dcmread(BytesIO(StructuredReport().write(report)[0].content))
        ds.decode()
        return ds


@pytest.mark.parametrize(
    ("keyword", "value", "kept", "told"),
    [
        ("StudyID", "STUDY-0123456789-ABC", "STUDY-0123456789", CUT),
        ("StudyID", "A\\B", "A", FIRST),
        ("StudyID", "\\B", "B", FIRST),
        ("StudyDescription", "d" * 80, "d" * 64, CUT),
        ("StudyDescription", "Thorax\\PA", "Thorax", FIRST),
        ("StudyDescription", "two\r\nlines", "two lines", ""),
        ("StudyDescription", "胸" * 64, "胸" * 64, ""),
        ("StudyDescription", "胸" * 70, "胸" * 64, CUT),
        ("PatientName", "N" * 70 + "^Ann", "N" * 64, CUT),
        ("PatientName", "Wang^Dong=" + "王" * 70, "Wang^Dong=" + "王" * 64, CUT),
        ("PatientName", "A^B^C^D^E^F", "A^B^C^D^E", CUT),
        ("PatientName", "A=B=C=D", "A=B=C", CUT),
        ("PatientName", "Doe^A\\Doe^B", "Doe^A", FIRST),
        ("ReferringPhysicianName", "Doe^Jane\\Roe^Jim", "Doe^Jane", FIRST),
        ("EthnicGroup", "e" * 20, "e" * 16, CUT),
        ("PatientBirthDate", "1965.04.12", "19650412", REWRITTEN),
        ("PatientBirthDate", "unknown", "", LEFT_OUT),
        ("StudyTime", "08:59:30", "085930", REWRITTEN),
        ("StudyTime", "morning", "", LEFT_OUT),
        ("PatientSex", "f", "F", REWRITTEN),
        ("PatientSex", "X", "", LEFT_OUT),
        ("PatientAge", "60", None, LEFT_OUT),
    ],
)
def test_a_value_that_breaks_a_rule_is_made_valid_and_the_report_says_how(
    keyword: str, value: str, kept: str | None, told: str, tmp_path: Path, run: Run
) -> None:
    report = report_with(tmp_path, **{keyword: value})
    assert errors(report, tmp_path, run) == []
    element = written(report).get(keyword)
    assert (None if element is None else str(element)) == kept
    sentence = told.format(NAME_OF[keyword])
    assert read_header(report).notes == ((sentence,) if told else ())
    if told:
        assert (sentence, chinese(sentence)) in limits(report)
        assert sentence in as_json(report)["limits"]


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("AccessionNumber", "ACCESSION-2026-03-02-0001"),
        ("AccessionNumber", "A1\\A2"),
        ("PatientID", "P" * 80),
        ("PatientID", "ID-1\\ID-2"),
        ("IssuerOfPatientID", "hospital " * 9),
    ],
)
def test_what_a_pacs_matches_on_is_kept_whole_and_the_report_says_so(
    keyword: str, value: str, tmp_path: Path, run: Run
) -> None:
    report = report_with(tmp_path, **{keyword: value})
    kept = written(report)[keyword].value
    assert (kept if isinstance(kept, str) else "\\".join(kept)) == value.strip()
    broken = errors(report, tmp_path, run)
    assert broken
    assert [line for line in broken if NAME_OF[keyword] not in line and keyword not in line] == []
    sentence = KEPT.format(NAME_OF[keyword])
    assert [each for each in limits(report) if each[0] == sentence] == [(sentence, chinese(sentence))]
    assert chinese(sentence) != sentence


def test_an_identifier_that_no_pacs_keeps_is_left_out_and_not_cut(tmp_path: Path, run: Run) -> None:
    report = report_with(tmp_path, AccessionNumber="A" * 300)
    assert written(report).AccessionNumber == ""
    assert errors(report, tmp_path, run) == []
    assert NOT_KEPT.format("Accession Number") in read_header(report).notes


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("\\ISO 2022 IR 58", "Zhang^XiaoDong=张^小东"),
        ("ISO_IR 100", "Müller^Jürg"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
    ],
)
def test_values_in_any_character_set_are_valid_in_what_is_written(
    charset: str, name: str, tmp_path: Path, run: Run
) -> None:
    foreign = name.rpartition("=")[2].replace("^", "")
    report = report_with(tmp_path, charset=charset, PatientName=name, StudyDescription=foreign * 30)
    assert errors(report, tmp_path, run) == []
    ds = written(report)
    assert str(ds.PatientName) == name
    assert ds.StudyDescription == (foreign * 30)[:64]
    assert read_header(report).notes == (CUT.format("Study Description"),)


def test_without_a_character_set_latin_letters_are_read_and_written_validly(tmp_path: Path, run: Run) -> None:
    report = report_with(tmp_path, charset="ISO_IR 100", PatientName="Müller^Jürg")
    path = report.study.instances[0].path
    raw = path.read_bytes()
    declared = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100"
    assert declared in raw
    path.write_bytes(raw.replace(declared, b""))
    assert str(written(report).PatientName) == "Müller^Jürg"
    assert errors(report, tmp_path, run) == []


def test_a_number_that_is_none_is_left_out(tmp_path: Path, run: Run) -> None:
    report = report_with(tmp_path, PatientWeight="70.125")
    path = report.study.instances[0].path
    path.write_bytes(path.read_bytes().replace(b"70.125", b"heavy!"))
    assert errors(report, tmp_path, run) == []
    assert "PatientWeight" not in written(report)
    assert read_header(report).notes == (LEFT_OUT.format("Patient's Weight"),)


def test_a_code_is_never_cut_to_another_code(tmp_path: Path, run: Run) -> None:
    whole, empty = Dataset(), Dataset()
    with config.disable_value_validation():
        whole.CodeValue, whole.CodingSchemeDesignator, whole.CodeMeaning = "CHEST-PA-AND-LATERAL-2", "99X", "Chest PA"
        empty.CodeValue, empty.CodingSchemeDesignator = "X", "99X"
    report = report_with(tmp_path, ProcedureCodeSequence=[whole, empty])
    (code,) = written(report).ProcedureCodeSequence
    assert (code.LongCodeValue, code.CodeMeaning) == ("CHEST-PA-AND-LATERAL-2", "Chest PA")
    assert "CodeValue" not in code
    assert errors(report, tmp_path, run) == []


@given(st.text(max_size=300), st.sampled_from(["SH", "LO", "PN", "CS", "DA", "TM", "AS", "DS", "IS"]), st.booleans())
def test_no_text_makes_a_value_that_breaks_its_rule(text: str, vr: str, several: bool) -> None:
    value, _ = valid("StudyDescription", vr, text, several=several)
    assert several or "\\" not in value
    most = MOST_CHARACTERS.get(vr, 16)
    for each in value.split("\\"):
        assert all(len(group) <= most for group in (each.split("=") if vr == "PN" else [each]))
    assert valid("StudyDescription", vr, value, several=several)[0] == value
