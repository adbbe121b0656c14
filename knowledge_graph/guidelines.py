"""Which guideline holds for a case, with its row, or why none does: never silence about a nodule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cds.domain.code import Code
from cds.domain.evidence import Assertion, Evidence, Modality, Observation
from cds.domain.finding import Recommendation
from cds.domain.report import Case
from cds.domain.vocabulary import FINDINGS
from knowledge_graph.fleischner import (
    CITATION,
    GUIDELINE,
    MINIMUM_AGE_YEARS,
    Advice,
    NoduleType,
    Risk,
    advise,
    rounded_mm,
)

NODULE_ID: Final = "chest_ct/nodule/"
LONG_AXIS: Final = Code("103339001", "SCT", "Long Axis")
SHORT_AXIS: Final = Code("103340004", "SCT", "Short Axis")
IN_MM: Final = {"mm": 1.0, "cm": 10.0}

CANCER: Final = frozenset(FINDINGS[key] for key in ("lung_cancer", "lung_metastasis"))
NODULES: Final = frozenset(FINDINGS[key] for key in ("lung_nodule", "lung_mass"))
BEFORE: Final = frozenset({"prior report", "order"})
"""Parts of the note of a text observation that is of an earlier report, or of what the examination is for."""
DENIED_OR_OTHERS: Final = re.compile(r"said then[^;]*: absent|said of:")
"""In such a note: the earlier report denied it, or it is said of a relative."""
NAMED_BEFORE: Final = (
    "; the guideline is for nodules found by chance, and an earlier report or the order already names a nodule: it may"
    " not apply here",
    "；该指南适用于偶然发现的结节，而既往报告或申请单已提及结节，此处可能不适用",
)
"""The guideline's scope: found incidentally, 35 years or older, no known cancer, no immunosuppression."""
RISK_SIGNS: Final = frozenset(FINDINGS[key] for key in ("emphysema", "fibrosis"))
"""Emphysema and pulmonary fibrosis are risk factors in the guideline's section on risk."""

HISTORY_OF_CANCER: Final = re.compile(
    r"\b(?:carcinoma|malignan(?:cy|t)|cancer|lymphoma|leuka?emia|melanoma|sarcoma)\b(?! screening)"
    r"|癌|恶性肿瘤|淋巴瘤|白血病",
    re.IGNORECASE,
)
IMMUNOSUPPRESSION: Final = re.compile(
    r"\b(?:immunosuppress\w*|immunocompromised|transplant\w*|chemotherapy|neutropeni[ac])\b|免疫抑制|移植|化疗",
    re.IGNORECASE,
)
SMOKER: Final = re.compile(r"\b(?:smoker|smokes|smoking|pack[- ]years?)\b|吸烟", re.IGNORECASE)
SCREENING: Final = re.compile(r"\bscreening\b|筛查", re.IGNORECASE)
CLAUSE: Final = re.compile(r"[.;:,\n。；：，]| but |但")
NOT_THIS: Final = re.compile(
    r"\b(?:no|not|never|non|without|denies|negative|family|mother|father)\b|无|不|否认|未|家族"
)
"""A clause with one of these before the term does not state it of the patient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodule:
    """A nodule as the CT saw it: mean diameter in mm, and what it is made of where that was determined."""

    id: str
    diameter_mm: float
    kind: NoduleType | None


def recommend(case: Case, evidence: Sequence[Evidence]) -> tuple[Recommendation, ...]:
    """What the guideline for incidental nodules says about this case; ``()`` where the CT showed no nodule."""
    seen = [
        item
        for part in evidence
        if part.modality is Modality.CT
        for item in part.observations
        if item.id.startswith(NODULE_ID) and item.assertion is Assertion.PRESENT
    ]
    if not seen:
        return ()
    because = tuple(item.id for item in seen)
    why_not = _why_not(case, evidence)
    if why_not:
        return (_recommendation("preconditions", "whom it is for", why_not, because, applies=False),)
    nodules = [nodule for nodule in map(measure, seen) if nodule]
    if not nodules:
        text = (
            "does not apply: no nodule has a measured diameter in mm",
            "不适用：没有结节具有以毫米为单位的直径测量值",
        )
        return (_recommendation("preconditions", "measurement", text, because, applies=False),)
    largest = max(nodules, key=lambda nodule: (nodule.diameter_mm, nodule.id))
    known = NAMED_BEFORE if _named_before(evidence) else ("", "")
    return tuple(_rows(largest, len(seen) > 1, _risks(case, evidence), because, known))


def measure(item: Observation) -> Nodule | None:
    """The mean of long and short axis; a single diameter where only that was measured; None without any."""
    lengths = {
        measurement.quantity: measurement.value * IN_MM[measurement.unit]
        for measurement in item.measurements
        if measurement.unit in IN_MM and 0.0 < measurement.value < float("inf")
    }
    if LONG_AXIS in lengths and SHORT_AXIS in lengths:
        diameter = (lengths[LONG_AXIS] + lengths[SHORT_AXIS]) / 2.0
    else:
        named = [value for quantity, value in lengths.items() if "diameter" in quantity.meaning.lower()]
        named += [lengths[LONG_AXIS]] if LONG_AXIS in lengths else []
        if not named:
            return None
        diameter = named[0]
    return Nodule(id=item.id, diameter_mm=diameter, kind=_kind(item))


def _kind(item: Observation) -> NoduleType | None:
    """What the nodule is made of, where the extractor says so in its note or by its concept."""
    note = item.note.lower().replace("_", "-")
    if re.search(r"part[- ]solid|部分实性", note):
        return NoduleType.PART_SOLID
    if item.concept == FINDINGS["ground_glass_opacity"] or re.search(r"ground[- ]glass|non-?solid|磨玻璃", note):
        return NoduleType.GROUND_GLASS
    return NoduleType.SOLID if re.search(r"(?<!sub)\bsolid\b|实性", note) else None


def _why_not(case: Case, evidence: Sequence[Evidence]) -> tuple[str, str] | None:
    """The first precondition that does not hold, as a sentence in English and Chinese."""
    age = case.study.patient.age_years
    texts = list(_texts(case))
    if age is None:
        return (
            "does not apply: the patient's age is not known (35 years or older needed)",
            "不适用：患者年龄未知（要求35岁及以上）",
        )
    if age < MINIMUM_AGE_YEARS:
        return ("does not apply: the patient is younger than 35 years", "不适用：患者年龄小于35岁")
    if _mentioned(evidence, CANCER) or _stated(HISTORY_OF_CANCER, texts):
        return ("does not apply: a known or suspected cancer is mentioned", "不适用：资料中提及已知或可疑恶性肿瘤")
    if _stated(IMMUNOSUPPRESSION, texts):
        return ("does not apply: immunosuppression is mentioned", "不适用：资料中提及免疫抑制")
    if SCREENING.search(f"{case.study.description} {case.study.reason_for_exam}"):
        return (
            "does not apply: the examination is a screening, not an incidental finding",
            "不适用：本检查为筛查，而非偶然发现",
        )
    return None


def _risks(case: Case, evidence: Sequence[Evidence]) -> tuple[Risk, ...]:
    """High where a risk factor is on record; otherwise both, because the records cannot prove low risk."""
    if _mentioned(evidence, RISK_SIGNS) or _stated(SMOKER, list(_texts(case))):
        return (Risk.HIGH,)
    return (Risk.LOW, Risk.HIGH)


def _mentioned(evidence: Sequence[Evidence], concepts: Iterable[Code]) -> bool:
    wanted = set(concepts)
    return any(
        item.concept in wanted and item.assertion is Assertion.PRESENT
        for part in evidence
        if part.modality is not Modality.LABS
        for item in part.observations
    )


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


def _stated(term: re.Pattern[str], texts: Sequence[str]) -> bool:
    """Whether any clause of the texts states the term, neither negated nor of a relative."""
    clauses = (clause for text in texts for clause in CLAUSE.split(text))
    found = ((clause, term.search(clause)) for clause in clauses)
    return any(match and not NOT_THIS.search(clause[: match.start()].lower()) for clause, match in found)


def _texts(case: Case) -> Iterable[str]:
    yield case.study.reason_for_exam
    for report in case.records.texts:
        yield report.text


def _rows(
    nodule: Nodule, multiple: bool, risks: tuple[Risk, ...], because: tuple[str, ...], caveat: tuple[str, str]
) -> Iterable[Recommendation]:
    """The rows that hold, each with the `caveat` at its end."""
    size = rounded_mm(nodule.diameter_mm)
    known = (
        f"mean diameter {size} mm; no history of cancer or immunosuppression is on record, please check",
        f"平均直径{size}毫米；资料中未见恶性肿瘤史或免疫抑制记录，请核实",
    )
    for advice in advise(nodule.kind or NoduleType.SOLID, nodule.diameter_mm, multiple=multiple, risks=risks):
        when = _when(advice, assumed=nodule.kind is None)
        text = (
            f"{when[0]}{advice.text[0]} ({known[0]}){caveat[0]}.",
            f"{when[1]}{advice.text[1]}（{known[1]}）{caveat[1]}。",
        )
        yield _recommendation(advice.table, advice.row, text, because)
    if nodule.kind is None:
        for kind in (NoduleType.GROUND_GLASS, NoduleType.PART_SOLID):
            (advice,) = advise(kind, nodule.diameter_mm, multiple=multiple, risks=risks)
            text = (
                f"does not apply unless the nodule is {kind}, which was not determined: {advice.text[0]}.",
                f"除非为{_ZH[kind]}结节（类型未能确定），否则不适用：{advice.text[1]}。",
            )
            yield _recommendation(advice.table, advice.row, text, because, applies=False)


_ZH: Final = {NoduleType.SOLID: "实性", NoduleType.GROUND_GLASS: "纯磨玻璃", NoduleType.PART_SOLID: "部分实性"}


def _when(advice: Advice, *, assumed: bool) -> tuple[str, str]:
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
    table: str, row: str, text: tuple[str, str], because: tuple[str, ...], *, applies: bool = True
) -> Recommendation:
    return Recommendation(
        guideline=GUIDELINE,
        table=table,
        row=row,
        text=(_sentence(text[0]), text[1] if text[1].endswith("。") else f"{text[1]}。"),
        citation=CITATION,
        because=because,
        applies=applies,
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
