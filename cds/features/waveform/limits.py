"""What the measurements of an adult's electrocardiogram are compared with, each limit with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cds.domain.study import Patient

ADULT_YEARS: Final = 16.0
"""Below it intervals change with age (Rijnbeek 2001, doi:10.1053/euhj.2000.2399); no limit of adults is used."""
IRREGULAR: Final = 0.1
"""RMSSD over mean RR interval from which a rhythm is called irregular (Dash 2009, doi:10.1007/s10439-009-9740-z)."""
PART_III: Final = "AHA/ACCF/HRS 2009 part III, doi:10.1161/CIRCULATIONAHA.108.191095"
PART_IV: Final = "AHA/ACCF/HRS 2009 part IV, doi:10.1161/CIRCULATIONAHA.108.191096"
UNIVERSAL: Final = "Fourth Universal Definition of Myocardial Infarction 2018, doi:10.1161/CIR.0000000000000617"
CONVENTION: Final = "convention for adults at rest"
ST_DEPRESSION_MV: Final = 0.05
_PAIRS: Final = (
    ("II", "III"), ("III", "aVF"), ("II", "aVF"), ("I", "aVL"), ("V1", "V2"), ("V2", "V3"), ("V3", "V4"),
    ("V4", "V5"), ("V5", "V6"), ("I", "V6"),
)  # fmt: skip
"""Leads that look at one wall of the heart from neighbouring places."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The least and the most that is not remarked upon, and who says so."""

    low: float | None
    high: float | None
    source: str

    def word(self, value: float) -> str:
        """``"above"``, ``"below"`` or ``"within"`` the limits."""
        if self.low is not None and value < self.low:
            return "below"
        return "above" if self.high is not None and value > self.high else "within"


def limits_of(patient: Patient) -> dict[str, Limits]:
    """Limits by the name of the measurement; empty for a child, and where the age is not known.

    QTc is prolonged from 460 ms in women and 450 ms in men; where the sex is not known the lower of both is
    used. The end of the T wave by its tangent lies some 15 ms early, too near to the lower limit to use that.
    """
    if patient.age_years is None or patient.age_years < ADULT_YEARS:
        return {}
    qtc = Limits(None, 460.0 if patient.sex == "F" else 450.0, PART_IV)
    return {
        "heart_rate": Limits(60.0, 100.0, CONVENTION),
        "pr": Limits(120.0, 200.0, CONVENTION),
        "qrs": Limits(None, 120.0, PART_III),
        "qtc_bazett": qtc,
        "qtc_fridericia": qtc,
    }


def st_elevation_mv(lead: str, patient: Patient) -> float:
    """The elevation from which a lead counts, mV: 0.1, and in V2 and V3 by sex and age."""
    if lead not in ("V2", "V3"):
        return 0.1
    if patient.sex == "F":
        return 0.15
    young = patient.age_years is not None and patient.age_years < 40.0
    return 0.25 if young and patient.sex == "M" else 0.2


def st_beyond(levels: dict[str, float], patient: Patient) -> dict[str, str]:
    """Adults' leads whose ST level is beyond the limit, as is a neighbour's: ``"elevated"`` or ``"depressed"``."""
    if not limits_of(patient):
        return {}
    said = {
        lead: "elevated" if level >= st_elevation_mv(lead, patient) else "depressed"
        for lead, level in levels.items()
        if level >= st_elevation_mv(lead, patient) or level <= -ST_DEPRESSION_MV
    }
    return {
        lead: word
        for one, other in _PAIRS
        if one in said and said.get(other) == said[one]
        for lead, word in ((one, said[one]), (other, said[one]))
    }
