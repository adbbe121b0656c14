"""How the page looks: colours, sizes, and the building blocks that every section uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from types import MappingProxyType
from typing import Final

from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import CondPageBreak, Flowable, Paragraph, Spacer, Table, TableStyle

from cds.report.labels import SECTIONS, Bilingual
from cds.report.pdf_fonts import Fonts
from cds.report.wording import clean, one_line

MARGIN: Final = 15 * mm
WIDTH: Final = A4[0] - 2 * MARGIN
"""Width of the text, in points."""

NAVY: Final = HexColor("#14324A")
BLUE: Final = HexColor("#2A6F97")
INK: Final = HexColor("#1B2733")
GREY: Final = HexColor("#5C6B78")
LINE: Final = HexColor("#D5DDE3")
PALE: Final = HexColor("#F3F6F8")
AMBER: Final = HexColor("#FFF3D6")
AMBER_INK: Final = HexColor("#7A4B00")
GREEN: Final = HexColor("#2E7D4F")
RED: Final = HexColor("#B3261E")

ASSERTION_COLOURS: Final[Mapping[str, Color]] = MappingProxyType(
    {"PRESENT": RED, "UNCERTAIN": HexColor("#B26A00"), "ABSENT": GREEN, "NOT_ASSESSED": GREY}
)
"""A colour never says it alone: the word stands beside it."""

HEADING: Final = 32.0
"""Points that a section's heading takes, with the space around it."""
TALLEST: Final = 240 * mm
"""What fits on one page; a beginning that is taller breaks where it must."""
LONGEST_TEXT: Final = 1500
"""Characters in one paragraph, which may stand in a column of half the page."""
MOST_LINES: Final = 20
LONGEST_CELL: Final = 700
"""Characters in one cell of a table: a cell must fit on a page."""


@dataclass(frozen=True, slots=True)
class Page:
    """Makes paragraphs and tables; everything that is shown passes through here and is escaped."""

    fonts: Fonts

    def style(
        self, size: float = 8.5, *, bold: bool = False, colour: Color = INK, right: bool = False
    ) -> ParagraphStyle:
        """A paragraph style of `size` points."""
        style = ParagraphStyle(
            "cds",
            fontName=self.fonts.bold if bold else self.fonts.body,
            fontSize=size,
            leading=size * 1.36,
            textColor=colour,
            splitLongWords=1,
        )
        if right:
            style.alignment = TA_RIGHT
        return style

    def text(
        self, text: str, size: float = 8.5, *, bold: bool = False, colour: Color = INK, right: bool = False
    ) -> Paragraph:
        """Text, as it is: no markup in it is obeyed; cut where it would not fit on a page."""
        kept = "\n".join(clean(text).split("\n")[:MOST_LINES])
        fitting = kept if len(kept) <= LONGEST_TEXT else kept[:LONGEST_TEXT] + "…"
        return Paragraph(self.fonts.markup(fitting), self.style(size, bold=bold, colour=colour, right=right))

    def cell(self, text: str, size: float = 8, *, bold: bool = False, colour: Color = INK) -> Paragraph:
        """Text for a table, on one line as far as it came, and cut where it would not fit on a page."""
        return self.text(one_line(text, LONGEST_CELL), size, bold=bold, colour=colour)

    def both(self, text: Bilingual, size: float = 8.5, *, bold: bool = False, colour: Color = INK) -> list[Flowable]:
        """English, and below it Chinese, smaller and grey."""
        made: list[Flowable] = [self.text(text[0], size, bold=bold, colour=colour)]
        if text[1] and text[1] != text[0]:
            made.append(self.text(text[1], size * 0.92, colour=GREY))
        return made

    def section(self, name: str, body: Sequence[Flowable]) -> list[Flowable]:
        """A section's name in both languages over a thin line, never without the beginning of its body."""
        english, chinese = SECTIONS[name]
        markup = (
            f"{self.fonts.markup(english)}&nbsp;&nbsp;"
            f'<font size="8.5" color="#5C6B78">{self.fonts.markup(chinese)}</font>'
        )
        line = Table([[Paragraph(markup, self.style(11, bold=True, colour=NAVY))]], colWidths=[WIDTH])
        line.setStyle(
            TableStyle(
                [
                    ("LINEBELOW", (0, 0), (-1, -1), 0.9, BLUE),
                    ("LEFTPADDING", (0, 0), (-1, -1), 0),
                    ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
                    ("TOPPADDING", (0, 0), (-1, -1), 9),
                ]
            )
        )
        line.spaceAfter = 3
        return [CondPageBreak(min(HEADING + beginning(body), TALLEST)), line, *body] if body else []

    def table(
        self,
        head: Sequence[str],
        rows: Sequence[Sequence[Flowable | list[Flowable] | str]],
        widths: Sequence[float],
        together: Sequence[int] = (),
    ) -> Table:
        """Rows under a head that repeats on every page; `widths` are shares of the text's width.

        `together` are the lengths of runs of rows, in their order, that no page break divides.
        """
        total = sum(widths)
        top = [[self.cell(each, 7.5, bold=True, colour=GREY) for each in head]] if any(head) else []
        body = [[self.cell(each) if isinstance(each, str) else each for each in row] for row in rows]
        table = Table([*top, *body], colWidths=[WIDTH * share / total for share in widths], repeatRows=len(top))
        ends = [len(top) + end for end in accumulate(together)]
        table.setStyle(
            TableStyle(
                [("NOSPLIT", (0, end - n), (-1, end - 1)) for n, end in zip(together, ends, strict=True) if n > 1]
            )
        )
        table.setStyle(
            TableStyle(
                [
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                    ("LINEBELOW", (0, 0), (-1, -1), 0.35, LINE),
                    ("LINEBELOW", (0, 0), (-1, len(top) - 1), 0.7, GREY if top else LINE),
                    ("LEFTPADDING", (0, 0), (-1, -1), 3),
                    ("RIGHTPADDING", (0, 0), (-1, -1), 3),
                    ("TOPPADDING", (0, 0), (-1, -1), 2.5),
                    ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
                ]
            )
        )
        return table

    def panel(
        self,
        rows: Sequence[Sequence[Flowable | list[Flowable] | str]],
        *,
        shares: Sequence[float] = (1.0,),
        bar: Color = BLUE,
    ) -> Table:
        """A tinted box with a bar at its left; a row can break to the next page, a panel too."""
        table = Table([list(row) for row in rows], colWidths=[WIDTH * share for share in shares])
        table.setStyle(
            TableStyle(
                [
                    ("BACKGROUND", (0, 0), (-1, -1), PALE),
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                    ("LINEBEFORE", (0, 0), (0, -1), 3, bar),
                    ("LEFTPADDING", (0, 0), (-1, -1), 9),
                    ("TOPPADDING", (0, 0), (-1, -1), 1.5),
                    ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
                ]
            )
        )
        return table

    def both_bullets(self, lines: Sequence[Bilingual], size: float = 8) -> list[Flowable]:
        """Short lines, each with a dot, the Chinese below the English."""
        style, below = self.style(size), self.style(size * 0.92, colour=GREY)
        style.leftIndent = below.leftIndent = 9
        style.bulletIndent = 1
        made: list[Flowable] = []
        for english, chinese in lines:
            made.append(Paragraph(self.fonts.markup(one_line(english, LONGEST_TEXT)), style, bulletText="•"))
            if chinese and chinese != english:
                made[-1].keepWithNext = 1
                made.append(Paragraph(self.fonts.markup(one_line(chinese, LONGEST_TEXT)), below))
        return made


def beginning(body: Sequence[Flowable]) -> float:
    """Height in points of what must stand together at the start of a section."""
    first, *rest = body
    height = float(first.wrap(WIDTH, TALLEST)[1])
    if isinstance(first, Table):
        row = int(first.repeatRows)
        last = max((int(end[1]) for _, start, end in first._nosplitCmds if start[1] <= row), default=row)
        return sum(float(each) for each in first._rowHeights[: last + 1]) or height
    return height + (beginning(rest) if rest and first.getKeepWithNext() else 0.0)


def gap(points: float = 4) -> Flowable:
    """Empty space."""
    return Spacer(1, points)


PAPER: Final = white
