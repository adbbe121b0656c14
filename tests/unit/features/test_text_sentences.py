"""Our own annotated sentences: every finding with its assertion, in both languages."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cds.domain.vocabulary import FINDINGS
from cds.features.text import Mention, parse

ROWS = [
    tuple(line.split("\t"))
    for line in Path(__file__).with_name("text_sentences.tsv").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
LANGUAGES = ("en", "zh")


def expected(column: str) -> Counter[str]:
    return Counter(column.split()) if column != "-" else Counter()


def said(mention: Mention) -> str:
    """A mention as the file writes it."""
    flag = "historical" if mention.historical else "hypothetical" if mention.hypothetical else ""
    if mention.subject != "patient":
        flag = mention.subject
    return f"{mention.key}={mention.assertion.value}" + (f":{flag}" if flag else "")


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_at_least_120_sentences_and_every_row_names_known_findings(language: str) -> None:
    own = [row for row in ROWS if row[0] == language]
    assert len(own) >= 120
    assert len({sentence for _, _, sentence in own}) == len(own)
    for _, column, _ in own:
        assert {item.split("=")[0] for item in expected(column)} <= FINDINGS.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_assertion_f1_is_at_least_0_97(language: str) -> None:
    hit = false = missed = 0
    for own, column, sentence in ROWS:
        if own == language:
            truth, found = expected(column), Counter(map(said, parse(sentence).mentions))
            hit += (truth & found).total()
            false += (found - truth).total()
            missed += (truth - found).total()
    f1 = 2 * hit / (2 * hit + false + missed)
    assert f1 >= 0.97, f"{language}: F1 {f1:.4f}, {false} too many, {missed} missed"


def test_every_finding_is_present_in_some_sentence() -> None:
    named = {item.split("=")[0] for _, column, _ in ROWS for item in expected(column)}
    assert named == FINDINGS.keys()
