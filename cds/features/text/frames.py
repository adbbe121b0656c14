"""Targets of assertion: terms of the lexicon, and structures with what is said of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cds.features.text.lexicon import IGNORED, SHADOW, Hit

FORWARD, BACKWARD = 60, 45
"""How many characters may lie between a structure and its description (a clause of about ten words)."""
ADJACENT = 14
"""A description this close before its structure ("mildly enlarged heart") is taken before any after it."""
LISTING = frozenset({"、", "或", "及", "和", "与", "/", "or", "and", ", or", ", and", "以及"})
"""What joins two things said of one structure: "胸腔未见积液、积气"."""


@dataclass(frozen=True, slots=True)
class Target:
    """A finding at folded characters ``start`` to ``end``, and the words ``at`` to ``until`` that cues govern.

    `normal` and `doubtful` are what a frame already knows of the assertion.
    """

    key: str
    start: int
    end: int
    at: int
    until: int
    normal: bool = False
    doubtful: bool = False


def targets(
    text: str,
    terms: Sequence[Hit],
    structures: Sequence[Hit],
    descriptors: Sequence[Hit],
    frames: Sequence[Sequence[str]],
) -> list[Target]:
    """All targets of one sentence, by where they start; a frame that repeats a term is dropped."""
    named = [
        Target(key, term.start, term.end, term.start, term.end)
        for term in terms
        for key in term.kinds
        if key != IGNORED
    ]
    framed = list(_framed(text, terms, structures, descriptors, frames))
    found = [target for target in named if not _lent(target, framed)]
    for target in framed:
        if not _repeats(target, found):
            found.append(target)
    return sorted(found, key=lambda target: (target.start, target.end))


def _framed(
    text: str,
    terms: Sequence[Hit],
    structures: Sequence[Hit],
    descriptors: Sequence[Hit],
    frames: Sequence[Sequence[str]],
) -> Iterator[Target]:
    """The target of every structure that is described."""
    for structure in structures:
        for kind in structure.kinds:
            if kind == SHADOW:
                continue
            described = _described(text, structure, kind, terms, structures, descriptors)
            if described:
                for key in frames[int(kind)]:
                    yield _target(key, structure, *described)


def _lent(term: Target, framed: Sequence[Target]) -> bool:
    """Whether a term is only what is said of another structure: the "积液" of "心包未见积液"."""
    keys = {frame.key for frame in framed if (frame.at, frame.until) == (term.start, term.end)}
    return bool(keys) and term.key not in keys


def _target(key: str, structure: Hit, descriptor: Hit, polarity: str) -> Target:
    return Target(
        key,
        min(structure.start, descriptor.start),
        max(structure.end, descriptor.end),
        descriptor.start,
        descriptor.end,
        normal=polarity == "normal",
        doubtful=polarity == "doubtful",
    )


def _repeats(target: Target, found: Sequence[Target]) -> bool:
    """Whether the same finding was already found in these words."""
    return any(
        target.key == other.key
        and ((other.start < target.until and target.at < other.end) or other.start == target.start)
        for other in found
    )


def _described(
    text: str,
    structure: Hit,
    frame: str,
    terms: Sequence[Hit],
    structures: Sequence[Hit],
    descriptors: Sequence[Hit],
) -> tuple[Hit, str] | None:
    """The description of a structure in its frame, and its polarity."""
    before: tuple[Hit, str] | None = None
    for descriptor in descriptors:
        polarity = next((kind.split(".")[1] for kind in descriptor.kinds if kind.split(".")[0] == frame), "")
        if not polarity:
            continue
        if descriptor.end <= structure.start:
            if not _inside(descriptor, terms) and _near(text, descriptor, structure, terms, structures, BACKWARD):
                before = descriptor, polarity
        elif descriptor.end > structure.end:
            if before and structure.start - before[0].end <= ADJACENT:
                return before
            if _near(text, structure, descriptor, terms, structures, FORWARD):
                return descriptor, polarity
            return before
    return before


def _inside(descriptor: Hit, terms: Sequence[Hit]) -> bool:
    """Whether a description is part of a longer finding's name, and so spoken for: "胸腔积液及心包"."""
    return any(
        term.start <= descriptor.start
        and descriptor.end <= term.end
        and (term.start, term.end) != (descriptor.start, descriptor.end)
        for term in terms
    )


def _near(text: str, first: Hit, second: Hit, terms: Sequence[Hit], structures: Sequence[Hit], limit: int) -> bool:
    """Whether two words belong together: close, no finding between, other structures only as a list."""
    between = _without_aside(text[first.end : second.start])
    if len(between) > limit or (len(between) > ADJACENT and any(mark in between for mark in "()[]:")):
        return False
    if any(
        term.start >= first.end and term.end <= second.start and text[term.end : second.start].strip() not in LISTING
        for term in terms
    ):
        return False
    inner = [other for other in structures if other.start >= first.end and other.end <= second.start]
    return _is_list(text, [first, *inner, second]) if inner or "," in between else True


def _without_aside(text: str) -> str:
    """The words without an aside: "the heart, however, is enlarged"."""
    return text.replace(", however,", "").replace(", though,", "")


def _is_list(text: str, hits: Sequence[Hit]) -> bool:
    """Whether structures stand in a row: "heart, mediastinum and hila", "胸腔及心包"."""
    gaps = [_without_aside(text[a.end : b.start]) for a, b in pairwise(hits)]
    joined = sum(
        any(word in gap for word in (" and ", " or ", ",", "、", "及", "和", "与", "/", " & ")) for gap in gaps
    )
    commas = sum("," in gap for gap in gaps)
    return joined >= len(gaps) - 1 and commas <= max(len(hits) - 2, 0)
