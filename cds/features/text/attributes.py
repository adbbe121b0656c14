"""Side, region, size and change of a finding, from the words around it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, cast

from cds.features.text.clauses import Clause
from cds.features.text.frames import Target
from cds.features.text.lexicon import Concept, Hit
from cds.features.text.values import Change, Laterality, Size

_NUMBER: Final = r"\d{1,3}(?:\.\d{1,2})?"
_UNIT: Final = r"(?:mm|cm|millimeters?|millimetres?|centimeters?|centimetres?|毫米|厘米|公分)"
SIZE: Final = re.compile(
    rf"(?<![\d.])(?<!\d,)(?:{_NUMBER} ?{_UNIT}? ?(?:x|\*|~|-|to|by|至|乘) ?){{0,3}}{_NUMBER} ?{_UNIT}(?![a-z23])"
)
"""No areas or volumes, and no number with a comma in it: of "1,5 cm" rather no size than 5 cm."""
_LENGTH: Final = re.compile(rf"({_NUMBER}) ?({_UNIT})?")
_RANGE: Final = re.compile(r"~|-|to|至")
_NO_SIZE: Final = re.compile(
    r" ?(?:above|below|from(?! the (?:chest wall|pleura))|proximal|distal|thick \w*(?:slice|section|image|cut)"
    r"|slice|section|collimation|interval|previously|层厚|处"
    r"|(?:明显)?(?:增大|增长|增加|缩小|减小|减少|增|减)(?:至|到|为))"
)
_BEFORE_NOW: Final = re.compile(
    r"(?:(?:previously|prior|formerly|compared (?:to|with)|原|前片|既往|原约|前约)[^,;.]{0,12}|较前 ?\( ?)$"
)
_EARLIER: Final = re.compile(
    r"(?<![a-z])previously (?:seen|noted|described|identified|reported)(?![a-z])"
    r"|(?<![a-z])seen (?:on|in) (?:the )?(?:prior|previous)(?![a-z])|原(?!发|因|位)"
)
_ELSE: Final = re.compile(r"[ ,]*(?:余|其余|另|其他|其它)")
_JOINED: Final = re.compile(r"(?<![a-z])(?:with|and)(?![a-z])|伴|并|及")
_BUT: Final = re.compile(r"(?:but|yet|though|although|is|are|remains?|[ ,])*")
_LISTED: Final = re.compile(r" ?(?:/|&|,|(?:and/or|and or|and|or|vs|versus) )[ ,]*(?:[a-z]+ ){0,2}")
_AND: Final = re.compile(r"[^,;:()]{0,24}?(?<![a-z])(?:and|&|/|及|和|、|与)(?![a-z])[^,;:()]{0,12}")
_PLACE_ONLY: Final = re.compile(
    r"(?:[ ,.();:<>]|\b(?:in|at|on|of|the|involving|within|measuring|measures|both|right|left|sided?|bilateral(?:ly)?"
    r"|upper|lower|middle|mid|lobes?|lungs?|zones?|apex|apices|apical|bases?|basal|basilar|hil(?:um|a|ar)|lingul(?:a|ar)"
    r"|rul|rml|rll|lul|lll|rt|lt|greater|larger|more|worse|than|predominantly|posterior|anterior|lateral|medial"
    r"|superior|inferior|segments?|subpleural|about|approximately|up|to|now|versus|vs|compared|prior|previous|was|is|small|tiny|trace|moderate|large|mild|single|one|two|three|several|yes)\b)*"
)
AFTER_PENALTY: Final = 6
"""A place after the finding counts as this many characters further off than one before it."""
JOINED_PENALTY: Final = 30
FAR: Final = 2000
NEAREST: Final = 4
"""So many places on either side of a finding are weighed; the work on a long list grows with them."""
ANY_LUNG: Final = "lung"
"""A region that every name of a lung finding holds ("肺大疱"): it gives way to a lobe beside it."""
MILLIMETRES: Final = {"cm": 10.0, "mm": 1.0}


def sizes(text: str, start: int, end: int) -> list[Size]:
    """The lengths in the folded ``text[start:end]``; their characters are folded ones."""
    return [
        _size(match.group(), match.start(), match.end())
        for match in SIZE.finditer(text, start, end)
        if not _NO_SIZE.match(text, match.end())
        and not _BEFORE_NOW.search(text, max(start, match.start() - 24), match.start())
    ]


def _size(words: str, start: int, end: int) -> Size:
    """The largest of "12 x 9 mm"; of "from 8 mm to 11 mm" the last; a number without a unit has the next one's."""
    lengths: list[tuple[float, str]] = []
    unit = ""
    for number, own in reversed(_LENGTH.findall(words)):
        unit = _unit(own) if own else unit
        lengths.insert(0, (float(number), unit))
    if _RANGE.search(words):
        lengths = lengths[-1:]
    axes = tuple(round(value * MILLIMETRES[unit], 3) for value, unit in lengths)
    largest = axes.index(max(axes))
    value, unit = lengths[largest]
    return Size(value=value, unit=unit, mm=axes[largest], axes_mm=axes, start=start, end=end)


def _unit(word: str) -> str:
    return "mm" if word.startswith(("mm", "milli", "毫")) else "cm"


def size_owners(
    text: str,
    lengths: Sequence[Size],
    targets: Sequence[Target],
    clauses: Sequence[Clause],
    concepts: dict[str, Concept],
) -> dict[int, Size]:
    """Which target (its number) each length belongs to: the nearest in its clause, else the last before it."""
    owners: dict[int, Size] = {}
    sized = [number for number, target in enumerate(targets) if concepts[target.key].sized and not target.normal]
    for size in lengths:
        start, end = size.start, size.end
        clause = next((part for part in reversed(clauses) if part.start <= start), clauses[0])
        inside = [n for n in sized if clause.start <= targets[n].start and targets[n].end <= clause.end]
        before = [n for n in sized if targets[n].end <= start]
        if inside:
            nearest = min(inside, key=lambda n: _distance(text, targets[n], start, end))
        elif before:
            nearest = before[-1]
        else:
            continue
        same = [
            n for n in sized if (targets[n].start, targets[n].end) == (targets[nearest].start, targets[nearest].end)
        ]
        for number in same:
            if number not in owners or (size.mm > owners[number].mm and not inside):
                owners[number] = size
    return owners


def _distance(text: str, target: Target, start: int, end: int) -> int:
    """How far a length is from a finding; "with" and "and" between them make it farther."""
    between = text[end : target.start] if target.start >= end else text[target.end : start]
    return len(between) + (JOINED_PENALTY if _JOINED.search(between) else 0)


def place(
    text: str, target: Target, hits: Sequence[Hit], targets: Sequence[Target], clauses: Sequence[Clause], index: int
) -> str:
    """The nearest side or region: the first of a hit's kinds, ``""`` where neither clause nor aside names one."""
    clause = clauses[index]
    inside = [hit for hit in hits if clause.start <= hit.start and hit.end <= clause.end]
    own = [hit for hit in inside if hit.start < target.end and target.start < hit.end]
    if own and own[0].kinds[0] != ANY_LUNG:
        return own[0].kinds[0]
    before = [hit for hit in inside if hit.end <= target.start]
    inside = before[-NEAREST:] + [hit for hit in inside if hit.start >= target.end][:NEAREST]
    best = min(inside, key=lambda hit: _gap(text, target, hit, targets, clause), default=None)
    if best and _gap(text, target, best, targets, clause) < FAR:
        return _both(text, best, inside, targets)
    if not clause.chinese:
        return _aside(text, hits, clauses, index)
    if _ELSE.match(text, clause.start):
        return ""
    earlier = [hit for hit in hits if hit.end <= clause.start]
    if not earlier or (_denies(clause, target) and _states_in(clauses, earlier[-1], targets)):
        return ""
    return earlier[-1].kinds[0]


def _both(text: str, best: Hit, inside: Sequence[Hit], targets: Sequence[Target]) -> str:
    """The place, or both sides: "right upper and left lower lobe", "large right and small left"."""
    for other in inside:
        if {best.kinds[0], other.kinds[0]} == {"left", "right"}:
            first, second = sorted((best, other), key=lambda hit: hit.start)
            between = text[first.end : second.start]
            if _AND.fullmatch(between) and not any(first.end <= t.start < second.start for t in targets):
                return "bilateral"
    return best.kinds[0]


def _aside(text: str, hits: Sequence[Hit], clauses: Sequence[Clause], index: int) -> str:
    """The place in a clause beside it that names a place and nothing else: "nodule, right apex"."""
    asides = [clauses[index - 1]] if index and clauses[index].joiner in (",", ":") else []
    for later in clauses[index + 1 :]:
        if later.joiner in (",", "(", ")", ":"):
            asides.append(later)
        if asides[-1:] != [later] or not _skipped(text, later):
            break
    for clause in asides:
        words = _PLACE_ONLY.match(text, clause.start, clause.end)
        end = words.end() if words and (words.end() == clause.end or clause.joiner == ")") else clause.start
        inside = [hit for hit in hits if clause.start <= hit.start and hit.end <= end]
        if inside:
            return _both(text, inside[0], inside, ())
    return ""


def _skipped(text: str, clause: Clause) -> bool:
    """Whether a clause only measures or places what stands before it."""
    words = SIZE.sub("", text[clause.start : clause.end])
    return bool(_PLACE_ONLY.fullmatch(words)) or (clause.chinese and clause.bare)


def _denies(clause: Clause, target: Target) -> bool:
    return target.normal or any(kind.startswith("denied") for cue in clause.cues for kind in cue.kinds)


def _states_in(clauses: Sequence[Clause], hit: Hit, targets: Sequence[Target]) -> bool:
    """Whether the clause that a place stands in has a finding and denies none."""
    own = next(clause for clause in reversed(clauses) if clause.start <= hit.start)
    denied = any(kind.startswith("denied") for cue in own.cues for kind in cue.kinds)
    return not denied and any(own.start <= t.start < own.end and not t.normal for t in targets)


def _gap(text: str, target: Target, hit: Hit, targets: Sequence[Target], clause: Clause) -> int:
    """How far a place is from a finding; another finding between them makes it far, and a denial too far."""
    if hit.end <= target.start:
        between = [t for t in targets if hit.end <= t.start and t.end <= target.start and t.key != target.key]
        if between and _denied_between(clause, between[0].end, target.start):
            return FAR
        joined = JOINED_PENALTY if not clause.chinese and _JOINED.search(text, hit.end, target.start) else 0
        return target.start - hit.end + 40 * len(between) + joined
    between = [t for t in targets if target.end <= t.start and t.end <= hit.start and t.key != target.key]
    far = hit.start - target.end
    if clause.chinese:
        return FAR if between else far + 60
    if between:
        return far + 40 if len(between) == 1 and _LISTED.fullmatch(text, target.end, between[0].start) else FAR
    followed = any(hit.end <= t.start < clause.end and t.key != target.key for t in targets)
    return FAR if followed and _JOINED.search(text, target.end, hit.start) else far + AFTER_PENALTY


def _denied_between(clause: Clause, start: int, end: int) -> bool:
    return any("denied.before" in cue.kinds and start <= cue.start and cue.end <= end for cue in clause.cues)


def change(
    text: str, target: Target, hits: Sequence[Hit], targets: Sequence[Target], clauses: Sequence[Clause], index: int
) -> Change | None:
    """How the finding compares with before, where the words stand beside it."""
    clause = clauses[index]
    inside = [hit for hit in hits if clause.start <= hit.start and hit.end <= clause.end]
    if grown := [hit for hit in inside if hit.start < target.at < hit.end <= target.until]:
        return _change(grown[0])
    free = [hit for hit in hits if not any(t.start < hit.end and hit.start < t.end for t in targets)]
    inside = [hit for hit in inside if hit in free]
    before = [hit for hit in inside if hit.end <= target.start and _adjacent(text, hit.end, target.start, targets)]
    after = [hit for hit in inside if hit.start >= target.end]
    if before:
        return _change(before[-1])
    if after and not _own_word(text, after[0], targets, target, clause):
        return _change(after[0])
    for later in clauses[index + 1 :]:
        follows = [hit for hit in free if later.start <= hit.start and hit.end <= later.end]
        joined = later.joiner in (",", "(", ")") or (
            follows and _BUT.fullmatch(text, later.start, follows[0].start) is not None
        )
        if not joined or any(later.start <= t.start < later.end for t in targets):
            break
        if follows:
            return _change(follows[0])
        if not _skipped(text, later) and not _BEFORE_NOW.search(text, later.start, later.end):
            break
    return None


def seen_before(text: str, target: Target, clause: Clause) -> bool:
    """Whether words beside the finding say that it was there earlier: "previously noted", 原."""
    return _EARLIER.search(text, clause.start, clause.end) is not None


def _adjacent(text: str, start: int, end: int, targets: Sequence[Target]) -> bool:
    """Whether nothing but a few describing words lie between."""
    between = text[start:end]
    near = len(between) <= 45 and " and " not in between
    return near and not any(start <= t.start and t.end <= end for t in targets)


def _own_word(text: str, hit: Hit, targets: Sequence[Target], target: Target, clause: Clause) -> bool:
    """Whether a following word describes the next finding ("effusion and new opacity")."""
    following = [t for t in targets if t.start >= hit.end and t.start < clause.end]
    between = [t for t in targets if target.end <= t.start and t.end <= hit.start]
    if following and not between and _adjacent(text, hit.end, following[0].start, targets):
        return " is " not in text[target.end : hit.end + 4] and " are " not in text[target.end : hit.end + 5]
    return bool(following) and bool(between)


def _change(hit: Hit) -> Change:
    return Change(hit.kinds[0])


def as_laterality(kind: str) -> Laterality:
    """A side's name in sites.toml as a value."""
    return cast(Laterality, kind)
