"""CURB-65, the severity of community acquired pneumonia, as data: five criteria, six scores, three groups.

Lim WS et al. Defining community acquired pneumonia severity on presentation to hospital: an international
derivation and validation study. Thorax 2003;58:377-382. doi:10.1136/thorax.58.5.377. Wording and structure are
ours; limits, groups and mortalities are the study's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

GUIDELINE: Final = "CURB-65"
CITATION: Final = "Lim WS et al. Thorax 2003;58:377-382, CURB-65 score. doi:10.1136/thorax.58.5.377"
TABLE: Final = "CURB-65 severity score"

ABOVE_UREA_MMOL_L: Final = 7.0
FROM_RESPIRATORY_RATE: Final = 30.0
BELOW_SYSTOLIC_MMHG: Final = 90.0
UP_TO_DIASTOLIC_MMHG: Final = 60.0
FROM_AGE_YEARS: Final = 65.0
ADULT_YEARS: Final = 18.0
"""The study's patients were adults."""


class Criterion(StrEnum):
    """What gives one point, in the order of the name."""

    CONFUSION = "confusion"
    UREA = "urea"
    RESPIRATORY_RATE = "respiratory rate"
    BLOOD_PRESSURE = "blood pressure"
    AGE = "age"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What is known of a quantity: at least `low` (more than that where `above`), at most `high`."""

    low: float
    high: float
    above: bool = False


def exactly(value: float) -> Bounds:
    """A measured value.

    >>> exactly(7.0).low == exactly(7.0).high
    True
    """
    return Bounds(low=value, high=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What is known on presentation; None where nothing is.

    `urea` in mmol/L, `respiratory_rate` per minute, pressures in mmHg, age in years.
    """

    confusion: bool | None = None
    urea: Bounds | None = None
    respiratory_rate: float | None = None
    systolic: float | None = None
    diastolic: float | None = None
    age: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Which criteria are met, which are not, and which nobody knows."""

    met: tuple[Criterion, ...]
    not_met: tuple[Criterion, ...]
    unknown: tuple[Criterion, ...]

    @property
    def least(self) -> int:
        """The score if nothing unknown is met."""
        return len(self.met)

    @property
    def most(self) -> int:
        """The score if everything unknown is met."""
        return len(self.met) + len(self.unknown)


@dataclass(frozen=True, slots=True)
class Group:
    """A group of scores: its row, mortality within 30 days in the study, and management."""

    row: str
    scores: range
    text: tuple[str, str]


GROUPS: Final = (
    Group(
        "group 1: score 0 or 1",
        range(0, 2),
        (
            "low severity (1.5 % died within 30 days in the study): treatment at home may be suitable",
            "低危（研究中30天病死率1.5%）：可考虑院外治疗",
        ),
    ),
    Group(
        "group 2: score 2",
        range(2, 3),
        (
            "intermediate severity (9.2 % died within 30 days in the study): consider treatment under supervision of a"
            " hospital",
            "中危（研究中30天病死率9.2%）：考虑在医院监护下治疗（短期住院或门诊）",
        ),
    ),
    Group(
        "group 3: score 3 or more",
        range(3, 6),
        (
            "severe pneumonia (22 % died within 30 days in the study): manage in hospital, and assess for intensive"
            " care, above all with a score of 4 or 5",
            "重症肺炎（研究中30天病死率22%）：住院治疗，并评估是否需入住ICU，评分4至5分者尤需评估",
        ),
    ),
)
"""The study's three groups by score, with management."""

LIMITS: Final[Mapping[Criterion, tuple[str, str]]] = MappingProxyType(
    {
        Criterion.CONFUSION: ("confusion", "意识模糊"),
        Criterion.UREA: ("urea > 7 mmol/L", "尿素>7 mmol/L"),
        Criterion.RESPIRATORY_RATE: ("respiratory rate >= 30/min", "呼吸频率≥30次/分"),
        Criterion.BLOOD_PRESSURE: (
            "systolic < 90 mmHg or diastolic <= 60 mmHg",
            "收缩压<90 mmHg或舒张压≤60 mmHg",
        ),
        Criterion.AGE: ("age >= 65 years", "年龄≥65岁"),
    }
)
"""Each criterion in words."""


def score(inputs: Inputs) -> Score:
    """One point for each criterion that is met; what is not known is neither met nor not met."""
    answers = {
        Criterion.CONFUSION: inputs.confusion,
        Criterion.UREA: _urea(inputs.urea),
        Criterion.RESPIRATORY_RATE: (
            None if inputs.respiratory_rate is None else inputs.respiratory_rate >= FROM_RESPIRATORY_RATE
        ),
        Criterion.BLOOD_PRESSURE: _pressure(inputs.systolic, inputs.diastolic),
        Criterion.AGE: None if inputs.age is None else inputs.age >= FROM_AGE_YEARS,
    }
    return Score(
        met=tuple(criterion for criterion, answer in answers.items() if answer is True),
        not_met=tuple(criterion for criterion, answer in answers.items() if answer is False),
        unknown=tuple(criterion for criterion, answer in answers.items() if answer is None),
    )


def groups(found: Score) -> tuple[Group, ...]:
    """Every group that the score may turn out to lie in: one where it is settled."""
    possible = range(found.least, found.most + 1)
    return tuple(group for group in GROUPS if any(points in group.scores for points in possible))


def _urea(urea: Bounds | None) -> bool | None:
    if urea is None:
        return None
    if urea.low > ABOVE_UREA_MMOL_L or (urea.above and urea.low >= ABOVE_UREA_MMOL_L):
        return True
    return False if urea.high <= ABOVE_UREA_MMOL_L else None


def _pressure(systolic: float | None, diastolic: float | None) -> bool | None:
    """Either pressure alone can meet the criterion; both are needed to say that it is not met."""
    low = (systolic is not None and systolic < BELOW_SYSTOLIC_MMHG) or (
        diastolic is not None and diastolic <= UP_TO_DIASTOLIC_MMHG
    )
    return True if low else (None if systolic is None or diastolic is None else False)
