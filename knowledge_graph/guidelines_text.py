"""What the texts of a case state of the patient, by simple rules for single clauses, and how a guideline speaks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from cds.domain.code import Code
from cds.domain.evidence import Assertion, Evidence, Modality
from cds.domain.records import TextKind
from cds.domain.report import Case
from cds.domain.study import Study

Bilingual = tuple[str, str]
"""English and Chinese."""

BEFORE: Final = frozenset({"prior report", "order"})
"""Parts of the note of a text observation that is of an earlier report, or of what the examination is for."""

CLAUSE: Final = re.compile(r"[.;:,\n。；：，]| but |但")
_DENIES: Final = (
    r"\b(?:no|not|never|non(?!-?\s?(?:small|hodgkin|seminoma))|without|denies|negative)\b"
    r"|无|不(?!典型)|否认|未(?!分化)|非$"
)
"""Names of diseases hold such words too (non-small cell carcinoma, 未分化癌); 非 denies what follows it at once."""
NOT_THIS: Final = re.compile(rf"{_DENIES}|\b(?:family|mother|father)\b|家族")
"""A clause with one of these before the term does not state it of the patient."""
NEGATED: Final = re.compile(_DENIES)
"""Those of them that deny it."""

HISTORY_OF_CANCER: Final = re.compile(
    r"\b(?:carcinoma|malignan(?:cy|t)|cancer|lymphoma|leuka?emia|melanoma|sarcoma)\b"
    r"(?! screening|,? (?:family|in (?:the |her |his )?(?:family|mother|father|brother|sister)))"
    r"|癌(?!症?家族史)|恶性肿瘤|淋巴瘤|白血病",
    re.IGNORECASE,
)
IMMUNOSUPPRESSION: Final = re.compile(
    r"\b(?:immunosuppress\w*|immunocompromised|transplant\w*|chemotherapy|neutropeni[ac])\b|免疫抑制|移植|化疗",
    re.IGNORECASE,
)

SCREENING: Final = re.compile(r"\bscreening\b|筛查", re.IGNORECASE)
CODE: Final = re.compile(r"\b(?:71271|G0297)\b")
"""Procedure codes of low dose CT for lung cancer screening: CPT 71271, before 2021 HCPCS G0297."""
OF_THE_LUNG: Final = re.compile(r"\blung\b|\bchest\b|\bthora|low[- ]?dose|\bLDCT\b|肺|胸|低剂量", re.IGNORECASE)
OF_OTHERS: Final = re.compile(
    r"metasta|tubercul|\bTB\b|embol|breast|mammogra|colon|cervical|转移|结核|栓塞|乳腺|结肠|宫颈", re.IGNORECASE
)
"""Other things that are screened for."""


def texts(case: Case) -> Iterable[str]:
    """The reason for the examination, and every text."""
    yield case.study.reason_for_exam
    for report in case.records.texts:
        yield report.text


def texts_of_now(case: Case) -> Iterable[str]:
    """The reason for the examination, the order and the present report: not what an earlier report said."""
    yield case.study.reason_for_exam
    for report in case.records.texts:
        if report.kind is not TextKind.PRIOR:
            yield report.text


def stated(term: re.Pattern[str], said: Iterable[str]) -> bool:
    """Whether any clause of the texts states the term, neither negated nor of a relative."""
    clauses = (clause for text in said for clause in CLAUSE.split(text))
    found = ((clause, term.search(clause)) for clause in clauses)
    return any(match and not NOT_THIS.search(clause[: match.start()].lower()) for clause, match in found)


def denied(term: re.Pattern[str], said: Iterable[str]) -> bool:
    """Whether a clause names the term behind a negation."""
    clauses = (clause for text in said for clause in CLAUSE.split(text))
    found = ((clause, term.search(clause)) for clause in clauses)
    return any(match and NEGATED.search(clause[: match.start()].lower()) for clause, match in found)


def mentioned(evidence: Sequence[Evidence], concepts: Iterable[Code]) -> bool:
    """Whether images or texts, of now or before, say that one of the concepts is there."""
    return any(True for _ in present(evidence, concepts))


def present(evidence: Sequence[Evidence], concepts: Iterable[Code], *, now: bool = False) -> Iterable[Code]:
    """Which of the concepts images or texts say are there, with `now` not those of earlier reports and orders."""
    wanted = set(concepts)
    for part in evidence:
        for item in part.observations:
            earlier = bool(BEFORE & set(item.note.split("; "))) and part.modality is Modality.TEXT
            counts = part.modality is not Modality.LABS and not (now and earlier)
            if counts and item.concept in wanted and item.assertion is Assertion.PRESENT:
                yield item.concept


def is_screening(study: Study, own: Sequence[str]) -> bool:
    """Whether description or reason speak of any screening: what was found was then not found by chance."""
    return stated(SCREENING, (study.description, study.reason_for_exam)) or is_lung_screening(study, own)


def is_lung_screening(study: Study, own: Sequence[str]) -> bool:
    """Whether this is a lung cancer screening, by description, reason or procedure code.

    Parameters
    ----------
    own
        A site's own study descriptions for it; case does not count.
    """
    description = study.description.casefold().strip()
    if description and description in {each.casefold().strip() for each in own}:
        return True
    said = (study.description, study.reason_for_exam)
    clauses = [clause for text in said for clause in CLAUSE.split(text) if not OF_OTHERS.search(clause)]
    coded = any(CODE.search(text) for text in said)
    return coded or (stated(SCREENING, clauses) and any(OF_THE_LUNG.search(text) for text in said))


def sentence(text: str) -> str:
    """English with a capital at its start and one full stop at its end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def sentence_zh(text: str) -> str:
    """Chinese with one full stop at its end."""
    return text if text.endswith("。") else f"{text}。"
