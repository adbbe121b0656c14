"""Where something lies in the lungs, so that two examinations can be laid beside each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cds.dicom.volume import Volume
from cds.features.ct.lungs import Lungs
from cds.features.ct.patch import Vector


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """The box around both lungs in LPS, mm: its lower corner and its extent, shape (3,)."""

    low: Vector
    extent: Vector

    @classmethod
    def of(cls, volume: Volume, lungs: Lungs) -> Place | None:
        """The box, None where the lungs are not seen whole: what is cut has no known extent."""
        if lungs.touches_top or lungs.touches_bottom or not lungs.inside.any():
            return None
        box = ndimage.find_objects(lungs.inside.astype(np.uint8))[0]
        ends = [(part.start * step - 0.5, part.stop * step - 0.5) for part, step in zip(box, lungs.step, strict=True)]
        corners = np.array(
            [volume.to_lps_mm((s, r, c)) for s in ends[0] for r in ends[1] for c in ends[2]], dtype=np.float64
        )
        low, high = corners.min(axis=0), corners.max(axis=0)
        return cls(low=low, extent=np.maximum(high - low, 1.0))

    def position(self, centre_mm: tuple[float, float, float]) -> tuple[float, float, float]:
        """Fractions of the box from the patient's right to left, front to back, bottom to top (LPS)."""
        share = (np.asarray(centre_mm) - self.low) / self.extent
        return (round(float(share[0]), 4), round(float(share[1]), 4), round(float(share[2]), 4))
