"""Find the lungs in a chest CT, with what grows into them from their walls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cds.dicom.volume import Volume

Mask = NDArray[np.bool_]

_GRID_MM: Final = 2.1
"""The lungs are found on voxels of at most this size: fine enough for the dent of a 5 mm nodule, and fast."""
_AIR_BELOW_HU: Final = -400
"""Half way between aerated lung (-860) and soft tissue (+40)."""
_LUNG_MEAN_HU: Final = (-965, -500)
"""The mean of whole lungs, emphysema included; gas in the bowel is near -1000."""
_MIN_SHARE: Final = 0.08
_MIN_LUNGS_ML: Final = 150.0
"""Both lungs of a newborn hold about 150 ml; what is smaller is no chest."""
_CLOSING_MM: Final = 16.0
"""A ball of this radius does not fit into a nodule of 30 mm, so that one in the lung's wall is closed over."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lungs:
    """Both lungs on a coarse grid.

    Attributes
    ----------
    air
        Aerated lung with its airways, shape (slices, rows, columns) of the coarse grid.
    inside
        The lungs with vessels and nodules, those in their walls too.
    right
        Which part of `inside` is the patient's right lung.
    step
        Voxels of the volume per voxel of the grid, along each axis.
    volume_ml
        Of `inside`, right and left.
    touches_top, touches_bottom
        Whether lung reaches the first or last slice, by position towards head or feet.
    """

    air: Mask
    inside: Mask
    right: Mask
    step: tuple[int, int, int]
    volume_ml: tuple[float, float]
    touches_top: bool
    touches_bottom: bool


def find_lungs(volume: Volume) -> Lungs | None:
    """Find both lungs, None where there are none.

    Air that does not reach the border of the slices, in pieces as large and as dense as lungs,
    then closed with a ball so that dents of nodules and vessels belong to it.
    """
    step = tuple(max(1, int(_GRID_MM / mm)) for mm in volume.spacing_mm)
    coarse = _block_means(volume.hu, step)
    spacing = tuple(mm * n for mm, n in zip(volume.spacing_mm, step, strict=True))
    voxel_ml = float(np.prod(spacing)) / 1000
    air = _lung_air(coarse)
    if air is None or air.sum() * voxel_ml < _MIN_LUNGS_ML:
        return None
    box = ndimage.find_objects(air.astype(np.uint8))[0]
    inside, right = np.zeros_like(air), np.zeros_like(air)
    inside[box] = closed(air[box], spacing)
    right[box] = _right_side(air[box], inside[box], volume, spacing)
    ml = (float((inside & right).sum()) * voxel_ml, float((inside & ~right).sum()) * voxel_ml)
    ends = (bool(_reaches(air[-1], spacing)), bool(_reaches(air[0], spacing)))
    up = volume.affine[2, 0] > 0
    return Lungs(
        air=air,
        inside=inside,
        right=right,
        step=(step[0], step[1], step[2]),
        volume_ml=ml,
        touches_top=ends[0] if up else ends[1],
        touches_bottom=ends[1] if up else ends[0],
    )


def _reaches(edge: Mask, spacing: tuple[float, ...]) -> bool:
    """More than 5 cm2 of lung in an end slice: lung goes on beyond it."""
    return float(edge.sum()) * spacing[1] * spacing[2] > 500


def _block_means(hu: NDArray[np.int16], step: tuple[int, ...]) -> NDArray[np.float32]:
    """Means over blocks of `step` voxels; what is left at the far ends is dropped."""
    count = tuple(size // n for size, n in zip(hu.shape, step, strict=True))
    means = np.empty(count, np.float32)
    n0, n1, n2 = step
    for index in range(count[0]):
        slab = hu[index * n0 : (index + 1) * n0, : count[1] * n1, : count[2] * n2]
        means[index] = slab.reshape(n0, count[1], n1, count[2], n2).mean((0, 2, 4), dtype=np.float32)
    return means


def _lung_air(coarse: NDArray[np.float32]) -> Mask | None:
    labels, count = ndimage.label(coarse < _AIR_BELOW_HU)
    if not count:
        return None
    border = np.unique(np.concatenate([labels[:, [0, -1]].ravel(), labels[:, :, [0, -1]].ravel()]))
    sizes = np.bincount(labels.ravel()).astype(float)
    sizes[0] = 0
    sizes[border] = 0
    large = np.flatnonzero(sizes >= max(sizes.max() * _MIN_SHARE, 1))
    means = ndimage.mean(coarse, labels, large)
    lungs = [int(label) for label, mean in zip(large, means, strict=True) if _LUNG_MEAN_HU[0] < mean < _LUNG_MEAN_HU[1]]
    return np.isin(labels, lungs) if lungs else None


def closed(mask: Mask, spacing: tuple[float, ...]) -> Mask:
    """Morphological closing with a ball, by distances in mm; holes are filled."""
    pad = [(int(np.ceil(_CLOSING_MM / mm)) + 1,) * 2 for mm in spacing]
    padded = np.pad(mask, pad)
    grown = ndimage.distance_transform_edt(~padded, sampling=spacing) <= _CLOSING_MM
    shrunk = ndimage.distance_transform_edt(grown, sampling=spacing) > _CLOSING_MM
    box = tuple(slice(before, before + size) for (before, _), size in zip(pad, mask.shape, strict=True))
    return np.asarray(ndimage.binary_fill_holes(shrunk[box] | mask))


def _right_side(air: Mask, inside: Mask, volume: Volume, spacing: tuple[float, ...]) -> Mask:
    """Each voxel of `inside` goes with the nearer lung; the lungs part by eroding what joins them."""
    depth = ndimage.distance_transform_edt(air, sampling=spacing)
    for erosion_mm in (0.0, 2.0, 4.0, 6.0, 9.0, 12.0):
        labels, count = ndimage.label(depth > erosion_mm)
        sizes = np.bincount(labels.ravel(), minlength=3)
        sizes[0] = 0
        largest = np.argsort(sizes)[::-1][:2]
        if count >= 2 and sizes[largest[1]] > 0.2 * sizes[largest[0]]:
            seeds = np.where(labels == largest[0], 1, np.where(labels == largest[1], 2, 0))
            return _nearer(seeds, inside, volume)
    return _right_of_middle(air, volume)


def _nearer(seeds: NDArray[np.integer], inside: Mask, volume: Volume) -> Mask:
    nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    owner = seeds[tuple(nearest)]
    centres = [np.array(ndimage.center_of_mass(seeds == label)) for label in (1, 2)]
    to_left = volume.affine[0, :3]
    right = 1 if centres[0] @ to_left < centres[1] @ to_left else 2
    return np.asarray((owner == right) & inside)


def _right_of_middle(air: Mask, volume: Volume) -> Mask:
    """Where the lungs cannot be parted: right of the middle of all lung (LPS: smaller x)."""
    axis = int(np.argmax(np.abs(volume.affine[0, :3])))
    index = np.arange(air.shape[axis]) * np.sign(volume.affine[0, axis])
    shape = [1, 1, 1]
    shape[axis] = -1
    along = index.reshape(shape)
    middle = float((air * along).sum() / air.sum())
    return np.broadcast_to(along < middle, air.shape).copy()
