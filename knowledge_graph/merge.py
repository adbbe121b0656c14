"""One graph of the curated one and imported sources: the same concept by cross-reference becomes one node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from knowledge_graph.imported import Imported, Place, curie
from knowledge_graph.imports import closing
from knowledge_graph.model import Edge, Graph, Kind, Node, Relation

JOINING: Final = frozenset({"SCT", "ORPHA", "OMIM", "DOID", "HP", "MONDO"})
"""Systems whose codes name one concept each; ICD classes and UMLS strings are wider, and join nothing."""

OBSERVABLE: Final = frozenset({Kind.FINDING, Kind.SYMPTOM, Kind.LAB})
"""Foreign systems do not tell these apart (HPO has all three), so they may be one concept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The joined graph; how many nodes went into another, and the groups that were left apart as ambiguous."""

    graph: Graph
    joined: int
    ambiguous: tuple[tuple[str, ...], ...]


def merge(curated: Graph, sources: Sequence[Imported]) -> Merged:
    """The curated graph with the sources beside it; where two say the same, the curated graph's own edge stands.

    Two nodes are one where they share a key, a code or a cross-reference of `JOINING` and are of one kind. A
    node that names two codes of one system, and a group that would hold two nodes of one system, stay apart.
    """
    nodes: dict[str, Node] = {}
    for node in (*curated.nodes, *(node for source in sources for node in source.nodes)):
        nodes.setdefault(node.key, node)
    groups = _groups(nodes)
    sound = [group for group in groups if len({_system(key) for key in group}) == len(group)]
    into = {key: group[0] for group in sound for key in group}
    whole = {group[0]: _one([nodes[key] for key in group]) for group in sound}
    kept = {key: whole.get(key, node) for key, node in nodes.items() if into.get(key, key) == key}
    edges = _edges(curated, sources, into)
    return Merged(
        graph=Graph(nodes=tuple(kept[key] for key in sorted(kept)), edges=edges),
        joined=len(nodes) - len(kept),
        ambiguous=tuple(group for group in groups if group not in sound),
    )


def _groups(nodes: Mapping[str, Node]) -> list[tuple[str, ...]]:
    """Keys that share a name, two or more together, each group in the order of `nodes`."""
    holder: dict[tuple[Kind, str], str] = {}
    leader = {key: key for key in nodes}

    def lead(key: str) -> str:
        while leader[key] != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    for key, node in nodes.items():
        kind = Kind.FINDING if node.kind in OBSERVABLE else node.kind
        for name in {key, node.code.key, *_telling({curie(xref) for xref in node.xrefs})}:
            leader[lead(key)] = lead(holder.setdefault((kind, name), key))
    groups: dict[str, list[str]] = {}
    for key in nodes:
        groups.setdefault(lead(key), []).append(key)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _telling(xrefs: set[str]) -> Iterator[str]:
    """Cross-references that say what a concept is: of a system of `JOINING`, and the only one of it."""
    systems = Counter(_system(xref) for xref in xrefs)
    return (xref for xref in xrefs if _system(xref) in JOINING and systems[_system(xref)] == 1)


def _system(key: str) -> str:
    prefix, colon, _ = key.partition(":")
    return prefix if colon else ""


def _one(group: Sequence[Node]) -> Node:
    first, *others = group
    names = (name for node in others for name in (node.key, node.code.meaning, *node.synonyms))
    return replace(
        first,
        synonyms=tuple(dict.fromkeys((*first.synonyms, *names))),
        xrefs=tuple(dict.fromkeys((*first.xrefs, *(xref for node in others for xref in (node.key, *node.xrefs))))),
    )


def _edges(curated: Graph, sources: Sequence[Imported], into: Mapping[str, str]) -> tuple[Edge, ...]:
    kept: dict[tuple[str, str, str], Edge] = {}
    spoken: set[tuple[str, str]] = set()
    for edge in _moved((*curated.edges, *(edge for source in sources for edge in source.edges)), into):
        pair = (edge.subject, edge.object)
        if pair not in spoken and pair[::-1] not in spoken:
            kept[edge.identity] = edge
            spoken.add(pair)
    circles = closing((Place("", 0), edge) for edge in kept.values() if edge.relation is Relation.IS_A)
    for _, edge in circles:
        del kept[edge.identity]
    return tuple(kept[identity] for identity in sorted(kept))


def _moved(edges: Iterable[Edge], into: Mapping[str, str]) -> Iterator[Edge]:
    for edge in edges:
        subject, target = into.get(edge.subject, edge.subject), into.get(edge.object, edge.object)
        if subject == target:
            continue
        moved = (subject, target) != (edge.subject, edge.object)
        yield replace(edge, subject=subject, object=target) if moved else edge
