"""The wall of the lung behind a nodule that is attached to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cds.features.ct.lungs import Mask
from cds.features.ct.patch import Patch, Vector
from cds.features.ct.surface import DIRECTIONS, Surface, along

_BONE_HU: Final = 200.0
"""Denser than soft tissue; half way from it to cortical bone."""
_AROUND_MM: Final = 1.2
"""So far beside the nodule, blur has taken its edge off the wall."""
_REACH_MM: Final = 6.0
"""Over as much beyond the nodule, the chest wall is a bent plane."""
_GRID_MM: Final = 0.6
_STEP_MM: Final = 0.3
_BEHIND_MM: Final = 2.5
"""Bone as near behind the wall is a rib that bulges into the lung: not the wall's plane."""
_MIN_POINTS: Final = 30
_MIN_RAYS: Final = 8
_NEAR_MM: Final = 1.0
_MOVED_MM: Final = 3.0
"""The surface moves the wall that was found before inwards, or out behind the free wall, by less than that."""
_MAX_ROUGHNESS_MM: Final = 0.17
"""Median distance of the wall's points from the surface: a smooth wall lies within half of it."""


def without_bone(patch: Patch) -> Patch:
    """Take bone that reaches into the lung for wall; a calcified nodule, which hangs on no bone outside, is none."""
    labels, _ = ndimage.label(patch.hu > _BONE_HU)
    outside = np.unique(labels[~patch.inside])
    return replace(patch, inside=patch.inside & ~np.isin(labels, outside[outside > 0]))


def with_smooth_wall(patch: Patch, surface: Surface, half_hu: float) -> Patch:
    """Carry the wall of the lung on behind a nodule, as a bent plane through the free wall around it.

    The patch stays as it is where the wall around is no bent plane, or too little of it is free.

    Parameters
    ----------
    surface
        Of the nodule, in the patch's voxels.
    half_hu
        Half way between lung and tissue.
    """
    towards = _direction(surface)
    if towards is None:
        return patch
    axes = _frame(towards)
    radius = float(surface.radius_mm.mean())
    terms = _bent_plane(_wall_points(patch, surface.centre, axes, radius, half_hu))
    if terms is None:
        return patch
    return without_bone(replace(patch, inside=_lung_side(patch, surface.centre, axes, terms, radius)))


def _direction(surface: Surface) -> Vector | None:
    """The mean direction in which the nodule meets the wall."""
    walled = surface.wall_mm < surface.radius_mm + _NEAR_MM
    mean = DIRECTIONS[walled].sum(0)
    length = float(np.linalg.norm(mean))
    return mean / length if walled.sum() >= _MIN_RAYS and length > 0 else None


def _frame(towards: Vector) -> Vector:
    """Rows: two unit vectors along the wall, and the one towards it."""
    first = np.cross(towards, np.eye(3)[int(np.abs(towards).argmin())])
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(towards, first), towards])


def _wall_points(patch: Patch, centre: Vector, axes: Vector, radius: float, half_hu: float) -> Vector:
    """Points (mm along the axes, from the centre) where air turns to wall, in a ring around the nodule."""
    far = radius + _REACH_MM
    grid = np.arange(-far, far + _GRID_MM / 2, _GRID_MM)
    u, v = (part.ravel() for part in np.meshgrid(grid, grid))
    ring = (np.hypot(u, v) > radius + _AROUND_MM) & (np.hypot(u, v) < far)
    u, v = u[ring], v[ring]
    height = np.arange(-radius, radius + _REACH_MM, _STEP_MM)
    flat = np.stack([u, v], 1) @ axes[:2]
    points = centre + (flat[:, None] + height[:, None] * axes[2]) / patch.mm
    within = np.all((points >= 0) & (points <= np.array(patch.hu.shape) - 1), axis=2)
    hu = np.where(within, along(patch.hu, np.moveaxis(points, -1, 0)), np.nan)
    step, crosses = _crossing(hu, half_hu)
    line = np.arange(len(u))
    before, after = hu[line, step - 1], hu[line, step]
    found = np.asarray(crosses & np.isfinite(before) & ~_bone_behind(hu, step), bool)
    rise = (half_hu - before[found]) / (after[found] - before[found])
    return np.stack([u[found], v[found], height[step[found] - 1] + rise * _STEP_MM], 1)


def _crossing(hu: NDArray[np.float64], half_hu: float) -> tuple[NDArray[np.integer], Mask]:
    """The first step at which each line comes from air into tissue, and whether it does."""
    air = hu < half_hu
    after_air = np.arange(hu.shape[1]) > air.argmax(1)[:, None]
    into = np.asarray((hu >= half_hu) & after_air & air.any(axis=1, keepdims=True))
    crosses: Mask = into.max(axis=1)
    return np.where(crosses, into.argmax(1), 1), crosses


def _bone_behind(hu: NDArray[np.float64], step: NDArray[np.integer]) -> Mask:
    behind = np.arange(hu.shape[1]) - step[:, None]
    near = (behind >= 0) & (behind < int(_BEHIND_MM / _STEP_MM))
    return np.asarray(((hu > _BONE_HU) & near).any(1))


def _quadric(u: Vector, v: Vector) -> Vector:
    return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], -1)


def _bent_plane(points: Vector) -> Vector | None:
    """Terms of the height over the plane, ribs and vessels left out as outliers (Tukey's biweight)."""
    if len(points) < _MIN_POINTS:
        return None
    basis, height = _quadric(points[:, 0], points[:, 1]), points[:, 2]
    weight = np.ones(len(height))
    for _ in range(15):
        root = np.sqrt(weight)
        terms = np.asarray(np.linalg.lstsq(basis * root[:, None], height * root, rcond=None)[0], float)
        off = np.abs(height - basis @ terms)
        roughness = float(np.median(off))
        weight = np.clip(1 - (off / max(4.5 * roughness, 0.3)) ** 2, 0, 1) ** 2 + 1e-6
    return terms if roughness <= _MAX_ROUGHNESS_MM else None


def _lung_side(patch: Patch, centre: Vector, axes: Vector, terms: Vector, radius: float) -> Mask:
    """The patch's `inside`, with the surface for its border in the nodule's shadow.

    Between the nodule's middle and that border there is nothing but the nodule. The wall that was found before
    sinks into the mouth of a large one far deeper than a small correction: the ball that closed the lung is
    hardly wider than itself.
    """
    at = np.moveaxis(np.indices(patch.hu.shape, dtype=np.float32), 0, -1)
    u, v, height = np.moveaxis((at - centre) * patch.mm @ axes.T, -1, 0)
    above = height - _quadric(u, v) @ terms
    own = (height > 0) & (above <= 0)
    shadow = (np.hypot(u, v) <= radius + _AROUND_MM) & (own | (np.abs(above) <= _MOVED_MM))
    return np.asarray(np.where(shadow, above <= 0, patch.inside))
