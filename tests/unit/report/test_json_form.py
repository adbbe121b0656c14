"""The report as JSON: the contract that users and black-box tests rely on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from cds.domain.code import Code
from cds.domain.evidence import Span
from cds.errors import ReportError
from cds.report.json_form import JsonReport, as_json
from cds.report.sr import StructuredReport
from support.images import STUDY
from support.reports import CREATED, full_report, xray_only_report

PROMISED = {
    "study_instance_uid",
    "created_at",
    "algorithm",
    "inputs",
    "missing",
    "gates",
    "findings",
    "statements",
    "recommendations",
    "impression",
    "limits",
    "revision",
    "inputs_hash",
}


def test_every_promised_key_is_there(tmp_path: Path) -> None:
    said = as_json(full_report(tmp_path))
    assert set(said) >= PROMISED
    assert set(said["findings"][0]) >= {
        "code",
        "assertion",
        "probability",
        "interval",
        "site",
        "measurements",
        "contributions",
        "because",
    }
    assert set(said["statements"][0]) >= {"subject", "relation", "object", "citation", "path"}
    assert set(said["recommendations"][0]) >= {"guideline", "table", "row", "text"}


def test_the_inputs_are_all_there_with_their_identifiers(tmp_path: Path) -> None:
    inputs = as_json(full_report(tmp_path))["inputs"]
    assert inputs["images"] == [f"{STUDY}.1.1", f"{STUDY}.2.1", f"{STUDY}.2.2", f"{STUDY}.2.3"]
    crp = inputs["labs"][0]
    assert (crp["loinc"], crp["value"], crp["unit"], crp["source"]) == ("1988-5", 96.5, "mg/L", "labs.csv:2")
    assert crp["time"] == CREATED.isoformat()
    (span,) = inputs["spans"]
    assert (span["report_id"], span["start"], span["end"]) == ("prior-1", 10, 41)
    assert span["text"] == "right lower lobe consolidation."


def test_the_written_document_is_the_same_value(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    (written,) = JsonReport().write(report)
    assert json.loads(written.content) == as_json(report)
    assert (written.name, written.media_type, written.sop_instance_uid) == ("report.json", "application/json", "")


def test_one_line_where_it_is_asked_for(tmp_path: Path) -> None:
    (written,) = JsonReport(JsonReport.Settings(indent=0)).write(xray_only_report(tmp_path))
    assert written.content.count(b"\n") == 1


def test_a_finding_that_was_not_assessed_has_no_number_and_a_reason(tmp_path: Path) -> None:
    finding = as_json(xray_only_report(tmp_path))["findings"][1]
    assert finding["assertion"] == "NOT_ASSESSED"
    assert finding["probability"] is None
    assert finding["interval"] is None
    assert finding["reason"] == "no chest CT took part"


def test_a_number_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    lab = replace(report.case.records.labs[0], value=math.nan)
    records = replace(report.case.records, labs=(lab,))
    with pytest.raises(ReportError, match="LN:1988-5 carries a number that is not finite"):
        JsonReport().write(replace(report, case=replace(report.case, records=records)))


def test_a_span_beyond_its_text_gives_what_there_is(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    text = report.evidence[3]
    stray = replace(text.observations[0], span=Span(report_id="prior-1", start=10, end=10**9))
    gone = replace(text.observations[0], id="text/gone", span=Span(report_id="gone", start=0, end=5))
    report = replace(report, evidence=(replace(text, observations=(stray, gone)),))
    spans = as_json(report)["inputs"]["spans"]
    assert spans[0]["text"].startswith("right lower lobe")
    assert spans[1]["text"] == ""


def test_both_languages_of_a_code_are_given(tmp_path: Path) -> None:
    code = as_json(full_report(tmp_path))["findings"][0]["code"]
    assert (code["meaning"], code["meaning_zh"]) == ("Pneumonia", "肺炎")
    assert Code(code["value"], code["scheme"], "").key == f"{code['scheme']}:{code['value']}"


def test_every_encoding_carries_the_same_rounded_numbers(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    said = as_json(report)["findings"][0]
    ds = dcmread(BytesIO(StructuredReport().write(report)[0].content))
    numbers = {
        item.ConceptNameCodeSequence[0].CodeMeaning: float(item.MeasuredValueSequence[0].NumericValue)
        for item in walk(ds)
        if item.get("ValueType") == "NUM"
    }
    assert said["probability"] == 0.835
    assert said["interval"] == [0.712, 0.913]
    assert said["base"] == numbers["Base value that the contributions start from"] == 0.445
    assert said["contributions"]["chest_xray"] == numbers["Contribution of chest X-ray to probability"] == 0.31
    written = [str(item.MeasuredValueSequence[0].NumericValue) for item in walk(ds) if item.get("ValueType") == "NUM"]
    assert all(len(number) <= 6 for number in written), written


def walk(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from walk(child)


def test_json_gives_the_chinese_of_reasons_gates_and_limits(tmp_path: Path) -> None:
    said = as_json(full_report(tmp_path))
    assert said["missing"][0]["reason_zh"] == "未配置相应模块"
    assert said["limits_zh"][0] == "本报告为辅助决策，未经确认：须由医师审阅图像及本报告。"
    assert len(said["limits_zh"]) == len(said["limits"])
    assert said["gates"][0]["reason_zh"] == "PA"
