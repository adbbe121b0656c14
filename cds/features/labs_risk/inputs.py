"""Laboratory values as the numbers that the risk model reads: which, in which unit, on which scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

AGE: Final = "age_years"
VARIABLES: Final = (
    "ldh",
    "lymphocytes_percent",
    "hs_crp",
    "hs_troponin_i",
    "hemoglobin",
    "pct",
    "eosinophils_percent",
    "albumin",
    "bilirubin",
    "platelets",
    "neutrophils_percent",
    "wbc",
    "urea",
    "lymphocytes",
    "eosinophils",
    "potassium",
    "glucose",
    "neutrophils",
    "ferritin",
    "d_dimer",
    "ast",
    "calcium",
    "nt_probnp",
    "il6",
    "sodium",
    "esr",
    "alt",
    "creatinine",
    AGE,
)
"""Keys of `cds.domain.labs.ANALYTES`, in house units, and the age; the order of every array of values."""
USED: Final = frozenset(VARIABLES) | {"crp", "urea_nitrogen"}
"""Keys of the analytes that say something of a variable."""
THREE: Final = ("ldh", "lymphocytes_percent", "hs_crp")
"""What Yan et al. 2020 (doi:10.1038/s42256-020-0180-7) chose by importance."""

_LINEAR: Final = frozenset({"albumin", "hemoglobin", "sodium", "potassium", "calcium", AGE})
_OFFSETS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "lymphocytes_percent": 1.0,
        "eosinophils_percent": 0.1,
        "eosinophils": 0.01,
        "lymphocytes": 0.05,
        "hs_troponin_i": 1.0,
        "pct": 0.01,
        "hs_crp": 0.1,
    }
)
"""Added before the logarithm, about the least that is told from zero; 0.001 where nothing stands here."""
_LIMIT_SD: Final = 3.0
"""Standardised values are held within this many SD: one slip of the pen must not decide."""
_UREA_PER_NITROGEN: Final = 1 / 2.8014
"""mmol/L of urea for 1 mg/dL of urea nitrogen: two nitrogens of 14.007 g/mol, ten dL in a litre."""


def values_of(measured: Mapping[str, float]) -> Floats:
    """Values in house units by analyte key, as one row; shape (d,), NaN where there is none.

    What another analyte says as well stands in where the first is missing: CRP for hs-CRP, urea nitrogen for
    urea, count by leukocytes for a share of them.
    """
    known = dict(measured)
    if "crp" in known:
        known.setdefault("hs_crp", known["crp"])
    if "urea_nitrogen" in known:
        known.setdefault("urea", known["urea_nitrogen"] * _UREA_PER_NITROGEN)
    leukocytes = known.get("wbc", 0.0)
    for cell in ("lymphocytes", "neutrophils", "eosinophils"):
        if cell in known and leukocytes > 0.0:
            known.setdefault(f"{cell}_percent", min(100.0, 100.0 * known[cell] / leukocytes))
    return np.array([known.get(key, np.nan) for key in VARIABLES], dtype=np.float64)


def scaled(values: Floats) -> Floats:
    """Each variable on the scale on which it is nearly linear in the log odds; shape kept."""
    columns = [_scaled(key, values[..., place]) for place, key in enumerate(VARIABLES)]
    return np.asarray(np.stack(columns, axis=-1), dtype=np.float64)


def _scaled(key: str, values: Floats) -> Floats:
    if key in _LINEAR:
        return values
    if key == "neutrophils_percent":
        return np.asarray(np.log(101.0 - np.clip(values, 0.0, 100.0)), dtype=np.float64)
    return np.asarray(np.log(np.maximum(values, 0.0) + _OFFSETS.get(key, 0.001)), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Preparation:
    """From values to standardised values without gaps.

    A gap is filled with what the values that are there lead one to expect, by the joint normal distribution of the
    training patients: a person of whom only LDH is known is not taken for one who is average in all else.

    Attributes
    ----------
    mean, sd
        Of the scaled variables, shape (d,).
    centre, covariance
        Of the standardised ones, shapes (d,) and (d, d).
    """

    mean: Floats
    sd: Floats
    centre: Floats
    covariance: Floats

    def standardised(self, values: Floats) -> Floats:
        """Shape (n, d), NaN kept, within `_LIMIT_SD`."""
        return np.clip((scaled(values) - self.mean) / self.sd, -_LIMIT_SD, _LIMIT_SD)

    def filled(self, standardised: Floats) -> Floats:
        """Without gaps, shape (n, d)."""
        known = ~np.isnan(standardised)
        result = np.where(known, standardised, 0.0)
        for rows, there in patterns(known):
            gone = ~there
            result[np.ix_(rows, gone)] = self.centre[gone]
            if there.any() and gone.any():
                apart = standardised[np.ix_(rows, there)] - self.centre[there]
                result[np.ix_(rows, gone)] += apart @ regression(self.covariance, there)
        return result

    def open_variance(self, standardised: Floats, direction: Floats) -> Floats:
        """Variance of ``direction @ x`` that the gaps leave open, shape (n,)."""
        result = np.zeros(len(standardised))
        for rows, there in patterns(~np.isnan(standardised)):
            gone, weights = ~there, direction[~there]
            rest = self.covariance[np.ix_(gone, gone)]
            if there.any():
                rest = rest - self.covariance[np.ix_(gone, there)] @ regression(self.covariance, there)
            result[rows] = max(float(weights @ rest @ weights), 0.0)
        return result


def regression(covariance: Floats, there: npt.NDArray[np.bool_]) -> Floats:
    """Weights that predict what is not `there` from what is, shape (there, gone)."""
    weights = np.linalg.solve(covariance[np.ix_(there, there)], covariance[np.ix_(there, ~there)])
    return np.asarray(weights, dtype=np.float64)


def patterns(known: npt.NDArray[np.bool_]) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]]:
    """Rows that have the same values, and which those are."""
    kinds, inverse = np.unique(known, axis=0, return_inverse=True)
    return [(np.flatnonzero(inverse.reshape(-1) == number), kind) for number, kind in enumerate(kinds)]
