"""A computed chest CT: a whole series of DICOM files whose nodules are exactly known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from scipy import ndimage

from cds.testing.phantoms.nodules import Nodule, blend
from cds.testing.phantoms.patient import PhantomStudy, derived_uid, new_instance, save
from cds.testing.phantoms.thorax import Array, Thorax
from cds.testing.phantoms.tubes import Tube

_INTERCEPT: Final = -1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CtGrid:
    """Where the voxels lie: counts and mm as (z, y, x); `origin_mm` is the centre of the first voxel."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]

    @classmethod
    def over(cls, thorax: Thorax, *, matrix: int = 256, slice_mm: float = 2.0, slices: int | None = None) -> CtGrid:
        """A grid over the whole of a thorax, `matrix` x `matrix` pixels a slice."""
        low, high = thorax.extent_mm
        count = slices or int(np.ceil((high - low + 16 * thorax.scale) / slice_mm))
        pixel = thorax.width_mm / matrix
        bottom = (low + high) / 2 - (count - 1) / 2 * slice_mm
        corner = -(matrix - 1) / 2 * pixel
        return cls(
            shape=(count, matrix, matrix), spacing_mm=(slice_mm, pixel, pixel), origin_mm=(bottom, corner, corner)
        )

    def axes_mm(self) -> tuple[Array, Array, Array]:
        """The coordinates of the voxels along z, y and x."""
        z, y, x = (
            (origin + spacing * np.arange(count)).astype(np.float32)
            for origin, spacing, count in zip(self.origin_mm, self.spacing_mm, self.shape, strict=True)
        )
        return z, y, x


@dataclass(frozen=True, slots=True, kw_only=True)
class CtPhantom:
    """What was written, and the truth of it."""

    files: tuple[Path, ...]
    nodules: tuple[Nodule, ...]
    study_instance_uid: str
    series_instance_uid: str
    grid: CtGrid


def ct_thorax_phantom(
    out_dir: Path,
    *,
    nodules: Sequence[Nodule] = (),
    study: PhantomStudy | None = None,
    seed: int = 0,
    matrix: int = 256,
    slice_mm: float = 2.0,
    slices: int | None = None,
    contrast_hu: float = 0.0,
    noise_hu: float = 15.0,
    blur_mm: float = 0.6,
) -> CtPhantom:
    """Write one chest CT series of a phantom (CT Image Storage, PS3.3 A.3) into `out_dir`.

    The chest has the size that fits the patient's age. The same arguments give the same bytes.

    Parameters
    ----------
    nodules
        In mm of the phantom, see `cds.testing.phantoms.nodules.place`.
    blur_mm
        Standard deviation of the scanner's blur in the slice; 0.6 is a soft kernel.
    """
    study = study or PhantomStudy(seed=seed)
    thorax = Thorax(scale=study.scale, seed=seed, contrast_hu=contrast_hu)
    grid = CtGrid.over(thorax, matrix=matrix, slice_mm=slice_mm, slices=slices)
    hu = render(thorax, grid, nodules, noise_hu=noise_hu, blur_mm=blur_mm)
    series_uid = derived_uid("ct", seed, study.study_instance_uid)
    out_dir.mkdir(parents=True, exist_ok=True)
    files = tuple(
        save(_slice(study, grid, hu[index], index, series_uid), out_dir / f"ct{index:04d}.dcm")
        for index in range(len(hu))
    )
    return CtPhantom(
        files=files,
        nodules=tuple(nodules),
        study_instance_uid=study.study_instance_uid,
        series_instance_uid=series_uid,
        grid=grid,
    )


def render(
    thorax: Thorax, grid: CtGrid, nodules: Sequence[Nodule] = (), *, noise_hu: float = 15.0, blur_mm: float = 0.6
) -> NDArray[np.int16]:
    """Compute the voxels in HU, shape (slices, rows, columns), the lowest slice first."""
    z, y, x = grid.axes_mm()
    hu = np.empty(grid.shape, np.float32)
    for index, height in enumerate(z):
        hu[index] = thorax.hu(x[None, :], y[:, None], height[None, None], grid.spacing_mm[1] * 1.5)
    for tube in thorax.tubes:
        _draw(hu, tube, grid)
    origin, spacing = np.array(grid.origin_mm), np.array(grid.spacing_mm)
    for nodule in nodules:
        blend(hu, nodule, origin, spacing)
    return _scan(hu, grid, noise_hu, blur_mm, thorax.seed)


def _scan(hu: Array, grid: CtGrid, noise_hu: float, blur_mm: float, seed: int) -> NDArray[np.int16]:
    """Blur and noise as a soft kernel gives them; the noise is as coarse as the blur."""
    rng = np.random.default_rng([seed, 23])
    scanned = np.empty(hu.shape, np.int16)
    sigma = blur_mm / grid.spacing_mm[1]
    for index in range(len(hu)):
        noise = ndimage.gaussian_filter(rng.standard_normal(hu.shape[1:], np.float32), 0.8)
        noise *= noise_hu / noise.std()
        scanned[index] = np.clip(ndimage.gaussian_filter(hu[index], sigma) + noise, -1024, 3071).round()
    return scanned


def _draw(hu: Array, tube: Tube, grid: CtGrid) -> None:
    """Draw a tube as overlapping pieces between neighbouring points, each in its own small box."""
    origin, spacing = np.array(grid.origin_mm), np.array(grid.spacing_mm)
    softness = float(spacing[1:].mean()) * 1.2
    for start, end, radius in zip(tube.points[:-1], tube.points[1:], tube.radii[:-1], strict=True):
        a, b = start[::-1], end[::-1]
        low = np.maximum(np.floor((np.minimum(a, b) - radius - softness - origin) / spacing), 0).astype(int)
        high = np.ceil((np.maximum(a, b) + radius + softness - origin) / spacing).astype(int) + 1
        high = np.minimum(high, hu.shape)
        if (high <= low).any():
            continue
        grids = np.ogrid[tuple(slice(p, q) for p, q in zip(low, high, strict=True))]
        away = [g * s + o - p for g, s, o, p in zip(grids, spacing, origin, a, strict=True)]
        along = b - a
        t = sum(d * v for d, v in zip(away, along, strict=True)) / max(float(along @ along), 1e-9)
        t = np.clip(t, 0, 1)
        distance = np.sqrt(sum((d - t * v) ** 2 for d, v in zip(away, along, strict=True)))
        share = np.clip(0.5 - (distance - radius) / softness, 0, 1).astype(np.float32)
        box = hu[tuple(slice(p, q) for p, q in zip(low, high, strict=True))]
        blended = box + (tube.hu - box) * share
        np.copyto(box, np.minimum(box, blended) if tube.hu < -500 else np.maximum(box, blended))


def _slice(study: PhantomStudy, grid: CtGrid, hu: NDArray[np.int16], index: int, series_uid: str) -> Dataset:
    """One CT Image (PS3.3 Table A.3-1)."""
    ds = new_instance(study, CTImageStorage, derived_uid(series_uid, index), "CT")
    z = grid.origin_mm[0] + index * grid.spacing_mm[0]
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SeriesDescription = "CT phantom"
    ds.SeriesInstanceUID, ds.SeriesNumber = series_uid, 2
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = derived_uid(series_uid, "frame"), ""
    ds.AcquisitionNumber, ds.InstanceNumber = 1, grid.shape[0] - index
    ds.KVP, ds.ConvolutionKernel, ds.PatientPosition = 120, "SOFT", "HFS"
    ds.SliceThickness = ds.SpacingBetweenSlices = _ds(grid.spacing_mm[0])
    ds.ImagePositionPatient = [_ds(grid.origin_mm[2]), _ds(grid.origin_mm[1]), _ds(z)]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.SliceLocation = _ds(z)
    ds.PixelSpacing = [_ds(grid.spacing_mm[1]), _ds(grid.spacing_mm[2])]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = hu.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = _INTERCEPT, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = -500, 1500
    ds.PixelData = (hu.astype(np.int32) - _INTERCEPT).astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def _ds(value: float) -> str:
    """A DS value of at most 16 characters (PS3.5 6.2)."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
