"""Who a phantom pretends to be, and what every phantom's file says of patient and study."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

_IMPLEMENTATION: Final = "2.25.306213404110943529105302177171164571234"
_GROWN_YEARS: Final = 18.0
_CHILD_SCALE_AT_BIRTH: Final = 0.42
"""A newborn's chest is about 0.42 times as wide as an adult's (10 cm against 25 to 30 cm)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomPatient:
    """A patient who does not exist. `name` is a DICOM PN value, e.g. ``"Phantom^Doll=人偶^小"``."""

    patient_id: str = field(repr=False, default="PHANTOM-ADULT")
    issuer_of_patient_id: str = field(repr=False, default="PHANTOMS")
    name: str = field(repr=False, default="Phantom^Dummy")
    birth_date: date = field(repr=False, default=date(1960, 2, 29))
    sex: str = "F"


ADULT: Final = PhantomPatient()
CHILD: Final = PhantomPatient(
    patient_id="PHANTOM-CHILD", name="Phantom^Doll=人偶^小娃", birth_date=date(2022, 3, 1), sex="M"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomStudy:
    """The study that a phantom belongs to; one value given to two phantoms puts both into one study."""

    seed: int = 0
    patient: PhantomPatient = ADULT
    started_at: datetime = datetime(2026, 6, 15, 9, 30, tzinfo=UTC)
    accession_number: str = "PHANTOM-1"
    description: str = "Chest phantom"
    reason_for_exam: str = ""

    @property
    def study_instance_uid(self) -> str:
        """Derived from seed and patient: the same phantom is the same study."""
        return derived_uid("study", self.seed, self.patient.patient_id)

    @property
    def age_years(self) -> float:
        """The patient's age at the study."""
        return (self.started_at.date() - self.patient.birth_date).days / 365.2425

    @property
    def scale(self) -> float:
        """How large the chest is, an adult's being 1; it grows evenly up to 18 years."""
        return min(1.0, _CHILD_SCALE_AT_BIRTH + (1 - _CHILD_SCALE_AT_BIRTH) * self.age_years / _GROWN_YEARS)


def derived_uid(*parts: object) -> str:
    """A UID of the 2.25 root (PS3.5 B.2) that is always the same for the same parts."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def new_instance(study: PhantomStudy, sop_class_uid: str, sop_instance_uid: str, modality: str) -> Dataset:
    """A data set with the patient, study and equipment modules that all phantoms share."""
    patient = study.patient
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class_uid, sop_instance_uid
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = f"{study.started_at:%Y%m%d}"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = f"{study.started_at:%H%M%S}"
    ds.TimezoneOffsetFromUTC = f"{study.started_at:%z}"
    ds.AccessionNumber = study.accession_number
    ds.Modality = modality
    ds.Manufacturer, ds.ManufacturerModelName = "Phantom", "Computed thorax"
    ds.DeviceSerialNumber, ds.SoftwareVersions = "1", "1"
    ds.InstitutionName, ds.ReferringPhysicianName = "Phantom", ""
    ds.StudyDescription = study.description
    ds.PatientName, ds.PatientID = patient.name, patient.patient_id
    ds.IssuerOfPatientID = patient.issuer_of_patient_id
    ds.PatientBirthDate, ds.PatientSex = f"{patient.birth_date:%Y%m%d}", patient.sex
    ds.PatientAge = f"{int(study.age_years):03d}Y"
    if study.reason_for_exam:
        ds.ReasonForStudy = study.reason_for_exam
    ds.StudyInstanceUID, ds.StudyID = study.study_instance_uid, "1"
    ds.BodyPartExamined = "CHEST"
    return ds


def save(ds: Dataset, path: Path) -> Path:
    """Write a DICOM file in Explicit VR Little Endian."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = UID(_IMPLEMENTATION)
    ds.save_as(path, enforce_file_format=True)
    return path
