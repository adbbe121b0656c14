"""Evidence: what the extractors saw, each observation with its source."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cds.domain.code import Code
from cds.domain.waveform import Trace


class Modality(StrEnum):
    """The kinds of evidence that are fused; the order is the order of display."""

    XRAY = "chest_xray"
    CT = "chest_ct"
    LABS = "labs"
    TEXT = "text"
    WAVEFORM = "waveform"


class Assertion(StrEnum):
    """What is said about a concept."""

    PRESENT = "PRESENT"
    ABSENT = "ABSENT"
    UNCERTAIN = "UNCERTAIN"
    NOT_ASSESSED = "NOT_ASSESSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """A piece of software that took part, as TID 4019 wants it: name and version.

    `sha256` is of the weights or data file, ``""`` where there is none; `card` is the path of the
    model card inside the documentation.
    """

    name: str
    version: str
    sha256: str = ""
    card: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A number with its quantity and its UCUM unit."""

    quantity: Code
    value: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where: an anatomic region and, where it has sides, the laterality."""

    region: Code
    laterality: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRegion:
    """A region on one image: points (column, row) in pixels, DICOM SCOORD convention.

    Shapes are SCOORD's graphic types: ``"POINT"``, ``"POLYLINE"`` (closed when first = last),
    ``"CIRCLE"`` (centre, point on the circle) and ``"ELLIPSE"`` (PS3.3 C.18.6.1.2).
    """

    sop_instance_uid: str
    shape: str
    points: tuple[tuple[float, float], ...]
    frame: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Characters ``start`` to ``end`` (exclusive) of the text `report_id`."""

    report_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One thing that one extractor observed.

    Attributes
    ----------
    id
        Unique within a report and stable over reruns, e.g. ``"chest_ct/nodule/1"``.
    concept
        What was observed: a finding, or the analyte of a laboratory value (LOINC).
    assertion
        PRESENT for a measured value.
    probability, interval
        In 0..1, calibrated on what the algorithm's card says; None where not known.
    measurements
        Sizes, laboratory values.
    source
        SOP Instance UID, series UID, laboratory source or report id.
    position
        Where in the lungs, as fractions of the box around both: from right to left, front to back,
        bottom to top; ``()`` where it was not measured. What is at one place in two examinations is
        compared by it.
    """

    id: str
    concept: Code
    assertion: Assertion = Assertion.PRESENT
    probability: float | None = None
    interval: tuple[float, float] | None = None
    measurements: tuple[Measurement, ...] = ()
    site: Site | None = None
    region: ImageRegion | None = None
    span: Span | None = None
    source: str = ""
    note: str = ""
    position: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One check of the intended use or the input's quality, passed or not, and why."""

    name: str
    passed: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A modality that could not take part: a value on the report, never a silent None."""

    modality: Modality
    reason: str
    gates: tuple[Gate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one extractor makes of a case.

    Attributes
    ----------
    embedding
        The image features, shape (d,) as a tuple, d fixed by `algorithm`; ``()`` where there are none.
    key_image
        The SOP Instance UID that shows best what was observed, ``""`` where there is none.
    heat_map
        Row-major values in 0..1 over `key_image`, coarse (about 14 x 14); ``()`` where there is none.
    gates
        The checks made before and after.
    limits
        What a reader must know about this evidence, in English sentences.
    trace
        A strip of the waveform that was read, None where there is none.
    """

    modality: Modality
    algorithm: Algorithm
    observations: tuple[Observation, ...] = ()
    embedding: tuple[float, ...] = ()
    key_image: str = ""
    heat_map: tuple[tuple[float, ...], ...] = ()
    gates: tuple[Gate, ...] = ()
    limits: tuple[str, ...] = ()
    trace: Trace | None = None
