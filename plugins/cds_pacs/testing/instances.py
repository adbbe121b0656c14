"""Small instances made up for tests: a patient who does not exist, a few pixels."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_dataset
from pydicom.uid import UID

from cds.ports import ReceivedInstance
from cds_pacs.contexts import ENCAPSULATED_PDF as ENCAPSULATED_PDF
from cds_pacs.contexts import EXPLICIT_VR_LITTLE_ENDIAN

CT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
KEY_OBJECT: Final = "1.2.840.10008.5.1.4.1.1.88.59"
COMPREHENSIVE_SR: Final = "1.2.840.10008.5.1.4.1.1.88.33"


def small_data_set(study: int = 1, instance: int = 1, *, sop_class_uid: str = CT_IMAGE, **changes: object) -> Dataset:
    """Make a data set; `study` and `instance` number its UIDs, `changes` are further attributes.

    An attribute set to None is left out.
    """
    ds = Dataset()
    ds.SOPClassUID = sop_class_uid
    ds.SOPInstanceUID = f"2.25.{study}.{instance}"
    ds.StudyInstanceUID = f"2.25.{study}"
    ds.SeriesInstanceUID = f"2.25.{study}.0"
    ds.Modality = "CT" if sop_class_uid == CT_IMAGE else "SR"
    ds.PatientID = f"TEST-{study}"
    ds.PatientName = "Canary^Yellow"
    ds.PatientBirthDate = "19500101"
    ds.PatientSex = "F"
    if sop_class_uid == CT_IMAGE:
        ds.Rows = ds.Columns = 4
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.PixelData = bytes(range(32))
        ds["PixelData"].VR = "OW"
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def encoded(ds: Dataset, transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    """Encode a data set in an uncompressed transfer syntax, without file meta."""
    syntax = UID(transfer_syntax_uid)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
    write_dataset(buffer, ds)
    return bytes(buffer.getvalue())


def received(ds: Dataset, *, data_set: bytes | None = None, **changes: str) -> ReceivedInstance:
    """Make what a listener would hand in for `ds`; `data_set` puts other bytes in its place."""
    values = {
        "transfer_syntax_uid": EXPLICIT_VR_LITTLE_ENDIAN,
        "sop_class_uid": str(ds.get("SOPClassUID", "")),
        "sop_instance_uid": str(ds.get("SOPInstanceUID", "")),
        "calling_ae_title": "MODALITY",
        "address": "127.0.0.1",
        **changes,
    }
    return ReceivedInstance(data_set=encoded(ds) if data_set is None else data_set, **values)


def part10(ds: Dataset) -> bytes:
    """Make a DICOM file of `ds`."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(EXPLICIT_VR_LITTLE_ENDIAN)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def write_file(folder: Path, ds: Dataset) -> Path:
    """Write a DICOM file of `ds` into `folder`."""
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    path.write_bytes(part10(ds))
    return path
