"""Nodules on vessels and walls, drawn from formulas: the truth is the geometry's own volume."""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from cds.features.ct.measure import Shaped, Spot, measure, with_surface
from cds.features.ct.nodules import is_nodule
from cds.features.ct.patch import Patch, with_fine_wall
from cds.features.ct.surface import find_surface

Points = NDArray[np.float64]
Inside = Callable[[Points], NDArray[np.bool_]]

MM, SIDE, FINER = 0.6, 61, 3
LUNG_HU, TISSUE_HU, BONE_HU = -860.0, 40.0, 420.0
BLUR_MM = 0.7


def grid() -> Points:
    """The middles of voxels a third as large, in mm from the middle, shape (n, n, n, 3)."""
    axis = ((np.arange(SIDE * FINER) + 0.5) / FINER - SIDE / 2) * MM
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)


def patch_of(*parts: tuple[Inside, float], lung: Inside | None = None) -> Patch:
    """Draw the densest of the parts at each point, by its share of each voxel; then blur and noise."""
    points = grid()
    hu = np.full(points.shape[:3], LUNG_HU)
    for inside, density in parts:
        hu = np.where(inside(points), np.maximum(hu, density), hu)
    hu = hu.reshape(SIDE, FINER, SIDE, FINER, SIDE, FINER).mean((1, 3, 5))
    hu = ndimage.gaussian_filter(hu, BLUR_MM / MM) + np.random.default_rng(5).normal(0, 8, hu.shape)
    middles = points[FINER // 2 :: FINER, FINER // 2 :: FINER, FINER // 2 :: FINER]
    return Patch(
        hu=hu.astype(np.float32),
        inside=np.ones(hu.shape, bool) if lung is None else lung(middles),
        mm=MM,
        centre=np.full(3, SIDE // 2, float),
        spacing_mm=np.full(3, MM),
    )


def ball(radius: float, centre: tuple[float, float, float] = (0, 0, 0)) -> Inside:
    return lambda points: np.linalg.norm(points - np.array(centre), axis=-1) < radius


def tube(radius: float, start: tuple[float, float, float], towards: tuple[float, float, float]) -> Inside:
    """A tube that begins at `start`, round at that end."""
    axis = np.array(towards) / np.linalg.norm(towards)

    def inside(points: Points) -> NDArray[np.bool_]:
        away = points - np.array(start)
        along = np.maximum(away @ axis, 0)
        return np.asarray(np.linalg.norm(away - along[..., None] * axis, axis=-1) < radius)

    return inside


def wall(height: float) -> Inside:
    """All that lies higher than `height` along the last axis."""
    return lambda points: points[..., 2] > height


def seen(patch: Patch, diameter_mm: float) -> tuple[Spot, Shaped]:
    spot = measure(patch, diameter_mm, SIDE)
    assert spot is not None
    shaped = with_surface(patch, spot, diameter_mm, SIDE)
    assert shaped is not None
    return spot, shaped


def ball_mm3(radius: float) -> float:
    return 4 / 3 * pi * radius**3


@pytest.mark.parametrize("radius", [2.5, 3.0, 5.0])
def test_a_free_ball_has_the_volume_of_its_radius(radius: float) -> None:
    _, shaped = seen(patch_of((ball(radius), TISSUE_HU)), 2 * radius)
    assert shaped.spot.volume_mm3 == pytest.approx(ball_mm3(radius), rel=0.04)
    assert shaped.free > 0.98 and shaped.smooth and shaped.holder == 0


@pytest.mark.parametrize("radius", [2.5, 3.0, 5.0])
@pytest.mark.parametrize("beside", [0.0, 0.8], ids=["through its middle", "at its side"])
def test_a_ball_on_a_vessel_of_half_its_width_is_measured_without_the_vessel(radius: float, beside: float) -> None:
    vessel = 0.5 * radius
    off = beside * (radius + vessel)
    both_ways = [(tube(vessel, (0, off, 0), (way, 0, 0.3 * way)), TISSUE_HU) for way in (-1, 1)]
    _, shaped = seen(patch_of((ball(radius), TISSUE_HU), *both_ways), 2 * radius)
    assert shaped.smooth
    assert shaped.spot.volume_mm3 == pytest.approx(ball_mm3(radius), rel=0.1)
    assert shaped.spot.mean_diameter_mm == pytest.approx(2 * radius, abs=0.6)
    assert shaped.free > 0.6 and shaped.holder < 0.92


def fork(radius: float) -> list[tuple[Inside, float]]:
    """A vessel that parts into two of 0.76 of its width."""
    ways = ((-1.0, 0.0, 0.0), (1.0, 0.7, 0.0), (1.0, -0.7, 0.0))
    widths = (radius, 0.76 * radius, 0.76 * radius)
    return [(tube(width, (0, 0, 0), way), TISSUE_HU) for way, width in zip(ways, widths, strict=True)]


def test_a_ball_where_a_vessel_forks_is_measured_without_it() -> None:
    _, shaped = seen(patch_of((ball(3.0), TISSUE_HU), *fork(1.7)), 6)
    assert shaped.spot.volume_mm3 == pytest.approx(ball_mm3(3.0), rel=0.1)
    assert shaped.holder < 0.75


def test_a_fork_alone_hangs_on_what_is_as_thick_as_itself() -> None:
    patch = patch_of(*fork(2.0))
    share = (patch.hu - LUNG_HU) / (TISSUE_HU - LUNG_HU)
    bright = share > 0.5
    middles = grid()[FINER // 2 :: FINER, FINER // 2 :: FINER, FINER // 2 :: FINER]
    surface = find_surface(share, bright & ball(2.6)(middles), patch.inside, MM)
    assert surface is not None and surface.holder_share(bright, MM) > 0.95


@pytest.mark.parametrize("radius", [2.5, 3.0, 5.0])
@pytest.mark.parametrize("depth", [0.6, 0.8])
def test_a_ball_sunk_into_the_wall_has_the_volume_of_its_cap(radius: float, depth: float) -> None:
    height = depth * radius
    patch = patch_of((ball(radius), TISSUE_HU), (wall(height), TISSUE_HU), lung=lambda points: points[..., 2] < height)
    fine = with_fine_wall(patch, 2 * radius)
    spot, shaped = seen(fine, 2 * radius)
    cap = radius + height
    assert spot.walled > 0.02 and shaped.smooth
    assert shaped.spot.volume_mm3 == pytest.approx(pi * cap**2 * (3 * radius - cap) / 3, rel=0.1)


def test_a_wall_that_sank_deep_into_the_mouth_of_a_large_ball_is_put_back() -> None:
    """Closing a lung with a ball hardly wider than the nodule leaves such a dent."""
    radius, height, dent = 9.0, 6.5, 5.0
    mouth = (radius**2 - height**2) ** 0.5

    def lung(points: Points) -> NDArray[np.bool_]:
        across = np.hypot(points[..., 0], points[..., 1])
        return np.asarray(points[..., 2] < height - dent * np.clip(1 - (across / mouth) ** 2, 0, 1))

    patch = patch_of((ball(radius), TISSUE_HU), (wall(height), TISSUE_HU), lung=lung)
    _, shaped = seen(patch, 2 * radius)
    cap = radius + height
    assert shaped.smooth
    assert shaped.spot.volume_mm3 == pytest.approx(pi * cap**2 * (3 * radius - cap) / 3, rel=0.03)


def test_a_rib_that_reaches_into_the_lung_is_no_part_of_the_nodule_on_it() -> None:
    radius, height, rib = 4.0, 3.5, tube(4.2, (0, -40, 6.5), (0, 1, 0))
    patch = patch_of(
        (ball(radius), TISSUE_HU),
        (wall(height), TISSUE_HU),
        (rib, BONE_HU),
        lung=lambda points: points[..., 2] < height,
    )
    points = grid()
    drawn = ball(radius)(points) & ~wall(height)(points) & ~rib(points)
    assert drawn.sum() < 0.95 * (ball(radius)(points) & ~wall(height)(points)).sum()
    _, shaped = seen(with_fine_wall(patch, 2 * radius), 2 * radius)
    assert shaped.spot.volume_mm3 == pytest.approx(drawn.sum() * (MM / FINER) ** 3, rel=0.08)
    assert shaped.spot.core_hu == pytest.approx(TISSUE_HU, abs=40)


def test_a_lumpy_spot_stays_as_it_was_measured() -> None:
    def lumpy(points: Points) -> NDArray[np.bool_]:
        x, y, z = np.moveaxis(points, -1, 0)
        bumps = np.sin(1.1 * x + 1) * np.sin(1.1 * y + 1) + np.sin(1.1 * z)
        return np.asarray(np.linalg.norm(points, axis=-1) < 6 * (1 + 0.15 * bumps))

    spot, shaped = seen(patch_of((lumpy, TISSUE_HU)), 12)
    assert not shaped.smooth
    assert shaped.spot is spot


def test_a_ball_whose_outline_runs_on_into_its_vessel_is_no_nodule_by_the_outline_alone() -> None:
    """What `with_surface` is needed for: the vessel is 0.8 of the ball's width, and stays in the outline."""
    both_ways = [(tube(2.0, (0, 0, 0), (way, 0, 0)), TISSUE_HU) for way in (-1, 1)]
    spot = measure(patch_of((ball(2.5), TISSUE_HU), *both_ways), 5, SIDE)
    assert spot is None or not is_nodule(spot)
