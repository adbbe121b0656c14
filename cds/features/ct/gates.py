"""What a CT series must be, to be read for nodules, and what a reader must know of this one."""

from __future__ import annotations

from typing import Final

import numpy as np

from cds.dicom.volume import Volume
from cds.domain.evidence import Gate
from cds.domain.study import Series
from cds.features.ct.lungs import Lungs

_CHEST_WORDS: Final = ("CHEST", "THORAX", "LUNG")
"""Body Part Examined (PS3.16 Annex L) of a CT that shows the lungs contains one of these words."""
_MAX_SLICE_MM: Final = 3.1
"""At 3 mm a 6 mm nodule spans two slices; beyond, small nodules cannot be told from vessels."""
_THIN_MM: Final = 1.5
"""Fleischner 2017 asks for contiguous thin sections, of at most 1.5 mm."""
_MAX_PIXEL_MM: Final = 1.5
_MIN_SLICES: Final = 20
_MAX_OBLIQUE_DEGREES: Final = 20.0
_SMALL_LUNG_SHARE: Final = 0.2


def check(series: Series, volume: Volume, lungs: Lungs | None) -> tuple[Gate, ...]:
    """Every check, passed or not, with its reason."""
    return (
        _body_part(series, lungs),
        _axial(volume),
        _resolution(volume),
        _slices(volume),
        _both_lungs(lungs),
    )


def limits(volume: Volume, lungs: Lungs) -> tuple[str, ...]:
    """What is less than ideal in a series that may be read."""
    found: list[str] = []
    if max(volume.spacing_mm[0], volume.slice_thickness_mm) > _THIN_MM:
        found.append(
            f"The CT slices are {max(volume.spacing_mm[0], volume.slice_thickness_mm):g} mm thick; nodules below 6 mm"
            " may be missed and sizes are less certain than in thin slices (1.5 mm or less)."
        )
    ends = [end for end, cut in (("top", lungs.touches_top), ("bottom", lungs.touches_bottom)) if cut]
    if ends:
        found.append(f"The CT does not cover the whole of the lungs: they are cut at the {' and the '.join(ends)}.")
    return tuple(found)


def _body_part(series: Series, lungs: Lungs | None) -> Gate:
    """A series that is not called a chest is read only if it shows the whole of both lungs."""
    shown = f"body part is {series.body_part[:16] or 'not stated'}"
    whole = lungs is not None and not (lungs.touches_top or lungs.touches_bottom)
    if any(word in series.body_part for word in _CHEST_WORDS):
        return Gate(name="CT body part", passed=True, reason=shown)
    reason = f"{shown}, but the whole of both lungs is seen" if whole else f"{shown}; a CT of the whole chest is read"
    return Gate(name="CT body part", passed=whole, reason=reason)


def _axial(volume: Volume) -> Gate:
    normal = np.cross(volume.affine[:3, 2], volume.affine[:3, 1])
    degrees = float(np.degrees(np.arccos(min(1.0, abs(normal[2]) / float(np.linalg.norm(normal))))))
    passed = degrees <= _MAX_OBLIQUE_DEGREES
    return Gate(name="CT orientation", passed=passed, reason=f"slices are {degrees:.0f} degrees from axial")


def _resolution(volume: Volume) -> Gate:
    distance, rows, columns = volume.spacing_mm
    thick = max(distance, volume.slice_thickness_mm)
    passed = thick <= _MAX_SLICE_MM and max(rows, columns) <= _MAX_PIXEL_MM
    reason = f"voxels of {columns:.2f} x {rows:.2f} x {thick:.2f} mm"
    wanted = f"; at most {_MAX_PIXEL_MM:g} x {_MAX_PIXEL_MM:g} x {_MAX_SLICE_MM:g} mm are read"
    return Gate(name="CT resolution", passed=passed, reason=reason if passed else reason + wanted)


def _slices(volume: Volume) -> Gate:
    count = len(volume.hu)
    reason = f"{count} slices without a gap"
    return Gate(
        name="CT slices",
        passed=count >= _MIN_SLICES,
        reason=reason if count >= _MIN_SLICES else f"{count} slices are too few; {_MIN_SLICES} or more are read",
    )


def _both_lungs(lungs: Lungs | None) -> Gate:
    if lungs is None:
        return Gate(name="CT lungs", passed=False, reason="no lungs were found in the series")
    right, left = lungs.volume_ml
    passed = min(right, left) >= _SMALL_LUNG_SHARE * max(right, left)
    reason = f"right lung {right:.0f} ml, left lung {left:.0f} ml"
    return Gate(
        name="CT lungs", passed=passed, reason=reason if passed else f"{reason}: one lung is missing or not aerated"
    )
