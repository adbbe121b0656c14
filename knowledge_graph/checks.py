"""What must hold of the edges of a graph before it is believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from cds.errors import KnowledgeError
from knowledge_graph.model import ENDS, Edge, Node, Relation

SUPPORT = frozenset({Relation.MANIFESTS_AS, Relation.SUGGESTS, Relation.RISK_FACTOR_OF})


def check_edges(placed: Sequence[tuple[str, Edge]], nodes: Mapping[str, Node]) -> None:
    """Refuse dangling, misplaced, doubled, contradicting and circular edges.

    Parameters
    ----------
    placed
        Each edge with where it stands (file and line), for the message.

    Raises
    ------
    KnowledgeError
        On the first edge that is wrong.
    """
    seen: dict[tuple[str, str, str], str] = {}
    sides: dict[tuple[str, str], tuple[bool, str]] = {}
    for place, edge in placed:
        _check_ends(place, edge, nodes)
        if edge.identity in seen:
            raise KnowledgeError(f"{place}: the edge {_name(edge)} is there twice, first in {seen[edge.identity]}")
        seen[edge.identity] = place
        _check_side(place, edge, sides)
    _check_acyclic([edge for _, edge in placed])


def _check_ends(place: str, edge: Edge, nodes: Mapping[str, Node]) -> None:
    for key in (edge.subject, edge.object):
        if key not in nodes:
            raise KnowledgeError(f"{place}: the edge {_name(edge)} leads nowhere: there is no node {key!r}")
    starts, ends = ENDS[edge.relation]
    kinds = nodes[edge.subject].kind, nodes[edge.object].kind
    fits = kinds[0] in starts and kinds[1] in ends
    if not fits or (edge.relation is Relation.IS_A and kinds[0] is not kinds[1]):
        raise KnowledgeError(f"{place}: {edge.relation} cannot lead from a {kinds[0]} to a {kinds[1]} ({_name(edge)})")


def _check_side(place: str, edge: Edge, sides: dict[tuple[str, str], tuple[bool, str]]) -> None:
    """One finding cannot speak for and against one disease, nor twice for it under two names."""
    if edge.relation not in SUPPORT | {Relation.ARGUES_AGAINST}:
        return
    pair = (edge.object, edge.subject) if edge.relation is Relation.MANIFESTS_AS else (edge.subject, edge.object)
    supports = edge.relation in SUPPORT
    if pair in sides:
        word = "twice" if sides[pair][0] == supports else "for and against"
        raise KnowledgeError(f"{place}: {pair[0]!r} speaks {word} about {pair[1]!r}, first in {sides[pair][1]}")
    sides[pair] = (supports, place)


def _check_acyclic(edges: Sequence[Edge]) -> None:
    parents: dict[str, set[str]] = {}
    for edge in edges:
        if edge.relation is Relation.IS_A:
            parents.setdefault(edge.subject, set()).add(edge.object)
    try:
        TopologicalSorter(parents).prepare()
    except CycleError as error:
        circle = " is a ".join(error.args[1])
        raise KnowledgeError(f"is_a runs in a circle: {circle}") from error


def _name(edge: Edge) -> str:
    return f"{edge.subject} {edge.relation} {edge.object}"
