"""From a radiograph to what the network reads: squash, equalise.

Training, evaluation and reading all come through here, DICOM and JPEG alike.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

_BINS: Final = 256
_UNIFORM_SD: Final = 12.0**-0.5
"""Standard deviation of the uniform distribution on 0..1."""


def squashed(pixels: npt.NDArray[np.float32], size: int) -> Tensor:
    """Resize to a square with antialiasing; the aspect ratio is lost, as in the training images.

    Parameters
    ----------
    pixels
        Shape (rows, columns), 0..1.

    Returns
    -------
    torch.Tensor
        float32, shape (1, size, size), 0..1.
    """
    image = torch.from_numpy(np.array(pixels, dtype=np.float32))[None, None]
    small = functional.interpolate(image, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return small[0].clamp(0.0, 1.0)


def equalised(images: Tensor) -> Tensor:
    """Replace each grey value by its rank in the image, so that window, gamma and exposure vanish.

    Parameters
    ----------
    images
        Shape (n, 1, size, size).

    Returns
    -------
    torch.Tensor
        float32, same shape, about zero mean and unit variance; zeros for a constant image.
    """
    flat = images.reshape(len(images), -1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    bins = ((flat - low) / (high - low).clamp_min(1e-6) * (_BINS - 1)).long().clamp_(0, _BINS - 1)
    counts = torch.zeros(len(images), _BINS).scatter_add_(1, bins, torch.ones_like(flat))
    middle_rank = (counts.cumsum(1) - 0.5 * counts) / flat.shape[1]
    return ((middle_rank.gather(1, bins) - 0.5) / _UNIFORM_SD).reshape(images.shape)
