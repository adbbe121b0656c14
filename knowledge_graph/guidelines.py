"""Every guideline asked about one case: its rows, or why it does not hold."""

from __future__ import annotations

from collections.abc import Sequence

from cds.domain.evidence import Evidence
from cds.domain.finding import Finding, Recommendation
from cds.domain.report import Case
from knowledge_graph import guidelines_curb65, guidelines_fleischner, guidelines_lung_rads


def recommend(
    case: Case,
    evidence: Sequence[Evidence],
    findings: Sequence[Finding] = (),
    screening_descriptions: Sequence[str] = (),
) -> tuple[Recommendation, ...]:
    """Fleischner 2017 and Lung-RADS v2022 for nodules on CT, CURB-65 for pneumonia.

    Parameters
    ----------
    screening_descriptions
        A site's own study descriptions for lung cancer screening; Lung-RADS holds for those, and Fleischner does not.
    """
    return (
        *guidelines_fleischner.recommend(case, evidence, screening_descriptions),
        *guidelines_lung_rads.recommend(case, evidence, screening_descriptions),
        *guidelines_curb65.recommend(case, evidence, findings),
    )
