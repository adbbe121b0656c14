"""What every coded encoding says of a report beside its codes: the figures of a finding, and the remarks.

The SR, the FHIR bundle and the HL7 message take both from here, so that they carry the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cds.domain.code import Code
from cds.domain.evidence import Algorithm
from cds.domain.finding import Finding
from cds.domain.report import Report
from cds.report import sr_codes as codes
from cds.report.because import told
from cds.report.chinese import chinese
from cds.report.identity import device_uid
from cds.report.labels import Bilingual
from cds.report.sr_texts import evaluations
from cds.report.wording import base, contributions_sentence, sentence

FIRST: Final = frozenset({codes.NOTICE, codes.IMPRESSION})
"""The remarks that stand before the findings."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One text about the study as a whole, in one language (RFC 5646); lines end with a line feed."""

    name: Code
    text: str
    language: str


def figures(finding: Finding) -> list[tuple[Code, float]]:
    """The probability, its bounds, the base value and the contributions; each a number without a unit."""
    numbers: list[tuple[Code, float]] = []
    if finding.probability is not None:
        numbers.append((codes.PROBABILITY, finding.probability))
    if finding.interval is not None:
        numbers += [(codes.INTERVAL_LOW, finding.interval[0]), (codes.INTERVAL_HIGH, finding.interval[1])]
    start = base(finding)
    numbers += [] if start is None else [(codes.BASE, start)]
    return numbers + [(codes.CONTRIBUTIONS[part.modality], part.value) for part in finding.contributions]


def notes(report: Report, finding: Finding) -> list[tuple[Code, Bilingual]]:
    """What a person reads of a finding: the sentence, the reason, the calibration set, what it rests on."""
    found = [(codes.COMMENT, sentence(finding))]
    for name, said in ((codes.REASON, finding.reason), (codes.CALIBRATED_ON, finding.calibrated_on)):
        found += [(name, (said, chinese(said)))] if said else []
    found += [(codes.COMMENT, contributions_sentence(finding))] if finding.contributions else []
    for each in finding.because:
        english, words = told(report, each)
        found.append((codes.BECAUSE, (f"{each}: {english}", f"{each}：{words}" if words != each else "")))
    return found


def remarks(report: Report) -> tuple[Remark, ...]:
    """All that is said about the study as a whole, the most important first: the same texts as in the SR."""
    return tuple(
        Remark(
            Code(item.name.value, item.name.scheme_designator, item.name.meaning),
            str(item.value).replace("\r\n", "\n"),
            codes.CHINESE.value if "ContentSequence" in item else "en",
        )
        for item in evaluations(report).ContentSequence
    )


def device_of(report: Report, algorithm: Algorithm) -> str:
    """The Device UID that stands for an algorithm; the software's own stands for all that took part."""
    return device_uid(*report.algorithms) if algorithm == report.software else device_uid(algorithm)
