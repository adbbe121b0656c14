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
_VALUES: Final = re.compile(_NUMBER)
_UNITS: Final = re.compile(_UNIT)
_NO_SIZE: Final = re.compile(r" ?(?:above|below|from|proximal|distal|thick|slice|section|collimation|interval|层厚|处)")
_BEFORE_NOW: Final = re.compile(r"(?:previously|prior|formerly|原|前片|既往|原约|前约)[^,;.]{0,12}$")
_ELSE: Final = re.compile(r"[ ,]*(?:余|其余|另|其他|其它)")
AFTER_PENALTY: Final = 6
"""A place after the finding counts as this many characters further off than one before it."""
MILLIMETRES: Final = {"cm": 10.0, "mm": 1.0}


def sizes(text: str, start: int, end: int) -> list[tuple[int, int, Size]]:
    """The lengths in ``text[start:end]``, as (start, end, size); the largest of "12 x 9 mm"."""
    found: list[tuple[int, int, Size]] = []
    for match in SIZE.finditer(text, start, end):
        if _NO_SIZE.match(text, match.end()) or _BEFORE_NOW.search(text, max(start, match.start() - 24), match.start()):
            continue
        unit = _unit(_UNITS.findall(match.group())[-1])
        value = max(float(number) for number in _VALUES.findall(match.group()))
        found.append((match.start(), match.end(), Size(value=value, unit=unit, mm=round(value * MILLIMETRES[unit], 3))))
    return found


def _unit(word: str) -> str:
    return "mm" if word.startswith(("mm", "milli", "毫")) else "cm"


def size_owners(
    lengths: Sequence[tuple[int, int, Size]],
    targets: Sequence[Target],
    clauses: Sequence[Clause],
    concepts: dict[str, Concept],
) -> dict[int, Size]:
    """Which target (its number) each length belongs to: the nearest in its clause, else the last before it."""
    owners: dict[int, Size] = {}
    sized = [number for number, target in enumerate(targets) if concepts[target.key].sized and not target.normal]
    for start, end, size in lengths:
        clause = next((part for part in reversed(clauses) if part.start <= start), clauses[0])
        inside = [n for n in sized if clause.start <= targets[n].start and targets[n].end <= clause.end]
        before = [n for n in sized if targets[n].end <= start]
        if inside:
            nearest = min(inside, key=lambda n: _distance(targets[n], start, end))
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


def _distance(target: Target, start: int, end: int) -> int:
    return target.start - end if target.start >= end else start - target.end


def place(
    text: str, target: Target, hits: Sequence[Hit], targets: Sequence[Target], clauses: Sequence[Clause], index: int
) -> str:
    """The nearest side or region: the first of a hit's kinds, ``""`` where the clause names none."""
    clause = clauses[index]
    inside = [hit for hit in hits if clause.start <= hit.start and hit.end <= clause.end]
    own = [hit for hit in inside if hit.start < target.end and target.start < hit.end]
    if own:
        return own[0].kinds[0]
    best = min(inside, key=lambda hit: _gap(target, hit, targets, clause.chinese), default=None)
    if best and _gap(target, best, targets, clause.chinese) < 1000:
        return best.kinds[0]
    if not clause.chinese or _ELSE.match(text, clause.start):
        return ""
    earlier = [hit for hit in hits if hit.end <= clause.start]
    return earlier[-1].kinds[0] if earlier else ""


def _gap(target: Target, hit: Hit, targets: Sequence[Target], chinese: bool) -> int:
    """How far a place is from a finding; another finding between them makes it far."""
    if hit.end <= target.start:
        between = [t for t in targets if hit.end <= t.start and t.end <= target.start and t.key != target.key]
        return target.start - hit.end + 40 * len(between)
    between = [t for t in targets if target.end <= t.start and t.end <= hit.start and t.key != target.key]
    if between or chinese:
        return 2000 if between else hit.start - target.end + 60
    return hit.start - target.end + AFTER_PENALTY


def change(
    text: str, target: Target, hits: Sequence[Hit], targets: Sequence[Target], clauses: Sequence[Clause], index: int
) -> Change | None:
    """How the finding compares with before, where the words stand beside it."""
    clause = clauses[index]
    free = [hit for hit in hits if not any(t.start < hit.end and hit.start < t.end for t in targets)]
    inside = [hit for hit in free if clause.start <= hit.start and hit.end <= clause.end]
    before = [hit for hit in inside if hit.end <= target.start and _adjacent(text, hit.end, target.start, targets)]
    after = [hit for hit in inside if hit.start >= target.end]
    if before:
        return _change(before[-1])
    if after and not _own_word(text, after[0], targets, target, clause):
        return _change(after[0])
    for later in clauses[index + 1 : index + 2]:
        if later.joiner in (",", "(") and not any(later.start <= t.start < later.end for t in targets):
            follows = [hit for hit in free if later.start <= hit.start and hit.end <= later.end]
            return _change(follows[0]) if follows else None
    return None


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
