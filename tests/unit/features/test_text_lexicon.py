"""The word lists: complete, readable, free of contradiction."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from cds.domain.vocabulary import ANATOMY, FINDINGS
from cds.features.text import parse
from cds.features.text.lexicon import FILES, lexicon
from cds.features.text.spelling import corrector

DATA = {
    name: tomllib.loads(files("cds.features.text").joinpath("data", f"{name}.toml").read_text(encoding="utf-8"))
    for name in FILES
}


@pytest.mark.parametrize("key", FINDINGS)
def test_every_finding_has_words_in_both_languages_and_is_found_by_its_own_name(key: str) -> None:
    words = DATA["lexicon"][key]
    assert words["en"] and words["zh"]
    for word in (*words["en"], *words["zh"], *words.get("abbreviations", ()), *words.get("misspelled", ())):
        assert key in {mention.key for mention in parse(word).mentions}, word


def test_english_words_are_lower_case_and_without_hyphens_as_the_head_of_the_file_says() -> None:
    for key, table in DATA["lexicon"].items():
        for word in table.get("en", ()):
            assert word == word.lower(), (key, word)
            assert "-" not in word and "/" not in word, (key, word)


def test_traditional_characters_come_in_pairs() -> None:
    table = DATA["traditional"]
    assert len(table["traditional"]) == len(table["simplified"]) == len(set(table["traditional"]))
    assert not set(table["traditional"]) & set(table["simplified"])


def test_chinese_word_lists_are_simplified() -> None:
    traditional = set(DATA["traditional"]["traditional"])
    for table in DATA["lexicon"].values():
        for word in table.get("zh", ()):
            assert not traditional & set(word), word


def test_frames_name_known_findings_and_sites_known_regions() -> None:
    assert {key for keys in lexicon().frames for key in keys} <= FINDINGS.keys()
    assert DATA["sites"]["region"].keys() <= ANATOMY.keys()


def test_the_digest_is_of_the_files() -> None:
    assert len(lexicon().sha256) == 64
    assert lexicon() is lexicon()


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("effussion", "effusion"), ("efffusion", "effusion"), ("effusoin", "effusion"), ("effusion", "effusion")],
)
def test_one_slip_is_put_right(wrong: str, right: str) -> None:
    assert corrector(["effusion", "mass"])(wrong) == right


@pytest.mark.parametrize("word", ["diffusion", "affusion", "mask", "efusions", "infusion", "x" * 1000])
def test_other_words_are_left_alone(word: str) -> None:
    assert corrector(["effusion", "mass"])(word) == word
