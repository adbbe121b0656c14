"""Where slices lie in the patient: order, spacing, and the way from voxels to millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cds.errors import EvidenceError

Vector = NDArray[np.float64]

_SAME_MM: Final = 0.01
"""Positions closer than this are one position; scanners write them with 0.001 mm or finer."""
_UNEVEN: Final = 0.1
"""Slice distances may differ from their median by this share, or volumes would be wrong by as much."""
_MAX_SHEAR_DEGREES: Final = 1.0
_ORTHONORMAL: Final = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One slice in the patient (PS3.3 C.7.6.2).

    Attributes
    ----------
    position
        Image Position (Patient): x, y, z of the first voxel's centre, mm.
    orientation
        Image Orientation (Patient): the direction of rows, then that of columns.
    spacing_mm
        Pixel Spacing: between rows, between columns.
    shape
        Rows and columns.
    """

    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float, float, float]
    spacing_mm: tuple[float, float]
    shape: tuple[int, int]

    @property
    def normal(self) -> Vector:
        """Unit vector across the slice."""
        return np.cross(self.orientation[:3], self.orientation[3:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Parallel planes in even distances.

    Attributes
    ----------
    order
        Indices into the planes, along the normal.
    spacing_mm
        Voxel size as (slice, row, column).
    affine
        Shape (4, 4): (slice, row, column, 1) to (x, y, z, 1) in LPS mm.
    """

    order: tuple[int, ...]
    spacing_mm: tuple[float, float, float]
    affine: Vector


def stack(planes: Sequence[Plane]) -> Stack:
    """Order planes along their normal, never by Instance Number, and check that they are a volume.

    Raises
    ------
    EvidenceError
        When there are fewer than two; when size, pixel spacing or orientation differ; when two
        lie at one position; when slices are missing or uneven; when the stack is sheared by a
        tilted gantry.
    """
    if len(planes) < 2:
        raise EvidenceError(f"a volume needs at least two slices, there are {len(planes)}")
    first = planes[0]
    _check_alike(first, planes)
    positions = np.array([plane.position for plane in planes])
    along = positions @ first.normal
    order = np.argsort(along, kind="stable")
    distance = _even_distance(along[order])
    _check_upright(positions[order], first.normal)
    affine = np.eye(4)
    affine[:3, 0] = (positions[order[-1]] - positions[order[0]]) / (len(planes) - 1)
    affine[:3, 1] = np.array(first.orientation[3:]) * first.spacing_mm[0]
    affine[:3, 2] = np.array(first.orientation[:3]) * first.spacing_mm[1]
    affine[:3, 3] = positions[order[0]]
    return Stack(order=tuple(map(int, order)), spacing_mm=(distance, *first.spacing_mm), affine=affine)


def _check_alike(first: Plane, planes: Sequence[Plane]) -> None:
    rows, columns = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    lengths = np.array([rows @ rows - 1, columns @ columns - 1, rows @ columns])
    if np.abs(lengths).max() > _ORTHONORMAL or min(first.spacing_mm) <= 0:
        raise EvidenceError("Image Orientation (Patient) or Pixel Spacing is no valid geometry")
    if any(plane.shape != first.shape for plane in planes):
        raise EvidenceError("the slices differ in rows and columns")
    if any(not np.allclose(plane.spacing_mm, first.spacing_mm, rtol=1e-3) for plane in planes):
        raise EvidenceError("the slices differ in Pixel Spacing")
    if any(not np.allclose(plane.orientation, first.orientation, atol=1e-3) for plane in planes):
        raise EvidenceError("the slices differ in orientation")


def _even_distance(along: Vector) -> float:
    """The distance between neighbours along the normal, in mm."""
    steps = np.diff(along)
    twice = int((steps < _SAME_MM).sum())
    if twice:
        raise EvidenceError(f"{twice} slices lie at the position of another: more than one acquisition in the series")
    median = float(np.median(steps))
    uneven = np.abs(steps - median) > _UNEVEN * median
    if uneven.any():
        missing = int(np.maximum(np.round(steps / median) - 1, 0).sum())
        what = f"{missing} slices are missing" if missing else "the slices are unevenly spaced"
        raise EvidenceError(f"{what}: distances from {steps.min():.2f} to {steps.max():.2f} mm, median {median:.2f} mm")
    return float((along[-1] - along[0]) / len(steps))


def _check_upright(positions: Vector, normal: Vector) -> None:
    """The stack must grow along the normal; a tilted gantry shears it (Gantry/Detector Tilt, PS3.3 C.8.2.1)."""
    way = positions[-1] - positions[0]
    degrees = float(np.degrees(np.arccos(np.clip(way @ normal / np.linalg.norm(way), -1, 1))))
    if degrees > _MAX_SHEAR_DEGREES:
        raise EvidenceError(f"the stack is sheared by {degrees:.1f} degrees: a tilted gantry is not supported")
