"""Measure one spot in the lung: outline, volume, axes, and what it is attached to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cds.features.ct.axes import axes, length_mm
from cds.features.ct.lungs import Mask
from cds.features.ct.patch import Patch, Vector
from cds.features.ct.surface import Surface, find_surface
from cds.features.ct.wall import with_smooth_wall, without_bone

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
TOUCHING: Final = 0.02
"""What touches the wall with a larger share of its surface is measured with a finer wall."""
_MAX_ROUGHNESS: Final = 0.05
"""Noise moves the outline of a smooth ball by 1 to 3 % of its radius; most nodules of patients are rougher than 5 %."""
_HALF: Final = 0.5
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


@dataclass(frozen=True, slots=True, eq=False)
class Shaped:
    """A spot and what its free surface says of it.

    Attributes
    ----------
    smooth
        Whether the free surface is smooth, and the spot was measured by it.
    free
        How much of its surface is free, 0..1.
    roundness
        Shortest over longest radius of the free surface, 1 for a ball.
    holder
        How thick the thickest thing is that it hangs on, 1 for as thick as itself.
    """

    spot: Spot
    smooth: bool
    free: float
    roundness: float
    holder: float


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
    number, ends = axes(patch, grown.mask, background, grown.core_hu, slices)
    if not ends:
        return None
    long_axis, short_axis = length_mm(patch, ends[:2]), length_mm(patch, ends[2:])
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


def with_surface(patch: Patch, spot: Spot, diameter_mm: float, slices: int) -> Shaped | None:
    """Look at the free surface of a spot, and measure it by that where it is smooth.

    A smooth surface can be carried on behind what the spot is attached to; of a rough one nobody
    knows how it goes on, and the spot stays as it was measured.

    Returns
    -------
    Shaped or None
        None where too little of the surface is free to tell its shape.
    """
    background = _background(patch)
    grown = _grow(patch, diameter_mm, background)
    if grown is None:
        return None
    surface = find_surface(_share(patch, grown, background), grown.mask, patch.inside, patch.mm)
    if surface is None:
        return None
    if spot.walled >= TOUCHING:
        patch = with_smooth_wall(without_bone(patch), surface, (background + grown.core_hu) / 2)
        surface = surface.before(patch.inside, _share(patch, grown, background), grown.mask, patch.mm)
    smooth = surface.roughness <= _MAX_ROUGHNESS
    return Shaped(
        spot=_by_surface(patch, spot, grown, surface, background, slices) if smooth else spot,
        smooth=smooth,
        free=surface.free_share,
        roundness=surface.roundness,
        holder=surface.holder_share(grown.bright, patch.mm),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Grown:
    """The outline of a spot in its patch, and all that is as bright around it."""

    mask: Mask
    bright: Mask
    core_hu: float
    severed: bool


def _by_surface(patch: Patch, spot: Spot, grown: _Grown, surface: Surface, background: float, slices: int) -> Spot:
    """The spot with the size, density and centre of its surface, what was judged of it unchanged."""
    share = _share(patch, grown, background)
    mask = surface.trimmed(grown.mask & patch.inside, patch.mm)
    whole = surface.completed(mask, (share > _HALF) & patch.inside, patch.mm)
    number, ends = axes(patch, whole, background, grown.core_hu, slices)
    if not ends:
        return spot
    centre = patch.to_volume(surface.centre)
    return replace(
        spot,
        core_hu=background + (grown.core_hu - background) * surface.core_share,
        volume_mm3=surface.volume_mm3(share, mask, patch.mm),
        long_axis_mm=length_mm(patch, ends[:2]),
        short_axis_mm=length_mm(patch, ends[2:]),
        centre=(float(centre[0]), float(centre[1]), float(centre[2])),
        slice_number=number,
        axis_ends=ends,
    )


def _share(patch: Patch, grown: _Grown, background: float) -> NDArray[np.float32]:
    """Each voxel's density, 0 as the lung around, 1 as the spot's core."""
    share: NDArray[np.float32] = (patch.hu - np.float32(background)) / np.float32(grown.core_hu - background)
    return share


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
