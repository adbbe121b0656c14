"""Patient, Study, Series and Instance: what a PACS sent, without its pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Who the study is about. Every identifying field is kept out of `repr`.

    `sex` is DICOM's ``"M"``, ``"F"``, ``"O"`` or ``""``. `age_years` is the age at the study,
    from Patient's Age (0010,1010) or the birth date; None where neither is known.
    """

    patient_id: str = field(repr=False, default="")
    issuer_of_patient_id: str = field(repr=False, default="")
    name: str = field(repr=False, default="")
    birth_date: date | None = field(repr=False, default=None)
    sex: str = ""
    age_years: float | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One stored SOP Instance and where its bytes lie (a DICOM file, PS3.10)."""

    sop_instance_uid: str
    sop_class_uid: str
    path: Path = field(repr=False)
    instance_number: int | None = None
    rows: int | None = None
    columns: int | None = None
    frames: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series: its instances in the order of Instance Number, then UID."""

    series_instance_uid: str
    modality: str
    instances: tuple[Instance, ...]
    body_part: str = ""
    description: str = ""
    view_position: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One study as received, complete when the assembly said so."""

    study_instance_uid: str
    patient: Patient
    series: tuple[Series, ...]
    started_at: datetime | None = None
    accession_number: str = field(repr=False, default="")
    description: str = ""
    reason_for_exam: str = field(repr=False, default="")

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Every instance of every series."""
        return tuple(instance for series in self.series for instance in series.instances)
