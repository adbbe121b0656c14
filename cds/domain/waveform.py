"""Waveforms: what is known of a recording without its samples, and where the samples lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from cds.domain.code import Code


class WaveformFormat(StrEnum):
    """How the samples are encoded."""

    DICOM = "dicom"
    WFDB = "wfdb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel of a recording, such as an ECG lead.

    `lead` is the house's name (``"I"``, ``"aVR"``, ``"V1"``), ``""`` where the source names none that is known;
    `code` is what the source called it. `unit` is the UCUM unit of the samples as they are read.
    """

    code: Code
    lead: str = ""
    unit: str = "mV"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waveform:
    """One recording that was joined to a study; its samples stay in the file that it names.

    Attributes
    ----------
    waveform_id
        Unique among the waveforms of a case.
    path
        The DICOM file, or the header (.hea) of a WFDB record.
    sha256
        Over everything that the recording consists of, so that a changed file is another input.
    source
        The row of an index, or the file, that the recording came from.
    """

    waveform_id: str
    format: WaveformFormat
    path: Path = field(repr=False)
    sha256: str
    acquired_at: datetime | None = None
    source: str = ""


STORAGE_CLASSES: frozenset[str] = frozenset(
    f"1.2.840.10008.5.1.4.1.1.9.{branch}"
    for branch in (
        "1",
        *("1.1", "1.2", "1.3", "1.4", "2.1", "3.1", "4.1", "4.2", "5.1", "6.1", "6.2"),
        *("7.1", "7.2", "7.3", "7.4", "8.1"),
    )
)
"""SOP Class UIDs of waveform storage (PS3.4 Table B.5-1); a study may have such instances beside images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A short strip of one lead, for a reader to look at.

    `values` are in `unit`, `hz` of them a second; `marks` are the R peaks, seconds from the strip's begin, and
    `starts_at` is where the strip begins in the recording, seconds.
    """

    lead: str
    unit: str
    hz: float
    values: tuple[float, ...]
    marks: tuple[float, ...]
    starts_at: float = 0.0
