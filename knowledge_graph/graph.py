"""The graph in memory: concepts by any of their names, ancestors, neighbours and shortest paths."""

from __future__ import annotations

import difflib
from itertools import pairwise

import networkx

from cds.domain.code import Code
from cds.errors import KnowledgeError
from knowledge_graph.model import Edge, Graph, Kind, Node, Relation

HOPS = {Relation.INVESTIGATED_BY: 4, Relation.FOLLOWED_BY: 4}
"""Cost of an edge on a path between concepts; examinations join everything and explain little, so they cost more."""


class UnknownConcept(KnowledgeError):
    """There is no concept of that name; the message lists the nearest ones."""


class Network:
    """A Graph that can be walked."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.nodes = {node.key: node for node in graph.nodes}
        self.key_of_code: dict[Code, str] = {node.code: node.key for node in graph.nodes}
        self._named = _names(graph)
        self._directed: networkx.MultiDiGraph[str] = networkx.MultiDiGraph()
        self._directed.add_nodes_from(self.nodes)
        for edge in graph.edges:
            self._directed.add_edge(edge.subject, edge.object, key=edge.relation.value, edge=edge)

    @property
    def sha256(self) -> str:
        """The hash of the content; see `Graph.sha256`."""
        return self.graph.sha256

    def find(self, name: str) -> Node:
        """The concept called `name`: a key, a label in either language, a synonym or a code (``"SCT:60046008"``).

        Raises
        ------
        UnknownConcept
            When there is none; the message lists the nearest names.
        """
        key = self._named.get(_plain(name))
        if key is not None:
            return self.nodes[key]
        near = difflib.get_close_matches(_plain(name), self._named, n=5, cutoff=0.5)
        hint = ", ".join(dict.fromkeys(self._named[word] for word in near)) or "none; see 'cds kg stats'"
        raise UnknownConcept(f"no concept named {name!r}; the nearest are: {hint}")

    def outgoing(self, key: str, relation: Relation) -> tuple[Edge, ...]:
        """The edges of one relation that leave a node, in the order of their objects."""
        found = [data["edge"] for _, _, data in self._directed.out_edges(key, data=True)]
        return tuple(sorted((e for e in found if e.relation is relation), key=lambda edge: edge.identity))

    def incoming(self, key: str, relation: Relation) -> tuple[Edge, ...]:
        """The edges of one relation that reach a node, in the order of their subjects."""
        found = [data["edge"] for _, _, data in self._directed.in_edges(key, data=True)]
        return tuple(sorted((e for e in found if e.relation is relation), key=lambda edge: edge.identity))

    def ascent(self, key: str) -> dict[str, tuple[Edge, ...]]:
        """Every concept that `key` is a kind of, itself first, with the is_a edges that lead there."""
        reached: dict[str, tuple[Edge, ...]] = {key: ()}
        waiting = [key]
        while waiting:
            here = waiting.pop(0)
            for edge in self.outgoing(here, Relation.IS_A):
                if edge.object not in reached:
                    reached[edge.object] = (*reached[here], edge)
                    waiting.append(edge.object)
        return reached

    def of_kind(self, kind: Kind) -> tuple[Node, ...]:
        """Every node of one kind, by key."""
        return tuple(node for node in self.graph.nodes if node.kind is kind)

    def path(self, start: str, end: str) -> tuple[Edge, ...]:
        """The shortest chain of edges from one concept to another, walked in either direction.

        Raises
        ------
        KnowledgeError
            When nothing joins them.
        """
        plain: networkx.Graph[str] = networkx.Graph()
        for edge in reversed(self.graph.edges):
            plain.add_edge(edge.subject, edge.object, edge=edge, cost=HOPS.get(edge.relation, 1))
        try:
            keys = networkx.shortest_path(plain, start, end, weight="cost")
        except (networkx.NetworkXNoPath, networkx.NodeNotFound) as error:
            raise KnowledgeError(f"nothing in the graph joins {start!r} and {end!r}") from error
        return tuple(plain.edges[pair]["edge"] for pair in pairwise(keys))


def _names(graph: Graph) -> dict[str, str]:
    """Every name of every concept; a key wins over a label, a label over a synonym."""
    names: dict[str, str] = {}
    for words in (
        lambda node: (node.key, node.code.key),
        lambda node: (node.code.meaning, node.code.meaning_zh, node.code.value),
        lambda node: node.synonyms,
    ):
        for node in graph.nodes:
            for word in words(node):
                names.setdefault(_plain(word), node.key)
    return names


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())
