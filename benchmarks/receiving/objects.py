"""What is sent: three sizes of valid data sets, whose UIDs are digits that are written over in place."""

from __future__ import annotations

import random
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
)

_RUN_DIGITS, _ASSOCIATION_DIGITS, _NUMBER_DIGITS = 18, 4, 9
NUMBER_DIGITS: Final = _NUMBER_DIGITS
"""The last digits of a SOP Instance UID, which count the objects of an association."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A kind of object: its name on the command line, its pixels (16 bit), how many make a run."""

    name: str
    title: str
    sop_class_uid: str
    modality: str
    rows: int
    columns: int
    count: int
    quick_count: int

    @property
    def pixel_bytes(self) -> int:
        """Length of Pixel Data in bytes."""
        return self.rows * self.columns * 2


CT: Final = Shape(
    name="ct",
    title="CT, 0.5 MB",
    sop_class_uid=CTImageStorage,
    modality="CT",
    rows=512,
    columns=512,
    count=300,
    quick_count=64,
)
XRAY: Final = Shape(
    name="xray",
    title="X-ray, 10 MB",
    sop_class_uid=ComputedRadiographyImageStorage,
    modality="CR",
    rows=2500,
    columns=2000,
    count=20,
    quick_count=8,
)
SMALL: Final = Shape(
    name="small",
    title="20 kB",
    sop_class_uid=ComputedRadiographyImageStorage,
    modality="CR",
    rows=100,
    columns=100,
    count=1000,
    quick_count=200,
)
SHAPES: Final = (CT, XRAY, SMALL)


def new_run() -> str:
    """Digits that no other run has, so that every receiver sees every object for the first time."""
    return str(random.SystemRandom().randrange(10 ** (_RUN_DIGITS - 1), 10**_RUN_DIGITS))


def study_uid(run: str) -> str:
    """The Study Instance UID of a run: all associations of a run send the same study."""
    return _uid(run, 9999, 0)


def sop_instance_uid(run: str, association: int, number: int) -> str:
    """The SOP Instance UID of object `number` (from 1) of an association; 36 characters."""
    return _uid(run, association, number)


def data_set(shape: Shape, run: str, association: int) -> bytes:
    """The encoded data set of object 0, Explicit VR Little Endian, without file meta."""
    encoded = BytesIO()
    dcmwrite(encoded, _dataset(shape, run, association), implicit_vr=False, little_endian=True)
    return encoded.getvalue()


def part10(shape: Shape, run: str, number: int) -> bytes:
    """Object `number` of the first association as a file (PS3.10), for senders that read files."""
    dataset = _dataset(shape, run, 1)
    dataset.SOPInstanceUID = sop_instance_uid(run, 1, number)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    encoded = BytesIO()
    dcmwrite(encoded, dataset, enforce_file_format=True)
    return encoded.getvalue()


def _uid(run: str, association: int, number: int) -> str:
    return f"2.25.{run}{association:0{_ASSOCIATION_DIGITS}}{number:0{_NUMBER_DIGITS}}"


def _dataset(shape: Shape, run: str, association: int) -> Dataset:
    dataset = Dataset()
    _patient_and_study(dataset, shape, run)
    _image(dataset, shape, run, association)
    if shape is CT:
        _ct(dataset, run)
    else:
        dataset.PatientOrientation, dataset.ViewPosition = ["L", "F"], "PA"
    return dataset


def _patient_and_study(dataset: Dataset, shape: Shape, run: str) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = shape.sop_class_uid
    dataset.StudyDate, dataset.StudyTime = "20260102", "030405"
    dataset.AccessionNumber = ""
    dataset.Modality = shape.modality
    dataset.Manufacturer = "Benchmark"
    dataset.ReferringPhysicianName = ""
    dataset.PatientName = "Benchmark^Phantom"
    dataset.PatientID = f"BENCHMARK-{run}"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "O"
    dataset.StudyInstanceUID = study_uid(run)
    dataset.StudyID = "1"


def _image(dataset: Dataset, shape: Shape, run: str, association: int) -> None:
    dataset.SOPInstanceUID = sop_instance_uid(run, association, 0)
    dataset.SeriesInstanceUID = _uid(run, association, 999999999)
    dataset.SeriesNumber, dataset.InstanceNumber = "1", "1"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"] if shape is CT else ["ORIGINAL", "PRIMARY"]
    dataset.BodyPartExamined = "CHEST"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = shape.rows, shape.columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    noise = random.Random(shape.rows).randbytes(1 << 16)
    dataset.PixelData = (noise * (shape.pixel_bytes // len(noise) + 1))[: shape.pixel_bytes]
    dataset["PixelData"].VR = "OW"


def _ct(dataset: Dataset, run: str) -> None:
    dataset.FrameOfReferenceUID = _uid(run, 9998, 0)
    dataset.PositionReferenceIndicator, dataset.PatientPosition, dataset.AcquisitionNumber = "", "HFS", "1"
    dataset.PixelSpacing, dataset.SliceThickness, dataset.KVP = ["0.7", "0.7"], "1.0", "120"
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.ImagePositionPatient = ["0", "0", "0"]
    dataset.RescaleIntercept, dataset.RescaleSlope = "-1024", "1"
