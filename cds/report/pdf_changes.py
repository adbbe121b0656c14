"""The page's part about the revision before."""

from __future__ import annotations

from typing import Final

from reportlab.platypus import Flowable

from cds.domain.report import Report
from cds.report import revision
from cds.report.pdf_style import AMBER_INK, GREY, Page, gap

_MOST: Final = 40
"""Changes that are told; what is beyond is counted, and stands in the structured report."""


def changes(page: Page, report: Report) -> list[Flowable]:
    """What this revision says otherwise, where it is one."""
    said = revision.sentences(report)
    if not said:
        return []
    title = " · ".join(revision.heading(report))
    made = [page.text(title, 8.8, bold=True), *page.both_bullets(said[:_MOST])]
    if (more := len(said) - _MOST) > 0:
        left_out = f"and {more} more, in the structured report.", f"另有 {more} 项，见结构化报告。"
        made += page.both(left_out, 7.5, colour=GREY)
    return page.section("changes", [page.panel([[made]], bar=AMBER_INK), gap(2)])
