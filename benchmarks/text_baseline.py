"""The plain method to beat: English phrases as regular expressions, and NegEx's rule of denying words.

Chapman 2001 (doi:10.1006/jbin.2001.1029): a phrase is denied when a denying word stands at most five
words before it, or after it, in its sentence. As its later versions do, `baseline_to_the_end` lets a denial
reach to the end of its sentence or to a word that ends it ("but"), which suits the long lists of radiology
and is the stronger of the two. No sections, no doubt, no structures in either.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "cds" / "features" / "text" / "data" / "lexicon.toml"
BEFORE = re.compile(r"\b(?:no|without|denies|not|negative for|free of|no evidence of|absence of)\b(?:\W+\w+){0,5}\W*$")
TO_THE_END = re.compile(
    r"\b(?:no|without|denies|not|negative for|free of|no evidence of|absence of)\b"
    r"(?:(?!\b(?:but|however|although|though|except|aside from|apart from|which|still|yet)\b).)*$"
)
AFTER = re.compile(r"^\W*(?:\w+\W+){0,5}?(?:unlikely|free|was ruled out|not seen|not identified|absent)\b")
SENTENCE = re.compile(r"[.;\n]+\s")


@cache
def phrases() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """One expression per finding, of the same English words as ours."""
    with DATA.open("rb") as file:
        lists = tomllib.load(file)
    return tuple(
        (
            key,
            re.compile(
                r"\b(?:" + "|".join(map(re.escape, sorted(table["en"], key=len, reverse=True))) + r")(?:s|es)?\b"
            ),
        )
        for key, table in lists.items()
        if key != "ignore"
    )


def baseline(text: str) -> frozenset[str]:
    """The findings that a report asserts, by the rule of five words."""
    return _asserted(text, BEFORE, 80)


def baseline_to_the_end(text: str) -> frozenset[str]:
    """The findings that a report asserts, where a denial reaches to the end of its sentence."""
    return _asserted(text, TO_THE_END, 400)


def _asserted(text: str, before: re.Pattern[str], window: int) -> frozenset[str]:
    found: set[str] = set()
    for sentence in SENTENCE.split(text.lower()):
        for key, pattern in phrases():
            for match in pattern.finditer(sentence):
                if not before.search(sentence[: match.start()][-window:]) and not AFTER.search(
                    sentence[match.end() :][:80]
                ):
                    found.add(key)
    return frozenset(found)
