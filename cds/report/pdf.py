"""The page as a DICOM object: Encapsulated PDF Storage (PS3.3 A.45.1), which every viewer shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from pydicom.dataset import Dataset

from cds.domain.code import Code
from cds.domain.report import EncodedReport, Report
from cds.report.checks import ensure_truthful, in_decimals
from cds.report.envelope import code_item, encode, new_instance, sop_item
from cds.report.labels import BANNER
from cds.report.pdf_fonts import find
from cds.report.pdf_page import TITLE, render
from cds.report.source import SourceHeader, read_header

SOP_CLASS: Final = "1.2.840.10008.5.1.4.1.1.104.1"
SERIES_NUMBER: Final = 9002
CONCEPT_NAME: Final = Code("126000", "DCM", "Imaging Measurement Report")


class EncapsulatedPdf:
    """Writes a report as a PDF inside a DICOM object."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        """`font_file` is a TrueType or OpenType font with Chinese; empty takes an installed one."""

        font_file: str = ""

    name: ClassVar[str] = "pdf"

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()
        self._font_file = find(self.settings.font_file)

    def write(self, report: Report) -> tuple[EncodedReport, ...]:
        """The Encapsulated PDF, and the same page as a plain PDF file.

        Raises
        ------
        ReportError
            When the report cannot be encoded truthfully.
        """
        ensure_truthful(report)
        report, header = in_decimals(report), read_header(report)
        page = render(report, header, self._font_file)
        ds = _instance(report, header, page)
        return (
            EncodedReport(
                name="report.pdf.dcm",
                media_type="application/dicom",
                content=encode(ds),
                sop_instance_uid=str(ds.SOPInstanceUID),
                sop_class_uid=SOP_CLASS,
            ),
            EncodedReport(name="report.pdf", media_type="application/pdf", content=page),
        )


def page_inside(report: Report, font_file: Path | None) -> bytes:
    """The page as a plain PDF file, for encodings that carry it."""
    return render(in_decimals(report), read_header(report), font_file)


def _instance(report: Report, header: SourceHeader, document: bytes) -> Dataset:
    """The Encapsulated Document Series, SC Equipment and Encapsulated Document modules (PS3.3 C.24)."""
    ds = new_instance(report, header, "pdf", SOP_CLASS)
    ds.Modality = "DOC"
    ds.SeriesNumber = SERIES_NUMBER
    ds.SeriesDescription = "AI decision support, unverified (PDF)"
    ds.ConversionType = "WSD"
    ds.AcquisitionDateTime = ""
    ds.BurnedInAnnotation = "YES"
    ds.RecognizableVisualFeatures = "NO"
    ds.DocumentTitle = f"{TITLE[0]} {TITLE[1]}: {BANNER[0]}"
    ds.ConceptNameCodeSequence = [code_item(CONCEPT_NAME)]
    ds.VerificationFlag = report.verification
    ds.SourceInstanceSequence = [
        sop_item(instance.sop_class_uid, instance.sop_instance_uid) for instance in report.study.instances
    ]
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocumentLength = len(document)
    ds.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    return ds
