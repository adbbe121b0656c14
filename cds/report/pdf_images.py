"""The page's pictures: the key image, its heat map, and what was marked."""

from __future__ import annotations

from typing import Final

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Table, TableStyle

from cds.domain.evidence import Evidence
from cds.domain.finding import Finding
from cds.domain.report import Report
from cds.domain.study import Instance
from cds.report.labels import MODALITIES
from cds.report.marks import Mark, mark, marks
from cds.report.pdf_drawings import ColourScale, Picture
from cds.report.pdf_style import GREY, WIDTH, Page, gap
from cds.report.pixels import Shown, crop, heat_colours, heated, jpeg, shown
from cds.report.wording import measure, place

THIRD: Final = WIDTH / 3 - 2 * mm
SIDE: Final = WIDTH / 4 - 2 * mm
ATTENTION: Final = "model attention, relative: where the model looked 模型关注程度（相对值）"
LOW, HIGH = "low 低", "high 高"
MOST_CROPS: Final = 8
"""Marked findings that are shown enlarged; all of them stand in the tables."""
LEAST_HALF_SIDE: Final = 32.0
"""Image pixels around the centre of a mark that are shown at least."""


def images(page: Page, report: Report) -> list[Flowable]:
    """Key images with their heat maps, then the marked findings enlarged."""
    by_uid = {instance.sop_instance_uid: instance for instance in report.study.instances}
    cells: list[list[Flowable]] = []
    for part in report.evidence:
        if part.key_image in by_uid:
            cells += _key_image(page, report, part, by_uid[part.key_image])
    made = [_row(cells[start : start + 3], THIRD) for start in range(0, len(cells), 3)]
    made += _enlarged(page, report, by_uid)
    if not made:
        return []
    note = "For orientation only; diagnose on the original images. 仅供定位参考，诊断请以原始图像为准。"
    return page.section("images", [*made, page.text(note, 7, colour=GREY)])


def _key_image(page: Page, report: Report, part: Evidence, instance: Instance) -> list[list[Flowable]]:
    """The image as it is with what was marked on it, and beside it where the model looked."""
    english, chinese = MODALITIES[part.modality]
    picture = shown(instance)
    if picture is None:
        said = f"{english}: image {instance.sop_instance_uid} could not be decoded to be shown here."
        return [page.both((said, f"{chinese}：该图像无法解码，未能在此显示。"), 8)]
    on_it = marks(report, instance, picture.scale)
    if not on_it and not part.heat_map:
        return []
    cells = [_captioned(page, picture, on_it, f"{english} {chinese}")]
    if part.heat_map:
        warm = heated(picture.grey, part.heat_map)
        overlaid = Picture(jpeg(warm), (warm.shape[1], warm.shape[0]), THIRD, (), page.fonts.body)
        scale = ColourScale(heat_colours(), THIRD, (LOW, HIGH), page.fonts.any_script)
        cells.append([overlaid, gap(2), scale, page.text(ATTENTION, 7.5, colour=GREY)])
    return cells


def _captioned(page: Page, picture: Shown, on_it: tuple[Mark, ...], caption: str) -> list[Flowable]:
    rows, columns = picture.grey.shape
    image = Picture(jpeg(picture.grey), (columns, rows), THIRD, on_it, page.fonts.bold)
    return [image, gap(2), page.text(caption, 7.5, colour=GREY)]


def _enlarged(page: Page, report: Report, by_uid: dict[str, Instance]) -> list[Flowable]:
    marked = [finding for finding in report.findings if finding.region is not None]
    cells = [cell for finding in marked[:MOST_CROPS] if (cell := _crop(page, finding, by_uid)) is not None]
    made: list[Flowable] = [_row(cells[start : start + 4], SIDE) for start in range(0, len(cells), 4)]
    if len(marked) > MOST_CROPS:
        shown_of = (
            f"{MOST_CROPS} of {len(marked)} marked findings are shown.",
            f"显示 {len(marked)} 处标记中的 {MOST_CROPS} 处。",
        )
        made += page.both(shown_of, 7.5, colour=GREY)
    return made


def _crop(page: Page, finding: Finding, by_uid: dict[str, Instance]) -> list[Flowable] | None:
    region = finding.region
    assert region is not None
    picture = shown(by_uid[region.sop_instance_uid], region.frame)
    if picture is None:
        return None
    xs, ys = ([point[axis] / picture.scale for point in region.points] for axis in (0, 1))
    centre = (xs[0], ys[0]) if region.shape == "CIRCLE" else (sum(xs) / len(xs), sum(ys) / len(ys))
    reach = max(max(xs) - min(xs), max(ys) - min(ys))
    square, corner = crop(picture.grey, centre, max(3.0 * reach, LEAST_HALF_SIDE / picture.scale))
    size = f" {measure(finding.measurements[0])}" if finding.measurements else ""
    where = place(finding.site)[0]
    caption = f"{finding.id.rpartition('/')[2]}: {finding.code.text('en')}{size}" + (f", {where}" if where else "")
    image = Picture(
        jpeg(square), (square.shape[1], square.shape[0]), SIDE, (mark(finding, picture.scale, corner),), page.fonts.bold
    )
    return [image, gap(2), page.text(caption, 7, colour=GREY)]


def _row(cells: list[list[Flowable]], width: float) -> Flowable:
    table = Table([cells], colWidths=[width + 2 * mm] * len(cells), hAlign="LEFT")
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 4),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
            ]
        )
    )
    return table
