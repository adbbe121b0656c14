"""Read concepts and statements from CSV files with a header row; the export writes the same columns."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from cds.domain.code import Code
from cds.errors import KnowledgeError
from knowledge_graph.imported import Claim, Concept, Place, Reason, Record, Rejected, code_of, curie, open_text
from knowledge_graph.model import Grade, Kind, Node, Prior, Strength

NODE_COLUMNS: Final = (
    *("key", "kind", "en", "zh", "scheme", "code", "synonyms", "xrefs", "loinc", "direction", "prior"),
)
EDGE_COLUMNS: Final = (
    *(
        "from",
        "relation",
        "to",
        "citation",
        "sensitivity",
        "specificity",
        "lr_positive",
        "lr_negative",
        "grade",
        "note",
    ),
)
MANY: Final = "|"
"""Between the parts of a cell that holds several."""

Row = Mapping[str, str]


def read(file: Path) -> Iterator[Record]:
    """Nodes where the header has ``key``, ``kind`` and ``en``; edges where it has ``from``, ``relation``, ``to``.

    Raises
    ------
    KnowledgeError
        When the file cannot be read, or its header is neither.
    """
    try:
        with open_text(file) as stream:
            rows = csv.reader(stream, strict=True)
            columns = [name.strip() for name in next(rows, [])]
            record = _reader(file, columns)
            last = rows.line_num
            for cells in rows:
                place, last = Place(file.name, last + 1), rows.line_num
                yield from _row(place, columns, cells, record)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise KnowledgeError(f"{file.name} cannot be read: {error}") from error


def _reader(file: Path, columns: list[str]) -> Callable[[Place, Row], Record]:
    if {"key", "kind", "en"} <= set(columns) <= set(NODE_COLUMNS):
        return _concept
    if {"from", "relation", "to", "citation"} <= set(columns) <= set(EDGE_COLUMNS):
        return _claim
    raise KnowledgeError(
        f"{file.name}, line 1: the columns are {', '.join(NODE_COLUMNS)} (key, kind and en must be there) "
        f"or {', '.join(EDGE_COLUMNS)} (from, relation, to and citation must be there)"
    )


def _row(
    place: Place, columns: list[str], cells: list[str], record: Callable[[Place, Row], Record]
) -> Iterator[Record]:
    if not cells:
        return
    if len(cells) != len(columns):
        yield Rejected(place, Reason.MALFORMED, f"{len(cells)} cells, not {len(columns)}")
        return
    try:
        yield record(place, {name: cell.strip() for name, cell in zip(columns, cells, strict=True)})
    except ValueError as error:
        yield Rejected(place, Reason.MALFORMED, str(error))


def _concept(place: Place, row: Row) -> Concept:
    key = curie(_text(row, "key"))
    code = code_of(key, _text(row, "en"), row.get("zh", ""))
    if row.get("code"):
        code = Code(row["code"], row.get("scheme") or code.scheme, code.meaning, code.meaning_zh)
    return Concept(
        place=place,
        node=Node(
            key=key,
            kind=Kind(row["kind"]),
            code=code,
            synonyms=_several(row, "synonyms"),
            loinc=row.get("loinc", ""),
            direction=row.get("direction", ""),
            prior=Prior(row.get("prior") or Prior.UNCOMMON),
            xrefs=tuple(curie(text) for text in _several(row, "xrefs")),
        ),
    )


def _claim(place: Place, row: Row) -> Claim:
    return Claim(
        place=place,
        subject=curie(_text(row, "from")),
        relation=_text(row, "relation"),
        object=curie(_text(row, "to")),
        citation=_text(row, "citation"),
        strength=strength_of(row),
        note=row.get("note", ""),
    )


def strength_of(row: Row) -> Strength:
    """The figures and the grade of a row; blank is None.

    Raises
    ------
    ValueError
        When one is no number, negative, or a share beyond 1, or the grade is no `Grade`.
    """
    return Strength(
        sensitivity=_figure(row, "sensitivity", 1.0),
        specificity=_figure(row, "specificity", 1.0),
        lr_positive=_figure(row, "lr_positive"),
        lr_negative=_figure(row, "lr_negative"),
        grade=Grade(row["grade"]) if row.get("grade") else None,
    )


def _figure(row: Row, name: str, most: float = float("inf")) -> float | None:
    text = row.get(name, "")
    if not text:
        return None
    value = float(text)
    if not 0 <= value <= most or value == float("inf"):
        raise ValueError(f"{name} is {text!r}, not a number of 0 or more{' and at most 1' if most == 1 else ''}")
    return value


def _text(row: Row, name: str) -> str:
    if not row[name]:
        raise ValueError(f"{name!r} is empty")
    return row[name]


def _several(row: Row, name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in row.get(name, "").split(MANY) if part.strip())
