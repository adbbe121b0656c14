"""Whether Fleischner 2017 holds for a case, with its rows, or why it does not: never silence about a nodule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from cds.domain.evidence import Assertion, Evidence, Modality
from cds.domain.finding import Recommendation
from cds.domain.report import Case
from cds.domain.vocabulary import FINDINGS
from knowledge_graph.fleischner import (
    CITATION,
    GUIDELINE,
    LIKE_LYMPH_NODE,
    MINIMUM_AGE_YEARS,
    Advice,
    NoduleType,
    Risk,
    advise,
    rounded_mm,
)
from knowledge_graph.guidelines_nodule import Nodule, measure, nodules_seen
from knowledge_graph.guidelines_text import (
    BEFORE,
    CLAUSE,
    HISTORY_OF_CANCER,
    IMMUNOSUPPRESSION,
    NEGATED,
    Bilingual,
    is_screening,
    mentioned,
    sentence,
    sentence_zh,
    stated,
    texts,
)

CANCER: Final = frozenset(FINDINGS[key] for key in ("lung_cancer", "lung_metastasis"))
NODULES: Final = frozenset(FINDINGS[key] for key in ("lung_nodule", "lung_mass"))
RISK_SIGNS: Final = frozenset(FINDINGS[key] for key in ("emphysema", "fibrosis"))
"""Emphysema and pulmonary fibrosis are risk factors in the guideline's section on risk."""

DENIED_OR_OTHERS: Final = re.compile(r"said then[^;]*: absent|said of:")
"""In the note of a mention: the earlier report denied it, or it is said of a relative."""
NAMED_BEFORE: Final = (
    "; the guideline is for nodules found by chance, and an earlier report or the order already names a nodule: it may"
    " not apply here",
    "；该指南适用于偶然发现的结节，而既往报告或申请单已提及结节，此处可能不适用",
)
MOST_SUSPICIOUS: Final = (
    "; of several nodules the most suspicious one decides, which need not be the largest",
    "；多发结节以最可疑者为准，不一定是最大者",
)

SMOKER: Final = re.compile(r"\b(?:smoker|smokes|smoking|pack[- ]years?)\b|吸烟", re.IGNORECASE)
EXPOSED: Final = re.compile(r"\b(?:asbestos|uranium|radon)\b|石棉|铀|氡", re.IGNORECASE)
FAMILY: Final = re.compile(
    r"\b(?:family history|mother|father|brother|sister)\b.*\blung (?:cancer|carcinoma)"
    r"|\blung (?:cancer|carcinoma),? (?:family|in (?:the |her |his )?(?:family|mother|father|brother|sister))"
    r"|肺癌家族史|(?:家族|父亲|母亲|兄弟|姐妹).*肺癌",
    re.IGNORECASE,
)


def recommend(case: Case, evidence: Sequence[Evidence], own: Sequence[str] = ()) -> tuple[Recommendation, ...]:
    """What the guideline for incidental nodules says about this case; ``()`` where the CT showed no nodule.

    Parameters
    ----------
    own
        A site's own study descriptions for lung cancer screening, to which the guideline is not to be applied.
    """
    seen = nodules_seen(evidence)
    if not seen:
        return ()
    because = tuple(item.id for item in seen)
    why_not = _why_not(case, evidence, own)
    if why_not:
        return (_recommendation("preconditions", "whom it is for", why_not, because, applies=False),)
    nodules = [nodule for nodule in map(measure, seen) if nodule]
    if not nodules:
        text = ("no nodule has a measured diameter in mm", "没有结节具有以毫米为单位的直径测量值")
        return (_recommendation("preconditions", "measurement", text, because, applies=False),)
    known = NAMED_BEFORE if _named_before(evidence) else ("", "")
    return tuple(_all_rows(nodules, len(seen), _risks(case, evidence, nodules), because, known))


def _why_not(case: Case, evidence: Sequence[Evidence], own: Sequence[str]) -> Bilingual | None:
    """The first precondition that does not hold, as a sentence in English and Chinese."""
    age = case.study.patient.age_years
    said = list(texts(case))
    if age is None:
        return ("the patient's age is not known (35 years or older needed)", "患者年龄未知（要求35岁及以上）")
    if age < MINIMUM_AGE_YEARS:
        return ("the patient is younger than 35 years", "患者年龄小于35岁")
    if mentioned(evidence, CANCER) or stated(HISTORY_OF_CANCER, said):
        return ("a known or suspected cancer is mentioned", "资料中提及已知或可疑恶性肿瘤")
    if stated(IMMUNOSUPPRESSION, said):
        return ("immunosuppression is mentioned", "资料中提及免疫抑制")
    if is_screening(case.study, own):
        return ("the examination is a screening, not an incidental finding", "本检查为筛查，而非偶然发现")
    return None


def _risks(case: Case, evidence: Sequence[Evidence], nodules: Sequence[Nodule]) -> tuple[Risk, ...]:
    """High where a risk factor is on record; otherwise both, because the records cannot prove low risk."""
    said = list(texts(case))
    factors = mentioned(evidence, RISK_SIGNS) or stated(SMOKER, said) or stated(EXPOSED, said)
    if factors or _family(said) or any(nodule.spiculated for nodule in nodules):
        return (Risk.HIGH,)
    return (Risk.LOW, Risk.HIGH)


def _family(said: Iterable[str]) -> bool:
    """Whether a text states lung cancer of a relative."""
    clauses = (clause for text in said for clause in CLAUSE.split(text))
    return any(FAMILY.search(clause) and not NEGATED.search(clause.lower()) for clause in clauses)


def _named_before(evidence: Sequence[Evidence]) -> bool:
    """Whether an earlier report, or the order, speaks of a nodule: what is followed was not found by chance now."""
    return any(
        item.concept in NODULES
        and item.assertion is not Assertion.ABSENT
        and BEFORE & set(item.note.split("; "))
        and not DENIED_OR_OTHERS.search(item.note)
        for part in evidence
        if part.modality is Modality.TEXT
        for item in part.observations
    )


def _like_lymph_node(nodule: Nodule) -> bool:
    """A spiculated margin speaks against it, as the guideline says."""
    typical = nodule.at_pleura and nodule.like_lymph_node and not nodule.spiculated
    return typical and nodule.kind is NoduleType.SOLID


def _all_rows(
    nodules: Sequence[Nodule], seen: int, risks: tuple[Risk, ...], because: tuple[str, ...], caveat: Bilingual
) -> Iterable[Recommendation]:
    """The rows of the largest solid and of the largest subsolid nodule; lymph nodes count only where all are such."""
    others = [nodule for nodule in nodules if not _like_lymph_node(nodule)]
    number = seen - (len(nodules) - len(others))
    if not number:
        text = (f"{LIKE_LYMPH_NODE.text[0]}{caveat[0]}.", f"{LIKE_LYMPH_NODE.text[1]}{caveat[1]}。")
        yield _recommendation(LIKE_LYMPH_NODE.table, LIKE_LYMPH_NODE.row, text, because)
        return
    most = MOST_SUSPICIOUS if number > 1 else ("", "")
    known = (f"{most[0]}{caveat[0]}", f"{most[1]}{caveat[1]}")
    solid = [nodule for nodule in others if nodule.kind in (NoduleType.SOLID, None)]
    subsolid = [nodule for nodule in others if nodule.kind not in (NoduleType.SOLID, None)]
    for kind in (solid, subsolid):
        if kind:
            largest = max(kind, key=lambda nodule: (nodule.diameter_mm, nodule.id))
            yield from _rows(largest, number > 1, risks, because, known)


def _rows(
    nodule: Nodule, multiple: bool, risks: tuple[Risk, ...], because: tuple[str, ...], caveat: Bilingual
) -> Iterable[Recommendation]:
    """The rows that hold, each with the `caveat` at its end."""
    size = rounded_mm(nodule.diameter_mm)
    known = (
        f"mean diameter {size} mm; no history of cancer or immunosuppression is on record, please check",
        f"平均直径{size}毫米；资料中未见恶性肿瘤史或免疫抑制记录，请核实",
    )
    kind = nodule.kind or NoduleType.SOLID
    for advice in advise(kind, nodule.diameter_mm, multiple=multiple, risks=risks, solid_mm=nodule.solid_mm):
        when = _when(advice, assumed=nodule.kind is None)
        text = (
            f"{when[0]}{advice.text[0]} ({known[0]}){caveat[0]}.",
            f"{when[1]}{advice.text[1]}（{known[1]}）{caveat[1]}。",
        )
        yield _recommendation(advice.table, advice.row, text, because)
    if nodule.kind is None:
        for other in (NoduleType.GROUND_GLASS, NoduleType.PART_SOLID):
            (advice,) = advise(other, nodule.diameter_mm, multiple=multiple, risks=risks)
            text = (
                f"unless the nodule is {other}, which was not determined: {advice.text[0]}.",
                f"除非为{_ZH[other]}结节（类型未能确定）：{advice.text[1]}。",
            )
            yield _recommendation(advice.table, advice.row, text, because, applies=False)


_ZH: Final = {NoduleType.SOLID: "实性", NoduleType.GROUND_GLASS: "纯磨玻璃", NoduleType.PART_SOLID: "部分实性"}


def _when(advice: Advice, *, assumed: bool) -> Bilingual:
    """The condition under which a row holds: the risk that it is for, and the type where that is assumed."""
    high = f", {Risk.HIGH}," in advice.row
    by_risk = f", {Risk.LOW}," in advice.row or high
    english = [f"for a patient at {'high' if high else 'low'} risk"] if by_risk else []
    chinese = ["高危患者" if high else "低危患者"] if by_risk else []
    if assumed:
        english.append("if the nodule is solid")
        chinese.append("如结节为实性")
    return (f"{', '.join(english)}: ", f"{'，'.join(chinese)}：") if english else ("", "")


def _recommendation(
    table: str, row: str, text: Bilingual, because: tuple[str, ...], *, applies: bool = True
) -> Recommendation:
    return Recommendation(
        guideline=GUIDELINE,
        table=table,
        row=row,
        text=(sentence(text[0]), sentence_zh(text[1])),
        citation=CITATION,
        because=because,
        applies=applies,
    )
