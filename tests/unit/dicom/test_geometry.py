from __future__ import annotations

import numpy as np
import pytest

from cds.dicom.geometry import Plane, stack
from cds.errors import EvidenceError

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def planes(heights: list[float], **changes: object) -> list[Plane]:
    values: dict[str, object] = {"orientation": AXIAL, "spacing_mm": (0.7, 0.8), "shape": (4, 5)} | changes
    return [Plane(position=(-10.0, -20.0, height), **values) for height in heights]  # type: ignore[arg-type]


def test_slices_are_ordered_by_position_along_the_normal() -> None:
    found = stack(planes([4.0, -2.0, 0.0, 2.0]))
    assert found.order == (1, 2, 3, 0)
    assert found.spacing_mm == (2.0, 0.7, 0.8)


def test_the_affine_puts_each_voxel_where_dicom_does() -> None:
    """PS3.3 equation C.7.6.2.1-1: position + row direction * column * spacing + column direction * row * spacing."""
    turn = np.radians(10)
    rows = np.array([np.cos(turn), np.sin(turn), 0.0])
    columns = np.array([0.0, 0.0, -1.0])
    normal = np.cross(rows, columns)
    parts = [
        Plane(
            position=tuple(np.array([1.0, 2.0, 3.0]) + 1.5 * k * normal),
            orientation=(*rows, *columns),
            spacing_mm=(0.5, 0.6),
            shape=(8, 9),
        )
        for k in range(3)
    ]
    at = stack(parts).affine @ [2, 4, 5, 1]
    expected = np.array([1.0, 2.0, 3.0]) + 3.0 * normal + rows * 5 * 0.6 + columns * 4 * 0.5
    assert at[:3] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("heights", "reason"),
    [
        ([0.0], "at least two slices"),
        ([0.0, 1.0, 1.0, 2.0], "1 slices lie at the position of another"),
        ([0.0, 1.0, 2.0, 4.0, 5.0], "1 slices are missing"),
        ([0.0, 1.0, 2.0, 3.3, 4.3], "unevenly spaced"),
    ],
)
def test_slices_that_are_no_volume_are_refused_with_the_reason(heights: list[float], reason: str) -> None:
    with pytest.raises(EvidenceError, match=reason):
        stack(planes(heights))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"shape": (4, 6)}, "differ in rows"),
        ({"spacing_mm": (0.7, 0.9)}, "differ in Pixel Spacing"),
        ({"orientation": (0.0, 1.0, 0.0, 1.0, 0.0, 0.0)}, "differ in orientation"),
    ],
)
def test_mixed_slices_are_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(EvidenceError, match=reason):
        stack([*planes([0.0, 1.0]), *planes([2.0], **change)])


def test_a_stack_that_a_tilted_gantry_sheared_is_refused() -> None:
    sheared = [
        Plane(position=(0.0, 0.3 * k, 1.0 * k), orientation=AXIAL, spacing_mm=(1.0, 1.0), shape=(2, 2))
        for k in range(4)
    ]
    with pytest.raises(EvidenceError, match=r"sheared by 16\.7 degrees"):
        stack(sheared)


def test_an_orientation_that_is_none_is_refused() -> None:
    with pytest.raises(EvidenceError, match="no valid geometry"):
        stack(planes([0.0, 1.0], orientation=(1.0, 0.0, 0.0, 1.0, 0.0, 0.0)))
