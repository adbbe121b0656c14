"""Pixels of a projection radiograph as one grey image, whatever it was encoded in.

The same picture gives the same numbers as MONOCHROME1 or 2, RGB or JPEG file, 8 or 16 bit,
windowed or not: stored values -> Modality LUT -> VOI LUT -> 0..1, dense tissue bright
(PS3.3 C.11.1, C.11.2; PS3.4 N.2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image, UnidentifiedImageError
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

from cds.dicom import voi
from cds.dicom.broken import UNDECODABLE
from cds.dicom.decode import decoded
from cds.domain.study import Instance
from cds.errors import EvidenceError

Pixels = npt.NDArray[np.float32]

MAXIMUM_PIXELS: Final = 100_000_000
"""More is no radiograph: the largest detectors have about 30 megapixels."""
_TAILS: Final = (0.1, 99.9)
"""Percentiles that become 0 and 1: a burnt-in marker or a dead pixel must not set the range."""
_GREY: Final = ("MONOCHROME1", "MONOCHROME2")
_LUMA: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""ITU-R BT.601, as JPEG's YCbCr has it (PS3.3 C.7.6.3.1.2)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Radiograph:
    """One projection image, ready for reading.

    Attributes
    ----------
    pixels
        float32, shape (rows, columns), 0..1, bright = dense (MONOCHROME2 presentation).
    spacing_mm
        Row and column spacing, Pixel Spacing before Imager Pixel Spacing; None where not stated.
    view
        View Position or, where it is empty, the meaning of the View Code; upper case.
    body_part, modality, intent
        As in the data set, upper case; `intent` is Presentation Intent Type.
    window
        ``""``, or what was done where a window of the image could not be used.
    """

    pixels: Pixels = field(repr=False)
    spacing_mm: tuple[float, float] | None = None
    view: str = ""
    body_part: str = ""
    modality: str = ""
    intent: str = ""
    image_type: tuple[str, ...] = ()
    window: str = ""


def load_radiograph(instance: Instance) -> Radiograph:
    """Read one instance's pixels.

    Raises
    ------
    EvidenceError
        When the file is gone or cut, has no pixel data or several frames, or cannot be decoded.
    """
    uid = instance.sop_instance_uid
    try:
        dataset = pydicom.dcmread(instance.path)
    except UNDECODABLE as error:
        raise EvidenceError(f"image {uid} cannot be read: {type(error).__name__}") from None
    _check(dataset, uid)
    try:
        pixels, window = _presentation(dataset)
        return _radiograph(dataset, pixels, window)
    except UNDECODABLE as error:
        raise EvidenceError(f"the pixels of image {uid} cannot be decoded: {type(error).__name__}") from None


def load_image_file(path: Path) -> Radiograph:
    """Read a JPEG or PNG file, or a DICOM file, as a radiograph.

    Raises
    ------
    EvidenceError
        When the file is gone, cut or no image.
    """
    if path.suffix.lower() in (".dcm", ".dicom", "") or _is_dicom(path):
        return load_radiograph(Instance(sop_instance_uid=path.name, sop_class_uid="", path=path))
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAXIMUM_PIXELS:
                raise EvidenceError(f"image file {path.name} has more than {MAXIMUM_PIXELS} pixels")
            return Radiograph(pixels=stretched(_grey(image)))
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise EvidenceError(f"image file {path.name} cannot be read: {type(error).__name__}") from None


def stretched(values: npt.NDArray[np.floating]) -> Pixels:
    """Bring the central 99.8 % of the values to 0..1 and clip the rest; a constant image is zero.

    Raises
    ------
    ValueError
        When a value is NaN or infinite.
    """
    values = np.asarray(values, dtype=np.float32)
    if not np.isfinite(values).all():
        raise ValueError("pixel values that are no numbers")
    low, high = (float(v) for v in np.percentile(values, _TAILS))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(values.shape, dtype=np.float32)
    return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0), dtype=np.float32)


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _grey(image: Image.Image) -> Pixels:
    """Grey values of an image file; 16 bit PNG stays 16 bit, colours become luminance."""
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F", "L", "1"):
        return np.asarray(image, dtype=np.float32)
    return _luminance(np.asarray(image.convert("RGB")))


def _luminance(colours: npt.NDArray[np.generic]) -> Pixels:
    """Shape (rows, columns, 3 or more) to (rows, columns)."""
    return np.asarray(colours[..., :3].astype(np.float32) @ _LUMA, dtype=np.float32)


def _check(dataset: Dataset, uid: str) -> None:
    """Refuse what is no single image before anything is decoded."""
    if "PixelData" not in dataset and "FloatPixelData" not in dataset and "DoubleFloatPixelData" not in dataset:
        raise EvidenceError(f"image {uid} has no pixel data")
    try:
        frames, rows, columns = (int(dataset.get(key) or 0) for key in ("NumberOfFrames", "Rows", "Columns"))
    except (TypeError, ValueError):
        raise EvidenceError(f"image {uid} has Rows, Columns or Number of Frames that are no numbers") from None
    if frames > 1:
        raise EvidenceError(f"image {uid} has {frames} frames; a radiograph has one")
    if not 0 < rows * columns <= MAXIMUM_PIXELS:
        raise EvidenceError(f"image {uid} is {rows} x {columns} pixels; a radiograph has 1 to {MAXIMUM_PIXELS}")


def _presentation(dataset: Dataset) -> tuple[Pixels, str]:
    """Decoded pixels, shape (rows, columns), in the range and sense of a presentation; and what of its windows."""
    photometric = str(dataset.get("PhotometricInterpretation", "MONOCHROME2")).upper()
    stored = decoded(dataset)
    if photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)[..., :3]
    if stored.ndim == 3:
        return stretched(_luminance(stored)), ""
    if photometric not in _GREY and photometric != "PALETTE COLOR":
        raise ValueError(f"photometric interpretation {photometric} with one sample a pixel")
    shown = voi.apply(apply_modality_lut(stored, dataset).astype(np.float64), dataset)
    inverted = -shown.values if photometric == "MONOCHROME1" else shown.values
    return _with_padding(inverted, stored, dataset), shown.told


def _with_padding(values: npt.NDArray[np.float64], stored: npt.NDArray[np.integer], dataset: Dataset) -> Pixels:
    """Stretch without the padding (PS3.3 C.7.5.1.1.2), which becomes black."""
    padding = dataset.get("PixelPaddingValue")
    if padding is None:
        return stretched(values)
    ends = sorted((int(padding), int(dataset.get("PixelPaddingRangeLimit", padding))))
    outside = (stored >= ends[0]) & (stored <= ends[1])
    if outside.all() or not outside.any():
        return stretched(values)
    pixels = np.zeros(values.shape, dtype=np.float32)
    pixels[~outside] = stretched(values[~outside])
    return pixels


def _radiograph(dataset: Dataset, pixels: Pixels, window: str) -> Radiograph:
    return Radiograph(
        pixels=pixels,
        window=window,
        spacing_mm=_spacing(dataset),
        view=_view(dataset),
        body_part=_text(dataset, "BodyPartExamined"),
        modality=_text(dataset, "Modality"),
        intent=_text(dataset, "PresentationIntentType"),
        image_type=tuple(str(part).upper() for part in dataset.get("ImageType") or ()),
    )


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip().upper()


def _view(dataset: Dataset) -> str:
    """View Position (0018,5101), else the View Code Sequence (0054,0220) by its meaning."""
    stated = _text(dataset, "ViewPosition")
    codes = dataset.get("ViewCodeSequence")
    return stated or (_text(codes[0], "CodeMeaning") if codes else "")


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        try:
            rows, columns = (float(value) for value in dataset.get(keyword) or ())
        except (TypeError, ValueError):  # not stated, or no pair of numbers
            continue
        if rows > 0 and columns > 0:
            return rows, columns
    return None
