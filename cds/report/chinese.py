"""English texts of the code in Chinese: reasons, gates, limits, notes, put together as the code put them together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Final

from cds.domain.vocabulary import FINDINGS
from cds.report.chinese_texts import TEXTS
from cds.report.labels import MODALITIES

SEMICOLON: Final = "; "
DEEPEST: Final = 6
"""Texts within texts: a gate's reason in a finding's note in a finding's reason."""
HOLES: Final[Mapping[str, str]] = MappingProxyType(
    {"{}": "(.+?)", "{n}": r"([<>=]*\s?-?\d[\d.,]*(?:e[+-]?\d+)?)", "{w}": r"(\S+)"}
)
"""What a hole of each kind is filled with."""
_HOLE: Final = re.compile(r"(\{[nw]?\})")
_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {code.meaning: code.meaning_zh for code in FINDINGS.values()} | {key: names[1] for key, names in MODALITIES.items()}
)


@lru_cache(maxsize=4096)
def chinese(english: str) -> str:
    """The Chinese of a text of ours; a text that is not ours stays as it is.

    >>> chinese("slices are 3 degrees from axial")
    '层面偏离轴位3度'
    """
    return _chinese(english, 0)


def _chinese(english: str, depth: int) -> str:
    """The longest run of clauses that is a text of ours, then the rest."""
    clauses = _clauses(english)
    for count in range(len(clauses), 0, -1):
        head = _whole(SEMICOLON.join(clauses[:count]), depth)
        if head is not None:
            rest = clauses[count:]
            return head + ("；" + _chinese(SEMICOLON.join(rest), depth + 1) if rest else "")
    if len(clauses) > 1:
        rest = [_chinese(clause, depth + 1) for clause in clauses]
        return "；".join(rest) if rest != clauses else english
    return english


def _clauses(english: str) -> list[str]:
    """Split at semicolons, those within parentheses apart."""
    parts = english.split(SEMICOLON)
    clauses = parts[:1]
    for part in parts[1:]:
        if clauses[-1].count("(") > clauses[-1].count(")"):
            clauses[-1] += SEMICOLON + part
        else:
            clauses.append(part)
    return clauses


def _whole(english: str, depth: int) -> str | None:
    """The text as one entry of the table, a name, or what one entry says of another; None where it is none."""
    known = _known(english)
    if known or depth > DEEPEST:
        return known
    for pattern, translated in _templates():
        found = pattern.fullmatch(english)
        if found and all(len(_clauses(part)) == 1 or _whole(part, depth + 1) for part in found.groups()):
            return translated.format(*(_chinese(part.strip("'\""), depth + 1) for part in found.groups()))
    if english.endswith(".") and (plain := _whole(english[:-1], depth + 1)) is not None:
        return plain + "。"
    about, colon, said = english.partition(": ")
    name = _known(about)
    return f"{name}：{_chinese(said, depth + 1)}" if colon and name else None


def _known(english: str) -> str | None:
    """An entry, a name, or several of them separated by commas."""
    found = [TEXTS.get(part) or _NAMES.get(part) for part in (english, *english.split(", "))]
    whole, *parts = found
    return whole or ("、".join(map(str, parts)) if all(parts) else None)


@cache
def _templates() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Patterns of the texts with holes, those with the most words of their own first."""
    holed = sorted((text for text in TEXTS if _HOLE.search(text)), key=lambda text: -len(_HOLE.sub("", text)))
    return tuple((_pattern(text), TEXTS[text]) for text in holed)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile("".join(HOLES.get(part) or re.escape(part) for part in _HOLE.split(text)), re.DOTALL)
