from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from cds.dicom.read import read_studies
from cds.dicom.volume import Volume, load_volume
from cds.errors import EvidenceError

UID = "1.2.826.0.1.3680043.8.498.77"
Change = Callable[[Dataset, int], None]


def write_series(folder: Path, change: Change = lambda ds, index: None, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Five slices whose stored value is 1000 + 10 * slice + column; Instance Number runs against position."""
    folder.mkdir()
    for index in range(5):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"{UID}.1.{index + 1}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality = UID, f"{UID}.1", "CT"
        ds.PatientID = "T"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.InstanceNumber = 5 - index
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [-1, -2, 2.5 * index], [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SliceThickness = [0.5, 0.75], 3
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows, ds.Columns = 3, 4
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.RescaleIntercept, ds.RescaleSlope = -1024, 1
        values = 1000 + 10 * index + np.tile(np.arange(4), (3, 1))
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        ds.PixelData = values.astype(f"{order}u2").tobytes()
        ds["PixelData"].VR = "OW"
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = (
            ExplicitVRBigEndian if syntax == ExplicitVRBigEndian else ExplicitVRLittleEndian
        )
        change(ds, index)
        if syntax == RLELossless:
            ds.compress(RLELossless, generate_instance_uid=False)
        ds.save_as(folder / f"{index}", enforce_file_format=True)
    return folder


def loaded(folder: Path) -> Volume:
    (study,), unreadable = read_studies([folder])
    assert unreadable == ()
    return load_volume(study.series[0])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_a_series_becomes_hu_in_the_order_of_position(tmp_path: Path, syntax: str) -> None:
    volume = loaded(write_series(tmp_path / "s", syntax=syntax))
    assert volume.hu.shape == (5, 3, 4)
    assert volume.hu[2, 1].tolist() == [-4, -3, -2, -1]
    assert volume.sop_instance_uids == tuple(f"{UID}.1.{index + 1}" for index in range(5))
    assert volume.spacing_mm == (2.5, 0.5, 0.75)
    assert volume.slice_thickness_mm == 3.0
    assert volume.to_lps_mm((1, 2, 3)) == pytest.approx((-1 + 3 * 0.75, -2 + 2 * 0.5, 2.5))


def test_hu_agree_with_pydicoms_own_modality_lut(tmp_path: Path) -> None:
    from pydicom.pixels import apply_modality_lut

    def signed(ds: Dataset, index: int) -> None:
        ds.PixelRepresentation, ds.RescaleSlope, ds.RescaleIntercept = 1, 2, -10
        ds.PixelData = (np.arange(12).reshape(3, 4) - 6).astype("<i2").tobytes()
        ds.BitsStored, ds.HighBit = 16, 15

    folder = write_series(tmp_path / "s", signed)
    ds = pydicom.dcmread(folder / "0")
    assert np.array_equal(loaded(folder).hu[0], apply_modality_lut(ds.pixel_array, ds))


def without(keyword: str) -> Change:
    def change(ds: Dataset, index: int) -> None:
        if index == 3:
            delattr(ds, keyword)

    return change


def to(keyword: str, value: object) -> Change:
    def change(ds: Dataset, index: int) -> None:
        if index == 3:
            setattr(ds, keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without("RescaleSlope"), "no Rescale Slope and Intercept: its values are not HU"),
        (without("RescaleIntercept"), "no Rescale Slope and Intercept"),
        (to("RescaleType", "US"), "is rescaled to 'US', not to HU"),
        (without("ImagePositionPatient"), "lacks Image Position"),
        (to("GantryDetectorTilt", 12.5), r"tilted by 12\.5 degrees"),
        (to("NumberOfFrames", 3), "multi-frame"),
        (to("ImagePositionPatient", [-1, -2, 5.0]), "position of another"),
        (to("SamplesPerPixel", 3), "no greyscale image"),
        (to("Rows", 4), "differ in rows"),
    ],
)
def test_what_is_no_volume_in_hu_is_an_error_never_a_guess(tmp_path: Path, change: Change, reason: str) -> None:
    with pytest.raises(EvidenceError, match=reason):
        loaded(write_series(tmp_path / "s", change))


def test_localizers_are_left_out(tmp_path: Path) -> None:
    def change(ds: Dataset, index: int) -> None:
        if index == 4:
            ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            ds.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    assert len(loaded(write_series(tmp_path / "s", change)).hu) == 4


def test_a_series_of_localizers_is_no_volume(tmp_path: Path) -> None:
    def change(ds: Dataset, index: int) -> None:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    with pytest.raises(EvidenceError, match="nothing but localizers"):
        loaded(write_series(tmp_path / "s", change))


def test_overlay_bits_above_bits_stored_are_dropped(tmp_path: Path) -> None:
    def change(ds: Dataset, index: int) -> None:
        ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") | 0x8000).astype("<u2").tobytes()

    assert loaded(write_series(tmp_path / "s", change)).hu[0, 0, 0] == 1000 - 1024


def test_padding_far_below_air_becomes_air(tmp_path: Path) -> None:
    def change(ds: Dataset, index: int) -> None:
        ds.RescaleIntercept = -5000

    assert loaded(write_series(tmp_path / "s", change)).hu.min() == -1024


def test_pixels_shorter_than_the_image_are_an_error(tmp_path: Path) -> None:
    def change(ds: Dataset, index: int) -> None:
        ds.PixelData = ds.PixelData[:-2]

    with pytest.raises(EvidenceError, match="cannot be decoded"):
        loaded(write_series(tmp_path / "s", change))


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s")
    (study,), _ = read_studies([folder])
    (folder / "2").unlink()
    with pytest.raises(EvidenceError, match="cannot be read"):
        load_volume(study.series[0])


@pytest.mark.parametrize("slope", ["1e300", "1e38"])
def test_a_slope_beyond_all_numbers_is_an_error_and_no_hu(tmp_path: Path, slope: str) -> None:
    folder = write_series(tmp_path / "s", to("RescaleSlope", slope))
    with pytest.raises(EvidenceError, match="not finite"):
        loaded(folder)


def test_rle_that_decodes_to_more_than_the_image_is_an_error(tmp_path: Path) -> None:
    def lose_a_row(ds: Dataset, index: int) -> None:
        ds.compress(RLELossless, generate_instance_uid=False)
        ds.Rows = 2

    with pytest.raises(EvidenceError, match="cannot be decoded"):
        loaded(write_series(tmp_path / "s", lose_a_row))
