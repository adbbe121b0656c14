"""The page a person reads: what was found, how sure, from what, what was missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Final

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate

from cds.domain.report import Report
from cds.report import labels, revision
from cds.report.chinese import chinese
from cds.report.json_form import as_json
from cds.report.labels import BANNER
from cds.report.pdf_changes import changes
from cds.report.pdf_findings import contributions, earlier, findings, impression, measurements, patient
from cds.report.pdf_fonts import Fonts, fonts_for
from cds.report.pdf_images import images
from cds.report.pdf_priors import prior_studies
from cds.report.pdf_sources import gates, knowledge, labs, limitations, missing, recommendations, software, texts
from cds.report.pdf_style import AMBER, AMBER_INK, GREY, MARGIN, NAVY, WIDTH, Page, gap
from cds.report.pdf_waveform import waveform
from cds.report.source import SourceHeader

TITLE: Final = ("Chest decision-support report", "胸部辅助决策报告")
BANNER_HEIGHT: Final = 9 * mm
OWN_WORDS: Final = (
    "未评估任何所见。依据降低升高百分点量检查原文模型关注区域程度相对值仅供定位参考，诊断请以原始图像为准。"
    "不适用：通过未页第共基线值概率=+各输入的贡献（）当时大小本次最大报告日期未注明另有项见结构化默认版本卡校准于"
    "该图像无法解码未能在此显示处标记中的依既往所述是否为同一病灶低高"
    "↑↓→—–…“”•·≤≥≈±µ°×¹²³^"
)
"""Characters that the page writes by itself, beyond the report's values and the labels."""

SECTIONS: Final[tuple[Callable[[Page, Report], list[Flowable]], ...]] = (
    impression,
    changes,
    findings,
    images,
    recommendations,
    contributions,
    measurements,
    waveform,
    prior_studies,
    earlier,
    missing,
    labs,
    texts,
    knowledge,
    gates,
    limitations,
    software,
)
"""The sections in the order of a hurried reader; one that has nothing to say is left out."""


def render(report: Report, header: SourceHeader, font_file: Path | None) -> bytes:
    """The report as PDF; the same report, fonts and library versions give the same bytes."""
    with fonts_for(_everything_said(report, header), font_file) as fonts:
        page = Page(fonts)
        story = [gap(1), *patient(page, report, header)]
        for section in SECTIONS:
            story += section(page, report)
        buffer = BytesIO()
        document = BaseDocTemplate(
            buffer,
            pagesize=A4,
            leftMargin=MARGIN,
            rightMargin=MARGIN,
            title=TITLE[0],
            author=f"{report.software.name} {report.software.version}",
            subject=BANNER[0],
            invariant=1,
            lang="en",
        )
        document.addPageTemplates(_template(page, report))
        document.build(story, canvasmaker=partial(_PagesOfTotal, page=page))
        return buffer.getvalue()


def _everything_said(report: Report, header: SourceHeader) -> str:
    """Every character that may be drawn, for the choice of glyphs."""
    own = [str(value) for value in vars(labels).values() if not callable(value)]
    own += [chinese(finding.calibrated_on) for finding in report.findings]
    copied = [str(element.value) for element in header.elements if element.VR != "SQ"]
    study = [report.study.description, report.study.reason_for_exam]
    since = [text for both in (revision.heading(report), *revision.sentences(report)) for text in both]
    return "".join([json.dumps(as_json(report), ensure_ascii=False), *own, *copied, *study, *since, *TITLE, OWN_WORDS])


def _template(page: Page, report: Report) -> PageTemplate:
    top, bottom = MARGIN + BANNER_HEIGHT - 2 * mm, MARGIN + 3 * mm
    frame = Frame(MARGIN, bottom, WIDTH, A4[1] - top - bottom, 0, 0, 0, 0, id="body")

    def around(canvas: Canvas, document: BaseDocTemplate) -> None:
        if canvas.getPageNumber() == 1:
            stamp = report.created_at
            canvas.setDateFormatter(lambda *_: f"D:{stamp:%Y%m%d%H%M%S}Z")
        _banner(canvas, page.fonts)
        _footer(canvas, page.fonts, report)

    return PageTemplate(id="page", frames=[frame], onPage=around)


def _banner(canvas: Canvas, fonts: Fonts) -> None:
    """The warning on top of every page, with the title at its right on the first."""
    bottom = A4[1] - MARGIN - BANNER_HEIGHT + 4 * mm
    canvas.saveState()
    canvas.setFillColor(AMBER)
    canvas.roundRect(MARGIN, bottom, WIDTH, BANNER_HEIGHT, 2, stroke=0, fill=1)
    canvas.setFillColor(AMBER_INK)
    canvas.rect(MARGIN, bottom, 3, BANNER_HEIGHT, stroke=0, fill=1)
    _line(canvas, fonts, BANNER[0], MARGIN + 9, bottom + BANNER_HEIGHT - 11, 9.2, bold=True)
    _line(canvas, fonts, BANNER[1], MARGIN + 9, bottom + 4.2, 8)
    canvas.setFillColor(NAVY)
    _line(canvas, fonts, TITLE[0], MARGIN + WIDTH - 6, bottom + BANNER_HEIGHT - 11, 9.2, bold=True, right=True)
    _line(canvas, fonts, TITLE[1], MARGIN + WIDTH - 6, bottom + 4.2, 8, right=True)
    canvas.restoreState()


def _footer(canvas: Canvas, fonts: Fonts, report: Report) -> None:
    canvas.saveState()
    canvas.setFillColor(GREY)
    said = f"{report.software.name} {report.software.version} · inputs {report.inputs_hash[:12]} · UNVERIFIED 未经确认"
    _line(canvas, fonts, said, MARGIN, MARGIN - 2, 6.8)
    canvas.restoreState()


def _line(
    canvas: Canvas, fonts: Fonts, text: str, x: float, y: float, size: float, *, bold: bool = False, right: bool = False
) -> None:
    """One line of text outside the flow, in a font that has its characters."""
    plain = fonts.shown(text)
    font = fonts.bold if bold else fonts.body
    if not fonts.known and not plain.isascii():
        font = "STSong-Light"
    canvas.setFont(font, size)
    (canvas.drawRightString if right else canvas.drawString)(x, y, plain)


class _PagesOfTotal(Canvas):  # type: ignore[misc]  # reportlab has no types
    """Writes "page / pages" once all pages are known."""

    def __init__(self, *arguments: object, page: Page, **options: object) -> None:
        super().__init__(*arguments, **options)
        self._page, self._kept = page, list[dict[str, object]]()

    def showPage(self) -> None:  # noqa: N802 - reportlab's name
        """Keep the page and go on."""
        self._kept.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        """Number every page, then write all of them."""
        kept = self._kept
        for number, state in enumerate(kept, start=1):
            self.__dict__.update(state)
            self.setFillColor(GREY)
            _line(self, self._page.fonts, f"{number} / {len(kept)}", MARGIN + WIDTH, MARGIN - 2, 6.8, right=True)
            super().showPage()
        super().save()
