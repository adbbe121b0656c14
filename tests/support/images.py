"""Tiny DICOM files of our own making; every value is invented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from cds.domain.study import Instance, Series

STUDY = "1.2.826.0.1.3680043.8.498.1001"


def write_image(folder: Path, number: int, *, modality: str, name: str = "Wang^XiaoDong=王^小东", **more: str) -> Path:
    """A valid small image: a bright disc on a gradient, 64 x 64."""
    ds = Dataset()
    ds.SpecificCharacterSet = more.pop("charset", "ISO_IR 192")
    ds.PatientName, ds.PatientID, ds.IssuerOfPatientID = name, "MRN-4711", "HOSPITAL"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19650412", "F", "060Y"
    ds.StudyInstanceUID, ds.StudyID, ds.AccessionNumber = STUDY, "S77", "ACC-9001"
    ds.StudyDate, ds.StudyTime, ds.StudyDescription = "20260302", "085900", "Chest"
    ds.ReferringPhysicianName = "Doe^Jane"
    ds.SeriesInstanceUID, ds.Modality = f"{STUDY}.{2 if modality == 'CT' else 1}", modality
    ds.SOPInstanceUID = f"{ds.SeriesInstanceUID}.{number}"
    ds.SOPClassUID = CTImageStorage if modality == "CT" else DigitalXRayImageStorageForPresentation
    ds.InstanceNumber, ds.Rows, ds.Columns = number, 64, 64
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    row, column = np.mgrid[:64, :64]
    pixels = np.where((row - 30) ** 2 + (column - 24) ** 2 < 49, 60, -900 + 4 * row)
    ds.PixelData = pixels.astype("<i2").tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = UID(ExplicitVRLittleEndian)
    path = folder / f"{modality}{number}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def series_of(folder: Path, modality: str, count: int, **more: str) -> Series:
    uid = f"{STUDY}.{2 if modality == 'CT' else 1}"
    instances = tuple(
        Instance(
            sop_instance_uid=f"{uid}.{number}",
            sop_class_uid=str(CTImageStorage if modality == "CT" else DigitalXRayImageStorageForPresentation),
            path=write_image(folder, number, modality=modality, **more),
            instance_number=number,
            rows=64,
            columns=64,
        )
        for number in range(1, count + 1)
    )
    return Series(series_instance_uid=uid, modality=modality, instances=instances, body_part="CHEST")
