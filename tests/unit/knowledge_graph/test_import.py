import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cds.domain.code import Code
from cds.domain.report import Case
from cds.domain.study import Patient, Study
from cds.errors import KnowledgeError
from knowledge_graph.cli import app
from knowledge_graph.imported import Imported, Reason, curie
from knowledge_graph.imports import read_source
from knowledge_graph.load import load
from knowledge_graph.merge import merge
from knowledge_graph.model import Edge, Graph, Kind, Node, Relation
from knowledge_graph.opening import open_graph
from knowledge_graph.source import ThoraxGraph
from knowledge_graph.store import build, write_source
from knowledge_graph.store import read_source as stored_source

NOW = datetime(2026, 1, 2, tzinfo=UTC)
RUNNER = CliRunner()

OBO = """format-version: 1.2
data-version: releases/1
ontology: tiny
property_value: http://purl.org/dc/terms/license "CC0" xsd:string

[Term]
id: HP:1
name: root

[Term]
id: HP:2
name: short breath ! really
alt_id: HP:22
synonym: "dyspnoea" EXACT []
xref: UMLS:C1 "x"
is_a: HP:1 {source="x"} ! root
relationship: part_of HP:1
is_a: HP:9 ! nowhere
this is no tag

[Term]
id: HP:3
name: old
is_obsolete: true
replaced_by: HP:2

[Term]
id: HP:4
name: four
is_a: HP:5

[Term]
id: HP:5
name: five
is_a: HP:4
is_a: HP:3

[Term]
id: HP:2
name: again

[Typedef]
id: part_of
name: part of
"""


def tab(*rows: tuple[str, ...]) -> str:
    return "".join("\t".join(row) + "\n" for row in rows)


def annotation(
    number: str, phenotype: str, frequency: str = "", qualifier: str = "", aspect: str = "O"
) -> tuple[str, ...]:
    title = f"#{number} MARFAN SYNDROME; MFS;;SECOND NAME"
    return (
        *("OMIM", number, title, qualifier, phenotype, "PMID:1", "TAS", ""),
        *(frequency, "", aspect, "ORPHANET:558|OTHER", "2020.01.01", "HPO:x"),
    )


def read(tmp_path: Path, **files: str) -> Imported:
    paths = []
    for name, text in files.items():
        paths.append(tmp_path / name.replace("_dot_", "."))
        paths[-1].write_text(text, encoding="utf-8")
    return read_source(paths, NOW, "tiny", "CC0")


def refused(imported: Imported) -> list[tuple[int, Reason]]:
    return [(item.place.line, item.reason) for item in imported.rejected]


def test_an_ontology_gives_terms_with_their_names_and_says_which_lines_it_refused(tmp_path: Path) -> None:
    imported = read(tmp_path, tiny_dot_obo=OBO)
    assert [node.key for node in imported.nodes] == ["HP:1", "HP:2", "HP:4", "HP:5"]
    breath = imported.nodes[1]
    assert (breath.code, breath.kind) == (Code("2", "HP", ""), Kind.FINDING)
    assert (breath.synonyms, breath.xrefs) == (("dyspnoea",), ("UMLS:C1",))
    assert refused(imported) == [
        (17, Reason.UNKNOWN_RELATION),
        (18, Reason.DANGLING),
        (19, Reason.MALFORMED),
        (21, Reason.OBSOLETE),
        (35, Reason.CIRCLE),
        (38, Reason.DUPLICATE),
    ]
    assert str(imported.rejected[0].place) == "tiny.obo, line 17"
    assert [edge.identity for edge in imported.edges] == [
        ("HP:2", "is_a", "HP:1"),
        ("HP:4", "is_a", "HP:5"),
        ("HP:5", "is_a", "HP:2"),  # HP:3 was replaced by HP:2
    ]
    assert imported.edges[0].citation == "tiny releases/1, HP:2"


def test_a_source_takes_its_name_version_and_licence_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tiny.obo.gz"
    file.write_bytes(gzip.compress(OBO.encode()))
    info = read_source([file], NOW).info
    assert (info.name, info.version, info.licence) == ("tiny", "releases/1", "CC0")
    assert dict(info.rejected)["circle"] == 1 and info.nodes == 4


def test_a_source_without_a_licence_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tiny.obo"
    file.write_text("ontology: tiny\n\n[Term]\nid: A:1\nname: a\n")
    with pytest.raises(KnowledgeError, match="licence of the source; give it with --licence"):
        read_source([file], NOW)


def test_a_file_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"no reader for '.owl'; there are: .obo"):
        read_source([tmp_path / "tiny.owl"], NOW, "x", "y")


@pytest.mark.parametrize(
    ("frequency", "share"),
    [
        *(("", None), ("variable", None), ("hallmark", 0.9), ("Occasional", 0.075), ("1/4", 0.25), ("3 of 4", 0.75)),
        *(("7.5000 %", 0.075), ("50%", 0.5), ("10-20%", 0.15), ("10%-20%", 0.15)),
    ],
)
def test_a_frequency_in_words_counts_or_percent_is_a_share(tmp_path: Path, frequency: str, share: float | None) -> None:
    imported = read(tmp_path, a_dot_obo=OBO, b_dot_tab=tab(annotation("154700", "HP:22", frequency)))
    (edge,) = [edge for edge in imported.edges if edge.relation is Relation.MANIFESTS_AS]
    assert (edge.subject, edge.object, edge.citation) == ("OMIM:154700", "HP:2", "HPO annotations, PMID:1 (TAS)")
    assert edge.strength.sensitivity == (None if share is None else pytest.approx(share))


def test_annotations_that_are_no_finding_or_doubled_or_wrong_are_refused_with_their_line(tmp_path: Path) -> None:
    rows = tab(
        annotation("154700", "HP:2"),
        annotation("154700", "HP:2", "hallmark"),  # says how often, so the first is the one that goes
        annotation("154700", "HP:4", aspect="I"),
        annotation("154700", "HP:77"),
        annotation("154700", "HP:4", "5/4"),
        annotation("154700", "HP:4", qualifier="NOT"),
        ("OMIM", "1"),
    )
    imported = read(tmp_path, a_dot_obo=OBO, b_dot_tab=rows)
    assert [item for item in refused(imported) if item[0] < 8] == [
        (1, Reason.DUPLICATE),
        (3, Reason.NO_FINDING),
        (4, Reason.DANGLING),
        (5, Reason.MALFORMED),
        (7, Reason.MALFORMED),
    ]
    said = {edge.identity: edge for edge in imported.edges if edge.relation is not Relation.IS_A}
    assert set(said) == {("OMIM:154700", "manifests_as", "HP:2"), ("HP:4", "argues_against", "OMIM:154700")}
    assert said["OMIM:154700", "manifests_as", "HP:2"].strength.sensitivity == 0.9
    disease = next(node for node in imported.nodes if node.kind is Kind.DISEASE)
    assert (disease.code.meaning, disease.synonyms, disease.xrefs) == (
        "MARFAN SYNDROME",
        ("MFS", "SECOND NAME"),
        ("ORPHA:558",),
    )


NODES = 'key,kind,en,zh,xrefs\nflu,disease,Flu,流感,SCT:6142004|x\ncough,finding,"Cough,\nloud",,\n'
NODES += "bad,animal,Bad,,\nshort\n"
EDGES = "from,relation,to,citation,sensitivity\nflu,manifests_as,cough,Me 2020,0.5\nflu,manifests_as,cough,,\n"
EDGES += "flu,manifests_as,cough,Me,1.5\ncough,manifests_as,flu,Me,0.5\n"


def test_tables_are_read_with_the_line_of_each_row_that_was_refused(tmp_path: Path) -> None:
    imported = read(tmp_path, n_dot_csv=NODES, e_dot_csv=EDGES)
    assert {node.key: node.code.meaning for node in imported.nodes} == {"flu": "Flu", "cough": "Cough,\nloud"}
    assert [(str(item.place), item.reason) for item in imported.rejected] == [
        ("n.csv, line 5", Reason.MALFORMED),
        ("n.csv, line 6", Reason.MALFORMED),
        ("e.csv, line 3", Reason.MALFORMED),
        ("e.csv, line 4", Reason.MALFORMED),
        ("e.csv, line 5", Reason.MISPLACED),
    ]
    (edge,) = imported.edges
    assert (edge.identity, edge.strength.sensitivity) == (("flu", "manifests_as", "cough"), 0.5)


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"x\.csv, line 1: the columns are key, kind"):
        read(tmp_path, x_dot_csv="name,age\n")


def test_json_ld_of_skos_is_read_with_the_line_of_what_was_refused(tmp_path: Path) -> None:
    document = """{
 "@context": {"skos": "http://www.w3.org/2004/02/skos/core#", "label": "skos:prefLabel",
              "up": {"@id": "skos:broader", "@type": "@id"}, "obo": "http://purl.obolibrary.org/obo/"},
 "@graph": [
  {"@id": "obo:HP_1", "label": "root"},
  {"@id": "obo:HP_2", "label": [{"@value": "cough", "@language": "en"}, {"@value": "咳嗽", "@language": "zh"}],
   "up": [{"@id": "obo:HP_1"}], "skos:exactMatch": {"@id": "http://snomed.info/id/49727002"}},
  {"@id": "obo:HP_3"}
 ]
}"""
    imported = read(tmp_path, x_dot_jsonld=document)
    assert [(node.key, node.code.meaning_zh, node.xrefs) for node in imported.nodes] == [
        ("HP:1", "", ()),
        ("HP:2", "咳嗽", ("SCT:49727002",)),
    ]
    assert [edge.identity for edge in imported.edges] == [("HP:2", "is_a", "HP:1")]
    assert refused(imported) == [(8, Reason.MALFORMED)]


def test_a_context_on_the_web_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="would have to be fetched"):
        read(tmp_path, x_dot_jsonld='{"@context": "https://schema.org", "@graph": []}')


@pytest.mark.parametrize("text", ["{", "[]", '{"@id": "x"}'])
def test_a_broken_document_is_an_error_of_knowledge(tmp_path: Path, text: str) -> None:
    with pytest.raises(KnowledgeError):
        read(tmp_path, x_dot_json=text)


def test_names_of_one_system_are_one() -> None:
    assert curie("SNOMEDCT_US_2025_09_01:39000009") == curie("SNOMEDct:39000009") == "SCT:39000009"
    assert curie("MIM:154700") == "OMIM:154700" and curie("http://x.org/a") == "http://x.org/a"


def test_a_source_comes_back_from_the_database_and_leaves_the_graph_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'kg.sqlite'}"
    imported = read(tmp_path, a_dot_obo=OBO, b_dot_tab=tab(annotation("154700", "HP:2", "1/4")))
    build(load(), url)
    write_source(imported, url)
    write_source(imported, url)  # a second import replaces the first
    back = stored_source(url, "tiny")
    assert (back.info, back.nodes, back.edges) == (imported.info, imported.nodes, imported.edges)
    assert open_graph(url).sha256 == load().sha256
    assert len(open_graph(url, ("tiny",)).nodes) == len(load().nodes) + len(imported.nodes)
    assert open_graph(url, ("tiny",), curated=False) == Graph(nodes=imported.nodes, edges=imported.edges)
    with pytest.raises(KnowledgeError, match="no imported source named 'none'; there are: tiny"):
        open_graph(url, ("none",))


def disease(key: str, *xrefs: str, code: Code | None = None) -> Node:
    return Node(key=key, kind=Kind.DISEASE, code=code or Code(*key.split(":")[::-1], key), xrefs=xrefs)


def source(tmp_path: Path, *nodes: Node, edges: tuple[Edge, ...] = ()) -> Imported:
    info = read(tmp_path, a_dot_obo=OBO).info
    return Imported(info=info, nodes=nodes, edges=edges)


def test_the_same_disease_of_two_sources_is_one_node_by_cross_reference(tmp_path: Path) -> None:
    curated = Graph(nodes=(disease("flu", code=Code("6142004", "SCT", "Influenza")),), edges=())
    finding = Node(key="HP:2", kind=Kind.FINDING, code=Code("2", "HP", "cough"))
    edge = Edge(subject="OMIM:1", relation=Relation.MANIFESTS_AS, object="HP:2", citation="x")
    first = source(tmp_path, disease("DOID:8469", "SCT:6142004", "OMIM:1"), disease("DOID:2", "ICD-10:J10"))
    second = source(tmp_path, disease("OMIM:1"), disease("OMIM:2", "ICD-10:J10"), finding, edges=(edge,))
    merged = merge(curated, [first, second])
    assert [node.key for node in merged.graph.nodes] == ["DOID:2", "HP:2", "OMIM:2", "flu"]
    assert [edge.identity for edge in merged.graph.edges] == [("flu", "manifests_as", "HP:2")]
    assert (merged.joined, merged.ambiguous) == (2, ())
    flu = merged.graph.nodes[-1]
    assert set(flu.synonyms) == {"DOID:8469", "OMIM:1"} and "OMIM:1" in flu.xrefs


def test_a_cross_reference_that_two_diseases_claim_joins_nothing_and_is_named(tmp_path: Path) -> None:
    parts = source(tmp_path, disease("DOID:1", "OMIM:1"), disease("DOID:2", "OMIM:1"), disease("OMIM:1"))
    merged = merge(Graph(nodes=(), edges=()), [parts])
    assert (len(merged.graph.nodes), merged.joined) == (3, 0)
    assert [set(group) for group in merged.ambiguous] == [{"DOID:1", "DOID:2", "OMIM:1"}]


def test_a_disease_that_names_two_codes_of_one_system_is_wider_than_either(tmp_path: Path) -> None:
    parts = source(tmp_path, disease("DOID:1", "OMIM:1", "OMIM:2"), disease("OMIM:1"), disease("OMIM:2"))
    assert merge(Graph(nodes=(), edges=()), [parts]).joined == 0


def test_the_command_imports_once_reports_each_reason_and_lists_the_source(tmp_path: Path) -> None:
    file, url = tmp_path / "tiny.obo", f"sqlite:///{tmp_path / 'kg.sqlite'}"
    file.write_text(OBO)
    refused_file = tmp_path / "refused.csv"
    command = ["import", str(file), "--into", url]
    first = RUNNER.invoke(app, [*command, "--rejected", str(refused_file)])
    assert "tiny releases/1: 4 nodes and 3 edges, 6 lines refused" in first.stdout
    assert "1 circle, the first: tiny.obo, line 35: HP:5 is_a HP:4 closes a circle" in first.stdout
    assert refused_file.read_text().splitlines()[1].startswith("tiny.obo,17,unknown_relation,")
    assert json.loads(RUNNER.invoke(app, [*command, "--json"]).stdout) == {"source": "tiny", "unchanged": True}
    file.write_text(OBO.replace("name: five", "name: six"))
    assert json.loads(RUNNER.invoke(app, [*command, "--json"]).stdout)["unchanged"] is False
    listed = json.loads(RUNNER.invoke(app, ["sources", "--database", url, "--json"]).stdout)["sources"]
    assert [(item["name"], item["licence"], item["files"]) for item in listed] == [("tiny", "CC0", ["tiny.obo"])]
    assert "Nothing was imported." in RUNNER.invoke(app, ["sources", "--database", "sqlite://"]).stdout


def test_a_source_takes_part_in_the_reasoning_only_where_the_configuration_names_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'kg.sqlite'}"
    build(load(), url)
    write_source(read(tmp_path, a_dot_obo=OBO), url)
    case = Case(study=Study(study_instance_uid="2.25.1", patient=Patient(), series=()))
    hashes = [
        ThoraxGraph(ThoraxGraph.Settings(path=url, imported=names)).consult(case, (), ()).algorithm.sha256
        for names in ((), ("tiny",))
    ]
    assert hashes[0] == load().sha256 == ThoraxGraph(ThoraxGraph.Settings()).consult(case, (), ()).algorithm.sha256
    assert hashes[1] == open_graph(url, ("tiny",)).sha256 != hashes[0]
