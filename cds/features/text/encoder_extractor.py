"""The `text_encoder` extractor: a site's own transformer encoder over the texts of a case."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

from cds.domain.evidence import Algorithm, Assertion, Evidence, Missing, Modality, Observation, Span
from cds.domain.records import TextKind, TextReport
from cds.domain.report import Case
from cds.domain.vocabulary import FINDINGS
from cds.errors import ConfigError
from cds.features.text.encoder import Encoded, Encoder
from cds.features.text.extractor import texts_of
from cds.features.xray.model import chosen_device

CARD: Final = "howto/text-encoder.md"
NO_FOLDER: Final = "no folder of a text encoder is configured"
_LABEL: Final = re.compile(r"(?P<key>\w+)(?:=(?P<assertion>PRESENT|ABSENT|UNCERTAIN))?")
_LIMITS: Final = (
    "A text encoder of the site's own was used; its labels are not calibrated, and nothing is known here of its"
    " training.",
)
_CUT: Final = "A text was too long for the text encoder; only its beginning was read."


class TextEncoder:
    """Encodes the texts of a case (`cds.extractors`): one embedding, and what the encoder's head says.

    A label of the head counts where it is a finding's key (`cds.domain.vocabulary`), with ``=ABSENT`` or
    ``=UNCERTAIN`` behind it where it says so; other labels are left out. As with the rules, what an earlier report
    says is NOT_ASSESSED now, and nothing of an order is PRESENT.
    """

    modality: ClassVar[Modality] = Modality.TEXT

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        """`folder` with config.json, tokenizer and model.safetensors, whose `sha256` is pinned.

        `device` is ``"auto"``, ``"cpu"`` or ``"cuda"``; `max_tokens` of a window; a label of a whole text is
        ABSENT up to `absent_below` and PRESENT from `present_from`.
        """

        folder: str = ""
        sha256: str = ""
        device: str = "auto"
        max_tokens: int = 512
        absent_below: float = 0.3
        present_from: float = 0.7

        def __post_init__(self) -> None:
            if not 0 <= self.absent_below <= self.present_from <= 1:
                raise ValueError("0 <= absent_below <= present_from <= 1 must hold")
            if self.max_tokens < 16:
                raise ValueError("max_tokens is at least 16")

    def __init__(self, settings: TextEncoder.Settings) -> None:
        self._settings = settings

    @cached_property
    def _encoder(self) -> Encoder:
        own = self._settings
        if not own.folder:
            raise ConfigError(f"{NO_FOLDER}: set [models.text_encoder] folder and sha256")
        return Encoder(Path(own.folder), own.sha256, chosen_device(own.device), own.max_tokens)

    def check(self) -> None:
        """Load the encoder.

        Raises
        ------
        ConfigError
            When it is not there, or is not the one that is pinned.
        """
        _ = self._encoder

    def extract(self, case: Case) -> Evidence | Missing:
        """The mean embedding of the texts, and an observation for each label with a code."""
        texts = texts_of(case)
        if not texts:
            return Missing(modality=self.modality, reason="the case has no report and no reason for the examination")
        if not self._settings.folder:
            return Missing(modality=self.modality, reason=NO_FOLDER)
        encoded = [self._encoder(text.text) for text in texts]
        observations = (each for text, made in zip(texts, encoded, strict=True) for each in self._observed(text, made))
        return Evidence(
            modality=self.modality,
            algorithm=self._algorithm(),
            observations=tuple({each.id: each for each in observations}.values()),
            embedding=tuple(sum(column) / len(encoded) for column in zip(*(e.embedding for e in encoded), strict=True)),
            limits=_LIMITS if all(made.whole for made in encoded) else (*_LIMITS, _CUT),
        )

    def _algorithm(self) -> Algorithm:
        encoder = self._encoder
        name = f"text-encoder-{encoder.name}"
        return Algorithm(name=name, version=encoder.sha256[:12], sha256=encoder.sha256, card=CARD)

    def _observed(self, text: TextReport, made: Encoded) -> Iterator[Observation]:
        for label, probability in made.labels.items():
            said = self._thresholded(probability)
            yield from _observation(text, label, said, probability, label, None)
        for found in made.spans:
            span = Span(report_id=text.report_id, start=found.start, end=found.end)
            yield from _observation(text, found.label, Assertion.PRESENT, None, f"{found.start}-{found.label}", span)

    def _thresholded(self, probability: float) -> Assertion:
        if probability < self._settings.absent_below:
            return Assertion.ABSENT
        return Assertion.PRESENT if probability >= self._settings.present_from else Assertion.UNCERTAIN


def labelled(label: str) -> tuple[str, Assertion | None] | None:
    """The finding of a label and what it says of it, ``"pneumonia=ABSENT"``; None where it is no finding's."""
    match = _LABEL.fullmatch(label)
    if match is None or match["key"] not in FINDINGS:
        return None
    return match["key"], Assertion(match["assertion"]) if match["assertion"] else None


def _observation(
    text: TextReport, label: str, said: Assertion, probability: float | None, name: str, span: Span | None
) -> Iterator[Observation]:
    """The observation that a label makes, none where it is no finding of the vocabulary."""
    known = labelled(label)
    if known is None:
        return
    key, told = known
    said = told or said
    order = text.kind is TextKind.ORDER
    if text.kind is TextKind.PRIOR:
        said = Assertion.NOT_ASSESSED
    elif order and said is Assertion.PRESENT:
        said = Assertion.UNCERTAIN
    yield Observation(
        id=f"text/encoder/{text.report_id}/{name}",
        concept=FINDINGS[key],
        assertion=said,
        probability=probability,
        span=span,
        source=text.report_id,
        note="prior report" if text.kind is TextKind.PRIOR else "order" if order else "",
    )
