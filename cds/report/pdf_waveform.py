"""The page's electrocardiogram: a strip with its R peaks marked, and what was measured."""

from __future__ import annotations

from typing import Final

from reportlab.lib.colors import HexColor
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable

from cds.domain.evidence import Evidence, Modality, Observation
from cds.domain.report import Report
from cds.domain.waveform import Trace
from cds.report.chinese import chinese
from cds.report.labels import STRIP_NOTE
from cds.report.pdf_style import GREY, INK, RED, WIDTH, Page, gap
from cds.report.wording import measure, one_line

HEIGHT: Final = 90.0
"""Points."""
LEAST_SPAN_MV: Final = 1.5
"""Shown from top to bottom at least, so that a flat strip is not drawn large."""
PAPER: Final = HexColor("#F4D6D2")
"""The lines of electrocardiogram paper: one a fifth of a second, a stronger one a second."""
STRONG: Final = HexColor("#E3A8A1")


class Strip(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A strip of one lead over the paper's lines, a triangle over each R peak."""

    def __init__(self, trace: Trace, width: float) -> None:
        super().__init__()
        self.trace = trace
        self.width, self.height = width, HEIGHT

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        """Its own size, whatever is there."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw with the lower left corner at the origin."""
        canvas: Canvas = self.canv
        trace = self.trace
        low, high = min(trace.values), max(trace.values)
        span = max(high - low, LEAST_SPAN_MV)
        middle, seconds = (low + high) / 2, len(trace.values) / trace.hz
        per_mv, per_second = (HEIGHT - 14) / span, self.width / seconds
        _paper(canvas, self.width, seconds)
        canvas.setStrokeColor(INK)
        canvas.setLineWidth(0.6)
        line = canvas.beginPath()
        for number, value in enumerate(trace.values):
            place = number / trace.hz * per_second, (HEIGHT - 14) / 2 + (value - middle) * per_mv
            (line.lineTo if number else line.moveTo)(*place)
        canvas.drawPath(line, stroke=1, fill=0)
        canvas.setFillColor(RED)
        for mark in trace.marks:
            _triangle(canvas, mark * per_second)
        canvas.setLineWidth(1.2)
        canvas.line(4, 4, 4, 4 + per_mv)  # one millivolt


def _paper(canvas: Canvas, width: float, seconds: float) -> None:
    for fifth in range(round(seconds * 5) + 1):
        canvas.setStrokeColor(PAPER if fifth % 5 else STRONG)
        canvas.setLineWidth(0.3 if fifth % 5 else 0.6)
        x = min(fifth / 5 / seconds, 1.0) * width
        canvas.line(x, 0, x, HEIGHT - 8)


def _triangle(canvas: Canvas, x: float) -> None:
    path = canvas.beginPath()
    path.moveTo(x, HEIGHT - 8)
    path.lineTo(x - 2.2, HEIGHT - 2)
    path.lineTo(x + 2.2, HEIGHT - 2)
    path.close()
    canvas.drawPath(path, stroke=0, fill=1)


def waveform(page: Page, report: Report) -> list[Flowable]:
    """The electrocardiogram, where one was read."""
    part = next((each for each in report.evidence if each.modality is Modality.WAVEFORM), None)
    return [] if part is None or not part.observations else page.section("waveform", _drawn(page, part))


def _drawn(page: Page, part: Evidence) -> list[Flowable]:
    made: list[Flowable] = []
    if part.trace is not None and part.trace.values:
        strip = part.trace
        said = f"{strip.lead} · {len(strip.values) / strip.hz:.1f} s · | = 1 mV · {part.observations[0].source}"
        note = page.both(STRIP_NOTE, 7, colour=GREY)
        made += [Strip(strip, WIDTH), page.text(one_line(said), 7, colour=GREY), *note, gap(3)]
    rows = [[_named(each), ", ".join(map(measure, each.measurements)), _told(page, each)] for each in part.observations]
    made.append(page.table(["", "", ""], rows, (0.36, 0.12, 0.52)))
    return made


def _named(item: Observation) -> str:
    lead = item.id.split("/")[2] if item.id.count("/") > 1 else ""
    return f"{item.concept.text('en')} {item.concept.meaning_zh} {lead}".strip()


def _told(page: Page, item: Observation) -> list[Flowable]:
    return page.both((one_line(item.note, 300), one_line(chinese(item.note), 300)), 7.5)
