"""What has changed since the revision before, in every encoding and both languages."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest

from cds.domain.evidence import Assertion, Modality
from cds.domain.records import LabResult, Records
from cds.domain.report import Report
from cds.domain.revision import Difference, Matter
from cds.report.changes import changes
from cds.report.content import content_hash
from cds.report.json_form import JsonReport, as_json
from cds.report.pdf import EncapsulatedPdf
from cds.report.revision import heading, sentences
from cds.report.sr import StructuredReport
from support.reports import CREATED, CRP, WBC, full_report

LATE = LabResult(analyte=CRP, value=210.0, unit="mg/L", observed_at=CREATED, reference_high=5, source="hl7:M-2")


@pytest.fixture
def first(tmp_path: Path) -> Report:
    """The first revision, of which the white cells were not known yet."""
    report = full_report(tmp_path)
    records = replace(report.case.records, labs=report.case.records.labs[:1])
    return replace(report, case=replace(report.case, records=records))


@pytest.fixture
def second(first: Report, tmp_path: Path) -> Report:
    """A value was replaced, another one came, a probability rose, a finding was left out."""
    white_cells = full_report(tmp_path).case.records.labs[1]
    pneumonia = replace(first.findings[0], probability=0.9412, assertion=Assertion.PRESENT)
    return replace(
        first,
        case=replace(first.case, records=replace(first.case.records, labs=(LATE, white_cells))),
        findings=(pneumonia, *first.findings[1:-1]),
        revision=2,
        predecessor="2.25.99",
    )


@pytest.fixture
def before(first: Report, tmp_path: Path) -> Path:
    (written,) = JsonReport().write(first)
    file = tmp_path / "report.json"
    file.write_bytes(written.content)
    return file


@pytest.fixture
def revised(second: Report, before: Path) -> Report:
    return replace(second, changes=changes(second, before))


def told(report: Report) -> dict[str, Difference]:
    assert report.changes is not None
    return {f"{each.matter}/{each.id}": each for each in report.changes}


def test_a_value_that_came_and_one_that_was_replaced_and_what_followed_are_the_changes(revised: Report) -> None:
    found = told(revised)
    assert set(found) == {
        f"laboratory/{CRP.value}",
        f"laboratory/{WBC.value}",
        "finding/pneumonia",
        "finding/tuberculosis",
    }
    assert found[f"laboratory/{WBC.value}"].then is None
    assert found["finding/tuberculosis"].now is None


def test_causes_stand_before_what_follows_from_them(revised: Report) -> None:
    assert [each.matter for each in revised.changes or ()] == [Matter.LABORATORY] * 2 + [Matter.FINDING] * 2


def test_the_sentences_say_then_and_now_in_both_languages(revised: Report) -> None:
    english = "\n".join(each[0] for each in sentences(revised))
    chinese = "\n".join(each[1] for each in sentences(revised))
    assert "C reactive protein: 96.5 mg/L H, 2026-03-02 09:30 → 210 mg/L H, 2026-03-02 09:30." in english
    assert "Leukocytes: new, 13.2 ×10^9/L H, 2026-03-02 09:30." in english
    assert "Pneumonia (right lung): present, 84 % → present, 94 %." in english
    assert "no longer there (was: not assessed)." in english
    assert "白细胞计数：新增，13.2 ×10^9/L H，2026-03-02 09:30。" in chinese
    assert "肺炎（右肺）：存在，84 % → 存在，94 %。" in chinese


def test_every_encoding_says_what_changed(revised: Report, tmp_path: Path, read_page: Callable[..., str]) -> None:
    pages = EncapsulatedPdf().write(revised)
    (tmp_path / "page.pdf").write_bytes(pages[1].content)
    page = " ".join(read_page(tmp_path / "page.pdf").split())
    (structured,) = StructuredReport().write(revised)
    texts = [str(item.TextValue) for item in _items(pydicom.dcmread(BytesIO(structured.content)))]
    data = json.loads(JsonReport().write(revised)[0].content)
    assert " · ".join(heading(revised)) in page
    for english, chinese in sentences(revised):
        assert english in page
        assert english in texts
        assert chinese in texts
        assert {"en": english, "zh": chinese} in [each["text"] for each in data["changes"]]


def _items(item: Any) -> list[Any]:
    found = [item] if item.get("ValueType") == "TEXT" else []
    return found + [below for each in item.get("ContentSequence", []) for below in _items(each)]


def test_a_report_without_the_one_before_says_that_the_changes_are_not_known(second: Report, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"inputs": []}')
    for before in (None, tmp_path / "gone.json", broken):
        revised = replace(second, changes=changes(second, before))
        assert revised.changes is None
        assert "not known" in sentences(revised)[0][0]
        assert as_json(revised).get("changes") is None


def test_a_revision_that_tells_the_same_says_so_and_a_first_one_says_nothing(first: Report, before: Path) -> None:
    again = replace(first, revision=2, predecessor="2.25.99")
    again = replace(again, changes=changes(again, before))
    assert again.changes == ()
    assert len(sentences(again)) == 1
    assert sentences(first) == ()


def test_a_modality_that_takes_part_now_and_images_that_came_are_changes(first: Report, tmp_path: Path) -> None:
    poor = replace(
        first,
        case=replace(first.case, records=Records()),
        evidence=tuple(part for part in first.evidence if part.modality not in ("labs", "text")),
        missing=(*first.missing, *(replace(first.missing[0], modality=each) for each in _modalities("labs", "text"))),
    )
    file = tmp_path / "poor.json"
    file.write_bytes(JsonReport().write(poor)[0].content)
    richer = replace(first, revision=2, predecessor="2.25.99")
    found = {f"{each.matter}/{each.id}": each for each in changes(richer, file) or ()}
    assert found["modality/labs"].then == ("took no part", "未参与")
    assert found["modality/labs"].now == ("took part", "已参与")
    assert found["text/prior-1"].then is None


def _modalities(*names: str) -> list[Modality]:
    return [Modality(name) for name in names]


def test_what_changed_does_not_make_the_content_another(second: Report, revised: Report) -> None:
    assert content_hash(second, ["sr"]) == content_hash(revised, ["sr"])
