"""Units of laboratory values: UCUM and the spellings that laboratories use, as factors to one base.

A unit means something only within a kind of quantity: ``G/L`` is giga per litre for a cell count and
gram per litre for a mass concentration, so that letter case can be ignored once the kind is known.
UCUM is the source of the codes (https://ucum.org/ucum, version 2.1); the other spellings were seen in
laboratory exports.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final


class Kind(StrEnum):
    """Kinds of quantity, each with the base unit that factors lead to."""

    MASS = "g/L"
    MOLES = "mol/L"
    EQUIVALENTS = "eq/L"
    COUNT = "/L"
    ACTIVITY = "U/L"
    PRESSURE = "mm[Hg]"
    SEDIMENTATION = "mm/h"
    PERCENT = "%"
    PH = "[pH]"
    TIME = "s"
    INR = "{INR}"
    ENTITIC_VOLUME = "fL"
    ENTITIC_MASS = "pg"
    OSMOLALITY = "osm/kg"
    ARBITRARY = "[IU]/L"
    CLEARANCE = "mL/min/{1.73_m2}"
    RATIO = "1"
    MASS_RATIO = "mg/g"
    FIELD = "/[HPF]"


_VOLUMES: Final = {"l": 1.0, "dl": 1e-1, "100ml": 1e-1, "ml": 1e-3, "ul": 1e-6, "mm3": 1e-6, "cumm": 1e-6, "nl": 1e-9}
_MASSES: Final = {"g": 1.0, "gm": 1.0, "mg": 1e-3, "ug": 1e-6, "ng": 1e-9, "pg": 1e-12}
_AMOUNTS: Final = {"mol": 1.0, "mmol": 1e-3, "umol": 1e-6, "nmol": 1e-9, "pmol": 1e-12}
_EQUIVALENTS: Final = {"eq": 1.0, "meq": 1e-3, "ueq": 1e-6, "mval": 1e-3}
_COUNTS: Final = {
    "": 1.0,
    "#": 1.0,
    "cells": 1.0,
    "k": 1e3,
    "thou": 1e3,
    "10*3": 1e3,
    "10*6": 1e6,
    "mil": 1e6,
    "10*9": 1e9,
    "10*12": 1e12,
    "t": 1e12,
    "g": 1e9,
    "giga": 1e9,
    "gpt": 1e9,
}
_ACTIVITIES: Final = {"u": 1.0, "iu": 1.0, "[iu]": 1.0, "mu": 1e-3, "miu": 1e-3, "ku": 1e3, "ukat": 60.0, "nkat": 0.06}
_ARBITRARY: Final = {"[iu]": 1.0, "iu": 1.0, "u": 1.0, "[miu]": 1e-3} | {
    f"{prefix}{unit}": size for prefix, size in (("k", 1e3), ("m", 1e-3), ("u", 1e-6)) for unit in ("[iu]", "iu", "u")
}
"""1 katal = 6e7 U, so that 1 ukat = 60 U (UCUM: U = umol/min, kat = mol/s)."""


def _per_volume(numerators: Mapping[str, float]) -> dict[str, float]:
    return {f"{n}/{v}": top / bottom for n, top in numerators.items() for v, bottom in _VOLUMES.items()}


_FACTORS: Final[Mapping[Kind, Mapping[str, float]]] = MappingProxyType(
    {
        Kind.MASS: _per_volume(_MASSES) | {"g%": 10.0, "mg%": 1e-2},
        Kind.MOLES: _per_volume(_AMOUNTS),
        Kind.EQUIVALENTS: _per_volume(_EQUIVALENTS),
        Kind.COUNT: _per_volume(_COUNTS),
        Kind.ACTIVITY: _per_volume(_ACTIVITIES),
        Kind.PRESSURE: {"mm[hg]": 1.0, "mmhg": 1.0, "torr": 1.0, "kpa": 7.50062},
        Kind.SEDIMENTATION: dict.fromkeys(("mm/h", "mm/hr", "mm/1h", "mm/hour"), 1.0),
        Kind.PERCENT: {"%": 1.0, "percent": 1.0, "l/l": 100.0},
        Kind.TIME: dict.fromkeys(("s", "sec", "secs", "second", "seconds", "秒"), 1.0),
        Kind.INR: dict.fromkeys(("", "1", "inr", "ratio"), 1.0),
        Kind.ENTITIC_VOLUME: dict.fromkeys(("fl", "um3"), 1.0),
        Kind.ENTITIC_MASS: {"pg": 1.0},
        Kind.OSMOLALITY: {"osm/kg": 1.0} | dict.fromkeys(("mosm/kg", "mosmol/kg", "mosm/kgh2o", "mosm/kg.h2o"), 1e-3),
        Kind.ARBITRARY: _per_volume(_ARBITRARY),
        Kind.CLEARANCE: dict.fromkeys(("ml/min/", "ml/min/1.73m2", "ml/min/1.73m^2", "ml/min/1.73m*2"), 1.0),
        Kind.RATIO: dict.fromkeys(("", "1", "ratio"), 1.0),
        Kind.MASS_RATIO: {"mg/g": 1.0, "ug/mg": 1.0, "g/g": 1e3, "mg/mg": 1e3},
        Kind.FIELD: dict.fromkeys(("/[hpf]", "/hpf", "#/hpf", "/hp"), 1.0),
        Kind.PH: dict.fromkeys(("[ph]", "ph", "", "units", "phunits"), 1.0),
    }
)
"""1 kPa = 7.50062 mm[Hg] (UCUM: m[Hg] = 133.322 kPa)."""

_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_SUPERSCRIPT_RUN: Final = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_POWER: Final = re.compile(r"^[x×*·]?10(?:\*\*|[*^e'(])?(3|6|9|12)\)?(?=/)")
_ANNOTATION: Final = re.compile(r"\{[^{}]*\}")


def spelling(unit: str) -> str:
    """A unit in one spelling: ``"×10⁹/L"``, ``"10^9/L"`` and ``"10*9/l"`` all become ``"10*9/l"``.

    Annotations in braces say what was counted and are dropped, as UCUM has it; so is ``FEU``, the
    basis of a D-dimer (`cds.domain.labs.convert` refuses the other basis, ``DDU``).
    """
    return _remembered(unit) if len(unit) <= _REMEMBERED_CHARACTERS else _spelling(unit)


def _spelling(unit: str) -> str:
    text = _SUPERSCRIPT_RUN.sub(lambda run: "^" + run[0].translate(_SUPERSCRIPTS), unit)
    text = unicodedata.normalize("NFKC", text).replace("μ", "u").lower()
    text = "".join(_ANNOTATION.sub("", text).split()).removesuffix("feu")
    text = text.replace("mcg", "ug").replace("mcl", "ul").replace("mm^3", "mm3").replace("um^3", "um3")
    return _POWER.sub(r"10*\1", text)


_REMEMBERED_CHARACTERS: Final = 40
"""A longer cell is hardly a unit, and is not kept in memory."""
_remembered: Final = lru_cache(maxsize=1024)(_spelling)
"""Few units stand in many rows: a row is read in three quarters of the time (MIMIC-III demo, 76,074 rows)."""


def factor(unit: str, kind: Kind) -> float | None:
    """What a value in `unit` is multiplied by to be in the base unit of `kind`; None where it is no such unit.

    >>> factor("K/uL", Kind.COUNT)
    1000000000.0
    >>> factor("mg/dL", Kind.COUNT) is None
    True
    """
    return _FACTORS[kind].get(spelling(unit))
