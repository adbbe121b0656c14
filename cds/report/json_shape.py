"""The shape of a report as JSON: what `cds analyze --json`, the web and every encoding agree on."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class CodeJson(TypedDict):
    """A coded concept."""

    value: str
    scheme: str
    meaning: str
    meaning_zh: str


class TextJson(TypedDict):
    """A text in both languages."""

    en: str
    zh: str


class AlgorithmJson(TypedDict):
    """Software or a model that took part."""

    name: str
    version: str
    sha256: str
    card: str


class LabJson(TypedDict):
    """One laboratory value; `unit` is UCUM, `time` ISO 8601.

    `reference_source` is ``"laboratory"``, ``"default: "`` and a source, or ``""``; `flag` is ``"H"``, ``"L"``
    or ``""``. It was taken `age_hours` before the study and counts `window_hours` before and after one; it is
    `stale` where it is older than a day and than half of that.
    """

    loinc: str
    name: str
    name_zh: str
    comparator: str
    value: float
    unit: str
    reference_low: float | None
    reference_high: float | None
    reference_source: str
    flag: str
    status: str
    time: str
    source: str
    age_hours: NotRequired[float | None]
    age: NotRequired[TextJson]
    stale: NotRequired[bool]
    window_hours: NotRequired[list[float] | None]
    window: NotRequired[TextJson]
    earlier: NotRequired[list[EarlierLabJson]]
    trend: NotRequired[TextJson | None]


class EarlierLabJson(TypedDict):
    """A final value of the same analyte from before, in the same unit."""

    comparator: str
    value: float
    time: str
    source: str


class TextInputJson(TypedDict):
    """One narrative text that went in, by its sha256."""

    report_id: str
    kind: str
    authored_at: str | None
    source: str
    sha256: str


class WaveformInputJson(TypedDict):
    """One recording that was joined to the study, by the sha256 of its files."""

    waveform_id: str
    format: str
    acquired_at: str | None
    source: str
    sha256: str


class SpanJson(TypedDict):
    """A passage of a text that an observation rests on, and the sentence around it."""

    report_id: str
    start: int
    end: int
    text: str
    sentence: str
    observation: str


class RejectedJson(TypedDict):
    """A record that was seen and not used."""

    source: str
    reason: str
    reason_zh: str


class InputsJson(TypedDict):
    """Everything that went in; `images` are SOP Instance UIDs."""

    images: list[str]
    complete: NotRequired[CompleteJson | None]
    labs: list[LabJson]
    texts: list[TextInputJson]
    waveforms: NotRequired[list[WaveformInputJson]]
    spans: list[SpanJson]
    rejected: list[RejectedJson]


class GateJson(TypedDict):
    """One check, passed or not, and why."""

    modality: str
    name: str
    name_zh: str
    passed: bool
    reason: str
    reason_zh: str


class MissingJson(TypedDict):
    """A modality that took no part, or not wholly."""

    modality: str
    reason: str
    reason_zh: str


class MeasurementJson(TypedDict):
    """A number with its quantity and UCUM unit."""

    quantity: CodeJson
    value: float
    unit: str


class SiteJson(TypedDict):
    """Where."""

    region: CodeJson
    laterality: CodeJson | None


class RegionJson(TypedDict):
    """A region on one image, (column, row) in pixels."""

    sop_instance_uid: str
    frame: int
    shape: str
    points: list[list[float]]


class ObservationJson(TypedDict):
    """One observation of one extractor."""

    id: str
    modality: str
    code: CodeJson
    assertion: str
    probability: float | None
    interval: list[float] | None
    measurements: list[MeasurementJson]
    site: SiteJson | None
    source: str
    note: str
    note_zh: str


class FindingJson(TypedDict):
    """One finding; `contributions` are differences in probability per modality, from `base`."""

    id: str
    tracking_uid: str
    code: CodeJson
    assertion: str
    probability: float | None
    interval: list[float] | None
    calibrated_on: str
    site: SiteJson | None
    region: RegionJson | None
    measurements: list[MeasurementJson]
    base: float | None
    contributions: dict[str, float]
    because: list[str]
    reason: str
    reason_zh: str
    text: TextJson
    algorithm: str


class StepJson(TypedDict):
    """One edge of the knowledge graph."""

    subject: CodeJson
    relation: str
    object: CodeJson
    citation: str


class StatementJson(TypedDict):
    """What knowledge says, with the path that explains it."""

    kind: str
    subject: CodeJson
    relation: str
    object: CodeJson
    citation: str
    path: list[StepJson]
    text: TextJson
    because: list[str]
    score: float


class RecommendationJson(TypedDict):
    """What a guideline says."""

    guideline: str
    table: str
    row: str
    text: TextJson
    citation: str
    because: list[str]
    applies: bool


class EarlierJson(TypedDict):
    """A size in an earlier report, and today's largest of the same concept; whether of the same lesion is not known."""

    code: CodeJson
    site: SiteJson | None
    report_id: str
    said_at: str | None
    sizes: list[MeasurementJson]
    now: list[MeasurementJson]
    observation: str


class ThenJson(TypedDict):
    """What was seen of something in one of two studies; `observation` is its id there."""

    observation: str
    assertion: str
    probability: float | None
    measurements: list[MeasurementJson]


class ChangeJson(TypedDict):
    """One thing then and now; not `matched` where only one of them stands.

    `volume_change` is (now - then) / then, `doubling_days` the volume doubling time in days.
    """

    code: CodeJson
    site: SiteJson | None
    matched: bool
    then: ThenJson | None
    now: ThenJson | None
    trend: str
    volume_change: float | None
    doubling_days: float | None


class PriorJson(TypedDict):
    """An earlier study beside the present one, `days` apart, by one modality; `text` has a sentence per change."""

    title: TextJson
    text: list[TextJson]
    study_instance_uid: str
    performed_on: str | None
    days: int | None
    modality: str
    reason: str
    reason_zh: str
    changes: list[ChangeJson]


class DifferenceJson(TypedDict):
    """One thing that this revision says otherwise than the one before, and the sentence about it.

    `then` is null where the revision before said nothing of it, `now` where this one does not any more.
    """

    matter: str
    id: str
    name: TextJson
    then: TextJson | None
    now: TextJson | None
    text: TextJson


class CompleteJson(TypedDict):
    """How many instances of the study were here when it was read, of how many."""

    held: int
    expected: int


class ReportJson(TypedDict):
    """One whole report."""

    banner: TextJson
    study_instance_uid: str
    created_at: str
    verification: str
    revision: int
    predecessor: str
    changes: NotRequired[list[DifferenceJson] | None]
    inputs_hash: str
    algorithm: list[AlgorithmJson]
    inputs: InputsJson
    missing: list[MissingJson]
    gates: list[GateJson]
    evidence: list[ObservationJson]
    findings: list[FindingJson]
    statements: list[StatementJson]
    recommendations: list[RecommendationJson]
    impression: TextJson
    priors: NotRequired[list[PriorJson]]
    not_compared: NotRequired[list[TextJson]]
    said_earlier: NotRequired[list[EarlierJson]]
    limits: list[str]
    limits_zh: NotRequired[list[str]]
