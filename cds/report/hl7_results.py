"""OBX segments (HL7 v2.5.1 chapter 7.4.2): what is said, as codes, numbers and texts.

Findings are counted in OBX-4, so that what belongs together is found together.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from cds.domain.code import Code
from cds.domain.evidence import Assertion, Measurement
from cds.domain.finding import Finding
from cds.domain.records import LabResult, LabStatus
from cds.domain.report import Report
from cds.report import sr_codes as codes
from cds.report.envelope import MANUFACTURER
from cds.report.figures import FIRST, Remark, device_of, figures, notes, remarks
from cds.report.hl7_er7 import coded, components, formatted, line, moment, number, numbered
from cds.report.identity import tracking_uid
from cds.report.labels import ASSERTIONS
from cds.report.laboratory import judged
from cds.report.wording import asserted

STUDY_UID: Final = Code("110180", "DCM", "Study Instance UID")
TRACKING_IDENTIFIER: Final = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UID: Final = Code("112040", "DCM", "Tracking Unique Identifier")
FINDING_SITE: Final = Code("363698007", "SCT", "Finding Site")
LATERALITY: Final = Code("272741003", "SCT", "Laterality")
PAGE: Final = Code("18748-4", "LN", "Diagnostic imaging study")
PRELIMINARY: Final = "P"
STATUSES: Final[Mapping[LabStatus, str]] = MappingProxyType(
    {LabStatus.PRELIMINARY: "P", LabStatus.FINAL: "F", LabStatus.CORRECTED: "C", LabStatus.CANCELLED: "X"}
)
"""HL7 table 0085."""


@dataclass(slots=True)
class Results:
    """OBX segments in their order, counted from 1 in OBX-1."""

    report: Report
    segments: list[str] = field(default_factory=list)

    def add(self, kind: str, name: Code, value: str, group: str = "", **others: str) -> None:
        """One OBX; `others` are further fields by number, e.g. ``_6`` for the units."""
        fields = {1: str(len(self.segments) + 1), 2: kind, 3: coded(name), 4: group, 5: value, 11: PRELIMINARY}
        fields |= {int(key[1:]): each for key, each in others.items()}
        self.segments.append(numbered("OBX", fields))


def results(report: Report, page: bytes) -> list[str]:
    """Every OBX: notice and impression, findings, laboratory values, all else that is said, and the page."""
    made = Results(report)
    said = remarks(report)
    made.add("ST", STUDY_UID, line(report.study.study_instance_uid))
    _texts(made, (each for each in said if each.name in FIRST))
    for group, finding in enumerate(report.findings, start=1):
        _finding(made, finding, str(group))
    for lab in report.case.records.labs:
        _laboratory(made, lab)
    _texts(made, (each for each in said if each.name not in FIRST))
    if page:
        made.add("ED", PAGE, components("", "application", "pdf", "Base64", base64.b64encode(page).decode()))
    return made.segments


def _texts(made: Results, said: Iterator[Remark]) -> None:
    for each in said:
        made.add("FT", each.name, formatted(each.text))


def _finding(made: Results, finding: Finding, group: str) -> None:
    """Presence, then where, how large, how sure, and in words."""
    report, algorithm = made.report, finding.algorithm
    by = {"_17": components("", line(f"{algorithm.name} {algorithm.version}", 200)), "_18": _device(report, finding)}
    made.add("CWE", finding.code, coded(codes.ASSERTION_VALUES[finding.assertion]), group, _8=_flag(finding), **by)
    made.add("ST", TRACKING_IDENTIFIER, line(finding.id), group)
    made.add("ST", TRACKING_UID, line(tracking_uid(report, finding.id)), group)
    if finding.site is not None:
        made.add("CWE", FINDING_SITE, coded(finding.site.region), group)
        if finding.site.laterality is not None:
            made.add("CWE", LATERALITY, coded(finding.site.laterality), group)
    for name, value in figures(finding):
        made.add("NM", name, number(value), group, _6=_unit("1"), **by)
    for each in finding.measurements:
        _measurement(made, each, group, by)
    for name, both in notes(report, finding):
        for text in filter(None, dict.fromkeys(formatted(each) for each in both)):
            made.add("FT", name, text, group)


def _measurement(made: Results, measured: Measurement, group: str, by: Mapping[str, str]) -> None:
    made.add("NM", measured.quantity, number(measured.value), group, _6=_unit(measured.unit), **by)


def _flag(finding: Finding) -> str:
    """HL7 table 0078: A where something is there, N where it is not; nothing where nothing was concluded."""
    said = asserted(finding.assertion, finding.calibrated_on, finding.code.value)
    if said == ASSERTIONS[Assertion.PRESENT]:
        return "A"
    return "N" if said == ASSERTIONS[Assertion.ABSENT] else ""


def _device(report: Report, finding: Finding) -> str:
    """The algorithm's Device UID as EI."""
    return components(line(finding.algorithm.name, 199), MANUFACTURER, device_of(report, finding.algorithm), "ISO")


def _unit(ucum: str) -> str:
    unit = codes.unit(ucum)
    return coded(Code(unit.value, "UCUM", unit.meaning))


def _laboratory(made: Results, lab: LabResult) -> None:
    """A value that was joined, SN where it is a bound; its range and flag are those that the report shows."""
    kind, value = "NM", number(lab.value)
    if lab.comparator:
        kind, value = "SN", components(line(lab.comparator), value)
    judgement = judged(made.report, lab)
    made.add(
        kind,
        lab.analyte,
        value,
        _6=_unit(lab.unit),
        _7=_range(judgement.low, judgement.high),
        _8=judgement.flag,
        _11=STATUSES[lab.status],
        _14=moment(lab.observed_at),
    )


def _range(low: float | None, high: float | None) -> str:
    """``"3.5-9.5"``, ``"<=5"``, ``">=60"`` (7.4.2.7)."""
    if low is not None and high is not None:
        return f"{number(low)}-{number(high)}"
    if high is not None:
        return f"<={number(high)}"
    return f">={number(low)}" if low is not None else ""
