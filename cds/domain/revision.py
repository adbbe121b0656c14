"""Revision: what a report says otherwise than the one that it supersedes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Matter(StrEnum):
    """What a difference is about; the order is the order of display: what came in, then what follows from it."""

    IMAGES = "images"
    LABORATORY = "laboratory"
    TEXT = "text"
    WAVEFORM = "waveform"
    MODALITY = "modality"
    FINDING = "finding"
    RECOMMENDATION = "recommendation"
    SOFTWARE = "software"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that two revisions say differently, each text as (English, Chinese).

    `id` is the finding's id, the LOINC code, the report id and so on; `then` is None where the revision before said
    nothing of it, `now` where the present one does not any more.
    """

    matter: Matter
    id: str
    name: tuple[str, str]
    then: tuple[str, str] | None
    now: tuple[str, str] | None

    def __post_init__(self) -> None:
        if self.then == self.now:
            raise ValueError(f"{self.matter} {self.id!r} is said alike in both revisions")
