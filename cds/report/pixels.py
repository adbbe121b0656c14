"""Key images as small grey pictures for the page: windowed, scaled, with a heat map if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from cds.domain.study import Instance
from cds.report.source import UNREADABLE

LUNG_WINDOW: Final = (-600.0, 1500.0)
"""Centre and width in HU, the usual lung window."""
LONGEST_SIDE: Final = 900
"""Pixels: about 220 dpi at the width of half a page."""
JPEG_QUALITY: Final = 88
HEAT_OPACITY: Final = 0.55

Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One frame as it is shown: `grey` has shape (rows, columns); one of its pixels is `scale` image pixels."""

    grey: Grey
    scale: float


def shown(instance: Instance, frame: int = 1) -> Shown | None:
    """The frame (counted from 1) in its window, at most `LONGEST_SIDE` on its longer side.

    None where the pixels cannot be decoded: the page then says so in words.
    """
    try:
        ds = dcmread(instance.path)
        return _scaled(_grey(ds, frame))
    except UNREADABLE:
        return None


def _grey(ds: Dataset, frame: int) -> Grey:
    pixels = ds.pixel_array
    if int(ds.get("NumberOfFrames", 1) or 1) > 1:
        pixels = pixels[frame - 1]
    if pixels.ndim == 3:
        return np.asarray(pixels.mean(axis=2)).astype(np.uint8)
    low, high, values = _window(ds, pixels)
    scaled = np.clip((values - low) / max(high - low, 1e-6), 0.0, 1.0)
    if ds.get("PhotometricInterpretation") == "MONOCHROME1":
        scaled = 1.0 - scaled
    return np.asarray(np.rint(255 * scaled)).astype(np.uint8)


def _window(ds: Dataset, pixels: NDArray[np.generic]) -> tuple[float, float, NDArray[np.float64]]:
    """Lower and upper bound, and the values that they bound (PS3.3 C.11.1, C.11.2)."""
    values = np.asarray(apply_modality_lut(pixels, ds), dtype=np.float64)
    if ds.get("Modality") == "CT":
        centre, width = LUNG_WINDOW
        return centre - width / 2, centre + width / 2, values
    if "WindowCenter" in ds or "VOILUTSequence" in ds:
        try:
            windowed = np.asarray(apply_voi_lut(values.astype(pixels.dtype), ds), dtype=np.float64)
        except UNREADABLE:  # a window that is none hides no image
            windowed = np.zeros(1)
        if windowed.min() < windowed.max():
            return float(windowed.min()), float(windowed.max()), windowed
    low, high = np.percentile(values, (0.5, 99.5))
    return float(low), float(high), values


def _scaled(grey: Grey) -> Shown:
    scale = max(1.0, max(grey.shape) / LONGEST_SIDE)
    if scale == 1.0:
        return Shown(grey=grey, scale=1.0)
    size = (max(1, round(grey.shape[1] / scale)), max(1, round(grey.shape[0] / scale)))
    picture = Image.fromarray(grey).resize(size, Image.Resampling.BOX)
    return Shown(grey=np.asarray(picture, dtype=np.uint8), scale=scale)


def heated(grey: Grey, heat_map: tuple[tuple[float, ...], ...]) -> NDArray[np.uint8]:
    """`grey` (rows, columns) with the map laid over it: amber to red, as strong as the map is high.

    Returns
    -------
    ndarray
        Shape (rows, columns, 3), uint8.
    """
    coarse = Image.fromarray(np.asarray(heat_map, dtype=np.float32))
    size = (grey.shape[1], grey.shape[0])
    heat = np.clip(np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), dtype=np.float64), 0.0, 1.0)
    return _overlaid(grey.astype(np.float64), heat)


def _overlaid(grey: NDArray[np.float64], heat: NDArray[np.float64]) -> NDArray[np.uint8]:
    heat = heat[..., None]
    colour = np.concatenate(
        [np.full_like(heat, 255.0), 190.0 * (1.0 - heat) + 20.0 * heat, 30.0 * np.ones_like(heat)], axis=2
    )
    weight = HEAT_OPACITY * heat
    return np.asarray(np.rint((1 - weight) * grey[..., None] + weight * colour)).astype(np.uint8)


def heat_colours(steps: int = 24) -> tuple[tuple[int, int, int], ...]:
    """What a middle grey becomes under the map from its lowest to its highest value, as red, green, blue in 0..255."""
    made = _overlaid(np.full((1, steps), 128.0), np.linspace(0.0, 1.0, steps)[None])[0]
    return tuple((int(red), int(green), int(blue)) for red, green, blue in made)


def crop(grey: Grey, centre: tuple[float, float], half: float) -> tuple[Grey, tuple[float, float]]:
    """A square around `centre` (column, row), `half` pixels each way, moved inside the image.

    Returns
    -------
    tuple
        The square, and the (column, row) of its upper left corner.
    """
    rows, columns = grey.shape
    side = int(min(2 * half, rows, columns))
    left = int(min(max(centre[0] - side / 2, 0), columns - side))
    top = int(min(max(centre[1] - side / 2, 0), rows - side))
    return grey[top : top + side, left : left + side], (float(left), float(top))


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """Baseline JPEG of (rows, columns) or (rows, columns, 3)."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
