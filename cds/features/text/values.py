"""What a report says, as values: mentions with their assertion, place, size and change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from cds.domain.code import Code
from cds.domain.evidence import Assertion
from cds.domain.vocabulary import ANATOMY, FINDINGS
from cds.features.text import general

Language = Literal["en", "zh", "mixed"]
Subject = Literal["patient", "family", "other"]
Laterality = Literal["", "left", "right", "bilateral"]


class Change(StrEnum):
    """How a finding compares with an earlier examination."""

    NEW = "new"
    INCREASED = "increased"
    DECREASED = "decreased"
    STABLE = "stable"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Characters ``start`` to ``end`` of the text under one heading (`sections.toml`).

    `kind` is ``"findings"``, ``"impression"``, ...; ``"body"`` where there is no heading.
    `asserts` is False where the section asks or tells the past (an indication, a history).
    """

    kind: str
    start: int
    end: int
    asserts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """Characters ``start`` to ``end`` (exclusive) of the text, and the section they stand in."""

    start: int
    end: int
    section: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A length as written (`value`, `unit`) and in millimetres; the largest where several are given.

    `axes_mm`: one to four lengths in millimetres, in the order written. `start`, `end`: its characters.
    """

    value: float
    unit: str
    mm: float
    axes_mm: tuple[float, ...]
    start: int
    end: int

    def as_json(self) -> dict[str, object]:
        """The size as `cds parse-report --json` prints it."""
        return {
            "value": self.value,
            "unit": self.unit,
            "axes_mm": list(self.axes_mm),
            "start": self.start,
            "end": self.end,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One finding named at one place of the text.

    Attributes
    ----------
    key
        A key of `cds.domain.vocabulary.FINDINGS`, or of `data/general.toml` where `general`.
    text, start, end
        The words, and where they stand: ``report_text[start:end] == text``.
    assertion
        PRESENT, ABSENT or UNCERTAIN, as the sentence says it; read it together with the three below.
    historical
        Said of an earlier time ("history of"); the finding need not be there now.
    hypothetical
        Asked for or supposed ("rule out", "if"), never found; the assertion is then UNCERTAIN or ABSENT.
    subject
        Who has it: ``"patient"``, ``"family"`` or ``"other"``.
    region
        A key of `cds.domain.vocabulary.ANATOMY`; the finding's usual place where none is named.
    """

    key: str
    text: str
    start: int
    end: int
    assertion: Assertion
    sentence: Sentence
    historical: bool = False
    hypothetical: bool = False
    subject: Subject = "patient"
    laterality: Laterality = ""
    region: str = ""
    size: Size | None = None
    change: Change | None = None

    @property
    def code(self) -> Code:
        """The finding's code."""
        return FINDINGS[self.key] if self.key in FINDINGS else general.codes()[self.key]

    @property
    def general(self) -> bool:
        """Whether it is a clinical term beyond the thoracic findings, which is shown and no evidence."""
        return self.key not in FINDINGS

    @property
    def section(self) -> str:
        """The kind of section that the mention stands in."""
        return self.sentence.section

    @property
    def asserted(self) -> bool:
        """Whether it is said of this patient and now, and not merely asked for."""
        return self.subject == "patient" and not self.historical and not self.hypothetical

    def as_json(self) -> dict[str, object]:
        """The mention as `cds parse-report --json` prints it; docs/howto/extend-the-lexicon.md lists the keys."""
        return {
            "finding": self.key,
            "general": self.general,
            "code": _coded(self.code),
            "text": self.text,
            "start": self.start,
            "end": self.end,
            "assertion": self.assertion.value,
            "historical": self.historical,
            "hypothetical": self.hypothetical,
            "subject": self.subject,
            "laterality": self.laterality or None,
            "site": self.region or None,
            "site_code": _coded(ANATOMY[self.region]) if self.region else None,
            "size_mm": self.size.mm if self.size else None,
            "size": self.size.as_json() if self.size else None,
            "change": self.change.value if self.change else None,
            "section": self.section,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedReport:
    """A report taken apart: sections and sentences in order of the text, mentions by where they start."""

    report_id: str
    language: Language
    sections: tuple[Section, ...]
    sentences: tuple[Sentence, ...]
    mentions: tuple[Mention, ...]

    def as_json(self) -> dict[str, object]:
        """The report as `cds parse-report --json` prints it."""
        sections = [{"kind": part.kind, "start": part.start, "end": part.end} for part in self.sections]
        return {
            "language": self.language,
            "sections": sections,
            "mentions": [mention.as_json() for mention in self.mentions],
        }


def _coded(code: Code) -> dict[str, str]:
    return {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}
