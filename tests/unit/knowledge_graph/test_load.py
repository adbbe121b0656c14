from pathlib import Path

import pytest

from cds.errors import KnowledgeError
from knowledge_graph.load import load

SOURCES = '[[source]]\nkey = "a"\ntext = "Author A. Journal 2020;1:1-2."\ndoi = "10.1000/x"\n'
NODES = """[[node]]
key = "flu"
kind = "disease"
en = "Influenza"
zh = "流行性感冒"

[[node]]
key = "grippe"
kind = "disease"
en = "Grippe"
zh = "流感"

[[node]]
key = "consolidation"
kind = "finding"
"""
EDGE = """[[edge]]
from = "flu"
relation = "manifests_as"
to = "consolidation"
source = "a"
where = "p. 1"
grade = "common"
"""
AGAINST = """
[[edge]]
from = "consolidation"
relation = "argues_against"
to = "flu"
source = "a"
grade = "common"
"""


def write(folder: Path, *, sources: str = SOURCES, nodes: str = NODES, edges: str = EDGE) -> Path:
    for name in ("nodes", "edges"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "sources.toml").write_text(sources, encoding="utf-8")
    (folder / "nodes" / "all.toml").write_text(nodes, encoding="utf-8")
    (folder / "edges" / "all.toml").write_text(edges, encoding="utf-8")
    return folder


def test_a_folder_is_read_into_nodes_and_edges_with_their_citation(tmp_path: Path) -> None:
    graph = load(write(tmp_path))
    assert [node.key for node in graph.nodes] == ["consolidation", "flu", "grippe"]
    assert graph.nodes[0].code.key == "RADLEX:RID43255"  # from the shared vocabulary
    assert graph.nodes[1].code.key == "99CDS:flu"
    assert graph.edges[0].citation == "Author A. Journal 2020;1:1-2, p. 1. doi:10.1000/x"


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (EDGE.replace('"flu"', '"flux"'), "all.toml, line 1: .*leads nowhere: there is no node 'flux'"),
        (EDGE + "\n" + EDGE, "all.toml, line 9: .*is there twice, first in all.toml, line 1"),
        (EDGE.replace("manifests_as", "causes"), "line 1: unknown relation 'causes'; there are: manifests_as"),
        (EDGE.replace('source = "a"\n', ""), "line 1: no citation"),
        (EDGE.replace('source = "a"', 'source = ""'), "line 1: no citation"),
        (EDGE.replace('source = "a"', 'source = "b"'), "line 1: unknown source 'b'"),
        (EDGE.replace('grade = "common"\n', ""), "line 1: manifests_as needs a figure"),
        (EDGE.replace('grade = "common"', "sensitivity = 1.2"), "'sensitivity' is a share and lies in 0..1"),
        (EDGE.replace('grade = "common"', "lr_positive = nan"), "'lr_positive' must be a number"),
        (EDGE.replace("grade", "graed"), "unknown field 'graed'"),
        (EDGE.replace("manifests_as", "investigated_by"), "cannot lead from a disease to a finding"),
        (EDGE + AGAINST, "line 9: 'consolidation' speaks for and against about 'flu'"),
        (
            '[[edge]]\nfrom = "flu"\nrelation = "is_a"\nto = "grippe"\nsource = "a"\n\n'
            '[[edge]]\nfrom = "grippe"\nrelation = "is_a"\nto = "flu"\nsource = "a"\n',
            "is_a runs in a circle: ",
        ),
        (EDGE.replace("[[edge]]", "[[edges]]"), "unknown table 'edges'"),
        ("[[edge]]\nfrom = ", "cannot be read as TOML"),
    ],
)
def test_a_wrong_edge_is_refused_with_file_and_line(tmp_path: Path, edges: str, message: str) -> None:
    with pytest.raises(KnowledgeError, match=message):
        load(write(tmp_path, edges=edges))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (NODES + '\n[[node]]\nkey = "flu"\nkind = "disease"\nen = "A"\nzh = "甲"\n', "line 17: 'flu' is there twice"),
        (NODES.replace('kind = "finding"', 'kind = "sign"'), "line 13: unknown kind 'sign'"),
        (NODES.replace('kind = "finding"', 'kind = "finding"\nen = "Other"'), "stands in cds.domain.vocabulary"),
        (NODES.replace('zh = "流感"\n', ""), "line 7: 'zh' must be a text"),
        (NODES.replace('"grippe"', '"a_key_of_many_letters"'), "longer than 16 characters"),
        (NODES + '\n[[node]]\nkey = "x"\nkind = "lab"\nen = "X"\nzh = "甲"\n', "needs a loinc and a direction"),
    ],
)
def test_a_wrong_node_is_refused_with_file_and_line(tmp_path: Path, nodes: str, message: str) -> None:
    with pytest.raises(KnowledgeError, match=message):
        load(write(tmp_path, nodes=nodes))


def test_a_doi_is_not_a_web_address(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"sources.toml, line 1: a DOI starts with '10.'"):
        load(write(tmp_path, sources=SOURCES.replace("10.1000/x", "https://doi.org/10.1000/x")))


def test_a_folder_without_graph_files_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"sources.toml cannot be read"):
        load(tmp_path)
