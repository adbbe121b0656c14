"""What a report says of a laboratory value: its age, how long it counts, its trend."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cds.domain.records import LabResult
from cds.domain.report import Report
from cds.report.json_form import JsonReport
from cds.report.laboratory import age, is_stale, lab_sentence, trend, window
from cds.report.pdf import EncapsulatedPdf
from support.reports import CREATED, CRP, full_report

LAB = LabResult(
    analyte=CRP,
    value=120.0,
    unit="mg/L",
    observed_at=CREATED - timedelta(hours=4),
    reference_high=5,
    source="labs.csv:9",
    window_hours=(72.0, 24.0),
)


@pytest.fixture
def plain(tmp_path: Path) -> Report:
    return full_report(tmp_path)


def with_labs(report: Report, lab: LabResult, *earlier: tuple[float, float, str]) -> Report:
    """`earlier` are value, hours before the study, comparator."""
    before = tuple(
        replace(
            lab, value=value, observed_at=CREATED - timedelta(hours=hours), comparator=comparator, window_hours=None
        )
        for value, hours, comparator in earlier
    )
    records = replace(report.case.records, labs=(lab,), earlier=before)
    return replace(report, case=replace(report.case, records=records))


@pytest.mark.parametrize(
    ("hours", "english", "chinese"),
    [
        (4, "4 h before the study", "检查前4小时"),
        (-1.5, "1.5 h after it", "检查后1.5小时"),
        (72, "3 d before the study", "检查前3天"),
        (0, "at the study", "检查时"),
    ],
)
def test_the_age_is_told_against_the_study(plain: Report, hours: float, english: str, chinese: str) -> None:
    assert age(plain, replace(LAB, observed_at=CREATED - timedelta(hours=hours))) == (english, chinese)


def test_a_study_without_a_time_gives_no_age(plain: Report) -> None:
    case = replace(plain.case, study=replace(plain.study, started_at=None))
    assert age(replace(plain, case=case), LAB) == ("", "")


@pytest.mark.parametrize(("hours", "stale"), [(20, False), (30, False), (40, True), (70, True)])
def test_a_value_is_old_after_half_of_the_time_for_which_it_counts(plain: Report, hours: float, stale: bool) -> None:
    assert is_stale(plain, replace(LAB, observed_at=CREATED - timedelta(hours=hours))) is stale


def test_how_long_it_counts_is_told_where_its_source_says_so() -> None:
    assert window(LAB) == ("counts 3 d before to 24 h after", "检查前3天至后24小时内有效")
    assert window(replace(LAB, window_hours=None)) == ("", "")


@pytest.mark.parametrize(
    ("earlier", "english"),
    [
        ([(40.0, 50, ""), (80.0, 26, "")], "40 → 80 → 120, rising over 46 h"),
        ([(400.0, 50, ""), (180.0, 26, "")], "400 → 180 → 120, falling over 46 h"),
        ([(40.0, 50, ""), (180.0, 26, "")], "40 → 180 → 120, varying over 46 h"),
        ([(120.0, 56, "")], "120 → 120, unchanged over 2.2 d"),
        ([(40.0, 4.01, "")], "40 → 120, rising over minutes"),
        ([(5.0, 50, "<")], "<5 → 120, direction open over 46 h"),
        ([], ""),
    ],
)
def test_the_trend_is_that_of_the_values_in_the_window(
    plain: Report, earlier: list[tuple[float, float, str]], english: str
) -> None:
    assert trend(with_labs(plain, LAB, *earlier), LAB)[0] == english


def test_the_sentence_the_page_and_json_say_all_of_it(
    plain: Report, tmp_path: Path, read_page: Callable[..., str]
) -> None:
    report = with_labs(plain, LAB, (40.0, 50, ""), (80.0, 26, ""))
    english, chinese = lab_sentence(report, LAB)
    assert "4 h before the study, counts 3 d before to 24 h after, trend 40 → 80 → 120, rising over 46 h" in english
    assert "检查前4小时，检查前3天至后24小时内有效，趋势 40 → 80 → 120，46小时内上升" in chinese
    (tmp_path / "page.pdf").write_bytes(EncapsulatedPdf().write(report)[1].content)
    page = read_page(tmp_path / "page.pdf")
    assert "rising over" in page
    assert "4 h before the study" in page
    (lab,) = json.loads(JsonReport().write(report)[0].content)["inputs"]["labs"]
    assert (lab["age_hours"], lab["stale"], lab["window_hours"]) == (4.0, False, [72.0, 24.0])
    assert [each["value"] for each in lab["earlier"]] == [40.0, 80.0]
