"""Import foreign ontologies and tables as a source of its own: read, check, and say which lines were refused.

A wrong line costs that line; a file that cannot be read, or a source without a licence, costs the import.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cds.errors import KnowledgeError
from knowledge_graph import jsonld, obo, phenotypes, tables
from knowledge_graph.imported import About, Claim, Concept, Imported, Place, Reason, Record, Rejected, SourceInfo
from knowledge_graph.model import ENDS, Edge, Relation

READERS: Final[Mapping[str, Callable[[Path], Iterator[Record]]]] = MappingProxyType(
    {
        ".obo": obo.read,
        ".tab": phenotypes.read,
        ".csv": tables.read,
        ".jsonld": jsonld.read,
        ".json": jsonld.read,
    }
)
"""Which reader a file name asks for; each also with ``.gz`` behind it."""

RULES: Final = "1"
"""Part of the hash of a source: other rules of reading are another import."""

Progress = Callable[[str, int], None]


@dataclass(slots=True)
class _Draft:
    """What the files gave so far."""

    about: list[About] = field(default_factory=list)
    concepts: dict[str, Concept] = field(default_factory=dict)
    also: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    claims: list[Claim] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def fingerprint(files: Sequence[Path], name: str, licence: str) -> str:
    """Hash of what an import depends on: the files, what the source is called, its licence, and the rules.

    Raises
    ------
    KnowledgeError
        When a file cannot be read.
    """
    digest = hashlib.sha256("\0".join((RULES, name, licence)).encode())
    for file in files:
        try:
            digest.update(f"\0{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
        except OSError as error:
            raise KnowledgeError(f"{file.name} cannot be read: {error}") from error
    return digest.hexdigest()


def read_source(
    files: Sequence[Path],
    now: datetime,
    name: str = "",
    licence: str = "",
    progress: Progress = lambda what, count: None,
) -> Imported:
    """The files as one source, checked.

    Parameters
    ----------
    name, licence
        What the source is called and under which licence it comes; empty: as its first file says.
    progress
        Told what is read, and how many records so far.

    Raises
    ------
    KnowledgeError
        When a file cannot be read or is of no known kind, or name or licence are given nowhere.
    """
    draft = _Draft()
    for file in files:
        for count, record in enumerate(_reader(file)(file), 1):
            _take(draft, record)
            if count % 5000 == 0:
                progress(file.name, count)
    edges = _edges(draft)
    progress("checked", len(edges))
    nodes = tuple(concept.node for _, concept in sorted(draft.concepts.items()))
    draft.rejected.sort(key=lambda item: ([file.name for file in files].index(item.place.file), item.place.line))
    info = SourceInfo(
        name=_said(name, draft.about, "name", "--source"),
        version=next((about.version for about in draft.about if about.version), ""),
        licence=_said(licence, draft.about, "licence", "--licence"),
        files=tuple(file.name for file in files),
        sha256=fingerprint(files, name, licence),
        nodes=len(nodes),
        edges=len(edges),
        rejected=tuple(sorted(Counter(item.reason.value for item in draft.rejected).items())),
        imported_at=now.isoformat(timespec="seconds"),
    )
    return Imported(info=info, nodes=nodes, edges=edges, rejected=tuple(draft.rejected))


def _reader(file: Path) -> Callable[[Path], Iterator[Record]]:
    suffix = Path(file.name.removesuffix(".gz")).suffix
    if suffix not in READERS:
        raise KnowledgeError(f"{file.name}: no reader for {suffix!r}; there are: {', '.join(READERS)}, also with .gz")
    return READERS[suffix]


def _said(given: str, about: Iterable[About], field: str, option: str) -> str:
    value = given or next((text for item in about if (text := str(getattr(item, field)))), "")
    if not value:
        raise KnowledgeError(f"the files do not say the {field} of the source; give it with {option}")
    return value


def _take(draft: _Draft, record: Record) -> None:
    match record:
        case About():
            draft.about.append(record)
        case Rejected():
            draft.rejected.append(record)
        case Claim():
            draft.claims.append(record)
        case Concept():
            _take_concept(draft, record)


def _take_concept(draft: _Draft, concept: Concept) -> None:
    key = concept.node.key
    if concept.obsolete:
        if concept.replaced_by:
            draft.also.setdefault(key, concept.replaced_by)
        draft.gone.add(key)
        draft.rejected.append(Rejected(concept.place, Reason.OBSOLETE, f"{key} is obsolete"))
    elif key in draft.concepts:
        first = draft.concepts[key].place
        draft.rejected.append(Rejected(concept.place, Reason.DUPLICATE, f"{key} is there twice, first in {first}"))
    else:
        draft.concepts[key] = concept
        for other in concept.others:
            draft.also.setdefault(other, key)


def _edges(draft: _Draft) -> tuple[Edge, ...]:
    """The claims that hold, sorted; of two that say the same, the first that says how strongly is kept."""
    kept: dict[tuple[str, str, str], tuple[Place, Edge]] = {}
    for claim in draft.claims:
        edge = _edge(draft, claim)
        if isinstance(edge, Rejected):
            draft.rejected.append(edge)
            continue
        place, first = kept.get(edge.identity, (claim.place, edge))
        if first is edge:
            kept[edge.identity] = claim.place, edge
            continue
        better = edge.strength.known and not first.strength.known
        if better:
            kept[edge.identity] = claim.place, edge
        lost, other = (place, claim.place) if better else (claim.place, place)
        name = " ".join(edge.identity)
        draft.rejected.append(Rejected(lost, Reason.DUPLICATE, f"{name} also stands in {other}, which is kept"))
    for place, closed in closing(item for item in kept.values() if item[1].relation is Relation.IS_A):
        del kept[closed.identity]
        message = f"{closed.subject} is_a {closed.object} closes a circle"
        draft.rejected.append(Rejected(place, Reason.CIRCLE, message))
    return tuple(edge for _, (_, edge) in sorted(kept.items()))


def _edge(draft: _Draft, claim: Claim) -> Edge | Rejected:
    try:
        relation = Relation(claim.relation)
    except ValueError:
        known = ", ".join(Relation)
        message = f"unknown relation {claim.relation!r}; there are: {known}"
        return Rejected(claim.place, Reason.UNKNOWN_RELATION, message)
    ends = [_resolved(draft, key) for key in (claim.subject, claim.object)]
    for key in ends:
        if key not in draft.concepts:
            reason, what = (Reason.OBSOLETE, "is obsolete") if key in draft.gone else (Reason.DANGLING, "is not there")
            return Rejected(claim.place, reason, f"{claim.subject} {relation} {claim.object}: {key} {what}")
    starts, targets = ENDS[relation]
    kinds = [draft.concepts[key].node.kind for key in ends]
    if kinds[0] not in starts or kinds[1] not in targets or (relation is Relation.IS_A and kinds[0] is not kinds[1]):
        message = f"{relation} cannot lead from a {kinds[0]} to a {kinds[1]}"
        return Rejected(claim.place, Reason.MISPLACED, message)
    return Edge(
        subject=ends[0],
        relation=relation,
        object=ends[1],
        citation=claim.citation,
        strength=claim.strength,
        note=claim.note,
    )


def _resolved(draft: _Draft, key: str) -> str:
    """The key under which a concept stands now: not an alternative one, nor one that was replaced."""
    passed: set[str] = set()
    while key not in draft.concepts and key in draft.also and key not in passed:
        passed.add(key)
        key = draft.also[key]
    return key


def closing(placed: Iterable[tuple[Place, Edge]]) -> list[tuple[Place, Edge]]:
    """The is_a edges to leave out so that no circle remains: each one that leads back to where a walk came from."""
    upward: dict[str, list[tuple[Place, Edge]]] = {}
    for item in placed:
        upward.setdefault(item[1].subject, []).append(item)
    closed: list[tuple[Place, Edge]] = []
    done: set[str] = set()
    for start in upward:
        if start in done:
            continue
        walk: list[tuple[str, Iterator[tuple[Place, Edge]]]] = [(start, iter(upward[start]))]
        above = {start}
        while walk:
            here, remaining = walk[-1]
            step = next(remaining, None)
            if step is None:
                walk.pop()
                above.discard(here)
                done.add(here)
            elif step[1].object in above:
                closed.append(step)
            elif step[1].object not in done:
                walk.append((step[1].object, iter(upward.get(step[1].object, ()))))
                above.add(step[1].object)
    return closed
