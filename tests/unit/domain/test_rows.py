"""A row of whatever table, file or database: what it says, and why it says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from cds.domain.cells import birth_date, moment, sex, written
from cds.domain.joining import Search, Tally, search_for
from cds.domain.records import Identity, LabStatus, TextKind
from cds.domain.rows import identity, lab_of, report_of
from cds.domain.study import Patient, Study

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
STUDY = Study(study_instance_uid="1.2.3", patient=Patient(patient_id="P"), series=(), started_at=NOON)
CRP = {"code": "1988-5", "value": Decimal("120"), "unit": "mg/L", "observed_at": datetime(2026, 1, 31, 8, tzinfo=UTC)}
CREATININE = {"code": "2160-0", "value": "0.9", "unit": "mg/dL", "observed_at": "2026-01-05T12:00:00Z"}
REPORT = {"report_id": "R", "text": "No nodule.", "kind": "prior", "authored_at": date(2026, 1, 20)}


@dataclass(frozen=True)
class Row:
    cells: Mapping[str, object]

    def cell(self, column: str) -> object:
        return self.cells.get(column)


def search() -> Search:
    found = search_for(STUDY, before=timedelta(hours=72), after=timedelta(hours=24), zone=SHANGHAI)
    assert isinstance(found, Search)
    return found


def reasons(tally: Tally) -> list[tuple[str, str]]:
    return [(each.source, each.reason) for each in tally.rejected()]


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, ""), (" a ", "a"), (Decimal("1E+2"), "100"), (3, "3"), (date(2026, 1, 2), "2026-01-02"), (0.5, "0.5")],
)
def test_a_cell_of_any_type_has_its_text(cell: object, text: str) -> None:
    assert written(cell) == text


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2026-01-31T09:05:00+08:00", datetime(2026, 1, 31, 1, 5, tzinfo=UTC)),
        ("2026/1/31 9:05", datetime(2026, 1, 31, 1, 5, tzinfo=UTC)),
        (datetime(2026, 1, 31, 9, 5), datetime(2026, 1, 31, 1, 5, tzinfo=UTC)),
        (datetime(2026, 1, 31, 9, 5, tzinfo=timezone(timedelta(hours=1))), datetime(2026, 1, 31, 8, 5, tzinfo=UTC)),
        (date(2026, 1, 31), datetime(2026, 1, 30, 16, tzinfo=UTC)),
        ("20260131", datetime(2026, 1, 30, 16, tzinfo=UTC)),
    ],
)
def test_a_time_is_aware_and_of_the_zone_that_it_does_not_name(cell: object, expected: datetime) -> None:
    assert moment(cell, SHANGHAI) == expected


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("yesterday", "not understood"),
        ("2026-02-30", "does not exist"),
        (date(9999, 12, 31), "does not exist"),
        (datetime(1, 1, 1), "does not exist"),
        (None, "not understood"),
        (20260131.5, "not understood"),
    ],
)
def test_what_is_no_time_is_an_error_that_repeats_no_cell(cell: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        moment(cell, UTC)
    assert written(cell) == "" or written(cell) not in str(raised.value)


def test_who_a_row_is_about_is_the_same_whatever_types_its_cells_have() -> None:
    expected = Identity(patient_id="17", issuer_of_patient_id="HOSP", birth_date=date(1950, 1, 2), sex="F")
    texts = {"patient_id": "17", "issuer": " HOSP ", "birth_date": "19500102", "sex": "女"}
    typed = {"patient_id": 17, "issuer": "HOSP", "birth_date": datetime(1950, 1, 2), "sex": 2}
    assert identity(Row(texts)) == identity(Row(typed)) == expected
    assert (birth_date(""), birth_date(None), sex(None)) == (None, None, "")


def test_a_laboratory_value_has_its_row_as_source() -> None:
    tally = Tally("labs")
    found = lab_of(Row(CRP), 7, search(), {}, tally)
    assert found is not None
    assert (found.value, found.unit, found.source, found.status) == (120.0, "mg/L", "labs row 7", LabStatus.FINAL)
    assert tally.rejected() == ()


def test_a_value_counts_by_the_window_of_its_own_analyte() -> None:
    tally = Tally("labs")
    slow = lab_of(Row(CREATININE), 1, search(), {}, tally)
    assert slow is not None
    assert lab_of(Row(CRP | {"observed_at": CREATININE["observed_at"]}), 2, search(), {}, tally) is None
    assert lab_of(Row(CREATININE | {"observed_at": "2025-01-05"}), 3, search(), {}, tally) is None
    assert reasons(tally) == [("labs", "outside the window of 72 h before to 24 h after the study: 2 rows")]


def test_a_row_that_cannot_be_used_is_named_with_its_reason_and_a_range_costs_the_range() -> None:
    tally = Tally("labs")
    assert lab_of(Row(CRP | {"value": "secret"}), 1, search(), {}, tally) is None
    found = lab_of(Row(CRP | {"reference_low": "9", "reference_high": "5"}), 2, search(), {}, tally)
    assert found is not None
    assert (found.reference_low, found.reference_high) == (None, None)
    assert [source for source, _ in reasons(tally)] == ["labs row 1", "labs row 2"]
    assert "secret" not in str(reasons(tally))


def test_a_prior_is_from_before_the_study_and_a_current_report_in_the_window() -> None:
    tally = Tally("reports")
    found = report_of(Row(REPORT), 1, search(), tally)
    assert found is not None
    assert (found.kind, found.source) == (TextKind.PRIOR, "reports row 1")
    assert report_of(Row(REPORT | {"authored_at": "2026-02-01T00:00:00Z"}), 2, search(), tally) is None
    assert report_of(Row(REPORT | {"kind": "current"}), 3, search(), tally) is None
    assert report_of(Row(REPORT | {"text": ""}), 4, search(), tally) is None
    assert [reason for _, reason in reasons(tally)] == [
        "the report has no text",
        "a prior that is not from before the study: 1 row",
        "outside the window of 72 h before to 24 h after the study: 1 row",
    ]
