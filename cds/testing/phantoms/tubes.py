"""Tubes through space: ribs, clavicles, airways and a random tree of lung vessels (adult mm, LPS)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Depth = Callable[[NDArray[np.float64]], float]
Taper = Callable[[NDArray[np.float32]], NDArray[np.float32]]

BONE_HU: Final = 420.0
_GENERATIONS: Final = 7
_MIN_RADIUS_MM: Final = 0.7
_EDGE_MM: Final = 4.0
"""Vessels stop this far from the pleura, as those that CT shows do."""


@dataclass(frozen=True, slots=True)
class Tube:
    """A polyline of shape (n, 3) in mm with one radius per point, shape (n,), and a density."""

    points: Points
    radii: NDArray[np.float64]
    hu: float
    kind: str

    def scaled(self, scale: float) -> Tube:
        """The same tube in a smaller or larger chest."""
        return Tube(self.points * scale, self.radii * scale, self.hu, self.kind)


def bones(taper: Taper) -> Iterator[Tube]:
    """Ribs 1 to 12 of both sides, clavicles and the sternum."""
    for side in (-1, 1):
        for number in range(12):
            yield _rib(number, side, taper)
        t = np.linspace(0, 1, 40)
        clavicle = np.stack([side * (14 + 125 * t), -62 + 25 * t, 118 + 14 * t + 6 * np.sin(np.pi * 2 * t)], 1)
        yield Tube(clavicle, np.full(40, 5.0), BONE_HU, "bone")
    z = np.linspace(-40, 100, 50)
    sternum = np.stack([0 * z, -82 - 12 * np.exp(-(((z + 40) / 80) ** 2)), z], 1)
    yield Tube(sternum, np.full(50, 6.0), 200.0, "bone")


def _rib(number: int, side: int, taper: Taper) -> Tube:
    """From the spine round to the front; the front end lies lower."""
    reach = 1.0 if number < 7 else 1.0 - 0.13 * (number - 6)
    t = np.linspace(0.0, reach, 120)
    back = 118 - 20.5 * number
    z = back + 6 * np.sin(np.pi * t) - (30 + 3 * min(number, 8)) * t
    width = np.maximum(taper(z.astype(np.float32)), 0.22)
    angle = np.pi / 2 - np.pi * 0.93 * t
    around = np.stack(
        [side * (142 * width) * np.cos(angle) + side * 14 * (1 - t) ** 6, (90 * width) * np.sin(angle)], 1
    )
    points = np.concatenate([around, z[:, None]], 1)
    return Tube(points, np.full(120, 4.2), BONE_HU, "bone")


def airways() -> Iterator[Tube]:
    """Trachea and main bronchi, full of air."""
    t = np.linspace(0, 1, 60)
    yield Tube(np.stack([0 * t, 8 + 6 * t, 150 - 110 * t], 1), np.full(60, 9.0), -990.0, "airway")
    for side, slope in ((-1, 22), (1, 14)):
        bronchus = np.stack([side * 38 * t, 14 + 2 * t, 40 - slope * t], 1)
        yield Tube(bronchus, np.full(60, 6.5), -990.0, "airway")


def vessels(rng: np.random.Generator, hu: float, depth: Depth) -> Iterator[Tube]:
    """A branching tree for each lung, from the hilum until it is thin or near the pleura."""
    for side in (-1.0, 1.0):
        hilum = np.array([side * 30.0, 8.0, 8.0])
        for angle in np.linspace(0, 2 * np.pi, 7)[:-1]:
            direction = np.array([side * 0.75, 0.75 * np.cos(angle), np.sin(angle)])
            direction += rng.normal(0, 0.12, 3)
            yield from _branch(rng, hilum, direction / np.linalg.norm(direction), 5.0, 0, hu, depth)


def _branch(
    rng: np.random.Generator, start: Points, direction: Points, radius: float, generation: int, hu: float, depth: Depth
) -> Iterator[Tube]:
    points, heading = [start], direction
    steps = 4
    length = 34.0 * 0.84**generation * rng.uniform(0.8, 1.2) / steps
    for _ in range(steps):
        heading = heading + rng.normal(0, 0.08, 3)
        heading /= np.linalg.norm(heading)
        ahead = points[-1] + heading * length
        if generation > 0 and depth(ahead) < _EDGE_MM:
            break
        points.append(ahead)
    if len(points) > 1:
        thin = radius * np.linspace(1, 0.88, len(points))
        yield Tube(np.array(points), thin, hu, "vessel")
    if generation + 1 < _GENERATIONS and radius * 0.76 > _MIN_RADIUS_MM and len(points) == steps + 1:
        for child in _forks(rng, heading):
            yield from _branch(rng, points[-1], child, radius * 0.76, generation + 1, hu, depth)


def _forks(rng: np.random.Generator, heading: Points) -> Iterator[Points]:
    """Two directions, each turned away from `heading` by 25 to 45 degrees, in a random plane."""
    across = np.cross(heading, rng.normal(0, 1, 3))
    across /= np.linalg.norm(across)
    for sign in (-1, 1):
        angle = np.radians(rng.uniform(25, 45))
        yield np.cos(angle) * heading + sign * np.sin(angle) * across
