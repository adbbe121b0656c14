"""The word lists (`data/*.toml`) as one automaton that finds every word in one pass."""

from __future__ import annotations

import hashlib
import re
import string
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Final, Protocol, TypeAlias, cast

import ahocorasick

from cds.domain.vocabulary import ANATOMY, FINDINGS
from cds.features.text import general
from cds.features.text.folding import Folded, folder
from cds.features.text.spelling import corrector

FILES: Final = ("lexicon", "general", "cues", "frames", "sites", "sections", "traditional")
RIGHT: Final = "not_misspelled"
"""The table of words that are never corrected."""
ORGANS: Final = "other_organs"
LATIN: Final = frozenset(string.ascii_letters + string.digits)
"""A word that begins or ends with one of these must not go on beyond it."""
ASIDE: Final = "aside"
"""Words of change that compare something else (`change.aside`)."""
SHADOW: Final = "shadow"
_CHOICES: Final = re.compile(r"\(([^()]*\|[^()]*)\)")
"""Words of a phrase that may stand for each other."""
IGNORED: Final = "ignore"
"""Stands for a finding in the term group: words that only look like one."""

Table: TypeAlias = Mapping[str, object]


class Group:
    """The groups of words; inside one group the longer words hide the shorter ones that they overlap."""

    TERM: Final = 0
    CUE: Final = 1
    CHANGE: Final = 2
    STRUCTURE: Final = 3
    DESCRIPTOR: Final = 4
    SIDE: Final = 5
    REGION: Final = 6
    ORGAN: Final = 7
    HEADING: Final = 8


@dataclass(frozen=True, slots=True)
class Hit:
    """Words found at folded characters ``start`` to ``end``, and what they may mean."""

    start: int
    end: int
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    """What one phrase of the automaton stands for. `exact` is how it must be written, ``""``: any case."""

    group: int
    kinds: tuple[str, ...]
    exact: str


@dataclass(frozen=True, slots=True)
class Concept:
    """What the lexicon says about one finding."""

    site: str
    sized: bool
    lung_only: bool
    symptom: bool = False


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All word lists, ready to search.

    Attributes
    ----------
    sha256
        Of the data files: what the algorithm's version rests on.
    frames
        Which frames (numbers) yield which findings.
    asking
        The kinds of sections that ask or tell the past instead of stating what was found.
    """

    sha256: str
    concepts: Mapping[str, Concept]
    frames: tuple[tuple[str, ...], ...]
    asking: frozenset[str]
    fold: Callable[[str], Folded]
    _automaton: _Automaton = field(repr=False)

    def hits(self, folded: Folded) -> tuple[list[Hit], ...]:
        """The words of each group, in order, without overlaps inside a group."""
        text = folded.text.replace("\n", " ").replace("\f", " ")
        found: tuple[list[Hit], ...] = tuple([] for _ in range(9))
        for last, (length, starts_latin, ends_latin, entries) in self._automaton.iter(text):
            start, end = last + 1 - length, last + 1
            if starts_latin and start and text[start - 1] in LATIN:
                continue
            if ends_latin and end < len(text) and text[end] in LATIN:
                continue
            for entry in entries:
                if not entry.exact or _as_written(folded.cased, start, end, entry.exact):
                    found[entry.group].append(Hit(start, end, entry.kinds))
        found[Group.TERM].extend(Hit(start, end, (general.TERM,)) for start, end in general.built(text))
        return tuple(_longest(hits) for hits in found)


class _Automaton(Protocol):
    """What we use of `ahocorasick.Automaton`."""

    def iter(self, text: str, /) -> Iterator[tuple[int, tuple[int, bool, bool, tuple[_Entry, ...]]]]:
        """(index of the last character, value) of every occurrence."""


def _as_written(cased: str, start: int, end: int, exact: str) -> bool:
    return cased[start:end] == exact


def _longest(hits: list[Hit]) -> list[Hit]:
    """Without those that overlap a longer one; of equally long ones the first; kinds of one span joined."""
    taken: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if not taken or hit.start >= taken[-1].end:
            taken.append(hit)
        elif (hit.start, hit.end) == (taken[-1].start, taken[-1].end):
            taken[-1] = Hit(hit.start, hit.end, _joined(taken[-1].kinds, hit.kinds))
        elif hit.end - hit.start > taken[-1].end - taken[-1].start:
            taken[-1] = hit
    return taken


def _joined(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """The kinds of two hits on the same words; a word that only is built like a disease gives way to its name."""
    kinds = tuple(dict.fromkeys(first + second))
    return kinds if len(kinds) == 1 else tuple(kind for kind in kinds if kind != general.TERM)


@cache
def lexicon() -> Lexicon:
    """The lexicon of the package's own data files, read once."""
    raw = {name: files(__package__).joinpath("data", f"{name}.toml").read_bytes() for name in FILES}
    tables = {name: cast(Table, tomllib.loads(content.decode())) for name, content in raw.items()}
    digest = hashlib.sha256(b"".join(raw[name].replace(b"\r\n", b"\n") for name in FILES)).hexdigest()
    phrases = _Phrases()
    concepts = _read_findings(tables["lexicon"], phrases)
    _read_cues(tables["cues"], phrases)
    frames = _read_frames(tables["frames"], phrases)
    spelled = phrases.words()
    concepts |= _read_general(tables["general"], phrases)
    _read_sites(tables["sites"], phrases)
    letters = dict(
        zip(_text(tables["traditional"], "traditional"), _text(tables["traditional"], "simplified"), strict=True)
    )
    return Lexicon(
        sha256=digest,
        concepts=concepts,
        frames=frames,
        asking=_read_headings(tables["sections"], phrases),
        fold=folder(letters, corrector(spelled, {*_words(_table(tables["lexicon"][RIGHT]), "en"), *phrases.words()})),
        _automaton=phrases.automaton(),
    )


class _Phrases:
    """Phrases on their way into the automaton."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[tuple[int, str], list[str]]] = {}

    def add(self, phrase: str, group: int, kind: str, *, exact: bool = False) -> None:
        """One phrase, of one kind in one group."""
        key = phrase.lower()
        kinds = self._entries.setdefault(key, {}).setdefault((group, phrase if exact else ""), [])
        if kind not in kinds:
            kinds.append(kind)

    def add_all(
        self, table: Table, group: int, kind: str, *, plural: bool = False, taken: frozenset[str] = frozenset()
    ) -> None:
        """The lists ``en``, ``zh``, ``misspelled`` and ``abbreviations`` of a table.

        `taken` are left out.
        """
        english = _words(table, "en") + _words(table, "misspelled")
        for phrase in english:
            for form in (phrase, *_plurals(phrase)) if plural else (phrase,):
                if form not in taken:
                    self.add(form, group, kind)
        for phrase in _words(table, "zh"):
            if phrase not in taken:
                self.add(phrase, group, kind)
        for phrase in _words(table, "abbreviations"):
            self.add(phrase, group, kind, exact=True)

    def named(self) -> frozenset[str]:
        """The phrases that name a finding of the vocabulary."""
        return frozenset(
            phrase
            for phrase, kinds in self._entries.items()
            if any(group == Group.TERM and FINDINGS.keys() & set(found) for (group, _), found in kinds.items())
        )

    def words(self) -> set[str]:
        """Every Latin word of the findings and of the frames: those whose misspellings are put right."""
        spelled = {Group.TERM, Group.STRUCTURE, Group.DESCRIPTOR}
        phrases = (phrase for phrase, kinds in self._entries.items() if any(group in spelled for group, _ in kinds))
        return {word for phrase in phrases for word in re.findall(r"[a-z]+", phrase)}

    def automaton(self) -> _Automaton:
        """The finished automaton."""
        automaton = ahocorasick.Automaton()
        for phrase, kinds in self._entries.items():
            entries = tuple(_Entry(group, tuple(found), exact) for (group, exact), found in kinds.items())
            automaton.add_word(phrase, (len(phrase), phrase[0] in LATIN, phrase[-1] in LATIN, entries))
        automaton.make_automaton()
        return cast(_Automaton, automaton)


def _plurals(phrase: str) -> tuple[str, ...]:
    """The regular plurals of an English phrase's last word; harmless where it has none."""
    if phrase.endswith(("sis", "xis")):
        return (phrase[:-2] + "es",)
    if phrase.endswith("s") and not phrase.endswith("ss"):
        return ()
    if phrase.endswith(("x", "ch", "sh", "ss")):
        return (phrase + "es",)
    if phrase.endswith("y") and phrase[-2] not in "aeiou":
        return (phrase[:-1] + "ies",)
    return (phrase + "s",)


def _read_findings(tables: Table, phrases: _Phrases) -> dict[str, Concept]:
    concepts: dict[str, Concept] = {}
    for key, value in tables.items():
        table = _table(value)
        if key == RIGHT:
            continue
        if key == ORGANS:
            phrases.add_all(table, Group.ORGAN, ORGANS)
            continue
        phrases.add_all(table, Group.TERM, key, plural=True)
        if key == IGNORED:
            continue
        site = str(table["site"])
        if key not in FINDINGS or site not in ANATOMY:
            raise ValueError(f"lexicon.toml: {key!r} is no finding, or {site!r} no region, of the vocabulary")
        concepts[key] = Concept(site, bool(table.get("sized", False)), bool(table.get("lung_only", False)))
    return concepts


def _read_general(tables: Table, phrases: _Phrases) -> dict[str, Concept]:
    """Concepts beyond the thorax; a word that is a finding's stays the finding's."""
    taken = phrases.named()
    for key, value in tables.items():
        phrases.add_all(_table(value), Group.TERM, key, plural=True, taken=taken)
    made = {
        key: Concept("", bool(_table(value).get("sized", False)), False, bool(_table(value).get("symptom", False)))
        for key, value in tables.items()
    }
    return {**made, general.TERM: Concept("", False, False)}


def _read_cues(tables: Table, phrases: _Phrases) -> None:
    for name, value in tables.items():
        table = _table(value)
        for part, inner in table.items():
            if isinstance(inner, dict):
                phrases.add_all(inner, Group.CHANGE if name == "change" else Group.CUE, _cue_kind(name, part))
        phrases.add_all(table, Group.CUE, name)
        for extra in ("strong", "after_comma"):
            for phrase in _words(table, extra):
                phrases.add(phrase, Group.CUE, f"opener.{extra}")


def _cue_kind(name: str, part: str) -> str:
    return part if name == "change" else f"{name}.{part}"


def _read_frames(tables: Table, phrases: _Phrases) -> tuple[tuple[str, ...], ...]:
    findings: list[tuple[str, ...]] = []
    for number, value in enumerate(_tables(tables, "frame")):
        findings.append(tuple(_words(value, "findings")))
        for language in ("en", "zh"):
            words = _table(value.get(language, {}))
            for phrase in _words(words, "structure"):
                phrases.add(phrase, Group.STRUCTURE, str(number))
            for polarity in ("abnormal", "doubtful", "normal"):
                for phrase in _words(words, polarity):
                    phrases.add(phrase, Group.DESCRIPTOR, f"{number}.{polarity}")
    phrases.add_all(_table(tables["shadow"]), Group.STRUCTURE, SHADOW)
    return tuple(findings)


def _read_sites(tables: Table, phrases: _Phrases) -> None:
    for side, value in _table(tables["side"]).items():
        phrases.add_all(_table(value), Group.SIDE, side)
    for region, value in _table(tables["region"]).items():
        if region not in ANATOMY:
            raise ValueError(f"sites.toml: {region!r} is no region of the vocabulary")
        phrases.add_all(_table(value), Group.REGION, region)


def _read_headings(tables: Table, phrases: _Phrases) -> frozenset[str]:
    for kind, value in tables.items():
        phrases.add_all(_table(value), Group.HEADING, kind)
    return frozenset(kind for kind, value in tables.items() if not _table(value).get("asserts", True))


def _table(value: object) -> Table:
    if not isinstance(value, dict):
        raise TypeError(f"a word list is a table, not {value!r}")
    return cast(Table, value)


def _tables(table: Table, name: str) -> list[Table]:
    value = table[name]
    if not isinstance(value, list):
        raise TypeError(f"{name!r} is a list of tables")
    return [_table(item) for item in value]


def _words(table: Table, name: str) -> list[str]:
    value = table.get(name, [])
    if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
        raise TypeError(f"{name!r} is a list of words")
    return [phrase for word in cast(list[str], value) for phrase in _spelled_out(word)]


def _spelled_out(word: str) -> list[str]:
    """Every phrase that "(cannot|could not) exclude" stands for; an empty choice leaves its place out."""
    choices = _CHOICES.search(word)
    if not choices:
        return [word]
    before, after = word[: choices.start()], word[choices.end() :]
    phrases = (" ".join(f"{before}{choice}{after}".split()) for choice in choices.group(1).split("|"))
    return [phrase for each in phrases for phrase in _spelled_out(each)]


def _text(table: Table, name: str) -> str:
    return str(table[name])
