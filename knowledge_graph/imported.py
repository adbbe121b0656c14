"""What a reader of foreign files hands over: concepts, statements, and the lines that were refused and why."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final

from cds.domain.code import Code
from cds.errors import KnowledgeError
from knowledge_graph.model import Edge, Node, Strength

UNSAID: Final = Strength()
"""Where a file does not say how strongly."""


class Reason(StrEnum):
    """Why a line of a file was not taken."""

    MALFORMED = "malformed"
    DUPLICATE = "duplicate"
    OBSOLETE = "obsolete"
    DANGLING = "dangling"
    UNKNOWN_RELATION = "unknown_relation"
    MISPLACED = "misplaced"
    CIRCLE = "circle"
    NO_FINDING = "no_finding"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: the name of a file, and the line (1-based)."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that was not taken."""

    place: Place
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class About:
    """What a file says about itself; ``""`` where it says nothing."""

    name: str = ""
    version: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Concept:
    """A node as a file gives it.

    `others` are further keys of this one in its own system; an obsolete concept is no node, and its key is one of
    the concept that replaces it.
    """

    place: Place
    node: Node
    others: tuple[str, ...] = ()
    obsolete: bool = False
    replaced_by: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """An edge as a file gives it; the relation may be one that the graph does not know."""

    place: Place
    subject: str
    relation: str
    object: str
    citation: str = ""
    strength: Strength = UNSAID
    note: str = ""


Record = About | Concept | Claim | Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """Where an imported part of the graph comes from, and what became of it.

    `sha256` is over the files, the name and the licence: the same hash is the same import. `rejected` counts
    the lines that were not taken, by reason.
    """

    name: str
    version: str
    licence: str
    files: tuple[str, ...]
    sha256: str
    nodes: int
    edges: int
    rejected: tuple[tuple[str, int], ...]
    imported_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One source, checked: its nodes and edges sorted as in a `Graph`."""

    info: SourceInfo
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    rejected: tuple[Rejected, ...] = ()


PRIVATE: Final = "99IMPORT"
"""The coding scheme of a concept whose file names none."""

PREFIXES: Final = MappingProxyType(
    {
        "SNOMEDCT": "SCT",
        "MIM": "OMIM",
        "ORDO": "ORPHA",
        "ORPHANET": "ORPHA",
        "UMLS_CUI": "UMLS",
        "MSH": "MESH",
        "NCI": "NCIT",
        "ICD10": "ICD-10",
        "ICD10CM": "ICD-10-CM",
    }
)
"""Names under which files cite one system, and the one used here."""

_RELEASE: Final = re.compile(r"_US(_\d{4}_\d\d_\d\d)?$")


def curie(text: str) -> str:
    """A key in one spelling, e.g. ``"SNOMEDCT_US_2025_09_01:39000009"`` as ``"SCT:39000009"``.

    >>> curie("ORDO:558"), curie("MeSH:D021782"), curie("HP:0000118"), curie("pneumonia")
    ('ORPHA:558', 'MESH:D021782', 'HP:0000118', 'pneumonia')
    """
    prefix, colon, value = text.strip().partition(":")
    if not colon or value.startswith("//"):
        return text.strip()
    system = _RELEASE.sub("", prefix.upper())
    return f"{PREFIXES.get(system, system)}:{value.strip()}"


def code_of(key: str, label: str, label_zh: str = "") -> Code:
    """The code that a key stands for: ``"HP:0000118"`` is 0000118 of HP."""
    scheme, colon, value = key.partition(":")
    plain = not colon or value.startswith("//")
    return Code(key, PRIVATE, label, label_zh) if plain else Code(value, scheme, label, label_zh)


def lines(file: Path) -> Iterator[tuple[Place, str]]:
    """The lines of a text file in UTF-8, packed with gzip or not, without their ends.

    Raises
    ------
    KnowledgeError
        When the file cannot be read.
    """
    try:
        with open_text(file) as stream:
            for number, line in enumerate(stream, 1):
                yield Place(file.name, number), line.rstrip("\r\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{file.name} cannot be read: {error}") from error


def open_text(file: Path) -> IO[str]:
    """The file as text in UTF-8; ``.gz`` is unpacked on the way."""
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8", newline="")
    return file.open(encoding="utf-8", newline="")
