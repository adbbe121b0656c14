r"""The report as HL7 v2.5.1 ORU^R01 (chapter 7.3.1) in ER7: one unsolicited message, preliminary."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import ClassVar, Final

from cds.domain.code import Code
from cds.domain.report import EncodedReport, Report
from cds.report import sr_codes as codes
from cds.report.checks import ensure_truthful, in_decimals
from cds.report.fhir_study import OID
from cds.report.hl7_er7 import ENCODING_CHARACTERS, coded, components, line, moment, numbered
from cds.report.hl7_results import PRELIMINARY, results
from cds.report.identity import instance_uid
from cds.report.pdf import page_inside
from cds.report.pdf_fonts import find
from cds.report.source import SourceHeader, read_header
from cds.report.wording import one_line

MEDIA_TYPE: Final = "x-application/hl7-v2+er7"
REPRESENTATIONS: Final = "AIP"
"""HL7 table 0465: alphabetic, ideographic, phonetic; the order of a DICOM name's component groups."""
CONTROL_ID: Final = 20
"""Most characters of MSH-10."""
MEDICAL_RECORD: Final = "MR"
"""HL7 table 0203."""
RADIOLOGY: Final = "RAD"
"""HL7 table 0074."""


class Hl7Message:
    """Writes a report as one HL7 v2.5.1 message (UTF-8, segments end with a carriage return)."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        """Who sends to whom (MSH-3 to MSH-6); `processing_id` is of table 0103: P, T or D.

        `pdf` adds the page as ED; `font_file` is its font, as of the writer ``pdf``.
        """

        sending_application: str = "CDS"
        sending_facility: str = ""
        receiving_application: str = ""
        receiving_facility: str = ""
        processing_id: str = "P"
        pdf: bool = False
        font_file: str = ""

    name: ClassVar[str] = "hl7"

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()
        self._font_file = find(self.settings.font_file) if self.settings.pdf else None

    def write(self, report: Report) -> tuple[EncodedReport, ...]:
        """One message.

        Raises
        ------
        ReportError
            When the report cannot be encoded truthfully.
        """
        ensure_truthful(report)
        page = page_inside(report, self._font_file) if self.settings.pdf else b""
        report, header = in_decimals(report), read_header(report)
        segments = [self._header(report), _patient(header), _request(report, header), *results(report, page)]
        content = "".join(f"{each}\r" for each in segments).encode()
        return (EncodedReport(name="report.hl7", media_type=MEDIA_TYPE, content=content),)

    def _header(self, report: Report) -> str:
        """MSH-10 follows from the report's UID: the same report is the same message."""
        its = self.settings
        ends = (its.sending_application, its.sending_facility, its.receiving_application, its.receiving_facility)
        fields = {number: line(end) for number, end in enumerate(ends, start=3)}
        fields |= {
            2: ENCODING_CHARACTERS,
            7: moment(report.created_at),
            9: "ORU^R01^ORU_R01",
            10: uuid.uuid5(uuid.NAMESPACE_OID, instance_uid(report, "hl7")).hex[:CONTROL_ID],
            11: line(its.processing_id),
            12: "2.5.1",
            18: "UNICODE UTF-8",
        }
        return "|".join(["MSH", *(fields.get(number, "") for number in range(2, 19))])


def _patient(header: SourceHeader) -> str:
    """PID: identifier, every script of the name, birth date, sex (tables 0001, 0203)."""
    return numbered(
        "PID",
        {
            1: "1",
            3: _patient_id(header),
            5: "~".join(_names(header.text("PatientName"))),
            7: line(header.text("PatientBirthDate")),
            8: line(header.text("PatientSex")),
        },
    )


def _patient_id(header: SourceHeader) -> str:
    """CX; an issuer that is an OID is said to be one."""
    identity, issuer = line(header.text("PatientID")), line(header.text("IssuerOfPatientID"))
    if not identity:
        return ""
    authority = components("", issuer, "ISO", by="&") if OID.fullmatch(issuer) else issuer
    return components(identity, "", "", authority, MEDICAL_RECORD)


def _names(person_name: str) -> list[str]:
    """XPN of each component group; DICOM has the prefix before the suffix, HL7 after it."""
    found = []
    for representation, group in zip(REPRESENTATIONS, person_name.split("="), strict=False):
        family, given, middle, prefix, suffix = ([line(part) for part in group.split("^")] + [""] * 5)[:5]
        if any((family, given, middle, prefix, suffix)):
            found.append(components(family, given, middle, suffix, prefix, "", "L", representation))
    return found


def _request(report: Report, header: SourceHeader) -> str:
    """OBR: the study by its accession number, else by its UID; the procedure; when; that it is preliminary."""
    study, accession = report.study, line(header.text("AccessionNumber"))
    procedure = Code(*header.procedure) if header.procedure else codes.CHEST_IMAGING
    return numbered(
        "OBR",
        {
            1: "1",
            3: accession or components("", "", line(study.study_instance_uid), "ISO"),
            4: coded(procedure),
            7: moment(study.started_at),
            18: accession,
            22: moment(report.created_at),
            24: RADIOLOGY,
            25: PRELIMINARY,
            31: components("", line(one_line(study.reason_for_exam), 199)) if study.reason_for_exam.strip() else "",
        },
    )
