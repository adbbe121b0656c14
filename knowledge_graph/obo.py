"""Read ontologies in OBO format 1.2 and 1.4 (HPO, Disease Ontology): terms, is_a, relationships, cross-references.

The format: https://owlcollab.github.io/oboformat/doc/GO.format.obo-1_4.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cds.domain.code import Code
from knowledge_graph.imported import About, Claim, Concept, Place, Reason, Record, Rejected, curie, lines
from knowledge_graph.model import Kind, Node, Relation

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {"HP": Kind.FINDING, "DOID": Kind.DISEASE, "MONDO": Kind.DISEASE, "ORPHA": Kind.DISEASE, "OMIM": Kind.DISEASE}
)
"""What the terms of an ontology are, by the prefix of their ids; any other is a finding."""

LICENCES: Final = ("http://purl.org/dc/terms/license", "http://purl.org/dc/elements/1.1/license", "dcterms-license")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_COMMENT: Final = re.compile(r"\s+!\s.*$")
_QUALIFIERS: Final = re.compile(r"\s*\{[^{}]*\}\s*$")


@dataclass(slots=True)
class _Stanza:
    """The tags of one ``[Term]``, in their order, each with its line."""

    place: Place
    tags: list[tuple[Place, str, str]] = field(default_factory=list)

    def all(self, name: str) -> Iterator[tuple[Place, str]]:
        return ((place, value) for place, tag, value in self.tags if tag == name)

    def one(self, name: str) -> str:
        return next((value for _, value in self.all(name)), "")


def read(file: Path) -> Iterator[Record]:
    """What the file says about itself, then each term with its edges; lines that are no tag are rejected."""
    header = _Stanza(Place(file.name, 1))
    stanza, kind = header, "Term"
    for place, text in lines(file):
        line = text.strip()
        if not line or line.startswith("!"):
            continue
        if line.startswith("[") and line.endswith("]"):
            yield from _finished(stanza, header, kind)
            stanza, kind = _Stanza(place), line[1:-1]
            continue
        tag, colon, value = line.partition(":")
        if not colon:
            yield Rejected(place, Reason.MALFORMED, "no 'tag: value'")
            continue
        stanza.tags.append((place, tag, value.strip()))
    yield from _finished(stanza, header, kind)


def _finished(stanza: _Stanza, header: _Stanza, kind: str) -> Iterator[Record]:
    if stanza is header:
        yield _about(header)
    elif kind == "Term":
        yield from _term(stanza, header)


def _about(header: _Stanza) -> About:
    licence = ""
    for _, value in header.all("property_value"):
        name, _, text = value.partition(" ")
        if name in LICENCES:
            quoted = _QUOTED.match(text)
            licence = quoted[1] if quoted else text.split()[0]
    version = header.one("data-version") or header.one("date")
    return About(header.one("ontology").rpartition("/")[2], version, licence)


def _term(stanza: _Stanza, header: _Stanza) -> Iterator[Record]:
    key, name = curie(stanza.one("id")), stanza.one("name")
    obsolete = stanza.one("is_obsolete") == "true"
    prefix, _, value = key.partition(":")
    if not value or not (name or obsolete):
        yield Rejected(stanza.place, Reason.MALFORMED, "a term needs an id with a prefix, and a name")
        return
    synonyms = (found[1] for _, text in stanza.all("synonym") if (found := _QUOTED.match(text)))
    yield Concept(
        place=stanza.place,
        node=Node(
            key=key,
            kind=KINDS.get(prefix, Kind.FINDING),
            code=Code(value, prefix, name),
            synonyms=tuple(dict.fromkeys(word for word in synonyms if word != name)),
            xrefs=tuple(dict.fromkeys(curie(_plain(text).split(" ")[0]) for _, text in stanza.all("xref") if text)),
        ),
        others=tuple(curie(text) for _, text in stanza.all("alt_id")),
        obsolete=obsolete,
        replaced_by=curie(_plain(stanza.one("replaced_by"))),
    )
    if not obsolete:
        yield from _claims(stanza, key, _cited(header, key))


def _claims(stanza: _Stanza, key: str, citation: str) -> Iterator[Claim | Rejected]:
    for place, text in stanza.all("is_a"):
        yield Claim(place, key, Relation.IS_A.value, curie(_plain(text)), citation)
    for place, text in stanza.all("relationship"):
        words = _plain(text).split()
        if len(words) == 2:
            yield Claim(place, key, words[0], curie(words[1]), citation)
        else:
            yield Rejected(place, Reason.MALFORMED, "a relationship is 'relationship: relation id'")


def _cited(header: _Stanza, key: str) -> str:
    return f"{header.one('ontology') or header.place.file} {header.one('data-version')}".strip() + f", {key}"


def _plain(text: str) -> str:
    """A value without its trailing ``! comment`` and ``{qualifiers}``."""
    return _QUALIFIERS.sub("", _COMMENT.sub("", text)).strip()
