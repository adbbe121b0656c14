"""A folded text cut into sections and sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cds.features.text.folding import CJK, PARAGRAPH, Folded

BODY = "body"
_ENDS = re.compile(r"[.!?;。\n\f]|<br ?/?>|</?(?:p|li|div|tr|td|h[1-6])>")
_ABBREVIATIONS = frozenset(
    (
        *("dr", "mr", "mrs", "ms", "vs", "e.g", "i.e", "eg", "ie", "approx", "st", "fig", "ca", "cf", "resp", "incl"),
        *("etc", "a.m", "p.m", "am", "pm", "yr", "no", "esp", "dx", "hx", "sp", "mm", "cm"),
    )
)
_LAST_WORD = re.compile(r"[a-z.]+$")
_NUMBERING = re.compile(r"[\s(]*(?:\d{1,2}|[a-h])?$")
_LETTERS = re.compile(rf"[a-z0-9{CJK}]")


@dataclass(frozen=True, slots=True)
class Part:
    """Folded characters ``start`` to ``end`` of one section."""

    kind: str
    start: int
    end: int
    asserts: bool


def parts(folded: Folded, headings: Mapping[str, tuple[str, bool]]) -> list[Part]:
    """The sections in order; they cover the whole text, headings included."""
    found = [
        (match.start(1), *headings[match.group(1)])
        for match in _heading_pattern(tuple(headings)).finditer(folded.text)
        if _is_heading(folded, match)
    ]
    if not found or found[0][0] > 0:
        found.insert(0, (0, BODY, True))
    ends = [start for start, _, _ in found[1:]] + [len(folded.text)]
    return [
        Part(kind, start, end, asserts) for (start, kind, asserts), end in zip(found, ends, strict=True) if end > start
    ]


@lru_cache(maxsize=4)
def _heading_pattern(headings: tuple[str, ...]) -> re.Pattern[str]:
    """A heading and its mark: a colon, a closing bracket, or the end of its line."""
    words = "|".join(re.escape(heading) for heading in sorted(headings, key=len, reverse=True))
    return re.compile(rf"(?<![a-z{CJK}])({words})(?: ?[\])]? ?:| ?\]| ?(?=[\n\f]))")


def _is_heading(folded: Folded, match: re.Match[str]) -> bool:
    """Whether the words open a section: first in the text, line or sentence, or all in capitals."""
    start, end = match.span(1)
    before = folded.text[max(0, start - 4) : start].rstrip(" [(*#")
    opens = not before or before[-1] in "\n\f.。;!?:]>"
    if folded.text[match.end() - 1] in ":]":
        return opens or (match.group(1)[0].isascii() and folded.cased[start:end].isupper())
    return not before or before[-1] in "\n\f"


def sentences(folded: Folded, part: Part) -> list[tuple[int, int]]:
    """The folded (start, end) of the sentences of one section, without white space at their ends."""
    found: list[tuple[int, int]] = []
    start = part.start
    for mark in _ENDS.finditer(folded.text, part.start, part.end):
        if _ends_sentence(folded, start, mark):
            found.append((start, mark.end() if mark.group() in ".!?;。" else mark.start()))
            start = mark.end()
    found.append((start, part.end))
    trimmed = (_trim(folded.text, *span) for span in found)
    return [(start, end) for start, end in trimmed if _LETTERS.search(folded.text, start, end)]


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _ends_sentence(folded: Folded, start: int, mark: re.Match[str]) -> bool:
    """Whether a mark really ends a sentence."""
    text, at = folded.text, mark.start()
    after = text[mark.end() : mark.end() + 1]
    match mark.group():
        case ".":
            return _full_stop(folded, start, at, after)
        case "?":
            return not (after.isascii() and after.isalpha())
        case "\n":
            return not (after.isascii() and after.islower() and folded.cased[mark.end()].islower())
        case _:
            return True


def _full_stop(folded: Folded, start: int, at: int, after: str) -> bool:
    """A dot that is no decimal point, no abbreviation's, no list number's."""
    text = folded.text
    if after and not after.isspace():
        joined = after.isascii() and (after.isdigit() or folded.cased[at + 1].islower() or after in ".,;:)")
        return not joined and (not after.isalpha() or not after.isascii() or text[at - 1 : at].islower())
    window = text[max(start, at - 12) : at]
    word = _LAST_WORD.search(window)
    if word and word.group().strip(".") in _ABBREVIATIONS:
        return _capital_follows(folded, at) and word.group() in ("mm", "cm", "etc", "am", "pm", "a.m", "p.m", "no")
    return not _NUMBERING.fullmatch(text[start:at] if at - start < 8 else "x" * 8)


def _capital_follows(folded: Folded, at: int) -> bool:
    rest = folded.cased[at + 1 : at + 4].lstrip()
    return not rest or not rest[0].isascii() or rest[0].isupper() or PARAGRAPH in folded.text[at + 1 : at + 3]
