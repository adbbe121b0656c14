from dataclasses import replace

from knowledge_graph.load import load
from knowledge_graph.model import Graph


def test_the_hash_is_the_same_for_the_same_content_and_another_for_one_changed_citation() -> None:
    graph = load()
    changed = Graph(nodes=graph.nodes, edges=(replace(graph.edges[0], citation="nobody"), *graph.edges[1:]))
    assert graph.sha256 == load().sha256
    assert changed.sha256 != graph.sha256


def test_every_field_of_node_and_edge_enters_the_hash() -> None:
    graph = load()
    node, edge = graph.nodes[0], graph.edges[0]
    nodes = [replace(node, synonyms=("x",)), replace(node, loinc="x"), replace(node, direction="high")]
    edges = [
        replace(edge, note="x"),
        replace(edge, object="x"),
        replace(edge, strength=replace(edge.strength, sensitivity=0.123)),
    ]
    hashes = {Graph(nodes=(item,), edges=()).sha256 for item in [node, *nodes]}
    hashes |= {Graph(nodes=(), edges=(item,)).sha256 for item in [edge, *edges]}
    assert len(hashes) == len(nodes) + len(edges) + 2
