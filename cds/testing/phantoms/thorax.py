"""The geometry of a simple thorax: organs as signed distances, bones and vessels as tubes.

Everything is our own and made of formulas. Coordinates are DICOM's LPS in mm (x to the patient's
left, y to the back, z to the head), the origin in the middle of the chest; sizes are an adult's
times `scale`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cds.testing.phantoms.tubes import Tube, airways, bones, vessels

Array = NDArray[np.float32]

AIR_HU: Final = -1000.0
FAT_HU: Final = -100.0
SOFT_HU: Final = 40.0
LUNG_HU: Final = -860.0
VERTEBRA_HU: Final = 260.0
DISC_HU: Final = 90.0

_BODY = (165.0, 110.0)
_CAVITY = (136.0, 84.0)
_ROUNDNESS: Final = 2.3
_SPINE = (70.0, 17.0)
_VERTEBRA_PITCH_MM: Final = 24.0
_SKIN_FAT_MM: Final = 13.0


@dataclass(frozen=True)
class Thorax:
    """One thorax; `heart` scales the heart (1 is normal), `contrast_hu` is added to blood.

    Methods take coordinates that broadcast against one another and give float32 arrays of mm
    (negative inside) or HU.
    """

    scale: float = 1.0
    seed: int = 0
    heart: float = 1.0
    contrast_hu: float = 0.0

    @property
    def extent_mm(self) -> tuple[float, float]:
        """The lowest and the highest z that hold lung."""
        return -118.0 * self.scale, 124.0 * self.scale

    @property
    def width_mm(self) -> float:
        """A field of view that holds the whole chest."""
        return 350.0 * self.scale

    @cached_property
    def tubes(self) -> tuple[Tube, ...]:
        """Ribs and other bones, airways, and the vessels of both lungs, in mm."""
        rng = np.random.default_rng([self.seed, 11])
        tree = vessels(rng, SOFT_HU + 10 + self.contrast_hu, self._inside_adult_lung)
        return tuple(tube.scaled(self.scale) for tube in (*bones(taper), *airways(), *tree))

    def body_mm(self, x: Array, y: Array, z: Array) -> Array:
        """Signed distance to the skin; shoulders narrow into the neck."""
        x, y, z = self._adult(x, y, z)
        neck = 1 - 0.55 / (1 + np.exp(-(z - 150) / 12))
        return _f32((_superellipse(x / (_BODY[0] * neck), y / (_BODY[1] * neck)) - 1) * 110 * self.scale)

    def heart_mm(self, x: Array, y: Array, z: Array) -> Array:
        """Signed distance to the heart, an ellipsoid left of the middle."""
        x, y, z = self._adult(x, y, z)
        h = self.heart
        q = (
            ((x - 24 - 18 * (h - 1)) / (62 * h)) ** 2
            + ((y + 25) / (47 * h**0.5)) ** 2
            + ((z + 52) / (58 * h**0.7)) ** 2
        )
        return _f32((np.sqrt(q) - 1) * 55 * self.scale)

    def lung_mm(self, x: Array, y: Array, z: Array) -> Array:
        """Signed distance to the pleura of either lung, negative inside the lungs."""
        ax, ay, az = self._adult(x, y, z)
        cavity = (_superellipse(ax / _CAVITY[0], ay / _CAVITY[1]) - taper(az)) * 84
        mediastinum = (18 + 14 * np.exp(-(((ay - 5) / 40) ** 2)) + 8 * np.exp(-(((az - 55) / 40) ** 2))) - np.abs(ax)
        spine = 34 - np.hypot(ax, ay - 78)
        dome = -112 + 46 * np.exp(-(((np.abs(ax) - 72) / 52) ** 2) - ((ay + 12) / 58) ** 2) + 8 * (ax < 0)
        outside = np.maximum(np.maximum(cavity, mediastinum), np.maximum(spine, (dome - az) * 0.8))
        return np.asarray(np.maximum(_f32(outside * self.scale), 1.5 * self.scale - self.heart_mm(x, y, z)))

    def hu(self, x: Array, y: Array, z: Array, softness_mm: float) -> Array:
        """Soft tissue, fat, air, lung and spine in HU, edges as wide as `softness_mm`; no tubes."""
        body = self.body_mm(x, y, z)
        tissue = FAT_HU + (SOFT_HU - FAT_HU) * cover(body + _SKIN_FAT_MM * self.scale, softness_mm)
        if self.contrast_hu:
            tissue = tissue + self.contrast_hu * cover(self.heart_mm(x, y, z) + 6 * self.scale, softness_mm)
        _, ay, az = self._adult(x, y, z)
        column = cover(_f32(np.hypot(x, y - _SPINE[0] * self.scale) - _SPINE[1] * self.scale), softness_mm)
        disc = np.abs((az / _VERTEBRA_PITCH_MM) % 1 - 0.5) > 0.39
        tissue = tissue + (np.where(disc, DISC_HU, VERTEBRA_HU) - SOFT_HU) * column
        lung = LUNG_HU + 0.35 * ay
        tissue = tissue + (lung - tissue) * cover(self.lung_mm(x, y, z), softness_mm)
        return _f32(AIR_HU + (tissue - AIR_HU) * cover(body, softness_mm))

    def _adult(self, x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
        return x / self.scale, y / self.scale, z / self.scale

    def _inside_adult_lung(self, point: NDArray[np.float64]) -> float:
        """How deep (mm, positive) an adult-sized point lies inside the lungs."""
        at = [np.array([value * self.scale], np.float32) for value in point]
        return -float(self.lung_mm(*at)[0]) / self.scale


def taper(z: Array) -> Array:
    """How wide the chest's cavity is at a height, 0 above the apex to 1 (adult z in mm)."""
    above = np.clip((z + 30) / 155, 0, 1)
    return np.asarray(np.sqrt(1 - above**2.4), np.float32)


def cover(distance_mm: Array, softness_mm: float) -> Array:
    """How much of a voxel lies inside a surface: 1 inside, 0 outside, a ramp between."""
    return np.asarray(np.clip(0.5 - distance_mm / np.float32(softness_mm), 0, 1), np.float32)


def _superellipse(u: NDArray[np.floating], v: NDArray[np.floating]) -> Array:
    return np.asarray((np.abs(u) ** _ROUNDNESS + np.abs(v) ** _ROUNDNESS) ** (1 / _ROUNDNESS), np.float32)


def _f32(values: NDArray[np.floating]) -> Array:
    return values.astype(np.float32, copy=False)
