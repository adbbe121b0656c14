"""Our own annotated sentences (tests/unit/features/text/*.tsv), and how well a reader does on them.

Two parts: ``dev`` is looked at when rules are written; ``blind`` was written before its first run and is only
counted. A line is `annotations<TAB>sentence`; an annotation is

    finding=P|A|U [@L|R|B|?] [#mm] [~n|i|d|s|r] [:h|y|f|o]

with assertion, side, largest length in millimetres, change (new, increased, decreased, stable, resolved),
and historical, hypothetical, the family's or someone else's; "-" where the sentence mentions nothing. "@?" is
a diagnosis without a side of its own beside a finding that has one ("right opacity, perhaps pneumonia"): readers
differ on whether the diagnosis is on the right, so its side is not counted.

The others (`GENERAL`) are of general medicine. There an annotation names its finding by words of the sentence,
annotations are joined by "; ", and what else is said is not counted: they are counted as `cds evaluate text` counts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cds.domain.evidence import Assertion
from cds.features.text import Mention, parse
from cds.training.text import Count, counted, rules
from cds.training.text_manifest import Annotation, Document

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "unit" / "features" / "text"
PARTS = ("dev", "blind")
GENERAL = ("general", "second", "summary", "progress", "chest", "mixed", "last", "final")
"""In the order in which they were written, each before its first run and after what the ones before it had taught."""
LANGUAGES = ("en", "zh")
ANNOTATION = re.compile(r"(\w+)=([PAU])(?:@([LRB?]))?(?:#([\d.]+))?(?:~([nidsr]))?(?::([hyfo]))?")
BY_WORDS = re.compile(r"(.+?)=([PAU])(?:@([LRB]))?(?:#([\d.]+))?(?:~[nidsr])?(?::[hyfo])?")
SIDES = {"L": "left", "R": "right", "B": "bilateral"}
ASSERTIONS = {"P": Assertion.PRESENT, "A": Assertion.ABSENT, "U": Assertion.UNCERTAIN}
OPEN = "?"
ASPECTS = ("finding", "assertion", "negation", "side", "size", "change", "context")


def general_files() -> list[tuple[str, str]]:
    """(part, language) of each set of general medicine; the later ones are English only."""
    files = [(part, language) for part in GENERAL for language in LANGUAGES]
    return [(part, language) for part, language in files if (FOLDER / f"{part}_{language}.tsv").exists()]


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of one finding, in the letters of the files."""

    key: str
    assertion: str
    side: str = ""
    mm: float | None = None
    change: str = ""
    context: str = ""


def rows(part: str, language: str) -> Iterator[tuple[list[Said], str]]:
    """The annotations and the sentence of each line of one file."""
    for line in (FOLDER / f"{part}_{language}.tsv").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            column, sentence = line.split("\t")
            yield [said(item) for item in column.split() if item != "-"], sentence


def general(language: str, part: str = "general") -> Iterator[Document]:
    """The sentences of general medicine."""
    for line in (FOLDER / f"{part}_{language}.tsv").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            column, sentence = line.split("\t")
            yield Document(text=sentence, annotations=tuple(by_words(item) for item in column.split("; ")))


def by_words(item: str) -> Annotation:
    """One annotation that names its finding by words of the sentence."""
    match = BY_WORDS.fullmatch(item)
    if not match:
        raise ValueError(f"no annotation: {item}")
    words, assertion, side, mm = match.groups()
    return Annotation(
        words=words,
        assertion=ASSERTIONS[assertion],
        side=SIDES[side] if side else None,
        size_mm=float(mm) if mm else None,
    )


def general_counts(language: str, part: str = "general") -> tuple[dict[str, Count], list[str]]:
    """Counts of assertion, side and size, and the sentences with an error."""
    total: dict[str, Count] = {}
    wrong: list[str] = []
    for document in general(language, part):
        found = counted(document, rules(document.text), frozenset())
        if any(false or missed for _, false, missed in found.values()):
            wrong.append(document.text)
        for (kind, name), (hit, false, missed) in found.items():
            if name == "all":
                before = total.get(kind, (0, 0, 0))
                total[kind] = (before[0] + hit, before[1] + false, before[2] + missed)
    return total, wrong


def said(item: str) -> Said:
    """One annotation."""
    match = ANNOTATION.fullmatch(item)
    if not match:
        raise ValueError(f"no annotation: {item}")
    key, assertion, side, mm, change, context = match.groups()
    return Said(key, assertion, side or "", float(mm) if mm else None, change or "", context or "")


def read(sentence: str) -> list[Said]:
    """Our reader's mentions of thoracic findings in the letters of the files."""
    return [of_mention(mention) for mention in parse(sentence).mentions if not mention.general]


def of_mention(mention: Mention) -> Said:
    """One mention in the letters of the files."""
    context = "h" if mention.historical else "y" if mention.hypothetical else ""
    return Said(
        mention.key,
        mention.assertion.value[0],
        mention.laterality[:1].upper(),
        mention.size.mm if mention.size else None,
        mention.change.value[0] if mention.change else "",
        mention.subject[0] if mention.subject != "patient" else context,
    )


def aspects(found: Iterable[Said]) -> dict[str, Counter[object]]:
    """What is counted of a sentence: an aspect that a finding does not have is no item."""
    items = list(found)
    return {
        "finding": Counter(item.key for item in items),
        "assertion": Counter((item.key, item.assertion) for item in items),
        "negation": Counter(item.key for item in items if item.assertion == "A"),
        "side": Counter((item.key, item.side) for item in items if item.side and item.side != OPEN),
        "size": Counter((item.key, item.mm) for item in items if item.mm is not None),
        "change": Counter((item.key, item.change) for item in items if item.change),
        "context": Counter((item.key, item.context) for item in items if item.context),
    }


def counts(
    part: str, language: str, reader: Callable[[str], Iterable[Said]] = read
) -> tuple[dict[str, tuple[int, int, int]], list[str]]:
    """(true positives, false positives, false negatives) of each aspect, and a note on each sentence with an error."""
    total = {aspect: [0, 0, 0] for aspect in ASPECTS}
    wrong: list[str] = []
    for expected, sentence in rows(part, language):
        truth, found = aspects(expected), aspects(reader(sentence))
        _leave_out_open_sides(expected, truth["side"], found["side"])
        notes = []
        for aspect in ASPECTS:
            hit = truth[aspect] & found[aspect]
            more, less = found[aspect] - truth[aspect], truth[aspect] - found[aspect]
            for position, counter in enumerate((hit, more, less)):
                total[aspect][position] += counter.total()
            if more or less:
                notes.append(f"{aspect}: said {list(more)}, not {list(less)}")
        if notes:
            wrong.append(sentence + "\n    " + "\n    ".join(notes))
    return {aspect: (values[0], values[1], values[2]) for aspect, values in total.items()}, wrong


def _leave_out_open_sides(expected: Iterable[Said], truth: Counter[object], found: Counter[object]) -> None:
    """Take one side too many out of `found` for each finding whose side is open."""
    for item in expected:
        if item.side == OPEN:
            for side in "LRB":
                if found[(item.key, side)] > truth[(item.key, side)]:
                    found[(item.key, side)] -= 1
                    break


def f1(hit: int, false: int, missed: int) -> float:
    """F1; 1 where there was nothing to find and nothing was found."""
    return 2 * hit / (2 * hit + false + missed) if hit + false + missed else 1.0
