"""Small drawings: a probability with its interval, a contribution, a picture with marks."""

from __future__ import annotations

import math
from io import BytesIO

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable

from cds.report.marks import Mark, ellipse
from cds.report.pdf_style import GREEN, GREY, LINE, RED

MARK = HexColor("#FFD400")


class ProbabilityBar(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A track from 0 to 1, the interval as a band on it, the probability as a filled bar and a tick."""

    def __init__(self, value: float, interval: tuple[float, float] | None, colour: Color, width: float) -> None:
        super().__init__()
        self.value, self.interval, self.colour = value, interval, colour
        self.width, self.height = width, 9.0

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        """Its own size, whatever is there."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw with the lower left corner at the origin."""
        canvas: Canvas = self.canv
        canvas.setLineWidth(0)
        canvas.setFillColor(HexColor("#E6EBEF"))
        canvas.roundRect(0, 2, self.width, 5, 2.5, stroke=0, fill=1)
        canvas.setFillColor(self.colour)
        canvas.roundRect(0, 2, max(self.width * self.value, 2.5), 5, 2.2, stroke=0, fill=1)
        canvas.setStrokeColor(HexColor("#1B2733"))
        canvas.setLineWidth(0.8)
        if self.interval is not None:
            low, high = (self.width * bound for bound in self.interval)
            canvas.line(low, 4.5, high, 4.5)
            for end in (low, high):
                canvas.line(end, 1.5, end, 7.5)
        canvas.setLineWidth(0.3)
        canvas.setStrokeColor(GREY)
        canvas.line(self.width / 2, 0.8, self.width / 2, 2)


class ShareBar(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A bar to the right of the middle for what raised a probability, to the left for what lowered it."""

    def __init__(self, value: float, largest: float, width: float) -> None:
        super().__init__()
        self.share = value / largest if largest > 0 else 0.0
        self.width, self.height = width, 9.0

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        """Its own size, whatever is there."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw with the lower left corner at the origin."""
        canvas: Canvas = self.canv
        middle, length = self.width / 2, abs(self.share) * self.width / 2
        canvas.setStrokeColor(LINE)
        canvas.setLineWidth(0.6)
        canvas.line(0, 4.5, self.width, 4.5)
        canvas.setFillColor(RED if self.share > 0 else GREEN)
        left = middle if self.share > 0 else middle - length
        canvas.rect(left, 1.8, length, 5.4, stroke=0, fill=1)
        canvas.setStrokeColor(GREY)
        canvas.line(middle, 0, middle, 9)


class ColourScale(Flowable):  # type: ignore[misc]  # reportlab has no types
    """The colours of a map from low to high, with both ends named."""

    def __init__(
        self, colours: tuple[tuple[int, int, int], ...], width: float, ends: tuple[str, str], font: str
    ) -> None:
        super().__init__()
        self.colours, self.ends, self.font = colours, ends, font
        self.width, self.height = width, 9.0

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        """Its own size, whatever is there."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw with the lower left corner at the origin."""
        canvas: Canvas = self.canv
        edge, step = self.width / 6, self.width * 4 / 6 / len(self.colours)
        for number, (red, green, blue) in enumerate(self.colours):
            canvas.setFillColor(Color(red / 255, green / 255, blue / 255))
            canvas.rect(edge + number * step, 1.5, step + 0.2, 6, stroke=0, fill=1)
        canvas.setFillColor(GREY)
        canvas.setFont(self.font, 7)
        canvas.drawRightString(edge - 3, 2, self.ends[0])
        canvas.drawString(self.width - edge + 3, 2, self.ends[1])


class Picture(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A JPEG with marks on it; `pixels` is its (columns, rows)."""

    def __init__(self, jpeg: bytes, pixels: tuple[int, int], width: float, marks: tuple[Mark, ...], font: str) -> None:
        super().__init__()
        self.jpeg, self.pixels, self.marks, self.font = jpeg, pixels, marks, font
        self.width = width
        self.height = width * pixels[1] / pixels[0]

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        """Its own size, whatever is there."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw with the lower left corner at the origin."""
        canvas: Canvas = self.canv
        canvas.drawImage(ImageReader(BytesIO(self.jpeg)), 0, 0, self.width, self.height)
        canvas.saveState()
        clip = canvas.beginPath()
        clip.rect(0, 0, self.width, self.height)
        canvas.clipPath(clip, stroke=0, fill=0)
        canvas.setStrokeColor(MARK)
        canvas.setFillColor(MARK)
        canvas.setLineWidth(1)
        for mark in self.marks:
            self._draw_mark(canvas, mark)
        canvas.restoreState()

    def _draw_mark(self, canvas: Canvas, mark: Mark) -> None:
        points = [self._place(point) for point in mark.points]
        x, y = points[0]
        reach = 4.0
        if mark.shape == "CIRCLE" and len(points) > 1:
            reach = max(math.dist(points[0], points[1]), 2.5)
            canvas.circle(x, y, reach, stroke=1, fill=0)
        elif mark.shape == "ELLIPSE" and len(points) == 4:
            _outline(canvas, ellipse(points))
        elif mark.shape == "POLYLINE" and len(points) > 1:
            _outline(canvas, points)
        else:
            canvas.line(x - reach, y, x + reach, y)
            canvas.line(x, y - reach, x, y + reach)
        if mark.label:
            canvas.setFont(self.font, 7)
            canvas.drawString(x + 0.75 * reach + 2, y + 0.75 * reach, mark.label)

    def _place(self, point: tuple[float, float]) -> tuple[float, float]:
        """(column, row), the centre of the first pixel at 0.5, to points from the lower left corner."""
        return self.width * point[0] / self.pixels[0], self.height * (1 - point[1] / self.pixels[1])


def _outline(canvas: Canvas, points: list[tuple[float, float]]) -> None:
    path = canvas.beginPath()
    path.moveTo(*points[0])
    for point in points[1:]:
        path.lineTo(*point)
    canvas.drawPath(path, stroke=1, fill=0)
