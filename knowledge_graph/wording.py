"""The sentences of the graph, each in English and Chinese."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from cds.domain.code import Code
from knowledge_graph.graph import Network
from knowledge_graph.query import Candidate, Reason

SHOWN: Final = 4
"""A sentence names at most so many observations; the paths name all."""


def differential_text(
    network: Network, candidate: Candidate, doubtful: Collection[str] = frozenset(), unknown: Sequence[str] = ()
) -> tuple[str, str]:
    """Which disease to consider, what speaks for and against, what of it is `unknown`; `doubtful` are possible."""
    disease = network.nodes[candidate.disease].code
    english = f"Consider {_inside(disease.meaning)}: supported by {_english(network, candidate.supporting, doubtful)}"
    chinese = f"考虑{disease.text('zh')}：支持点为{_chinese(network, candidate.supporting, doubtful)}"
    if candidate.contradicting:
        english += f"; against it: {_english(network, candidate.contradicting, doubtful)}"
        chinese += f"；不支持点为{_chinese(network, candidate.contradicting, doubtful)}"
    if unknown:
        codes = [network.nodes[key].code for key in unknown]
        english += f"; not known yet: {_listed([_inside(code.meaning) for code in codes])}"
        chinese += f"；尚不清楚：{'、'.join(code.text('zh') for code in codes)}"
    return f"{english}.", f"{chinese}。"


def follow_up_text(subject: Code, examination: Code, *, later: bool) -> tuple[str, str]:
    """Which examination comes next, and for what."""
    if later:
        return (
            f"{_opening(subject.meaning)} is followed with {_inside(examination.meaning)}; see the guideline.",
            f"{subject.text('zh')}随访检查：{examination.text('zh')}，间隔见指南。",
        )
    return (
        f"If {_inside(subject.meaning)} is suspected, consider {_inside(examination.meaning)}.",
        f"如怀疑{subject.text('zh')}，可考虑{examination.text('zh')}。",
    )


def contradiction_text(concept: Code, denied: bool, probability: float | None) -> tuple[str, str]:
    """That the report text and the image model disagree."""
    name, name_zh = _inside(concept.meaning), concept.text("zh")
    number = "" if probability is None else f" (probability {probability:.2f})"
    number_zh = "" if probability is None else f"（概率{probability:.2f}）"
    if denied:
        return (
            f"The report text denies {name}, but the image model shows it{number}: please check the image.",
            f"报告文字否认{name_zh}，但影像模型提示存在{number_zh}：请核对图像。",
        )
    return (
        f"The report text states {name}, but the image model does not show it{number}: please check the image.",
        f"报告文字提及{name_zh}，但影像模型未提示{number_zh}：请核对图像。",
    )


def _english(network: Network, reasons: Sequence[Reason], doubtful: Collection[str]) -> str:
    names = [
        f"{_how(reason, doubtful)[0]}{_inside(network.nodes[reason.observed].code.meaning)}"
        for reason in reasons[:SHOWN]
    ]
    more = [f"{len(reasons) - SHOWN} more"] if len(reasons) > SHOWN else []
    return _listed(names + more)


def _chinese(network: Network, reasons: Sequence[Reason], doubtful: Collection[str]) -> str:
    names = [
        f"{_how(reason, doubtful)[1]}{network.nodes[reason.observed].code.text('zh')}" for reason in reasons[:SHOWN]
    ]
    return "、".join(names) + (f"等{len(reasons)}项" if len(reasons) > SHOWN else "")


def _how(reason: Reason, doubtful: Collection[str]) -> tuple[str, str]:
    """The word before an observation: that it is absent, or that nothing says more than that it may be there."""
    if reason.absent:
        return "no ", "无"
    return ("possible ", "可能的") if reason.observed in doubtful else ("", "")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _inside(meaning: str) -> str:
    """A meaning as it stands inside a sentence: abbreviations such as CT keep their capitals."""
    keeps = len(meaning) > 1 and (meaning[1].isupper() or meaning[1].isdigit() or meaning[1] == "-")
    first = meaning.split()[0]
    return meaning if keeps or first in _NAMES else meaning[:1].lower() + meaning[1:]


_NAMES: Final = frozenset({"Pneumocystis"})


def _opening(meaning: str) -> str:
    return meaning[:1].upper() + meaning[1:]
