"""The report in a terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from cds.domain.evidence import Gate
from cds.domain.report import Report
from cds.errors import ReportError
from cds.features.text.extractor import LIMITS as TEXT_LIMITS
from cds.pipeline import LIMITS
from cds.report.json_form import JsonReport
from cds.report.terminal import show
from cds.report.wording import impression
from support.reports import HOSTILE, full_report, many_nodules_report, xray_only_report


def shown(report: Report | object, language: str = "en", width: int = 120) -> str:
    out = StringIO()
    show(report, Console(file=out, width=width, no_color=True), language=language)
    return out.getvalue()


def test_the_terminal_says_what_was_found_how_sure_from_what_and_what_was_missing(tmp_path: Path) -> None:
    said = " ".join(shown(full_report(tmp_path)).split())
    for expected in (
        "AI decision support, unverified",
        "84 %",
        "95 % interval 71–91 %",
        "diameter 8.24 mm",
        "volume 293.1 mm³",
        "laboratory: C reactive protein 96.5 mg/L",
        "chest X-ray +31.0",
        "Fleischner Society 2017",
        "waveform: no extractor is configured",
        "fusion-transformer 3.0.0",
    ):
        assert expected in said, expected


def test_a_report_read_back_from_json_looks_the_same(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    assert shown(json.loads(JsonReport().write(report)[0].content)) == shown(report)


def test_chinese_and_both_languages_are_to_be_had(tmp_path: Path) -> None:
    report = xray_only_report(tmp_path)
    chinese, both = shown(report, "zh"), shown(report, "both")
    assert "未经医师确认" in chinese
    assert "needs review" not in chinese
    assert "未经医师确认" in both
    assert "unverified" in both


def test_what_was_not_assessed_gives_its_reason(tmp_path: Path) -> None:
    assert "no chest CT took part" in shown(xray_only_report(tmp_path))


def test_markup_and_escape_sequences_in_a_report_are_harmless(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    said = shown(replace(report, limits=("[red]limit[/red] " + HOSTILE,), impression=("[blink]x[/] \x1b[2J", "")))
    assert "[red]limit[/red]" in said
    assert "\x1b[2J" not in said


def test_a_long_list_is_cut_and_counted(tmp_path: Path) -> None:
    said = shown(many_nodules_report(tmp_path))
    assert "and 28 more" in said


@pytest.mark.parametrize("value", [{}, [], "x", None, {"findings": []}])
def test_what_is_no_report_is_refused(value: object) -> None:
    with pytest.raises(ReportError, match="this is no report: it lacks"):
        shown(value)


def test_the_chinese_terminal_has_no_english_sentence_of_ours(tmp_path: Path) -> None:
    said = shown(whole_chinese_report(tmp_path), "zh")
    for expected in (
        "版本 1 · 4 幅图像，2 项检验结果，1 份文本 · 未经确认",
        "基线值 44.5 %, 胸部X线 +31.0",
        "个百分点",
        "✗ 胸部X线: 年龄: 年龄未知；模型由1至5岁儿童的图像训练",
        "波形: 未配置相应模块",
        "不适用：",
        "报告文本由词表和规则读取",
        "患者年龄未知",
        "H (参考范围 0–5)",
    ):
        assert expected in said, expected
    for english in ("percentage points", "images", "revision", "does not apply", "laboratory", "limit", "unverified"):
        assert english not in said.lower(), english


def whole_chinese_report(folder: Path) -> Report:
    """Every kind of text of ours, none that a stranger wrote."""
    report = full_report(folder)
    gate = Gate(name="age", passed=False, reason="age unknown; the model was trained on children of 1 to 5 years")
    evidence = (replace(report.evidence[0], gates=(gate,)), *report.evidence[1:])
    (source,) = report.knowledge
    recommendation = replace(source.recommendations[0], applies=False)
    patient = replace(report.study.patient, age_years=None)
    return replace(
        report,
        case=replace(report.case, study=replace(report.study, patient=patient)),
        evidence=evidence,
        findings=tuple(replace(each, reason="", calibrated_on="") for each in report.findings[:3]),
        knowledge=(replace(source, recommendations=(recommendation,), statements=()),),
        impression=impression(report.findings[:0], report.missing),
        limits=LIMITS + TEXT_LIMITS,
    )
