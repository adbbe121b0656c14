"""The report as FHIR R4: a Bundle of type collection that stands alone (hl7.org/fhir/R4/bundle.html)."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import ClassVar, Final

from cds.domain.code import Code
from cds.domain.report import EncodedReport, Report
from cds.report.checks import ensure_truthful, in_decimals
from cds.report.fhir_observations import finding_references, measurement_references, observations
from cds.report.fhir_study import accession, devices, imaging_study, patient, provenance
from cds.report.fhir_values import ARTIFICIAL, Element, Names, concept, element, hl7_concept, moment, narrative, uid
from cds.report.figures import remarks
from cds.report.identity import instance_uid
from cds.report.labels import BANNER
from cds.report.pdf import page_inside
from cds.report.pdf_fonts import find
from cds.report.source import SourceHeader, read_header
from cds.report.wording import clean

MEDIA_TYPE: Final = "application/fhir+json"
IMAGING_REPORT: Final = Code("18748-4", "LN", "Diagnostic imaging study")


class FhirBundle:
    """Writes a report as one FHIR R4 Bundle (JSON, UTF-8)."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        """`pdf` adds the page as `presentedForm`; `font_file` is its font, as of the writer ``pdf``."""

        pdf: bool = False
        font_file: str = ""

    name: ClassVar[str] = "fhir"

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()
        self._font_file = find(self.settings.font_file) if self.settings.pdf else None

    def write(self, report: Report) -> tuple[EncodedReport, ...]:
        """One ``application/fhir+json`` document.

        Raises
        ------
        ReportError
            When the report cannot be encoded truthfully.
        """
        ensure_truthful(report)
        page = page_inside(report, self._font_file) if self.settings.pdf else b""
        bundle = as_bundle(in_decimals(report), read_header(report), page)
        content = json.dumps(bundle, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        return (EncodedReport(name="report.fhir.json", media_type=MEDIA_TYPE, content=content),)


def as_bundle(report: Report, header: SourceHeader, page: bytes = b"") -> Element:
    """The bundle, the DiagnosticReport first; `page` is the PDF, empty where there is to be none."""
    names = Names(report)
    resources = [
        _diagnostic_report(report, names, header, page),
        patient(names, header),
        imaging_study(report, names, header),
        *observations(report, names),
        *devices(report, names),
        provenance(report, names, _targets(report, names)),
    ]
    return {
        "resourceType": "Bundle",
        "id": names.id("bundle"),
        "meta": ARTIFICIAL,
        "identifier": uid(instance_uid(report, "fhir")),
        "type": "collection",
        "timestamp": moment(report.created_at),
        "entry": [{"fullUrl": f"urn:uuid:{each['id']}", "resource": each} for each in resources],
    }


def _targets(report: Report, names: Names) -> list[Element]:
    """All that the software asserts."""
    measured = [each for finding in report.findings for each in measurement_references(names, finding)]
    return [names.reference("report"), *finding_references(report, names), *measured]


def _diagnostic_report(report: Report, names: Names, header: SourceHeader, page: bytes) -> Element:
    """Preliminary: a physician has yet to review it."""
    return element(
        resourceType="DiagnosticReport",
        id=names.id("report"),
        meta=ARTIFICIAL,
        text=narrative(remarks(report)),
        identifier=[uid(instance_uid(report, "fhir"))],
        basedOn=[accession(header)] if header.text("AccessionNumber") else [],
        status="preliminary",
        category=[hl7_concept("v2-0074", "RAD", "Radiology")],
        code=concept(IMAGING_REPORT),
        subject=names.reference("patient"),
        effectiveDateTime=moment(report.study.started_at),
        issued=moment(report.created_at),
        result=finding_references(report, names),
        imagingStudy=[names.reference("study")],
        conclusion=clean("\n".join((BANNER[0], report.impression[0], BANNER[1], report.impression[1]))).strip(),
        presentedForm=[_attachment(report, page)] if page else [],
    )


def _attachment(report: Report, page: bytes) -> Element:
    """The page; FHIR R4 asks for a SHA-1, which guards against accidents and not against malice."""
    return {
        "contentType": "application/pdf",
        "data": base64.b64encode(page).decode(),
        "size": len(page),
        "hash": base64.b64encode(hashlib.sha1(page, usedforsecurity=False).digest()).decode(),
        "title": BANNER[0],
        "creation": moment(report.created_at),
    }
