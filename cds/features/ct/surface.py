"""The surface of a spot, seen from its middle: where it is free, and what it must be where it is not.

A nodule's edge against air is sharp; against a vessel or the pleura of the same density there is
none. So its shape is read off where it is free, and carried on behind what it hangs on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cds.features.ct.lungs import Mask
from cds.features.ct.patch import Vector

Image = NDArray[np.float32]

_RAYS: Final = 400
_STEP_MM: Final = 0.3
_NEIGHBOUR: Final = float(np.cos(0.21))
"""Neighbouring rays of 400 stand about 0.18 rad apart."""
_BEYOND_MM: Final = 1.0
"""So far outside the half-value outline, blur has taken a free edge down to a tenth."""
_STILL_DENSE: Final = 0.4
_SHADE_MM: Final = 0.8
"""So far beside an attachment, its blurred edge still lies on the nodule's."""
_BULGE: Final = 0.15
_BULGE_MM: Final = 0.3
"""A ray that is longer than the surface by as much, and beside an attachment, runs into its root."""
_EDGE_MM: Final = 1.8
"""How far beyond the half-value outline the scanner's blur carries a nodule's density (three sigma)."""
_VALLEY_MM: Final = 2.2
_MAX_VALLEY: Final = 0.15
"""Where a ray never comes down to lung, something else lies close."""
_FLATTENING: Final = 0.05
"""Penalty on being no ball, per ray: free rays outweigh it as soon as they are a tenth of all."""
_OUTLIER_WEIGHT: Final = 0.1
_CORE_SHARES: Final = (0.5, 0.75)
_MIN_CORE_VOXELS: Final = 5
_OFF_WALL_MM: Final = 0.9
"""So far from a rib its blurred edge adds nothing to the density of the nodule."""
_BRIGHTEST: Final = 1.2
_MIN_FREE: Final = 0.2
_HOLDER_MM: Final = (0.8, 2.5)
"""Between these distances from the surface, what it hangs on is no longer itself, and still the same vessel."""
_ROUNDS: Final = 3
_CENTRED_MM: Final = 0.1
"""The first guess of the centre, pulled towards attachments, is moved until the surface lies around it."""


def _directions() -> Vector:
    """Unit vectors (slice, row, column), evenly over the sphere (a Fibonacci lattice)."""
    number = np.arange(_RAYS) + 0.5
    height = 1 - 2 * number / _RAYS
    turn = pi * (1 + 5**0.5) * number
    across = np.sqrt(1 - height**2)
    return np.stack([height, across * np.cos(turn), across * np.sin(turn)], 1)


DIRECTIONS: Final = _directions()
_COSINES: Final = DIRECTIONS @ DIRECTIONS.T
_SOLID_ANGLE: Final = 4 * pi / _RAYS


def _harmonics() -> Vector:
    """Surface harmonics to the second order: a ball, moved a little, and stretched to an ellipsoid."""
    z, y, x = DIRECTIONS.T
    return np.stack([np.ones(_RAYS), z, y, x, x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1], 1)


_BASIS: Final = _harmonics()
_PENALTY: Final = np.diag([0.0] * 4 + [_FLATTENING * _RAYS] * 5) + 1e-6 * np.eye(9)


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """The surface along each of `DIRECTIONS`, distances in mm from `centre`.

    Attributes
    ----------
    centre
        Index (slice, row, column) in the patch.
    radius_mm
        Of the smooth surface through the free part of the outline.
    free
        Where it meets nothing but lung.
    wall_mm
        How far the wall of the lung is, infinite where there is none.
    end_mm
        Where the blurred edge ends: at the darkest point beyond the outline.
    core_share
        The density within the inner half of the radius, over that which was assumed.
    roughness
        How far the free outline lies from the smooth surface (root mean square), as a share of the mean radius.
    """

    centre: Vector
    radius_mm: Vector
    free: Mask
    wall_mm: Vector
    end_mm: Vector
    core_share: float
    roughness: float

    @property
    def roundness(self) -> float:
        """Shortest over longest radius, 1 for a ball."""
        return float(self.radius_mm.min() / self.radius_mm.max())

    @property
    def free_share(self) -> float:
        """The share of all directions in which it is free, 0..1."""
        return float(self.free.mean())

    def before(self, inside: Mask, share: Image, mask: Mask, mm: float) -> Surface:
        """The same surface, before another wall of the lungs; its core measured away from that."""
        longest = 2 * float(self.radius_mm.max()) + _STEP_MM
        off_wall = ndimage.distance_transform_edt(inside, sampling=mm) > _OFF_WALL_MM
        core = _core_share(share, mask & off_wall, self.centre, float(self.radius_mm.mean()), mm)
        return replace(self, wall_mm=_wall(inside, _points(self.centre, longest, mm)), core_share=core)

    def trimmed(self, mask: Mask, mm: float) -> Mask:
        """The outline without what reaches beyond the surface where it is not free, and what hangs on that."""
        at = np.argwhere(mask)
        distance, ray = self._seen(at, mm)
        outside = at[~self.free[ray] & (distance > self.radius_mm[ray] + mm / 2)]
        kept = mask.copy()
        kept[tuple(outside.T)] = False
        labels, _ = ndimage.label(kept)
        own = labels[tuple(np.round(self.centre).astype(int))]
        return np.asarray(labels == own) if own else kept

    def completed(self, mask: Mask, dense: Mask, mm: float) -> Mask:
        """The outline, and what of the `dense` lies before surface and wall where it is not free.

        Half a voxel before them: between two dense voxels an outline is read as far as the outer one.
        """
        at = np.argwhere(dense & ~mask)
        distance, ray = self._seen(at, mm)
        end = np.minimum(self.radius_mm, self.wall_mm)[ray] - mm / 2
        hidden = at[~self.free[ray] & (distance <= end)]
        whole = mask.copy()
        whole[tuple(hidden.T)] = True
        return whole

    def volume_mm3(self, share: Image, mask: Mask, mm: float) -> float:
        """Sum the density where the spot is free; elsewhere the smooth surface, as far as the wall.

        Blur moves density and keeps its sum, so the sum is exact where nothing else is near. It
        also says by how much the half-value outline, pulled in by blur, is too small.

        Parameters
        ----------
        share
            Each voxel's density, 0 as the lung around, 1 as the core.
        mask
            The outline.
        """
        reach = ndimage.distance_transform_edt(~mask, sampling=mm) <= _EDGE_MM
        distance, ray = self._seen(np.argwhere(reach), mm)
        own = self.free[ray] & (mask[reach] | (distance <= self.end_mm[ray] + mm / 4))
        density = share[reach] / self.core_share
        density = np.where(mask[reach], np.clip(density, 0, _BRIGHTEST), density)
        seen = float(density[own].sum()) * mm**3
        cone = self.radius_mm**3 / 3 * _SOLID_ANGLE
        growth = seen / float(cone[self.free].sum())
        hidden = np.minimum(growth ** (1 / 3) * self.radius_mm, self.wall_mm)[~self.free]
        return seen + float((hidden**3 / 3).sum()) * _SOLID_ANGLE

    def holder_share(self, bright: Mask, mm: float) -> float:
        """How thick the thickest thing is that it hangs on, 1 for as thick as itself, 0 for none.

        Parameters
        ----------
        bright
            The spot, and all that is as dense around it.
        """
        depth = ndimage.distance_transform_edt(bright, sampling=mm)[bright]
        distance, ray = self._seen(np.argwhere(bright), mm)
        radius = float(self.radius_mm.mean())
        beyond = distance - self.radius_mm[ray]
        holder = ~self.free[ray] & (beyond > _HOLDER_MM[0]) & (beyond < _HOLDER_MM[1])
        own = float(depth[distance < radius / 2].max(initial=mm))
        return float(depth[holder].max(initial=0.0)) / own

    def _seen(self, index: NDArray[np.integer], mm: float) -> tuple[Vector, NDArray[np.integer]]:
        """Distance from the centre and nearest ray of each voxel."""
        away = (index - self.centre) * mm
        return np.linalg.norm(away, axis=1), np.argmax(away @ DIRECTIONS.T, axis=1)


def find_surface(share: Image, mask: Mask, inside: Mask, mm: float) -> Surface | None:
    """Find the surface of the spot `mask`; None where too little of it is free to tell its shape.

    Parameters
    ----------
    share
        Each voxel's density, 0 as the lung around, 1 as the core.
    mask, inside
        The outline, and the lungs without their walls.
    """
    centre = np.argwhere(mask).mean(0)
    for round_ in range(_ROUNDS):
        rays = _cast(share, mask, inside, centre, mm)
        touching, free = _contacts(rays)
        if free.mean() < _MIN_FREE:
            return None
        terms = _fit(rays.leave, free)
        shift = float(np.linalg.norm(terms[1:4]))
        if shift < _CENTRED_MM or round_ == _ROUNDS - 1:
            break
        centre = centre + terms[1:4] * min(1.0, 0.5 * rays.size / shift) / mm
    radius = np.maximum(_BASIS @ terms, _STEP_MM)
    end, valley = rays.valley()
    free = _unshaded(_with_roots(touching, rays.leave - radius, rays.size), rays.size) & (valley <= _MAX_VALLEY)
    if free.mean() < _MIN_FREE:
        return None
    radius = np.maximum(_BASIS @ _fit(rays.leave, free), _STEP_MM)
    off = (rays.leave - radius)[free]
    return Surface(
        centre=centre,
        radius_mm=radius,
        free=free,
        wall_mm=rays.wall,
        end_mm=end,
        core_share=_core_share(share, mask, centre, float(radius.mean()), mm),
        roughness=float(np.sqrt((off**2).mean()) / radius.mean()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Rays:
    """What lies along each ray: densities every `_STEP_MM`, where it leaves the outline, where it meets the wall.

    It leaves the outline where its density comes down to half, unless voxels were cut off there.
    """

    density: Image
    leave: Vector
    wall: Vector

    @property
    def size(self) -> float:
        """The usual distance of the outline in mm."""
        return max(float(np.median(self.leave)), 1.0)

    def beyond(self) -> Image:
        """The density a little outside the outline."""
        step = np.minimum(np.round((self.leave + _BEYOND_MM) / _STEP_MM).astype(int), self.density.shape[1] - 1)
        return np.take_along_axis(self.density, step[:, None], 1)[:, 0]

    def valley(self) -> tuple[Vector, Image]:
        """Where the ray is darkest in reach of its blurred edge, and how dense it is there."""
        at = np.arange(self.density.shape[1]) * _STEP_MM
        near = (at >= self.leave[:, None]) & (at <= self.leave[:, None] + _VALLEY_MM)
        density = np.where(near, self.density, np.inf)
        return density.argmin(1) * _STEP_MM, np.min(density, axis=1)


def _cast(share: Image, mask: Mask, inside: Mask, centre: Vector, mm: float) -> _Rays:
    longest = 2 * (3 * float(mask.sum()) / 4 / pi) ** (1 / 3) * mm + 3
    points = _points(centre, longest, mm)
    density = along(share, points)
    leave, _ = _first_below_half(along(mask.astype(np.float32), points))
    half, _ = _first_below_half(density)
    exact = np.abs(half - leave) <= 2 * mm
    return _Rays(density, np.where(exact, half, leave), _wall(inside, points))


def _points(centre: Vector, longest_mm: float, mm: float) -> Vector:
    """Points every `_STEP_MM` along each ray, shape (3, rays, steps)."""
    at = np.arange(0, longest_mm, _STEP_MM) / mm
    return np.moveaxis(centre + DIRECTIONS[:, None] * at[:, None], -1, 0)


def _wall(inside: Mask, points: Vector) -> Vector:
    distance, meets = _first_below_half(along(inside.astype(np.float32), points))
    return np.where(meets, distance, np.inf)


def along(image: Image, points: Vector) -> Image:
    """The image at points of shape (3, ...), by linear interpolation; beyond its border the border's value."""
    values: Image = ndimage.map_coordinates(image, points, order=1, mode="nearest")
    return values


def _first_below_half(profiles: Image) -> tuple[Vector, Mask]:
    """The distance at which each profile first comes below 0.5, and whether it does."""
    low = profiles < 0.5
    meets = np.any(low, axis=1)
    step = np.maximum(np.where(meets, low.argmax(1), profiles.shape[1] - 1), 1)
    ray = np.arange(len(profiles))
    before, after = profiles[ray, step - 1], profiles[ray, step]
    fraction = np.where(before > after, (before - 0.5) / np.where(before > after, before - after, 1), 0)
    return (step - 1 + np.clip(fraction, 0, 1)) * _STEP_MM, meets


def _contacts(rays: _Rays) -> tuple[Mask, Mask]:
    """Where it goes on beyond its outline, or meets the wall; and what is free of that and its shade."""
    touching = (rays.beyond() > _STILL_DENSE) | (rays.wall < rays.leave + _BEYOND_MM)
    return touching, _unshaded(touching, rays.size)


def _unshaded(touching: Mask, size_mm: float) -> Mask:
    return ~_near(touching, float(np.cos(min(_SHADE_MM / size_mm, 1.0))))


def _near(rays: Mask, cosine: float) -> Mask:
    return np.asarray((_COSINES[:, rays] > cosine).any(1))


def _with_roots(touching: Mask, bulge_mm: Vector, size_mm: float) -> Mask:
    """Attachments with their roots: where beside them the outline bulges out of the surface."""
    bulging = bulge_mm > max(_BULGE * size_mm, _BULGE_MM)
    while True:
        root = bulging & ~touching & _near(touching, _NEIGHBOUR)
        if not root.any():
            return touching
        touching = touching | root


def _fit(length_mm: Vector, free: Mask) -> Vector:
    """Terms of the smooth surface through the free rays; ones that are much longer hardly count."""
    scale = max(float(np.median(length_mm)), 1.0)
    weight = free.astype(float)
    for _ in range(8):
        weighted = (_BASIS * weight[:, None]).T
        terms = np.linalg.solve(weighted @ _BASIS + _PENALTY, weighted @ length_mm)
        off = (length_mm - _BASIS @ terms) / scale
        weight = free * np.minimum(1, _BULGE / np.maximum(np.abs(off), 1e-9))
        weight = np.where(off > _BULGE, _OUTLIER_WEIGHT * weight, weight)
    return terms


def _core_share(share: Image, mask: Mask, centre: Vector, radius_mm: float, mm: float) -> float:
    """The density near the centre, where blur has not reached; further out where none of the spot is there."""
    distance = np.linalg.norm((np.argwhere(mask) - centre) * mm, axis=1)
    for part in _CORE_SHARES:
        inner = distance <= part * radius_mm
        if inner.sum() >= _MIN_CORE_VOXELS:
            return float(np.median(share[mask][inner]))
    return 1.0
