"""`cds.dicom.radiograph`: one picture, many encodings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLSLossless, RLELossless

from cds.dicom import voi
from cds.dicom.radiograph import load_image_file, load_radiograph
from cds.domain.study import Instance
from cds.errors import EvidenceError

Write = Callable[..., Instance]


@pytest.fixture
def stored(picture):
    return np.round(picture * 4000).astype(np.uint16)


@pytest.fixture
def expected(write, stored):
    return load_radiograph(write(stored, BitsStored=12, HighBit=11)).pixels


def test_pixels_are_zero_to_one_and_keep_their_shape_and_order(expected, picture):
    assert expected.dtype == np.float32
    assert expected.shape == picture.shape
    assert (expected.min(), expected.max()) == (0.0, 1.0)
    np.testing.assert_allclose(expected, picture, atol=0.03)


@pytest.mark.parametrize(
    "encode",
    [
        lambda p: (4095 - p, {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}),
        lambda p: (p * 16, {}),
        lambda p: ((p.astype(np.int32) - 2048).astype(np.int16), {}),
        lambda p: (p, {"RescaleSlope": "0.5", "RescaleIntercept": "-1000"}),
        lambda p: (p, {"WindowCenter": "2048", "WindowWidth": "4096"}),
        lambda p: (p, {"WindowCenter": ["2048", "10"], "WindowWidth": ["4096", "2"]}),
        lambda p: (np.round(p / 4000 * 255).astype(np.uint8), {}),
        lambda p: (np.repeat(np.round(p / 4000 * 255).astype(np.uint8)[..., None], 3, axis=2), {}),
    ],
    ids=["monochrome1", "16 bit", "signed", "rescaled", "windowed", "two windows", "8 bit", "RGB"],
)
def test_the_same_picture_in_another_encoding_gives_the_same_pixels(write, stored, expected, encode):
    pixels, attributes = encode(stored)
    np.testing.assert_allclose(load_radiograph(write(pixels, **attributes)).pixels, expected, atol=0.006)


def test_a_window_that_hides_the_image_is_not_used(write, stored, expected):
    instance = write(stored, WindowCenter="30000", WindowWidth="10")
    np.testing.assert_allclose(load_radiograph(instance).pixels, expected, atol=1e-6)


def test_a_voi_lut_sequence_is_applied(write, stored, expected):
    item = Dataset()
    item.LUTDescriptor = [4096, 0, 16]
    item.LUTData = np.round(np.sqrt(np.arange(4096) / 4095) * 65535).astype(np.uint16).tolist()
    item["LUTData"].VR = "US"
    instance = write(stored, BitsStored=12, HighBit=11, VOILUTSequence=Sequence([item]))
    pixels = load_radiograph(instance).pixels
    assert pixels.mean() > expected.mean() + 0.05
    assert np.array_equal(np.argsort(pixels[80], kind="stable")[:5], np.argsort(expected[80], kind="stable")[:5])


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_pixels_are_decoded(write, stored, expected, syntax):
    instance = write(stored, BitsStored=12, HighBit=11)
    dataset = pydicom.dcmread(instance.path)
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(instance.path)
    np.testing.assert_array_equal(load_radiograph(instance).pixels, expected)


def test_padding_is_black_and_does_not_set_the_range(write, stored, expected):
    padded = stored.copy()
    padded[:20] = 65535
    pixels = load_radiograph(write(padded, PixelPaddingValue=65535)).pixels
    assert (pixels[:20] == 0).all()
    assert np.corrcoef(pixels[20:].ravel(), expected[20:].ravel())[0, 1] > 0.999


def test_an_image_file_and_a_dicom_file_are_prepared_alike(tmp_path, write, picture):
    eight = np.round(picture * 255).astype(np.uint8)
    file = tmp_path / "picture.png"
    Image.fromarray(eight).save(file)
    np.testing.assert_array_equal(load_image_file(file).pixels, load_radiograph(write(eight)).pixels)


def test_a_dicom_file_is_known_by_its_content_and_not_its_name(tmp_path, write, stored, expected):
    renamed = write(stored).path.rename(tmp_path / "picture.img")
    np.testing.assert_allclose(load_image_file(renamed).pixels, expected, atol=1e-6)


def test_view_spacing_and_intent_come_from_the_data_set(write, stored):
    code = Dataset()
    code.CodeMeaning = "postero-anterior"
    attributes = {"ViewPosition": "", "ViewCodeSequence": Sequence([code]), "ImagerPixelSpacing": [0.2, 0.1]}
    radiograph = load_radiograph(write(stored, PresentationIntentType="FOR PRESENTATION", **attributes))
    assert radiograph.view == "POSTERO-ANTERIOR"
    assert radiograph.spacing_mm == (0.2, 0.1)
    assert radiograph.intent == "FOR PRESENTATION"


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"PixelData": None}, "no pixel data"),
        ({"NumberOfFrames": 2}, "2 frames"),
        ({"Rows": 0}, "0 x 128"),
        ({"Rows": 60000, "Columns": 60000}, "60000 x 60000"),
        ({"PixelData": b"\0" * 100}, "cannot be decoded"),
        ({"BitsAllocated": 7}, "cannot be decoded"),
        ({"PhotometricInterpretation": "HSV"}, "cannot be decoded"),
    ],
    ids=["no pixels", "frames", "no rows", "bomb", "cut", "bits", "photometric"],
)
def test_what_is_no_single_image_is_an_error_with_the_uid_and_no_patient(write, stored, attributes, message):
    instance = write(stored, **attributes)
    with pytest.raises(EvidenceError, match=message) as caught:
        load_radiograph(instance)
    assert instance.sop_instance_uid in str(caught.value)
    assert "Canary" not in str(caught.value)


def test_a_cut_compressed_image_is_an_error_and_not_half_a_picture(write, stored):
    instance = write(stored)
    dataset = pydicom.dcmread(instance.path)
    dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    dataset.PixelData = dataset.PixelData[:-2000] + b"\xfe\xff\xdd\xe0\0\0\0\0"
    dataset.save_as(instance.path)
    with pytest.raises(EvidenceError, match="cannot be"):
        load_radiograph(instance)


def test_rle_that_decodes_to_more_than_the_image_is_an_error(write, stored):
    instance = write(stored)
    dataset = pydicom.dcmread(instance.path)
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.Rows -= 1
    dataset.save_as(instance.path)
    with pytest.raises(EvidenceError, match="cannot be decoded"):
        load_radiograph(instance)


def test_a_file_that_is_gone_or_garbage_is_an_error(tmp_path, write, stored):
    instance = write(stored)
    instance.path.write_bytes(b"garbage")
    with pytest.raises(EvidenceError, match="cannot be read"):
        load_radiograph(instance)
    instance.path.unlink()
    with pytest.raises(EvidenceError, match="FileNotFoundError"):
        load_radiograph(instance)


def test_a_cut_jpeg_is_an_error(tmp_path: Path, picture):
    file = tmp_path / "picture.jpeg"
    Image.fromarray(np.round(picture * 255).astype(np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:600])
    with pytest.raises(EvidenceError, match=r"picture\.jpeg cannot be read"):
        load_image_file(file)


@pytest.mark.parametrize(
    ("function", "value", "shown"),
    [
        # PS3.3 C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5), c = 2048, w = 4096
        ("LINEAR", 2048.0, 0.5 / 4095 + 0.5),
        ("LINEAR", -10.0, 0.0),
        ("LINEAR", 5000.0, 1.0),
        # C.11.2.1.3.2: (x - c) / w + 0.5
        ("LINEAR_EXACT", 3072.0, 0.75),
        # C.11.2.1.3.1: 1 / (1 + exp(-4 (x - c) / w))
        ("SIGMOID", 3072.0, 1 / (1 + np.exp(-1))),
    ],
)
def test_windows_follow_the_standard(function, value, shown):
    assert voi.window(np.array([value]), 2048.0, 4096.0, function)[0] == pytest.approx(shown)
