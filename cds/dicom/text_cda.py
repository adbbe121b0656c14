"""The narrative of a CDA document (HL7 CDA R2): titles and text of its sections.

Expat reads it as a stream: no tree is built, and a document type or an entity of its own ends the reading, so
that no entity grows and nothing outside is asked for.
"""

from __future__ import annotations

import codecs
import re
from typing import Final
from xml.parsers import expat

from cds.errors import EvidenceError

MAX_CHARACTERS: Final = 200_000
_SPACE: Final = "urn:hl7-org:v3 "
_LINES: Final = frozenset({"paragraph", "br", "item", "tr", "list", "table", "caption", "title", "section", "thead"})
"""Elements that begin and end a line (CDA R2 4.3.5, narrative block)."""
_CELLS: Final = frozenset({"td", "th"})
_SKIPPED: Final = frozenset({"renderMultiMedia", "footnoteRef"})
_DECLARED: Final = re.compile(rb"""^(?:\xef\xbb\xbf)?<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_BLANKS: Final = re.compile(r"[ \t\r\f\v]+")
_LINE_BREAKS: Final = re.compile(r" ?\n[ \n]*")


def narrative(document: bytes) -> str:
    """The narrative text of every section, a title as a heading.

    Raises
    ------
    EvidenceError
        When it is no CDA document, is not well formed, or declares a document type.
    """
    reading = _Reading()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reading.doctype
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.characters
    try:
        parser.Parse(_decoded(document.rstrip(b"\0")), True)
    except expat.ExpatError as error:
        raise EvidenceError(f"the CDA document is not well formed at line {error.lineno}") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise EvidenceError("the CDA document is not in the character set that it declares") from error
    return reading.text()


def _decoded(document: bytes) -> bytes | str:
    """The document; in characters where it declares a set that expat does not know (GB18030)."""
    declared = _DECLARED.match(document)
    name = declared[1].decode() if declared else "utf-8"
    try:
        codec = codecs.lookup(name)
    except LookupError as error:
        raise EvidenceError("the CDA document declares an unknown character set") from error
    return document if codec.name in ("utf-8", "utf-16", "ascii", "iso8859-1") else document.decode(codec.name)


class _Reading:
    """What was read so far; `_within` is the depth below the text or title that is taken, 0 outside."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._within = 0
        self._skipped = 0
        self._pieces: list[str] = []
        self._length = 0

    def doctype(self, name: str, system_id: str | None, public_id: str | None, has_internal_subset: bool) -> None:
        raise EvidenceError("the CDA document declares a document type, which no CDA has")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.removeprefix(_SPACE)
        if not self._path and name != f"{_SPACE}ClinicalDocument":
            raise EvidenceError("the document is no CDA document")
        parent = self._path[-1] if self._path else ""
        self._path.append(local)
        if self._skipped or local in _SKIPPED or attributes.get("revised") == "delete":
            self._skipped += 1
        elif self._within or (parent == "section" and local in ("text", "title")):
            self._within += 1
            self._say("\n" if local in _LINES or self._within == 1 else " " if local in _CELLS else "")

    def end(self, name: str) -> None:
        local = self._path.pop()
        if self._skipped:
            self._skipped -= 1
        elif self._within:
            heading = self._within == 1 and local == "title"
            self._within -= 1
            self._say(":\n" if heading else "\n" if local in _LINES else " " if local in _CELLS else "")

    def characters(self, data: str) -> None:
        if self._within and not self._skipped:
            self._say(_BLANKS.sub(" ", data.replace("\n", " ")))

    def _say(self, words: str) -> None:
        if self._length < MAX_CHARACTERS:
            self._pieces.append(words)
            self._length += len(words)

    def text(self) -> str:
        lines = _LINE_BREAKS.sub("\n", _BLANKS.sub(" ", "".join(self._pieces))).strip()
        return lines.replace("::", ":").replace("：:", "：")[:MAX_CHARACTERS]
