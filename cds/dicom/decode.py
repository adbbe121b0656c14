"""Decode pixels, and take a decoder's doubt for an error."""

from __future__ import annotations

import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

_SURPLUS: Final = "The decoded RLE segment contains non-conformant padding"
"""RLE (PS3.5 Annex G) has no checksum: a segment that decodes to too many bytes is the one sign of broken data."""


def decoded(dataset: Dataset) -> NDArray[np.integer]:
    """Stored pixel values, shape (rows, columns) or (rows, columns, samples) for one frame.

    Raises
    ------
    RuntimeError
        When an RLE segment holds more than the image does; and whatever else pydicom raises on
        pixels that are broken or of a kind it does not know.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=_SURPLUS)
        values: NDArray[np.integer] = pixel_array(dataset)
    return values
