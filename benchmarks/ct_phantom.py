"""Measure nodule detection and volume on computed chests: `python benchmarks/ct_phantom.py --seeds 12`.

Each chest holds nodules of several sizes: free in the lung, at the pleura, and on vessels. What is
found is compared with what was drawn; what matches nothing is a false positive. The true volume is
that part of the sphere which lies in the lung and in no bone: the phantom's ribs reach into its lungs
here and there, and where one does, bone was drawn and no nodule. One with more than a tenth in bone is
drawn elsewhere. `--bone-counts` places without a look at bone, and counts what lies in it as nodule.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cds.dicom.volume import Volume
from cds.features.ct.lungs import find_lungs
from cds.features.ct.nodules import find_nodules
from cds.testing.phantoms.ct import CtGrid, render
from cds.testing.phantoms.nodules import Nodule, place, volume_in_lung_mm3
from cds.testing.phantoms.thorax import Thorax

SIZES_MM = (5.0, 6.0, 8.0, 10.0, 14.0, 20.0, 30.0)
MAX_IN_BONE = 0.1
"""A nodule at the pleura is sunk into the wall by at most 6 % of its volume; one in a rib is another thing."""
KINDS = ("solitary", "juxta_pleural", "juxta_vascular")


@dataclass(frozen=True, slots=True)
class Row:
    """One drawn nodule and what was made of it."""

    seed: int
    kind: str
    diameter_mm: float
    found: bool
    volume_error: float
    diameter_error_mm: float


def volume_of(thorax: Thorax, nodules: list[Nodule], slice_mm: float, matrix: int, noise_hu: float) -> Volume:
    """Render without the detour over files."""
    grid = CtGrid.over(thorax, matrix=matrix, slice_mm=slice_mm)
    z, y, x = grid.spacing_mm
    affine = np.array(
        [[0, 0, x, grid.origin_mm[2]], [0, y, 0, grid.origin_mm[1]], [z, 0, 0, grid.origin_mm[0]], [0, 0, 0, 1]]
    )
    return Volume(
        hu=render(thorax, grid, nodules, noise_hu=noise_hu),
        affine=affine,
        spacing_mm=grid.spacing_mm,
        sop_instance_uids=tuple(f"2.25.{index}" for index in range(grid.shape[0])),
        series_instance_uid="2.25.1",
        slice_thickness_mm=slice_mm,
    )


def draw(thorax: Thorax, kind: str, seed: int, bone_counts: bool) -> list[Nodule]:
    """One nodule of each size, 12 mm from any other, none deep in a rib; sizes without a place are left out."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    placed: list[Nodule] = []
    for size in SIZES_MM[::-1]:
        for _ in range(40):
            try:
                nodule = place(thorax, size, kind, rng)
            except ValueError:
                break
            gaps = [
                np.linalg.norm(np.subtract(nodule.centre_mm, other.centre_mm)) - (size + other.diameter_mm) / 2
                for other in placed
            ]
            buried = volume_in_lung_mm3(nodule, thorax) - volume_drawn_mm3(nodule, thorax)
            if all(gap > 12 for gap in gaps) and (bone_counts or buried <= MAX_IN_BONE * nodule.volume_mm3):
                placed.append(nodule)
                break
    return placed


def volume_drawn_mm3(nodule: Nodule, thorax: Thorax, samples: int = 61) -> float:
    """The part of the sphere that lies inside the lungs and outside bone, by sampling (`samples` per axis)."""
    axis = (np.arange(samples) + 0.5) / samples * 2 - 1
    ball = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    points = ball[(ball**2).sum(1) <= 1] * nodule.diameter_mm / 2 + np.array(nodule.centre_mm)
    drawn = thorax.lung_mm(*(points[:, i].astype(np.float32) for i in range(3))) < 0
    for tube in thorax.tubes:
        if tube.kind != "bone":
            continue
        for start, end, radius in zip(tube.points[:-1], tube.points[1:], tube.radii[:-1], strict=True):
            if np.linalg.norm((start + end) / 2 - nodule.centre_mm) < 40 + nodule.diameter_mm:
                drawn &= _off_line_mm(points, start, end) > radius
    return nodule.volume_mm3 * float(drawn.mean())


def _off_line_mm(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The distance of each point from the line between two points."""
    along = end - start
    part = np.clip((points - start) @ along / max(float(along @ along), 1e-9), 0, 1)
    return np.asarray(np.linalg.norm(points - start - part[:, None] * along, axis=1))


def run(
    seed: int, kind: str, slice_mm: float, matrix: int, noise_hu: float, bone_counts: bool
) -> tuple[list[Row], int, float]:
    """Rows, false positives and seconds of one chest."""
    thorax = Thorax(seed=seed)
    drawn = draw(thorax, kind, seed, bone_counts)
    volume = volume_of(thorax, drawn, slice_mm, matrix, noise_hu)
    start = time.perf_counter()
    lungs = find_lungs(volume)
    found = find_nodules(volume, lungs, limit=60) if lungs else []
    seconds = time.perf_counter() - start
    rows, matched = [], set()
    for nodule in drawn:
        gaps = [float(np.linalg.norm(np.subtract(f.centre_mm, nodule.centre_mm))) for f in found]
        best = int(np.argmin(gaps)) if gaps else -1
        hit = best >= 0 and gaps[best] < nodule.diameter_mm / 2
        if hit:
            matched.add(best)
        truth = (volume_in_lung_mm3 if bone_counts else volume_drawn_mm3)(nodule, thorax)
        error = found[best].volume_mm3 / truth - 1 if hit else float("nan")
        wide = found[best].mean_diameter_mm - nodule.diameter_mm if hit else float("nan")
        rows.append(Row(seed, kind, nodule.diameter_mm, hit, error, wide))
    return rows, len(found) - len(matched), seconds


def table(rows: list[Row], kind: str) -> None:
    """Print one line per size."""
    for size in SIZES_MM:
        some = [row for row in rows if row.kind == kind and row.diameter_mm == size]
        hits = [row for row in some if row.found]
        errors = np.array([row.volume_error for row in hits]) * 100
        wide = np.array([row.diameter_error_mm for row in hits])
        if not some:
            continue
        spread = f"{errors.mean():+6.1f} {np.abs(errors).max():6.1f} {wide.mean():+6.2f}" if hits else ""
        print(f"{kind:15} {size:5.0f}  {len(hits):3}/{len(some):<3} {spread}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4, help="how many chests of each kind")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--bone-counts", action="store_true", help="count what lies in bone as nodule")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--slice-mm", type=float, default=1.0)
    parser.add_argument("--matrix", type=int, default=512)
    parser.add_argument("--noise-hu", type=float, default=15.0)
    parser.add_argument("--misses", type=Path, help="write what was missed or is wrong by over 10 %% to this file")
    options = parser.parse_args()
    rows: list[Row] = []
    false_positives: list[int] = []
    seconds: list[float] = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for kind in options.kinds:
            some, wrong, took = run(seed, kind, options.slice_mm, options.matrix, options.noise_hu, options.bone_counts)
            rows += some
            false_positives.append(wrong)
            seconds.append(took)
    print("kind             mm  found   volume error %: mean, worst; diameter error mm: mean")
    for kind in KINDS:
        table(rows, kind)
    within = np.mean([abs(row.volume_error) <= 0.1 for row in rows if row.found])
    worst = max((abs(row.volume_error) for row in rows if row.found), default=float("nan"))
    print(f"found {sum(row.found for row in rows)} of {len(rows)}; volume within 10 %: {within:.1%} of those", end="; ")
    print(f"worst {worst:.1%}")
    print(f"false positives per chest: mean {np.mean(false_positives):.2f}, most {max(false_positives)}")
    print(f"seconds per chest: mean {np.mean(seconds):.1f}")
    if options.misses:
        bad = [row for row in rows if not row.found or abs(row.volume_error) > 0.1]
        options.misses.write_text("\n".join(map(str, bad)) + "\n")


if __name__ == "__main__":
    main()
