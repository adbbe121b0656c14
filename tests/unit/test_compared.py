from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cds.compared import SAME_PLACE, compared, doubling_days
from cds.domain.code import Code
from cds.domain.comparison import Change, Trend
from cds.domain.evidence import Algorithm, Assertion, Evidence, Measurement, Missing, Modality, Observation, Site
from cds.domain.study import Instance, Patient, Series, Study
from cds.domain.vocabulary import ANATOMY, FINDINGS

CT = Algorithm(name="ct", version="1")
DIAMETER = Code("81827009", "SCT", "Diameter", "平均直径")
VOLUME = Code("118565006", "SCT", "Volume", "体积")
HERE = (0.30, 0.50, 0.60)


def study(day: date, number: int = 1) -> Study:
    image = Instance(sop_instance_uid=f"2.25.{number}.1", sop_class_uid="1.2", path=Path("x"))
    series = Series(series_instance_uid=f"2.25.{number}.0", modality="CT", instances=(image,))
    started = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    return Study(study_instance_uid=f"2.25.{number}", patient=Patient(), series=(series,), started_at=started)


NOW, THEN = study(date(2026, 1, 1)), study(date(2025, 1, 1), 2)


def nodule(
    number: int, position: tuple[float, ...] = HERE, *, volume: float | None = 100.0, side: str = "right"
) -> Observation:
    sizes = [Measurement(quantity=DIAMETER, value=6.0, unit="mm")]
    if volume is not None:
        sizes.append(Measurement(quantity=VOLUME, value=volume, unit="mm3"))
    return Observation(
        id=f"chest_ct/nodule/{number}",
        concept=FINDINGS["lung_nodule"],
        measurements=tuple(sizes),
        site=Site(region=ANATOMY["lung"], laterality=ANATOMY[side]),
        position=position,
    )


def seen(*observations: Observation, modality: Modality = Modality.CT) -> Evidence:
    return Evidence(modality=modality, algorithm=CT, observations=observations)


def changes(now: tuple[Observation, ...], then: tuple[Observation, ...]) -> tuple[Change, ...]:
    return compared(NOW, THEN, seen(*now), seen(*then)).changes


def shifted(by: float) -> tuple[float, ...]:
    return (HERE[0], HERE[1], HERE[2] + by)


def test_a_nodule_whose_volume_doubles_in_a_year_has_a_doubling_time_of_a_year() -> None:
    (change,) = changes((nodule(1, volume=200.0),), (nodule(1, volume=100.0),))
    assert change.trend is Trend.GROWN
    assert change.volume_change == pytest.approx(1.0)
    assert change.doubling_days == pytest.approx(365.0)


@pytest.mark.parametrize(
    ("then", "now", "days", "expected"),
    [(100.0, 400.0, 200, 100.0), (100.0, 200.0, 90, 90.0), (268.1, 523.6, 180, 186.4)],
    ids=["two doublings", "one doubling", "8 mm to 10 mm in 180 days"],
)
def test_doubling_times_are_those_of_exponential_growth(then: float, now: float, days: int, expected: float) -> None:
    assert doubling_days(then, now, days) == pytest.approx(expected, rel=0.001)


@pytest.mark.parametrize(
    ("now", "trend"),
    [
        (124.9, Trend.WITHIN_VARIABILITY),
        (125.0, Trend.GROWN),
        (100.0, Trend.WITHIN_VARIABILITY),
        (75.1, Trend.WITHIN_VARIABILITY),
        (75.0, Trend.SMALLER),
    ],
)
def test_less_than_a_quarter_of_the_volume_is_within_the_variability_of_measurement(now: float, trend: Trend) -> None:
    (change,) = changes((nodule(1, volume=now),), (nodule(1, volume=100.0),))
    assert change.trend is trend
    assert (change.doubling_days is not None) == (trend is Trend.GROWN)


def test_nodules_are_matched_by_place_whatever_their_numbers() -> None:
    now = (nodule(1, (0.7, 0.4, 0.2), side="left"), nodule(2, HERE))
    then = (nodule(1, shifted(0.03)), nodule(2, (0.71, 0.4, 0.2), side="left"))
    pairs = {(change.now.id, change.then.id) for change in changes(now, then) if change.now and change.then}
    assert pairs == {("chest_ct/nodule/1", "chest_ct/nodule/2"), ("chest_ct/nodule/2", "chest_ct/nodule/1")}


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ((nodule(1),), (nodule(1, shifted(SAME_PLACE + 0.01)),)),
        ((nodule(1, side="right"),), (nodule(1, side="left"),)),
        ((nodule(1, ()),), (nodule(1, ()),)),
        ((nodule(1, HERE),), (nodule(1, ()),)),
    ],
    ids=["too far apart", "the other lung", "no places", "one place"],
)
def test_what_is_not_at_one_place_is_listed_apart(now: tuple[Observation, ...], then: tuple[Observation, ...]) -> None:
    found = changes(now, then)
    assert [change.matched for change in found] == [False, False]
    assert [change.trend for change in found] == [Trend.NOT_MEASURED] * 2


def test_two_nodules_near_one_are_not_matched_by_a_guess() -> None:
    one, two = nodule(1), nodule(2, shifted(0.02))
    assert not any(change.matched for change in changes((one, two), (nodule(1),)))
    assert not any(change.matched for change in changes((nodule(1),), (one, two)))


def test_a_volume_that_was_not_measured_gives_no_trend() -> None:
    (change,) = changes((nodule(1),), (nodule(1, volume=None),))
    assert change.matched
    assert change.trend is Trend.NOT_MEASURED
    assert change.volume_change is None


def test_what_is_said_of_the_whole_is_compared_by_its_name() -> None:
    now = Observation(id="chest_xray/pneumonia", concept=FINDINGS["pneumonia"], probability=0.8)
    then = replace(now, probability=0.1)
    (change,) = compared(NOW, THEN, seen(now, modality=Modality.XRAY), seen(then, modality=Modality.XRAY)).changes
    assert (change.then, change.now) == (then, now)


def test_no_nodule_then_and_one_now_is_one_that_was_not_matched() -> None:
    none = Observation(id="chest_ct/nodule", concept=FINDINGS["lung_nodule"], assertion=Assertion.ABSENT)
    (change,) = changes((nodule(1),), (none,))
    assert change.then is None


def test_an_earlier_study_that_cannot_be_read_gives_the_reason() -> None:
    gone = Missing(modality=Modality.CT, reason="the study has no CT series")
    comparison = compared(NOW, THEN, seen(nodule(1)), gone)
    assert comparison.changes == ()
    assert comparison.reason == "the earlier study could not be read: the study has no CT series"
    assert (comparison.performed_on, comparison.days) == (date(2025, 1, 1), 365)


def test_without_dates_there_is_no_doubling_time() -> None:
    undated = replace(THEN, started_at=None)
    comparison = compared(NOW, undated, seen(nodule(1, volume=300.0)), seen(nodule(1)))
    assert comparison.days is None
    assert comparison.changes[0].doubling_days is None
    assert comparison.changes[0].trend is Trend.GROWN
