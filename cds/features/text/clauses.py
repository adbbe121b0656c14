"""A sentence cut into clauses: the stretches that a cue reaches as a whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cds.features.text.folding import CJK
from cds.features.text.lexicon import Hit

Joiner = Literal["", ",", ":", "(", ")", "stop", "and"]

_MARKS: Final = re.compile(r"[,:()\[\]]")
_JOINERS: Final[dict[str, Joiner]] = {",": ",", ":": ":", "(": "(", "[": "("}
_AND: Final = re.compile(r"(?<![a-z])(?:and|with)(?![a-z])")
_FIRST: Final = re.compile(r"[ (\[]*(?:(?:and|with)(?![a-z]) *)?")
_OR: Final = re.compile(r"[ ]*(?:(?:and or|and|or|nor|versus|vs)(?![a-z])|[或及和与、]|以及|抑或)")
_ANY_OR: Final = re.compile(rf"(?<![a-z{CJK}])(?:or|nor|versus|vs)(?![a-z])|(?<=[a-z])/(?=[a-z])")
CARRIED_ON: Final = ("who", "which", "only", "significant for", "notable for", "remarkable for", "positive for")
"""English stop words that carry a cue on where they follow it at once."""
_CHINESE: Final = re.compile(rf"[{CJK}]")

GOVERNING: Final = frozenset(
    f"{name}.before"
    for name in ("denied", "resolved", "uncertain", "historical", "hypothetical", "exclusion", "family", "other")
)


@dataclass(frozen=True, slots=True)
class Clause:
    """Folded characters ``start`` to ``end``, how it is joined to the one before, and its cues.

    `bare`: no verb and no governing cue, as an item of a list has it. `listed`: it opens with "and", "or".
    `opener`: ``"strong"``, ``"weak"`` or ``""``, whether it opens a statement of its own.
    """

    start: int
    end: int
    joiner: Joiner
    cues: tuple[Hit, ...]
    bare: bool
    listed: bool
    alternative: bool
    chinese: bool
    opener: str


def clauses(text: str, start: int, end: int, cues: Sequence[Hit]) -> list[Clause]:
    """The clauses of the folded sentence ``text[start:end]``; `cues` are the sentence's own."""
    cuts = sorted(_cuts(text, start, end, cues).items())
    begins: list[tuple[int, Joiner]] = [(start, ""), *cuts]
    ends = [cut for cut, _ in cuts] + [end]
    found: list[Clause] = []
    at = 0
    for (begin, joiner), stop in zip(begins, ends, strict=True):
        first = at
        while at < len(cues) and cues[at].start < stop:
            at += 1
        found.append(_clause(text, begin, stop, joiner, cues[first:at]))
    return found


def _cuts(text: str, start: int, end: int, cues: Sequence[Hit]) -> dict[int, Joiner]:
    cuts: dict[int, Joiner] = {}
    covered = [(cue.start, cue.end) for cue in cues if not text[cue.start].isalnum()]
    for mark in _MARKS.finditer(text, start, end):
        at = mark.start()
        if any(a <= at < b for a, b in covered) or (mark.group() in ",:" and _inside_number(text, at)):
            continue
        cuts[at + 1] = _JOINERS.get(mark.group(), ")")
    for cue in cues:
        if "stop" in cue.kinds and cue.start > start and not _governed(text, cue, cues):
            cuts.pop(_skip_spaces_back(text, cue.start), None)
            cuts[cue.start] = "stop"
    for word in _AND.finditer(text, start, end):
        if word.start() not in cuts and _starts_statement(text, word, cues, cuts, start, end):
            cuts[word.start()] = "and"
    return {cut: joiner for cut, joiner in cuts.items() if start < cut < end}


def _governed(text: str, stop: Hit, cues: Sequence[Hit]) -> bool:
    """Whether a governing cue stands right before a stop word: "不排除合并", "coworker who", not "history except"."""
    if text[stop.start].isascii() and not text.startswith(CARRIED_ON, stop.start):
        return False
    at = _skip_spaces_back(text, stop.start)
    return any(cue.end == at and GOVERNING.intersection(cue.kinds) for cue in cues)


def _skip_spaces_back(text: str, at: int) -> int:
    while at and text[at - 1] == " ":
        at -= 1
    return at


def _inside_number(text: str, at: int) -> bool:
    return text[at - 1 : at].isdigit() and text[at + 1 : at + 2].isdigit()


def _starts_statement(
    text: str, word: re.Match[str], cues: Sequence[Hit], cuts: dict[int, Joiner], start: int, end: int
) -> bool:
    """Whether "and" or "with" opens a statement of its own: an opener follows, or verbs stand on both sides."""
    if any(cue.start < word.end() and word.start() < cue.end for cue in cues):
        return False
    if any(cue.start == word.end() + 1 and "opener" in cue.kinds for cue in cues):
        return True
    if word.group() == "with":
        return False
    low = max((cut for cut in cuts if cut <= word.start()), default=start)
    high = min((cut for cut in cuts if cut >= word.end()), default=end)
    spoken = [cue for cue in cues if _is_verb(cue) or "existence" in cue.kinds]
    before = any(low <= cue.start < word.start() for cue in spoken)
    return before and any(word.end() <= cue.start < high for cue in spoken)


def _is_verb(cue: Hit) -> bool:
    return "verb" in cue.kinds


def _clause(text: str, start: int, end: int, joiner: Joiner, cues: Sequence[Hit]) -> Clause:
    match = _FIRST.match(text, start, end)
    first = match.end() if match else start
    opening = next((cue for cue in cues if cue.start == first), None)
    kinds = opening.kinds if opening else ()
    strong = "opener.strong" in kinds or "existence" in kinds
    weak = "opener" in kinds or "opener.after_comma" in kinds
    return Clause(
        start=start,
        end=end,
        joiner=joiner,
        cues=tuple(cues),
        bare=not any(_is_verb(cue) or GOVERNING.intersection(cue.kinds) for cue in cues),
        listed=_OR.match(text, start, end) is not None,
        alternative=_ANY_OR.search(text, start, end) is not None,
        chinese=_CHINESE.search(text, max(0, start - 2), end) is not None,
        opener="strong" if strong else "weak" if weak else "",
    )


def reach(found: Sequence[Clause], index: int, *, through_lists: bool) -> int:
    """Where the reach of a cue in clause `index` ends, as a folded character.

    A denial goes through lists of bare items ("no effusion, consolidation or pneumothorax");
    a doubt (`through_lists` False) only where the list ends in "or". A Chinese comma ends both.
    """
    for later in range(index + 1, len(found)):
        if not _continues(found, later, through_lists=through_lists):
            return found[later - 1].end
    return found[-1].end


def _continues(found: Sequence[Clause], later: int, *, through_lists: bool) -> bool:
    clause = found[later]
    if clause.joiner != ",":
        return clause.joiner == ":"
    if clause.listed and clause.bare:
        return clause.opener != "strong"
    if clause.chinese or not clause.bare or clause.opener == "strong":
        return False
    ends_in_or = _list_ends_in_or(found, later)
    if not through_lists or clause.opener == "weak":
        return ends_in_or
    return True


def _list_ends_in_or(found: Sequence[Clause], later: int) -> bool:
    """Whether the list that clause `later` stands in has an "or"."""
    for clause in found[later:]:
        if clause.joiner != "," or not clause.bare:
            return False
        if clause.alternative:
            return True
    return False
