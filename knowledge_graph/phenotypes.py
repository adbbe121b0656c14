"""Read the disease-phenotype annotations of the Human Phenotype Ontology (``phenotype_annotation.tab``).

Fourteen columns separated by tabs: database, id, name, qualifier, phenotype, reference, evidence, onset, frequency,
with, aspect, synonyms, date, curator (HPO annotation guide, http://www.human-phenotype-ontology.org).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cds.domain.code import Code
from knowledge_graph.imported import Claim, Concept, Place, Reason, Record, Rejected, curie, lines
from knowledge_graph.model import Grade, Kind, Node, Relation, Strength

COLUMNS: Final = 14
WORDS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "very rare": 0.01,
        "rare": 0.05,
        "occasional": 0.075,
        "frequent": 0.33,
        "typical": 0.5,
        "common": 0.75,
        "hallmark": 0.9,
        "obligate": 1.0,
    }
)
"""The share of patients each word stands for: table 2 of the annotation guide; ``variable`` says no share."""

PHENOTYPE: Final = "O"
ASPECTS: Final[Mapping[str, str]] = MappingProxyType(
    {"I": "a mode of inheritance", "C": "a clinical course", "M": "a modifier"}
)
_OF: Final = re.compile(r"(\d+)\s*(?:/|of)\s*(\d+)")
_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%?(?:\s*-\s*(\d+(?:\.\d+)?))?\s*%")
_NUMBER: Final = re.compile(r"^[#%*+^]?\d{6}\s+")


def read(file: Path) -> Iterator[Record]:
    """Each disease once, and each annotation as ``manifests_as`` (``argues_against`` where it says NOT)."""
    seen: set[str] = set()
    for place, text in lines(file):
        if not text or text.startswith("#"):
            continue
        cells = [cell.strip() for cell in text.split("\t")]
        if len(cells) != COLUMNS or not (cells[0] and cells[1] and cells[2] and cells[4]):
            yield Rejected(place, Reason.MALFORMED, f"{len(cells)} columns, or no disease or phenotype")
            continue
        key = curie(f"{cells[0]}:{cells[1]}")
        if key not in seen:
            seen.add(key)
            yield _disease(place, key, cells[2], cells[11])
        yield _claim(place, key, cells)


def _disease(place: Place, key: str, title: str, also: str) -> Concept:
    """OMIM prints its number, a symbol and several titles; the first is the name, the others synonyms."""
    others = (curie(word) for word in also.split("|") if word.startswith(("OMIM:", "ORPHANET:")))
    names = [part.strip() for part in re.split(r";+", _NUMBER.sub("", title)) if part.strip()]
    scheme, _, value = key.partition(":")
    code = Code(value, scheme, names[0] if names else title)
    xrefs = tuple(dict.fromkeys(other for other in others if other != key))
    synonyms = tuple(dict.fromkeys(names[1:]))
    return Concept(place, Node(key=key, kind=Kind.DISEASE, code=code, synonyms=synonyms, xrefs=xrefs))


def _claim(place: Place, disease: str, cells: list[str]) -> Claim | Rejected:
    qualifier, phenotype, reference, evidence, frequency, aspect = (cells[at] for at in (3, 4, 5, 6, 8, 10))
    if aspect != PHENOTYPE:
        return Rejected(place, Reason.NO_FINDING, ASPECTS.get(aspect, f"aspect {aspect!r}"))
    strength = _strength(frequency)
    if strength is None:
        return Rejected(place, Reason.MALFORMED, f"no frequency: {frequency!r}")
    citation = f"HPO annotations, {curie(reference) or disease} ({evidence})"
    note = qualifier.lower()
    finding = curie(phenotype)
    if "NOT" in qualifier.upper().split(","):
        against = Strength(grade=Grade.HALLMARK)
        return Claim(place, finding, Relation.ARGUES_AGAINST.value, disease, citation, against, note)
    return Claim(place, disease, Relation.MANIFESTS_AS.value, finding, citation, strength, note)


def _strength(frequency: str) -> Strength | None:
    """How often, as a share; nothing where nothing is said, None where it cannot be read."""
    word = frequency.lower()
    if word in {"", "variable"}:
        return Strength()
    if word in WORDS:
        return Strength(sensitivity=WORDS[word])
    counted, percent = _OF.fullmatch(word), _PERCENT.fullmatch(word)
    if counted and int(counted[2]):
        share = int(counted[1]) / int(counted[2])
    elif percent:
        share = (float(percent[1]) + float(percent[2] or percent[1])) / 200
    else:
        return None
    return Strength(sensitivity=share) if share <= 1 else None
