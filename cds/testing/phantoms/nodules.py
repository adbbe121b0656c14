"""Spherical nodules of exactly known centre, size and density, and where to put them."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

from cds.testing.phantoms.thorax import SOFT_HU, Array, Thorax

_SUNK = (0.94, 0.985)
"""A ball sunk into a plane by a fifth of its radius has 97 % of its volume outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodule:
    """A sphere. `centre_mm` is (x, y, z) in LPS mm, `hu` its density before the scanner's blur."""

    centre_mm: tuple[float, float, float]
    diameter_mm: float
    hu: float = SOFT_HU

    @property
    def volume_mm3(self) -> float:
        """The exact volume of the sphere."""
        return pi / 6 * self.diameter_mm**3


def volume_in_lung_mm3(nodule: Nodule, thorax: Thorax, samples: int = 61) -> float:
    """The part of the sphere that lies inside the lungs, by sampling (`samples` per axis).

    Of a nodule that `place` gave this is what is drawn: beyond the pleura it is the wall's own tissue, and it
    overlaps no bone.
    """
    axis = (np.arange(samples) + 0.5) / samples * 2 - 1
    u = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    u = u[(u**2).sum(1) <= 1] * nodule.diameter_mm / 2 + np.array(nodule.centre_mm)
    x, y, z = (u[:, i].astype(np.float32) for i in range(3))
    return nodule.volume_mm3 * float((thorax.lung_mm(x, y, z) < 0).mean())


def place(thorax: Thorax, diameter_mm: float, kind: str, rng: np.random.Generator, hu: float = SOFT_HU) -> Nodule:
    """Put a nodule at random where it is ``"solitary"``, ``"juxta_pleural"`` or ``"juxta_vascular"``.

    A solitary one keeps 3 mm away from pleura and vessels; a juxta-pleural one is sunk into the
    chest wall by a fifth of its radius; a juxta-vascular one touches a vessel thinner than itself.
    None overlaps bone, though ribs reach into the lungs in places.

    Raises
    ------
    ValueError
        When 20 000 tries found no such place.
    """
    r = diameter_mm / 2
    bones = _Bones.of(thorax)
    vessel = np.concatenate([tube.points for tube in thorax.tubes if tube.kind == "vessel"])
    radii = np.concatenate([tube.radii for tube in thorax.tubes if tube.kind == "vessel"])
    for _ in range(20_000):
        centre, gap = _candidate(thorax, kind, r, vessel, radii, rng)
        depth = -float(thorax.lung_mm(*(np.array([v], np.float32) for v in centre))[0])
        to_vessel = float((np.linalg.norm(vessel - centre, axis=1) - radii).min()) - r
        wanted = {
            "solitary": depth > r + 3 and to_vessel > 3,
            "juxta_pleural": _touches_the_wall(thorax, centre, depth, r) and to_vessel > 2,
            "juxta_vascular": depth > r + 3 and to_vessel > -0.2 * r - 0.2 and gap,
        }[kind]
        if wanted and bones.distance_mm(centre) > r:
            return Nodule(
                centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])), diameter_mm=diameter_mm, hu=hu
            )
    raise ValueError(f"no place for a {kind} nodule of {diameter_mm} mm in this thorax")


@dataclass(frozen=True, slots=True, eq=False)
class _Bones:
    """All pieces of ribs, clavicles and sternum: ends of shape (n, 3) in mm, radii of shape (n,)."""

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    radius: NDArray[np.float64]

    @classmethod
    def of(cls, thorax: Thorax) -> _Bones:
        tubes = [tube for tube in thorax.tubes if tube.kind == "bone"]
        return cls(
            np.concatenate([tube.points[:-1] for tube in tubes]),
            np.concatenate([tube.points[1:] for tube in tubes]),
            np.concatenate([tube.radii[:-1] for tube in tubes]),
        )

    def distance_mm(self, point: NDArray[np.float64]) -> float:
        """How far a point is from the nearest bone's surface, negative inside."""
        along = self.end - self.start
        part = ((point - self.start) * along).sum(1) / (along**2).sum(1)
        nearest = self.start + np.clip(part, 0, 1)[:, None] * along
        return float((np.linalg.norm(point - nearest, axis=1) - self.radius).min())


def _candidate(
    thorax: Thorax,
    kind: str,
    r: float,
    vessel: NDArray[np.float64],
    radii: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], bool]:
    if kind != "juxta_vascular":
        low, high = thorax.extent_mm
        half = thorax.width_mm / 2
        return rng.uniform([-half, -half, low + r], [half, half, high - r]), True
    index = int(rng.integers(len(vessel)))
    direction = rng.normal(0, 1, 3)
    centre = vessel[index] + direction / np.linalg.norm(direction) * (radii[index] + r)
    return centre, bool(radii[index] < 0.6 * r)


def _touches_the_wall(thorax: Thorax, centre: NDArray[np.float64], depth: float, r: float) -> bool:
    """Whether it is sunk a little into the outer chest wall, and not into mediastinum, heart or diaphragm."""
    if not 0.4 * r < depth < 0.95 * r:
        return False
    if abs(centre[0]) < 55 * thorax.scale or abs(centre[2]) > 70 * thorax.scale:
        return False
    x, y, z = (float(value) for value in centre)
    share = volume_in_lung_mm3(Nodule(centre_mm=(x, y, z), diameter_mm=2 * r), thorax, samples=25) / (4 / 3 * pi * r**3)
    return _SUNK[0] < share < _SUNK[1]


def blend(hu: Array, nodule: Nodule, origin_mm: NDArray[np.float64], spacing_mm: NDArray[np.float64]) -> None:
    """Draw a nodule into `hu` of shape (slices, rows, columns), in place, by its share of each voxel.

    `origin_mm` is the centre of voxel 0 and `spacing_mm` the voxel's size, both as (z, y, x). A
    voxel that the surface crosses is sampled at 7 x 7 x 7 points.
    """
    centre = (np.array(nodule.centre_mm[::-1]) - origin_mm) / spacing_mm
    reach = nodule.diameter_mm / 2 / spacing_mm + 1
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.minimum(np.ceil(centre + reach) + 1, hu.shape).astype(int)
    if (high <= low).any():
        return
    axes = [(np.arange(a, b) - c) * s for a, b, c, s in zip(low, high, centre, spacing_mm, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    distance = np.sqrt((grid**2).sum(-1)) - nodule.diameter_mm / 2
    share = (distance < 0).astype(np.float32)
    crossed = np.abs(distance) < np.linalg.norm(spacing_mm) / 2
    offsets = (np.arange(7) - 3) / 7
    sub = np.stack(np.meshgrid(*(offsets * s for s in spacing_mm), indexing="ij"), -1).reshape(-1, 3)
    points = grid[crossed][:, None, :] + sub
    share[crossed] = ((points**2).sum(-1) < (nodule.diameter_mm / 2) ** 2).mean(1)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    inside = hu[box]
    inside += (np.maximum(nodule.hu, inside) - inside) * share
