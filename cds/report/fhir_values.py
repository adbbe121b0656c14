"""The data types of FHIR R4 (hl7.org/fhir/R4/datatypes.html), from our values; nothing empty is written."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final
from xml.sax.saxutils import escape

from cds.domain.code import Code
from cds.domain.report import Report
from cds.report.envelope import PRIVATE_SCHEME
from cds.report.figures import Remark
from cds.report.identity import instance_uid, uid_of
from cds.report.labels import Bilingual
from cds.report.wording import clean, one_line

Element = dict[str, object]
"""One element or resource as JSON."""

UCUM: Final = "http://unitsofmeasure.org"
LOINC: Final = "http://loinc.org"
DICOM_UID: Final = "urn:dicom:uid"
HL7: Final = "http://terminology.hl7.org/CodeSystem/"
PRIVATE_SYSTEM: Final = f"urn:oid:{uid_of('coding scheme', PRIVATE_SCHEME)}"
"""The system of our own codes: the same on every node."""

SYSTEMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "SCT": "http://snomed.info/sct",
        "LN": LOINC,
        "DCM": "http://dicom.nema.org/resources/ontology/DCM",
        "RADLEX": "http://radlex.org",
        "UMLS": f"{HL7}umls",
        "UCUM": UCUM,
        PRIVATE_SCHEME: PRIVATE_SYSTEM,
    }
)
"""From DICOM's Coding Scheme Designator to the system of HL7's terminology (terminology.hl7.org)."""

ARTIFICIAL: Final[Element] = {
    "security": [
        {"system": f"{HL7}v3-ObservationValue", "code": "AIAST", "display": "Artificial Intelligence asserted"}
    ]
}
"""The `meta` of what software asserts (HL7 AI Transparency on FHIR); not of what it only hands on."""


class Names:
    """The ids of one report's resources: UUIDs of version 5 that follow from the report's UID."""

    def __init__(self, report: Report) -> None:
        self._root = instance_uid(report, "fhir")

    def id(self, kind: str, name: str = "") -> str:
        """The logical id of one resource."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, uid_of(self._root, kind, name)))

    def reference(self, kind: str, name: str = "") -> Element:
        """A reference to it within the bundle."""
        return {"reference": f"urn:uuid:{self.id(kind, name)}"}


def element(**fields: object) -> Element:
    """The fields that say something: FHIR has no empty string, array or object."""
    return {name: value for name, value in fields.items() if value is not None and value not in ("", [], {})}


def coding(code: Code) -> Element:
    """A code; without a system where its scheme is none that we know."""
    value = one_line(code.value)
    return element(system=SYSTEMS.get(code.scheme), code=value, display=one_line(code.meaning) or value)


def concept(code: Code) -> Element:
    """A CodeableConcept of one coding."""
    return element(coding=[coding(code)], text=one_line(code.meaning) or one_line(code.value))


def hl7_concept(system: str, code: str, display: str) -> Element:
    """A CodeableConcept of one of HL7's own code systems."""
    return {"coding": [{"system": HL7 + system, "code": code, "display": display}]}


def quantity(value: float, unit: str, comparator: str = "") -> Element:
    """A Quantity in UCUM."""
    code = one_line(unit) or "1"
    return element(value=value, comparator=comparator, unit=code, system=UCUM, code=code)


def uid(value: str) -> Element:
    """A DICOM UID as an Identifier (hl7.org/fhir/R4/imagingstudy.html, "DICOM UIDs")."""
    return {"system": DICOM_UID, "value": f"urn:oid:{value}"}


def moment(value: datetime | None) -> str | None:
    """A dateTime; only the date where no zone is known, for a time of day must have one."""
    if value is None:
        return None
    return value.date().isoformat() if value.tzinfo is None else value.isoformat()


def written(said: Iterable[Bilingual]) -> list[Element]:
    """Notes, in English and in Chinese where it differs."""
    texts = dict.fromkeys(clean(each).strip() for both in said for each in both)
    return [{"text": text} for text in texts if text]


def narrative(remarks: Iterable[Remark]) -> Element:
    """A Narrative in XHTML; every text is escaped."""
    lines = (
        f'<p lang="{each.language}"><b>{_escaped(each.name.meaning)}</b>: {_escaped(each.text)}</p>' for each in remarks
    )
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{"".join(lines)}</div>'}


def _escaped(text: str) -> str:
    return escape(clean(text)).replace("\n", "<br/>")
