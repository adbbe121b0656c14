"""CURB-65 of a case with pneumonia: the score where it is settled, else its range and what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from cds.domain.code import Code
from cds.domain.evidence import Assertion, Evidence
from cds.domain.finding import Finding, Recommendation
from cds.domain.labs import by_code, latest_final
from cds.domain.records import LabResult
from cds.domain.report import Case
from cds.domain.vocabulary import FINDINGS
from knowledge_graph.curb65 import (
    ADULT_YEARS,
    CITATION,
    FROM_RESPIRATORY_RATE,
    GUIDELINE,
    LIMITS,
    TABLE,
    Bounds,
    Criterion,
    Inputs,
    Score,
    groups,
    score,
)
from knowledge_graph.guidelines_text import (
    CLAUSE,
    HISTORY_OF_CANCER,
    IMMUNOSUPPRESSION,
    Bilingual,
    denied,
    present,
    sentence,
    sentence_zh,
    stated,
    texts,
    texts_of_now,
)

PNEUMONIA: Final = FINDINGS["pneumonia"]
LEFT_OUT: Final = tuple(FINDINGS[key] for key in ("tuberculosis", "bronchiectasis", "lung_cancer", "lung_metastasis"))
"""Patients with tuberculosis, bronchiectasis or malignancy were not in the study, nor those with HIV."""
HIV: Final = re.compile(r"\b(?:HIV|AIDS)\b|艾滋病", re.IGNORECASE)

RESPIRATORY_RATE: Final = Code("9279-1", "LN", "Respiratory rate")
SYSTOLIC: Final = Code("8480-6", "LN", "Systolic blood pressure")
DIASTOLIC: Final = Code("8462-4", "LN", "Diastolic blood pressure")
UREA_NITROGEN_GRAMS_PER_MOLE: Final = 28.014
"""Two atoms of nitrogen, of one molecule of urea."""

RATE: Final = re.compile(
    r"\b(?:respiratory rate|resp(?:iration)? rate|RR)\s*(?:of|is|was|[:=])?\s*(\d{1,2})(?!\d|\.\d|\s*m?s\b)"
    r"|呼吸(?:频率)?\s*[:：为]?\s*(\d{1,2})\s*次",
    re.IGNORECASE,
)
PRESSURE: Final = re.compile(
    r"(?:\b(?:BP|blood pressure)\s*(?:of|is|was|[:=])?|血压\s*[:：为]?)\s*(\d{2,3})\s*/\s*(\d{2,3})(?!\d)",
    re.IGNORECASE,
)
MENTAL_TEST: Final = re.compile(r"\b(?:AMTS?|abbreviated mental test)(?: score)?\s*(?:of|[:=])?\s*(\d{1,2})\b", re.I)
MENTAL_TEST_UP_TO: Final = 8
"""A mental test score of 8 or less is confusion, as the study defines it."""
CONFUSED: Final = re.compile(
    r"\b(?:confusion|confused|disorient(?:ed|ation)|delirium|delirious)\b|意识模糊|谵妄|定向力障碍", re.IGNORECASE
)
ORIENTED: Final = re.compile(r"\b(?:alert and oriented|fully oriented)\b|神志清|定向力正常", re.IGNORECASE)
HEDGED: Final = re.compile(
    r"\?|？|\b(?:possible|possibly|rule out|risk|previous|history|chronic|resolved)\b|可能|待排|疑|既往", re.IGNORECASE
)


def recommend(case: Case, evidence: Sequence[Evidence], findings: Sequence[Finding]) -> tuple[Recommendation, ...]:
    """The severity of a pneumonia that is there or may be; ``()`` where no finding says so."""
    about = [
        finding
        for finding in findings
        if finding.code == PNEUMONIA and finding.assertion in (Assertion.PRESENT, Assertion.UNCERTAIN)
    ]
    if not about:
        return ()
    because = tuple(dict.fromkeys(id_ for finding in about for id_ in finding.because))
    why_not = _why_not(case, evidence)
    if why_not:
        return (_recommendation("preconditions", why_not, because, applies=False),)
    urea = _urea(latest_final(case.records.labs)[0])
    observed = {item.id for part in evidence for item in part.observations}
    labs = (f"labs/{urea[0].analyte.value}",) if urea and f"labs/{urea[0].analyte.value}" in observed else ()
    found = score(inputs(case))
    possible = groups(found)
    row = " or ".join(group.row for group in possible)
    return (_recommendation(row, _text(found), (*because, *labs)),)


def inputs(case: Case) -> Inputs:
    """What the records say: age, urea, and from the texts of now confusion, breathing and blood pressure."""
    results = latest_final(case.records.labs)[0]
    said = list(texts_of_now(case))
    urea = _urea(results)
    pressure = _pressure(said)
    return Inputs(
        confusion=_confusion(said),
        urea=urea[1] if urea else None,
        respiratory_rate=_first(_value(results, RESPIRATORY_RATE), _rate(said)),
        systolic=_first(_value(results, SYSTOLIC), pressure[0] if pressure else None),
        diastolic=_first(_value(results, DIASTOLIC), pressure[1] if pressure else None),
        age=case.study.patient.age_years,
    )


def _why_not(case: Case, evidence: Sequence[Evidence]) -> Bilingual | None:
    age, said = case.study.patient.age_years, list(texts(case))
    if age is not None and age < ADULT_YEARS:
        return ("the score is for adults", "该评分适用于成人")
    if stated(IMMUNOSUPPRESSION, said) or stated(HIV, said):
        return (
            "immunosuppression is mentioned, and the study left such patients out",
            "资料中提及免疫抑制，研究未纳入此类患者",
        )
    left_out = next(iter(present(evidence, LEFT_OUT)), None)
    if left_out is not None:
        return (
            f"{left_out.meaning.lower()} is mentioned, and the study left such patients out",
            f"资料中提及{left_out.text('zh')}，研究未纳入此类患者",
        )
    if stated(HISTORY_OF_CANCER, said):
        return (
            "a malignancy is mentioned, and the study left such patients out",
            "资料中提及恶性肿瘤，研究未纳入此类患者",
        )
    return None


def _urea(results: Iterable[LabResult]) -> tuple[LabResult, Bounds] | None:
    """Urea in mmol/L, else urea nitrogen converted from mg/dL; a value such as ``> 7`` is a bound."""
    found: dict[str, tuple[LabResult, Bounds]] = {}
    for result in results:
        analyte = by_code(result.analyte.value)
        if analyte and analyte.key == "urea" and result.unit == "mmol/L":
            found["urea"] = (result, _bounds(result, result.value))
        elif analyte and analyte.key == "urea_nitrogen" and result.unit == "mg/dL":
            mmol = result.value * 10.0 / UREA_NITROGEN_GRAMS_PER_MOLE
            found["urea_nitrogen"] = (result, _bounds(result, mmol))
    return found.get("urea") or found.get("urea_nitrogen")


def _bounds(result: LabResult, value: float) -> Bounds:
    return Bounds(
        low=0.0 if result.comparator.startswith("<") else value,
        high=float("inf") if result.comparator.startswith(">") else value,
        above=result.comparator == ">",
    )


def _value(results: Iterable[LabResult], code: Code) -> float | None:
    return next((each.value for each in results if each.analyte == code and not each.comparator), None)


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _rate(said: Iterable[str]) -> float | None:
    """Breaths per minute; None where texts give several that fall on both sides of the limit."""
    values = [float(match.group(1) or match.group(2)) for text in said for match in RATE.finditer(text)]
    sides = {value >= FROM_RESPIRATORY_RATE for value in values}
    return values[0] if len(sides) == 1 else None


def _pressure(said: Iterable[str]) -> tuple[float, float] | None:
    """Systolic and diastolic pressure in mmHg; None where texts give several that fall on both sides of a limit."""
    found = [(float(match.group(1)), float(match.group(2))) for text in said for match in PRESSURE.finditer(text)]
    pairs = [pair for pair in found if pair[0] > pair[1]]
    met = {Criterion.BLOOD_PRESSURE in score(Inputs(systolic=pair[0], diastolic=pair[1])).met for pair in pairs}
    return pairs[0] if len(met) == 1 else None


def _confusion(said: Sequence[str]) -> bool | None:
    """A mental test score, else what a text states or denies; None where none does, or both are said."""
    tests = {int(match.group(1)) <= MENTAL_TEST_UP_TO for text in said for match in MENTAL_TEST.finditer(text)}
    if tests:
        return tests.pop() if len(tests) == 1 else None
    clauses = [clause for text in said for clause in CLAUSE.split(text) if not HEDGED.search(clause)]
    answers = {True} if stated(CONFUSED, clauses) else set()
    answers |= {False} if denied(CONFUSED, clauses) or stated(ORIENTED, clauses) else set()
    return answers.pop() if len(answers) == 1 else None


def _text(found: Score) -> Bilingual:
    """The score or its range, what it rests on, and what follows from it."""
    settled = found.least == found.most
    points = (f"score {found.least} of 5", f"{found.least}分（满分5分）")
    if not settled:
        points = (
            f"possible scores {found.least} to {found.most} of 5",
            f"可能评分{found.least}至{found.most}分（满分5分）",
        )
    parts = (
        ("met", "符合", found.met),
        ("not met", "不符合", found.not_met),
        ("missing", "缺少", found.unknown),
    )
    english = "; ".join(f"{en}: {', '.join(LIMITS[each][0] for each in those)}" for en, _, those in parts if those)
    chinese = "；".join(f"{zh}：{'、'.join(LIMITS[each][1] for each in those)}" for _, zh, those in parts if those)
    follows = _follows(found)
    return (
        f"{points[0]} ({english}). {follows[0]}; it holds for community acquired pneumonia on presentation",
        f"{points[1]}（{chinese}）。{follows[1]}；仅适用于社区获得性肺炎就诊时",
    )


def _follows(found: Score) -> Bilingual:
    possible = groups(found)
    if len(possible) == 1:
        return (sentence(possible[0].text[0]).rstrip("."), possible[0].text[1])
    if len(possible) == 3:
        return ("All three groups are possible until these are known", "补全后方能判断属于哪一组")
    listed = "; ".join(f"{group.row}: {group.text[0]}" for group in possible)
    numbers = {group.row: f"{group.scores.start}至{group.scores.stop - 1}分" for group in possible}
    listed_zh = "；".join(f"{numbers[group.row]}：{group.text[1]}" for group in possible)
    return (sentence(listed).rstrip("."), listed_zh)


def _recommendation(row: str, text: Bilingual, because: tuple[str, ...], *, applies: bool = True) -> Recommendation:
    return Recommendation(
        guideline=GUIDELINE,
        table=TABLE,
        row=row,
        text=(sentence(text[0]), sentence_zh(text[1])),
        citation=CITATION,
        because=because,
        applies=applies,
    )
