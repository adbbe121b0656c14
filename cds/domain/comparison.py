"""Comparison: what the same algorithms saw in an earlier study of the patient, and what has changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from cds.domain.code import Code
from cds.domain.evidence import Modality, Observation

VARIABILITY: Final = 0.25
"""A volume that changed by less may be the same: scans repeated on one day differ by up to 25 %.

BTS guideline on pulmonary nodules 2015 (doi:10.1136/thoraxjnl-2015-207168), "How should nodule change be
assessed?"; the repeated scans behind it are named in doi:10.1007/s00330-021-08302-0.
"""


class Trend(StrEnum):
    """How two measured volumes stand to each other."""

    GROWN = "GROWN"
    SMALLER = "SMALLER"
    WITHIN_VARIABILITY = "WITHIN_VARIABILITY"
    NOT_MEASURED = "NOT_MEASURED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing then and now; where only one of them stands, it was not matched to anything.

    Attributes
    ----------
    volume_change
        (now - then) / then; None where one volume is not known.
    doubling_days
        Volume doubling time in days; only where it has grown by more than can be measurement.
    """

    then: Observation | None
    now: Observation | None
    trend: Trend = Trend.NOT_MEASURED
    volume_change: float | None = None
    doubling_days: float | None = None

    def __post_init__(self) -> None:
        if self.then is None and self.now is None:
            raise ValueError("a change is of something: give `then`, `now`, or both")

    @property
    def concept(self) -> Code:
        """What it is, by the present study where it stands there."""
        seen = self.now or self.then
        assert seen is not None
        return seen.concept

    @property
    def matched(self) -> bool:
        """Whether it is held for the same thing in both studies."""
        return self.then is not None and self.now is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One earlier study beside the present one, by one modality.

    `days` lie between them. `reason` says why nothing was compared, ``""`` where it was.
    """

    study_instance_uid: str
    performed_on: date | None
    days: int | None
    modality: Modality
    changes: tuple[Change, ...] = ()
    reason: str = ""
