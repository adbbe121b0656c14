"""Lung-RADS v2022, written from the assessment categories of November 2022: just below, at and above each limit."""

import pytest

from knowledge_graph.fleischner import NoduleType
from knowledge_graph.lung_rads import (
    INCOMPLETE,
    MANAGEMENT,
    Category,
    Course,
    Cyst,
    Incomplete,
    Lesion,
    Place,
    Rating,
    course,
    possible,
    rate,
    rate_airway,
    rate_cyst,
    tenth_mm,
    with_features,
    worst,
)

SOLID, PART, GLASS = NoduleType.SOLID, NoduleType.PART_SOLID, NoduleType.GROUND_GLASS
BASE, NEW, GROWS, SLOW, STABLE = (
    Course.BASELINE,
    Course.NEW,
    Course.GROWING,
    Course.SLOWLY_GROWING,
    Course.STABLE,
)


def categories(lesion: Lesion) -> str:
    return " ".join(rating.category for rating in rate(lesion))


@pytest.mark.parametrize(
    ("when", "diameter_mm", "category"),
    [
        (BASE, 3.0, "2"), (BASE, 5.9, "2"), (BASE, 5.94, "2"), (BASE, 5.95, "3"), (BASE, 6.0, "3"), (BASE, 6.1, "3"),
        (BASE, 7.9, "3"), (BASE, 8.0, "4A"), (BASE, 8.1, "4A"), (BASE, 14.9, "4A"), (BASE, 15.0, "4B"),
        (BASE, 15.1, "4B"), (BASE, 40.0, "4B"),
        (NEW, 3.9, "2"), (NEW, 4.0, "3"), (NEW, 4.1, "3"), (NEW, 5.9, "3"), (NEW, 6.0, "4A"), (NEW, 6.1, "4A"),
        (NEW, 7.9, "4A"), (NEW, 8.0, "4B"), (NEW, 8.1, "4B"),
        (GROWS, 4.0, "4A"), (GROWS, 7.9, "4A"), (GROWS, 8.0, "4B"), (GROWS, 8.1, "4B"),
        (SLOW, 5.0, "4B"), (SLOW, 12.0, "4B"),
    ],
)  # fmt: skip
def test_solid_nodules(when: Course, diameter_mm: float, category: str) -> None:
    assert categories(Lesion(kind=SOLID, diameter_mm=diameter_mm, course=when)) == category


@pytest.mark.parametrize(
    ("when", "diameter_mm", "solid_mm", "solid_when", "category"),
    [
        (BASE, 5.9, 3.0, None, "2"), (BASE, 6.0, 3.0, None, "3"), (BASE, 6.1, 5.9, None, "3"),
        (BASE, 20.0, 5.9, None, "3"), (BASE, 20.0, 6.0, None, "4A"), (BASE, 20.0, 6.1, None, "4A"),
        (BASE, 20.0, 7.9, None, "4A"), (BASE, 20.0, 8.0, None, "4B"), (BASE, 20.0, 8.1, None, "4B"),
        (NEW, 5.9, 3.0, None, "3"), (NEW, 6.0, 3.9, None, "4A"), (NEW, 6.0, 4.0, None, "4B"),
        (NEW, 12.0, 4.1, None, "4B"),
        (GROWS, 12.0, 3.9, GROWS, "4A"), (GROWS, 12.0, 4.0, GROWS, "4B"), (STABLE, 12.0, 4.1, GROWS, "4B"),
        (GROWS, 12.0, 3.9, NEW, "4A"), (GROWS, 12.0, 4.0, NEW, "4B"),
        (GROWS, 12.0, 5.0, STABLE, "3"),
        (SLOW, 12.0, 3.0, STABLE, "4B"), (GROWS, 12.0, 3.0, SLOW, "4B"),
    ],
)  # fmt: skip
def test_part_solid_nodules(
    when: Course, diameter_mm: float, solid_mm: float, solid_when: Course | None, category: str
) -> None:
    lesion = Lesion(kind=PART, diameter_mm=diameter_mm, course=when, solid_mm=solid_mm, solid_course=solid_when)
    assert categories(lesion) == category


@pytest.mark.parametrize(
    ("when", "diameter_mm", "expected"),
    [
        (BASE, 5.9, "2"),
        (BASE, 6.0, "3 4A"),
        (BASE, 9.0, "3 4A 4B"),
        (NEW, 3.0, "3"),
        (NEW, 7.0, "4A 4B"),
        (GROWS, 9.0, "3 4A 4B"),
    ],
)
def test_a_solid_component_that_was_not_measured_leaves_a_range_of_categories(
    when: Course, diameter_mm: float, expected: str
) -> None:
    assert categories(Lesion(kind=PART, diameter_mm=diameter_mm, course=when)).startswith(expected)


@pytest.mark.parametrize(
    ("when", "diameter_mm", "category"),
    [
        (BASE, 29.9, "2"), (BASE, 30.0, "3"), (BASE, 30.1, "3"),
        (NEW, 29.9, "2"), (NEW, 30.0, "3"), (NEW, 30.1, "3"),
        (GROWS, 29.9, "2"),
        (SLOW, 29.9, "2"), (SLOW, 30.0, "2"), (SLOW, 30.1, "2"),
    ],
)  # fmt: skip
def test_ground_glass_nodules(when: Course, diameter_mm: float, category: str) -> None:
    assert categories(Lesion(kind=GLASS, diameter_mm=diameter_mm, course=when)) == category


@pytest.mark.parametrize(
    ("when", "diameter_mm", "category"),
    [
        (BASE, 9.9, "2"), (BASE, 10.0, "4A"), (BASE, 10.1, "4A"),
        (NEW, 9.9, "2"), (NEW, 10.0, "4B"), (NEW, 10.1, "4B"),
        (GROWS, 7.9, "4A"),
    ],
)  # fmt: skip
def test_juxtapleural_nodules_of_typical_shape(when: Course, diameter_mm: float, category: str) -> None:
    assert categories(Lesion(kind=SOLID, diameter_mm=diameter_mm, course=when, juxtapleural=True)) == category


def test_a_part_solid_nodule_at_the_pleura_has_no_row_of_its_own() -> None:
    assert categories(Lesion(kind=PART, diameter_mm=9.0, solid_mm=8.0, juxtapleural=True)) == "4B"


def test_benign_calcification_or_fat_is_category_1_at_any_size() -> None:
    assert categories(Lesion(kind=SOLID, diameter_mm=25.0, benign=True)) == "1"


@pytest.mark.parametrize(
    ("place", "when", "category"),
    [
        (Place.SUBSEGMENTAL, BASE, "2"),
        (Place.SUBSEGMENTAL, NEW, "2"),
        (Place.SUBSEGMENTAL, STABLE, "2"),
        (Place.PROXIMAL, BASE, "4A"),
        (Place.PROXIMAL, STABLE, "4B"),
        (Place.PROXIMAL, GROWS, "4B"),
    ],
)
def test_airway_nodules(place: Place, when: Course, category: str) -> None:
    rating = rate_airway(place, when)
    assert rating is not None and rating.category == category


def test_a_subsegmental_airway_nodule_that_grows_has_no_row() -> None:
    assert rate_airway(Place.SUBSEGMENTAL, GROWS) is None


@pytest.mark.parametrize(
    ("cyst", "category"),
    [
        (Cyst.LARGER_CAVITY, "3"),
        (Cyst.THICK_WALLED, "4A"),
        (Cyst.MULTILOCULAR, "4A"),
        (Cyst.BECAME_MULTILOCULAR, "4A"),
        (Cyst.THICKER_WALL, "4B"),
        (Cyst.MULTILOCULAR_GROWING, "4B"),
        (Cyst.MULTILOCULAR_DENSER, "4B"),
    ],
)
def test_atypical_pulmonary_cysts(cyst: Cyst, category: str) -> None:
    assert rate_cyst(cyst).category == category


@pytest.mark.parametrize(
    ("then_mm", "now_mm", "days", "expected"),
    [
        (6.0, 7.4, 365, STABLE), (6.0, 7.5, 365, STABLE), (6.0, 7.6, 365, GROWS), (4.7, 6.2, 365, STABLE),
        (6.0, 7.6, 90, GROWS), (6.0, 5.0, 365, STABLE), (6.0, 7.6, None, GROWS),
        (6.0, 7.5, 730, STABLE), (6.0, 7.6, 730, SLOW), (6.0, 9.0, 730, SLOW), (6.0, 9.1, 730, GROWS),
    ],
)  # fmt: skip
def test_growth_is_more_than_one_and_a_half_millimetres_in_12_months(
    then_mm: float, now_mm: float, days: int | None, expected: Course
) -> None:
    assert course(now_mm, then_mm, days) is expected


@pytest.mark.parametrize(
    ("before", "days", "diameter_mm", "category"),
    [
        ("3", 179, 7.0, "3"), ("3", 180, 7.0, "2"), ("3", 365, 5.0, "2"),
        ("4A", 89, 9.0, "4A"), ("4A", 90, 9.0, "3"), ("4A", 365, 9.0, "3"),
        ("4B", 365, 16.0, "4B"),
        ("2", 365, 5.9, "2"), ("2", 365, 6.0, "3"), ("3", 365, 8.0, "4A"), ("4A", 365, 15.0, "4B"),
    ],
)  # fmt: skip
def test_stepped_management_of_what_is_stable_and_limits_that_are_crossed_without_growth(
    before: str, days: int, diameter_mm: float, category: str
) -> None:
    lesion = Lesion(kind=SOLID, diameter_mm=diameter_mm, course=STABLE, before=Category(before), days=days)
    assert categories(lesion) == category


@pytest.mark.parametrize(("before", "diameter_mm", "category"), [("3", 30.0, "2"), ("2", 30.0, "3"), ("2", 29.9, "2")])
def test_a_stable_ground_glass_nodule_is_category_2_unless_it_has_crossed_30_mm(
    before: str, diameter_mm: float, category: str
) -> None:
    lesion = Lesion(kind=GLASS, diameter_mm=diameter_mm, course=STABLE, before=Category(before), days=365)
    assert categories(lesion) == category


@pytest.mark.parametrize(("category", "after"), [("1", "1"), ("2", "2"), ("3", "4X"), ("4A", "4X"), ("4B", "4X")])
def test_suspicious_features_make_category_3_and_4_a_4x(category: str, after: str) -> None:
    assert with_features(Rating(Category(category), "row")).category == after


def test_the_most_suspicious_lesion_gives_the_category_and_none_gives_category_1() -> None:
    found = [rating for size in (5.0, 9.0, 7.0) for rating in rate(Lesion(kind=SOLID, diameter_mm=size))]
    assert worst(found).row == "solid nodule, at baseline, 8 to <15 mm"
    assert worst([]).category == "1"


def test_an_unsettled_nodule_below_a_settled_one_changes_nothing() -> None:
    open_one = rate(Lesion(kind=PART, diameter_mm=9.0))
    settled = rate(Lesion(kind=SOLID, diameter_mm=16.0))
    assert [rating.category for rating in possible([open_one, settled])] == ["4B"]
    small = rate(Lesion(kind=SOLID, diameter_mm=9.0))
    assert [rating.category for rating in possible([open_one, small])] == ["4A", "4B"]


@pytest.mark.parametrize(
    ("category", "words"),
    [
        ("1", "in 12 months"),
        ("2", "in 12 months"),
        ("3", "in 6 months"),
        ("4A", "in 3 months; PET/CT may be considered with a solid nodule or component of 8 mm"),
        ("4B", "diagnostic chest CT with or without contrast, tissue sampling"),
        ("4X", "diagnostic chest CT with or without contrast, tissue sampling"),
    ],
)
def test_management_by_category(category: str, words: str) -> None:
    assert words in MANAGEMENT[Category(category)][0]


def test_what_is_done_for_an_incomplete_examination_depends_on_the_reason() -> None:
    assert "earlier chest CT" in INCOMPLETE[Incomplete.PRIOR][0]
    assert "additional" in INCOMPLETE[Incomplete.NOT_EVALUABLE][0]
    assert "1 to 3 months" in INCOMPLETE[Incomplete.INFECTIOUS][0]


@pytest.mark.parametrize("tenths", range(30, 320))
def test_mean_diameters_are_told_to_a_tenth_halves_upwards(tenths: int) -> None:
    assert tenth_mm((tenths / 10 + (tenths + 1) / 10) / 2) == (tenths + 1) / 10
