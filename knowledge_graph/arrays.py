"""A graph as arrays in a folder (compressed sparse rows), mapped into memory: large graphs open at once and are shared.

``cds kg pack`` writes the folder. Worker processes map the same files read-only, so that the system holds them
once. A node or an edge becomes an object only when it is asked for. What is asked, and what is answered, is the
same as of a `Network`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cds.domain.code import Code
from cds.errors import KnowledgeError
from knowledge_graph.graph import HOPS, Network, names, nothing_joins
from knowledge_graph.model import Edge, Grade, Graph, Kind, Node, Prior, Relation, Strength

FORMAT: Final = "1"
"""Other arrays, or other costs of a path, are another format: pack again."""

HEAD: Final = "graph.json"
FIGURES: Final = ("sensitivity", "specificity", "lr_positive", "lr_negative")
NUMBERS: Final = (
    *("kind", "subject", "relation", "object", "figures", "grade", "citation", "note", "in_start", "in_edge"),
    *("out_start", "adj_start", "adj_node", "adj_edge", "adj_cost", "name_node"),
)
TEXTS: Final = ("keys", "nodes", "texts", "names", "codes")
_FAR: Final = np.iinfo(np.int32).max
_KINDS: Final = tuple(Kind)
_RELATIONS: Final = tuple(Relation)
_GRADES: Final = (None, *Grade)

Ints = npt.NDArray[np.integer]


def pack(graph: Graph, folder: Path) -> None:
    """Write the arrays of a graph; a folder of them that stands there is replaced, and may be in use meanwhile.

    Raises
    ------
    KnowledgeError
        When the folder holds something else, or cannot be written.
    """
    if folder.exists() and not (folder / HEAD).is_file():
        raise KnowledgeError(f"{folder.name} is there and holds no arrays of a graph; name another folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            fresh = Path(scratch) / "fresh"
            fresh.mkdir()
            _write(graph, fresh)
            if folder.exists():
                folder.rename(Path(scratch) / "old")
            shutil.move(fresh, folder)
    except OSError as error:
        raise KnowledgeError(f"the arrays could not be written to {folder.name}: {error}") from error


def _write(graph: Graph, folder: Path) -> None:
    for name, array in _numbers(graph).items():
        np.save(folder / f"{name}.npy", array)
    named = names(graph)
    texts = {
        "keys": [node.key for node in graph.nodes],
        "nodes": [json.dumps(_node_fields(node), ensure_ascii=False) for node in graph.nodes],
        "texts": _distinct(graph),
        "names": list(named),
        "codes": [f"{node.code.scheme}\t{node.code.value}" for node in graph.nodes],
    }
    for name, lines in texts.items():
        blobs = [line.encode() for line in lines]
        (folder / f"{name}.bin").write_bytes(b"".join(blobs))
        np.save(folder / f"{name}.npy", np.cumsum([0, *map(len, blobs)], dtype=np.int64))
    index = {node.key: at for at, node in enumerate(graph.nodes)}
    np.save(folder / "name_node.npy", np.array([index[key] for key in named.values()], dtype=np.int32))
    files = {file.name: _digest(file) for file in sorted(folder.iterdir())}
    orders = {"kinds": _KINDS, "relations": _RELATIONS, "grades": _GRADES}
    head = {"format": FORMAT, "sha256": graph.sha256, "files": files, **orders}
    (folder / HEAD).write_text(json.dumps(head, indent=1), encoding="utf-8")


def _numbers(graph: Graph) -> dict[str, npt.NDArray[np.generic]]:
    index = {node.key: at for at, node in enumerate(graph.nodes)}
    said = {text: at for at, text in enumerate(_distinct(graph))}
    count = len(graph.nodes)
    subject = np.array([index[edge.subject] for edge in graph.edges], dtype=np.int32)
    target = np.array([index[edge.object] for edge in graph.edges], dtype=np.int32)
    cost = np.array([HOPS.get(edge.relation, 1) for edge in graph.edges], dtype=np.uint8)
    figures = [[getattr(edge.strength, name) for name in FIGURES] for edge in graph.edges]
    here, there = np.concatenate([subject, target]), np.concatenate([target, subject])
    twice = np.tile(np.arange(len(subject), dtype=np.int32), 2)
    order = np.lexsort((twice, cost[twice], there, here))
    return {
        "kind": np.array([_KINDS.index(node.kind) for node in graph.nodes], dtype=np.uint8),
        "subject": subject,
        "object": target,
        "relation": np.array([_RELATIONS.index(edge.relation) for edge in graph.edges], dtype=np.uint8),
        "figures": np.array(figures, dtype=np.float64).reshape(-1, len(FIGURES)),
        "grade": np.array([_GRADES.index(edge.strength.grade) for edge in graph.edges], dtype=np.uint8),
        "citation": np.array([said[edge.citation] for edge in graph.edges], dtype=np.int32),
        "note": np.array([said[edge.note] for edge in graph.edges], dtype=np.int32),
        "out_start": _starts(subject, count),
        "in_start": _starts(target, count),
        "in_edge": np.argsort(target, kind="stable").astype(np.int32),
        "adj_start": _starts(here, count),
        "adj_node": there[order],
        "adj_edge": twice[order],
        "adj_cost": cost[twice[order]],
    }


def _starts(ends: Ints, count: int) -> Ints:
    """Where each node's row begins, ``count + 1`` long."""
    return np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=count))]).astype(np.int64)


def _distinct(graph: Graph) -> list[str]:
    return list(dict.fromkeys(text for edge in graph.edges for text in (edge.citation, edge.note)))


def _node_fields(node: Node) -> list[object]:
    code = node.code
    return [
        *(node.kind.value, code.value, code.scheme, code.meaning, code.meaning_zh),
        *(node.synonyms, node.loinc, node.direction, node.prior.value, node.xrefs),
    ]


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class MappedNetwork(Network):
    """The arrays of a folder, walked as a `Network` is.

    Raises
    ------
    KnowledgeError
        When there are none, they are of another format, or a file was changed after it was written.
    """

    def __init__(self, folder: Path):
        self._head = _checked_head(folder)
        try:
            self._numbers = {name: _mapped(folder / f"{name}.npy") for name in NUMBERS}
            self._texts = {name: _Lines(folder / f"{name}.bin", folder / f"{name}.npy") for name in TEXTS}
        except (OSError, ValueError) as error:
            raise KnowledgeError(f"{folder.name}: the arrays of the graph cannot be read: {error}") from error
        self._keys = list(self._texts["keys"])
        self._index = {key: at for at, key in enumerate(self._keys)}
        self.nodes = _Nodes(self._index, self._texts["nodes"])
        self._edge_lists: dict[tuple[str, Relation, bool], tuple[Edge, ...]] = {}
        self._ascents = {}

    @property
    def sha256(self) -> str:
        """The hash of the graph that was packed; see `Graph.sha256`."""
        return str(self._head["sha256"])

    @cached_property
    def graph(self) -> Graph:  # type: ignore[override]  # read here, an attribute there
        """Everything as objects: what an export needs, and no query does."""
        return Graph(nodes=tuple(self.nodes.values()), edges=tuple(self._edges(np.arange(self._count_edges))))

    @cached_property
    def key_of_code(self) -> dict[Code, str]:  # type: ignore[override]
        """The key of each code."""
        pairs = (line.split("\t") for line in self._texts["codes"])
        return {Code(value, scheme, ""): key for (scheme, value), key in zip(pairs, self._keys, strict=True)}

    @cached_property
    def _named(self) -> dict[str, str]:  # type: ignore[override]
        nodes = (self._keys[at] for at in self._numbers["name_node"].tolist())
        return dict(zip(self._texts["names"], nodes, strict=True))

    @property
    def _count_edges(self) -> int:
        return len(self._numbers["subject"])

    def keys_of(self, kind: Kind) -> frozenset[str]:
        """The keys of the nodes of one kind."""
        return frozenset(self._keys[at] for at in np.flatnonzero(self._numbers["kind"] == _KINDS.index(kind)))

    def of_kind(self, kind: Kind) -> tuple[Node, ...]:
        """Every node of one kind, by key."""
        return tuple(self.nodes[key] for key in sorted(self.keys_of(kind)))

    def outgoing(self, key: str, relation: Relation) -> tuple[Edge, ...]:
        """The edges of one relation that leave a node, in the order of their objects."""
        return self._row(key, relation, outward=True)

    def incoming(self, key: str, relation: Relation) -> tuple[Edge, ...]:
        """The edges of one relation that reach a node, in the order of their subjects."""
        return self._row(key, relation, outward=False)

    def _row(self, key: str, relation: Relation, outward: bool) -> tuple[Edge, ...]:
        asked = (key, relation, outward)
        if asked not in self._edge_lists:
            at, starts = self._index[key], self._numbers["out_start" if outward else "in_start"]
            row = slice(int(starts[at]), int(starts[at + 1]))
            edges = np.arange(row.start, row.stop) if outward else self._numbers["in_edge"][row]
            wanted = edges[self._numbers["relation"][edges] == _RELATIONS.index(relation)]
            self._edge_lists[asked] = tuple(self._edges(wanted))
        return self._edge_lists[asked]

    def _edges(self, wanted: Ints) -> Iterator[Edge]:
        """The edges of these numbers as objects."""
        keys, texts = self._keys, self._texts["texts"]
        names = ("subject", "relation", "object", "figures", "grade", "citation", "note")
        columns = [self._numbers[name][wanted].tolist() for name in names]
        for subject, relation, target, figures, grade, citation, note in zip(*columns, strict=True):
            known = [None if value != value else value for value in figures]
            yield Edge(
                subject=keys[subject],
                relation=_RELATIONS[relation],
                object=keys[target],
                citation=texts[citation],
                strength=Strength(**dict(zip(FIGURES, known, strict=True)), grade=_GRADES[grade]),
                note=texts[note],
            )

    def around(self, key: str, hops: int) -> dict[str, int]:
        """Every concept within so many edges, walked in either direction, and how many they are; by key."""
        distance = np.full(len(self._keys), _FAR, dtype=np.int32)
        front = np.array([self._index[key]])
        distance[front] = 0
        for far in range(1, hops + 1):
            reached = self._numbers["adj_node"][self._slots(front)]
            front = np.unique(reached[distance[reached] == _FAR])
            distance[front] = far
        found = np.flatnonzero(distance != _FAR)
        return dict(zip((self._keys[at] for at in found.tolist()), distance[found].tolist(), strict=True))

    def path(self, start: str, end: str) -> tuple[Edge, ...]:
        """The cheapest chain of edges from one concept to another; see `Network.path`."""
        if start not in self._index or end not in self._index:
            raise nothing_joins(start, end)
        here, goal = self._index[start], self._index[end]
        distance = self._distances(goal, here)
        if distance[here] == _FAR or (here == goal and not self._slots(np.array([here])).size):
            raise nothing_joins(start, end)
        edges: list[int] = []
        while here != goal:
            slots = self._slots(np.array([here]))
            ahead, cost = self._numbers["adj_node"][slots], self._numbers["adj_cost"][slots]
            slot = int(slots[np.flatnonzero(distance[ahead] == distance[here] - cost)[0]])
            edges.append(int(self._numbers["adj_edge"][slot]))
            here = int(self._numbers["adj_node"][slot])
        return tuple(self._edges(np.array(edges, dtype=np.int64)))

    def _distances(self, goal: int, start: int) -> npt.NDArray[np.int32]:
        """Cost from each node to the goal, right for all that are nearer than `start` (Dial's buckets)."""
        distance = np.full(len(self._keys), _FAR, dtype=np.int32)
        distance[goal] = 0
        around = self._slots(np.array([start]))
        beside, price = self._numbers["adj_node"][around], self._numbers["adj_cost"][around].astype(np.int32)
        waiting: dict[int, list[Ints]] = {0: [np.array([goal])]}
        while waiting:
            far = min(waiting)
            if far >= distance[start]:
                break
            right = distance[beside] <= far
            if right.any() and (least := int((distance[beside[right]] + price[right]).min())) <= far + 1:
                distance[start] = least  # the last front is the widest, and need not be walked
                break
            front = np.unique(np.concatenate(waiting.pop(far)))
            slots = self._slots(front[distance[front] == far])
            ahead, total = self._numbers["adj_node"][slots], far + self._numbers["adj_cost"][slots].astype(np.int32)
            for value in np.unique(total).tolist():
                nearer = ahead[(total == value) & (distance[ahead] > value)]
                distance[nearer] = value
                waiting.setdefault(value, []).append(nearer)
        return distance

    def _slots(self, front: Ints) -> Ints:
        """Where the neighbours of some nodes stand in the ``adj`` arrays, row after row."""
        starts = self._numbers["adj_start"][front]
        counts = self._numbers["adj_start"][front + 1] - starts
        before = np.cumsum(counts) - counts
        slots: Ints = np.repeat(starts - before, counts) + np.arange(int(counts.sum()))
        return slots


class _Lines:
    """Texts one behind the other in a mapped file, each decoded when it is asked for."""

    def __init__(self, file: Path, offsets: Path):
        self._offsets: Ints = _mapped(offsets)
        filled = file.stat().st_size
        self._blob: npt.NDArray[np.uint8] = (
            np.memmap(file, dtype=np.uint8, mode="r").view(np.ndarray) if filled else np.empty(0, dtype=np.uint8)
        )

    def __getitem__(self, at: int) -> str:
        return self._blob[self._offsets[at] : self._offsets[at + 1]].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        whole, ends = bytes(self._blob), self._offsets.tolist()
        return (whole[start:end].decode() for start, end in pairwise(ends))


class _Nodes(Mapping[str, Node]):
    """Nodes by key, each read when it is asked for."""

    def __init__(self, index: Mapping[str, int], lines: _Lines):
        self._index, self._lines = index, lines
        self._read: dict[str, Node] = {}

    def __getitem__(self, key: str) -> Node:
        if key not in self._read:
            self._read[key] = _node(key, self._lines[self._index[key]])
        return self._read[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: object) -> bool:
        return key in self._index


def _mapped(file: Path) -> npt.NDArray[Any]:
    """The array of a file, mapped read-only; the plain type, as the elements of a `numpy.memmap` are slow to reach."""
    array: npt.NDArray[Any] = np.load(file, mmap_mode="r").view(np.ndarray)
    return array


def _node(key: str, line: str) -> Node:
    kind, value, scheme, meaning, meaning_zh, synonyms, loinc, direction, prior, xrefs = json.loads(line)
    return Node(
        key=key,
        kind=Kind(kind),
        code=Code(value, scheme, meaning, meaning_zh),
        synonyms=tuple(synonyms),
        loinc=loinc,
        direction=direction,
        prior=Prior(prior),
        xrefs=tuple(xrefs),
    )


def _checked_head(folder: Path) -> dict[str, object]:
    try:
        head = json.loads((folder / HEAD).read_text(encoding="utf-8"))
        orders: Iterable[tuple[str, object]] = (("kinds", _KINDS), ("relations", _RELATIONS), ("grades", _GRADES))
        if head["format"] != FORMAT or any(head[name] != list(order) for name, order in orders):  # type: ignore[call-overload]
            raise KnowledgeError(f"{folder.name} was packed by another version; run 'cds kg pack' again")
        changed = [name for name, digest in head["files"].items() if _digest(folder / name) != digest]
    except (OSError, ValueError, KeyError) as error:
        raise KnowledgeError(f"{folder.name} holds no arrays of a graph: {error}; see 'cds kg pack'") from error
    if changed:
        raise KnowledgeError(f"{folder.name}/{changed[0]} was changed after it was packed; run 'cds kg pack' again")
    return dict(head)
