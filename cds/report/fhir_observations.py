"""Observation of FHIR R4: one per finding, per measurement of a finding, and per laboratory value used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from cds.domain.code import Code
from cds.domain.evidence import Algorithm, Assertion, Measurement
from cds.domain.finding import Finding
from cds.domain.records import LabResult, LabStatus
from cds.domain.report import Report
from cds.domain.vocabulary import ECG
from cds.report import sr_codes as codes
from cds.report.fhir_study import device_reference
from cds.report.fhir_values import (
    ARTIFICIAL,
    Element,
    Names,
    concept,
    element,
    hl7_concept,
    moment,
    quantity,
    uid,
    written,
)
from cds.report.figures import figures, notes
from cds.report.identity import tracking_uid
from cds.report.laboratory import judged, lab_sentence
from cds.report.wording import one_line

LATERALITY: Final = Code("272741003", "SCT", "Laterality")
STATUSES: Final[Mapping[LabStatus, str]] = MappingProxyType(
    {
        LabStatus.PRELIMINARY: "preliminary",
        LabStatus.FINAL: "final",
        LabStatus.CORRECTED: "corrected",
        LabStatus.CANCELLED: "cancelled",
    }
)
"""hl7.org/fhir/R4/valueset-observation-status.html."""
FLAGS: Final[Mapping[str, str]] = MappingProxyType({"H": "High", "L": "Low"})


def observations(report: Report, names: Names) -> list[Element]:
    """Every Observation: the findings, each before its measurements, then the laboratory values."""
    made = [
        each
        for finding in report.findings
        for each in (
            _finding(report, names, finding),
            *(_measurement(report, names, finding, number) for number in range(len(finding.measurements))),
        )
    ]
    return made + [_laboratory(report, names, number) for number in range(len(report.case.records.labs))]


def finding_references(report: Report, names: Names) -> list[Element]:
    """A reference to each finding."""
    return [names.reference("finding", finding.id) for finding in report.findings]


def measurement_references(names: Names, finding: Finding) -> list[Element]:
    """A reference to each measurement of a finding."""
    return [names.reference("measurement", f"{number} {finding.id}") for number in range(len(finding.measurements))]


def _finding(report: Report, names: Names, finding: Finding) -> Element:
    """The concept as `code`, what is said of it as `value`, every figure as a component."""
    assessed = finding.assertion is not Assertion.NOT_ASSESSED
    return _asserted(
        report,
        names,
        finding,
        id=names.id("finding", finding.id),
        identifier=[uid(tracking_uid(report, finding.id)), element(value=one_line(finding.id))],
        code=concept(finding.code),
        valueCodeableConcept=concept(codes.ASSERTION_VALUES[finding.assertion]) if assessed else None,
        dataAbsentReason=None if assessed else _not_performed(finding),
        note=written(said for _, said in notes(report, finding)),
        hasMember=measurement_references(names, finding),
        derivedFrom=[names.reference("study"), *_laboratory_of(report, names, finding)],
        component=_components(finding),
    )


def _measurement(report: Report, names: Names, finding: Finding, number: int) -> Element:
    measured: Measurement = finding.measurements[number]
    return _asserted(
        report,
        names,
        finding,
        id=names.id("measurement", f"{number} {finding.id}"),
        code=concept(measured.quantity),
        valueQuantity=quantity(measured.value, measured.unit),
        derivedFrom=[names.reference("study")],
    )


def _asserted(report: Report, names: Names, finding: Finding, **fields: object) -> Element:
    """What every Observation of ours carries: preliminary, tagged, with method and device."""
    return element(
        resourceType="Observation",
        meta=ARTIFICIAL,
        status="preliminary",
        category=[_category(finding)],
        subject=names.reference("patient"),
        effectiveDateTime=moment(report.study.started_at),
        issued=moment(report.created_at),
        bodySite=concept(finding.site.region) if finding.site else None,
        method={"text": _method(finding.algorithm)},
        device=device_reference(report, names, finding.algorithm),
        **fields,
    )


def _category(finding: Finding) -> Element:
    if finding.code == ECG:
        return hl7_concept("observation-category", "procedure", "Procedure")
    return hl7_concept("observation-category", "imaging", "Imaging")


def _method(algorithm: Algorithm) -> str:
    return one_line(f"{algorithm.name} {algorithm.version}")


def _not_performed(finding: Finding) -> Element:
    return element(**hl7_concept("data-absent-reason", "not-performed", "Not Performed"), text=one_line(finding.reason))


def _components(finding: Finding) -> list[Element]:
    sided = finding.site.laterality if finding.site else None
    side: list[Element] = [{"code": concept(LATERALITY), "valueCodeableConcept": concept(sided)}] if sided else []
    return side + [{"code": concept(name), "valueQuantity": quantity(value, "1")} for name, value in figures(finding)]


def _laboratory_of(report: Report, names: Names, finding: Finding) -> Iterable[Element]:
    """The laboratory values that a finding rests on."""
    concepts = {each.concept for part in report.evidence for each in part.observations if each.id in finding.because}
    for number, lab in enumerate(report.case.records.labs):
        if lab.analyte in concepts:
            yield names.reference("laboratory", str(number))


def _laboratory(report: Report, names: Names, number: int) -> Element:
    """A laboratory value as it was joined; its range and flag are those that the report shows."""
    lab: LabResult = report.case.records.labs[number]
    judgement = judged(report, lab)
    limits = element(
        low=None if judgement.low is None else quantity(judgement.low, lab.unit),
        high=None if judgement.high is None else quantity(judgement.high, lab.unit),
        text=judgement.given_by if judgement.is_default else None,
    )
    return element(
        resourceType="Observation",
        id=names.id("laboratory", str(number)),
        status=STATUSES[lab.status],
        category=[hl7_concept("observation-category", "laboratory", "Laboratory")],
        code=concept(lab.analyte),
        subject=names.reference("patient"),
        effectiveDateTime=moment(lab.observed_at),
        valueQuantity=quantity(lab.value, lab.unit, lab.comparator),
        interpretation=[_interpretation(judgement.flag)] if judgement.flag else [],
        note=written([lab_sentence(report, lab)]),
        referenceRange=[limits] if limits else [],
    )


def _interpretation(flag: str) -> Element:
    return hl7_concept("v3-ObservationInterpretation", flag, FLAGS[flag])
