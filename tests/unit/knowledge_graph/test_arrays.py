import json
import multiprocessing
import random
from dataclasses import replace
from pathlib import Path

import networkx
import numpy as np
import pytest
from typer.testing import CliRunner

from cds.domain.code import Code
from cds.errors import KnowledgeError
from knowledge_graph.arrays import MappedNetwork, pack
from knowledge_graph.cli import app
from knowledge_graph.graph import HOPS, Network, UnknownConcept
from knowledge_graph.load import load
from knowledge_graph.model import Edge, Grade, Graph, Kind, Node, Prior, Relation, Strength
from knowledge_graph.opening import open_network
from knowledge_graph.query import Differential


def invented(seed: int, nodes: int = 120, edges: int = 500) -> Graph:
    """A random graph of diseases, findings, risks and examinations; is_a leads to a smaller number, so in no circle."""
    draw = random.Random(seed)
    kinds = [draw.choice([Kind.DISEASE, Kind.DISEASE, Kind.FINDING, Kind.FINDING, Kind.RISK, Kind.EXAMINATION])
             for _ in range(nodes)]  # fmt: skip
    relations = {
        (Kind.DISEASE, Kind.FINDING): [Relation.MANIFESTS_AS, Relation.MANIFESTS_AS, Relation.REQUIRES],
        (Kind.FINDING, Kind.DISEASE): [Relation.SUGGESTS, Relation.ARGUES_AGAINST],
        (Kind.RISK, Kind.DISEASE): [Relation.RISK_FACTOR_OF],
        (Kind.DISEASE, Kind.EXAMINATION): [Relation.INVESTIGATED_BY],
        (Kind.FINDING, Kind.EXAMINATION): [Relation.FOLLOWED_BY],
    }
    found: dict[tuple[str, str, str], Edge] = {}
    for _ in range(edges):
        one, other = draw.sample(range(nodes), 2)
        if kinds[one] is kinds[other]:
            one, other, relation = max(one, other), min(one, other), Relation.IS_A
        elif (kinds[one], kinds[other]) in relations:
            relation = draw.choice(relations[kinds[one], kinds[other]])
        else:
            continue
        strength = draw.choice(
            [
                Strength(),
                Strength(grade=Grade.HALLMARK),
                Strength(sensitivity=0.3, specificity=0.8),
                Strength(lr_positive=4.0),
            ]
        )
        edge = Edge(
            subject=f"c{one:03}", relation=relation, object=f"c{other:03}", citation=f"引用 {one}", strength=strength
        )
        found[edge.identity] = edge
    return Graph(
        nodes=tuple(
            Node(
                key=f"c{at:03}",
                kind=kind,
                code=Code(str(at), "99X", f"Concept {at}", f"概念{at}"),
                synonyms=(f"name {at}",),
                prior=draw.choice(list(Prior)),
                xrefs=(f"OMIM:{at}",),
            )
            for at, kind in enumerate(kinds)
        ),
        edges=tuple(found[identity] for identity in sorted(found)),
    )


@pytest.fixture(params=["curated", 1, 2, 3])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Network, MappedNetwork]:
    graph = load() if request.param == "curated" else invented(request.param)
    pack(graph, tmp_path / "arrays")
    return Network(graph), MappedNetwork(tmp_path / "arrays")


def test_the_arrays_hold_the_graph_to_the_last_bit(both: tuple[Network, MappedNetwork]) -> None:
    plain, mapped = both
    assert mapped.graph == plain.graph
    assert mapped.sha256 == plain.sha256 == mapped.graph.sha256
    assert dict(mapped.nodes) == dict(plain.nodes) and "nowhere" not in mapped.nodes
    assert mapped.key_of_code == plain.key_of_code
    assert all(mapped.of_kind(kind) == plain.of_kind(kind) for kind in Kind)


def test_neighbours_and_kinds_of_are_those_of_networkx(both: tuple[Network, MappedNetwork]) -> None:
    plain, mapped = both
    for key in plain.nodes:
        for relation in Relation:
            assert mapped.outgoing(key, relation) == plain.outgoing(key, relation)
            assert mapped.incoming(key, relation) == plain.incoming(key, relation)
        assert list(mapped.ascent(key).items()) == list(plain.ascent(key).items())
        assert mapped.descent([key]) == plain.descent([key])


@pytest.mark.parametrize("hops", [0, 1, 2, 5])
def test_what_lies_within_so_many_edges_is_what_networkx_says(both: tuple[Network, MappedNetwork], hops: int) -> None:
    plain, mapped = both
    for key in list(plain.nodes)[:40]:
        assert list(mapped.around(key, hops).items()) == list(plain.around(key, hops).items())


def test_paths_are_those_of_networkx(both: tuple[Network, MappedNetwork]) -> None:
    plain, mapped = both
    draw = random.Random(0)
    keys = [key for key in plain.nodes if plain.around(key, 1).keys() - {key}]
    reference: networkx.MultiGraph[str] = networkx.MultiGraph()
    for edge in plain.graph.edges:
        reference.add_edge(edge.subject, edge.object, cost=HOPS.get(edge.relation, 1))
    for _ in range(150):
        start, end = draw.choice(keys), draw.choice(keys)
        if not networkx.has_path(reference, start, end):
            continue
        path = mapped.path(start, end)
        assert path == plain.path(start, end)
        cost = sum(HOPS.get(edge.relation, 1) for edge in path)
        assert cost == networkx.shortest_path_length(reference, start, end, weight="cost")
        here = start
        for edge in path:
            here = edge.object if edge.subject == here else edge.subject
        assert here == end


def test_what_nothing_joins_is_the_same_error(tmp_path: Path) -> None:
    graph = invented(4)
    alone = replace(graph.nodes[0], key="alone", code=Code("alone", "99X", "Alone"))
    graph = Graph(nodes=(alone, *graph.nodes), edges=graph.edges)
    pack(graph, tmp_path / "arrays")
    for network in (Network(graph), MappedNetwork(tmp_path / "arrays")):
        for pair in (("alone", "c001"), ("c001", "alone"), ("alone", "alone"), ("no", "c001"), ("c001", "no")):
            with pytest.raises(KnowledgeError, match="nothing in the graph joins"):
                network.path(*pair)


class EveryDisease(Differential):
    """Judges every disease of the graph, as the definition says, and leaves nothing out beforehand."""

    def _reached(self, keys: object) -> list[str]:
        return sorted(self._diseases)


def test_the_differential_is_that_of_networkx_and_of_judging_every_disease(both: tuple[Network, MappedNetwork]) -> None:
    plain, mapped = both
    draw = random.Random(1)
    observable = [n.key for n in plain.graph.nodes if n.kind in {Kind.FINDING, Kind.LAB, Kind.RISK, Kind.DISEASE}]
    engines = Differential(plain), Differential(mapped), EveryDisease(plain)
    named = 0
    for _ in range(25):
        drawn = draw.sample(observable, 6)
        present, absent = dict.fromkeys(drawn[:4], 0.9), dict.fromkeys(drawn[4:], 1.0)
        first, second, every = (engine.rank(present, absent) for engine in engines)
        assert first == second
        assert {c.disease: c.score for c in first} == pytest.approx({c.disease: c.score for c in every}, abs=1e-9)
        named += len(first)
    assert named > 25


def test_names_are_found_and_unknown_ones_refused_as_in_memory(tmp_path: Path) -> None:
    pack(load(), tmp_path / "arrays")
    network = open_network(str(tmp_path / "arrays"))
    assert isinstance(network, MappedNetwork)
    assert network.find("胸腔积液").key == network.find("SCT:60046008").key == "pleural_effusion"
    with pytest.raises(UnknownConcept, match="the nearest are: pneumonia"):
        network.find("pnemonia")


def test_the_arrays_cannot_be_written_to(tmp_path: Path) -> None:
    pack(invented(1), tmp_path / "arrays")
    with pytest.raises(ValueError, match="read-only"):
        MappedNetwork(tmp_path / "arrays")._numbers["figures"][0] = 1


def test_arrays_that_were_changed_or_are_of_another_version_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "arrays"
    pack(invented(1), folder)
    figures = np.load(folder / "figures.npy")
    np.save(folder / "figures.npy", figures + 1)
    with pytest.raises(KnowledgeError, match=r"arrays/figures\.npy was changed after it was packed"):
        MappedNetwork(folder)
    head = json.loads((folder / "graph.json").read_text())
    (folder / "graph.json").write_text(json.dumps(head | {"format": "0"}))
    with pytest.raises(KnowledgeError, match="another version; run 'cds kg pack' again"):
        MappedNetwork(folder)
    (folder / "graph.json").write_text("{}")
    with pytest.raises(KnowledgeError, match="holds no arrays"):
        MappedNetwork(folder)


def test_packing_replaces_arrays_that_are_in_use_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "arrays"
    pack(invented(1), folder)
    old = MappedNetwork(folder)
    pack(invented(2), folder)
    assert (old.graph, MappedNetwork(folder).graph) == (invented(1), invented(2))
    (tmp_path / "mine").mkdir()
    with pytest.raises(KnowledgeError, match="mine is there and holds no arrays"):
        pack(invented(1), tmp_path / "mine")


def test_an_empty_graph_packs_and_opens(tmp_path: Path) -> None:
    empty = Graph(nodes=(), edges=())
    pack(empty, tmp_path / "arrays")
    assert MappedNetwork(tmp_path / "arrays").graph == empty


def _hash_of(folder: str) -> str:
    return MappedNetwork(Path(folder)).graph.sha256


def test_another_process_reads_the_same_graph(tmp_path: Path) -> None:
    pack(invented(1), tmp_path / "arrays")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_hash_of, (str(tmp_path / "arrays"),)) == invented(1).sha256


def test_the_command_packs_and_queries_from_the_arrays(tmp_path: Path) -> None:
    runner, folder = CliRunner(), str(tmp_path / "arrays")
    packed = json.loads(runner.invoke(app, ["pack", folder, "--json"]).stdout)
    assert packed["sha256"] == load().sha256
    asked = ["query", "consolidation", "--json"]
    assert runner.invoke(app, [*asked, "--graph", folder]).stdout == runner.invoke(app, asked).stdout
