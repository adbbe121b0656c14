import json
from pathlib import Path

from typer.testing import CliRunner

from cds.errors import KnowledgeError
from knowledge_graph.cli import app
from knowledge_graph.load import load

RUNNER = CliRunner()


def test_build_writes_a_database_and_prints_counts_and_hash(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'kg.sqlite'}"
    built = RUNNER.invoke(app, ["build", "--database", url, "--json"])
    graph = load()
    expected = {"nodes": len(graph.nodes), "edges": len(graph.edges), "sha256": graph.sha256}
    assert (built.exit_code, json.loads(built.stdout)) == (0, expected)
    stats = RUNNER.invoke(app, ["stats", "--graph", url, "--json"])
    assert json.loads(stats.stdout)["sha256"] == graph.sha256


def test_build_refuses_files_that_are_not_there(tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["build", "--source", str(tmp_path)])
    assert result.exit_code == 1 and isinstance(result.exception, KnowledgeError)


def test_path_takes_labels_of_both_languages_and_codes() -> None:
    result = RUNNER.invoke(app, ["path", "心力衰竭", "SCT:40701008", "--json"])
    (step,) = json.loads(result.stdout)["path"]
    assert (step["subject"]["key"], step["relation"], step["object"]["key"]) == (
        "heart_failure",
        "investigated_by",
        "echocardiography",
    )
    assert "doi:10.1093/eurheartj/ehab368" in step["citation"]


def test_query_ranks_with_paths_for_and_against() -> None:
    result = RUNNER.invoke(app, ["query", "cardiomegaly", "vascular_congestion", "--absent", "bnp_high", "--json"])
    first = json.loads(result.stdout)["differential"][0]
    assert first["key"] == "heart_failure"
    assert [reason["observed"] for reason in first["contradicting"]] == ["bnp_high"]
    assert all(step["citation"] for reason in first["supporting"] for step in reason["path"])


def test_query_prints_a_sentence_and_the_citations_for_people() -> None:
    result = RUNNER.invoke(app, ["query", "honeycombing"])
    assert "1. Consider idiopathic pulmonary fibrosis: supported by honeycomb pattern." in result.stdout
    assert "doi:10.1164/rccm.202202-0399ST" in result.stdout


def test_an_unknown_concept_ends_with_status_2_and_the_nearest_names() -> None:
    result = RUNNER.invoke(app, ["query", "pnemonia"])
    assert result.exit_code == 2
    assert "no concept named 'pnemonia'; the nearest are: pneumonia" in result.stderr


def test_concepts_that_nothing_joins_end_with_failed_work() -> None:
    result = RUNNER.invoke(app, ["path", "scoliosis", "pneumonia"])
    assert result.exit_code == 1 and isinstance(result.exception, KnowledgeError)
