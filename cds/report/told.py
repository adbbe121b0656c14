"""What a report tells beside its findings: its limits, what was missing, and comparison with earlier reports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cds.domain.evidence import Measurement, Missing, Modality, Observation
from cds.domain.records import TextKind
from cds.domain.report import Report
from cds.errors import ReportError
from cds.report.chinese import chinese
from cds.report.labels import Bilingual
from cds.report.source import read_header
from cds.report.wording import clean, measure, one_line, place

ADULT_YEARS: Final = 18.0
"""Below it a patient is a child (Convention on the Rights of the Child, article 1)."""
CHILD: Final = (
    "The statements of the knowledge graph rest on sources about adults or sources that name no age; the patient is"
    " younger than 18 years, and they may not hold."
)
AGE_UNKNOWN: Final = (
    "The statements of the knowledge graph rest on sources about adults or sources that name no age; the patient's"
    " age is not known, and below 18 years they may not hold."
)
FLEISCHNER: Final = (
    "The Fleischner Society 2017 guideline for nodules holds from 35 years (doi:10.1148/radiol.2017161659, Table 1)."
)
ONLY_ORDER: Final = "no earlier report: only the reason for the examination was read"
ORDER_ID: Final = "order"
DESCRIPTION_ID: Final = "description"
"""The report ids under which the text extractor reads the reason for the examination and the study's description."""
LONGEST_SENTENCE: Final = 240
_END: Final = re.compile(r"[。！？；\n]|[.!?;](?=\s|$)")
"""A full stop within a number ends no sentence."""


def limits(report: Report) -> tuple[Bilingual, ...]:
    """Every limit of this report in both languages: what took part says, the patient's age, the source's values."""
    english = [clean(limit) for limit in (*report.limits, *_of_age(report), *_of_source(report))]
    return tuple((each, chinese(each)) for each in dict.fromkeys(english))


def _of_age(report: Report) -> Iterator[str]:
    """Knowledge about adults says so where the patient may be a child."""
    age = report.study.patient.age_years
    if age is not None and age >= ADULT_YEARS:
        return
    if report.statements or report.recommendations:
        yield AGE_UNKNOWN if age is None else CHILD
        yield FLEISCHNER


def _of_source(report: Report) -> tuple[str, ...]:
    """What was done to values of the images that break a rule; nothing where no file is there to read."""
    try:
        return read_header(report).notes
    except ReportError:
        return ()


def gaps(report: Report) -> tuple[Missing, ...]:
    """What was missing; also that there is no earlier report where only the order's text was read."""
    if Modality.TEXT in {part.modality for part in report.missing} or any(
        text.kind is not TextKind.ORDER and text.text.strip() for text in report.case.records.texts
    ):
        return report.missing
    return (*report.missing, Missing(modality=Modality.TEXT, reason=ONLY_ORDER))


@dataclass(frozen=True, slots=True)
class Passage:
    """The words that an observation rests on, in their sentence: ``before + words + after``."""

    before: str
    words: str
    after: str

    @property
    def sentence(self) -> str:
        """The whole sentence on one line."""
        return one_line(self.before + self.words + self.after)


def passage(report: Report, observation: Observation) -> Passage:
    """The sentence around a mention, cut where it is very long; empty where there is no such text."""
    span = observation.span
    text = _text(report, span.report_id) if span is not None else ""
    if span is None or not text:
        return Passage("", "", "")
    before, words, after = text[: span.start], text[span.start : span.end], text[span.end :]
    ends = list(_END.finditer(before))
    before = before[ends[-1].end() :] if ends else before
    end = None if _END.search(words[-1:]) else _END.search(after)
    after = "" if _END.search(words[-1:]) else after[: end.end()] if end else after
    room = max(LONGEST_SENTENCE - len(words), 0) // 2
    before, after = before.lstrip(), after.rstrip()
    return Passage(
        clean(before if len(before) <= room else "…" + before[len(before) - room :]),
        clean(words),
        clean(after if len(after) <= room else after[:room] + "…"),
    )


def _text(report: Report, report_id: str) -> str:
    found = next((text.text for text in report.case.records.texts if text.report_id == report_id), "")
    own = {ORDER_ID: report.study.reason_for_exam, DESCRIPTION_ID: report.study.description}
    return found or own.get(report_id, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What an earlier report says of the size of something, for the reader to compare with.

    `now` are the sizes that were measured on the images for the same concept, the largest first. It is
    not known whether they are of the same lesion.
    """

    observation: Observation
    said_at: datetime | None
    sizes: tuple[Measurement, ...]
    now: tuple[Measurement, ...]


def sizes_said_earlier(report: Report) -> tuple[Earlier, ...]:
    """Sizes in texts of earlier examinations, oldest last, beside today's of the same concept."""
    dates = {text.report_id: text.authored_at for text in report.case.records.texts if text.kind is TextKind.PRIOR}
    found = [
        Earlier(
            observation=each,
            said_at=dates[each.span.report_id],
            sizes=each.measurements,
            now=_largest(report, each),
        )
        for part in report.evidence
        if part.modality is Modality.TEXT
        for each in part.observations
        if each.span is not None and each.span.report_id in dates and each.measurements
    ]
    return tuple(sorted(found, key=lambda each: each.said_at.timestamp() if each.said_at else 0.0, reverse=True))


def _largest(report: Report, earlier: Observation) -> tuple[Measurement, ...]:
    """The largest length of today's findings of the same concept."""
    lengths = [
        size
        for finding in report.findings
        if finding.code == earlier.concept and earlier.id not in finding.because
        for size in finding.measurements
        if size.unit == "mm"
    ]
    return (max(lengths, key=lambda size: size.value),) if lengths else ()


def earlier_sentence(earlier: Earlier) -> Bilingual:
    """One earlier size as a sentence, with today's largest of the same concept."""
    code = earlier.observation.concept
    where, where_zh = place(earlier.observation.site)
    sizes, now = (", ".join(measure(each) for each in some) for some in (earlier.sizes, earlier.now))
    when = f"{earlier.said_at:%Y-%m-%d}" if earlier.said_at else ""
    english = f"{code.text('en')}{f' ({where})' if where else ''}: {sizes} in the earlier report"
    english += f" of {when}" if when else " (without a date)"
    english += f"; today's largest {now}; whether it is the same is not known." if now else "; not measured today."
    words = f"{code.text('zh')}{f'（{where_zh}）' if where_zh else ''}：{when or '未注明日期'}的既往报告中为 {sizes}"
    words += f"；本次最大 {now}；是否为同一病灶未知。" if now else "；本次未测量。"
    return english, words
