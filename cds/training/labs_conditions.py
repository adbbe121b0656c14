"""What may be missing when the model is asked: the conditions that it learns and is measured under."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from cds.features.labs_risk.inputs import THREE, VARIABLES, Floats
from cds.training.labs_data import MOMENTS, Moment

Lack = Literal["all", "20 % removed", "40 % removed", "three", "three, 20 % removed", "three, 40 % removed"]
LACKS: Final[tuple[Lack, ...]] = (
    "all",
    "20 % removed",
    "40 % removed",
    "three",
    "three, 20 % removed",
    "three, 40 % removed",
)
_SHARE: Final = {"20": 0.2, "40": 0.4}
_NOT_THREE: Final = np.array([key not in THREE for key in VARIABLES])


@dataclass(frozen=True, slots=True)
class Condition:
    """One moment of the stay, and what is missing then."""

    moment: Moment
    lack: Lack

    def __str__(self) -> str:
        return f"{self.moment}: {self.lack}"


CONDITIONS: Final = tuple(Condition(moment, lack) for moment in MOMENTS for lack in LACKS)


def lacking(values: Floats, lack: Lack, seed: int) -> Floats:
    """A copy with values removed at random, or all but the three analytes of Yan et al.; the age goes with the rest.

    A row that would lose everything keeps one of its values, drawn at random.
    """
    rng = np.random.default_rng(seed)
    left = values.copy()
    if lack.startswith("three"):
        left[:, _NOT_THREE] = np.nan
    share = next((part for name, part in _SHARE.items() if f"{name} %" in lack), 0.0)
    there = ~np.isnan(left)
    gone = there & (rng.random(left.shape) < share)
    for row in np.flatnonzero(there.any(axis=1) & ~(there & ~gone).any(axis=1)):
        gone[row, rng.choice(np.flatnonzero(there[row]))] = False
    left[gone] = np.nan
    return left


def multiplied(
    values: Floats, labels: npt.NDArray[np.int64], seed: int
) -> tuple[Floats, npt.NDArray[np.int64], Floats]:
    """Training rows once under each lack, with weights that sum to the number of rows."""
    every = [lacking(values, lack, seed + number) for number, lack in enumerate(LACKS)]
    weights = np.full(len(LACKS) * len(values), 1.0 / len(LACKS))
    return np.concatenate(every), np.tile(labels, len(LACKS)), weights
