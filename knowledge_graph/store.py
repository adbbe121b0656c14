"""Keep a graph in a database (SQLite or PostgreSQL) and read it back, the same to the last bit."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from sqlalchemy import (
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    create_engine,
    inspect,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from cds.domain.code import Code
from cds.errors import KnowledgeError
from knowledge_graph.imported import Imported, SourceInfo
from knowledge_graph.model import Edge, Grade, Graph, Kind, Node, Prior, Relation, Strength

SCHEMA_VERSION = "1"
BATCH = 10_000
"""Rows in one statement, and between two words of progress."""

METADATA = MetaData()


def _node_columns(most: int | None = 128) -> list[Column[str]]:
    """What a node's row holds beside its key; `most` characters in a label, None: any number."""
    return [
        Column("kind", String(16), nullable=False),
        Column("scheme", String(most and 16), nullable=False),
        Column("code", String(most and 16), nullable=False),
        Column("meaning", String(most), nullable=False),
        Column("meaning_zh", String(most), nullable=False),
        Column("synonyms", String, nullable=False),
        Column("loinc", String(most and 64), nullable=False),
        Column("direction", String(8), nullable=False),
        Column("prior", String(16), nullable=False),
    ]


def _ends(most: int | None) -> list[Column[str]]:
    return [
        Column("subject", String(most), primary_key=True),
        Column("relation", String(32), primary_key=True),
        Column("object", String(most), primary_key=True),
    ]


def _edge_columns() -> list[Column[str] | Column[float]]:
    return [
        Column("citation", String, nullable=False),
        *(Column(name, Float(53)) for name in ("sensitivity", "specificity", "lr_positive", "lr_negative")),
        Column("grade", String(16), nullable=False),
        Column("note", String, nullable=False),
    ]


def _of_source() -> Column[str]:
    return Column("source", String(128), primary_key=True)


NODES = Table("kg_nodes", METADATA, Column("key", String(64), primary_key=True), *_node_columns())
EDGES = Table("kg_edges", METADATA, *_ends(64), *_edge_columns())
META = Table("kg_meta", METADATA, Column("key", String(64), primary_key=True), Column("value", String, nullable=False))
SOURCES = Table(
    "kg_sources",
    METADATA,
    Column("name", String(128), primary_key=True),
    *(Column(name, String, nullable=False) for name in ("version", "licence", "files", "sha256", "content_sha256")),
    Column("nodes", Integer, nullable=False),
    Column("edges", Integer, nullable=False),
    Column("rejected", String, nullable=False),
    Column("imported_at", String(32), nullable=False),
)
FOREIGN_NODES = Table(
    "kg_source_nodes",
    METADATA,
    _of_source(),
    Column("key", String, primary_key=True),
    *_node_columns(None),
)
FOREIGN_EDGES = Table("kg_source_edges", METADATA, _of_source(), *_ends(None), *_edge_columns())
XREFS = Table(
    "kg_xrefs",
    METADATA,
    _of_source(),
    Column("key", String, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("xref", String, nullable=False),
)

Progress = Callable[[str, int], None]


def build(graph: Graph, url: str, progress: Progress = lambda what, count: None) -> None:
    """Write a graph into a database, in one transaction; what stood there before is replaced.

    Parameters
    ----------
    url
        ``sqlite:///path`` or ``postgresql+psycopg://...``.
    progress
        Told what was written and how many rows.

    Raises
    ------
    KnowledgeError
        When the database cannot be reached or written.
    """
    meta = {"schema": SCHEMA_VERSION, "sha256": graph.sha256}
    rows: tuple[tuple[Table, list[dict[str, object]]], ...] = (
        (NODES, [_node_row(node) for node in graph.nodes]),
        (EDGES, [_edge_row(edge) for edge in graph.edges]),
        (XREFS, _xref_rows("", graph)),
        (META, [{"key": key, "value": value} for key, value in meta.items()]),
    )
    engine = _engine(url)
    try:
        METADATA.create_all(engine)
        with engine.begin() as connection:
            for table, content in rows:
                connection.execute(table.delete().where(XREFS.c.source == "") if table is XREFS else table.delete())
                if content:
                    connection.execute(table.insert(), content)
                progress(table.name, len(content))
    except SQLAlchemyError as error:
        raise KnowledgeError(f"the graph could not be written to {engine.url!r}: {_short(error)}") from error
    finally:
        engine.dispose()


def read(url: str) -> Graph:
    """The graph that stands in a database.

    Raises
    ------
    KnowledgeError
        When there is none, it is of another schema, or its content does not give the hash it was built with.
    """
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            meta = {str(row["key"]): str(row["value"]) for row in connection.execute(select(META)).mappings()}
            nodes = connection.execute(select(NODES)).mappings().all()
            edges = connection.execute(select(EDGES)).mappings().all()
            xrefs = connection.execute(select(XREFS).where(XREFS.c.source == "")).mappings().all()
    except SQLAlchemyError as error:
        message = f"no graph can be read from {engine.url!r}: {_short(error)}; build one with 'cds kg build'"
        raise KnowledgeError(message) from error
    finally:
        engine.dispose()
    if meta.get("schema") != SCHEMA_VERSION:
        raise KnowledgeError(f"the graph database has schema {meta.get('schema')!r}, not {SCHEMA_VERSION}; rebuild it")
    graph = _graph(nodes, edges, xrefs)
    if graph.sha256 != meta.get("sha256"):
        raise KnowledgeError("the graph database was changed after it was built (its hash differs); rebuild it")
    return graph


def write_source(imported: Imported, url: str, progress: Progress = lambda what, count: None) -> None:
    """Write one imported source beside the graph, in one transaction; an earlier import of it is replaced.

    Raises
    ------
    KnowledgeError
        When the database cannot be reached or written.
    """
    info, name = imported.info, imported.info.name
    content = Graph(nodes=imported.nodes, edges=imported.edges)
    row = asdict(info) | {"files": json.dumps(info.files), "rejected": json.dumps(info.rejected)}
    rows: tuple[tuple[Table, list[dict[str, object]]], ...] = (
        (FOREIGN_NODES, [{"source": name, **_node_row(node)} for node in content.nodes]),
        (FOREIGN_EDGES, [{"source": name, **_edge_row(edge)} for edge in content.edges]),
        (XREFS, _xref_rows(name, content)),
        (SOURCES, [row | {"content_sha256": content.sha256}]),
    )
    engine = _engine(url)
    try:
        METADATA.create_all(engine)
        with engine.begin() as connection:
            for table, written in rows:
                of = SOURCES.c.name if table is SOURCES else table.c.source
                connection.execute(table.delete().where(of == name))
                for start in range(0, len(written), BATCH):
                    connection.execute(table.insert(), written[start : start + BATCH])
                    progress(table.name, min(start + BATCH, len(written)))
    except SQLAlchemyError as error:
        raise KnowledgeError(f"{name} could not be written to {engine.url!r}: {_short(error)}") from error
    finally:
        engine.dispose()


def sources(url: str) -> tuple[SourceInfo, ...]:
    """What was imported into a database, by name; nothing where nothing was, or where there is no database yet.

    Raises
    ------
    KnowledgeError
        When the database cannot be read.
    """
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table(SOURCES.name):
                return ()
            rows = connection.execute(select(SOURCES).order_by(SOURCES.c.name)).mappings().all()
    except SQLAlchemyError as error:
        raise KnowledgeError(f"no sources can be read from {engine.url!r}: {_short(error)}") from error
    finally:
        engine.dispose()
    return tuple(_info(row) for row in rows)


def read_source(url: str, name: str) -> Imported:
    """One imported source.

    Raises
    ------
    KnowledgeError
        When there is none of that name, or it was changed after the import.
    """
    known = {info.name: info for info in sources(url)}
    if name not in known:
        there = ", ".join(known) or "none"
        raise KnowledgeError(f"no imported source named {name!r}; there are: {there}; see 'cds kg import'")
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            tables = (FOREIGN_NODES, FOREIGN_EDGES, XREFS)
            nodes, edges, xrefs = (
                connection.execute(select(table).where(table.c.source == name)).mappings().all() for table in tables
            )
            stated = connection.execute(select(SOURCES.c.content_sha256).where(SOURCES.c.name == name)).scalar_one()
    except SQLAlchemyError as error:
        raise KnowledgeError(f"{name} cannot be read from {engine.url!r}: {_short(error)}") from error
    finally:
        engine.dispose()
    graph = _graph(nodes, edges, xrefs)
    if graph.sha256 != stated:
        raise KnowledgeError(f"the source {name!r} was changed after its import (its hash differs); import it again")
    return Imported(info=known[name], nodes=graph.nodes, edges=graph.edges)


def _info(row: RowMapping) -> SourceInfo:
    return SourceInfo(
        name=row["name"],
        version=row["version"],
        licence=row["licence"],
        files=tuple(json.loads(row["files"])),
        sha256=row["sha256"],
        nodes=row["nodes"],
        edges=row["edges"],
        rejected=tuple((str(reason), int(count)) for reason, count in json.loads(row["rejected"])),
        imported_at=row["imported_at"],
    )


def _graph(nodes: Sequence[RowMapping], edges: Sequence[RowMapping], xrefs: Sequence[RowMapping]) -> Graph:
    """Sorted here, as Python sorts: databases collate in their own ways."""
    also: dict[str, list[tuple[int, str]]] = {}
    for row in xrefs:
        also.setdefault(row["key"], []).append((row["place"], row["xref"]))
    found = (_node(row, tuple(xref for _, xref in sorted(also.get(row["key"], [])))) for row in nodes)
    return Graph(
        nodes=tuple(sorted(found, key=lambda node: node.key)),
        edges=tuple(sorted((_edge(row) for row in edges), key=lambda edge: edge.identity)),
    )


def _engine(url: str) -> Engine:
    try:
        return create_engine(url)
    except (SQLAlchemyError, ImportError) as error:
        raise KnowledgeError(f"no such database: {_short(error)}; give sqlite:///FILE or postgresql+...") from error


def _short(error: Exception) -> str:
    return str(error).splitlines()[0]


def _node_row(node: Node) -> dict[str, object]:
    return {
        "key": node.key,
        "kind": node.kind.value,
        "scheme": node.code.scheme,
        "code": node.code.value,
        "meaning": node.code.meaning,
        "meaning_zh": node.code.meaning_zh,
        "synonyms": json.dumps(node.synonyms, ensure_ascii=False),
        "loinc": node.loinc,
        "direction": node.direction,
        "prior": node.prior.value,
    }


def _edge_row(edge: Edge) -> dict[str, object]:
    strength = edge.strength
    return {
        "subject": edge.subject,
        "relation": edge.relation.value,
        "object": edge.object,
        "citation": edge.citation,
        "sensitivity": strength.sensitivity,
        "specificity": strength.specificity,
        "lr_positive": strength.lr_positive,
        "lr_negative": strength.lr_negative,
        "grade": strength.grade.value if strength.grade else "",
        "note": edge.note,
    }


def _xref_rows(source: str, graph: Graph) -> list[dict[str, object]]:
    return [
        {"source": source, "key": node.key, "place": place, "xref": xref}
        for node in graph.nodes
        for place, xref in enumerate(node.xrefs)
    ]


def _node(row: RowMapping, xrefs: tuple[str, ...]) -> Node:
    return Node(
        key=row["key"],
        kind=Kind(row["kind"]),
        code=Code(row["code"], row["scheme"], row["meaning"], row["meaning_zh"]),
        synonyms=tuple(json.loads(row["synonyms"])),
        loinc=row["loinc"],
        direction=row["direction"],
        prior=Prior(row["prior"]),
        xrefs=xrefs,
    )


def _edge(row: RowMapping) -> Edge:
    strength = Strength(
        sensitivity=row["sensitivity"],
        specificity=row["specificity"],
        lr_positive=row["lr_positive"],
        lr_negative=row["lr_negative"],
        grade=Grade(row["grade"]) if row["grade"] else None,
    )
    return Edge(
        subject=row["subject"],
        relation=Relation(row["relation"]),
        object=row["object"],
        citation=row["citation"],
        strength=strength,
        note=row["note"],
    )
