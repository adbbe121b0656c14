"""CURB-65, written from Lim et al., Thorax 2003;58:377-382 (doi:10.1136/thorax.58.5.377)."""

from itertools import product

import pytest

from knowledge_graph.curb65 import GROUPS, Bounds, Criterion, Inputs, exactly, groups, score


@pytest.mark.parametrize(
    ("inputs", "criterion", "met"),
    [
        (Inputs(confusion=False), Criterion.CONFUSION, False),
        (Inputs(confusion=True), Criterion.CONFUSION, True),
        (Inputs(urea=exactly(6.9)), Criterion.UREA, False),
        (Inputs(urea=exactly(7.0)), Criterion.UREA, False),
        (Inputs(urea=exactly(7.1)), Criterion.UREA, True),
        (Inputs(respiratory_rate=29), Criterion.RESPIRATORY_RATE, False),
        (Inputs(respiratory_rate=30), Criterion.RESPIRATORY_RATE, True),
        (Inputs(respiratory_rate=31), Criterion.RESPIRATORY_RATE, True),
        (Inputs(systolic=89, diastolic=61), Criterion.BLOOD_PRESSURE, True),
        (Inputs(systolic=90, diastolic=61), Criterion.BLOOD_PRESSURE, False),
        (Inputs(systolic=91, diastolic=61), Criterion.BLOOD_PRESSURE, False),
        (Inputs(systolic=120, diastolic=59), Criterion.BLOOD_PRESSURE, True),
        (Inputs(systolic=120, diastolic=60), Criterion.BLOOD_PRESSURE, True),
        (Inputs(systolic=120, diastolic=61), Criterion.BLOOD_PRESSURE, False),
        (Inputs(age=64.9), Criterion.AGE, False),
        (Inputs(age=65.0), Criterion.AGE, True),
        (Inputs(age=66.0), Criterion.AGE, True),
    ],
)
def test_every_criterion_below_at_and_above_its_limit(inputs: Inputs, criterion: Criterion, met: bool) -> None:
    found = score(inputs)
    assert (criterion in found.met, criterion in found.not_met) == (met, not met)
    assert len(found.unknown) == 4


@pytest.mark.parametrize(
    ("urea", "met"),
    [
        (Bounds(low=0.0, high=7.0), False),
        (Bounds(low=0.0, high=7.1), None),
        (Bounds(low=7.0, high=float("inf"), above=True), True),
        (Bounds(low=7.0, high=float("inf")), None),
        (Bounds(low=6.0, high=float("inf"), above=True), None),
    ],
)
def test_a_bound_of_urea_counts_only_where_it_settles_the_criterion(urea: Bounds, met: bool | None) -> None:
    found = score(Inputs(urea=urea))
    answer = True if Criterion.UREA in found.met else False if Criterion.UREA in found.not_met else None
    assert answer is met


def test_one_pressure_can_meet_the_criterion_and_both_are_needed_to_deny_it() -> None:
    assert Criterion.BLOOD_PRESSURE in score(Inputs(systolic=85)).met
    assert Criterion.BLOOD_PRESSURE in score(Inputs(diastolic=55)).met
    assert Criterion.BLOOD_PRESSURE in score(Inputs(systolic=120)).unknown
    assert Criterion.BLOOD_PRESSURE in score(Inputs(diastolic=80)).unknown


@pytest.mark.parametrize("answers", list(product((False, True), repeat=5)))
def test_every_combination_of_criteria_gives_their_number_and_one_group(answers: tuple[bool, ...]) -> None:
    confusion, urea, rate, pressure, age = answers
    found = score(
        Inputs(
            confusion=confusion,
            urea=exactly(12.0 if urea else 4.0),
            respiratory_rate=35.0 if rate else 16.0,
            systolic=80.0 if pressure else 130.0,
            diastolic=80.0,
            age=80.0 if age else 40.0,
        )
    )
    assert found.least == found.most == sum(answers)
    (group,) = groups(found)
    assert GROUPS.index(group) == (0, 0, 1, 2, 2, 2)[sum(answers)]


@pytest.mark.parametrize(("number", "mortality"), [(0, "1.5 %"), (1, "9.2 %"), (2, "22 %")])
def test_the_groups_carry_the_mortality_of_the_study(number: int, mortality: str) -> None:
    assert f"({mortality} died within 30 days" in GROUPS[number].text[0]


def test_nothing_known_is_a_range_from_0_to_5_and_no_guess() -> None:
    found = score(Inputs())
    assert (found.least, found.most, len(groups(found))) == (0, 5, 3)


def test_three_points_settle_the_group_whatever_is_missing() -> None:
    found = score(Inputs(confusion=True, urea=exactly(9.0), age=70.0))
    assert (found.least, found.most) == (3, 5)
    assert [group.row for group in groups(found)] == ["group 3: score 3 or more"]
