"""After training: probability, uncertainty band, embedding, and what is too unfamiliar to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from scipy.special import expit
from torch import Tensor
from torch.nn import functional

from cds.features.xray.model import Calibration, Familiarity
from cds.training.image_augment import blurred, coarsened

Floats = npt.NDArray[np.float64]

_BAND: Final = 0.95
"""ABSENT only below the probability that keeps 95 % sensitivity, PRESENT only from 95 % specificity."""
_PULL: Final = 1e-3
"""Keeps the slope finite where a few images are told apart without an error."""
_QUANTILE: Final = 0.999
"""Familiar is what all but one in a thousand held-out images, as they are or shifted, reach."""


def _cropped(images: Tensor) -> Tensor:
    rows, columns = images.shape[-2:]
    inner = images[..., round(rows * 0.075) : round(rows * 0.925), round(columns * 0.075) : round(columns * 0.925)]
    return functional.interpolate(inner, size=(rows, columns), mode="bilinear", align_corners=False)


def _framed(images: Tensor) -> Tensor:
    rows, columns = images.shape[-2:]
    small = functional.interpolate(
        images, size=(round(rows * 0.85), round(columns * 0.85)), mode="bilinear", antialias=True, align_corners=False
    )
    high, wide = rows - small.shape[-2], columns - small.shape[-1]
    return functional.pad(small, (wide // 2, wide - wide // 2, high // 2, high - high // 2))


def _noisy(images: Tensor) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(3))
    return (images + 0.05 * noise).clamp(0.0, 1.0)


def _slanted(images: Tensor) -> Tensor:
    return images * torch.linspace(0.65, 1.1, images.shape[-1]).clamp_max(1.0)


def _sharpened(images: Tensor) -> Tensor:
    return (images + 1.5 * (images - blurred(images, 1.0))).clamp(0.0, 1.0)


SHIFTS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "gamma 1.7 and half contrast": lambda images: 0.25 + 0.5 * images**1.7,
    "clipped": lambda images: ((images - 0.12) / 0.65).clamp(0.0, 1.0),
    "blurred": lambda images: blurred(images, 0.8),
    "sharpened": _sharpened,
    "noisy": _noisy,
    "half resolution": lambda images: coarsened(images, images.shape[-1] // 2),
    "cropped": _cropped,
    "framed in black": _framed,
    "lit from one side": _slanted,
}
"""Ways in which another site's images may differ; images are (n, 1, size, size) in 0..1."""


def shifted(images: Tensor, seed: int) -> Tensor:
    """Give each image one of `SHIFTS`, drawn at random."""
    chosen = torch.randint(len(SHIFTS), (len(images),), generator=torch.Generator().manual_seed(seed))
    result = images.clone()
    for number, shift in enumerate(SHIFTS.values()):
        mine = chosen == number
        if mine.any():
            result[mine] = shift(images[mine])
    return result


def calibration_of(logits: Floats, labels: Floats, basis: str) -> Calibration:
    """Fit Platt scaling in which both classes weigh the same, so that the prior is one half.

    Parameters
    ----------
    logits, labels
        Of persons that the network has not seen, shape (n,).
    """
    weights = np.where(labels == 1, 0.5 / max(1, (labels == 1).sum()), 0.5 / max(1, (labels == 0).sum()))

    def loss(parameters: Floats) -> float:
        values = np.exp(parameters[0]) * logits + parameters[1]
        spread = float((weights * (np.logaddexp(0.0, values) - labels * values)).sum())
        return spread + _PULL * float(parameters[0] ** 2)

    slope, offset = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"maxiter": 2000}).x
    chances = expit(np.exp(slope) * logits + offset)
    absent = min(0.5, float(np.quantile(chances[labels == 1], 1 - _BAND)))
    present = max(0.5, float(np.quantile(chances[labels == 0], _BAND)))
    return Calibration(
        scale=float(np.exp(slope)),
        offset=float(offset),
        prior=0.5,
        absent_below=absent,
        present_from=present,
        basis=basis,
    )


def whitening(features: Tensor, dimensions: int) -> tuple[Tensor, Tensor]:
    """Centre (f,) and whitening axes (f, d) of the first principal components of features (n, f)."""
    centre = features.mean(0)
    _, spread, directions = torch.linalg.svd(features - centre, full_matrices=False)
    kept = min(dimensions, int((spread > 1e-6 * spread[0]).sum()))
    deviations = spread[:kept] / max(1, len(features) - 1) ** 0.5
    return centre, directions[:kept].T / deviations


def familiarity_of(distances: Tensor, basis: str) -> Familiarity:
    """Limits for distances (n, 4), in the order of `Familiarity`, of images that must still be read."""
    limits = [float(limit) for limit in torch.quantile(distances, _QUANTILE, dim=0).clamp_min(1e-6)]
    return Familiarity(
        distance=limits[0], residual=limits[1], picture_distance=limits[2], picture_residual=limits[3], basis=basis
    )
