"""Write a graph for other software: GraphML, JSON-LD, Turtle, CSV; CSV and JSON-LD are read back by the import."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

import networkx

from knowledge_graph.jsonld import CONCEPT, GRAPH, RDF, SCHEME, SKOS, SYSTEMS, TERMS
from knowledge_graph.model import Edge, Graph, Node, Relation
from knowledge_graph.tables import EDGE_COLUMNS, MANY, NODE_COLUMNS

PREFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {"kg": GRAPH, "concept": CONCEPT, "scheme": SCHEME, "skos": SKOS, "rdf": RDF, "dcterms": TERMS}
)
_KEPT: Final = ":/#?&=@%+,;()!*'"
"""Characters that stay as they are in an IRI, beside letters, figures and ``-._~``."""


@dataclass(frozen=True, slots=True)
class Credit:
    """What every exported file says about itself: title, version, and the licences of what is in it."""

    title: str
    version: str
    licence: str


def graphml(graph: Graph, credit: Credit, file: Path) -> tuple[Path, ...]:
    """One GraphML file: every field of every node and edge, several edges between two nodes allowed."""
    network: networkx.MultiDiGraph[str] = networkx.MultiDiGraph(
        title=credit.title, version=credit.version, licence=credit.licence
    )
    for node in graph.nodes:
        network.add_node(node.key, **{name: cell for name, cell in _node_row(node).items() if name != "key"})
    for edge in graph.edges:
        fields = {name: cell for name, cell in _edge_row(edge).items() if name not in {"from", "to"} and cell}
        network.add_edge(edge.subject, edge.object, key=edge.relation.value, **fields)
    networkx.write_graphml(network, file)
    return (file,)


def table(graph: Graph, credit: Credit, file: Path) -> tuple[Path, ...]:
    """Two CSV files, ``NAME.nodes.csv`` and ``NAME.edges.csv``; the licences stand in ``NAME.licence.txt``."""
    stem = file.with_suffix("") if file.suffix == ".csv" else file
    nodes, edges, licence = (stem.with_name(f"{stem.name}.{end}") for end in ("nodes.csv", "edges.csv", "licence.txt"))
    for path, columns, rows in (
        (nodes, NODE_COLUMNS, (_node_row(node) for node in graph.nodes)),
        (edges, EDGE_COLUMNS, (_edge_row(edge) for edge in graph.edges)),
    ):
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(rows)
    licence.write_text(f"{credit.title} {credit.version}\n{credit.licence}\n", encoding="utf-8")
    return nodes, edges, licence


def json_ld(graph: Graph, credit: Credit, file: Path) -> tuple[Path, ...]:
    """One JSON-LD document: concepts as SKOS, edges as ``rdf:Statement`` with citation and figures."""
    about = {
        "@id": "kg:graph",
        "dcterms:title": credit.title,
        "dcterms:hasVersion": credit.version,
        "dcterms:license": credit.licence,
    }
    with file.open("w", encoding="utf-8") as stream:
        stream.write(
            f'{{"@context": {json.dumps(dict(PREFIXES))},\n"@graph": [\n{json.dumps(about, ensure_ascii=False)}'
        )
        for item in _items(graph):
            stream.write(",\n" + json.dumps(item, ensure_ascii=False))
        stream.write("\n]}\n")
    return (file,)


def turtle(graph: Graph, credit: Credit, file: Path) -> tuple[Path, ...]:
    """One Turtle file with the triples of the JSON-LD document, and each edge as a plain triple as well."""
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(f"@prefix {prefix}: <{iri}> .\n" for prefix, iri in PREFIXES.items())
        about = {"title": credit.title, "hasVersion": credit.version, "license": credit.licence}
        stream.writelines(
            f"kg:graph dcterms:{name} {json.dumps(text, ensure_ascii=False)} .\n" for name, text in about.items()
        )
        for edge in graph.edges:
            stream.write(f"<{iri(edge.subject)}> {_predicate(edge)} <{iri(edge.object)}> .\n")
        for item in _items(graph):
            stream.write(_block(item))
    return (file,)


FORMATS: Final[Mapping[str, Callable[[Graph, Credit, Path], tuple[Path, ...]]]] = MappingProxyType(
    {"graphml": graphml, "jsonld": json_ld, "turtle": turtle, "csv": table}
)
"""What ``cds kg export --format`` takes."""


def iri(key: str) -> str:
    """The name of a concept on the web; one that is in no public system gets a URN.

    >>> iri("HP:0000118"), iri("pneumonia")
    ('http://purl.obolibrary.org/obo/HP_0000118', 'urn:cds:concept:pneumonia')
    """
    prefix, colon, value = key.partition(":")
    if value.startswith("//"):
        return quote(key, _KEPT)
    if prefix in SYSTEMS:
        return SYSTEMS[prefix] + quote(value, _KEPT)
    return (SCHEME if colon else CONCEPT) + quote(key, _KEPT)


def _predicate(edge: Edge) -> str:
    return "skos:broader" if edge.relation is Relation.IS_A else f"kg:{edge.relation}"


def _items(graph: Graph) -> Iterator[dict[str, object]]:
    """Every concept and every statement as a JSON-LD object; nothing is said of what is empty."""
    for node in graph.nodes:
        labels = [{"@language": "en", "@value": node.code.meaning}]
        if node.code.meaning_zh:
            labels.append({"@language": "zh", "@value": node.code.meaning_zh})
        fields = {
            "@id": iri(node.key),
            "@type": ["skos:Concept", f"kg:{node.kind}"],
            "skos:prefLabel": labels,
            "skos:altLabel": list(node.synonyms),
            "skos:notation": node.code.key,
            "skos:exactMatch": [{"@id": iri(xref)} for xref in node.xrefs],
            "kg:loinc": node.loinc,
            "kg:direction": node.direction,
            "kg:prior": node.prior.value,
        }
        yield {name: value for name, value in fields.items() if value}
    for edge in graph.edges:
        row = {f"kg:{name}": cell for name, cell in _edge_row(edge).items() if name in EDGE_COLUMNS[4:] and cell}
        yield {
            "@type": ["rdf:Statement"],
            "rdf:subject": {"@id": iri(edge.subject)},
            "rdf:predicate": {"@id": _predicate(edge)},
            "rdf:object": {"@id": iri(edge.object)},
            "dcterms:source": edge.citation,
            **row,
        }


def _block(item: Mapping[str, object]) -> str:
    """A JSON-LD object as a Turtle block."""
    subject = f"<{item['@id']}>" if "@id" in item else "[]"
    pairs = []
    for name, value in item.items():
        if name == "@id":
            continue
        values = value if isinstance(value, list) else [value]
        objects = ", ".join(str(part) if name == "@type" else _object(part) for part in values)
        pairs.append(f"{'a' if name == '@type' else name} {objects}")
    return f"{subject} " + " ;\n  ".join(pairs) + " .\n"


def _object(value: object) -> str:
    match value:
        case {"@id": str(name)}:
            return name if name.startswith(("kg:", "skos:")) else f"<{name}>"
        case {"@value": str(text), "@language": str(language)}:
            return f"{json.dumps(text, ensure_ascii=False)}@{language}"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _node_row(node: Node) -> dict[str, str]:
    code = node.code
    labels = {"en": code.meaning, "zh": code.meaning_zh, "scheme": code.scheme, "code": code.value}
    lab = {"loinc": node.loinc, "direction": node.direction, "prior": node.prior.value}
    return {
        "key": node.key,
        "kind": node.kind.value,
        **labels,
        "synonyms": MANY.join(node.synonyms),
        "xrefs": MANY.join(node.xrefs),
        **lab,
    }


def _edge_row(edge: Edge) -> dict[str, str]:
    strength = edge.strength
    figures = {name: getattr(strength, name) for name in EDGE_COLUMNS[4:8]}
    return {
        "from": edge.subject,
        "relation": edge.relation.value,
        "to": edge.object,
        "citation": edge.citation,
        **{name: "" if figure is None else repr(float(figure)) for name, figure in figures.items()},
        "grade": strength.grade.value if strength.grade else "",
        "note": edge.note,
    }
