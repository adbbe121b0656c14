"""Laboratory values as they are shown: with the reference range that they were judged by, and by whom it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cds.domain.evidence import Modality
from cds.domain.labs import by_code, default_range, too_young
from cds.domain.records import LabResult, LabStatus
from cds.domain.report import Report
from cds.report.chinese import chinese
from cds.report.labels import STALE, Bilingual
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


def no_range(report: Report, lab: LabResult) -> Bilingual:
    """That no range is known, and whether only because the patient is too young for those that are."""
    analyte = by_code(lab.analyte.value)
    if analyte is not None and too_young(analyte, report.study.patient.age_years):
        return "no reference range for this age", "该年龄无参考范围"
    return "no reference range", "无参考范围"


def _flag(lab: LabResult, low: float | None, high: float | None) -> Literal["H", "L", ""]:
    """A bound such as ``<10`` is flagged only where every value that it allows lies outside."""
    above, below = lab.comparator.startswith(">"), lab.comparator.startswith("<")
    if high is not None and not below and (lab.value > high or (lab.comparator == ">" and lab.value >= high)):
        return "H"
    if low is not None and not above and (lab.value < low or (lab.comparator == "<" and lab.value <= low)):
        return "L"
    return ""


_HOURS_A_DAY: Final = 24
_DAYS_FROM_HOURS: Final = 48
"""From so many hours an age is told in days."""


def age_hours(report: Report, lab: LabResult) -> float | None:
    """How many hours before the study the specimen was taken, negative after it; None where that is not known."""
    started = report.study.started_at
    known = started is not None and started.tzinfo is not None and lab.observed_at.tzinfo is not None
    return round((started - lab.observed_at).total_seconds() / 3600, 2) if started is not None and known else None


def age(report: Report, lab: LabResult) -> Bilingual:
    """``"4 h before the study"``; empty where the study has no time."""
    hours = age_hours(report, lab)
    if hours is None:
        return "", ""
    told, told_zh = _span(abs(hours))
    if told == "0 h":
        return "at the study", "检查时"
    return (f"{told} before the study", f"检查前{told_zh}") if hours >= 0 else (f"{told} after it", f"检查后{told_zh}")


def _span(hours: float) -> Bilingual:
    if hours >= _DAYS_FROM_HOURS:
        days = number(round(hours / _HOURS_A_DAY, 1))
        return f"{days} d", f"{days}天"
    shown = number(round(hours, 1))
    return f"{shown} h", f"{shown}小时"


def window(lab: LabResult) -> Bilingual:
    """How long before and after a study a value of this analyte counts; empty where its source does not say."""
    if lab.window_hours is None:
        return "", ""
    before, after = (_span(hours) for hours in lab.window_hours)
    return f"counts {before[0]} before to {after[0]} after", f"检查前{before[1]}至后{after[1]}内有效"


def is_stale(report: Report, lab: LabResult) -> bool:
    """Whether it is older than a day, and than half of the time for which it counts."""
    hours = age_hours(report, lab)
    return hours is not None and lab.window_hours is not None and hours > max(_HOURS_A_DAY, lab.window_hours[0] / 2)


def earlier(report: Report, lab: LabResult) -> tuple[LabResult, ...]:
    """Final values of the same analyte from before, oldest first."""
    return tuple(each for each in report.case.records.earlier if each.analyte == lab.analyte)


def trend(report: Report, lab: LabResult) -> Bilingual:
    """``"45 → 80 → 120, rising over 2 d"``; empty where there is one value only.

    Rising or falling is said where each value is at least, or at most, the one before; a bound such as ``<10``
    leaves that open.
    """
    before = earlier(report, lab)[-MOST_EARLIER:]
    if not before:
        return "", ""
    series = [*before, lab]
    shown = " → ".join(f"{each.comparator}{number(each.value)}" for each in series)
    told, told_zh = _span((lab.observed_at - before[0].observed_at).total_seconds() / 3600)
    if told == "0 h":
        told, told_zh = "minutes", "数分钟"
    word, word_zh = _direction(series)
    return f"{shown}, {word} over {told}", f"{shown}，{told_zh}内{word_zh}"


MOST_EARLIER: Final = 4
"""Values of a trend beside the last; JSON has every one."""


def _direction(series: Sequence[LabResult]) -> Bilingual:
    values = [each.value for each in series]
    if any(each.comparator for each in series):
        return "direction open", "趋势不定"
    if len(set(values)) == 1:
        return "unchanged", "不变"
    if values == sorted(values):
        return "rising", "上升"
    return ("falling", "下降") if values == sorted(values, reverse=True) else ("varying", "波动")


def lab_sentence(report: Report, lab: LabResult) -> Bilingual:
    """One laboratory value with everything that makes it readable alone."""
    value = f"{lab.comparator}{number(lab.value)}{unit(lab.unit)}"
    english, words = f"{lab.analyte.meaning} ({lab.analyte.key}): {value}", f"{lab.analyte.text('zh')}：{value}"
    for part, part_zh in (_against(report, lab), _when(report, lab)):
        english, words = english + part, words + part_zh
    if changed := trend(report, lab)[0]:
        english, words = f"{english}, trend {changed}", f"{words}，趋势 {trend(report, lab)[1]}"
    source = one_line(lab.source)
    return f"{english}, source {source or 'not named'}", f"{words}，来源 {source or '未注明'}"


def _against(report: Report, lab: LabResult) -> Bilingual:
    """The range, or that there is none, and on which side of it the value lies."""
    judgement = judged(report, lab)
    if judgement.shown:
        default = f", {judgement.given_by}" if judgement.is_default else ""
        english = f" (reference {judgement.shown}{default})"
        words = f"（参考范围 {judgement.shown}{default.replace(', default: ', '，默认：')}）"
    else:
        told, told_zh = no_range(report, lab)
        english, words = f" ({told})", f"（{told_zh}）"
    if judgement.flag:
        english += " H, above it" if judgement.flag == "H" else " L, below it"
        words += " H，偏高" if judgement.flag == "H" else " L，偏低"
    return english, words


def _when(report: Report, lab: LabResult) -> Bilingual:
    """Status, time, age against the study, and how long it counts."""
    final, stale = lab.status is LabStatus.FINAL, is_stale(report, lab)
    moment = lab.observed_at.isoformat(timespec="minutes")
    ages, counts = age(report, lab), window(lab)
    english = ["" if final else lab.status.value, moment, ages[0], STALE[0] if stale else "", counts[0]]
    words = ["" if final else chinese(lab.status.value), moment, ages[1], STALE[1] if stale else "", counts[1]]
    return "".join(f", {each}" for each in english if each), "".join(f"，{each}" for each in words if each)
