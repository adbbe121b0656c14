"""Words with one wrong letter: pneumothroax, cardiomegaley."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

SHORTEST = 8
"""Shorter words have too many honest neighbours ("mass", "mask")."""


def corrector(words: Iterable[str], others: Iterable[str] = ()) -> Callable[[str], str]:
    """A function that turns a misspelled word of the list into the right one, and leaves others alone.

    One letter too many, too few, wrong, or two neighbours swapped (Damerau 1964,
    doi:10.1145/363958.363994); the first letter must be right. Candidates are found by deleting each
    letter in turn, so the cost does not depend on the length of the list. `others` are right words that
    look like misspelled ones.
    """
    right = frozenset(word for word in words if len(word) >= SHORTEST)
    left_alone = right.union(others)
    neighbours: dict[str, list[str]] = {}
    for word in sorted(right):
        for form in _deletions(word):
            neighbours.setdefault(form, []).append(word)

    @lru_cache(maxsize=1 << 16)
    def correct(word: str) -> str:
        if word in left_alone or len(word) > 40:
            return word
        for form in _deletions(word):
            for candidate in neighbours.get(form, ()):
                if _one_slip(word, candidate):
                    return candidate
        return word

    return correct


def _deletions(word: str) -> list[str]:
    """The word, and the word without each of its letters but the first."""
    return [word] + [word[:i] + word[i + 1 :] for i in range(1, len(word))]


def _one_slip(word: str, other: str) -> bool:
    """Whether the two differ by one letter, or by two neighbouring letters swapped."""
    if word[0] != other[0]:
        return False
    if len(word) != len(other):
        shorter, longer = sorted((word, other), key=len)
        at = next((i for i, letter in enumerate(shorter) if letter != longer[i]), len(shorter))
        return len(longer) - len(shorter) == 1 and shorter[at:] == longer[at + 1 :]
    wrong = [i for i in range(len(word)) if word[i] != other[i]]
    if len(wrong) == 1:
        return True
    i, j = wrong[0], wrong[-1]
    return len(wrong) == 2 and j == i + 1 and word[i] == other[j] and word[j] == other[i]
