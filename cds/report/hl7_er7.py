r"""HL7 v2.5.1 in ER7, the form with vertical bars (chapter 2.5 to 2.7): fields, escapes, segments.

A value is escaped when it becomes a component, so that no text can end a field or begin a segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from cds.domain.code import Code
from cds.report.envelope import LONG_STRING
from cds.report.wording import clean, one_line

ENCODING_CHARACTERS: Final = "^~\\&"
ESCAPES: Final = str.maketrans(
    {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\t": " "}
    | dict.fromkeys("\n\u2028\u2029", "\\.br\\")
)
"""Section 2.7.1; ``\\.br\\`` is a line's end in a formatted text (2.7.6)."""
CODING_SYSTEMS: Final = {"UMLS": "UML"}
"""Where HL7 table 0396 calls a scheme otherwise than DICOM."""


def line(text: str, limit: int = 0) -> str:
    """A value of type ST, IS or ID: one line, escaped; cut at `limit` characters (0: not cut)."""
    return one_line(text, limit).translate(ESCAPES)


def formatted(text: str) -> str:
    """A value of type FT: lines are kept."""
    return clean(text).strip().translate(ESCAPES)


def components(*parts: str, by: str = "^") -> str:
    """Components that are escaped already, without empty ones at the end."""
    return by.join(parts).rstrip(by)


def coded(code: Code) -> str:
    """A code as CE or CWE: identifier, text, coding system."""
    return components(
        line(code.value), line(code.meaning, LONG_STRING), line(CODING_SYSTEMS.get(code.scheme, code.scheme))
    )


def number(value: float) -> str:
    """A value of type NM: every digit, no exponent (2.A.47)."""
    shown = format(Decimal(repr(float(value))), "f")
    return shown.removesuffix(".0")


def moment(value: datetime | None) -> str:
    """A TS with its offset from UTC; without, where no zone is known."""
    return f"{value:%Y%m%d%H%M%S%z}" if value else ""


def segment(name: str, fields: Sequence[str]) -> str:
    """One segment; fields are counted from 1, and empty ones at the end are left out."""
    return "|".join([name, *fields]).rstrip("|")


def numbered(name: str, fields: dict[int, str]) -> str:
    """One segment from its fields by number."""
    return segment(name, [fields.get(number, "") for number in range(1, max(fields) + 1)])
