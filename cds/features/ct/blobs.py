"""Find round bright spots of any size in the lungs: the places that are worth measuring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cds.dicom.volume import Volume
from cds.features.ct.lungs import Lungs, Mask

Image = NDArray[np.float32]
Vector = NDArray[np.float64]

_FINE_MM: Final = 1.0
_COARSE_FROM_MM: Final = 2.4
"""From this blur on, half the resolution shows all there is."""
_DIAMETERS_MM: Final = (4.0, 5.6, 8.0, 11.0, 15.5, 22.0, 31.0)
_BALL: Final = 2 * np.sqrt(3.0)
"""A ball of diameter d answers a Laplacian of Gaussian most at sigma = d / (2 sqrt 3)."""
_LUNG_HU: Final = -860.0
_BRIGHTEST_HU: Final = 100.0
_MIN_RESPONSE_HU: Final = 210.0
"""A solid ball answers with 0.92 of its contrast (about 800 HU); blur of 3 mm slices leaves a third of a 4 mm one."""
_MIN_ROUNDNESS: Final = 0.30
"""Least over greatest curvature: 1 for a ball, 0 for a tube; about 0.4 for a ball on a vessel or in 3 mm slices."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A round bright spot: `index` is (slice, row, column) in the volume, with fractions."""

    index: tuple[float, float, float]
    diameter_mm: float
    response_hu: float


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """The lungs resampled to even voxels of `mm`, walls painted over with lung; `low` is voxel 0's index."""

    image: Image
    inside: Mask
    mm: float
    low: Vector
    voxels_per_step: Vector


def find_blobs(volume: Volume, lungs: Lungs, limit: int = 400) -> list[Blob]:
    """Find balls of 4 to 31 mm by the Laplacian of Gaussian over scales, tubes excluded by their curvature.

    Returns
    -------
    list
        At most `limit`, the strongest first; of overlapping ones only the strongest.
    """
    fine = _scene(volume, lungs, _FINE_MM)
    coarse = _halved(fine)
    found: list[tuple[float, float, Vector]] = []
    for diameter in _DIAMETERS_MM:
        sigma = diameter / _BALL
        scene = coarse if sigma >= _COARSE_FROM_MM else fine
        found += [(response, diameter, index) for response, index in _peaks(scene, sigma)]
    found.sort(key=lambda peak: -peak[0])
    spacing = np.array(volume.spacing_mm)
    kept: list[tuple[float, float, Vector]] = []
    for response, diameter, index in found:
        if all(np.linalg.norm((index - other) * spacing) > 0.5 * max(diameter, size) for _, size, other in kept):
            kept.append((response, diameter, index))
        if len(kept) == limit:
            break
    return [Blob((float(i[0]), float(i[1]), float(i[2])), diameter, response) for response, diameter, i in kept]


def _scene(volume: Volume, lungs: Lungs, mm: float) -> _Scene:
    box = ndimage.find_objects(lungs.inside.astype(np.uint8))[0]
    step = np.array(lungs.step)
    low = np.array([part.start for part in box]) * step
    high = np.array([part.stop for part in box]) * step
    spacing = np.array(volume.spacing_mm)
    size = np.maximum(np.round((high - low) * spacing / mm), 1).astype(int)
    crop = volume.hu[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    bright = np.clip(crop, _LUNG_HU - 100, _BRIGHTEST_HU).astype(np.float32)
    image = _resampled(bright, size)
    air = image < -400
    closed = _resampled(lungs.inside[box].astype(np.float32), size) > 0.5
    inside = closed | (air & ndimage.binary_dilation(closed, iterations=2))
    image[~inside] = _LUNG_HU
    return _Scene(image, inside, mm, low.astype(float), mm / spacing)


def _resampled(image: Image, size: NDArray[np.integer]) -> Image:
    """Linear interpolation, axis by axis, voxel borders kept."""
    for axis, count in enumerate(size):
        old = image.shape[axis]
        if old == count:
            continue
        at = np.clip((np.arange(count) + 0.5) * old / count - 0.5, 0, old - 1)
        below = np.minimum(at.astype(int), max(old - 2, 0))
        shape = [1, 1, 1]
        shape[axis] = -1
        weight = (at - below).astype(np.float32).reshape(shape)
        lower = image.take(below, axis)
        image = lower + (image.take(np.minimum(below + 1, old - 1), axis) - lower) * weight
    return image


def _halved(scene: _Scene) -> _Scene:
    size = [count // 2 * 2 for count in scene.image.shape]
    even = scene.image[: size[0], : size[1], : size[2]]
    image = even.reshape(size[0] // 2, 2, size[1] // 2, 2, size[2] // 2, 2).mean((1, 3, 5))
    inside = scene.inside[: size[0] : 2, : size[1] : 2, : size[2] : 2]
    return _Scene(image, inside, scene.mm * 2, scene.low, scene.voxels_per_step * 2)


def _peaks(scene: _Scene, sigma_mm: float) -> list[tuple[float, Vector]]:
    """Local maxima of the response that are round, as (response in HU, index in the volume)."""
    smooth = ndimage.gaussian_filter(scene.image, sigma_mm / scene.mm, truncate=3.0)
    response = -ndimage.laplace(smooth) * np.float32((sigma_mm / scene.mm) ** 2)
    response[[0, -1]] = response[:, [0, -1]] = response[:, :, [0, -1]] = 0
    at = np.argwhere((response > _MIN_RESPONSE_HU) & scene.inside)
    if not len(at):
        return []
    here = response[tuple(at.T)]
    top = np.ones(len(at), bool)
    for offset in np.ndindex(3, 3, 3):
        if offset != (1, 1, 1):
            top &= here >= response[tuple((at + np.array(offset) - 1).T)]
    peaks = []
    for index, value in zip(at[top], here[top], strict=True):
        if _roundness(smooth, index) >= _MIN_ROUNDNESS:
            voxel = scene.low + (index + 0.5) * scene.voxels_per_step - 0.5
            peaks.append((float(value), voxel))
    return peaks


def _roundness(smooth: Image, index: NDArray[np.integer]) -> float:
    """Least over greatest of the three principal curvatures; at most 0 where one bends the other way."""
    s, r, c = (slice(i - 1, i + 2) for i in index)
    cube = smooth[s, r, c].astype(float)
    if cube.shape != (3, 3, 3):
        return 0.0
    hessian = np.empty((3, 3))
    for a in range(3):
        line = np.moveaxis(cube, a, 0)
        hessian[a, a] = line[0, 1, 1] - 2 * line[1, 1, 1] + line[2, 1, 1]
        for b in range(a):
            face = np.moveaxis(cube, (a, b), (0, 1))[:, :, 1]
            hessian[a, b] = hessian[b, a] = (face[2, 2] - face[2, 0] - face[0, 2] + face[0, 0]) / 4
    bends = -np.linalg.eigvalsh(hessian)
    return float(bends.min() / bends.max()) if bends.max() > 0 else 0.0
