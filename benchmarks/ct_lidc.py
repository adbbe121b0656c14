"""Measure nodule detection on crops around real nodules: `CDS_DATA=... python benchmarks/ct_lidc.py`.

The crops of LIDC-IDRI (51 mm cubes of 1 mm voxels, a reader's outline and ratings) were stored as
grey values; HU are recovered from where lung and soft tissue lie in their common histogram. A crop
holds no whole lung, so the lungs are its largest piece of air. False positives cannot be measured
on crops that were chosen for their nodule.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cds.dicom.volume import Volume
from cds.features.ct.lungs import Lungs, closed
from cds.features.ct.nodules import CtNodule, find_nodules

DATA = Path(os.environ.get("CDS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
LUNG_GREY, HU_PER_GREY, LUNG_HU = 52, 6.0, -860
SIZES_MM = ((5, 8), (8, 12), (12, 20), (20, 35))
SOLID = 4
"""LIDC's texture: 1 ground glass, 3 part-solid, 5 solid."""


def volume_of(grey: NDArray[np.uint8]) -> Volume:
    """A crop in HU."""
    hu = ((grey.astype(float) - LUNG_GREY) * HU_PER_GREY + LUNG_HU).round().clip(-1024, 1000).astype(np.int16)
    return Volume(
        hu=hu,
        affine=np.eye(4)[[2, 1, 0, 3]],
        spacing_mm=(1.0, 1.0, 1.0),
        sop_instance_uids=tuple(f"2.25.{index}" for index in range(len(hu))),
        series_instance_uid="2.25.1",
        slice_thickness_mm=1.0,
    )


def lungs_of(volume: Volume) -> Lungs:
    """The largest piece of air, closed as whole lungs are."""
    labels, _ = ndimage.label(ndimage.gaussian_filter(volume.hu.astype(float), 0.7) < -400)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    air = labels == sizes.argmax()
    inside = closed(np.pad(air, 20, mode="edge"), volume.spacing_mm)[20:-20, 20:-20, 20:-20]
    return Lungs(
        air=air, inside=inside, right=inside, step=(1, 1, 1), volume_ml=(1, 1), touches_top=False, touches_bottom=False
    )


def hit(nodules: list[CtNodule], outline: NDArray[np.bool_]) -> CtNodule | None:
    """The first spot whose centre lies in the reader's outline, or a voxel beside it."""
    near = ndimage.binary_dilation(outline)
    for nodule in nodules:
        at = tuple(np.clip(np.round(nodule.centre_mm[::-1]).astype(int), 0, np.array(outline.shape) - 1))
        if near[at]:
            return nodule
    return None


def main() -> None:
    """Print found of all, by size and texture, and volume over the reader's."""
    if not (DATA / "ct_lidc_nodules.npz").exists():
        raise SystemExit("needs ct_lidc_nodules.npz: set CDS_DATA to the folder that holds it")
    crops = np.load(DATA / "ct_lidc_nodules.npz")
    with (DATA / "ct_lidc_nodules.csv").open() as file:
        textures = [int(row["texture"]) for row in csv.DictReader(file)]
    rows = []
    for grey, outline, texture in zip(crops["image"], crops["mask"].astype(bool), textures, strict=True):
        volume = volume_of(grey)
        found = hit(find_nodules(volume, lungs_of(volume)), outline)
        size = (6 * outline.sum() / np.pi) ** (1 / 3)
        rows.append((size, texture, found is not None, found.volume_mm3 / outline.sum() if found else np.nan))
    print("mm      found solid   of   found other   of   volume / reader's (median)")
    for low, high in SIZES_MM:
        some = [row for row in rows if low <= row[0] < high]
        solid, other = [row for row in some if row[1] >= SOLID], [row for row in some if row[1] < SOLID]
        ratio = np.nanmedian([row[3] for row in some])
        counts = (sum(row[2] for row in solid), len(solid), sum(row[2] for row in other), len(other))
        print(f"{low}-{high:<6} {counts[0]:9} {counts[1]:4} {counts[2]:13} {counts[3]:4} {ratio:12.2f}")
    dense = [row[2] for row in rows if row[1] >= SOLID]
    print(
        f"solid (texture {SOLID} or 5): {sum(dense)} of {len(dense)}; all: {sum(row[2] for row in rows)} of {len(rows)}"
    )


if __name__ == "__main__":
    main()
