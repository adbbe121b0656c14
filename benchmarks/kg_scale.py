"""How a large graph answers from mapped arrays, against plain networkx, each in a fresh process.

    python benchmarks/kg_scale.py [--nodes 50000] [--edges 500000] [--queries 100] [--folder DIR] [--json FILE]

The graph is invented from a seed: two fifths of the concepts are diseases, two fifths findings, the rest risks and
examinations; is_a makes trees of the findings and of half of the diseases. How often a finding is named follows a
power law, as in HPO. A patient has four findings of one disease, one other finding, and lacks a sixth.

`networkx` is the baseline: the graph read from its database, networkx's own shortest_path and k-hop search, and the
differential that judges every disease. `memory` is the `Network` of the software on the same database, `arrays` the
mapped one. Answers are compared across the three (of paths, the costs: several may cost the same).
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import networkx

from cds.domain.code import Code
from knowledge_graph.arrays import MappedNetwork, pack
from knowledge_graph.graph import HOPS, Network
from knowledge_graph.model import Edge, Grade, Graph, Kind, Node, Relation, Strength
from knowledge_graph.query import Candidate, Differential
from knowledge_graph.store import build, read

FORMS: Final = ("networkx", "memory", "arrays")
DATABASE: Final = "graph.sqlite"
NEAR: Final = 2
"""How far the k-hop query goes."""


class EveryDisease(Differential):
    """Judges every disease of the graph, as before there was an index."""

    def _reached(self, keys: Iterable[str]) -> list[str]:
        return sorted(self._diseases)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each form in a process of its own and print; 1 where the answers differ."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description="Large graphs: arrays against networkx.")
    parser.add_argument("--nodes", type=int, default=50_000)
    parser.add_argument("--edges", type=int, default=500_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="Where the graph is kept; default: a temporary folder.")
    parser.add_argument("--json", type=Path, help="Write the figures there.")
    parser.add_argument("--form", choices=FORMS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.form:
        print(json.dumps(measure(options.form, options.folder, options.queries, started)))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        result = prepare(folder, options.nodes, options.edges)
        runs = {form: fresh(form, folder, options.queries) for form in FORMS}
    answers = [run.pop("answers") for run in runs.values()]
    same = all(answer == answers[0] for answer in answers)
    result |= {"forms": runs, "same_answers": same, "answers": answers, "cores": os.cpu_count()}
    text = json.dumps(result, indent=1)
    if options.json:
        options.json.write_text(text + "\n")
    print(text)
    return 0 if same else 1


def prepare(folder: Path, nodes: int, edges: int) -> dict[str, object]:
    """Invent the graph and write it as database and as arrays; how long, and how many bytes."""
    graph = invented(nodes, edges)
    begun = time.perf_counter()
    build(graph, f"sqlite:///{folder / DATABASE}")
    built = time.perf_counter()
    pack(graph, folder / "arrays")
    packed = time.perf_counter()
    (folder / "queries.json").write_text(json.dumps(patients(graph, 1000)))
    return {
        "nodes": len(graph.nodes),
        "edges": len(graph.edges),
        "write_database_s": round(built - begun, 2),
        "pack_s": round(packed - built, 2),
        "database_mib": round((folder / DATABASE).stat().st_size / 2**20, 1),
        "arrays_mib": round(sum(file.stat().st_size for file in (folder / "arrays").iterdir()) / 2**20, 1),
    }


def fresh(form: str, folder: Path, queries: int) -> dict[str, object]:
    """One form in a process of its own; the figures it prints."""
    command = [sys.executable, __file__, "--form", form, "--folder", str(folder), "--queries", str(queries)]
    begun = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, object] = json.loads(done.stdout)
    return result | {"process_s": round(time.perf_counter() - begun, 2)}


def measure(form: str, folder: Path, queries: int, started: float) -> dict[str, object]:
    """Load, ask, and time: milliseconds per query, MiB of memory; `first_answer_s` counts from the start of main."""
    asked = json.loads((folder / "queries.json").read_text())[: queries + 1]
    before = resident_mib()
    network: Network = (
        MappedNetwork(folder / "arrays") if form == "arrays" else Network(read(f"sqlite:///{folder / DATABASE}"))
    )
    rank = (EveryDisease if form == "networkx" else Differential)(network).rank
    path, around = plain(network) if form == "networkx" else (network.path, network.around)
    loaded = time.perf_counter()
    warm, *asked = asked
    rank(dict.fromkeys(warm["present"], 1.0), {warm["absent"]: 1.0})
    first = time.perf_counter()
    path(*warm["ends"])
    around(warm["ends"][0], NEAR)
    gc.freeze()
    return {
        "load_s": round(loaded - started, 3),
        "first_answer_s": round(first - started, 3),
        **timed(asked, rank, path, around),
        "memory_mib": round(resident_mib() - before, 1),
    }


def timed(
    asked: list[dict[str, list[str]]],
    rank: Callable[[dict[str, float], dict[str, float]], tuple[Candidate, ...]],
    path: Callable[[str, str], Iterable[Edge | int]],
    around: Callable[[str, int], dict[str, int]],
) -> dict[str, object]:
    """Every question to every query: median and 99th percentile, and a hash of the answers."""
    calls: dict[str, Callable[[dict[str, list[str]]], object]] = {
        "path": lambda item: cost(path(*item["ends"])),
        "k_hop": lambda item: sorted(around(item["ends"][0], NEAR).items()),
        "differential": lambda item: sorted(
            (one.disease, round(one.score, 6))
            for one in rank(dict.fromkeys(item["present"], 1.0), {str(item["absent"]): 1.0})
        ),
    }
    answers: dict[str, str] = {}
    figures: dict[str, object] = {}
    for name, call in calls.items():
        times, said = [], hashlib.sha256()
        for item in asked:
            begun = time.perf_counter()
            answer = call(item)
            times.append((time.perf_counter() - begun) * 1000)
            said.update(json.dumps(answer).encode())
        answers[name] = said.hexdigest()
        figures[name] = {
            "p50_ms": round(statistics.median(times), 3),
            "p99_ms": round(statistics.quantiles(times, n=100, method="inclusive")[98], 3),
        }
    return {**figures, "answers": answers}


def plain(network: Network) -> tuple[Callable[[str, str], list[int]], Callable[[str, int], dict[str, int]]]:
    """What a few lines of networkx do: the weighted shortest path, and everything within so many edges."""
    graph: networkx.Graph[str] = networkx.Graph()
    graph.add_nodes_from(network.nodes)
    for edge in network.graph.edges:
        price = HOPS.get(edge.relation, 1)
        if price < graph.get_edge_data(edge.subject, edge.object, {"cost": 9})["cost"]:
            graph.add_edge(edge.subject, edge.object, cost=price)

    def path(start: str, end: str) -> list[int]:
        keys = networkx.shortest_path(graph, start, end, weight="cost")
        return [graph.edges[pair]["cost"] for pair in pairwise(keys)]

    def around(key: str, hops: int) -> dict[str, int]:
        return dict(networkx.single_source_shortest_path_length(graph, key, cutoff=hops))

    return path, around


def cost(path: Iterable[Edge | int]) -> int:
    """What a path costs, of edges or of costs."""
    return sum(step if isinstance(step, int) else HOPS.get(step.relation, 1) for step in path)


def resident_mib() -> float:
    """Memory of this process with shared pages counted in part (Pss); Linux tells it."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


def invented(nodes: int, edges: int) -> Graph:
    """The graph of the module docstring; the same numbers give the same graph."""
    draw = random.Random(1)
    fifth = nodes // 5
    diseases = [f"D{at:06}" for at in range(2 * fifth)]
    findings = [f"F{at:06}" for at in range(2 * fifth)]
    others = {"R": Kind.RISK, "X": Kind.EXAMINATION}
    rest = [f"{draw.choice('RX')}{at:06}" for at in range(nodes - 4 * fifth)]
    kinds = dict.fromkeys(diseases, Kind.DISEASE) | dict.fromkeys(findings, Kind.FINDING)
    kinds |= {key: others[key[0]] for key in rest}
    named = findings[len(findings) // 50 :]  # the most general terms are seldom what a paper names
    draw.shuffle(named)
    claims = set(_kinds_of(draw, diseases, 0.5)) | set(_kinds_of(draw, findings, 1.0))
    grades = [Strength(grade=grade) for grade in Grade]
    while len(claims) < edges:
        disease, chance = draw.choice(diseases), draw.random()
        if chance < 0.9:
            claims.add((disease, Relation.MANIFESTS_AS, named[int(len(named) * draw.random() ** 2)]))
            continue
        other = draw.choice(rest)
        if kinds[other] is Kind.RISK:
            claims.add((other, Relation.RISK_FACTOR_OF, disease))
        else:
            claims.add((disease, Relation.INVESTIGATED_BY, other))
    return Graph(
        nodes=tuple(
            Node(key=key, kind=kinds[key], code=Code(key, "99X", f"concept {key}", f"概念{key}"))
            for key in sorted(kinds)
        ),
        edges=tuple(
            Edge(
                subject=subject,
                relation=relation,
                object=target,
                citation=f"invented, {subject}",
                strength=draw.choice(grades),
            )
            for subject, relation, target in sorted(claims)
        ),
    )


def _kinds_of(draw: random.Random, keys: Sequence[str], share: float) -> Iterator[tuple[str, Relation, str]]:
    """A tree of four kinds each, with a second parent for every fourth."""
    for at in range(1, len(keys)):
        if draw.random() < share:
            yield keys[at], Relation.IS_A, keys[at // 4]
            if draw.random() < 0.25 and at >= 8:
                yield keys[at], Relation.IS_A, keys[at // 4 - 1]


def patients(graph: Graph, count: int) -> list[dict[str, object]]:
    """What is asked: four findings of one disease, one other, one that is absent, and two ends of a path."""
    draw = random.Random(2)
    manifest: dict[str, list[str]] = {}
    for edge in graph.edges:
        if edge.relation is Relation.MANIFESTS_AS:
            manifest.setdefault(edge.subject, []).append(edge.object)
    rich = sorted(key for key, found in manifest.items() if len(found) >= 4)
    findings = [node.key for node in graph.nodes if node.kind is Kind.FINDING]
    return [
        {
            "present": [*draw.sample(manifest[draw.choice(rich)], 4), draw.choice(findings)],
            "absent": draw.choice(findings),
            "ends": draw.sample(rich, 2),
        }
        for _ in range(count)
    ]


if __name__ == "__main__":
    sys.exit(main())
