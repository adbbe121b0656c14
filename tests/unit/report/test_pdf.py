"""The page, judged by poppler and dciodvfy."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from cds.domain.report import Case, Report
from cds.errors import ConfigError
from cds.report import pdf_fonts
from cds.report.labels import SECTIONS
from cds.report.pdf import SOP_CLASS, EncapsulatedPdf
from cds.report.pdf_findings import person
from cds.report.pdf_fonts import MISSING_GLYPH, find
from support.images import series_of
from support.reports import (
    HOSTILE,
    full_report,
    many_nodules_report,
    records,
    revised_report,
    study_of,
    xray_only_report,
)

Make = Callable[[Path], Report]
Run = Callable[[str, Path], str]
Read = Callable[..., str]
KINDS: tuple[Make, ...] = (full_report, xray_only_report, many_nodules_report, revised_report)


def page_of(report: Report, folder: Path, **settings: str) -> Path:
    path = folder / "page.pdf"
    path.write_bytes(EncapsulatedPdf(EncapsulatedPdf.Settings(**settings)).write(report)[1].content)
    return path


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_dciodvfy_finds_no_error(make: Make, tmp_path: Path, run: Run) -> None:
    file = tmp_path / "pdf.dcm"
    file.write_bytes(EncapsulatedPdf().write(make(tmp_path))[0].content)
    said = run("dciodvfy", file)
    assert "EncapsulatedPDF" in said
    assert "Error" not in said


def test_the_object_holds_the_very_page_and_names_its_sources(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    wrapped, plain = EncapsulatedPdf().write(report)
    ds = dcmread(BytesIO(wrapped.content))
    assert ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength] == plain.content
    assert plain.content.startswith(b"%PDF-")
    assert (ds.SOPClassUID, ds.Modality, ds.MIMETypeOfEncapsulatedDocument) == (SOP_CLASS, "DOC", "application/pdf")
    assert (ds.VerificationFlag, ds.BurnedInAnnotation) == ("UNVERIFIED", "YES")
    sources = [item.ReferencedSOPInstanceUID for item in ds.SourceInstanceSequence]
    assert sources == [instance.sop_instance_uid for instance in report.study.instances]


def test_the_banner_and_the_page_number_stand_on_every_page(tmp_path: Path, run: Run, read_page: Read) -> None:
    page = page_of(many_nodules_report(tmp_path), tmp_path)
    count = int(re.findall(r"Pages:\s+(\d+)", run("pdfinfo", page))[0])
    assert count > 1
    for number in range(1, count + 1):
        said = read_page(page, "-f", str(number), "-l", str(number))
        assert "AI decision support, unverified" in said
        assert f"{number}/{count}" in said.replace(" ", "")


def test_the_page_says_what_was_found_how_sure_from_what_and_what_was_missing(tmp_path: Path, read_page: Read) -> None:
    said = " ".join(read_page(page_of(full_report(tmp_path), tmp_path)).split())
    for expected in (
        "Wang XiaoDong (王小东)",
        "MRN-4711 (HOSPITAL)",
        "84 % (95 % interval",
        "71–91 %)",
        "laboratory: C reactive protein 96.5 mg/L",
        "96.5 mg/L ↑ H",
        "+31.0 points",
        "“FINDINGS: right lower lobe consolidation.”",
        "Fleischner Society 2017 · Table 1 · Solid, single, >8 mm",
        "Pneumonia —has symptom→ Fever",
        "waveform: no extractor is configured. 波形：未配置相应模块。",
        "slice thickness",
        "e" * 64,
    ):
        assert expected in said, expected


def test_a_passage_of_an_earlier_report_is_called_that_and_not_present(tmp_path: Path, read_page: Read) -> None:
    said = " ".join(read_page(page_of(full_report(tmp_path), tmp_path)).split())
    row = said.rpartition("Passage 原文")[2].partition("“FINDINGS: right lower lobe consolidation.”")[0]
    assert "earlier report" in row
    assert "present" not in row


def test_the_page_of_a_revision_names_what_it_replaces(tmp_path: Path, read_page: Read) -> None:
    said = read_page(page_of(revised_report(tmp_path), tmp_path))
    assert "2 (replaces 2.25.12345678901234567890)" in said
    assert "No finding was assessed." in said


def test_hostile_text_is_printed_and_not_obeyed(tmp_path: Path, read_page: Read) -> None:
    report = full_report(tmp_path)
    xray = series_of(tmp_path, "DX", 1, name="<b>Bobby</b>&<img/>", StudyDescription="<para>&lt;")
    study = replace(study_of(xray), reason_for_exam=HOSTILE)
    finding = replace(report.findings[4], reason=HOSTILE)
    lab = replace(records().labs[0], source=HOSTILE)
    report = replace(
        report,
        case=Case(study=study, records=replace(records(), labs=(lab,))),
        findings=(finding,),
        evidence=(),
        limits=(HOSTILE,),
        impression=(HOSTILE, HOSTILE),
    )
    said = " ".join(read_page(page_of(report, tmp_path)).split())
    assert "<b>Bobby</b>&<img/>" in said
    assert said.count('<b>bold</b> & "fever" </para>') >= 3


def test_a_very_long_text_still_fits_on_pages(tmp_path: Path, read_page: Read) -> None:
    endless = "word " * 3000 + "x" * 3000
    report = full_report(tmp_path)
    report = replace(
        report,
        case=replace(report.case, study=replace(report.study, reason_for_exam=endless)),
        findings=(replace(report.findings[4], reason=endless, because=tuple(f"id/{n}" for n in range(50))),),
        limits=(endless,),
        impression=(endless, endless),
    )
    assert "and 44 more" in read_page(page_of(report, tmp_path))


def test_an_image_that_cannot_be_decoded_is_told_in_words(tmp_path: Path, read_page: Read) -> None:
    report = xray_only_report(tmp_path)
    path = report.study.instances[0].path
    path.write_bytes(path.read_bytes()[:-5000])
    said = " ".join(read_page(page_of(report, tmp_path)).split())
    assert "could not be decoded to be shown here" in said


@pytest.mark.skipif(find("") is None, reason="no font with Chinese is installed (Debian package fonts-noto-cjk)")
def test_every_font_that_is_used_is_embedded_and_no_character_is_lost(
    tmp_path: Path, run: Run, read_page: Read
) -> None:
    page = page_of(full_report(tmp_path), tmp_path)
    used = [line for line in run("pdffonts", page).splitlines() if "Cds" in line]
    assert {name for name in ("CdsBody", "CdsBold") for line in used if name in line} == {"CdsBody", "CdsBold"}
    assert all(re.search(r"yes yes yes", line) for line in used)
    assert MISSING_GLYPH not in read_page(page)


def test_without_an_installed_font_the_page_is_written_with_an_unembedded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_page: Read
) -> None:
    monkeypatch.setattr(pdf_fonts, "INSTALLED", ())
    said = read_page(page_of(full_report(tmp_path), tmp_path))
    assert "Pneumonia (right lung): present, probability 84 %" in " ".join(said.split())
    assert "肺炎" in said
    assert "人工智能辅助决策" in said


def test_a_character_that_no_font_has_is_a_box_and_the_rest_is_kept(tmp_path: Path, read_page: Read) -> None:
    report = xray_only_report(tmp_path)
    xray = series_of(tmp_path, "DX", 1, name="Smith^\u1e900\U000102a0John")
    report = replace(report, case=replace(report.case, study=study_of(xray)))
    assert "John" in read_page(page_of(report, tmp_path))


def test_a_font_file_that_is_not_there_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"font file '/no/such\.ttf' does not exist"):
        EncapsulatedPdf(EncapsulatedPdf.Settings(font_file="/no/such.ttf"))


def test_a_font_file_that_is_no_font_is_a_configuration_error(tmp_path: Path) -> None:
    report = xray_only_report(tmp_path)
    file = tmp_path / "font.ttf"
    file.write_bytes(b"no font")
    with pytest.raises(ConfigError, match="cannot be embedded"):
        page_of(report, tmp_path, font_file=str(file))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Wang^XiaoDong=王^小东", "Wang XiaoDong (王小东)"),
        ("=王^小东", "王小东"),
        ("Adams^John^Q^^Dr", "Adams John Q Dr"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada Tarou (山田太郎)"),
        ("", ""),
    ],
)
def test_a_person_name_is_shown_as_one_reads_it(name: str, shown: str) -> None:
    assert person(name) == shown


@pytest.mark.parametrize("filler", range(0, 44, 4))
def test_no_heading_stands_alone_at_the_foot_of_a_page(filler: int, tmp_path: Path, read_page: Read) -> None:
    """The text before the headings is made longer step by step, so that each heading passes the foot of a page."""
    report = full_report(tmp_path)
    lines = "\n".join(f"line {number}" for number in range(filler))
    report = replace(
        report,
        impression=(f"{report.impression[0]}\n{lines}", report.impression[1]),
        findings=tuple(replace(each, reason=each.reason or "a reason " * (filler % 9)) for each in report.findings),
    )
    pages = read_page(page_of(report, tmp_path)).split("\f")
    headings = {english for english, _ in SECTIONS.values()}
    for page in filter(str.strip, pages):
        last = [line.strip() for line in page.splitlines() if line.strip()][-2]  # the footer comes after it
        assert not any(last.startswith(heading) for heading in headings), last
