"""``cds kg``: build, look into and query the knowledge graph. Heavy imports stay inside the commands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from knowledge_graph.graph import Network
    from knowledge_graph.imported import Imported
    from knowledge_graph.model import Edge, Graph, Node
    from knowledge_graph.query import Candidate, Reason

app = typer.Typer(help="The knowledge graph: build, look up, query.", no_args_is_help=True)

GraphOption = Annotated[
    str,
    typer.Option("--graph", help="Folder of files or arrays, or database URL; default: the graph that comes with cds."),
]
WithOption = Annotated[
    list[str] | None, typer.Option("--with", metavar="NAME", help="An imported source to join; may be repeated.")
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
def stats(graph: GraphOption = "", imported: WithOption = None, as_json: JsonOption = False) -> None:
    """Count nodes by kind and edges by relation."""
    from knowledge_graph.model import Kind, Relation

    content = _graph(graph, imported)
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
    imported: WithOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how two concepts hang together, with a citation for each step."""
    network = _network(graph, imported)
    first, last = _concepts(network, (start, end))
    edges = network.path(first.key, last.key)
    result = {"from": _concept(first), "to": _concept(last), "path": [_step(network, edge) for edge in edges]}
    _say(as_json, result, "\n".join(_line(network, edge) for edge in edges) or f"{first.code.meaning} is itself.")


@app.command()
def query(
    findings: Annotated[list[str], typer.Argument(metavar="FINDING...", help="What is there.")],
    absent: Annotated[list[str] | None, typer.Option(help="What is not there; may be repeated.")] = None,
    graph: GraphOption = "",
    imported: WithOption = None,
    most: Annotated[int, typer.Option(min=1, help="How many diseases at most.")] = 8,
    as_json: JsonOption = False,
) -> None:
    """Rank the diseases that fit findings, laboratory patterns and risk factors, with the paths that say why."""
    from knowledge_graph.query import Differential
    from knowledge_graph.wording import differential_text

    network = _network(graph, imported)
    present = {node.key: 1.0 for node in _concepts(network, findings)}
    missing = {node.key: 1.0 for node in _concepts(network, absent or ())}
    ranked = Differential(network).rank(present, missing)[:most]
    result = {
        "present": sorted(present),
        "absent": sorted(missing),
        "differential": [_candidate(network, candidate) for candidate in ranked],
        "sha256": network.sha256,
    }
    lines = []
    for place, candidate in enumerate(ranked, 1):
        lines.append(f"{place}. {differential_text(network, candidate)[0]} (score {candidate.score:.2f})")
        for reason in (*candidate.supporting, *candidate.contradicting):
            lines += [f"     {reason.score:+.2f}  {_line(network, edge)}" for edge in reason.path]
    _say(as_json, result, "\n".join(lines) or "No disease of the graph fits.")


@app.command(name="import")
def import_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help=".obo, .tab, .csv, .jsonld, also with .gz.")],
    source: Annotated[str, typer.Option(help="What the source is called; default: as the file says.")] = "",
    licence: Annotated[str, typer.Option(help="Under which licence it comes; default: as the file says.")] = "",
    into: Annotated[str, typer.Option(help="sqlite:///FILE or postgresql+...")] = "sqlite:///knowledge.sqlite",
    rejected: Annotated[Path | None, typer.Option(help="Write every refused line into this CSV file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Read ontologies and tables into a database, as one source beside the graph."""
    from rich.console import Console
    from rich.progress import Progress

    from knowledge_graph.imports import fingerprint, read_source
    from knowledge_graph.store import sources, write_source

    mark = fingerprint(files, source, licence)
    for info in sources(into):
        if info.sha256 == mark:
            return _say(as_json, {"source": info.name, "unchanged": True}, f"{info.name}: unchanged, nothing to do")
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=None)

        def told(what: str, count: int) -> None:
            progress.update(task, description=f"{what}: {count}")

        content = read_source(files, datetime.now(UTC), source, licence, told)
        write_source(content, into, told)
    if rejected is not None:
        _write_rejected(content, rejected)
    info = content.info
    reasons = dict(info.rejected)
    lines = [
        f"{info.name} {info.version}: {info.nodes} nodes and {info.edges} edges, {sum(reasons.values())} lines refused"
    ]
    for reason, count in reasons.items():
        first = next(item for item in content.rejected if item.reason == reason)
        lines.append(f"  {count} {reason.replace('_', ' ')}, the first: {first.place}: {first.message}")
    result = {"source": info.name, "unchanged": False, "nodes": info.nodes, "edges": info.edges, "rejected": reasons}
    _say(as_json, result, "\n".join(lines))


@app.command(name="sources")
def list_sources(
    database: Annotated[str, typer.Option(help="sqlite:///FILE or postgresql+...")] = "sqlite:///knowledge.sqlite",
    as_json: JsonOption = False,
) -> None:
    """List what was imported: version, licence, files, hash and counts."""
    from dataclasses import asdict

    from knowledge_graph.store import sources

    found = sources(database)
    lines = [
        f"{i.name} {i.version}: {i.nodes} nodes, {i.edges} edges; {i.licence}; {', '.join(i.files)}" for i in found
    ]
    _say(as_json, {"sources": [asdict(info) for info in found]}, "\n".join(lines) or "Nothing was imported.")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; csv writes three files of this name.")],
    form: Annotated[str, typer.Option("--format", help="graphml, jsonld, turtle or csv.")] = "jsonld",
    graph: GraphOption = "",
    imported: WithOption = None,
    only: Annotated[str, typer.Option(metavar="NAME", help="An imported source alone.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Write the graph for other software."""
    from knowledge_graph.exports import FORMATS, Credit

    if form not in FORMATS:
        raise typer.BadParameter(f"no format {form!r}; there are: {', '.join(FORMATS)}")
    names = [only] if only else imported or []
    content = _graph(graph, names, curated=not only)
    credit = Credit(only or "thorax-graph", content.sha256, _licences(graph, names, curated=not only))
    written = FORMATS[form](content, credit, file)
    counts = {"nodes": len(content.nodes), "edges": len(content.edges), "files": [str(path) for path in written]}
    _say(as_json, counts, f"{len(content.nodes)} nodes and {len(content.edges)} edges written")


@app.command()
def pack(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to; arrays that stand there are replaced.")],
    graph: GraphOption = "",
    imported: WithOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the graph as arrays that open at once and are shared by worker processes."""
    from knowledge_graph.arrays import pack as write

    content = _graph(graph, imported)
    write(content, folder)
    result = {"nodes": len(content.nodes), "edges": len(content.edges), "sha256": content.sha256}
    _say(as_json, result, f"{len(content.nodes)} nodes and {len(content.edges)} edges packed")


def _licences(place: str, names: list[str], curated: bool) -> str:
    own = ["the licence of this software"] if curated else []
    if not names:
        return own[0]
    from knowledge_graph.store import sources

    return "; ".join([*own, *(f"{info.name}: {info.licence}" for info in sources(place) if info.name in names)])


def _write_rejected(content: Imported, file: Path) -> None:
    import csv

    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("file", "line", "reason", "message"))
        writer.writerows((it.place.file, it.place.line, it.reason.value, it.message) for it in content.rejected)


def _graph(place: str, imported: list[str] | None = None, curated: bool = True) -> Graph:
    from knowledge_graph.opening import open_graph

    return open_graph(place, imported or (), curated)


def _network(place: str, imported: list[str] | None = None) -> Network:
    from knowledge_graph.opening import open_network

    return open_network(place, imported or ())


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
