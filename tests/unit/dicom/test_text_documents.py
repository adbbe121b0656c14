"""Texts among a study's instances: Structured Reports, encapsulated PDF and CDA."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from reportlab.pdfgen.canvas import Canvas

from cds.dicom.read import read_studies
from cds.dicom.text_cda import narrative
from cds.dicom.text_documents import MAX_DOCUMENTS, documents
from cds.dicom.text_pdf import extracted, pages
from cds.domain.records import Records, TextKind
from cds.errors import EvidenceError
from cds.features.text import parse

OWN = "cds-pacs"
BASIC_SR = "1.2.840.10008.5.1.4.1.1.88.11"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
CDA = "1.2.840.10008.5.1.4.1.1.104.2"


def code(value: str, scheme: str, meaning: str) -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return [item]


def item(kind: str, name: str, children: Sequence[Dataset] = (), relation: str = "CONTAINS") -> Dataset:
    made = Dataset()
    made.RelationshipType, made.ValueType = relation, kind
    made.ConceptNameCodeSequence = code(name.lower(), "99TEST", name)
    if children:
        made.ContentSequence = list(children)
    return made


def text(name: str, words: str, relation: str = "CONTAINS") -> Dataset:
    made = item("TEXT", name, relation=relation)
    made.TextValue = words
    return made


def coded(name: str, meaning: str) -> Dataset:
    made = item("CODE", name)
    made.ConceptCodeSequence = code("1", "99TEST", meaning)
    return made


def number(name: str, value: str, unit: str) -> Dataset:
    made, measured = item("NUM", name), Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = value, code(unit, "UCUM", unit)
    made.MeasuredValueSequence = [measured]
    return made


def document(folder: Path, sop_class: str, number: int = 1, **values: object) -> Path:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, f"1.2.3.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.PatientID = "1.2.4", "1.2.5", "P1"
    ds.Modality, ds.ContentDate, ds.ContentTime = "SR", "20260302", "101112"
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / f"{number}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def sr(folder: Path, content: Sequence[Dataset], number: int = 1, **values: object) -> Path:
    return document(folder, BASIC_SR, number, ValueType="CONTAINER", ContentSequence=list(content), **values)


def encapsulated(folder: Path, sop_class: str, content: bytes) -> Path:
    padded = content + b"\0" * (len(content) % 2)
    return document(folder, sop_class, EncapsulatedDocument=padded, EncapsulatedDocumentLength=len(content))


def records(*paths: Path) -> Records:
    studies, unreadable = read_studies(paths)
    assert not unreadable
    return documents(studies[0], own_model_name=OWN)


def a_pdf(*lines: str) -> bytes:
    buffer = BytesIO()
    canvas = Canvas(buffer)
    for page, line in enumerate(lines):
        canvas.drawString(72, 700, line)
        if page + 1 < len(lines):
            canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def a_cda(body: str, head: str = '<?xml version="1.0" encoding="UTF-8"?>') -> bytes:
    whole = f'{head}<ClinicalDocument xmlns="urn:hl7-org:v3"><component>{body}</component></ClinicalDocument>'
    return whole.encode()


def test_a_basic_text_sr_becomes_headings_and_sentences(tmp_path: Path) -> None:
    findings = item("CONTAINER", "Findings", [text("Finding", "双肺未见实变"), text("Finding", "Small left effusion.")])
    observer = text("Person Observer Name", "PRIVATE", relation="HAS OBS CONTEXT")
    found = records(sr(tmp_path, [observer, findings]))
    (report,) = found.texts
    assert report.text == "Findings:\n双肺未见实变.\nSmall left effusion."
    assert (report.report_id, report.kind) == ("1.2.3.1", TextKind.CURRENT)
    assert report.authored_at == datetime(2026, 3, 2, 10, 11, 12, tzinfo=UTC)
    assert report.source == "Basic Text SR 1.2.3.1"
    assert found.rejected == ()


def test_a_measurement_group_is_one_sentence_so_that_the_size_stays_with_its_finding(tmp_path: Path) -> None:
    nodule, site = coded("Finding", "Nodule"), coded("Finding Site", "Right lung")
    nodule.ConceptNameCodeSequence = code("121071", "DCM", "Finding")
    site.ConceptNameCodeSequence = code("363698007", "SCT", "Finding Site")
    group = [nodule, site, number("Diameter", "8.0", "mm")]
    (report,) = records(sr(tmp_path, [item("CONTAINER", "Measurement Group", group)])).texts
    (mention,) = parse(report.text).mentions
    assert (mention.key, mention.laterality) == ("lung_nodule", "right")
    assert mention.size is not None
    assert mention.size.mm == 8


def test_a_structured_report_of_other_software_is_read() -> None:
    """The DCMTK test document in pydicom's data; its words as `dsrdump` prints them."""
    (report,) = records(Path(str(get_testdata_file("test-SR.dcm")))).texts
    assert report.text.startswith("Diagnosis:\n")
    assert "Diameter 3 cm" in report.text
    assert "Inferred Sample Text" in report.text


def test_our_own_report_is_never_read_back(tmp_path: Path) -> None:
    content = [text("Finding", "Pneumonia.")]
    assert records(sr(tmp_path, content, ManufacturerModelName=OWN)) == Records()
    assert len(records(sr(tmp_path, content, ManufacturerModelName="other")).texts) == 1


def test_documents_of_an_earlier_study_are_prior_reports(tmp_path: Path) -> None:
    (study,), _ = read_studies([sr(tmp_path, [text("Finding", "Pneumonia.")])])
    (tmp_path / "now").mkdir()
    now = sr(tmp_path / "now", [text("Finding", "Clear.")], 2, StudyInstanceUID="1.2.9")
    (current,), _ = read_studies([now])
    found = documents(current, [study], own_model_name=OWN)
    assert [report.kind for report in found.texts] == [TextKind.CURRENT, TextKind.PRIOR]


def test_an_encapsulated_pdf_is_read_page_by_page(tmp_path: Path) -> None:
    (report,) = records(encapsulated(tmp_path, PDF, a_pdf("No pleural effusion.", "Mild cardiomegaly."))).texts
    assert report.text.split() == ["No", "pleural", "effusion.", "Mild", "cardiomegaly."]
    assert [mention.key for mention in parse(report.text).mentions] == ["pleural_effusion", "cardiomegaly"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not a pdf at all", "the document is no PDF"),
        (b"%PDF-1.7\n1 0 obj <<>> endobj\ntrailer", "the PDF is broken or encrypted"),
        (b"%PDF-1.4\n" + b"[" * 200_000, "the PDF is broken or encrypted"),
        (a_pdf(""), "the document holds no text"),
    ],
    ids=["no pdf", "cut", "deep", "empty"],
)
def test_a_pdf_that_cannot_be_read_costs_its_text_and_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    found = records(encapsulated(tmp_path, PDF, content))
    assert found.texts == ()
    assert [(each.source, each.reason) for each in found.rejected] == [("Encapsulated PDF 1.2.3.1", reason)]


def test_a_pdf_is_read_in_another_process_with_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds.dicom.text_pdf.PATIENCE_SECONDS", 0.001)
    with pytest.raises(EvidenceError, match="too long"):
        pages(a_pdf("Slow."))


def test_no_more_pages_are_read_than_a_report_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds.dicom.text_pdf.MAX_PAGES", 2)
    assert extracted(a_pdf("one", "two", "three")).split() == ["one", "two"]


def test_the_narrative_of_a_cda_is_read_and_its_codes_are_not(tmp_path: Path) -> None:
    body = """<structuredBody><component><section>
      <code code="18782-3" displayName="NOT NARRATIVE"/><title>Findings</title>
      <text><paragraph>No <content>pneumothorax</content>.</paragraph>
        <list><item>Left effusion</item><item>双肺结节</item></list>
        <table><tr><th>Size</th><td>8 mm</td></tr></table>
        <content revised="delete">Pneumonia</content></text>
    </section></component></structuredBody>"""
    (report,) = records(encapsulated(tmp_path, CDA, a_cda(body))).texts
    assert report.text == "Findings:\nNo pneumothorax.\nLeft effusion\n双肺结节\nSize 8 mm"


def test_a_cda_in_gb18030_is_read() -> None:
    body = "<section><title>影像所见</title><text>右侧胸腔积液</text></section>"
    whole = a_cda(body, '<?xml version="1.0" encoding="GB18030"?>').decode().encode("gb18030")
    assert narrative(whole) == "影像所见:\n右侧胸腔积液"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (a_cda("", '<!DOCTYPE lolz [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>'), "document type"),
        (a_cda("", '<!DOCTYPE x SYSTEM "file:///etc/passwd">'), "document type"),
        (b"<html><body>no</body></html>", "no CDA document"),
        (a_cda("<section>"), "not well formed"),
        (a_cda("", '<?xml version="1.0" encoding="klingon"?>'), "unknown character set"),
        (b"\xff\xfe\x00", "not well formed"),
    ],
    ids=["entities", "external", "html", "cut", "charset", "bytes"],
)
def test_a_cda_that_is_none_or_wants_more_than_text_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(EvidenceError, match=reason):
        narrative(content)


def test_a_study_full_of_documents_is_read_to_a_limit_and_says_so(tmp_path: Path) -> None:
    paths = [sr(tmp_path, [text("Finding", "Clear.")], number) for number in range(1, MAX_DOCUMENTS + 3)]
    found = records(*paths)
    assert len(found.texts) == MAX_DOCUMENTS
    assert [each.reason for each in found.rejected] == ["2 more documents of the study were not read"]


def test_the_reason_of_the_examination_is_also_in_codes_and_admitting_diagnoses(tmp_path: Path) -> None:
    path = sr(
        tmp_path,
        [],
        ReasonForRequestedProcedureCodeSequence=code("1", "99TEST", "Suspected pneumonia"),
        AdmittingDiagnosesDescription="Fever",
        RequestedProcedureDescription="CT chest",
    )
    (study,), _ = read_studies([path])
    assert study.reason_for_exam == "Suspected pneumonia\nFever"
    assert study.description == "CT chest"
