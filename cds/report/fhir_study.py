"""Patient, ImagingStudy, Device and Provenance of FHIR R4: who, from what, and made by what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from cds.domain.code import Code
from cds.domain.evidence import Algorithm
from cds.domain.report import Report
from cds.domain.study import Series
from cds.report.envelope import MANUFACTURER
from cds.report.fhir_values import HL7, Element, Names, concept, element, hl7_concept, moment, uid
from cds.report.figures import device_of
from cds.report.source import SourceHeader
from cds.report.wording import one_line

GENDERS: Final[Mapping[str, str]] = MappingProxyType({"M": "male", "F": "female", "O": "other"})
REPRESENTATIONS: Final = ("ABC", "IDE", "SYL")
"""Alphabetic, ideographic and phonetic: the order of a DICOM name's component groups (PS3.5 6.2.1)."""
REPRESENTATION: Final = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
OID: Final = re.compile(r"[0-2](\.(0|[1-9]\d*))+")
URI: Final = re.compile(r"(?:urn:|https?://)\S+")


def patient(names: Names, header: SourceHeader) -> Element:
    """The patient as the images say, in any script."""
    return element(
        resourceType="Patient",
        id=names.id("patient"),
        identifier=[_patient_id(header)] if header.text("PatientID") else [],
        name=_names(header.text("PatientName")),
        gender=GENDERS.get(header.text("PatientSex")),
        birthDate=birth_date(header),
    )


def birth_date(header: SourceHeader) -> str | None:
    """The birth date as ``"1965-04-12"``; None where the images have none."""
    try:
        return datetime.strptime(header.text("PatientBirthDate"), "%Y%m%d").date().isoformat()
    except ValueError:
        return None


def _patient_id(header: SourceHeader) -> Element:
    issuer = one_line(header.text("IssuerOfPatientID"))
    system = f"urn:oid:{issuer}" if OID.fullmatch(issuer) else issuer if URI.fullmatch(issuer) else None
    return element(
        type=hl7_concept("v2-0203", "MR", "Medical record number"),
        system=system,
        value=one_line(header.text("PatientID")),
        assigner=element(display=issuer) if not system else None,
    )


def _names(person_name: str) -> list[Element]:
    """Each component group as a HumanName: family, given and middle, prefix, suffix (PS3.5 6.2.1)."""
    found = []
    for representation, group in zip(REPRESENTATIONS, person_name.split("="), strict=False):
        family, given, middle, prefix, suffix = ([one_line(part) for part in group.split("^")] + [""] * 5)[:5]
        name = element(
            family=family,
            given=[part for part in (given, middle) if part],
            prefix=[prefix] if prefix else [],
            suffix=[suffix] if suffix else [],
        )
        if name:
            extension: Element = {"url": REPRESENTATION, "valueCode": representation}
            found.append({"extension": [extension], "use": "official", **name})
    return found


def imaging_study(report: Report, names: Names, header: SourceHeader) -> Element:
    """The study that was read, with every series and instance."""
    study = report.study
    return element(
        resourceType="ImagingStudy",
        id=names.id("study"),
        identifier=[uid(study.study_instance_uid)],
        status="available",
        modality=[_modality(name) for name in dict.fromkeys(each.modality for each in study.series)],
        subject=names.reference("patient"),
        started=moment(study.started_at),
        basedOn=[accession(header)] if header.text("AccessionNumber") else [],
        numberOfSeries=len(study.series),
        numberOfInstances=len(study.instances),
        procedureCode=[concept(Code(*header.procedure))] if header.procedure else [],
        reasonCode=[{"text": reason}] if (reason := one_line(study.reason_for_exam)) else [],
        description=one_line(study.description),
        series=[_series(each) for each in study.series],
    )


def accession(header: SourceHeader) -> Element:
    """The order behind the study, by its accession number."""
    return {
        "type": "ServiceRequest",
        "identifier": {
            "type": hl7_concept("v2-0203", "ACSN", "Accession ID"),
            "value": one_line(header.text("AccessionNumber")),
        },
    }


def _series(series: Series) -> Element:
    return element(
        uid=series.series_instance_uid,
        modality=_modality(series.modality),
        description=one_line(series.description),
        numberOfInstances=len(series.instances),
        instance=[
            element(
                uid=each.sop_instance_uid,
                sopClass={"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{each.sop_class_uid}"},
                number=each.instance_number if each.instance_number and each.instance_number > 0 else None,
            )
            for each in series.instances
        ],
    )


def _modality(name: str) -> Element:
    return {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": one_line(name) or "OT"}


def devices(report: Report, names: Names) -> list[Element]:
    """A Device for each algorithm that took part."""
    made = {device_of(report, each): _device(report, names, each) for each in report.algorithms}
    return list(made.values())


def _device(report: Report, names: Names, algorithm: Algorithm) -> Element:
    """An algorithm, its version, and the Device UID that changes with its version or weights."""
    device_uid = device_of(report, algorithm)
    return element(
        resourceType="Device",
        id=names.id("device", device_uid),
        identifier=[uid(device_uid)],
        status="active",
        manufacturer=MANUFACTURER,
        deviceName=[{"name": one_line(algorithm.name), "type": "model-name"}],
        type={"text": "Software"},
        version=[{"value": one_line(algorithm.version)}] if one_line(algorithm.version) else [],
        note=[{"text": f"sha256 {algorithm.sha256}"}] if algorithm.sha256 else [],
    )


def device_reference(report: Report, names: Names, algorithm: Algorithm) -> Element:
    """The reference to an algorithm's Device."""
    return names.reference("device", device_of(report, algorithm))


def provenance(report: Report, names: Names, targets: Sequence[Element]) -> Element:
    """What `targets` were made from, and by which devices; the revision before, where there is one."""
    sources = [names.reference("study")]
    sources += [names.reference("laboratory", str(number)) for number in range(len(report.case.records.labs))]
    sources += [
        {"identifier": element(value=one_line(text.report_id)), "display": f"text ({text.kind.value})"}
        for text in report.case.records.texts
    ]
    entities: list[Element] = [{"role": "source", "what": what} for what in sources]
    if report.predecessor:
        entities.append({"role": "revision", "what": {"identifier": uid(report.predecessor)}})
    return element(
        resourceType="Provenance",
        id=names.id("provenance"),
        target=list(targets),
        recorded=moment(report.created_at),
        agent=[
            {"type": _assembler(), "who": device_reference(report, names, algorithm)} for algorithm in report.algorithms
        ],
        entity=entities,
    )


def _assembler() -> Element:
    return {"coding": [{"system": f"{HL7}provenance-participant-type", "code": "assembler", "display": "Assembler"}]}
