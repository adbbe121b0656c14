import sqlite3
from pathlib import Path

import pytest

from cds.errors import KnowledgeError
from knowledge_graph.load import load
from knowledge_graph.store import build, read


def test_a_graph_comes_back_from_the_database_the_same_to_the_hash(tmp_path: Path) -> None:
    graph, url = load(), f"sqlite:///{tmp_path / 'kg.sqlite'}"
    build(graph, url)
    build(graph, url)  # a second build replaces the first
    assert read(url) == graph
    assert read(url).sha256 == graph.sha256


def test_progress_is_told_for_each_table(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    graph = load()
    build(graph, f"sqlite:///{tmp_path / 'kg.sqlite'}", lambda table, count: told.append((table, count)))
    xrefs = sum(len(node.xrefs) for node in graph.nodes)
    assert told == [
        *(("kg_nodes", len(graph.nodes)), ("kg_edges", len(graph.edges))),
        *(("kg_xrefs", xrefs), ("kg_meta", 2)),
    ]


def test_a_database_that_was_changed_by_hand_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kg.sqlite"
    build(load(), f"sqlite:///{file}")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE kg_edges SET lr_positive = 99 WHERE subject = 'heart_failure'")
    connection.close()
    with pytest.raises(KnowledgeError, match="its hash differs"):
        read(f"sqlite:///{file}")


def test_a_database_of_another_schema_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kg.sqlite"
    build(load(), f"sqlite:///{file}")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE kg_meta SET value = '0' WHERE key = 'schema'")
    connection.close()
    with pytest.raises(KnowledgeError, match="schema '0'"):
        read(f"sqlite:///{file}")


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////nowhere/at/all/kg.sqlite"])
def test_a_database_that_is_not_there_is_an_error_of_knowledge(url: str) -> None:
    with pytest.raises(KnowledgeError):
        build(load(), url)


def test_an_empty_database_says_how_to_build_one(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="cds kg build"):
        read(f"sqlite:///{tmp_path / 'empty.sqlite'}")
