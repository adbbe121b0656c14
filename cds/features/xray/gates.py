"""What may be read: the intended use, and the quality of the picture."""

from __future__ import annotations

from typing import Final

import numpy as np

from cds.dicom.radiograph import Radiograph
from cds.domain.evidence import Gate
from cds.domain.study import Patient, Series, Study

MODALITIES: Final = ("CR", "DX")
"""Computed and digital radiography (PS3.3 C.7.3.1.1.1)."""
STORAGE: Final = {
    "1.2.840.10008.5.1.4.1.1.1": "Computed Radiography Image Storage",
    "1.2.840.10008.5.1.4.1.1.1.1": "Digital X-Ray Image Storage - For Presentation",
}
"""SOP classes that are read (PS3.4 B.5); For Processing is not meant to be looked at."""
FOR_PROCESSING: Final = "1.2.840.10008.5.1.4.1.1.1.1.1"
AGES: Final = (1.0, 6.0)
"""Years, from and below: the training images are of children of one to five years (doi 10.1016/j.cell.2018.02.010)."""

_CHEST: Final = ("CHEST", "THORAX", "LUNG", "THORACIC", "CXR", "胸", "肺")
_CHEST_PARTS: Final = ("CHEST", "CHESTABDOMEN", "NECKCHEST", "NECKCHESTABDOMEN", "NECKCHESTABDPELV", "CHESTABDPELVIS")
"""Body Part Examined (PS3.16 Annex L); LUNG and THORAX are not defined terms, and occur."""
_NOT_CHEST: Final = ("SPINE", "RIB", "STERNUM", "CLAVICLE", "SHOULDER", "BREAST", "胸椎", "肋", "锁骨", "胸骨")
_FRONTAL: Final = ("PA", "AP", "PA AXIAL", "AP AXIAL", "POSTERO-ANTERIOR", "ANTERO-POSTERIOR", "FRONTAL")
_SIDES: Final = ("PA", "AP", "FRONTAL", "POSTERO", "ANTERO")
_LATERAL: Final = ("LL", "RL", "LAT", "LATERAL", "LLD", "RLD", "OBL", "LAO", "RAO", "LPO", "RPO", "侧", "斜")
_LEAST_SIDE: Final = 64
_LEAST_LEVELS: Final = 16
"""Fewer grey levels are no radiograph: a form, a mask, a synthetic pattern."""
_MOST_NOISE: Final = 0.35
"""Energy between neighbours as a share of all energy at 64 pixels: 1 for white noise, below 0.1 for a radiograph."""
_LEAST_FILLED: Final = 0.25


def body_part(series: Series, study: Study) -> Gate:
    """Whether the series shows a chest, by Body Part Examined, else by the descriptions."""
    stated = series.body_part.upper().replace(" ", "").replace("_", "")
    if stated:
        chest = stated in _CHEST_PARTS or any(word in stated for word in _CHEST)
        chest = chest and not any(word in stated for word in _NOT_CHEST)
        return Gate(name="body part", passed=chest, reason=f"Body Part Examined is {series.body_part}")
    described = f"{series.description} {study.description}".upper()
    if any(word in described for word in _NOT_CHEST):
        return Gate(name="body part", passed=False, reason="not stated; the descriptions speak of another part")
    if any(word in described for word in _CHEST):
        return Gate(name="body part", passed=True, reason="not stated; the descriptions speak of a chest")
    return Gate(name="body part", passed=True, reason="not stated; taken for a chest as far as the image is familiar")


def view(radiograph: Radiograph, series: Series) -> Gate:
    """Whether the image is frontal: View Position, View Code, else the series' description."""
    stated = radiograph.view or series.view_position.upper()
    if stated:
        frontal = stated in _FRONTAL
        return Gate(name="view", passed=frontal, reason=f"the view is {stated}" + ("" if frontal else ", not frontal"))
    words = series.description.upper().replace("_", " ").replace(",", " ").split()
    if any(word in _LATERAL or word.startswith(("LATERAL", "侧", "斜")) for word in words):
        return Gate(name="view", passed=False, reason="not stated; the series description speaks of another view")
    return Gate(name="view", passed=True, reason="not stated; taken for frontal")


def presentation(radiograph: Radiograph) -> Gate:
    """Whether the image is meant to be looked at."""
    raw = radiograph.intent == "FOR PROCESSING"
    localizer = "LOCALIZER" in radiograph.image_type
    reason = (
        "Presentation Intent Type is FOR PROCESSING"
        if raw
        else "it is a localizer"
        if localizer
        else "for presentation"
    )
    return Gate(name="presentation", passed=not raw and not localizer, reason=reason)


def window(radiograph: Radiograph) -> tuple[Gate, ...]:
    """What was done about windows of the image that cannot be used: told, and no reason not to read it."""
    return (Gate(name="display window", passed=True, reason=radiograph.window),) if radiograph.window else ()


def age(patient: Patient) -> Gate:
    """Whether the patient is as old as those that the model learned from."""
    years = patient.age_years
    if years is None:
        return Gate(name="age", passed=False, reason="age unknown; the model was trained on children of 1 to 5 years")
    inside = AGES[0] <= years < AGES[1]
    reason = "within" if inside else "outside"
    return Gate(
        name="age", passed=inside, reason=f"{reason} the 1 to 5 years of the children that the model was trained on"
    )


def quality(radiograph: Radiograph) -> Gate:
    """Whether the pixels can be a radiograph at all: not constant, not noise, not nearly empty."""
    pixels = radiograph.pixels
    name = "image quality"
    if min(pixels.shape) < _LEAST_SIDE:
        return Gate(name=name, passed=False, reason=f"{pixels.shape[0]} x {pixels.shape[1]} pixels are too few")
    if len(np.unique(np.round(pixels * 255))) < _LEAST_LEVELS:
        return Gate(name=name, passed=False, reason="the image is constant or has a few grey levels only")
    filled = float(((pixels > 0.02) & (pixels < 0.98)).mean())
    if filled < _LEAST_FILLED:
        return Gate(name=name, passed=False, reason=f"{1 - filled:.0%} of the image is black or white")
    share = noise(radiograph)
    passed = share < _MOST_NOISE
    return Gate(
        name=name,
        passed=passed,
        reason="plausible" if passed else f"noise: {share:.0%} of its energy is between neighbours",
    )


def noise(radiograph: Radiograph) -> float:
    """Share of the image's variance that is between neighbouring pixels, after averaging to about 64 x 64."""
    pixels = radiograph.pixels
    rows, columns = (max(1, side // 64) for side in pixels.shape)
    height, width = pixels.shape[0] // rows, pixels.shape[1] // columns
    blocks = pixels[: height * rows, : width * columns].reshape(height, rows, width, columns).mean((1, 3))
    variance = float(blocks.var())
    if variance <= 0.0:
        return 1.0
    steps = float(np.mean(np.diff(blocks, axis=0) ** 2) + np.mean(np.diff(blocks, axis=1) ** 2))
    return steps / 4 / variance
