"""A CT series as a volume in Hounsfield units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pydicom
from numpy.typing import NDArray

from cds.dicom import elements, text
from cds.dicom.broken import UNDECODABLE
from cds.dicom.decode import decoded
from cds.dicom.geometry import Plane, stack
from cds.dicom.part10 import OpenFile, opened
from cds.domain.study import Instance, Series
from cds.errors import EvidenceError, MalformedInstance

_IMAGE_TYPE, _THICKNESS, _TILT, _KERNEL = 0x00080008, 0x00180050, 0x00181120, 0x00181210
_POSITION, _ORIENTATION, _SPACING = 0x00200032, 0x00200037, 0x00280030
_ROWS, _COLUMNS, _SAMPLES = 0x00280010, 0x00280011, 0x00280002
_ALLOCATED, _STORED, _SIGNED = 0x00280100, 0x00280101, 0x00280103
_INTERCEPT, _SLOPE, _RESCALE_TYPE = 0x00281052, 0x00281053, 0x00281054
_TAGS: Final = frozenset({
    _IMAGE_TYPE, _THICKNESS, _TILT, _KERNEL, _POSITION, _ORIENTATION, _SPACING, _ROWS, _COLUMNS,
    _SAMPLES, _ALLOCATED, _STORED, _SIGNED, _INTERCEPT, _SLOPE, _RESCALE_TYPE,
})  # fmt: skip
_MAX_TILT_DEGREES: Final = 0.5
_HU_RANGE: Final = (-1024.0, 32767.0)
"""Below air there is only padding, which scanners set to -2000 or -3024."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Volume:
    """Voxels in HU and where they lie.

    Attributes
    ----------
    hu
        Shape (slices, rows, columns), int16; the slices in the order of their position along the normal.
    affine
        Shape (4, 4): (slice, row, column, 1) to (x, y, z, 1) in LPS mm.
    spacing_mm
        Voxel size as (slice, row, column).
    sop_instance_uids
        One per slice.
    slice_thickness_mm
        As the scanner says; the slice distance where it does not.
    """

    hu: NDArray[np.int16]
    affine: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    sop_instance_uids: tuple[str, ...]
    series_instance_uid: str
    slice_thickness_mm: float
    kernel: str = ""

    def to_lps_mm(self, index: Sequence[float]) -> tuple[float, float, float]:
        """Where a voxel (slice, row, column), whole or between, lies in the patient."""
        x, y, z, _ = (self.affine @ [*index, 1.0]).tolist()
        return x, y, z


@dataclass(frozen=True, slots=True)
class _Slice:
    """What one header says."""

    instance: Instance
    values: Mapping[int, bytes]
    transfer_syntax_uid: str

    def decimals(self, tag: int) -> tuple[float, ...]:
        """A DS value, ``()`` where it is missing or no number."""
        words = text.decode(self.values.get(tag, b""))
        try:
            found = tuple(float(word) for word in words.split("\\")) if words else ()
        except ValueError:
            return ()
        return found if np.isfinite(found).all() else ()

    def unsigned(self, tag: int) -> int:
        """A US value, 0 where it is missing."""
        big = self.transfer_syntax_uid == elements.EXPLICIT_VR_BIG_ENDIAN
        return int.from_bytes(self.values.get(tag, b"")[:2], "big" if big else "little")

    @property
    def is_localizer(self) -> bool:
        """Image Type value 3 (PS3.3 C.8.2.1.1.1)."""
        return "LOCALIZER" in text.decode(self.values.get(_IMAGE_TYPE, b"")).upper().split("\\")


def load_volume(series: Series) -> Volume:
    """Read one single-frame CT series into HU; localizers in it are left out.

    Raises
    ------
    EvidenceError
        When the series is no volume (see `cds.dicom.geometry.stack`), its gantry is tilted, it is
        multi-frame (Enhanced CT is not read), its pixels cannot be decoded, or a slice has no
        Rescale Slope and Intercept: a number without them is not HU.
    """
    slices = [part for part in map(_header, series.instances) if not part.is_localizer]
    if not slices:
        raise EvidenceError(f"series {series.series_instance_uid} holds nothing but localizers")
    geometry = stack([_plane(part) for part in slices])
    ordered = [slices[index] for index in geometry.order]
    hu = np.empty((len(ordered), *_plane(ordered[0]).shape), np.int16)
    for index, part in enumerate(ordered):
        hu[index] = _to_hu(_stored_values(part), part)
    thickness = ordered[0].decimals(_THICKNESS)
    return Volume(
        hu=hu,
        affine=geometry.affine,
        spacing_mm=geometry.spacing_mm,
        sop_instance_uids=tuple(part.instance.sop_instance_uid for part in ordered),
        series_instance_uid=series.series_instance_uid,
        slice_thickness_mm=thickness[0] if thickness else geometry.spacing_mm[0],
        kernel=text.decode(ordered[0].values.get(_KERNEL, b"")),
    )


def _header(instance: Instance) -> _Slice:
    uid = instance.sop_instance_uid
    if instance.frames > 1:
        raise EvidenceError(f"instance {uid} is multi-frame: Enhanced CT is not read, send the single-frame series")
    try:
        with opened(instance.path) as file:
            values = elements.values(file.data, file.transfer_syntax_uid, _TAGS, file.offset)
            return _Slice(instance, values, file.transfer_syntax_uid)
    except (MalformedInstance, OSError) as error:
        raise EvidenceError(f"instance {uid} cannot be read") from error


def _plane(part: _Slice) -> Plane:
    uid = part.instance.sop_instance_uid
    position, orientation, spacing = (part.decimals(tag) for tag in (_POSITION, _ORIENTATION, _SPACING))
    if (len(position), len(orientation), len(spacing)) != (3, 6, 2):
        raise EvidenceError(f"instance {uid} lacks Image Position, Image Orientation (Patient) or Pixel Spacing")
    tilt = part.decimals(_TILT)
    if tilt and abs(tilt[0]) > _MAX_TILT_DEGREES:
        raise EvidenceError(f"the gantry is tilted by {tilt[0]:.1f} degrees: a tilted gantry is not supported")
    x, y, z = position
    a, b, c, d, e, f = orientation
    return Plane(
        position=(x, y, z),
        orientation=(a, b, c, d, e, f),
        spacing_mm=(spacing[0], spacing[1]),
        shape=(part.unsigned(_ROWS), part.unsigned(_COLUMNS)),
    )


def _to_hu(stored: NDArray[np.integer], part: _Slice) -> NDArray[np.int16]:
    """Modality LUT by slope and intercept (PS3.3 C.11.1.1.2), rounded to whole HU."""
    uid = part.instance.sop_instance_uid
    slope, intercept = part.decimals(_SLOPE), part.decimals(_INTERCEPT)
    if len(slope) != 1 or len(intercept) != 1 or slope[0] == 0:
        raise EvidenceError(f"instance {uid} has no Rescale Slope and Intercept: its values are not HU")
    kind = text.decode(part.values.get(_RESCALE_TYPE, b"")).upper()
    if kind not in ("", "HU"):
        raise EvidenceError(f"instance {uid} is rescaled to {kind[:16]!r}, not to HU")
    with np.errstate(over="ignore", invalid="ignore"):
        values = stored.astype(np.float32) * np.float32(slope[0]) + np.float32(intercept[0])
    if not np.isfinite(values).all():
        raise EvidenceError(f"instance {uid} is rescaled to numbers that are not finite")
    return np.asarray(np.clip(values.round(), *_HU_RANGE), np.int16)


def _stored_values(part: _Slice) -> NDArray[np.integer]:
    """Stored pixel values, shape (rows, columns): straight from the file, or decoded by pydicom."""
    uid = part.instance.sop_instance_uid
    if part.unsigned(_SAMPLES) != 1 or part.unsigned(_ALLOCATED) not in (8, 16):
        raise EvidenceError(f"instance {uid} is no greyscale image of 8 or 16 bits")
    try:
        with opened(part.instance.path) as file:
            raw = _native(file, part)
        values = decoded(pydicom.dcmread(part.instance.path)) if raw is None else raw
    except (MalformedInstance, *UNDECODABLE) as error:
        raise EvidenceError(f"the pixels of instance {uid} cannot be decoded ({type(error).__name__})") from error
    if values.shape != (part.unsigned(_ROWS), part.unsigned(_COLUMNS)):
        raise EvidenceError(f"the pixels of instance {uid} do not have the shape that its header says")
    return _used_bits(values, part)


def _native(file: OpenFile, part: _Slice) -> NDArray[np.integer] | None:
    """Copy uncompressed pixels from the mapped file; None where they are encapsulated."""
    span = elements.scan(file.data, file.transfer_syntax_uid, (), file.offset).pixels
    if span is None:
        return None
    rows, columns, size = part.unsigned(_ROWS), part.unsigned(_COLUMNS), part.unsigned(_ALLOCATED) // 8
    if span[1] - span[0] < rows * columns * size:
        raise MalformedInstance("Pixel Data is shorter than rows times columns")
    order = ">" if file.transfer_syntax_uid == elements.EXPLICIT_VR_BIG_ENDIAN else "<"
    dtype = np.dtype(f"{order}{'i' if part.unsigned(_SIGNED) else 'u'}{size}")
    content = file.data[span[0] : span[0] + rows * columns * size]
    return np.frombuffer(content, dtype).reshape(rows, columns)


def _used_bits(stored: NDArray[np.integer], part: _Slice) -> NDArray[np.integer]:
    """Drop what old scanners keep in the bits above Bits Stored (overlays, PS3.5 8.1.2)."""
    bits = part.unsigned(_STORED)
    spare = stored.dtype.itemsize * 8 - bits
    if not 0 < spare < stored.dtype.itemsize * 8:
        return stored
    if part.unsigned(_SIGNED):
        return (stored << spare) >> spare
    return stored & ((1 << bits) - 1)
