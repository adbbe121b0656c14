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
_FOREIGN_EDGE_MM: Final = 1.2
"""How far the blurred edges of vessels and walls reach."""
_HOPELESS: Final = 4.0
"""So elongated is a vessel; nothing more need be measured."""
_SHELL_MM: Final = 1.2
_SHELL_FROM: Final = 0.1
"""Attachments are looked for outside the blurred edge and outside short spicules: a tenth of the diameter away."""


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """One measured spot. Axes are in-slice, on the slice of the largest area.

    Attributes
    ----------
    core_hu
        The density of its inner part.
    attached, walled
        How much of its surface touches vessels, or the lungs' walls, 0..1.
    severed
        Whether vessels nearly as thick as itself had to be cut off.
    elongation
        Longest over shortest principal axis, 1 for a ball.
    axis_ends
        (row, column) in the volume of the ends of the long, then of the short axis.
    """

    core_hu: float
    volume_mm3: float
    long_axis_mm: float
    short_axis_mm: float
    attached: float
    walled: float
    severed: bool
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
    if grown is None or grown.core_hu < _MIN_CORE_HU:
        return None
    elongation = _elongation(grown.mask)
    if elongation > _HOPELESS:
        return None
    number, ends = _axes(patch, grown.mask, background, grown.core_hu, slices)
    if not ends:
        return None
    long_axis, short_axis = _length(patch, ends[:2]), _length(patch, ends[2:])
    near = _Near.of(patch, grown, background)
    attached, walled = near.contacts((long_axis + short_axis) / 2)
    centre = patch.to_volume(np.array(ndimage.center_of_mass(grown.mask)))
    return Spot(
        core_hu=grown.core_hu,
        volume_mm3=near.volume_mm3(),
        long_axis_mm=long_axis,
        short_axis_mm=short_axis,
        attached=attached,
        walled=walled,
        severed=grown.severed,
        elongation=elongation,
        centre=(float(centre[0]), float(centre[1]), float(centre[2])),
        slice_number=number,
        axis_ends=ends,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Grown:
    """The outline of a spot in its patch, and all that is as bright around it."""

    mask: Mask
    bright: Mask
    core_hu: float
    severed: bool


def _background(patch: Patch) -> float:
    """The density of the lung around."""
    air = patch.hu[patch.inside & (patch.hu < -600)]
    return float(np.median(air)) if air.size > 50 else _LUNG_HU


def _grow(patch: Patch, diameter_mm: float, background: float) -> _Grown | None:
    """Outline at half the contrast, then without the vessels; twice, as the contrast is only then known."""
    m, reach = patch.middle, max(1, int(0.2 * diameter_mm / patch.mm))
    near = slice(m - reach, m + reach + 1)
    top = float(np.percentile(patch.hu[near, near, near], 75))
    grown: _Grown | None = None
    for _ in range(2):
        if top < _MIN_CORE_HU:
            return None
        grown = _without_vessels((patch.hu > (top + background) / 2) & patch.inside, patch, diameter_mm)
        if grown is None or abs(grown.core_hu - top) < 0.05 * (top - background):
            break
        top = grown.core_hu
    return grown


def _without_vessels(bright: Mask, patch: Patch, diameter_mm: float) -> _Grown | None:
    """Opening with a ball of a share of the spot's own radius, and the piece in the middle."""
    depth = ndimage.distance_transform_edt(bright, sampling=patch.mm)
    m, reach = patch.middle, max(1, int(0.35 * diameter_mm / patch.mm))
    near = (slice(m - reach, m + reach + 1),) * 3
    radius = float(depth[near].max())
    if radius <= 0:
        return None
    peak = np.unravel_index(int(depth[near].argmax()), depth[near].shape)
    top = tuple(int(p) + m - reach for p in peak)
    for share in _VESSEL_SHARES:
        mask = _opened(bright, depth, top, share * radius, patch.mm)
        if mask is not None:
            core = float(patch.hu[mask & (depth >= 0.6 * radius)].mean())
            return _Grown(mask, bright, core, share > _VESSEL_SHARES[0])
    return None


def _opened(bright: Mask, depth: Vector, top: tuple[int, ...], radius: float, mm: float) -> Mask | None:
    """What balls of `radius` reach that stay inside `bright` and hang together with the one at `top`.

    None where it reaches the border of the patch: no nodule of the size that was looked for.
    """
    labels, _ = ndimage.label(depth > radius)
    core = labels == labels[top]
    grow = int(np.ceil(radius / mm)) + 2
    box = _box(core, grow)
    mask = np.zeros_like(bright)
    mask[box] = (ndimage.distance_transform_edt(~core[box], sampling=mm) <= radius + 0.5 * mm) & bright[box]
    touching = any(np.moveaxis(mask, axis, 0)[[0, -1]].any() for axis in range(3))
    return None if touching else mask


def _box(mask: Mask, margin: int) -> tuple[slice, ...]:
    """The smallest box around the mask, and a margin."""
    tight = ndimage.find_objects(mask.astype(np.uint8))[0]
    ends = zip(tight, mask.shape, strict=True)
    return tuple(slice(max(0, part.start - margin), min(size, part.stop + margin)) for part, size in ends)


@dataclass(frozen=True, slots=True, eq=False)
class _Near:
    """The surroundings of a spot: shares of its density, distances from it (mm), what else is there."""

    share: NDArray[np.float32]
    distance: Vector
    mask: Mask
    bright: Mask
    inside: Mask
    mm: float

    @classmethod
    def of(cls, patch: Patch, grown: _Grown, background: float) -> _Near:
        """Cut out as much as can matter: up to 6 mm from the spot."""
        box = _box(grown.mask, int(6 / patch.mm) + 2)
        return cls(
            share=(patch.hu[box] - background) / (grown.core_hu - background),
            distance=ndimage.distance_transform_edt(~grown.mask[box], sampling=patch.mm),
            mask=grown.mask[box],
            bright=grown.bright[box],
            inside=patch.inside[box],
            mm=patch.mm,
        )

    def contacts(self, size_mm: float) -> tuple[float, float]:
        """The shares of the surface that touch vessels, and walls."""
        start = max(1.0, _SHELL_FROM * size_mm)
        shell = (self.distance > start) & (self.distance <= start + _SHELL_MM)
        count = max(int(shell.sum()), 1)
        attached = int((shell & self.inside & (self.share > 0.4)).sum())
        return attached / count, int((shell & ~self.inside).sum()) / count

    def volume_mm3(self) -> float:
        """The sum of each voxel's share of the spot's density: blur moves density, and keeps its sum."""
        wall = ndimage.binary_dilation(~self.inside)
        others = self.bright & ~self.mask & (self.distance > self.mm * 1.5) & ~wall
        reach = max(1, round(_FOREIGN_EDGE_MM / self.mm))
        foreign = ndimage.binary_dilation(others, iterations=reach) | wall
        edge = (self.distance > 0) & (self.distance <= _EDGE_MM) & ~foreign
        own = np.clip(self.share[self.mask], 0, 1.2).sum() + self.share[edge].sum()
        return float(own) * self.mm**3


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
