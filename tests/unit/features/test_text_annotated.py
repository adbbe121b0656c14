"""Our own annotated sentences with side, size and change (`text/*.tsv`): the figures that are kept."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from cds.domain.vocabulary import FINDINGS

SOURCE = Path(__file__).resolve().parents[3] / "benchmarks" / "text_annotated.py"
SPEC = importlib.util.spec_from_file_location("text_annotated", SOURCE)
assert SPEC is not None
assert SPEC.loader is not None
annotated = importlib.util.module_from_spec(SPEC)
sys.modules["text_annotated"] = annotated
SPEC.loader.exec_module(annotated)

FLOORS = {"assertion": 0.97, "negation": 0.97, "side": 0.95, "size": 0.95}
FILES = [(part, language) for part in annotated.PARTS for language in annotated.LANGUAGES]


@pytest.mark.parametrize(("part", "language"), FILES)
@pytest.mark.parametrize("aspect", FLOORS)
def test_f1_does_not_fall_below_its_floor(part: str, language: str, aspect: str) -> None:
    counts, wrong = annotated.counts(part, language)
    value = annotated.f1(*counts[aspect])
    shown = "\n".join(wrong) if part == "dev" else "the blind part's errors are counted, not looked at"
    assert value >= FLOORS[aspect], f"{part} {language} {aspect}: {value:.4f}\n{shown}"


@pytest.mark.parametrize("language", annotated.LANGUAGES)
def test_there_are_at_least_300_sentences_and_no_blind_one_is_also_looked_at(language: str) -> None:
    texts = [[sentence for _, sentence in annotated.rows(part, language)] for part in annotated.PARTS]
    assert len(texts[0]) >= 150
    assert len(texts[1]) >= 150
    assert len({*texts[0], *texts[1]}) >= 300
    assert not {*texts[0]} & {*texts[1]}


@pytest.mark.parametrize(("part", "language"), FILES)
def test_every_annotation_names_a_known_finding(part: str, language: str) -> None:
    assert {item.key for items, _ in annotated.rows(part, language) for item in items} <= FINDINGS.keys()


@pytest.mark.parametrize(("part", "language"), annotated.general_files())
def test_general_medicine_is_read_with_few_errors(part: str, language: str) -> None:
    counts, wrong = annotated.general_counts(language, part)
    for kind, floor in (
        ("assertion of what was found", 0.95),
        ("assertion", 0.94),
        ("laterality", 0.95),
        ("size_mm", 0.95),
    ):
        assert annotated.f1(*counts.get(kind, (0, 0, 0))) >= floor, (kind, wrong)


def test_every_set_of_general_medicine_has_its_file() -> None:
    assert len(annotated.general_files()) == 11
    assert {part for part, _ in annotated.general_files()} == {*annotated.GENERAL}


def test_a_reader_that_finds_nothing_scores_nothing() -> None:
    counts, wrong = annotated.counts("dev", "en", lambda _: [])
    assert annotated.f1(*counts["finding"]) == 0
    assert len(wrong) > 100
