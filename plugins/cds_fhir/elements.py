"""JSON as FHIR has it (R4 2.6.2): read strictly, looked into without trust."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Final

Element = Mapping[str, object]

LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"


class Unreadable(ValueError):
    """What came is no JSON object that can be kept; the message repeats none of it."""


def parsed(content: bytes) -> Element:
    """A JSON object in UTF-8.

    Raises
    ------
    Unreadable
        When it is none, has numbers that are none, or text that is no Unicode.
    """
    try:
        found = json.loads(content.decode("utf-8-sig"), parse_constant=_refused, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Unreadable("the body is not JSON in UTF-8") from error
    if not isinstance(found, dict):
        raise Unreadable("the body is not a JSON object")
    return found


def written(element: Element) -> bytes:
    """The one way in which an element is written, whatever order its members came in.

    Raises
    ------
    Unreadable
        When it holds half a surrogate pair.
    """
    try:
        return json.dumps(element, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError) as error:
        raise Unreadable("the text is no Unicode, or nested too deep") from error


def text(element: Element, name: str) -> str:
    """A member that is text, stripped; ``""`` where it is not there or something else."""
    found = element.get(name)
    return found.strip() if isinstance(found, str) else ""


def child(element: Element, name: str) -> Element:
    """A member that is an object; an empty one where it is not there or something else."""
    found = element.get(name)
    return found if isinstance(found, dict) else {}


def children(element: Element, name: str) -> tuple[Element, ...]:
    """The objects of a member that is a list."""
    found = element.get(name)
    return tuple(each for each in found if isinstance(each, dict)) if isinstance(found, list) else ()


def number(element: Element, name: str) -> float | None:
    """A member that is a number; None where it is not there or something else."""
    found = element.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        return float(found)
    except OverflowError:
        return math.inf


def _refused(constant: str) -> float:
    raise Unreadable("NaN and Infinity are no JSON")


def _finite(digits: str) -> float:
    found = float(digits)
    if not math.isfinite(found):
        raise Unreadable("a number is too large")
    return found
