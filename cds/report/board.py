"""The board: one dark picture that any viewer shows, with the key images, what was marked, and what was concluded.

It carries no patient data: who it is about stands in the DICOM attributes, which the viewer shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cds.domain.evidence import Assertion, Evidence
from cds.domain.finding import Finding
from cds.domain.report import Report
from cds.domain.study import Instance
from cds.domain.vocabulary import ECG
from cds.report.labels import BANNER, MODALITIES, Bilingual
from cds.report.marks import Mark, ellipse, marks
from cds.report.pixels import Shown, heated, shown
from cds.report.wording import URGENCY, gap, sentence

WIDTH: Final = 1024
EDGE: Final = 24
CELL: Final = (WIDTH - 3 * EDGE) // 2
"""Pixels on the longer side of a picture: two stand side by side."""
MOST_FINDINGS: Final = 8
MOST_PICTURES: Final = 4

GROUND, INK, QUIET = (12, 16, 20), (236, 240, 243), (150, 162, 172)
AMBER, AMBER_INK, MARK = (255, 201, 77), (46, 28, 0), (255, 212, 0)
COLOURS: Final = {
    Assertion.PRESENT: (255, 107, 97),
    Assertion.UNCERTAIN: (255, 183, 77),
    Assertion.ABSENT: (111, 207, 151),
    Assertion.NOT_ASSESSED: QUIET,
}
ORIENTATION: Final[Bilingual] = (
    "For orientation only; diagnose on the original images.",
    "仅供定位参考，诊断请以原始图像为准。",
)
ATTENTION: Final[Bilingual] = ("where the model looked, relative", "模型关注程度（相对值）")
NO_PICTURE: Final[Bilingual] = ("No image with a mark or heat map is shown.", "无带标记或热图的图像。")

Colour = tuple[int, int, int]
Picture = NDArray[np.uint8]
Captioned = tuple[Image.Image, Bilingual]


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    size: int
    colour: Colour
    dot: Colour | None = None


class Board:
    """Draws boards.

    Parameters
    ----------
    font_file
        A font with Chinese; None draws English alone, in the font that Pillow brings.
    """

    def __init__(self, font_file: Path | None) -> None:
        self._font_file = font_file

    def draw(self, report: Report) -> Picture:
        """The whole board; shape (rows, 1024, 3), uint8."""
        pictures = list(self._pictures(report))[:MOST_PICTURES]
        lines = list(self._lines(report, bool(pictures)))
        parts = [self._banner(), *self._rows(pictures), self._text(lines)]
        board = Image.new("RGB", (WIDTH, sum(part.height for part in parts)), GROUND)
        top = 0
        for part in parts:
            board.paste(part, (0, top))
            top += part.height
        return np.asarray(board, dtype=np.uint8)

    def _font(self, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        return ImageFont.truetype(self._font_file, size) if self._font_file else ImageFont.load_default(size)

    def _said(self, both: Bilingual) -> tuple[str, ...]:
        """The languages that the font has."""
        return both if self._font_file else both[:1]

    def _banner(self) -> Image.Image:
        said = self._said(BANNER)
        part = Image.new("RGB", (WIDTH, 12 + 34 * len(said)), AMBER)
        draw = ImageDraw.Draw(part)
        for number, text in enumerate(said):
            draw.text((EDGE, 6 + 34 * number), text, AMBER_INK, self._font(26 if number == 0 else 22))
        return part

    def _pictures(self, report: Report) -> Iterator[Captioned]:
        """Each key image with its marks, and where the model looked on it."""
        by_uid = {instance.sop_instance_uid: instance for instance in report.study.instances}
        for part in report.evidence:
            instance = by_uid.get(part.key_image)
            picture = shown(instance) if instance else None
            if instance is not None and picture is not None:
                yield from self._of(report, part, instance, picture)

    def _of(self, report: Report, part: Evidence, instance: Instance, picture: Shown) -> Iterator[Captioned]:
        on_it = marks(report, instance, picture.scale)
        if on_it or part.heat_map:
            yield self._marked(np.repeat(picture.grey[..., None], 3, axis=2), on_it), MODALITIES[part.modality]
        if part.heat_map:
            yield self._marked(heated(picture.grey, part.heat_map), ()), ATTENTION

    def _marked(self, picture: Picture, on_it: Sequence[Mark]) -> Image.Image:
        """The picture at the size of a cell; marks are drawn after that, so that their lines stay fine."""
        rows, columns = picture.shape[:2]
        scale = CELL / max(rows, columns)
        image = Image.fromarray(picture).resize((round(columns * scale), round(rows * scale)), Image.Resampling.LANCZOS)
        draw = ImageDraw.Draw(image)
        for mark in on_it:
            self._mark(draw, mark, scale)
        return image

    def _mark(self, draw: ImageDraw.ImageDraw, mark: Mark, scale: float) -> None:
        points = [(x * scale, y * scale) for x, y in mark.points]
        x, y = points[0]
        reach = 8.0
        if mark.shape == "CIRCLE" and len(points) > 1:
            reach = max(math.dist(points[0], points[1]), 5.0)
            draw.circle((x, y), reach, outline=MARK, width=2)
        elif mark.shape == "ELLIPSE" and len(points) == 4:
            draw.line(ellipse(points), fill=MARK, width=2)
        elif mark.shape == "POLYLINE" and len(points) > 1:
            draw.line(points, fill=MARK, width=2)
        else:
            draw.line([(x - reach, y), (x + reach, y)], fill=MARK, width=2)
            draw.line([(x, y - reach), (x, y + reach)], fill=MARK, width=2)
        draw.text((x + 0.75 * reach + 3, y - 0.75 * reach - 3), mark.label, MARK, self._font(18), anchor="ls")

    def _rows(self, pictures: Sequence[Captioned]) -> Iterator[Image.Image]:
        for start in range(0, len(pictures), 2):
            pair = pictures[start : start + 2]
            height = max(image.height for image, _ in pair)
            part = Image.new("RGB", (WIDTH, EDGE + height + 30), GROUND)
            draw = ImageDraw.Draw(part)
            for column, (image, caption) in enumerate(pair):
                left = EDGE + column * (CELL + EDGE)
                part.paste(image, (left, EDGE))
                draw.text((left, EDGE + height + 4), " ".join(self._said(caption)), QUIET, self._font(17))
            yield part

    def _lines(self, report: Report, any_picture: bool) -> Iterator[_Line]:
        findings = sorted(report.findings, key=_urgency)
        for finding in findings[:MOST_FINDINGS]:
            yield from self._finding(finding)
        more = len(findings) - MOST_FINDINGS
        if more > 0:
            rest = (f"{more} more stand in the structured report.", f"其余 {more} 项见结构化报告。")
            yield from self._quiet(rest)
        for missing in report.missing:
            yield from self._quiet(gap(missing))
        if not any_picture:
            yield from self._quiet(NO_PICTURE)
        revision = (f"Revision {report.revision}. {ORIENTATION[0]}", f"第 {report.revision} 版。{ORIENTATION[1]}")
        yield from self._quiet(revision)

    def _finding(self, finding: Finding) -> Iterator[_Line]:
        english, *chinese = self._said(sentence(finding))
        colour = QUIET if finding.code.value == ECG.value else COLOURS[finding.assertion]
        yield _Line(english, 21, INK, colour)
        for text in chinese:
            yield _Line(text, 19, QUIET)

    def _quiet(self, both: Bilingual) -> Iterator[_Line]:
        for text in self._said(both):
            yield _Line(text, 17, QUIET)

    def _text(self, lines: Sequence[_Line]) -> Image.Image:
        wrapped = [(line, row) for line in lines for row in self._wrapped(line)]
        part = Image.new("RGB", (WIDTH, 2 * EDGE + sum(_height(line) for line, _ in wrapped)), GROUND)
        draw, top, before = ImageDraw.Draw(part), EDGE, None
        for line, row in wrapped:
            if line.dot and line is not before:
                draw.ellipse((EDGE, top + 9, EDGE + 13, top + 22), fill=line.dot)
            draw.text((2 * EDGE, top), row, line.colour, self._font(line.size))
            top, before = top + _height(line), line
        return part

    def _wrapped(self, line: _Line) -> Iterator[str]:
        """The text in rows that fit; Chinese breaks anywhere, English between words."""
        font, row = self._font(line.size), ""
        for piece in _pieces(line.text):
            if row and font.getlength(row + piece) > WIDTH - 3 * EDGE:
                yield row.rstrip()
                row = ""
            row += piece
        yield row.rstrip()


def _urgency(finding: Finding) -> tuple[int, float]:
    """What is present first, the largest of it first of all."""
    sizes = [each.value for each in finding.measurements if each.unit == "mm"]
    return URGENCY.index(finding.assertion), -max(sizes, default=0.0)


def _height(line: _Line) -> int:
    return line.size + 9


def _pieces(text: str) -> Iterator[str]:
    """What must not be broken: words with the space after them, single Chinese characters."""
    word = ""
    for character in text:
        word += character
        if character == " " or ord(character) > 0x2E7F:
            yield word
            word = ""
    if word:
        yield word
