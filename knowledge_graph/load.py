"""Read a folder of text files into a Graph, and refuse what is wrong with the file and line.

The folder holds ``sources.toml`` (the bibliography), ``nodes/*.toml`` and ``edges/*.toml``; each
entry is a table ``[[source]]``, ``[[node]]`` or ``[[edge]]``. See docs/knowledge-graph.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from cds.domain.code import Code
from cds.domain.vocabulary import FINDINGS
from cds.errors import KnowledgeError
from knowledge_graph.checks import check_edges
from knowledge_graph.model import WEIGHED, Edge, Grade, Graph, Kind, Node, Prior, Relation, Source, Strength

OWN_FILES: Final = Path(__file__).parent / "data"
"""The graph that comes with the software."""

SHORT_STRING: Final = 16
"""Code Value is SH: at most 16 characters (PS3.5 Table 6.2-1)."""

DIRECTIONS: Final = ("high", "low", "normal")
Word = TypeVar("Word", bound=StrEnum)
Item = TypeVar("Item", Node, Source)
SOURCE_FIELDS = frozenset({"key", "text", "doi"})
NODE_FIELDS = frozenset(
    {"key", "kind", "en", "zh", "scheme", "code", "synonyms", "loinc", "direction", "prior", "xrefs"},
)
FIGURES: Final = ("sensitivity", "specificity", "lr_positive", "lr_negative")
EDGE_FIELDS = frozenset({"from", "relation", "to", "source", "where", "grade", "note", *FIGURES})


@dataclass(frozen=True, slots=True)
class Entry:
    """One table of one file and where it stands, so that an error can say so."""

    place: str
    values: Mapping[str, object]

    def wrong(self, message: str) -> KnowledgeError:
        """The error to raise about this entry."""
        return KnowledgeError(f"{self.place}: {message}")

    def text(self, field: str, default: str | None = None) -> str:
        """A string field; without a default it must be there and not empty."""
        value = self.values.get(field, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.wrong(f"{field!r} must be a text")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        """A list of strings, empty where the field is missing."""
        value = self.values.get(field, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(f"{field!r} must be a list of texts")
        return tuple(value)

    def word(self, field: str, words: type[Word]) -> Word:
        """A field whose value is one of a few words."""
        value = self.text(field)
        try:
            return words(value)
        except ValueError:
            raise self.wrong(f"unknown {field} {value!r}; there are: {', '.join(words)}") from None

    def figure(self, field: str) -> float | None:
        """A number that is not negative, None where the field is missing."""
        value = self.values.get(field)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self.wrong(f"{field!r} must be a number of 0 or more")
        if field in {"sensitivity", "specificity"} and value > 1:
            raise self.wrong(f"{field!r} is a share and lies in 0..1")
        return float(value)

    def only(self, fields: frozenset[str]) -> None:
        """Refuse misspelt fields."""
        unknown = sorted(set(self.values) - fields)
        if unknown:
            raise self.wrong(f"unknown field {unknown[0]!r}; there are: {', '.join(sorted(fields))}")


def load(folder: Path = OWN_FILES) -> Graph:
    """The graph of a folder, checked.

    Raises
    ------
    KnowledgeError
        When a file is missing or no TOML, a field is unknown or wrong, a node or edge is there twice,
        an edge leads nowhere or has no citation, or is_a runs in a circle; with file and line.
    """
    sources: dict[str, Source] = {}
    for entry in read_entries([folder / "sources.toml"], "source"):
        _add(sources, entry, _source(entry))
    nodes: dict[str, Node] = {}
    for entry in read_entries(sorted((folder / "nodes").glob("*.toml")), "node"):
        _add(nodes, entry, _node(entry))
    placed = [
        (entry.place, _edge(entry, sources))
        for entry in read_entries(sorted((folder / "edges").glob("*.toml")), "edge")
    ]
    check_edges(placed, nodes)
    edges = sorted((edge for _, edge in placed), key=lambda edge: edge.identity)
    return Graph(nodes=tuple(nodes[key] for key in sorted(nodes)), edges=tuple(edges))


def read_entries(files: Sequence[Path], table: str) -> Iterator[Entry]:
    """Every ``[[table]]`` of the files, each with its place."""
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
            content = tomllib.loads(text)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise KnowledgeError(f"{file.name} cannot be read as TOML: {error}") from error
        unknown = sorted(set(content) - {table})
        if unknown:
            raise KnowledgeError(f"{file.name}: unknown table {unknown[0]!r}; this file holds [[{table}]] only")
        lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip() == f"[[{table}]]"]
        for line, values in zip(lines, content.get(table, []), strict=True):
            yield Entry(f"{file.name}, line {line}", values)


def _add(found: dict[str, Item], entry: Entry, item: Item) -> None:
    if item.key in found:
        raise entry.wrong(f"{item.key!r} is there twice")
    found[item.key] = item


def _source(entry: Entry) -> Source:
    entry.only(SOURCE_FIELDS)
    doi = entry.text("doi", "")
    if doi and not doi.startswith("10."):
        raise entry.wrong("a DOI starts with '10.', without https://doi.org/")
    return Source(key=entry.text("key"), text=entry.text("text").rstrip("."), doi=doi)


def _node(entry: Entry) -> Node:
    entry.only(NODE_FIELDS)
    key = entry.text("key")
    kind = entry.word("kind", Kind)
    direction = entry.text("direction", "")
    if kind is Kind.LAB and (direction not in DIRECTIONS or not entry.text("loinc", "")):
        raise entry.wrong(f"a laboratory pattern needs a loinc and a direction: {', '.join(DIRECTIONS)}")
    return Node(
        key=key,
        kind=kind,
        code=_code(entry, key),
        synonyms=entry.texts("synonyms"),
        loinc=entry.text("loinc", ""),
        direction=direction,
        prior=entry.word("prior", Prior) if "prior" in entry.values else Prior.UNCOMMON,
        xrefs=entry.texts("xrefs"),
    )


def _code(entry: Entry, key: str) -> Code:
    """The code of the shared vocabulary, or the one of the entry: a private one where none is given."""
    if key in FINDINGS:
        given = [field for field in ("en", "zh", "scheme", "code") if field in entry.values]
        if given:
            raise entry.wrong(f"{key!r} stands in cds.domain.vocabulary, which says its {given[0]!r}")
        return FINDINGS[key]
    code = Code(entry.text("code", key), entry.text("scheme", "99CDS"), entry.text("en"), entry.text("zh"))
    if len(code.value) > SHORT_STRING:
        raise entry.wrong(f"the code {code.value!r} is longer than {SHORT_STRING} characters; give a shorter 'code'")
    return code


def _edge(entry: Entry, sources: Mapping[str, Source]) -> Edge:
    entry.only(EDGE_FIELDS)
    relation = entry.word("relation", Relation)
    if not entry.values.get("source"):
        raise entry.wrong("no citation: name a 'source' of sources.toml")
    key = entry.text("source")
    if key not in sources:
        raise entry.wrong(f"unknown source {key!r}; sources.toml has no such entry")
    strength = Strength(
        sensitivity=entry.figure("sensitivity"),
        specificity=entry.figure("specificity"),
        lr_positive=entry.figure("lr_positive"),
        lr_negative=entry.figure("lr_negative"),
        grade=entry.word("grade", Grade) if "grade" in entry.values else None,
    )
    if relation in WEIGHED and not strength.known:
        raise entry.wrong(f"{relation} needs a figure ({', '.join(FIGURES)}) or a 'grade'")
    return Edge(
        subject=entry.text("from"),
        relation=relation,
        object=entry.text("to"),
        citation=sources[key].citation(entry.text("where", "")),
        strength=strength,
        note=entry.text("note", ""),
    )
