"""A structured report of the size that a node sends: Comprehensive SR with sixty text findings."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, generate_uid

_FINDINGS: Final = 60
"""About 12 kB, as a TID 1500 report of a few findings has."""


def structured_report() -> bytes:
    """A file (PS3.10) with UIDs of its own."""
    report = Dataset()
    report.SpecificCharacterSet = "ISO_IR 192"
    report.SOPClassUID, report.SOPInstanceUID = ComprehensiveSRStorage, generate_uid(prefix=None)
    report.StudyInstanceUID, report.SeriesInstanceUID = generate_uid(prefix=None), generate_uid(prefix=None)
    report.Modality, report.Manufacturer = "SR", "Benchmark"
    report.SeriesNumber, report.InstanceNumber, report.StudyID = "1", "1", "1"
    report.PatientName, report.PatientID = "Benchmark^Phantom", "BENCHMARK"
    report.PatientBirthDate, report.PatientSex = "19700101", "O"
    report.StudyDate = report.ContentDate = "20260102"
    report.StudyTime = report.ContentTime = "030405"
    report.AccessionNumber = report.ReferringPhysicianName = ""
    report.ReferencedPerformedProcedureStepSequence = []
    report.PerformedProcedureCodeSequence = []
    report.CompletionFlag, report.VerificationFlag = "COMPLETE", "UNVERIFIED"
    report.ValueType, report.ContinuityOfContent = "CONTAINER", "SEPARATE"
    report.ConceptNameCodeSequence = [_code("126000", "Imaging Measurement Report")]
    report.ContentSequence = [_text(number) for number in range(1, _FINDINGS + 1)]
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    encoded = BytesIO()
    dcmwrite(encoded, report, enforce_file_format=True)
    return encoded.getvalue()


def _text(number: int) -> Dataset:
    content = Dataset()
    content.RelationshipType, content.ValueType = "CONTAINS", "TEXT"
    content.ConceptNameCodeSequence = [_code("121071", "Finding")]
    content.TextValue = f"Sentence number {number} of a report that was made to be sent."
    return content


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code
