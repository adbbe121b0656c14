"""Measure one spot in the lung: outline, volume, axes, and what it is attached to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cds.features.ct.lungs import Mask
from cds.features.ct.patch import Patch, Vector

_LUNG_HU: Final = -860.0
_MIN_CORE_HU: Final = -450.0
"""Below half of soft tissue a spot is ground glass or blurred noise; pure ground glass is not looked for."""
_VESSEL_SHARES: Final = (0.6, 0.72, 0.84)
"""What is thinner than this share of the nodule's radius is cut off as a vessel; more only where that is not enough."""
_EDGE_MM: Final = 1.8
"""How far beyond the half-value outline the scanner's blur carries a nodule's density (three sigma)."""
_SHELL_MM: Final = 1.2
_SHELL_FROM: Final = 0.1
"""Attachments are looked for outside the blurred edge and outside short spicules: a tenth of the diameter away."""


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """One measured spot. Axes are in-slice, on the slice of the largest area.

    Attributes
    ----------
    mask
        Its outline in the patch.
    core_hu
        The density of its inner part.
    attached, walled
        How much of its surface touches vessels, or the lungs' walls, 0..1.
    elongation
        Longest over shortest principal axis, 1 for a ball.
    axis_ends
        (row, column) in the volume of the ends of the long, then of the short axis.
    """

    mask: Mask
    core_hu: float
    volume_mm3: float
    long_axis_mm: float
    short_axis_mm: float
    attached: float
    walled: float
    elongation: float
    centre: tuple[float, float, float]
    slice_number: int
    axis_ends: tuple[tuple[float, float], ...]

    @property
    def mean_diameter_mm(self) -> float:
        """The mean of long and short axis (Fleischner Society 2017, doi:10.1148/radiol.2017161659)."""
        return (self.long_axis_mm + self.short_axis_mm) / 2


def measure(patch: Patch, diameter_mm: float, slices: int) -> Spot | None:
    """Measure what lies in the middle of a patch; None where it is no solid spot inside the lungs.

    Parameters
    ----------
    diameter_mm
        A first guess of the size.
    slices
        How many slices the volume has.
    """
    background = _background(patch)
    grown = _grow(patch, diameter_mm, background)
    if grown is None:
        return None
    mask, bright = grown
    core = _core(patch, mask)
    if core < _MIN_CORE_HU:
        return None
    distance = ndimage.distance_transform_edt(~mask, sampling=patch.mm)
    number, ends = _axes(patch, mask, background, core, slices)
    if not ends:
        return None
    centre = patch.to_volume(np.array(ndimage.center_of_mass(mask)))
    long_axis, short_axis = _length(patch, ends[:2]), _length(patch, ends[2:])
    attached, walled = _contacts(patch, distance, background, core, (long_axis + short_axis) / 2)
    return Spot(
        mask=mask,
        core_hu=core,
        volume_mm3=_volume(patch, mask, bright, distance, background, core),
        long_axis_mm=long_axis,
        short_axis_mm=short_axis,
        attached=attached,
        walled=walled,
        elongation=_elongation(mask),
        centre=(float(centre[0]), float(centre[1]), float(centre[2])),
        slice_number=number,
        axis_ends=ends,
    )


def _background(patch: Patch) -> float:
    """The density of the lung around."""
    air = patch.hu[patch.inside & (patch.hu < -600)]
    return float(np.median(air)) if air.size > 50 else _LUNG_HU


def _grow(patch: Patch, diameter_mm: float, background: float) -> tuple[Mask, Mask] | None:
    """Outline at half the contrast, then without the vessels; and all that is bright around."""
    m = patch.middle
    near = slice(m - max(1, int(0.2 * diameter_mm / patch.mm)), m + max(1, int(0.2 * diameter_mm / patch.mm)) + 1)
    top = float(np.percentile(patch.hu[near, near, near], 75))
    mask: Mask | None = None
    bright: Mask = np.zeros_like(patch.inside)
    for _ in range(2):
        bright = (patch.hu > (top + background) / 2) & patch.inside
        mask = _without_vessels(bright, patch, diameter_mm)
        if mask is None:
            return None
        top = _core(patch, mask)
    return (mask, bright) if mask is not None else None


def _without_vessels(bright: Mask, patch: Patch, diameter_mm: float) -> Mask | None:
    """Opening with a ball of about half the spot's own radius, and the piece in the middle."""
    depth = ndimage.distance_transform_edt(bright, sampling=patch.mm)
    m, reach = patch.middle, max(1, int(0.35 * diameter_mm / patch.mm))
    near = (slice(m - reach, m + reach + 1),) * 3
    radius = float(depth[near].max())
    if radius <= 0:
        return None
    peak = np.unravel_index(int(depth[near].argmax()), depth[near].shape)
    top = tuple(int(p) + m - reach for p in peak)
    opened = (_opened(bright, depth, top, share * radius, patch.mm) for share in _VESSEL_SHARES)
    return next((mask for mask in opened if not _cut_off(mask)), None)


def _opened(bright: Mask, depth: Vector, top: tuple[int, ...], radius: float, mm: float) -> Mask:
    """What balls of `radius` reach that stay inside `bright` and hang together with the one at `top`."""
    labels, _ = ndimage.label(depth > radius)
    core = labels == labels[top]
    return np.asarray((ndimage.distance_transform_edt(~core, sampling=mm) <= radius + 0.5 * mm) & bright)


def _cut_off(mask: Mask) -> bool:
    """Whether it reaches the border of the patch: no nodule of the size that was looked for."""
    return bool(any(np.moveaxis(mask, axis, 0)[[0, -1]].any() for axis in range(3)))


def _core(patch: Patch, mask: Mask) -> float:
    """The mean density of the inner half, where blur does not reach."""
    depth = ndimage.distance_transform_edt(mask, sampling=patch.mm)
    return float(patch.hu[depth >= 0.6 * depth.max()].mean())


def _contacts(patch: Patch, distance: Vector, background: float, core: float, size_mm: float) -> tuple[float, float]:
    start = max(1.0, _SHELL_FROM * size_mm)
    shell = (distance > start) & (distance <= start + _SHELL_MM)
    count = max(int(shell.sum()), 1)
    dense = patch.hu > background + 0.4 * (core - background)
    walled = int((shell & ~patch.inside).sum())
    attached = int((shell & patch.inside & dense).sum())
    return attached / count, walled / count


def _volume(patch: Patch, mask: Mask, bright: Mask, distance: Vector, background: float, core: float) -> float:
    """The sum of each voxel's share of the nodule's density: blur moves density, and keeps its sum."""
    others = bright & ~mask & (distance > patch.mm * 1.5)
    foreign = ndimage.distance_transform_edt(~others, sampling=patch.mm) <= 1.2 if others.any() else others
    wall = ~patch.inside
    near_wall = ndimage.distance_transform_edt(~wall, sampling=patch.mm) <= 1.2 if wall.any() else wall
    edge = (distance > 0) & (distance <= _EDGE_MM) & ~foreign & ~near_wall
    share = (patch.hu - background) / (core - background)
    return float(np.clip(share[mask], 0, 1.2).sum() + share[edge].sum()) * patch.mm**3


def _elongation(mask: Mask) -> float:
    points = np.argwhere(mask).astype(float)
    if len(points) < 8:
        return float("inf")
    spread = np.linalg.eigvalsh(np.cov(points.T) + np.eye(3) / 12)
    return float(np.sqrt(spread[-1] / spread[0]))


def _axes(
    patch: Patch, mask: Mask, background: float, core: float, slices: int
) -> tuple[int, tuple[tuple[float, float], ...]]:
    """The slice of the largest area, and the ends of the long and the short axis on it."""
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


def _length(patch: Patch, ends: tuple[tuple[float, float], ...]) -> float:
    return float(np.linalg.norm((np.array(ends[1]) - np.array(ends[0])) * patch.spacing_mm[1:]))
