"""A folded text cut into sections and sentences."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from cds.features.text.folding import CJK, PARAGRAPH, Folded
from cds.features.text.lexicon import Hit

BODY = "body"
LONGEST = 400
"""Characters of the longest sentence that is read in one piece; the work on one grows with its square."""
_ENDS = re.compile(r"[.!?;。\n\f]|<br ?/?>|</?(?:p|li|div|tr|td|h[1-6])>")
_ABBREVIATIONS = frozenset(
    (
        *("dr", "mr", "mrs", "ms", "vs", "e.g", "i.e", "eg", "ie", "approx", "st", "fig", "ca", "cf", "resp", "incl"),
        *(
            "etc",
            "a.m",
            "p.m",
            "am",
            "pm",
            "yr",
            "no",
            "esp",
            "dx",
            "hx",
            "sp",
            "mm",
            "cm",
            "l",
            "r",
            "lt",
            "rt",
            "max",
            "min",
            "diam",
            "bilat",
            "prob",
            "poss",
        ),
    )
)
_CLOSING = frozenset(("mm", "cm", "etc", "am", "pm", "a.m", "p.m", "no", "l", "r", "lt", "rt", "bilat"))
"""Abbreviations that end a sentence where a capital follows."""
_GENUS = re.compile(r"[ (]?[A-Z]\. [a-z]")
"""The dot of "C. difficile", "E. coli"."""
_LAST_WORD = re.compile(r"[a-z.]+$")
_NUMBERING = re.compile(r"[\s(]*(?:\d{1,2}|[a-h])?$")
_HEADING_MARK = re.compile(r" ?[\])]? ?:| ?\]| ?(?=[\n\f])")
_CHINESE = re.compile(rf"[{CJK}]")
_LETTERS = re.compile(rf"[a-z0-9{CJK}]")


@dataclass(frozen=True, slots=True)
class Part:
    """Folded characters ``start`` to ``end`` of one section."""

    kind: str
    start: int
    end: int
    asserts: bool


def parts(folded: Folded, headings: Sequence[Hit], asking: Container[str]) -> list[Part]:
    """The sections in order; they cover the whole text, headings included.

    `headings` are words that may be headings; `asking` are the kinds of sections that state nothing.
    """
    begins = [(hit.start, hit.kinds[0]) for hit in headings if _is_heading(folded, hit)]
    if not begins or begins[0][0] > 0:
        begins.insert(0, (0, BODY))
    ends = [start for start, _ in begins[1:]] + [len(folded.text)]
    return [
        Part(kind, start, end, kind not in asking)
        for (start, kind), end in zip(begins, ends, strict=True)
        if end > start
    ]


def _is_heading(folded: Folded, hit: Hit) -> bool:
    """Whether the words open a section: before a mark, and first in the text, line or sentence, or all in capitals."""
    start, end = hit.start, hit.end
    mark = _HEADING_MARK.match(folded.text, end)
    if not mark or _CHINESE.match(folded.text, max(0, start - 1), start):
        return False
    before = folded.text[max(0, start - 4) : start].rstrip(" [(*#")
    if mark.group().strip():
        capitals = folded.text[start].isascii() and folded.cased[start:end].isupper()
        return capitals or not before or before[-1] in "\n\f.。;!?:]>"
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
    trimmed = (_trim(folded.text, *piece) for span in found for piece in _pieces(folded.text, *span))
    return [(start, end) for start, end in trimmed if _LETTERS.search(folded.text, start, end)]


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A sentence beyond `LONGEST` in pieces, cut at a comma or a space where there is one."""
    while end - start > LONGEST:
        low = start + LONGEST // 2
        cut = max(text.rfind(mark, low, start + LONGEST) for mark in (",", "、", " "))
        cut = cut + 1 if cut > 0 else start + LONGEST
        yield start, cut
        start = cut
    yield start, end


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
            return not ((after.isascii() and after.isalpha()) or _asks_ahead(folded, at))
        case "\n":
            return not (after.isascii() and after.islower() and folded.cased[mark.end()].islower())
        case _:
            return True


def _asks_ahead(folded: Folded, at: int) -> bool:
    """Whether the question mark stands before what it asks: "? pneumonia", "film: ? COVID"."""
    before, after = folded.text[:at].rstrip(" "), folded.cased[at + 1 : at + 4]
    if after[:1] != " " or not after[1:2].isalpha() or not after[1:2].isascii():
        return False
    if not before or before[-1] in "\n\f.:;,(/-":
        return True
    return before != folded.text[:at] and (after[1].islower() or after[1:].isupper())


def _full_stop(folded: Folded, start: int, at: int, after: str) -> bool:
    """A dot that is no decimal point, no abbreviation's, no list number's."""
    text = folded.text
    if after and not after.isspace():
        joined = after.isascii() and (after.isdigit() or folded.cased[at + 1].islower() or after in ".,;:)")
        return not joined and (not after.isalpha() or not after.isascii() or text[at - 1 : at].islower())
    if _GENUS.match(folded.cased, max(start, at - 2)):
        return False
    window = text[max(start, at - 12) : at]
    word = _LAST_WORD.search(window)
    if word and word.group().strip(".") in _ABBREVIATIONS:
        return _capital_follows(folded, at) and word.group() in _CLOSING
    return not _NUMBERING.fullmatch(text[start:at] if at - start < 8 else "x" * 8)


def _capital_follows(folded: Folded, at: int) -> bool:
    rest = folded.cased[at + 1 : at + 4].lstrip()
    return not rest or not rest[0].isascii() or rest[0].isupper() or PARAGRAPH in folded.text[at + 1 : at + 3]
