"""One form for every way to write the same words, with the way back to the original characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

PARAGRAPH = "\f"
"""Stands for an empty line; a single line break stays ``"\\n"``."""

CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_BLANK = r"(?:[\s\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060\ufeff\u00ad]|&nbsp;)"
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"', "&apos;": "'"}
"""Texts that came by way of a web page or XML still carry them; ``lt`` alone would be read as left."""
# Runs of blanks that are more than one space or one line break, a space between two Chinese characters, entities.
_SPACES = re.compile(rf"{_BLANK}{{2,}}|(?![ \n]){_BLANK}|(?<=[{CJK}]) (?=[{CJK}])|{'|'.join(_ENTITIES)}")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060\ufeff\u00ad]+")
_LONG_WORD = re.compile(r"[A-Za-z]{8,}")
_JOINED = re.compile(r"(?<=[a-z])[-'](?=[a-z0-9])|(?<=[0-9])-(?=[a-z])|(?<=\b[a-z])/(?=[a-z]\b)")
_DASH = re.compile(r" -(?= )")
_MINUS = re.compile(r"(?<=[ ,;/(])-(?=[a-z]{2})")
"""A dash right before a word says no: "-cough", "troponin -ve"."""
_OTHER_MARKS = {
    "\u2019": "'", "\u2018": "'", "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2212": "-", "\u2013": "-",
    "\u2014": ",", "【": "[", "】": "]", "〔": "(", "〕": ")", "「": "(", "」": ")", "×": "x", "✕": "x", "／": "/",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Folded:
    """A text in the form that is searched.

    `text` is lower case, half width, simplified, with single spaces; `cased` is the same text with its
    capitals. Both have the same length; character i comes from the original's character `origin(i)`.
    """

    text: str
    cased: str
    _offsets: tuple[int, ...] | None

    def origin(self, index: int) -> int:
        """Where character `index` stood in the original text."""
        return index if self._offsets is None else self._offsets[index]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original characters of the non-empty folded span, as (start, end)."""
        return self.origin(start), self.origin(end - 1) + 1


class _Table(dict[int, str]):
    """Character to character, filled as characters are met: same length in and out."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        found = unicodedata.normalize("NFKC", character).lower()
        self[code] = found = found if len(found) == 1 else character
        return found


def folder(simplified: Mapping[str, str], correct: Callable[[str], str]) -> Callable[[str], Folded]:
    """A function that folds texts.

    Parameters
    ----------
    simplified
        Traditional character to simplified character.
    correct
        The right spelling of a lower-case word of 8 or more letters; the word itself where it is right.
    """
    table = _Table({ord(a): b for a, b in {**_OTHER_MARKS, **simplified}.items()})

    def fold(text: str) -> Folded:
        cased, offsets = _spaced(text)
        cased, offsets = _spelled(cased, offsets, correct)
        folded = _MINUS.sub("\u2212", _DASH.sub(" ,", _JOINED.sub(" ", cased.translate(table))))
        return Folded(folded, cased, offsets)

    return fold


def _spaced(text: str) -> tuple[str, tuple[int, ...] | None]:
    """Runs of white space and control characters as one character each."""
    if not _SPACES.search(text):
        return text, None
    pieces: list[str] = []
    offsets: list[int] = []
    done = 0
    for run in _SPACES.finditer(text):
        pieces.append(text[done : run.start()])
        offsets.extend(range(done, run.start()))
        mark = _mark(run.group(), text[run.start() - 1 : run.start()], text[run.end() : run.end() + 1])
        pieces.append(mark)
        offsets.extend([run.start()] * len(mark))
        done = run.end()
    pieces.append(text[done:])
    offsets.extend(range(done, len(text)))
    return "".join(pieces), tuple(offsets)


def _mark(run: str, before: str, after: str) -> str:
    """What a run of white space becomes: a paragraph, a line break, a space or nothing."""
    if run in _ENTITIES:
        return _ENTITIES[run]
    lines = run.replace("\r\n", "\n").replace("\r", "\n")
    breaks = lines.count("\n") + 2 * (lines.count("\f") + lines.count("\x0b") + lines.count("\u2029"))
    if breaks:
        return PARAGRAPH if breaks > 1 else "\n"
    if not _INVISIBLE.sub("", run) or (_is_cjk(before) and _is_cjk(after)):
        return ""
    return " "


def _is_cjk(character: str) -> bool:
    return "\u3400" <= character <= "\u9fff"


def _spelled(
    cased: str, offsets: tuple[int, ...] | None, correct: Callable[[str], str]
) -> tuple[str, tuple[int, ...] | None]:
    """Long words with one wrong letter, put right."""
    wrong = [
        (word, right)
        for word in _LONG_WORD.finditer(cased)
        if (right := correct(word.group().lower())) != word.group().lower()
    ]
    if not wrong:
        return cased, offsets
    before = offsets or tuple(range(len(cased)))
    pieces: list[str] = []
    after: list[int] = []
    done = 0
    for word, right in wrong:
        start, end = word.span()
        pieces += [cased[done:start], right]
        after.extend(before[done:start])
        after.extend(before[min(start + i, end - 1)] for i in range(len(right) - 1))
        after.append(before[end - 1])
        done = end
    pieces.append(cased[done:])
    after.extend(before[done:])
    return "".join(pieces), tuple(after)


def language_of(text: str) -> tuple[int, int]:
    """How many (Latin letters, Chinese characters) the text has."""
    chinese = len(re.findall(rf"[{CJK}]", text))
    return sum(map(str.isascii, filter(str.isalpha, text))), chinese
