"""The HL7 v2 message, judged by hl7apy (structure and data types of v2.5.1) and read by python-hl7."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import hl7
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from cds.domain.code import Code
from cds.domain.report import Report
from cds.report.hl7 import Hl7Message
from cds.report.hl7_er7 import coded, components, formatted, line, number
from cds.report.wording import clean
from cds_hl7.desk import Desk, Rules
from cds_hl7.framing import Block
from cds_hl7.kept import MessageStore, store_path
from cds_hl7.source import Hl7Records
from support.images import STUDY, series_of
from support.report_readers import component, message
from support.report_shapes import ER7, SHAPES, chinese_report, hostile_report, laboratory_report, nothing_report
from support.reports import CREATED, evidence, full_report, report_of, study_of, xray_only_report

Make = Callable[[Path], Report]
ADDED_TO = ("HL70396", "HL70125")
"""Tables that grow: coding systems, and value types, where guides for v2.5.1 have added CWE."""


def written(report: Report, settings: Hl7Message.Settings | None = None) -> bytes:
    return Hl7Message(settings).write(report)[0].content


def read(report: Report, settings: Hl7Message.Settings | None = None) -> hl7.Message:
    return message(written(report, settings))


@pytest.fixture(params=SHAPES, ids=lambda make: make.__name__)
def report(request: pytest.FixtureRequest, tmp_path: Path) -> Report:
    make: Make = request.param
    return make(tmp_path)


def test_every_shape_has_the_structure_and_data_types_of_oru_r01(report: Report, tmp_path: Path) -> None:
    parsed = parse_message(written(report).decode(), validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=True)
    said = tmp_path / "said.txt"
    assert parsed.validate(report_file=str(said))
    assert [each for each in said.read_text().splitlines() if not any(table in each for table in ADDED_TO)] == []


def test_segments_end_with_a_carriage_return_and_no_text_begins_one(report: Report) -> None:
    *segments, last = written(report).decode().split("\r")
    assert last == ""
    assert [each[:4] for each in segments[:3]] == ["MSH|", "PID|", "OBR|"]
    assert {each[:4] for each in segments[3:]} == {"OBX|"}
    assert "\n" not in written(report).decode()


def test_obx_are_counted_and_ours_are_preliminary(report: Report) -> None:
    results = read(report).segments("OBX")
    assert [str(each[1]) for each in results] == [str(n) for n in range(1, len(results) + 1)]
    assert {str(each[11]) for each in results if component(each, 3, 3) != "LN"} == {"P"}


def test_the_header_says_version_type_and_character_set(tmp_path: Path) -> None:
    settings = Hl7Message.Settings(sending_facility="A & B", receiving_application="EHR", processing_id="T")
    report = full_report(tmp_path)
    header = read(report, settings).segment("MSH")
    assert str(header[9]) == "ORU^R01^ORU_R01"
    assert [str(header[n]) for n in (11, 12, 18)] == ["T", "2.5.1", "UNICODE UTF-8"]
    assert [str(header[n]) for n in (3, 4, 5, 6)] == ["CDS", "A \\T\\ B", "EHR", ""]
    assert len(str(header[10])) == 20
    assert written(report) == written(report)


def test_another_revision_is_another_message(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    ids = {str(read(each).segment("MSH")[10]) for each in (report, replace(report, revision=2))}
    assert len(ids) == 2


def test_the_patient_is_named_in_every_script_with_suffix_before_prefix(tmp_path: Path) -> None:
    patient = read(chinese_report(tmp_path)).segment("PID")
    assert str(patient[3]) == "MRN-4711^^^HOSPITAL^MR"
    assert [str(each) for each in patient[5]] == [
        "Li^XiaoMing^^Jr^Dr^^L^A",
        "李^小明^^^^^L^I",
        "り^しょうめい^^^^^L^P",
    ]
    assert [str(patient[n]) for n in (7, 8)] == ["19650412", "F"]


def test_an_issuer_that_is_an_oid_is_said_to_be_one(tmp_path: Path) -> None:
    xray = series_of(tmp_path, "DX", 1, IssuerOfPatientID="1.2.840.99")
    report = report_of(study_of(xray), (), parts=evidence(xray.instances[0], None))
    assert str(read(report).segment("PID")[3]) == "MRN-4711^^^&1.2.840.99&ISO^MR"


def test_the_request_has_accession_procedure_times_and_section(tmp_path: Path) -> None:
    request = read(full_report(tmp_path)).segment("OBR")
    assert [str(request[n]) for n in (3, 18, 24, 25)] == ["ACC-9001", "ACC-9001", "RAD", "P"]
    assert str(request[4]) == "413815006^Chest imaging^SCT"
    assert str(request[7]) == str(request[22]) == f"{CREATED:%Y%m%d%H%M%S}+0000"
    assert str(request[31]) == "^Fever and cough for 3 days"


def test_without_an_accession_number_the_study_uid_is_the_order_number(tmp_path: Path) -> None:
    xray = series_of(tmp_path, "DX", 1, AccessionNumber="")
    request = read(report_of(study_of(xray), (), parts=evidence(xray.instances[0], None))).segment("OBR")
    assert str(request[3]) == f"^^{STUDY}^ISO"
    assert str(request[18]) == ""


def test_the_notice_and_the_impression_stand_before_the_findings(tmp_path: Path) -> None:
    results = read(full_report(tmp_path)).segments("OBX")
    names = [component(each, 3, 1) for each in results]
    first = next(n for n, each in enumerate(results) if str(each[4]))
    assert names[:first] == ["110180", "notice", "notice", "121073", "121073"]


def test_a_finding_is_flagged_only_where_something_was_concluded(tmp_path: Path) -> None:
    coded_ones = [each for each in read(full_report(tmp_path)).segments("OBX") if str(each[2]) == "CWE"]
    flags = {component(each, 3, 1): str(each[8]) for each in coded_ones if component(each, 3, 1) != "363698007"}
    flags.pop("272741003")
    assert flags == {"RID5350": "A", "RID50149": "A", "93880001": "N", "60046008": "", "tuberculosis": ""}


def test_what_a_simulated_cohort_taught_is_not_flagged(tmp_path: Path) -> None:
    report = xray_only_report(tmp_path)
    suspected = replace(report.findings[0], calibrated_on="simulated cohort")
    results = read(replace(report, findings=(suspected,))).segments("OBX")
    assert [str(each[8]) for each in results if component(each, 3, 1) == "RID5350"] == [""]


def test_bounds_are_structured_numbers_and_a_cancelled_value_is_x(tmp_path: Path) -> None:
    values = [each for each in read(laboratory_report(tmp_path)).segments("OBX") if component(each, 3, 3) == "LN"]
    assert [str(each[2]) for each in values] == ["SN", "NM", "SN", "NM"]
    assert [str(each[5]) for each in values] == ["<^5", "0.0000001", ">=^1234567.5", "0"]
    assert [str(each[11]) for each in values] == ["F", "P", "C", "X"]
    assert [str(each[7]) for each in values][0::2] == ["<=5", ">=3.5"]


def test_hostile_text_comes_back_as_it_was(tmp_path: Path) -> None:
    received = read(hostile_report(tmp_path))
    calibrated = [each for each in received.segments("OBX") if component(each, 3, 1) == "calibrated_on"]
    assert received.unescape(str(calibrated[0][5])).replace("\r", "\n") == ER7.replace("\r", "\n")
    assert str(received.segment("PID")[5][0]).startswith("O\\F\\Hara^Eve\\T\\<b>")


def test_the_page_is_there_where_the_setting_asks_for_it(tmp_path: Path) -> None:
    report = nothing_report(tmp_path)
    assert "|ED|" not in written(report).decode()
    last = read(report, Hl7Message.Settings(pdf=True)).segments("OBX")[-1]
    assert [component(last, 5, n) for n in (1, 2, 3, 4)] == ["", "application", "pdf", "Base64"]
    assert base64.b64decode(component(last, 5, 5)).startswith(b"%PDF-")


def test_a_node_that_is_sent_our_message_reads_no_report_in_it(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    store = MessageStore(store_path(str(tmp_path)))
    answers = [answer() for answer in Desk(store, Rules()).take(Block(written(report)))]
    store.close()
    patient = replace(report.study.patient, issuer_of_patient_id="HOSPITAL")
    joined = Hl7Records(Hl7Records.Settings(data_dir=str(tmp_path))).records_for(replace(report.study, patient=patient))
    assert b"MSA|AA|" in answers[0]
    assert (len(joined.labs), joined.texts) == (2, ())


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.0, "1"), (0.835, "0.835"), (1e-7, "0.0000001"), (1e21, "1000000000000000000000"), (-0.04, "-0.04"), (0, "0")],
)
def test_a_number_has_every_digit_and_no_exponent(value: float, expected: str) -> None:
    assert number(value) == expected
    assert float(number(value)) == value


def test_every_mark_of_the_encoding_is_escaped() -> None:
    assert line("a|b^c&d~e\\f") == "a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f"
    assert line("one\ntwo\rthree") == "one two three"
    assert formatted(" one\r\ntwo\u2028three ") == "one\\.br\\two\\.br\\three"


@given(text=st.text(max_size=60))
def test_any_text_comes_back_without_what_no_text_may_hold(text: str) -> None:
    sent = formatted(text)
    assert not set(sent) & set("|^&~\r\n\u2028")
    back = hl7.Message(separators="\r|~^&", sequence=[]).unescape(sent)
    assert back.split() == clean(text).split()


def test_empty_components_at_the_end_are_left_out() -> None:
    assert components("a", "", "b", "", "") == "a^^b"
    assert coded(Code("C0034375", "UMLS", "Qualitative Evaluations")) == "C0034375^Qualitative Evaluations^UML"
