"""Open a graph by its place: a folder of files, a database, or packed arrays; imported sources only when named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cds.errors import KnowledgeError
from knowledge_graph.graph import Network
from knowledge_graph.load import OWN_FILES, load
from knowledge_graph.model import Graph


def open_graph(path: str, imported: Sequence[str] = (), curated: bool = True) -> Graph:
    """The graph of a folder of files, of a database URL, or (``""``) the one that comes with the software.

    Parameters
    ----------
    imported
        Sources of the database (``cds kg import``) that are joined to it; no other is looked at.
    curated
        False: the imported sources alone.

    Raises
    ------
    KnowledgeError
        When it is not there or wrong.
    """
    if "://" not in path:
        if imported:
            raise KnowledgeError(f"imported sources ({', '.join(imported)}) lie in a database; name its URL")
        return load(Path(path) if path else OWN_FILES)
    from knowledge_graph.store import read, read_source  # the database library is loaded only where one is used

    graph = read(path) if curated else Graph(nodes=(), edges=())
    if not imported:
        return graph
    from knowledge_graph.merge import merge

    return merge(graph, [read_source(path, name) for name in imported]).graph


def open_network(path: str, imported: Sequence[str] = ()) -> Network:
    """The same, to be walked; packed arrays (``cds kg pack``) are mapped, not read.

    Raises
    ------
    KnowledgeError
        When it is not there or wrong.
    """
    if path and "://" not in path and not imported and (Path(path) / "graph.json").is_file():
        from knowledge_graph.arrays import MappedNetwork

        return MappedNetwork(Path(path))
    return Network(open_graph(path, imported))
