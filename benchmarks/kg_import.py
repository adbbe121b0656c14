"""What comes out of importing the Human Phenotype Ontology, its annotations, and the Disease Ontology slims.

    python benchmarks/kg_import.py [--data DIR] [--json FILE]

For each source: nodes, edges, refused lines by reason with an example, seconds to read and to write, and seconds
until an unchanged source is known to be one. Then both are joined with the curated graph by cross-reference.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from knowledge_graph.imports import fingerprint, read_source
from knowledge_graph.load import load
from knowledge_graph.merge import merge
from knowledge_graph.model import Node
from knowledge_graph.store import read_source as stored
from knowledge_graph.store import sources, write_source

SOURCES: Final = (
    ("hpo", "HPO licence", ("kg_hp.obo.gz", "kg_hp_phenotype_annotation.tab.gz")),
    ("doid", "CC0-1.0", ("kg_doid_cancer_slim.obo", "kg_doid_rare_slim.obo")),
)
DATA: Final = Path(os.environ.get("CDS_DATA", Path(__file__).parents[2] / "shared" / "data"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Import into a fresh database and print; 1 where the files are not there."""
    parser = argparse.ArgumentParser(description="Import HPO and the Disease Ontology.")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--json", type=Path, help="Write the figures there.")
    options = parser.parse_args(arguments)
    missing = [name for _, _, names in SOURCES for name in names if not (options.data / name).is_file()]
    if missing:
        print(f"not there: {', '.join(missing)}; name their folder with --data", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/knowledge.sqlite"
        runs = [
            imported(name, licence, [options.data / file for file in names], url) for name, licence, names in SOURCES
        ]
        result = {"sources": runs, "joined": joined(url), "peak_memory_mib": peak_mib()}
    text = json.dumps(result, indent=1, ensure_ascii=False)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


def imported(name: str, licence: str, files: list[Path], url: str) -> dict[str, object]:
    """One source into the database; its counts and times."""
    begun = time.perf_counter()
    content = read_source(files, datetime.now(UTC), name, licence)
    done = time.perf_counter()
    write_source(content, url)
    written = time.perf_counter()
    unchanged = fingerprint(files, name, licence) in {info.sha256 for info in sources(url)}
    known = time.perf_counter()
    examples = {item.reason.value: f"{item.place}: {item.message}" for item in reversed(content.rejected)}
    return {
        "source": name,
        "version": content.info.version,
        "nodes": content.info.nodes,
        "edges": content.info.edges,
        "xrefs": sum(len(node.xrefs) for node in content.nodes),
        "refused": {reason: {"lines": count, "first": examples[reason]} for reason, count in content.info.rejected},
        "read_s": round(done - begun, 2),
        "write_s": round(written - done, 2),
        "again": {"unchanged": unchanged, "s": round(known - written, 3)},
    }


def joined(url: str) -> dict[str, object]:
    """The curated graph with both sources: how many nodes became one."""
    curated = load()
    begun = time.perf_counter()
    parts = [stored(url, name) for name, _, _ in SOURCES]
    back = time.perf_counter()
    merged = merge(curated, parts)
    done = time.perf_counter()
    own = {node.key for node in curated.nodes}
    touched = sum(len(node.xrefs) > len(before.xrefs) for node, before in _pairs(merged.graph.nodes, curated.nodes))
    return {
        "nodes": len(merged.graph.nodes),
        "edges": len(merged.graph.edges),
        "joined": merged.joined,
        "ambiguous_groups_left_apart": len(merged.ambiguous),
        "curated_nodes": len(own),
        "curated_nodes_with_a_counterpart": touched,
        "read_back_s": round(back - begun, 2),
        "join_s": round(done - back, 2),
    }


def _pairs(nodes: Sequence[Node], before: Sequence[Node]) -> list[tuple[Node, Node]]:
    found = {node.key: node for node in nodes}
    return [(found[node.key], node) for node in before if node.key in found]


def peak_mib() -> float:
    """The most memory this process held; Linux counts in KiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


if __name__ == "__main__":
    sys.exit(main())
