from pathlib import Path

import pytest

from cds.domain.records import Records, TextKind
from cds.errors import ConfigError
from cds_csv.source import CsvRecords

from .conftest import report, study_of, table


def records_for(tmp_path: Path, *rows: dict[str, str]) -> Records:
    path = tmp_path / "reports.csv"
    path.write_text(table(rows), encoding="utf-8")
    return CsvRecords(CsvRecords.Settings(reports=str(path))).records_for(study_of())


def test_a_report_is_joined_with_its_text_its_kind_and_its_row(tmp_path: Path) -> None:
    (text,) = records_for(tmp_path, report(text="Two\nlines, one comma.")).texts
    assert text.text == "Two\nlines, one comma."
    assert (text.report_id, text.kind, text.source) == ("R1", TextKind.CURRENT, "reports: reports.csv row 2")


@pytest.mark.parametrize(
    ("kind", "authored_at", "joined"),
    [
        ("current", "2026-01-31T13:00Z", True),
        ("current", "2026-02-03T13:00Z", False),
        ("order", "2026-01-30T13:00Z", True),
        ("order", "2025-01-30T13:00Z", False),
        ("prior", "2019-01-31T13:00Z", True),
        ("prior", "2026-01-31T12:00Z", False),
        ("prior", "2026-03-31T13:00Z", False),
    ],
)
def test_a_prior_is_from_before_the_study_and_the_others_are_from_around_it(
    tmp_path: Path, kind: str, authored_at: str, joined: bool
) -> None:
    found = records_for(tmp_path, report(kind=kind, authored_at=authored_at))
    assert len(found.texts) == joined
    assert len(found.rejected) == (not joined)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "draft"}, "there are: current, prior, order"),
        ({"report_id": " "}, "no report_id"),
        ({"text": " "}, "no text"),
        ({"authored_at": ""}, "the time is not understood"),
        ({"sex": "M"}, "the sex does not"),
        ({"birth_date": "", "sex": ""}, "nothing but the Patient ID agrees"),
    ],
)
def test_a_bad_report_costs_itself_only(tmp_path: Path, changes: dict[str, str], reason: str) -> None:
    found = records_for(tmp_path, report(**changes), report(report_id="R2"))
    assert [text.report_id for text in found.texts] == ["R2"]
    assert reason in found.rejected[0].reason
    assert "effusion" not in repr(found.rejected)


def test_of_one_report_id_the_latest_version_counts(tmp_path: Path) -> None:
    found = records_for(
        tmp_path,
        report(text="second", authored_at="2026-01-31T09:00Z"),
        report(text="first", authored_at="2026-01-31T08:00Z"),
    )
    assert [text.text for text in found.texts] == ["second"]
    assert found.rejected[0].reason == "superseded by a later version of the same report: 1 row"


def test_a_named_text_file_is_the_current_report_of_whatever_study(tmp_path: Path) -> None:
    path = tmp_path / "Muster_Max.txt"
    path.write_bytes("双肺未见实变。\n".encode("gb18030"))
    (text,) = CsvRecords(CsvRecords.Settings(reports=str(path))).records_for(study_of(started_at=None)).texts
    assert text.text == "双肺未见实变。"
    assert text.kind is TextKind.CURRENT
    assert "none was checked" in text.source
    assert "Muster" not in text.report_id + text.source


@pytest.mark.parametrize(
    ("content", "reason"), [(b" \n", "empty"), (b"\xff\xff", "neither"), (b"x" * (1 << 21), "longer")]
)
def test_a_text_file_that_cannot_be_used_is_a_reason_and_an_error_for_a_check(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "report.txt"
    path.write_bytes(content)
    source = CsvRecords(CsvRecords.Settings(reports=str(path)))
    found = source.records_for(study_of())
    assert found.texts == ()
    assert reason in found.rejected[0].reason
    with pytest.raises(ConfigError, match=r"report\.txt"):
        source.check()


def test_text_files_in_a_folder_are_passed_over_for_they_say_nobodys_name(tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("Pneumothorax.")
    found = CsvRecords(CsvRecords.Settings(reports=str(tmp_path))).records_for(study_of())
    assert found.texts == ()
