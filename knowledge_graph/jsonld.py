"""Read concepts and statements from JSON-LD: SKOS and RDFS terms, and the statements that the export writes.

Only contexts that stand in the document are used (terms and prefixes); one that is named by its address is
refused, as nothing is fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from cds.domain.code import Code
from cds.errors import KnowledgeError
from knowledge_graph.imported import About, Claim, Concept, Place, Reason, Record, Rejected, code_of, curie, open_text
from knowledge_graph.model import Kind, Node, Prior, Relation
from knowledge_graph.tables import EDGE_COLUMNS, strength_of

GRAPH: Final = "urn:cds:kg:"
CONCEPT: Final = "urn:cds:concept:"
SCHEME: Final = "urn:cds:scheme:"
SKOS: Final = "http://www.w3.org/2004/02/skos/core#"
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS: Final = "http://www.w3.org/2000/01/rdf-schema#"
TERMS: Final = "http://purl.org/dc/terms/"
SYSTEMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "HP": "http://purl.obolibrary.org/obo/HP_",
        "DOID": "http://purl.obolibrary.org/obo/DOID_",
        "MONDO": "http://purl.obolibrary.org/obo/MONDO_",
        "ORPHA": "http://www.orpha.net/ORDO/Orphanet_",
        "OMIM": "https://omim.org/entry/",
        "SCT": "http://snomed.info/id/",
        "LN": "http://loinc.org/rdf/",
    }
)
"""Where the concepts of public systems live on the web."""

LABELS: Final = (f"{SKOS}prefLabel", f"{RDFS}label")
PARENTS: Final = (f"{SKOS}broader", f"{RDFS}subClassOf")
MATCHES: Final = (f"{SKOS}exactMatch", "http://www.geneontology.org/formats/oboInOwl#hasDbXref")
ALTERNATIVES: Final = (f"{SKOS}altLabel", "http://www.geneontology.org/formats/oboInOwl#hasExactSynonym")
_SKIP: Final = re.compile(r"[\s,]*")
_GRAPH: Final = re.compile(r'"@graph"\s*:\s*\[')

Json = object
Item = Mapping[str, list[Json]]


def read(file: Path) -> Iterator[Record]:
    """What the document says about itself, then each concept with its edges, and each ``rdf:Statement``.

    Raises
    ------
    KnowledgeError
        When the file is no JSON-LD document, or names a context by its address.
    """
    try:
        with open_text(file) as stream:
            text = stream.read()
        document = json.loads(text)
    except (OSError, EOFError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise KnowledgeError(f"{file.name} cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise KnowledgeError(f"{file.name}: a JSON-LD document here is an object with '@context' and '@graph'")
    context = _context(file, document.get("@context", {}))
    about = _about(_expanded(document, context))
    yield about
    for place, item in _items(file, text):
        expanded = _expanded(item, context)
        if f"{TERMS}license" in expanded:
            about = _about(expanded)
            yield about
            continue
        try:
            yield from _records(place, expanded, context, f"{about.name or file.name} {about.version}".strip())
        except ValueError as error:
            yield Rejected(place, Reason.MALFORMED, str(error))


def _about(item: Item) -> About:
    """What a document says about itself, on its top or in an object of the graph that has a licence."""
    return About(*(_first(item, f"{TERMS}{name}") for name in ("title", "hasVersion", "license")))


def _items(file: Path, text: str) -> Iterator[tuple[Place, dict[str, Json]]]:
    """Each object of the graph with the line on which it begins."""
    found = _GRAPH.search(text)
    if not found:
        raise KnowledgeError(f"{file.name}: no '@graph'")
    decoder, line, counted = json.JSONDecoder(), 1, 0
    at = found.end()
    while True:
        skipped = _SKIP.match(text, at)
        at = skipped.end() if skipped else at
        if text[at] == "]":
            return
        item, end = decoder.raw_decode(text, at)
        line, counted = line + text.count("\n", counted, at), at
        if isinstance(item, dict):
            yield Place(file.name, line), item
        at = end


def _context(file: Path, given: Json) -> dict[str, str]:
    terms: dict[str, str] = {}
    for part in given if isinstance(given, list) else [given]:
        if not isinstance(part, dict):
            raise KnowledgeError(f"{file.name}: the context {part!r} would have to be fetched; write it out")
        for term, meaning in part.items():
            target = meaning.get("@id") if isinstance(meaning, dict) else meaning
            if isinstance(target, str):
                terms[term] = target
    return {term: _iri(target, terms) for term, target in terms.items()}


def _iri(name: str, context: Mapping[str, str]) -> str:
    """The full name of a term or a compact name; what is neither stays as it is."""
    if name in context and context[name] != name:
        return _iri(context[name], {term: iri for term, iri in context.items() if term != name})
    prefix, colon, rest = name.partition(":")
    if colon and prefix in context and not rest.startswith("//"):
        return _iri(prefix, context) + rest
    return name


def _expanded(item: Mapping[str, Json], context: Mapping[str, str]) -> dict[str, list[Json]]:
    return {
        name if name.startswith("@") else _iri(name, context): value if isinstance(value, list) else [value]
        for name, value in item.items()
    }


def _records(place: Place, item: Item, context: Mapping[str, str], title: str) -> Iterator[Concept | Claim | Rejected]:
    types = [_iri(str(name), context) for name in item.get("@type", [])]
    if f"{RDF}Statement" in types:
        yield _statement(place, item, context)
        return
    key = _key(_first(item, "@id"), context)
    yield Concept(place, _node(key, item, types, tuple(_targets(item, MATCHES, context))))
    citation = f"{title}, {key}"
    for parent in _targets(item, PARENTS, context):
        yield Claim(place, key, Relation.IS_A.value, parent, citation)
    for name, values in item.items():
        if name in PARENTS or name in MATCHES or name.startswith("@"):
            continue
        for target in _keys(values, context):
            yield Claim(place, key, name.removeprefix(GRAPH), target, citation)


def _node(key: str, item: Item, types: list[str], xrefs: tuple[str, ...]) -> Node:
    kinds = [Kind(name.removeprefix(GRAPH)) for name in types if name.startswith(GRAPH)]
    labels = {language: text for name in LABELS for language, text in _texts(item.get(name, []))}
    label = labels.get("en") or labels.get("")
    if not key or not label:
        raise ValueError("a concept needs an '@id' and a label (skos:prefLabel or rdfs:label)")
    code = code_of(key, label, labels.get("zh", ""))
    scheme, _, value = _first(item, f"{SKOS}notation").partition(":")
    return Node(
        key=key,
        kind=kinds[0] if kinds else Kind.FINDING,
        code=Code(value, scheme, code.meaning, code.meaning_zh) if value else code,
        synonyms=tuple(text for name in ALTERNATIVES for _, text in _texts(item.get(name, []))),
        loinc=_first(item, f"{GRAPH}loinc"),
        direction=_first(item, f"{GRAPH}direction"),
        prior=Prior(_first(item, f"{GRAPH}prior") or Prior.UNCOMMON),
        xrefs=xrefs,
    )


def _statement(place: Place, item: Item, context: Mapping[str, str]) -> Claim:
    ends = [next(iter(_keys(item.get(f"{RDF}{name}", []), context)), "") for name in ("subject", "object")]
    predicate = next(iter(_iris(item.get(f"{RDF}predicate", []), context)), "")
    citation = _first(item, f"{TERMS}source")
    if not all(ends) or not predicate or not citation:
        raise ValueError("a statement needs rdf:subject, rdf:predicate, rdf:object and dcterms:source")
    figures = {name: _first(item, f"{GRAPH}{name}") for name in EDGE_COLUMNS[4:9]}
    relation = Relation.IS_A.value if predicate in PARENTS else predicate.removeprefix(GRAPH)
    return Claim(place, ends[0], relation, ends[1], citation, strength_of(figures), _first(item, f"{GRAPH}note"))


def _key(name: str, context: Mapping[str, str]) -> str:
    """A key from a full or compact name: ``http://purl.obolibrary.org/obo/HP_0000118`` is ``HP:0000118``."""
    iri = _iri(name, context)
    if iri.startswith(CONCEPT):
        return unquote(iri.removeprefix(CONCEPT))
    for prefix, start in SYSTEMS.items():
        if iri.startswith(start):
            return f"{prefix}:{unquote(iri.removeprefix(start))}"
    return curie(unquote(iri.removeprefix(SCHEME)))


def _targets(item: Item, names: tuple[str, ...], context: Mapping[str, str]) -> Iterator[str]:
    for name in names:
        for value in item.get(name, []):
            yield from [curie(value)] if isinstance(value, str) else _keys([value], context)


def _keys(values: list[Json], context: Mapping[str, str]) -> Iterator[str]:
    return (_key(iri, context) for iri in _iris(values, context))


def _iris(values: list[Json], context: Mapping[str, str]) -> Iterator[str]:
    for value in values:
        if isinstance(value, dict) and isinstance(value.get("@id"), str):
            yield _iri(value["@id"], context)


def _texts(values: list[Json]) -> Iterator[tuple[str, str]]:
    for value in values:
        if isinstance(value, str):
            yield "", value
        elif isinstance(value, dict) and isinstance(value.get("@value"), str):
            yield str(value.get("@language", "")), value["@value"]


def _first(item: Item, name: str) -> str:
    value = next(iter(item.get(name, [])), "")
    if isinstance(value, dict):
        value = value.get("@value", value.get("@id", ""))
    return value if isinstance(value, str) else json.dumps(value)
