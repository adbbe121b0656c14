"""Radiographs of our own making, in whatever encoding a test asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from cds.domain.study import Instance

Grey = npt.NDArray[np.float64]
Write = Callable[..., Instance]

DX = "1.2.840.10008.5.1.4.1.1.1.1"


@pytest.fixture
def picture() -> Grey:
    """A smooth picture with two dark fields between bright ones, 0..1, shape (160, 128)."""
    rows, columns = np.mgrid[0:160, 0:128] / np.array([160.0, 128.0])[:, None, None]
    lungs = sum(np.exp(-(((columns - x) / 0.14) ** 2) - ((rows - 0.45) / 0.28) ** 2) for x in (0.3, 0.7))
    ribs = 0.06 * np.sin(rows * 60)
    whole = 0.75 - 0.6 * lungs + ribs + 0.1 * rows
    return (whole - whole.min()) / (whole.max() - whole.min())


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write one DICOM image; keyword arguments are attributes, None deletes one."""

    def _write(pixels: npt.NDArray[np.generic], **attributes: object) -> Instance:
        dataset = _dataset(pixels)
        for keyword, value in attributes.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        path = tmp_path / f"{dataset.SOPInstanceUID}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return Instance(sop_instance_uid=dataset.SOPInstanceUID, sop_class_uid=dataset.SOPClassUID, path=path)

    return _write


def _dataset(pixels: npt.NDArray[np.generic]) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = DX, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientID, dataset.PatientName = "1", "Canary^Yellow"
    dataset.Modality, dataset.ViewPosition, dataset.BodyPartExamined = "DX", "PA", "CHEST"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    return dataset
