"""Measure nodule detection and volume on computed chests: `python benchmarks/ct_phantom.py --seeds 12`.

Each chest holds nodules of several sizes: free in the lung, at the pleura, and on vessels. What is
found is compared with what was drawn; what matches nothing is a false positive. The true volume is
that part of the sphere which lies in the lung. No nodule overlaps bone (`cds.testing.phantoms.place`).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cds.dicom.volume import Volume
from cds.features.ct.lungs import find_lungs
from cds.features.ct.nodules import find_nodules
from cds.testing.phantoms.ct import CtGrid, render
from cds.testing.phantoms.nodules import Nodule, place, volume_in_lung_mm3
from cds.testing.phantoms.thorax import Thorax

SIZES_MM = (5.0, 6.0, 8.0, 10.0, 14.0, 20.0, 30.0)
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


def draw(thorax: Thorax, kind: str, seed: int) -> list[Nodule]:
    """One nodule of each size, 12 mm from any other; sizes without a place are left out."""
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
            if all(gap > 12 for gap in gaps):
                placed.append(nodule)
                break
    return placed


def run(seed: int, kind: str, slice_mm: float, matrix: int, noise_hu: float) -> tuple[list[Row], int, float]:
    """Rows, false positives and seconds of one chest."""
    thorax = Thorax(seed=seed)
    drawn = draw(thorax, kind, seed)
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
        error = found[best].volume_mm3 / volume_in_lung_mm3(nodule, thorax) - 1 if hit else float("nan")
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
            some, wrong, took = run(seed, kind, options.slice_mm, options.matrix, options.noise_hu)
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
