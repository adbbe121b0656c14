"""The graph in memory: concepts by any of their names, ancestors, neighbours and shortest paths."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cached_property

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
        self.nodes: Mapping[str, Node] = {node.key: node for node in graph.nodes}
        self.key_of_code: dict[Code, str] = {node.code: node.key for node in graph.nodes}
        self._named = names(graph)
        self._directed: networkx.MultiDiGraph[str] = networkx.MultiDiGraph()
        self._directed.add_nodes_from(self.nodes)
        for edge in graph.edges:
            self._directed.add_edge(edge.subject, edge.object, key=edge.relation.value, edge=edge)
        self._ascents: dict[str, dict[str, tuple[Edge, ...]]] = {}

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
        if key not in self._ascents:
            reached: dict[str, tuple[Edge, ...]] = {key: ()}
            waiting = [key]
            while waiting:
                here = waiting.pop(0)
                for edge in self.outgoing(here, Relation.IS_A):
                    if edge.object not in reached:
                        reached[edge.object] = (*reached[here], edge)
                        waiting.append(edge.object)
            self._ascents[key] = reached
        return self._ascents[key]

    def descent(self, keys: Iterable[str]) -> set[str]:
        """The concepts themselves and every one that is a kind of one of them."""
        reached, waiting = set(keys), list(keys)
        while waiting:
            for edge in self.incoming(waiting.pop(), Relation.IS_A):
                if edge.subject not in reached:
                    reached.add(edge.subject)
                    waiting.append(edge.subject)
        return reached

    def keys_of(self, kind: Kind) -> frozenset[str]:
        """The keys of the nodes of one kind."""
        return frozenset(node.key for node in self.graph.nodes if node.kind is kind)

    def of_kind(self, kind: Kind) -> tuple[Node, ...]:
        """Every node of one kind, by key."""
        return tuple(node for node in self.graph.nodes if node.kind is kind)

    def around(self, key: str, hops: int) -> dict[str, int]:
        """Every concept within so many edges, walked in either direction, and how many they are; by key."""
        reached = networkx.single_source_shortest_path_length(self._undirected, key, cutoff=hops)
        return dict(sorted(reached.items()))

    def path(self, start: str, end: str) -> tuple[Edge, ...]:
        """The cheapest chain of edges from one concept to another, walked in either direction.

        Of chains that cost the same, the one whose next concept comes first by key, from the start on.

        Raises
        ------
        KnowledgeError
            When nothing joins them.
        """
        plain = self._undirected
        if start not in plain or not plain.adj.get(end):
            raise nothing_joins(start, end)
        distance = networkx.single_source_dijkstra_path_length(plain, end, weight="cost")
        if start not in distance:
            raise nothing_joins(start, end)
        edges: list[Edge] = []
        here = start
        while here != end:
            ahead = {
                key: data for key, data in plain.adj[here].items() if distance[key] + data["cost"] == distance[here]
            }
            nearest = min(ahead)
            edges.append(ahead[nearest]["edge"])
            here = nearest
        return tuple(edges)

    @cached_property
    def _undirected(self) -> networkx.Graph[str]:
        """One edge between two concepts, the cheapest and of these the first."""
        plain: networkx.Graph[str] = networkx.Graph()
        plain.add_nodes_from(self.nodes)
        for edge in self.graph.edges:
            cost = HOPS.get(edge.relation, 1)
            known = plain.get_edge_data(edge.subject, edge.object)
            if known is None or cost < known["cost"]:
                plain.add_edge(edge.subject, edge.object, edge=edge, cost=cost)
        return plain


def nothing_joins(start: str, end: str) -> KnowledgeError:
    """The error where there is no path."""
    return KnowledgeError(f"nothing in the graph joins {start!r} and {end!r}")


def names(graph: Graph) -> dict[str, str]:
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
