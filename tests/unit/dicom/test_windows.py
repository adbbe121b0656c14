"""Window tags as devices and converters write them: what is valid is used, and what is not is said."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from cds.dicom import voi
from cds.dicom.radiograph import Radiograph, load_radiograph, stretched
from cds.domain.study import Instance, Series
from cds.features.xray import gates

RAMP = np.add.outer(np.arange(96), np.arange(96) * 20).astype("<u2")
"""Stored values 0 to 1995, all deciles distinct."""


def element(tag: tuple[int, int], text: bytes) -> bytes:
    """An element of VR DS as any bytes, which no writer of a library would let pass."""
    padded = text + b" " * (len(text) % 2)
    return struct.pack("<HH2sH", *tag, b"DS", len(padded)) + padded


def read(folder: Path, centre: bytes | None, width: bytes | None, **more: object) -> Radiograph:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = DigitalXRayImageStorageForPresentation, "1.2.3.4"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality, ds.PatientID = "1.2.3", "1.2.3.1", "DX", "T"
    ds.Rows, ds.Columns = RAMP.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = "987654", "123456"
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    ds.PixelData = RAMP.tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / "image.dcm"
    ds.save_as(path, enforce_file_format=True)
    raw = path.read_bytes()
    for tag, old, new in (((0x28, 0x1050), b"987654", centre), ((0x28, 0x1051), b"123456", width)):
        assert element(tag, old) in raw
        raw = raw.replace(element(tag, old), b"" if new is None else element(tag, new))
    path.write_bytes(raw)
    return load_radiograph(Instance(sop_instance_uid="1.2.3.4", sop_class_uid=str(ds.SOPClassUID), path=path))


WHOLE = stretched(RAMP)


@pytest.mark.parametrize(
    ("centre", "width", "why"),
    [
        (b"abc", b"400", voi.NO_NUMBER),
        (b"1000", b"wide", voi.NO_NUMBER),
        (b"nan", b"400", voi.NO_NUMBER),
        (b"1000", b"inf", voi.NO_NUMBER),
        (b"1000", b"", voi.MISSING),
        (b"", b"400", voi.MISSING),
        (b"1000", None, voi.MISSING),
        (b"1000", b"0", voi.TOO_SMALL),
        (b"1000", b"-5", voi.TOO_SMALL),
        (b"90000", b"10", voi.HIDES),
        (b"1000\\x", b"0\\400", f"{voi.TOO_SMALL}; {voi.NO_NUMBER}"),
    ],
)
def test_without_a_valid_window_the_whole_range_is_used_and_it_is_said(
    centre: bytes, width: bytes | None, why: str, tmp_path: Path
) -> None:
    image = read(tmp_path, centre, width)
    np.testing.assert_array_equal(image.pixels, WHOLE)
    assert image.window == f"no window of the image can be used ({why}); its whole range is used"


@pytest.mark.parametrize(
    ("centre", "width", "unusable"),
    [
        (b"1000", b"1200", 0),
        (b"1000\\90000", b"1200\\10", 0),
        (b"abc\\1000", b"400\\1200", 1),
        (b"\\1000", b"\\1200", 0),
        (b"1000\\1000", b"0\\1200", 1),
        (b"90000\\abc\\1000", b"10\\1\\1200", 2),
        (b"1000\\2000", b"1200", 0),
    ],
)
def test_of_several_windows_the_first_valid_one_is_used(
    centre: bytes, width: bytes, unusable: int, tmp_path: Path
) -> None:
    image = read(tmp_path, centre, width)
    # PS3.3 C.11.2.1.2.1 for centre 1000, width 1200
    expected = stretched(np.clip((RAMP.astype(float) - 999.5) / 1199 + 0.5, 0.0, 1.0))
    np.testing.assert_allclose(image.pixels, expected, atol=1e-6)
    told = f"{unusable} of the windows of the image cannot be used; the first one that can is"
    assert image.window == (told if unusable else "")


@pytest.mark.parametrize(("centre", "width"), [(None, None), (b"", b"")])
def test_an_image_without_a_window_has_nothing_to_say(
    centre: bytes | None, width: bytes | None, tmp_path: Path
) -> None:
    image = read(tmp_path, centre, width)
    np.testing.assert_array_equal(image.pixels, WHOLE)
    assert image.window == ""


def test_a_broken_lookup_table_falls_back_to_the_window(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTExplanation = [0, 0, 12], "broken"
    image = read(tmp_path, b"1000", b"1200", VOILUTSequence=[table])
    assert image.window == "1 of the windows of the image cannot be used; the first one that can is"
    assert image.pixels.std() > WHOLE.std()


def test_a_window_that_cannot_be_used_is_a_gate_that_says_so_and_does_not_refuse_the_image(tmp_path: Path) -> None:
    (gate,) = gates.window(read(tmp_path, b"abc", b"400"))
    assert gate.passed
    assert voi.NO_NUMBER in gate.reason
    assert gates.window(read(tmp_path, b"1000", b"1200")) == ()
    series = Series(series_instance_uid="1.2", modality="DX", instances=(), body_part="CHEST")
    assert gates.view(read(tmp_path, b"abc", b"400"), series).passed


def test_pixel_spacing_that_is_no_pair_of_numbers_is_as_none(tmp_path: Path) -> None:
    assert read(tmp_path, None, None, PixelSpacing=[0.2, 0.3]).spacing_mm == (0.2, 0.3)
    assert read(tmp_path, None, None, PixelSpacing=0.2).spacing_mm is None
