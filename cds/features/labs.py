"""Laboratory values as evidence: one observation for each analyte, compared with its reference range."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Final

from cds.domain.evidence import Algorithm, Evidence, Measurement, Missing, Modality, Observation
from cds.domain.labs import by_code, default_range, latest_final, too_young
from cds.domain.records import LabResult, LabStatus, Records
from cds.domain.report import Case
from cds.domain.study import Patient

ALGORITHM: Final = Algorithm(name="cds-labs", version="1.0.0")
DEFAULT_RANGES: Final = (
    "Where the laboratory gave no reference range, a published default range was used; "
    "the note of each value says which."
)
PRELIMINARY: Final = "Some laboratory values are preliminary: no final result of the same analyte was there."
SHOWN_REASONS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LabsSettings:
    """``[models.labs]``: whether default reference ranges stand in where a laboratory gave none."""

    default_ranges: bool = True


@dataclass(frozen=True, slots=True)
class _Compared:
    """A value against a range: the word for the reader, and where the range is from."""

    word: str
    against: str
    is_default: bool = False


class Labs:
    """The laboratory values that were joined to the study (`cds.extractors`)."""

    Settings = LabsSettings
    modality: ClassVar[Modality] = Modality.LABS

    def __init__(self, settings: LabsSettings) -> None:
        self._settings = settings

    def extract(self, case: Case) -> Evidence | Missing:
        """One observation per analyte, the latest final value, in the order of `cds.domain.labs.ANALYTES`."""
        used, _ = latest_final(case.records.labs)
        if not used:
            return Missing(modality=Modality.LABS, reason=_why_none(case.records))
        compared = [self._compare(result, case.study.patient) for result in used]
        limits = [DEFAULT_RANGES] if any(item.is_default for item in compared) else []
        limits += [PRELIMINARY] if any(result.status is LabStatus.PRELIMINARY for result in used) else []
        return Evidence(
            modality=Modality.LABS,
            algorithm=ALGORITHM,
            observations=tuple(_observation(result, item) for result, item in zip(used, compared, strict=True)),
            limits=tuple(limits),
        )

    def _compare(self, result: LabResult, patient: Patient) -> _Compared:
        """The laboratory's own range goes first, then the default range for the age and sex."""
        if result.reference_low is not None or result.reference_high is not None:
            span = _span(result.reference_low, result.reference_high, result.unit)
            word = _word(result, result.reference_low, result.reference_high)
            return _Compared(word, f"{span}, as the laboratory gave it")
        analyte = by_code(result.analyte.value)
        if not self._settings.default_ranges or analyte is None:
            return _Compared("not compared", "no reference range given")
        default = default_range(analyte, patient.sex, patient.age_years)
        if default is None and too_young(analyte, patient.age_years):
            return _Compared("not compared", "none given, and no default range for this age")
        if default is None:
            return _Compared("not compared", "none given, and no default for this analyte, age and sex")
        span = _span(default.low, default.high, result.unit)
        return _Compared(
            _word(result, default.low, default.high), f"{span}, default: {default.source}", is_default=True
        )


def _observation(result: LabResult, compared: _Compared) -> Observation:
    """The note begins with the comparator where there is one: the measurement alone would say too much."""
    bound = f"{result.comparator} {result.value:g} {result.unit}; " if result.comparator else ""
    status = f"; {result.status}" if result.status is not LabStatus.FINAL else ""
    return Observation(
        id=f"labs/{result.analyte.value}",
        concept=result.analyte,
        measurements=(Measurement(quantity=result.analyte, value=result.value, unit=result.unit),),
        source=result.source,
        note=f"{bound}{compared.word} (reference range: {compared.against}){status}",
    )


def _word(result: LabResult, low: float | None, high: float | None) -> str:
    """``"high"``, ``"low"`` or ``"normal"``; ``"not compared"`` where a bound such as ``<10`` leaves it open."""
    least = 0.0 if result.comparator.startswith("<") else result.value
    most = float("inf") if result.comparator.startswith(">") else result.value
    strictly_above = result.comparator == ">" and high is not None and least >= high
    strictly_below = result.comparator == "<" and low is not None and most <= low
    if strictly_above or (high is not None and least > high):
        return "high"
    if strictly_below or (low is not None and most < low):
        return "low"
    if (low is None or least >= low) and (high is None or most <= high):
        return "normal"
    return "not compared"


def _span(low: float | None, high: float | None, unit: str) -> str:
    if low is None:
        return f"up to {high:g} {unit}"
    return f"from {low:g} {unit}" if high is None else f"{low:g} to {high:g} {unit}"


def _why_none(records: Records) -> str:
    """What a reader must know to get values the next time: nothing configured, nothing found, nothing usable."""
    refused = [record for record in records.rejected if not record.source.startswith("reports")]
    if not refused:
        return "no laboratory values: no source of laboratory values is configured, or it has none for this patient"
    reasons = Counter(record.reason for record in refused)
    shown = "; ".join(reason for reason, _ in reasons.most_common(SHOWN_REASONS))
    more = f"; and {len(reasons) - SHOWN_REASONS} more reasons" if len(reasons) > SHOWN_REASONS else ""
    return f"no laboratory value could be used: {shown}{more}"
