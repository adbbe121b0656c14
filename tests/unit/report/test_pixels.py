"""Key images as they are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from cds.domain.study import Instance
from cds.report.pixels import LONGEST_SIDE, crop, heat_colours, heated, jpeg, shown
from support.images import series_of


def one(folder: Path, modality: str, **more: str) -> Instance:
    return series_of(folder, modality, 1, **more).instances[0]


def test_a_ct_is_shown_in_the_lung_window(tmp_path: Path) -> None:
    instance = one(tmp_path, "CT")
    picture = shown(instance)
    assert picture is not None
    hu = dcmread(instance.path).pixel_array.astype(float)
    expected = np.rint(255 * np.clip((hu + 1350.0) / 1500.0, 0, 1))  # -600 +- 750 HU
    np.testing.assert_array_equal(picture.grey, expected)


def test_monochrome1_is_shown_with_bone_bright(tmp_path: Path) -> None:
    plain, inverted = tmp_path / "plain", tmp_path / "inverted"
    plain.mkdir()
    inverted.mkdir()
    a = shown(one(plain, "DX"))
    b = shown(one(inverted, "DX", PhotometricInterpretation="MONOCHROME1"))
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a.grey, 255 - b.grey.astype(int), atol=1)  # halves round to even


def test_a_large_image_is_scaled_down_and_says_by_how_much(tmp_path: Path) -> None:
    instance = one(tmp_path, "CT")
    ds = dcmread(instance.path)
    ds.Rows, ds.Columns = 1800, 1000
    ds.PixelData = np.full((1800, 1000), -600, dtype="<i2").tobytes()
    ds.save_as(instance.path)
    picture = shown(instance)
    assert picture is not None
    assert picture.grey.shape == (LONGEST_SIDE, 500)
    assert picture.scale == 2.0
    assert set(np.unique(picture.grey)) == {128}


def test_pixels_that_are_cut_short_are_not_shown(tmp_path: Path) -> None:
    instance = one(tmp_path, "CT")
    instance.path.write_bytes(instance.path.read_bytes()[:-4000])
    assert shown(instance) is None


def test_a_flat_heat_map_of_zero_leaves_the_image_as_it_is() -> None:
    grey = np.arange(100, dtype=np.uint8).reshape(10, 10)
    np.testing.assert_array_equal(heated(grey, ((0.0, 0.0), (0.0, 0.0))), np.repeat(grey[..., None], 3, axis=2))


def test_a_heat_map_reddens_where_it_is_high() -> None:
    grey = np.full((40, 40), 100, dtype=np.uint8)
    warm = heated(grey, ((1.0, 0.0), (0.0, 0.0))).astype(int)
    assert warm[2, 2, 0] > warm[2, 2, 1] + 50
    assert np.abs(warm[39, 39] - 100).max() <= 3


def test_a_crop_stays_inside_the_image_and_tells_its_corner() -> None:
    grey = np.arange(64 * 64, dtype=np.uint32).reshape(64, 64).astype(np.uint8)
    square, corner = crop(grey, (2.0, 60.0), 10.0)
    assert corner == (0.0, 44.0)
    np.testing.assert_array_equal(square, grey[44:64, 0:20])


def test_a_jpeg_is_the_same_every_time() -> None:
    grey = np.arange(4096, dtype=np.uint32).reshape(64, 64).astype(np.uint8)
    assert jpeg(grey) == jpeg(grey)
    assert jpeg(grey).startswith(b"\xff\xd8")


@pytest.mark.parametrize(("centre", "width"), [("abc", "400"), ("1000", "0"), ("", "400"), ("\\90000", "10")])
def test_a_window_that_is_none_hides_no_image(centre: str, width: str, tmp_path: Path) -> None:
    instance = one(tmp_path, "DX", WindowCenter="987654", WindowWidth="123456")
    raw = instance.path.read_bytes()
    for old, new in ((b"987654", centre), (b"123456", width)):
        raw = raw.replace(old, new.encode().ljust(6))
    instance.path.write_bytes(raw)
    picture = shown(instance)
    assert picture is not None
    assert int(np.ptp(picture.grey)) == 255


def test_the_scale_of_the_heat_map_has_the_colours_of_the_map() -> None:
    colours = heat_colours(3)
    grey = np.full((8, 8), 128, dtype=np.uint8)
    assert colours[0] == tuple(heated(grey, ((0.0, 0.0), (0.0, 0.0)))[4, 4])
    assert colours[2] == tuple(heated(grey, ((1.0, 1.0), (1.0, 1.0)))[4, 4])
