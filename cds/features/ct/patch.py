"""A small cube of even voxels around a spot, cut out of the volume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cds.dicom.volume import Volume
from cds.features.ct.lungs import Lungs, Mask

Image = NDArray[np.float32]
Vector = NDArray[np.float64]

_MARGIN_MM: Final = 8.0
_FINEST_MM: Final = 0.6
_VOXELS: Final = 56
_AIR_HU: Final = -500
_HALF_HU: Final = -400
_BALL_SHARE: Final = 1.15
_MAX_BALL_MM: Final = 25.0
_HALF_VOXEL: Final = 0.5
"""On voxels a ball is half a voxel too large and closes dents that much short."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A cube of even voxels, axes parallel to the volume's.

    Attributes
    ----------
    hu
        Interpolated, shape (n, n, n).
    inside
        What belongs to the lungs, walls excluded.
    mm
        The size of a voxel.
    centre
        Index (slice, row, column) in the volume of the patch's middle voxel.
    spacing_mm
        The volume's voxel size.
    """

    hu: Image
    inside: Mask
    mm: float
    centre: Vector
    spacing_mm: Vector

    @property
    def middle(self) -> int:
        """The index of the middle voxel along each axis."""
        return int(self.hu.shape[0]) // 2

    def to_volume(self, index: Vector) -> Vector:
        """The volume's index of a patch's index."""
        return self.centre + (index - self.middle) * self.mm / self.spacing_mm

    def slice_index(self, slice_number: int) -> int:
        """The patch's index along the first axis that lies nearest to a slice of the volume."""
        return round(float((slice_number - self.centre[0]) * self.spacing_mm[0] / self.mm)) + self.middle


def cut(volume: Volume, lungs: Lungs, index: tuple[float, float, float], diameter_mm: float) -> Patch:
    """Cut out a cube of twice the diameter and a margin, about 56 voxels a side."""
    side = 2 * diameter_mm + 2 * _MARGIN_MM
    mm = max(_FINEST_MM, side / _VOXELS)
    half = int(np.ceil(side / 2 / mm))
    spacing, centre = np.array(volume.spacing_mm), np.array(index)
    axes = [c + np.arange(-half, half + 1) * mm / s for c, s in zip(centre, spacing, strict=True)]
    hu = _sample(volume.hu, axes)
    coarse = [(axis + 0.5) / step - 0.5 for axis, step in zip(axes, lungs.step, strict=True)]
    inside = _sample(lungs.inside, coarse) > 0.5
    reach = ndimage.binary_dilation(inside, iterations=max(1, round(2.0 / mm)))
    return Patch(hu, inside | ((hu < _AIR_HU) & reach), mm, centre, spacing)


def with_fine_wall(patch: Patch, diameter_mm: float) -> Patch:
    """Find the wall of the lung anew on the patch's own voxels, for a nodule that is attached to it.

    The air is closed with a ball more than twice as wide as the nodule is: it does not fit into the
    nodule, and hardly sinks into where the nodule meets the wall.
    """
    reach = min(_BALL_SHARE * diameter_mm, _MAX_BALL_MM)
    pad = int(np.ceil(reach / patch.mm)) + 2
    air = np.pad((patch.hu < _HALF_HU) & patch.inside, pad, mode="edge")
    grown = ndimage.distance_transform_edt(~air, sampling=patch.mm) <= reach
    closed = ndimage.distance_transform_edt(grown, sampling=patch.mm) > reach - _HALF_VOXEL * patch.mm
    inside = (closed | air)[(slice(pad, -pad),) * 3]
    return replace(patch, inside=inside)


def _sample(grid: NDArray[np.generic], axes: list[Vector]) -> Image:
    """Linear interpolation at the crossings of three axes; beyond the border the border's value."""
    clipped = [np.clip(axis, 0, count - 1) for axis, count in zip(axes, grid.shape, strict=True)]
    starts = [int(np.floor(axis[0])) for axis in clipped]
    stops = [int(np.floor(axis[-1])) + 2 for axis in clipped]
    box: Image = grid[tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))].astype(np.float32)
    for dimension, (axis, start) in enumerate(zip(clipped, starts, strict=True)):
        at = axis - start
        below = np.minimum(at.astype(int), box.shape[dimension] - 1)
        above = np.minimum(below + 1, box.shape[dimension] - 1)
        shape = [1, 1, 1]
        shape[dimension] = -1
        weight = (at - below).astype(np.float32).reshape(shape)
        lower = box.take(below, dimension)
        box = lower + (box.take(above, dimension) - lower) * weight
    return box
