from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
import pytest

from cds.domain.comparison import Change, Comparison, Trend
from cds.domain.evidence import Assertion, Measurement, Modality, Observation, Site
from cds.domain.report import Report
from cds.domain.vocabulary import ANATOMY, FINDINGS
from cds.errors import ReportError
from cds.report.json_form import JsonReport
from cds.report.pdf import EncapsulatedPdf
from cds.report.priors import heading, sentence, sentences
from cds.report.sr import StructuredReport
from support.reports import DIAMETER, VOLUME, full_report


def nodule(diameter: float, volume: float) -> Observation:
    return Observation(
        id="chest_ct/nodule/1",
        concept=FINDINGS["lung_nodule"],
        measurements=(
            Measurement(quantity=DIAMETER, value=diameter, unit="mm"),
            Measurement(quantity=VOLUME, value=volume, unit="mm3"),
        ),
        site=Site(region=ANATOMY["lung"], laterality=ANATOMY["left"]),
    )


GROWN = Change(
    then=nodule(8.0, 268.0), now=nodule(10.0, 523.0), trend=Trend.GROWN, volume_change=0.951, doubling_days=186.6
)
STEADY = Change(then=nodule(8.0, 268.0), now=nodule(8.1, 290.0), trend=Trend.WITHIN_VARIABILITY, volume_change=0.082)
PNEUMONIA = Observation(id="chest_xray/pneumonia", concept=FINDINGS["pneumonia"], probability=0.8)
CT = Comparison(
    study_instance_uid="2.25.77",
    performed_on=date(2025, 9, 1),
    days=182,
    modality=Modality.CT,
    changes=(GROWN, Change(then=nodule(5.0, 60.0), now=None), Change(then=None, now=nodule(4.0, 30.0))),
)
UNREAD = Comparison(
    study_instance_uid="2.25.78",
    performed_on=date(2022, 3, 1),
    days=1460,
    modality=Modality.XRAY,
    reason="the earlier study could not be read: the study has no CT series",
)


@pytest.fixture
def report(tmp_path: Path) -> Report:
    whole = full_report(tmp_path)
    prior = replace(whole.study, study_instance_uid="2.25.77")
    case = replace(
        whole.case, priors=(prior,), not_compared=("the study has no Patient ID or no date",), held=3, expected=4
    )
    return replace(whole, case=case, comparisons=(CT, UNREAD))


def test_a_matched_nodule_is_told_with_sizes_change_and_doubling_time() -> None:
    english, chinese = sentence(GROWN)
    assert english == (
        "Pulmonary nodule (left lung): at the same place in both; largest diameter 8 mm then, 10 mm now; "
        "volume 268 mm³ then, 523 mm³ now; volume changed by +95 %, volume doubling time 187 days."
    )
    assert "体积倍增时间187天" in chinese
    assert "既往8 mm，本次10 mm" in chinese


def test_a_small_change_is_told_to_be_within_measurement_variability_with_its_source() -> None:
    english, chinese = sentence(STEADY)
    assert "volume changed by +8 %, within the variability of measurement (less than 25 %; BTS 2015" in english
    assert "doubling" not in english
    assert "测量变异范围内" in chinese


def test_what_was_not_matched_is_told_on_both_sides() -> None:
    told = [each[0] for each in sentences(CT)]
    assert told[1] == "Pulmonary nodule (left lung): 5 mm, seen then, not matched to one of now."
    assert told[2] == "Pulmonary nodule (left lung): 4 mm, seen now, not matched to one of then."


def test_a_probability_is_told_then_and_now_and_that_it_is_of_the_image_alone() -> None:
    english, chinese = sentence(Change(then=replace(PNEUMONIA, probability=0.12), now=PNEUMONIA))
    assert english == "Pneumonia: probability by the image alone 12 % then, 80 % now."
    assert "既往12 %，本次80 %" in chinese


def test_what_has_neither_number_is_told_by_what_is_said_of_it() -> None:
    here = Observation(id="chest_ct/effusion", concept=FINDINGS["pleural_effusion"])
    english, _ = sentence(Change(then=replace(here, assertion=Assertion.ABSENT), now=here))
    assert english.endswith(": absent then, present now.")


@pytest.mark.parametrize(
    ("days", "ago"), [(1, "1 day earlier"), (182, "182 days earlier"), (1460, "4.0 years earlier")]
)
def test_how_long_ago_is_told_in_days_then_in_years(days: int, ago: str) -> None:
    assert heading(replace(CT, days=days))[0] == f"chest CT of 2025-09-01, {ago}"


def test_json_carries_every_number_and_both_languages(report: Report) -> None:
    form: dict[str, Any] = json.loads(JsonReport().write(report)[0].content)
    first, second = form["priors"]
    assert first["title"]["en"] == "chest CT of 2025-09-01, 182 days earlier"
    assert first["changes"][0]["volume_change"] == 0.951
    assert first["changes"][0]["doubling_days"] == 186.6
    assert first["changes"][0]["then"]["measurements"][1]["value"] == 268.0
    assert [change["matched"] for change in first["changes"]] == [True, False, False]
    assert second["reason_zh"] == "既往检查无法读取：本检查无CT序列"
    assert form["inputs"]["complete"] == {"held": 3, "expected": 4}
    assert form["not_compared"][0]["zh"] == "本次检查无患者编号或无日期"


def test_the_sr_tells_the_comparison_names_the_earlier_study_and_is_partial(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "sr.dcm"
    file.write_bytes(StructuredReport().write(report)[0].content)
    ds = pydicom.dcmread(file)
    texts = [
        item.TextValue
        for group in ds.ContentSequence
        for item in group.get("ContentSequence", [])
        if item.ValueType == "TEXT" and item.ConceptNameCodeSequence[0].CodeValue == "121069"
    ]
    assert len(texts) == 8
    assert any("volume doubling time 187 days" in text for text in texts)
    assert [item.StudyInstanceUID for item in ds.PertinentOtherEvidenceSequence] == ["2.25.77"]
    assert ds.CompletionFlag == "PARTIAL"
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfy is absent: apt-get install dicom3tools")
    answer = subprocess.run([tool, str(file)], capture_output=True, text=True, check=False)
    assert [line for line in (answer.stdout + answer.stderr).splitlines() if line.startswith("Error")] == []


def test_the_page_shows_the_comparison_in_both_languages(report: Report, tmp_path: Path) -> None:
    tool = shutil.which("pdftotext")
    if tool is None:
        pytest.skip("pdftotext is absent: apt-get install poppler-utils")
    page = next(each for each in EncapsulatedPdf().write(report) if each.media_type == "application/pdf")
    file = tmp_path / "page.pdf"
    file.write_bytes(page.content)
    text = " ".join(subprocess.run([tool, str(file), "-"], capture_output=True, check=True).stdout.decode().split())
    assert "Compared with earlier studies" in text
    assert "volume doubling time 187 days" in text
    assert "与既往检查比较" in text


def test_a_number_that_is_not_finite_never_reaches_a_report(report: Report) -> None:
    broken = replace(GROWN, doubling_days=float("nan"))
    with pytest.raises(ReportError, match="not finite"):
        JsonReport().write(replace(report, comparisons=(replace(CT, changes=(broken,)),)))


def test_a_report_without_earlier_studies_says_nothing_of_them(tmp_path: Path) -> None:
    form: dict[str, Any] = json.loads(JsonReport().write(full_report(tmp_path))[0].content)
    assert form["priors"] == []
    assert form["not_compared"] == []
    assert form["inputs"]["complete"] is None
