"""ACR Lung-RADS v2022 as data and rules: what category a lesion of a screening CT has, by which row.

American College of Radiology, Lung-RADS v2022 (November 2022); Christensen J et al. ACR Lung-RADS v2022: Assessment
Categories and Management Recommendations. J Am Coll Radiol 2024;21:473-488. doi:10.1016/j.jacr.2023.09.009. The
wording is ours; limits and intervals are the table's. Sizes are mean diameters, to a tenth of a millimetre (note 4).

Where the table leaves something open, our reading is: a new part-solid nodule below 6 mm whose solid component has
4 mm or more is rated by the component; a ground-glass nodule of 30 mm or more that grows fast is rated as at baseline.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from knowledge_graph.fleischner import NoduleType

GUIDELINE: Final = "ACR Lung-RADS v2022"
TABLE: Final = "Assessment categories"
CITATION: Final = (
    "ACR Lung-RADS v2022, assessment categories. Christensen J et al. J Am Coll Radiol 2024;21:473-488."
    " doi:10.1016/j.jacr.2023.09.009"
)
GROWTH_ABOVE_MM: Final = 1.5
"""More than this in mean diameter within 12 months is growth (note 6)."""
YEAR_DAYS: Final = 366
SIX_MONTHS_DAYS: Final = 180
THREE_MONTHS_DAYS: Final = 90
"""Months of 30 days: from then on an examination counts as the follow-up that a category asked for."""
STABLE_AFTER_3: Final = "stable or smaller after 3 months"
JUXTAPLEURAL_BELOW_MM: Final = 10.0
GROUND_GLASS_FROM_MM: Final = 30.0


class Category(StrEnum):
    """The categories, from incomplete to the most suspicious."""

    INCOMPLETE = "0"
    NEGATIVE = "1"
    BENIGN = "2"
    PROBABLY_BENIGN = "3"
    SUSPICIOUS = "4A"
    VERY_SUSPICIOUS = "4B"
    MORE_SUSPICIOUS = "4X"


class Course(StrEnum):
    """How a lesion stands to earlier examinations; what has become smaller counts as stable."""

    BASELINE = "at baseline"
    NEW = "new"
    STABLE = "stable"
    GROWING = "growing"
    SLOWLY_GROWING = "slowly growing"


class Place(StrEnum):
    """Where an airway nodule lies."""

    SUBSEGMENTAL = "subsegmental"
    PROXIMAL = "segmental or more proximal"


class Cyst(StrEnum):
    """An atypical pulmonary cyst, and what has become of it."""

    THICK_WALLED = "thick-walled cyst"
    MULTILOCULAR = "multilocular cyst at baseline"
    BECAME_MULTILOCULAR = "cyst that has become multilocular"
    LARGER_CAVITY = "thick-walled cyst whose cystic component grows"
    THICKER_WALL = "thick-walled cyst whose wall or nodularity grows"
    MULTILOCULAR_GROWING = "multilocular cyst that grows"
    MULTILOCULAR_DENSER = "multilocular cyst with more loculation or opacity"


class Incomplete(StrEnum):
    """Why an examination is category 0."""

    PRIOR = "earlier chest CT to be compared"
    NOT_EVALUABLE = "part or all of the lungs cannot be evaluated"
    INFECTIOUS = "findings of an inflammatory or infectious process"


@dataclass(frozen=True, slots=True)
class Rating:
    """A category and the row that gives it."""

    category: Category
    row: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """A nodule of the lung.

    Attributes
    ----------
    kind, diameter_mm
        What it is made of; mean diameter.
    solid_mm, solid_course
        Of a part-solid nodule: mean diameter of the solid component, None where it was not measured, and its course.
    juxtapleural
        Solid, smooth, at the pleura, and oval, lentiform or triangular.
    benign
        Complete, central, popcorn or concentric ring calcification, or fat.
    before, days
        For a stable one: its category in the earlier examination, and how many days that is ago.
    """

    kind: NoduleType
    diameter_mm: float
    course: Course = Course.BASELINE
    solid_mm: float | None = None
    solid_course: Course | None = None
    juxtapleural: bool = False
    benign: bool = False
    before: Category | None = None
    days: int | None = None


_LOW, _MIDDLE, _HIGH, _VERY = (
    Category.BENIGN,
    Category.PROBABLY_BENIGN,
    Category.SUSPICIOUS,
    Category.VERY_SUSPICIOUS,
)
Steps = tuple[tuple[float, Category], ...]
"""Upper ends in mm, not included, with their category, in ascending order."""

SOLID: Final[Mapping[Course, Steps]] = MappingProxyType(
    {
        Course.BASELINE: ((6.0, _LOW), (8.0, _MIDDLE), (15.0, _HIGH), (math.inf, _VERY)),
        Course.NEW: ((4.0, _LOW), (6.0, _MIDDLE), (8.0, _HIGH), (math.inf, _VERY)),
        Course.GROWING: ((8.0, _HIGH), (math.inf, _VERY)),
    }
)
"""Solid nodules, by mean diameter."""

PART_SOLID: Final[Mapping[Course, Steps]] = MappingProxyType(
    {
        Course.BASELINE: ((6.0, _MIDDLE), (8.0, _HIGH), (math.inf, _VERY)),
        Course.NEW: ((4.0, _HIGH), (math.inf, _VERY)),
        Course.GROWING: ((4.0, _HIGH), (math.inf, _VERY)),
    }
)
"""Part-solid nodules of 6 mm or more in all, by the solid component and its course."""
PART_SOLID_FROM_MM: Final = 6.0

CYSTS: Final[Mapping[Cyst, Category]] = MappingProxyType(
    {
        Cyst.THICK_WALLED: _HIGH,
        Cyst.MULTILOCULAR: _HIGH,
        Cyst.BECAME_MULTILOCULAR: _HIGH,
        Cyst.LARGER_CAVITY: _MIDDLE,
        Cyst.THICKER_WALL: _VERY,
        Cyst.MULTILOCULAR_GROWING: _VERY,
        Cyst.MULTILOCULAR_DENSER: _VERY,
    }
)
"""Atypical pulmonary cysts; a thin-walled one is not rated (note 12)."""

_PET: Final = (
    "; PET/CT may be considered with a solid nodule or component of 8 mm or more",
    "；实性结节或实性成分达8毫米及以上时可考虑PET/CT",
)
_REFERRAL: Final = (
    f"referral for further evaluation: diagnostic chest CT with or without contrast, tissue sampling{_PET[0]}",
    f"转诊进一步评估：诊断性胸部CT（平扫或增强）、组织取样{_PET[1]}",
)
MANAGEMENT: Final[Mapping[Category, tuple[str, str]]] = MappingProxyType(
    {
        Category.NEGATIVE: ("screening low-dose CT in 12 months", "12个月后低剂量CT筛查"),
        Category.BENIGN: ("screening low-dose CT in 12 months", "12个月后低剂量CT筛查"),
        Category.PROBABLY_BENIGN: ("low-dose CT in 6 months", "6个月后低剂量CT"),
        Category.SUSPICIOUS: (f"low-dose CT in 3 months{_PET[0]}", f"3个月后低剂量CT{_PET[1]}"),
        Category.VERY_SUSPICIOUS: _REFERRAL,
        Category.MORE_SUSPICIOUS: _REFERRAL,
    }
)
"""What is done for a category; of category 0 it depends on the reason, see `INCOMPLETE`."""

INCOMPLETE: Final[Mapping[Incomplete, tuple[str, str]]] = MappingProxyType(
    {
        Incomplete.PRIOR: ("comparison with the earlier chest CT", "与既往胸部CT对比"),
        Incomplete.NOT_EVALUABLE: ("additional screening CT images", "需补充筛查CT图像"),
        Incomplete.INFECTIOUS: ("low-dose CT in 1 to 3 months", "1至3个月后低剂量CT"),
    }
)
"""What is done for category 0."""


def tenth_mm(diameter_mm: float) -> float:
    """A mean diameter to one decimal, as note 4 asks; halves go up.

    >>> tenth_mm(5.95), tenth_mm(5.94)
    (6.0, 5.9)
    """
    return math.floor(round(diameter_mm * 10.0, 5) + 0.5) / 10.0


def course(now_mm: float, then_mm: float, days: int | None) -> Course:
    """How a nodule that was there before has changed.

    Over more than a year it has grown when the increase is more than 1.5 mm for each year begun, because then some
    12 months held more than that; when it is less, but more than 1.5 mm in all, it grows slowly (notes 7 and 8).

    Parameters
    ----------
    days
        Between the examinations; where that is not known they are taken to lie within a year.
    """
    increase = round(tenth_mm(now_mm) - tenth_mm(then_mm), 1)
    years = max(1, math.ceil((days or 0) / YEAR_DAYS))
    if increase > GROWTH_ABOVE_MM * years:
        return Course.GROWING
    return Course.SLOWLY_GROWING if increase > GROWTH_ABOVE_MM else Course.STABLE


def rate(lesion: Lesion) -> tuple[Rating, ...]:
    """The rating of a nodule; several, from the least suspicious, where a solid component was not measured."""
    if lesion.benign:
        return (Rating(Category.NEGATIVE, "nodule with benign calcification or fat"),)
    if lesion.course is Course.STABLE:
        return _stable(lesion)
    size = tenth_mm(lesion.diameter_mm)
    shaped = lesion.juxtapleural and lesion.course in (Course.BASELINE, Course.NEW)
    if shaped and lesion.kind is NoduleType.SOLID and size < JUXTAPLEURAL_BELOW_MM:
        return (Rating(_LOW, f"juxtapleural nodule, {lesion.course}, <10 mm"),)
    if lesion.kind is NoduleType.GROUND_GLASS:
        return (_ground_glass(lesion.course, size),)
    if lesion.course is Course.SLOWLY_GROWING:
        return (Rating(_VERY, f"slowly growing {lesion.kind} nodule (note 8)"),)
    if lesion.kind is NoduleType.SOLID:
        return (_step(SOLID[lesion.course], size, f"solid nodule, {lesion.course}"),)
    return _part_solid(lesion, size)


def rate_airway(place: Place, course: Course) -> Rating | None:
    """The rating of an airway nodule; None for a subsegmental one that grows, for which the table has no row."""
    row = f"airway nodule, {place}, {course}"
    if place is Place.PROXIMAL:
        return Rating(_HIGH if course in (Course.BASELINE, Course.NEW) else _VERY, row)
    return Rating(_LOW, row) if course in (Course.BASELINE, Course.NEW, Course.STABLE) else None


def rate_cyst(cyst: Cyst) -> Rating:
    """The rating of an atypical pulmonary cyst."""
    return Rating(CYSTS[cyst], cyst.value)


def worst(ratings: Iterable[Rating]) -> Rating:
    """The examination is coded by its most suspicious lesion (note 1); without any it is category 1."""
    found = sorted(ratings, key=lambda rating: (_rank(rating.category), rating.row))
    return found[-1] if found else Rating(Category.NEGATIVE, "no lung nodule")


def with_features(rating: Rating) -> Rating:
    """A category 3 or 4 lesion with features that make cancer likelier is category 4X (note 14)."""
    if rating.category not in (_MIDDLE, _HIGH, _VERY):
        return rating
    return Rating(Category.MORE_SUSPICIOUS, f"category {rating.category} with suspicious features: {rating.row}")


def _rank(category: Category) -> int:
    return list(Category).index(category)


def _step(steps: Steps, size: float, name: str) -> Rating:
    low = 0.0
    for high, category in steps:
        if size < high:
            return Rating(category, f"{name}, {_span(low, high)}")
        low = high
    raise ValueError("a size in mm is a finite number")


def _span(low: float, high: float) -> str:
    if math.isinf(high):
        return f">={low:g} mm"
    return f"{low:g} to <{high:g} mm" if low else f"<{high:g} mm"


def _ground_glass(course: Course, size: float) -> Rating:
    large = size >= GROUND_GLASS_FROM_MM
    row = f"ground-glass nodule, {course}, {'>=30 mm' if large else '<30 mm'}"
    return Rating(_MIDDLE if large and course is not Course.SLOWLY_GROWING else _LOW, row)


def _part_solid(lesion: Lesion, size: float) -> tuple[Rating, ...]:
    """By the solid component where it decides; every rating that is possible where it was not measured."""
    if lesion.solid_mm is None or (lesion.course is Course.GROWING and lesion.solid_course is None):
        return _unmeasured(lesion, size)
    solid = tenth_mm(lesion.solid_mm)
    if lesion.solid_course is Course.SLOWLY_GROWING:
        return (Rating(_VERY, "slowly growing part-solid nodule (note 8)"),)
    if lesion.course is Course.NEW and size < PART_SOLID_FROM_MM and solid < PART_SOLID[Course.NEW][0][0]:
        return (Rating(_MIDDLE, "part-solid nodule, new, <6 mm"),)
    if lesion.course is Course.NEW or lesion.solid_course in (Course.NEW, Course.GROWING):
        moving = Course.NEW if Course.NEW in (lesion.course, lesion.solid_course) else Course.GROWING
        return (_step(PART_SOLID[moving], solid, f"part-solid nodule, {moving} solid component"),)
    if size < PART_SOLID_FROM_MM:
        return (Rating(_LOW, f"part-solid nodule, {lesion.course}, <6 mm"),)
    return (_step(PART_SOLID[Course.BASELINE], solid, f"part-solid nodule, {lesion.course}, >=6 mm, solid component"),)


def _unmeasured(lesion: Lesion, size: float) -> tuple[Rating, ...]:
    """Every rating for a solid component from next to nothing to the whole nodule, or for its not known course."""
    ends = {end for steps in PART_SOLID.values() for end, _ in steps if end <= size}
    sizes = sorted({0.1, *ends}) if lesion.solid_mm is None else [lesion.solid_mm]
    grown = lesion.course is Course.GROWING and lesion.solid_course is None
    courses = (Course.STABLE, Course.GROWING) if grown else (lesion.solid_course,)
    found = {
        rating.category: rating
        for solid_course in courses
        for solid_mm in sizes
        for rating in _part_solid(replace(lesion, solid_mm=solid_mm, solid_course=solid_course), size)
    }
    return tuple(found[category] for category in sorted(found, key=_rank))


def _stable(lesion: Lesion) -> tuple[Rating, ...]:
    """Stepped management; a nodule that has crossed a limit without growth is rated by its size (note 5)."""
    by_size = rate(replace(lesion, course=Course.BASELINE))
    if lesion.before is None or _rank(by_size[-1].category) > _rank(lesion.before):
        return by_size
    if lesion.kind is NoduleType.GROUND_GLASS:
        return (Rating(_LOW, "ground-glass nodule, stable"),)
    days = lesion.days or 0
    if lesion.before is _MIDDLE and days >= SIX_MONTHS_DAYS:
        return (Rating(_LOW, "category 3 lesion, stable or smaller after 6 months"),)
    if lesion.before is _HIGH and days >= THREE_MONTHS_DAYS:
        return (Rating(_MIDDLE, f"category 4A lesion, {STABLE_AFTER_3}"),)
    return (Rating(lesion.before, f"category {lesion.before} lesion, stable or smaller"),)


def possible(ratings: Sequence[Sequence[Rating]]) -> tuple[Rating, ...]:
    """The ratings that an examination can have whose lesions each have one of several: from the least upwards."""
    least = worst(each[0] for each in ratings)
    above = [rating for each in ratings for rating in each if _rank(rating.category) > _rank(least.category)]
    found = {rating.category: rating for rating in (least, *above)}
    return tuple(found[category] for category in sorted(found, key=_rank))
