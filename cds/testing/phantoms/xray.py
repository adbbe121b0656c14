"""A computed chest radiograph: line integrals through the same thorax that the CT phantom shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import DigitalXRayImageStorageForPresentation
from scipy import ndimage

from cds.testing.phantoms.patient import CHILD, PhantomStudy, derived_uid, new_instance, save
from cds.testing.phantoms.thorax import LUNG_HU, Array, Thorax
from cds.testing.phantoms.tubes import Tube

_WATER_PER_MM: Final = 0.0175
"""Linear attenuation of water at about 70 keV effective energy (NIST XCOM: 0.19/cm), less scatter."""
_COARSE_MM: Final = 1.0
_DEPTH_STEP_MM: Final = 3.0
_MAX_VALUE: Final = 4095
_BONE_GAIN: Final = 2.6
"""Bone stands out more here than in CT numbers: the beam is softer than a CT's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opacity:
    """A consolidation: a soft ellipsoid of denser lung, clipped to the lungs.

    `centre_mm` and `radii_mm` are (x, y, z) in an adult-sized chest; `density` is 0 (air-filled
    lung) to 1 (soft tissue).
    """

    centre_mm: tuple[float, float, float] = (-70.0, 10.0, -55.0)
    radii_mm: tuple[float, float, float] = (42.0, 50.0, 36.0)
    density: float = 0.9


PNEUMONIA: Final = (
    Opacity(),
    Opacity(centre_mm=(-95.0, 20.0, -25.0), radii_mm=(28.0, 35.0, 26.0), density=0.8),
    Opacity(centre_mm=(72.0, 40.0, -70.0), radii_mm=(26.0, 30.0, 22.0), density=0.7),
)
"""Patchy consolidation of the right lower zone and, less, of the left base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class XrayPhantom:
    """What was written."""

    file: Path
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


def chest_xray_phantom(
    out_dir: Path,
    *,
    study: PhantomStudy | None = None,
    seed: int = 0,
    pixels: int = 1024,
    opacities: Sequence[Opacity] = (),
    heart: float = 1.0,
    monochrome1: bool = False,
    view_position: str = "PA",
) -> XrayPhantom:
    """Write one frontal chest radiograph (Digital X-Ray Image, PS3.3 A.26) into `out_dir`.

    The default patient is four years old. The same arguments give the same bytes.

    Parameters
    ----------
    pixels
        Rows and columns of the square image.
    heart
        Size of the heart, 1 is normal, 1.4 a cardiomegaly.
    monochrome1
        Write the inverted form, in which the lowest value is white.
    """
    study = study or PhantomStudy(seed=seed, patient=CHILD)
    thorax = Thorax(scale=study.scale, seed=seed, heart=heart)
    image = render(thorax, pixels, opacities)
    series_uid = derived_uid("dx", seed, study.study_instance_uid)
    ds = _dataset(study, image, series_uid, field_mm(thorax) / pixels, view_position, monochrome1)
    out_dir.mkdir(parents=True, exist_ok=True)
    return XrayPhantom(
        file=save(ds, out_dir / "xray.dcm"),
        study_instance_uid=study.study_instance_uid,
        series_instance_uid=series_uid,
        sop_instance_uid=ds.SOPInstanceUID,
    )


def render(thorax: Thorax, pixels: int, opacities: Sequence[Opacity] = ()) -> NDArray[np.uint16]:
    """Compute the radiograph as a display shows it: 12 bit, bright where much was absorbed.

    Shape (pixels, pixels), the patient's left on the right, the head at the top.
    """
    rng = np.random.default_rng([thorax.seed, 37])
    pixel_mm = field_mm(thorax) / pixels
    water_mm = _organs(thorax, pixels, opacities, rng) + _tubes(thorax, pixels, pixel_mm)
    photons = 9_000.0
    through = np.exp(-_WATER_PER_MM * ndimage.gaussian_filter(water_mm, 0.25 / pixel_mm))
    scatter = 0.35 * ndimage.gaussian_filter(through, 14.0 / pixel_mm)
    signal = through + scatter
    noisy = np.maximum(signal + rng.standard_normal(signal.shape, np.float32) * np.sqrt(signal / photons), 1e-4)
    return _display(-np.log(ndimage.gaussian_filter(noisy, 0.6)))


def field_mm(thorax: Thorax) -> float:
    """The side of the square that is exposed."""
    return 0.94 * thorax.width_mm


def _display(attenuation: Array) -> NDArray[np.uint16]:
    """An S-shaped tone curve between the least and the most absorbing parts, as detectors apply."""
    low, middle, high = np.percentile(attenuation, (3, 50, 99.5))
    spread = max(float(high - low) / 5.2, 1e-3)
    toned = 1 / (1 + np.exp(-(attenuation - (low + high + middle) / 3) / spread))
    toned = (toned - toned.min()) / max(float(np.ptp(toned)), 1e-6)
    return np.asarray((80 + toned * (_MAX_VALUE - 180)).round(), np.uint16)


def _axes(thorax: Thorax, count: int) -> tuple[Array, Array]:
    """The coordinates of columns (x, to the left) and rows (z, downwards) in mm."""
    half = field_mm(thorax) / 2
    ramp = ((np.arange(count) + 0.5) / count * 2 - 1).astype(np.float32) * np.float32(half)
    return ramp[None, :], (np.float32(8.0 * thorax.scale) - ramp)[:, None]


def _organs(thorax: Thorax, pixels: int, opacities: Sequence[Opacity], rng: np.random.Generator) -> Array:
    """Water-equivalent path in mm through everything but the tubes: summed in slabs from front to back."""
    count = int(field_mm(thorax) / (_COARSE_MM * thorax.scale))
    x, z = _axes(thorax, count)
    step = _DEPTH_STEP_MM * thorax.scale
    texture = _texture(rng, count)
    total = np.zeros((count, count), np.float32)
    for y in np.arange(-112.0 * thorax.scale, 112.0 * thorax.scale, step):
        depth = np.full((1, 1), y, np.float32)
        hu: NDArray[np.floating] = thorax.hu(x, depth, z, 2.0 * thorax.scale)
        lung = np.clip(-thorax.lung_mm(x, depth, z) / (4 * thorax.scale), 0, 1)
        filled = _filling(thorax, opacities, x, depth, z) * texture * lung
        hu = hu + (_BONE_GAIN - 1) * np.maximum(hu - 60, 0)
        hu = hu + (20.0 - LUNG_HU) * np.clip(filled, 0, 1) * (hu < -300)
        total += ((1 + hu / 1000) * step).astype(np.float32)
    return ndimage.zoom(total, pixels / count, order=3, grid_mode=True, mode="nearest")[:pixels, :pixels]


def _filling(thorax: Thorax, opacities: Sequence[Opacity], x: Array, y: Array, z: Array) -> Array:
    filled = np.zeros(np.broadcast_shapes(x.shape, y.shape, z.shape), np.float32)
    for opacity in opacities:
        away = zip((x, y, z), opacity.centre_mm, opacity.radii_mm, strict=True)
        q = sum(((axis / thorax.scale - centre) / radius) ** 2 for axis, centre, radius in away)
        filled = np.maximum(filled, opacity.density * np.exp(-(np.asarray(q, np.float32) ** 2)))
    return filled


def _texture(rng: np.random.Generator, count: int) -> Array:
    """Patchiness around 1 on two scales."""
    coarse, fine = (ndimage.gaussian_filter(rng.standard_normal((count, count), np.float32), s) for s in (14, 5))
    return np.asarray(1 + 0.25 * coarse / coarse.std() + 0.15 * fine / fine.std(), np.float32)


def _tubes(thorax: Thorax, pixels: int, pixel_mm: float) -> Array:
    """Water-equivalent path in mm that bones, vessels and airways add, as overlapping balls."""
    total = np.zeros((pixels, pixels), np.float32)
    top = 8.0 * thorax.scale + pixels * pixel_mm / 2
    for tube in thorax.tubes:
        surroundings = LUNG_HU if tube.kind == "vessel" else 40.0
        for (x, _, z), radius, length in _steps(tube):
            weight = 0.75 * length / radius * (tube.hu - surroundings) / 1000
            weight *= _BONE_GAIN if tube.kind == "bone" else 1.0
            _ball(total, (top - z) / pixel_mm, x / pixel_mm + pixels / 2, radius / pixel_mm, weight * pixel_mm)
    return total


def _steps(tube: Tube) -> list[tuple[NDArray[np.float64], float, float]]:
    """Points along the tube, closer together than its radius, with radius and length in mm."""
    found = []
    for start, end, radius in zip(tube.points[:-1], tube.points[1:], tube.radii[:-1], strict=True):
        length = float(np.linalg.norm(end - start))
        count = max(1, int(np.ceil(length / (0.4 * radius))))
        found += [(start + (end - start) * (i + 0.5) / count, float(radius), length / count) for i in range(count)]
    return found


def _ball(total: Array, row: float, column: float, radius: float, weight: float) -> None:
    """Add `weight` times the thickness of a ball; `radius` in pixels."""
    low = (max(0, int(row - radius)), max(0, int(column - radius)))
    high = (min(total.shape[0], int(row + radius) + 2), min(total.shape[1], int(column + radius) + 2))
    if high[0] <= low[0] or high[1] <= low[1]:
        return
    r, c = np.ogrid[low[0] : high[0], low[1] : high[1]]
    squared = radius**2 - (r + 0.5 - row) ** 2 - (c + 0.5 - column) ** 2
    total[low[0] : high[0], low[1] : high[1]] += 2 * np.sqrt(np.maximum(squared, 0)).astype(np.float32) * weight


def _dataset(
    study: PhantomStudy, image: NDArray[np.uint16], series_uid: str, pixel_mm: float, view: str, inverted: bool
) -> Dataset:
    """One Digital X-Ray Image - For Presentation (PS3.3 Table A.26-1)."""
    ds = new_instance(study, DigitalXRayImageStorageForPresentation, derived_uid(series_uid, 1), "DX")
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = series_uid, 1, 1
    ds.SeriesDescription = "Chest frontal"
    ds.ImageType = ["ORIGINAL", "PRIMARY", ""]
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.ImageLaterality, ds.ViewPosition, ds.PatientOrientation = "U", view, ["L", "F"]
    ds.AnatomicRegionSequence = DicomSequence([_code("816094009", "SCT", "Chest")])
    ds.ViewCodeSequence = DicomSequence([_view(view)])
    ds.PositionerType = ""
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", -1 if inverted else 1
    ds.PixelSpacing = ds.ImagerPixelSpacing = [f"{pixel_mm:.6f}"] * 2
    ds.DetectorType, ds.DetectorID = "DIRECT", "PHANTOM"
    ds.AcquisitionDeviceProcessingDescription = "Computed"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME1" if inverted else "MONOCHROME2"
    ds.Rows, ds.Columns = image.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    ds.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    ds.WindowCenter, ds.WindowWidth = 2048, 4096
    ds.LossyImageCompression, ds.BurnedInAnnotation = "00", "NO"
    ds.AcquisitionContextSequence = DicomSequence([])
    stored = _MAX_VALUE - image if inverted else image
    ds.PixelData = stored.astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def _view(view_position: str) -> Dataset:
    """A view of CID 4010."""
    if view_position == "AP":
        return _code("399348003", "SCT", "antero-posterior")
    return _code("272460009", "SCT", "postero-anterior")


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
