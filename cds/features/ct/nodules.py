"""Nodules of a chest CT: round spots that were measured and that are no vessels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import pi
from typing import Final

import numpy as np

from cds.dicom.volume import Volume
from cds.features.ct.blobs import Blob, find_blobs
from cds.features.ct.lungs import Lungs
from cds.features.ct.measure import TOUCHING, Shaped, Spot, measure, with_surface
from cds.features.ct.patch import cut, with_fine_wall

_THREADS: Final = 4
_MAX_ATTACHED: Final = 0.22
"""A nodule of twice a vessel's width touches it with about 6 % of its surface; a piece of vessel with a third."""
_MAX_ATTACHED_SEVERED: Final = 0.1
_MAX_ELONGATION_SEVERED: Final = 1.4
"""Where thick vessels had to be cut off, a nodule still bulges out of them, round."""
_LARGE_MM: Final = 12.0
_MAX_ATTACHED_LARGE: Final = 0.18
_MAX_ATTACHED_LARGE_ROUND: Final = 0.26
"""Of that size only the vessels of the hilum are as thick; tumours have spicules and vessels, but are rounder."""
_ROUND: Final = 1.9
_LONE: Final = 0.05
"""What touches so little hangs on no vessel: it may be longer, and fainter, than what does."""
_MAX_ELONGATION_LONE: Final = 2.6
_MIN_HU_LONE: Final = -400.0
_MAX_WALLED: Final = 0.5
_MAX_CONTACT: Final = 0.55
_MAX_ELONGATION: Final = 2.2
_MAX_AXIS_RATIO: Final = 2.5
_COMMON_MM: Final = 10.0
_MAX_ELONGATION_COMMON: Final = 1.9
_MAX_AXIS_RATIO_COMMON: Final = 2.0
"""Below 10 mm most spots are vessels, and nodules are rounder."""
_MIN_FULLNESS: Final = 0.45
"""Volume over that of a ball of the mean diameter; less is a flat sliver at the wall."""
_SMALL_MM: Final = 6.0
_MIN_HU_SMALL: Final = -200.0
"""Smaller and fainter spots cannot be told from branching vessels, and little follows below 6 mm (Fleischner 2017)."""
_MAX_WALLED_SMALL: Final = 0.35
"""Half a ball on a flat wall touches it with a third of its surface; what touches more is a fold, on voxels of 1 mm."""
_MIN_FREE_BALL: Final = 0.6
"""Of a ball on a vessel of 0.6 of its width 65 % and more is free; of a fork of vessels half."""
_MIN_FREE_COMMON: Final = 0.33
_MIN_ROUND_BALL: Final = 0.8
_MAX_HOLDER: Final = 0.92
"""Vessels of 0.6 of a small ball's width measure up to 0.8 on the voxels; those of a fork at least 1.0."""
_BONE_HU: Final = 200.0
_BONE_WALLED: Final = 0.1
_SUBSOLID_BELOW_HU: Final = -200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CtNodule:
    """One nodule.

    Attributes
    ----------
    centre_mm
        x, y, z in LPS.
    mean_diameter_mm
        The mean of long and short axis, measured in the slice `slice_number`.
    solid
        Solid by its density; else part-solid.
    pleural
        Whether it is attached to the wall of the lung.
    axis_ends
        (row, column) of the ends of the long, then of the short axis, in voxels of that slice.
    """

    centre_mm: tuple[float, float, float]
    long_axis_mm: float
    short_axis_mm: float
    mean_diameter_mm: float
    volume_mm3: float
    mean_hu: float
    solid: bool
    right: bool
    pleural: bool
    slice_number: int
    sop_instance_uid: str
    axis_ends: tuple[tuple[float, float], ...]


def find_nodules(volume: Volume, lungs: Lungs, *, min_diameter_mm: float = 4.0, limit: int = 20) -> list[CtNodule]:
    """Find solid and part-solid nodules, the largest first, at most `limit`."""
    # The time goes into distance transforms, which work without the interpreter's lock.
    with ThreadPoolExecutor(_THREADS) as threads:
        measured = list(threads.map(partial(_nodule_spot, volume, lungs), find_blobs(volume, lungs)))
    spots = [spot for spot in measured if spot is not None and spot.mean_diameter_mm >= min_diameter_mm]
    spots.sort(key=lambda spot: (-spot.mean_diameter_mm, spot.centre))
    return [_nodule(volume, lungs, spot) for spot in _distinct(spots, np.array(volume.spacing_mm))[:limit]]


def _nodule_spot(volume: Volume, lungs: Lungs, blob: Blob) -> Spot | None:
    """The blob as a nodule; what touches the wall is measured again, and judged, with a finer wall."""
    patch, slices = cut(volume, lungs, blob.index, blob.diameter_mm), len(volume.hu)
    spot = measure(patch, blob.diameter_mm, slices)
    if spot is not None and spot.walled >= TOUCHING and spot.attached <= _MAX_CONTACT:
        size = max(spot.mean_diameter_mm, blob.diameter_mm)
        spot = measure(with_fine_wall(patch, size), blob.diameter_mm, slices)
    if spot is None or not (is_nodule(spot) or _may_hang_on_vessels(spot)):
        return None
    shaped = with_surface(patch, spot, blob.diameter_mm, slices)
    if is_nodule(spot) and not _is_hidden(spot, shaped):
        return spot if shaped is None else shaped.spot
    return shaped.spot if shaped is not None and _is_ball_on_vessels(shaped) else None


def _is_hidden(spot: Spot, shaped: Shaped | None) -> bool:
    """Whether vessels hide so much of a small spot that it cannot be told from where they meet."""
    small = spot.mean_diameter_mm < _COMMON_MM and spot.walled < TOUCHING
    return small and (shaped is None or shaped.free < _MIN_FREE_COMMON)


def _may_hang_on_vessels(spot: Spot) -> bool:
    """Whether it is worth a look if it is round where it is free, though its outline runs on into vessels."""
    return spot.walled < TOUCHING and spot.attached <= _MAX_ATTACHED and spot.core_hu >= _MIN_HU_SMALL


def _is_ball_on_vessels(shaped: Shaped) -> bool:
    """Whether most of it is free, round, and thicker than its vessels: where they fork they are none of these."""
    thicker = shaped.holder <= _MAX_HOLDER
    return shaped.smooth and thicker and shaped.free >= _MIN_FREE_BALL and shaped.roundness >= _MIN_ROUND_BALL


def is_nodule(spot: Spot) -> bool:
    """Whether it is round and free enough to be a nodule rather than a vessel, a fold of the wall, or bone."""
    small = spot.mean_diameter_mm < _SMALL_MM
    faint = small and spot.core_hu < (_MIN_HU_LONE if spot.attached <= _LONE else _MIN_HU_SMALL)
    flat = spot.volume_mm3 < _MIN_FULLNESS * pi / 6 * spot.mean_diameter_mm**3
    bone = spot.core_hu > _BONE_HU and spot.walled > _BONE_WALLED
    walled = spot.walled > (_MAX_WALLED_SMALL if small else _MAX_WALLED)
    free = spot.attached <= _attachable(spot) and spot.attached + spot.walled <= _MAX_CONTACT and not walled
    return free and _is_round(spot) and not (faint or flat or bone)


def _attachable(spot: Spot) -> float:
    """How much of its surface may touch vessels."""
    if spot.severed:
        return _MAX_ATTACHED_SEVERED
    if spot.mean_diameter_mm < _LARGE_MM:
        return _MAX_ATTACHED
    return _MAX_ATTACHED_LARGE_ROUND if spot.elongation <= _ROUND else _MAX_ATTACHED_LARGE


def _is_round(spot: Spot) -> bool:
    common = spot.mean_diameter_mm < _COMMON_MM
    elongation = _MAX_ELONGATION_COMMON if common else _MAX_ELONGATION
    if spot.severed:
        elongation = _MAX_ELONGATION_SEVERED
    elif spot.attached <= _LONE:
        elongation = _MAX_ELONGATION_LONE
    ratio = _MAX_AXIS_RATIO_COMMON if common else _MAX_AXIS_RATIO
    return spot.elongation <= elongation and spot.long_axis_mm <= ratio * spot.short_axis_mm


def _distinct(spots: list[Spot], spacing_mm: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[Spot]:
    """Of spots whose centre lies within a larger one only the larger."""
    kept: list[Spot] = []
    for spot in spots:
        gaps = (np.linalg.norm((np.array(spot.centre) - np.array(other.centre)) * spacing_mm) for other in kept)
        if all(gap > 0.6 * other.mean_diameter_mm for gap, other in zip(gaps, kept, strict=True)):
            kept.append(spot)
    return kept


def _nodule(volume: Volume, lungs: Lungs, spot: Spot) -> CtNodule:
    at = [
        min(int(i / step), size - 1) for i, step, size in zip(spot.centre, lungs.step, lungs.right.shape, strict=True)
    ]
    return CtNodule(
        centre_mm=volume.to_lps_mm(spot.centre),
        long_axis_mm=spot.long_axis_mm,
        short_axis_mm=spot.short_axis_mm,
        mean_diameter_mm=spot.mean_diameter_mm,
        volume_mm3=spot.volume_mm3,
        mean_hu=spot.core_hu,
        solid=spot.core_hu >= _SUBSOLID_BELOW_HU,
        right=bool(lungs.right[tuple(at)]),
        pleural=spot.walled > 0.05,
        slice_number=spot.slice_number,
        sop_instance_uid=volume.sop_instance_uids[spot.slice_number],
        axis_ends=spot.axis_ends,
    )
