"""Long and short axis of a spot, on the slice of its largest area."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cds.features.ct.lungs import Mask
from cds.features.ct.patch import Patch, Vector


def axes(
    patch: Patch, mask: Mask, background: float, core: float, slices: int
) -> tuple[int, tuple[tuple[float, float], ...]]:
    """Find the slice of the largest area, and the ends of the long and the short axis on it.

    No ends where the spot is too small to have any.
    """
    first = max(0, int(np.ceil(patch.to_volume(np.zeros(3))[0])))
    last = min(slices - 1, int(patch.to_volume(np.full(3, mask.shape[0] - 1.0))[0]))
    areas = {number: int(mask[patch.slice_index(number)].sum()) for number in range(first, last + 1)}
    if not areas or max(areas.values()) < 4:
        return 0, ()
    number = max(areas, key=lambda key: areas[key])
    level = patch.slice_index(number)
    outline = _outline(patch.hu[level], mask[level], (background + core) / 2)
    ends = _caliper(outline)
    in_volume = [patch.to_volume(np.array([level, row, column])) for row, column in ends]
    return number, tuple((float(point[1]), float(point[2])) for point in in_volume)


def _outline(plane: NDArray[np.float32], mask: Mask, threshold: float) -> Vector:
    """Points (row, column) where the density crosses the threshold along rows and columns."""
    own = ndimage.binary_dilation(mask, iterations=1)
    found = []
    for axis in (0, 1):
        here, there = (np.moveaxis(plane, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        inside, beyond = (np.moveaxis(mask, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        near = np.moveaxis(own, axis, 0)[:-1]
        crossing = (inside != beyond) & near
        fraction = np.where(crossing, (threshold - here) / np.where(there == here, 1, there - here), 0)
        at = np.argwhere(crossing).astype(float)
        at[:, 0] += np.clip(fraction[crossing], 0, 1)
        found.append(at if axis == 0 else at[:, ::-1])
    return np.concatenate(found)


def _caliper(outline: Vector) -> tuple[Vector, Vector, Vector, Vector]:
    """The longest axis, and the longest one across it."""
    apart = np.linalg.norm(outline[:, None] - outline[None], axis=2)
    a, b = np.unravel_index(int(apart.argmax()), apart.shape)
    along = (outline[b] - outline[a]) / max(float(apart[a, b]), 1e-9)
    across = outline @ np.array([-along[1], along[0]])
    c, d = int(across.argmin()), int(across.argmax())
    middle = (outline[a] + outline[b]) / 2
    direction = np.array([-along[1], along[0]])
    offset = middle @ direction
    return outline[a], outline[b], middle + (across[c] - offset) * direction, middle + (across[d] - offset) * direction


def length_mm(patch: Patch, ends: tuple[tuple[float, float], ...]) -> float:
    """The distance of two ends in a slice, (row, column) in voxels of the volume."""
    return float(np.linalg.norm((np.array(ends[1]) - np.array(ends[0])) * patch.spacing_mm[1:]))
