"""How long a value counts, and which one does where several sources give the same analyte."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cds.domain.joining import SUPERSEDED, Window, across
from cds.domain.labs import ANALYTES
from cds.domain.records import LabResult, LabStatus, Records
from cds.domain.windows import LONGER, LONGEST, counts_before

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
WINDOW = Window(NOON, timedelta(hours=72), timedelta(hours=24))


def lab(key: str, value: float, hours_before: float, **changes: object) -> LabResult:
    analyte = ANALYTES[key]
    moment = NOON - timedelta(hours=hours_before)
    return LabResult(analyte=analyte.code, value=value, unit=analyte.unit, observed_at=moment, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "days", "counts"),
    [
        ("crp", 2.9, True),
        ("crp", 3.1, False),
        ("d_dimer", 3.1, False),
        ("creatinine", 29.9, True),
        ("creatinine", 30.1, False),
        ("hba1c", 39.9, True),
        ("hba1c", 40.1, False),
        ("cea", 20.9, True),
    ],
)
def test_what_changes_slowly_counts_longer_before_the_study(key: str, days: float, counts: bool) -> None:
    assert WINDOW.holds(NOON - timedelta(days=days), ANALYTES[key].code) is counts


def test_after_the_study_every_analyte_has_the_window_of_the_site() -> None:
    assert WINDOW.holds(NOON + timedelta(hours=24), ANALYTES["hba1c"].code)
    assert not WINDOW.holds(NOON + timedelta(hours=25), ANALYTES["hba1c"].code)


def test_a_site_may_have_a_longer_window_than_the_table() -> None:
    assert counts_before(ANALYTES["esr"].code, timedelta(days=90)) == timedelta(days=90)


def test_every_longer_time_names_who_says_so_and_none_is_missed_by_the_first_look() -> None:
    assert all(longer.source for longer in LONGER.values())
    assert WINDOW.may_hold(NOON - LONGEST)
    assert not WINDOW.may_hold(NOON - LONGEST - timedelta(hours=1))


def test_values_that_count_say_by_which_window_and_have_their_earlier_final_values() -> None:
    used = [lab("crp", 120, 4), lab("hba1c", 6.9, 100)]
    others = [
        lab("crp", 80, 26),
        lab("crp", 40, 50),
        lab("crp", 41, 60, status=LabStatus.PRELIMINARY),
        lab("crp", 42, 61, status=LabStatus.CANCELLED),
        lab("wbc", 9, 4),
        lab("crp", 121, 4),
    ]
    joined = WINDOW.joined(used, others)
    assert [each.window_hours for each in joined.labs] == [(72.0, 24.0), (960.0, 24.0)]
    assert [each.value for each in joined.earlier] == [40, 80]


def test_of_two_sources_the_latest_final_value_counts_and_the_other_is_told() -> None:
    csv = Records(labs=(lab("crp", 80, 26, source="labs: a.csv row 2"), lab("wbc", 9, 26, source="labs: a.csv row 3")))
    hl7 = Records(labs=(lab("crp", 120, 4, source="hl7:M-1:OBX 1"),))
    for joined in (across(csv + hl7), across(hl7 + csv)):
        assert [(each.analyte.key, each.value) for each in joined.labs] == [
            (ANALYTES["crp"].code.key, 120),
            (ANALYTES["wbc"].code.key, 9),
        ]
        assert [each.value for each in joined.earlier] == [80]
        assert [(each.source, each.reason) for each in joined.rejected] == [("labs: a.csv row 2", SUPERSEDED)]


def test_one_source_alone_is_joined_as_it_is() -> None:
    records = WINDOW.joined([lab("crp", 120, 4)], [lab("crp", 80, 26)])
    assert across(records) == records


def test_a_value_that_was_withdrawn_or_corrected_is_not_among_the_earlier_ones() -> None:
    cancelled = replace(lab("crp", 0, 30), status=LabStatus.CANCELLED)
    corrected = replace(lab("crp", 60, 26), status=LabStatus.CORRECTED)
    others = [lab("crp", 45, 30), cancelled, corrected, lab("crp", 80, 26)]
    assert [each.value for each in WINDOW.joined([lab("crp", 120, 4)], others).earlier] == [60]
