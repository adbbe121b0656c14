"""The page's part about earlier studies."""

from __future__ import annotations

from typing import Final

from reportlab.platypus import Flowable

from cds.domain.report import Report
from cds.report import priors
from cds.report.pdf_style import GREY, Page, gap

_MOST: Final = 12
"""Sentences of one comparison; what is beyond is counted, and stands in the structured report."""


def prior_studies(page: Page, report: Report) -> list[Flowable]:
    """What the same algorithms saw in earlier studies, then and now."""
    made: list[Flowable] = []
    for comparison in report.comparisons:
        title, said = priors.heading(comparison), priors.sentences(comparison)
        made.append(page.text(f"{title[0]} · {title[1]}", 8.8, bold=True))
        made += page.both_bullets(said[:_MOST])
        if (more := len(said) - _MOST) > 0:
            left_out = f"and {more} more, in the structured report.", f"另有 {more} 项，见结构化报告。"
            made += page.both(left_out, 7.5, colour=GREY)
        made.append(gap(2))
    return page.section("priors", made) if made else []
