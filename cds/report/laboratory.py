"""Laboratory values as they are shown: with the reference range that they were judged by, and by whom it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from cds.domain.evidence import Modality
from cds.domain.labs import by_code, default_range
from cds.domain.records import LabResult, LabStatus
from cds.domain.report import Report
from cds.report.chinese import chinese
from cds.report.labels import Bilingual
from cds.report.wording import number, one_line, unit

LABORATORY: Final = "laboratory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A value's reference range, in the value's unit, and where the value lies.

    `given_by` is ``"laboratory"``, ``"default: "`` and its source where a published range stood in, or ``""``.
    `flag` is ``"H"`` above the range, ``"L"`` below it, else ``""``.
    """

    low: float | None = None
    high: float | None = None
    given_by: str = ""
    flag: Literal["H", "L", ""] = ""

    @property
    def shown(self) -> str:
        """``"0–5"``, ``"≤5"``, ``"≥10"``; empty where no range is known."""
        if self.low is not None and self.high is not None:
            return f"{number(self.low)}–{number(self.high)}"
        if self.high is not None:
            return f"≤{number(self.high)}"
        return f"≥{number(self.low)}" if self.low is not None else ""

    @property
    def is_default(self) -> bool:
        """Whether the range is not the laboratory's own."""
        return self.given_by not in ("", LABORATORY)


def judged(report: Report, lab: LabResult) -> Judged:
    """The range that the laboratory extractor compared the value with.

    A default range is shown only where the extractor's note names it: with defaults switched off, or by
    another extractor, none was used.
    """
    low, high, given_by = lab.reference_low, lab.reference_high, LABORATORY
    if low is None and high is None:
        low, high, given_by = _default(report, lab)
    return Judged(low=low, high=high, given_by=given_by, flag=_flag(lab, low, high))


def _default(report: Report, lab: LabResult) -> tuple[float | None, float | None, str]:
    analyte, patient = by_code(lab.analyte.value), report.study.patient
    found = default_range(analyte, patient.sex, patient.age_years) if analyte else None
    if found is None:
        return None, None, ""
    told = f"default: {found.source}"
    notes = (
        each.note
        for part in report.evidence
        if part.modality is Modality.LABS
        for each in part.observations
        if each.concept == lab.analyte
    )
    return (found.low, found.high, told) if any(told in note for note in notes) else (None, None, "")


def _flag(lab: LabResult, low: float | None, high: float | None) -> Literal["H", "L", ""]:
    """A bound such as ``<10`` is flagged only where every value that it allows lies outside."""
    above, below = lab.comparator.startswith(">"), lab.comparator.startswith("<")
    if high is not None and not below and (lab.value > high or (lab.comparator == ">" and lab.value >= high)):
        return "H"
    if low is not None and not above and (lab.value < low or (lab.comparator == "<" and lab.value <= low)):
        return "L"
    return ""


def lab_sentence(report: Report, lab: LabResult) -> Bilingual:
    """One laboratory value with everything that makes it readable alone."""
    judgement = judged(report, lab)
    value = f"{lab.comparator}{number(lab.value)}{unit(lab.unit)}"
    when, source = lab.observed_at.isoformat(timespec="minutes"), one_line(lab.source)
    final = lab.status is LabStatus.FINAL
    english, words = f"{lab.analyte.meaning} ({lab.analyte.key}): {value}", f"{lab.analyte.text('zh')}：{value}"
    if judgement.shown:
        default = f", {judgement.given_by}" if judgement.is_default else ""
        english += f" (reference {judgement.shown}{default})"
        words += f"（参考范围 {judgement.shown}{default.replace(', default: ', '，默认：')}）"
    if judgement.flag:
        english += " H, above it" if judgement.flag == "H" else " L, below it"
        words += " H，偏高" if judgement.flag == "H" else " L，偏低"
    english += f"{'' if final else f', {lab.status.value}'}, {when}, source {source or 'not named'}"
    words += f"{'' if final else f'，{chinese(lab.status.value)}'}，{when}，来源 {source or '未注明'}"
    return english, words
