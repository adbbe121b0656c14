"""The words of a Structured Report (PS3.3 C.17.3) as one text: headings, sentences, measurements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom import Dataset

MAX_ITEMS: Final = 5000
_SAID: Final = frozenset({"CONTAINS", "HAS PROPERTIES", "HAS CONCEPT MOD", "INFERRED FROM"})
"""Relationships whose target is said of the patient; contexts tell who observed, and with what."""
_PASSED_OVER: Final = frozenset({
    ("111028", "DCM"), ("121049", "DCM"), ("121046", "DCM"), ("121058", "DCM"), ("121005", "DCM"), ("112039", "DCM"),
    ("112040", "DCM"), ("126000", "DCM"),
})  # fmt: skip
"""Concept names whose content is about the document: Image Library, Language and Country of Language, Procedure
reported, Observer Type, Tracking Identifier and UID (PS3.16 Annex D). Of (126000, DCM, "Imaging Measurement Report")
only the name is not worth a heading."""
_DOCUMENT: Final = ("126000", "DCM")
_UNNAMED: Final = frozenset({
    ("121071", "DCM"), ("363698007", "SCT"), ("G-C0E3", "SRT"), ("272741003", "SCT"), ("G-C171", "SRT"),
})  # fmt: skip
"""Finding, Finding Site, Laterality (PS3.16 TID 1419): "Nodule, right lung" says as much without their names."""
_END: Final = ".!?;:。！？；："


def content(ds: Dataset) -> str:
    """The document's TEXT, CODE and NUM items in their order.

    A container's name is a heading on its own line. Codes and numbers of one container are one sentence, so that a
    finding, its site and its size stay together.
    """
    budget = [MAX_ITEMS]
    return "\n".join(line for line in _container(ds, budget) if line.strip())


def _container(item: Dataset, budget: list[int]) -> Iterator[str]:
    """The lines of a container: its heading, then what it holds."""
    name = _meaning(item, "ConceptNameCodeSequence")
    if name and _key(item) != _DOCUMENT:
        yield f"{name}:"
    children = [child for child in item.get("ContentSequence") or () if _is_said(child)]
    together = _is_group(children)
    row: list[str] = []
    for child in children:
        budget[0] -= 1
        if budget[0] < 0:
            break
        if child.get("ValueType") == "CONTAINER":
            yield from _sentence(row, together)
            row = []
            yield from _container(child, budget)
        else:
            row += _words(child, budget)
    yield from _sentence(row, together)


def _is_group(children: list[Dataset]) -> bool:
    """Whether the items describe one thing in codes and numbers (PS3.16 TID 1411, 1419)."""
    return any(child.get("ValueType") == "CODE" for child in children) and not any(
        child.get("ValueType") == "CONTAINER" for child in children
    )


def _sentence(row: list[str], together: bool) -> Iterator[str]:
    if together and row:
        yield _ended(" ".join(words if words[-1:] in _END else f"{words}," for words in row).rstrip(","))
    elif row:
        yield from map(_ended, row)


def _ended(words: str) -> str:
    return words if words.rstrip()[-1:] in _END else f"{words.rstrip()}."


def _is_said(item: Dataset) -> bool:
    return str(item.get("RelationshipType", "CONTAINS")) in _SAID and _key(item) not in _PASSED_OVER - {_DOCUMENT}


def _words(item: Dataset, budget: list[int]) -> list[str]:
    """What an item says, and what hangs on it, one string each."""
    own = _value(item)
    hung = [
        words
        for child in item.get("ContentSequence") or ()
        if _is_said(child) and child.get("ValueType") != "CONTAINER" and _spend(budget)
        for words in _words(child, budget)
    ]
    return [own, *hung] if own else hung


def _spend(budget: list[int]) -> bool:
    budget[0] -= 1
    return budget[0] >= 0


def _value(item: Dataset) -> str:
    """The value as words. The name of a TEXT is left out: it is what its container's is, or "Finding"."""
    name = _meaning(item, "ConceptNameCodeSequence")
    match item.get("ValueType"):
        case "TEXT":
            return "\n".join(str(item.get("TextValue", "")).splitlines())
        case "CODE":
            value = _meaning(item, "ConceptCodeSequence")
            return f"{name}: {value}" if name and value and _key(item) not in _UNNAMED else value
        case "NUM":
            return f"{name} {_number(item)}".strip() if _number(item) else ""
        case _:
            return ""


def _number(item: Dataset) -> str:
    """Value and unit of the first Measured Value (0040,A300)."""
    for measured in item.get("MeasuredValueSequence") or ():
        units = measured.get("MeasurementUnitsCodeSequence") or ()
        unit = str(units[0].get("CodeValue", "")) if units else ""
        return f"{measured.get('NumericValue', '')} {unit}".strip()
    return ""


def _meaning(item: Dataset, keyword: str) -> str:
    codes = item.get(keyword) or ()
    return str(codes[0].get("CodeMeaning", "")).strip() if codes else ""


def _key(item: Dataset) -> tuple[str, str]:
    codes = item.get("ConceptNameCodeSequence") or ()
    if not codes:
        return "", ""
    return str(codes[0].get("CodeValue", "")), str(codes[0].get("CodingSchemeDesignator", ""))
