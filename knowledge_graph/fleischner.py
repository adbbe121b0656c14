"""The table of the Fleischner Society 2017 guideline, as data: rows by nodule type, number and size.

MacMahon H et al. Guidelines for Management of Incidental Pulmonary Nodules Detected on CT Images: From the
Fleischner Society 2017. Radiology 2017;284:228-243. doi:10.1148/radiol.2017161659, Table 1 (A: solid nodules,
B: subsolid nodules). The wording here is ours; the intervals and limits are the table's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

GUIDELINE: Final = "Fleischner Society 2017"
CITATION: Final = "MacMahon H et al. Radiology 2017;284:228-243, Table 1. doi:10.1148/radiol.2017161659"
MINIMUM_AGE_YEARS: Final = 35.0
"""The guideline is not meant for patients younger than 35 years (Table 1, footnote; General considerations)."""

TABLE_A: Final = "Table 1A (solid nodules)"
TABLE_B: Final = "Table 1B (subsolid nodules)"

SMALL_BELOW_MM: Final = 6
"""Below 6 mm (100 mm3) the risk of cancer is under 1 %: the first column of Table 1."""
LARGE_ABOVE_MM: Final = 8
"""Above 8 mm (250 mm3): the third column of Table 1A."""


class NoduleType(StrEnum):
    """What a nodule is made of on thin CT sections."""

    SOLID = "solid"
    GROUND_GLASS = "ground-glass"
    PART_SOLID = "part-solid"


class Size(StrEnum):
    """The columns of Table 1A."""

    SMALL = "<6 mm"
    MIDDLE = "6-8 mm"
    LARGE = ">8 mm"


class Risk(StrEnum):
    """The patient's risk of lung cancer."""

    LOW = "low risk"
    HIGH = "high risk"


@dataclass(frozen=True, slots=True)
class Advice:
    """One cell of the table: where it stands and what it says in English and Chinese."""

    table: str
    row: str
    text: tuple[str, str]


_NONE = ("no routine follow-up", "无需常规随访")
_OPTIONAL_12 = ("optional CT at 12 months", "可选择12个月时复查CT")
_LARGE = ("consider CT at 3 months, PET/CT, or tissue sampling", "考虑3个月时复查CT、行PET/CT或组织取样")
_LOW_6 = ("CT at 6 to 12 months, then consider CT at 18 to 24 months", "6至12个月复查CT，之后考虑18至24个月复查CT")
_HIGH_6 = ("CT at 6 to 12 months, then CT at 18 to 24 months", "6至12个月复查CT，之后18至24个月复查CT")
_LOW_3 = ("CT at 3 to 6 months, then consider CT at 18 to 24 months", "3至6个月复查CT，之后考虑18至24个月复查CT")
_HIGH_3 = ("CT at 3 to 6 months, then CT at 18 to 24 months", "3至6个月复查CT，之后18至24个月复查CT")
_GROUND_GLASS = (
    "CT at 6 to 12 months to see whether it persists, then CT every 2 years until 5 years",
    "6至12个月复查CT以确认是否持续存在，之后每2年复查CT直至5年",
)
_PART_SOLID = (
    "CT at 3 to 6 months to see whether it persists; if unchanged and the solid component stays below 6 mm, CT every "
    "year for 5 years",
    "3至6个月复查CT以确认是否持续存在；如无变化且实性成分小于6毫米，每年复查CT共5年",
)
_PART_SOLID_6 = (
    "CT at 3 to 6 months to see whether it persists; a part-solid nodule that persists with a solid component of 6 mm"
    " or more is highly suspicious",
    "3至6个月复查CT以确认是否持续存在；实性成分达6毫米及以上且持续存在的部分实性结节高度可疑",
)
_PART_SOLID_8 = (
    "PET/CT, biopsy or resection, because the solid component is larger than 8 mm",
    "实性成分大于8毫米，建议行PET/CT、活检或切除",
)
_LIKE_LYMPH_NODE = (
    "no follow-up CT, also above 6 mm, because place and shape are those of an intrapulmonary lymph node",
    "位置和形态符合肺内淋巴结，即使大于6毫米也无需随访CT",
)
_SUBSOLID_SMALL = (
    "CT at 3 to 6 months; if stable, consider CT at 2 and 4 years",
    "3至6个月复查CT；如稳定，考虑2年和4年复查CT",
)
_SUBSOLID_LARGE = (
    "CT at 3 to 6 months; further management by the most suspicious nodule",
    "3至6个月复查CT；之后根据最可疑的结节处理",
)

SOLID: Final[Mapping[tuple[bool, Risk, Size], tuple[str, str]]] = MappingProxyType(
    {
        (False, Risk.LOW, Size.SMALL): _NONE,
        (False, Risk.LOW, Size.MIDDLE): _LOW_6,
        (False, Risk.LOW, Size.LARGE): _LARGE,
        (False, Risk.HIGH, Size.SMALL): _OPTIONAL_12,
        (False, Risk.HIGH, Size.MIDDLE): _HIGH_6,
        (False, Risk.HIGH, Size.LARGE): _LARGE,
        (True, Risk.LOW, Size.SMALL): _NONE,
        (True, Risk.LOW, Size.MIDDLE): _LOW_3,
        (True, Risk.LOW, Size.LARGE): _LOW_3,
        (True, Risk.HIGH, Size.SMALL): _OPTIONAL_12,
        (True, Risk.HIGH, Size.MIDDLE): _HIGH_3,
        (True, Risk.HIGH, Size.LARGE): _HIGH_3,
    }
)
"""Table 1A by (multiple, risk, size)."""

SUBSOLID: Final[Mapping[tuple[bool, NoduleType, bool], tuple[str, str]]] = MappingProxyType(
    {
        (False, NoduleType.GROUND_GLASS, True): _NONE,
        (False, NoduleType.GROUND_GLASS, False): _GROUND_GLASS,
        (False, NoduleType.PART_SOLID, True): _NONE,
        (False, NoduleType.PART_SOLID, False): _PART_SOLID,
        (True, NoduleType.GROUND_GLASS, True): _SUBSOLID_SMALL,
        (True, NoduleType.GROUND_GLASS, False): _SUBSOLID_LARGE,
        (True, NoduleType.PART_SOLID, True): _SUBSOLID_SMALL,
        (True, NoduleType.PART_SOLID, False): _SUBSOLID_LARGE,
    }
)
"""Table 1B by (multiple, type, smaller than 6 mm); the table does not ask for the patient's risk."""


def rounded_mm(diameter_mm: float) -> int:
    """The mean diameter to the nearest whole millimetre, as the guideline measures; halves go up.

    >>> rounded_mm(5.4), rounded_mm(5.5), rounded_mm(8.4), rounded_mm(8.5)
    (5, 6, 8, 9)
    """
    return math.floor(round(diameter_mm, 6) + 0.5)


def size_of(diameter_mm: float) -> Size:
    """The column of Table 1A for a mean diameter in mm, rounded first."""
    whole = rounded_mm(diameter_mm)
    if whole < SMALL_BELOW_MM:
        return Size.SMALL
    return Size.MIDDLE if whole <= LARGE_ABOVE_MM else Size.LARGE


def advise(
    kind: NoduleType,
    diameter_mm: float,
    *,
    multiple: bool,
    risks: tuple[Risk, ...],
    solid_mm: float | None = None,
) -> tuple[Advice, ...]:
    """The cells of the table that hold: for solid nodules one for each risk, for subsolid ones a single cell.

    Parameters
    ----------
    diameter_mm
        Mean of long and short axis of the nodule (of the largest one, where there are several).
    risks
        The risks that are possible: both, where the patient's risk is not known.
    solid_mm
        Mean diameter of the solid component of a part-solid nodule, None where it was not measured.
    """
    number = "multiple" if multiple else "single"
    if kind is NoduleType.SOLID:
        size = size_of(diameter_mm)
        return tuple(Advice(TABLE_A, f"{number}, {risk}, {size}", SOLID[multiple, risk, size]) for risk in risks)
    small = rounded_mm(diameter_mm) < SMALL_BELOW_MM
    if kind is NoduleType.PART_SOLID and not small and not multiple and solid_mm is not None:
        return (_by_solid_component(rounded_mm(solid_mm)),)
    name = "subsolid" if multiple else kind
    row = f"{number}, {name}, {'<6 mm' if small else '>=6 mm'}"
    return (Advice(TABLE_B, row, SUBSOLID[multiple, kind, small]),)


def _by_solid_component(solid_mm: int) -> Advice:
    """Of a single part-solid nodule of 6 mm or more: the row's comment, and the text of its recommendation."""
    row = "single, part-solid, >=6 mm, solid component"
    if solid_mm < SMALL_BELOW_MM:
        return Advice(TABLE_B, f"{row} <6 mm", _PART_SOLID)
    if solid_mm <= LARGE_ABOVE_MM:
        return Advice(TABLE_B, f"{row} >=6 mm (comment of the row)", _PART_SOLID_6)
    return Advice(TABLE_B, f"{row} >8 mm (text on solitary part-solid nodules)", _PART_SOLID_8)


LIKE_LYMPH_NODE: Final = Advice("Perifissural Nodules (text)", "typical intrapulmonary lymph node", _LIKE_LYMPH_NODE)
"""At a fissure or the pleura, solid, smooth, oval, lentiform or triangular."""
