"""Keep a graph in a database (SQLite or PostgreSQL) and read it back, the same to the last bit."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from sqlalchemy import Column, Engine, Float, MetaData, RowMapping, String, Table, create_engine, select
from sqlalchemy.exc import SQLAlchemyError

from cds.domain.code import Code
from cds.errors import KnowledgeError
from knowledge_graph.model import Edge, Grade, Graph, Kind, Node, Prior, Relation, Strength

SCHEMA_VERSION = "1"

METADATA = MetaData()
NODES = Table(
    "kg_nodes",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("scheme", String(16), nullable=False),
    Column("code", String(16), nullable=False),
    Column("meaning", String(128), nullable=False),
    Column("meaning_zh", String(128), nullable=False),
    Column("synonyms", String, nullable=False),
    Column("loinc", String(64), nullable=False),
    Column("direction", String(8), nullable=False),
    Column("prior", String(16), nullable=False),
)
EDGES = Table(
    "kg_edges",
    METADATA,
    Column("subject", String(64), primary_key=True),
    Column("relation", String(32), primary_key=True),
    Column("object", String(64), primary_key=True),
    Column("citation", String, nullable=False),
    Column("sensitivity", Float(53)),
    Column("specificity", Float(53)),
    Column("lr_positive", Float(53)),
    Column("lr_negative", Float(53)),
    Column("grade", String(16), nullable=False),
    Column("note", String, nullable=False),
)
META = Table("kg_meta", METADATA, Column("key", String(64), primary_key=True), Column("value", String, nullable=False))

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
        (META, [{"key": key, "value": value} for key, value in meta.items()]),
    )
    engine = _engine(url)
    try:
        METADATA.create_all(engine)
        with engine.begin() as connection:
            for table, content in rows:
                connection.execute(table.delete())
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
    except SQLAlchemyError as error:
        message = f"no graph can be read from {engine.url!r}: {_short(error)}; build one with 'cds kg build'"
        raise KnowledgeError(message) from error
    finally:
        engine.dispose()
    if meta.get("schema") != SCHEMA_VERSION:
        raise KnowledgeError(f"the graph database has schema {meta.get('schema')!r}, not {SCHEMA_VERSION}; rebuild it")
    graph = _graph(nodes, edges)
    if graph.sha256 != meta.get("sha256"):
        raise KnowledgeError("the graph database was changed after it was built (its hash differs); rebuild it")
    return graph


def _graph(nodes: Sequence[RowMapping], edges: Sequence[RowMapping]) -> Graph:
    """Sorted here, as Python sorts: databases collate in their own ways."""
    return Graph(
        nodes=tuple(sorted((_node(row) for row in nodes), key=lambda node: node.key)),
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


def _node(row: RowMapping) -> Node:
    return Node(
        key=row["key"],
        kind=Kind(row["kind"]),
        code=Code(row["code"], row["scheme"], row["meaning"], row["meaning_zh"]),
        synonyms=tuple(json.loads(row["synonyms"])),
        loinc=row["loinc"],
        direction=row["direction"],
        prior=Prior(row["prior"]),
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
