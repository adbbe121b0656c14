"""Radiographs as another hospital would have taken them: geometry, exposure, texture, borders.

The two classes of the training data differ in crop, contrast and sharpness; a network that may
look at these learns the scanner and not the lung. So each is drawn at random, for both classes alike.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Generator, Tensor
from torch.nn import functional

_BLURRED: Final = slice(2, 4)
"""Eighths of a batch: the first two are coarsened, the next two blurred, one sharpened, the rest left."""


def augmented(images: Tensor, size: int, strength: float, random: Generator) -> Tensor:
    """Vary a batch.

    Parameters
    ----------
    images
        float32, shape (n, 1, rows, columns), 0..1.
    size
        Side of the result.
    strength
        Factor on the width of every distribution; 1 is strong.

    Returns
    -------
    torch.Tensor
        Shape (n, 1, size, size), 0..1.
    """
    varied = _exposed(_moved(images, size, strength, random), strength, random)
    _texture(varied, random)
    noise = _uniform((len(varied), 1, 1, 1), 0.0, 0.06 * strength, random) * _chosen(varied, 0.5, random)
    varied = varied + torch.randn(varied.shape, generator=random) * noise
    _erase(varied, random)
    return varied.clamp(0.0, 1.0)


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of shape (n, 1, rows, columns), `sigma` in pixels."""
    radius = max(1, round(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-offsets.square() / (2 * sigma * sigma))
    kernel = kernel / kernel.sum()
    wide = functional.pad(images, (radius, radius, 0, 0), mode="reflect")
    across = functional.conv2d(wide, kernel.view(1, 1, 1, -1))
    high = functional.pad(across, (0, 0, radius, radius), mode="reflect")
    return functional.conv2d(high, kernel.view(1, 1, -1, 1))


def coarsened(images: Tensor, side: int) -> Tensor:
    """Lose detail: down to `side` pixels and back."""
    small = functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    return functional.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)


def _moved(images: Tensor, size: int, strength: float, random: Generator) -> Tensor:
    """Zoom, squash, rotate, shear, shift and mirror."""
    n = len(images)
    zoom = _uniform((n,), -0.32 * strength, 0.20 * strength, random).exp()
    squash = _uniform((n,), -0.15 * strength, 0.15 * strength, random).exp()
    angle = _uniform((n,), -15 * strength, 15 * strength, random) * (math.pi / 180)
    shear = _uniform((n,), -0.08 * strength, 0.08 * strength, random)
    shift = _uniform((n, 2), -0.10 * strength, 0.10 * strength, random)
    mirror = (torch.rand(n, generator=random) < 0.5).float() * 2 - 1
    first = torch.stack([mirror * zoom * squash * angle.cos(), zoom * (shear - angle.sin()), shift[:, 0]], 1)
    second = torch.stack([mirror * zoom * angle.sin(), zoom / squash * angle.cos(), shift[:, 1]], 1)
    grid = functional.affine_grid(torch.stack([first, second], 1), [n, 1, size, size], align_corners=False)
    border = "zeros" if float(torch.rand((), generator=random)) < 0.5 else "border"
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode=border, align_corners=False)


def _exposed(images: Tensor, strength: float, random: Generator) -> Tensor:
    """Clip the ends, bend the curve, and light the field unevenly."""
    n, size = len(images), images.shape[-1]
    low = _uniform((n, 1, 1, 1), 0.0, 0.12, random) * _chosen(images, 0.5, random)
    high = _uniform((n, 1, 1, 1), 0.82, 1.0, random)
    curve = torch.exp(torch.randn((n, 1, 1, 1), generator=random) * 0.35 * strength)
    bent = ((images - low) / (high - low)).clamp(1e-4, 1.0) ** curve
    coarse = torch.randn((n, 1, 3, 3), generator=random) * 0.10 * strength
    light = functional.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)
    return bent + light * _chosen(images, 0.6, random)


def _texture(images: Tensor, random: Generator) -> None:
    """Coarsen, blur or sharpen parts of the batch, in place."""
    size = images.shape[-1]
    parts = torch.randperm(len(images), generator=random).tensor_split(8)
    for number, part in enumerate(parts[:5]):
        if not len(part):
            continue
        chance = float(torch.rand((), generator=random))
        if number < _BLURRED.start:
            images[part] = coarsened(images[part], max(16, int(size * (0.35 + 0.6 * chance))))
        elif number < _BLURRED.stop:
            images[part] = blurred(images[part], 0.4 + 1.2 * chance)
        else:
            images[part] += (images[part] - blurred(images[part], 1.0 + chance)) * (0.5 + 1.5 * chance)


def _erase(images: Tensor, random: Generator) -> None:
    """Paint over borders, and a box inside, in place."""
    size = images.shape[-1]
    for image, border, box in zip(
        images, torch.rand(len(images), generator=random), torch.rand(len(images), generator=random), strict=True
    ):
        if float(border) < 0.35:
            left, right, top, bottom = (torch.rand(4, generator=random) * size * 0.14).int().tolist()
            paint = 0.0 if float(border) < 0.2 else float(torch.rand((), generator=random))
            image[..., :left] = paint
            image[..., size - right :] = paint
            image[..., :top, :] = paint
            image[..., size - bottom :, :] = paint
        if float(box) < 0.3:
            rows, columns = (torch.rand(2, generator=random) * size * 0.2 + size * 0.06).int().tolist()
            top, left = (torch.rand(2, generator=random) * torch.tensor([size - rows, size - columns])).int().tolist()
            image[..., top : top + rows, left : left + columns] = float(torch.rand((), generator=random))


def _uniform(shape: tuple[int, ...], low: float, high: float, random: Generator) -> Tensor:
    return torch.rand(shape, generator=random) * (high - low) + low


def _chosen(images: Tensor, share: float, random: Generator) -> Tensor:
    """1 for about `share` of the images, else 0, shape (n, 1, 1, 1)."""
    return (torch.rand((len(images), 1, 1, 1), generator=random) < share).float()
