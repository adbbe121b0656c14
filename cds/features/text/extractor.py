"""The texts of a case as evidence: one observation per mention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from cds.domain.code import Code
from cds.domain.evidence import Algorithm, Assertion, Evidence, Measurement, Missing, Modality, Observation, Site, Span
from cds.domain.records import TextKind, TextReport
from cds.domain.report import Case
from cds.domain.vocabulary import ANATOMY
from cds.features.text.lexicon import lexicon
from cds.features.text.parser import parse
from cds.features.text.values import Mention

NAME: Final = "cds-text-rules"
VERSION: Final = "1.0"
ORDER_ID: Final = "order"
DESCRIPTION_ID: Final = "description"
DIAMETER: Final = Code("81827009", "SCT", "Diameter", "直径")
LIMITS: Final = (
    "Report texts were read by word lists and rules, not understood; what a text says is its author's word.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSettings:
    """Settings of the text extractor.

    `max_characters`: what a text says beyond so many characters is not read, and the evidence says so.
    """

    max_characters: int = 200_000


class ReportText:
    """Reads the reports and the order of a case (`cds.extractors`).

    A mention that is not of this patient and this time is never PRESENT: what an order or a "rule out"
    asks for is UNCERTAIN; what was true before, or of a relative, is NOT_ASSESSED. The note says which.
    """

    modality: ClassVar[Modality] = Modality.TEXT
    Settings: ClassVar[type[TextSettings]] = TextSettings

    def __init__(self, settings: TextSettings) -> None:
        self._settings = settings

    def extract(self, case: Case) -> Evidence | Missing:
        """One observation per mention of every text; Missing where there is no text."""
        texts = texts_of(case)
        if not texts:
            return Missing(modality=self.modality, reason="the case has no report and no reason for the examination")
        return Evidence(
            modality=self.modality,
            algorithm=algorithm(),
            observations=tuple(_distinct(observation for text in texts for observation in self._observed(text))),
            limits=LIMITS + self._cut(texts),
        )

    def _observed(self, text: TextReport) -> Iterator[Observation]:
        readable = text.text[: self._settings.max_characters]
        for mention in parse(readable, report_id=text.report_id).mentions:
            if not mention.general:
                yield _observation(mention, text)

    def _cut(self, texts: list[TextReport]) -> tuple[str, ...]:
        longest = self._settings.max_characters
        if all(len(text.text) <= longest for text in texts):
            return ()
        return (f"A text was longer than {longest} characters; only its beginning was read.",)


def texts_of(case: Case) -> list[TextReport]:
    """Every text of a case that says something: its records', the reason for the examination, the description."""
    texts = list(case.records.texts)
    texts.append(TextReport(report_id=ORDER_ID, text=case.study.reason_for_exam, kind=TextKind.ORDER))
    # A description ("CT chest") names what was done; it is a text only where it also says what for.
    if not all(mention.general for mention in parse(case.study.description).mentions):
        texts.append(TextReport(report_id=DESCRIPTION_ID, text=case.study.description, kind=TextKind.ORDER))
    return [text for text in texts if text.text.strip()]


def algorithm() -> Algorithm:
    """The rules and the word lists they rest on."""
    return Algorithm(name=NAME, version=VERSION, sha256=lexicon().sha256, card="howto/extend-the-lexicon.md")


def _observation(mention: Mention, text: TextReport) -> Observation:
    return Observation(
        id=f"text/{text.report_id}/{mention.start}",
        concept=mention.code,
        assertion=_assertion(mention, text.kind),
        measurements=(Measurement(quantity=DIAMETER, value=mention.size.mm, unit="mm"),) if mention.size else (),
        site=_site(mention),
        span=Span(report_id=text.report_id, start=mention.start, end=mention.end),
        source=text.report_id,
        note="; ".join(_notes(mention, text)),
    )


def _assertion(mention: Mention, kind: TextKind) -> Assertion:
    if mention.historical or mention.subject != "patient" or kind is TextKind.PRIOR:
        return Assertion.NOT_ASSESSED
    if mention.hypothetical or kind is TextKind.ORDER:
        return Assertion.UNCERTAIN
    return mention.assertion


def _site(mention: Mention) -> Site | None:
    if not mention.region:
        return None
    return Site(region=ANATOMY[mention.region], laterality=ANATOMY[mention.laterality] if mention.laterality else None)


def _notes(mention: Mention, text: TextReport) -> Iterator[str]:
    """What a reader must know to weigh the observation."""
    kind = text.kind
    if kind is TextKind.PRIOR:
        yield "prior report"
        when = f" on {text.authored_at.date().isoformat()}" if text.authored_at else ""
        yield f"said then{when}: {mention.assertion.value.lower()}"
    if kind is TextKind.ORDER:
        yield "order"
    if mention.historical:
        yield "historical"
    if mention.hypothetical or (kind is TextKind.ORDER and not mention.historical):
        yield "asked for, not found"
    if mention.subject != "patient":
        yield f"said of: {mention.subject}"
    if mention.change:
        yield f"change: {mention.change.value}"


def _distinct(observations: Iterator[Observation]) -> Iterator[Observation]:
    """Ids made unique: two findings in the same words ("ground glass nodule") get their numbers in order."""
    seen: dict[str, int] = {}
    for observation in observations:
        seen[observation.id] = count = seen.get(observation.id, 0) + 1
        yield observation if count == 1 else replace(observation, id=f"{observation.id}/{count}")
