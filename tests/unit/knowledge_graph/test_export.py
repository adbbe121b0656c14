import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import networkx
import pytest
from typer.testing import CliRunner

from cds.domain.code import Code
from knowledge_graph.cli import app
from knowledge_graph.exports import FORMATS, Credit
from knowledge_graph.imports import read_source
from knowledge_graph.load import load
from knowledge_graph.model import Edge, Grade, Graph, Kind, Node, Relation, Strength

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CREDIT = Credit("tiny", "1", "CC0")
TINY = Graph(
    nodes=(
        Node(
            key="HP:0000118",
            kind=Kind.FINDING,
            code=Code("0000118", "HP", 'A "quoted" \\ name', "名称"),
            synonyms=("one, two", "three"),
            xrefs=("OMIM:154700",),
        ),
        Node(key="a disease", kind=Kind.DISEASE, code=Code("6142004", "SCT", "Flu")),
        Node(key="X:1/2", kind=Kind.DISEASE, code=Code("1/2", "X", "Kind of flu")),
    ),
    edges=(
        Edge(subject="X:1/2", relation=Relation.IS_A, object="a disease", citation="Me, 2020"),
        Edge(
            subject="a disease",
            relation=Relation.MANIFESTS_AS,
            object="HP:0000118",
            citation="Me, 2020, Table 1. doi:10.1/x",
            strength=Strength(sensitivity=0.3, lr_positive=4.0, grade=Grade.COMMON),
            note="in adults",
        ),
    ),
)
TINY = Graph(nodes=tuple(sorted(TINY.nodes, key=lambda node: node.key)), edges=TINY.edges)


def read_back(files: list[Path]) -> Graph:
    imported = read_source(files, NOW, "back", "CC0")
    assert imported.rejected == ()
    return Graph(nodes=imported.nodes, edges=imported.edges)


@pytest.mark.parametrize("graph", [TINY, load()], ids=["tiny", "curated"])
def test_json_ld_and_csv_are_read_back_the_same_to_the_hash(tmp_path: Path, graph: Graph) -> None:
    (document,) = FORMATS["jsonld"](graph, CREDIT, tmp_path / "graph.jsonld")
    nodes, edges, licence = FORMATS["csv"](graph, CREDIT, tmp_path / "graph.csv")
    assert read_back([document]).sha256 == graph.sha256
    assert read_back([nodes, edges]).sha256 == graph.sha256
    assert licence.read_text() == "tiny 1\nCC0\n"
    with edges.open() as stream:
        assert len(list(csv.DictReader(stream))) == len(graph.edges)


def test_cross_references_travel_in_both_directions(tmp_path: Path) -> None:
    (document,) = FORMATS["jsonld"](TINY, CREDIT, tmp_path / "graph.jsonld")
    nodes, edges, _ = FORMATS["csv"](TINY, CREDIT, tmp_path / "graph.csv")
    assert read_back([document]) == TINY == read_back([nodes, edges])


def test_json_ld_says_title_version_and_licence_and_names_concepts_by_their_address(tmp_path: Path) -> None:
    (file,) = FORMATS["jsonld"](TINY, CREDIT, tmp_path / "graph.jsonld")
    document = json.loads(file.read_text(encoding="utf-8"))
    about, *rest = document["@graph"]
    assert [about[f"dcterms:{name}"] for name in ("title", "hasVersion", "license")] == ["tiny", "1", "CC0"]
    assert read_source([file], NOW).info.licence == "CC0"
    addresses = [item["@id"] for item in rest if "@id" in item]
    assert addresses == [
        "http://purl.obolibrary.org/obo/HP_0000118",
        "urn:cds:scheme:X:1/2",
        "urn:cds:concept:a%20disease",
    ]


def test_graphml_is_read_by_networkx_with_every_field(tmp_path: Path) -> None:
    (file,) = FORMATS["graphml"](TINY, CREDIT, tmp_path / "graph.graphml")
    network = networkx.read_graphml(file, force_multigraph=True)
    assert set(network) == {node.key for node in TINY.nodes}
    assert network.graph["licence"] == "CC0"
    assert network.nodes["HP:0000118"]["zh"] == "名称"
    (edge,) = network.get_edge_data("a disease", "HP:0000118").values()
    assert (edge["relation"], edge["sensitivity"], edge["grade"]) == ("manifests_as", "0.3", "common")


def test_turtle_says_each_edge_as_a_triple_and_as_a_statement_with_its_citation(tmp_path: Path) -> None:
    (file,) = FORMATS["turtle"](TINY, CREDIT, tmp_path / "graph.ttl")
    text = file.read_text(encoding="utf-8")
    disease, finding = "<urn:cds:concept:a%20disease>", "<http://purl.obolibrary.org/obo/HP_0000118>"
    assert f"{disease} kg:manifests_as {finding} .\n" in text
    assert f"<urn:cds:scheme:X:1/2> skos:broader {disease} .\n" in text
    assert f"[] a rdf:Statement ;\n  rdf:subject {disease} ;\n  rdf:predicate kg:manifests_as" in text
    assert 'dcterms:source "Me, 2020, Table 1. doi:10.1/x" ;\n  kg:sensitivity "0.3"' in text
    assert 'skos:prefLabel "A \\"quoted\\" \\\\ name"@en, "名称"@zh' in text


@pytest.mark.parametrize("form", list(FORMATS))
def test_the_command_writes_each_format(tmp_path: Path, form: str) -> None:
    result = CliRunner().invoke(app, ["export", str(tmp_path / "graph.out"), "--format", form, "--json"])
    written = json.loads(result.stdout)
    assert written["edges"] == len(load().edges)
    assert all(Path(file).stat().st_size for file in written["files"])


def test_an_unknown_format_ends_with_status_2_and_lists_the_formats(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", str(tmp_path / "x"), "--format", "rdfxml"])
    assert result.exit_code == 2 and "graphml, jsonld" in result.stderr
