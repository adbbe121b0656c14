"""``cds kg``: build, look into and query the knowledge graph. Heavy imports stay inside the commands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from knowledge_graph.graph import Network
    from knowledge_graph.model import Edge, Graph, Node
    from knowledge_graph.query import Candidate, Reason

app = typer.Typer(help="The knowledge graph: build, look up, query.", no_args_is_help=True)

GraphOption = Annotated[
    str, typer.Option("--graph", help="Folder of graph files or database URL; default: the graph that comes with cds.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
def build(
    source: Annotated[Path | None, typer.Option(help="Folder of graph files; default: the one with cds.")] = None,
    database: Annotated[str, typer.Option(help="sqlite:///FILE or postgresql+...; tables are replaced.")] = (
        "sqlite:///knowledge.sqlite"
    ),
    as_json: JsonOption = False,
) -> None:
    """Check the graph files and write them into a database."""
    from rich.console import Console
    from rich.progress import Progress

    from knowledge_graph.load import OWN_FILES, load
    from knowledge_graph.store import build as write

    counts: dict[str, int] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("checking the files", total=4)
        graph = load(source or OWN_FILES)
        progress.update(task, advance=1, description="writing")

        def written(table: str, count: int) -> None:
            counts[table] = count
            progress.update(task, advance=1, description=f"wrote {table}")

        write(graph, database, written)
    _say(
        as_json,
        {"nodes": len(graph.nodes), "edges": len(graph.edges), "sha256": graph.sha256},
        f"{len(graph.nodes)} nodes and {len(graph.edges)} edges written, sha256 {graph.sha256}",
    )


@app.command()
def stats(graph: GraphOption = "", as_json: JsonOption = False) -> None:
    """Count nodes by kind and edges by relation."""
    from knowledge_graph.model import Kind, Relation

    content = _graph(graph)
    kinds = {kind.value: sum(node.kind is kind for node in content.nodes) for kind in Kind}
    relations = {name.value: sum(edge.relation is name for edge in content.edges) for name in Relation}
    cited = len({edge.citation.partition(",")[0] for edge in content.edges})
    lines = [
        f"{len(content.nodes)} nodes: " + ", ".join(f"{count} {name}" for name, count in kinds.items()),
        f"{len(content.edges)} edges: " + ", ".join(f"{count} {name}" for name, count in relations.items()),
        f"sha256 {content.sha256}",
    ]
    result = {"nodes": kinds, "edges": relations, "sha256": content.sha256, "citations": cited}
    _say(as_json, result, "\n".join(lines))


@app.command()
def path(
    start: Annotated[str, typer.Argument(metavar="FROM", help="Key, English or Chinese label, or code.")],
    end: Annotated[str, typer.Argument(metavar="TO", help="Key, English or Chinese label, or code.")],
    graph: GraphOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show how two concepts hang together, with a citation for each step."""
    network = _network(graph)
    first, last = _concepts(network, (start, end))
    edges = network.path(first.key, last.key)
    result = {"from": _concept(first), "to": _concept(last), "path": [_step(network, edge) for edge in edges]}
    _say(as_json, result, "\n".join(_line(network, edge) for edge in edges) or f"{first.code.meaning} is itself.")


@app.command()
def query(
    findings: Annotated[list[str], typer.Argument(metavar="FINDING...", help="What is there.")],
    absent: Annotated[list[str] | None, typer.Option(help="What is not there; may be repeated.")] = None,
    graph: GraphOption = "",
    most: Annotated[int, typer.Option(min=1, help="How many diseases at most.")] = 8,
    as_json: JsonOption = False,
) -> None:
    """Rank the diseases that fit findings, laboratory patterns and risk factors, with the paths that say why."""
    from knowledge_graph.query import Differential
    from knowledge_graph.wording import differential_text

    network = _network(graph)
    present = {node.key: 1.0 for node in _concepts(network, findings)}
    missing = {node.key: 1.0 for node in _concepts(network, absent or ())}
    ranked = Differential(network).rank(present, missing)[:most]
    result = {
        "present": sorted(present),
        "absent": sorted(missing),
        "differential": [_candidate(network, candidate) for candidate in ranked],
        "sha256": network.graph.sha256,
    }
    lines = []
    for place, candidate in enumerate(ranked, 1):
        lines.append(f"{place}. {differential_text(network, candidate)[0]} (score {candidate.score:.2f})")
        for reason in (*candidate.supporting, *candidate.contradicting):
            lines += [f"     {reason.score:+.2f}  {_line(network, edge)}" for edge in reason.path]
    _say(as_json, result, "\n".join(lines) or "No disease of the graph fits.")


def _graph(place: str) -> Graph:
    from knowledge_graph.source import open_graph

    return open_graph(place)


def _network(place: str) -> Network:
    from knowledge_graph.graph import Network

    return Network(_graph(place))


def _concepts(network: Network, names: Iterable[str]) -> list[Node]:
    """The concepts of these names; an unknown name ends the command with status 2 and the nearest names."""
    from knowledge_graph.graph import UnknownConcept

    try:
        return [network.find(name) for name in names]
    except UnknownConcept as error:
        typer.echo(f"cds: {error}", err=True)
        raise typer.Exit(2) from error


def _candidate(network: Network, candidate: Candidate) -> dict[str, object]:
    return {
        **_concept(network.nodes[candidate.disease]),
        "score": round(candidate.score, 3),
        "supporting": [_reason(network, reason) for reason in candidate.supporting],
        "contradicting": [_reason(network, reason) for reason in candidate.contradicting],
    }


def _reason(network: Network, reason: Reason) -> dict[str, object]:
    return {
        "observed": reason.observed,
        "absent": reason.absent,
        "score": round(reason.score, 3),
        "path": [_step(network, edge) for edge in reason.path],
    }


def _concept(node: Node) -> dict[str, object]:
    return {"key": node.key, "code": node.code.key, "en": node.code.meaning, "zh": node.code.meaning_zh}


def _step(network: Network, edge: Edge) -> dict[str, object]:
    return {
        "subject": _concept(network.nodes[edge.subject]),
        "relation": edge.relation.value,
        "object": _concept(network.nodes[edge.object]),
        "citation": edge.citation,
    }


def _line(network: Network, edge: Edge) -> str:
    subject, target = network.nodes[edge.subject].code.meaning, network.nodes[edge.object].code.meaning
    return f"{subject} {edge.relation.value.replace('_', ' ')} {target}  [{edge.citation}]"


def _say(as_json: bool, result: Mapping[str, object], text: str) -> None:
    typer.echo(json.dumps(result, ensure_ascii=False) if as_json else text)
