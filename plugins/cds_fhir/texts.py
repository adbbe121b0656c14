"""The text of a DiagnosticReport (R4): a presented form that is text, else the conclusion."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from email.message import Message
from html.parser import HTMLParser
from typing import Final

from cds_fhir.elements import Element, children, text

TEXT_LIMIT_BYTES: Final = 1 << 20
_BLOCKS: Final = frozenset(("address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "footer")) | {
    *("h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "ol", "p", "pre", "section", "table", "td", "th", "tr"),
    "ul",
}
_SILENT: Final = frozenset(("script", "style", "head", "template"))


def text_of(element: Element) -> tuple[str, tuple[str, ...]]:
    """The report's text, ``""`` where it has none, and why forms that are there were not read.

    Forms say the same (R4: they are semantically equivalent), so that the first that can be read counts. A
    conclusion that does not stand in it follows.
    """
    conclusion = text(element, "conclusion")
    found, reasons = "", []
    for form in children(element, "presentedForm"):
        try:
            found = form_text(form)
        except ValueError as error:
            reasons.append(str(error))
        if found:
            break
    if not found:
        return conclusion, tuple(dict.fromkeys(reasons))
    is_in = _spaced(conclusion) in _spaced(found)
    return found if is_in else f"{found}\n\n{conclusion}", ()


def form_text(form: Element) -> str:
    """The text of one Attachment.

    Raises
    ------
    ValueError
        When it is not in the resource, not of a type that is read, broken or too long.
    """
    kind, charset = _content_type(text(form, "contentType"))
    if kind not in ("text/plain", "text/html"):
        raise ValueError("a presented form that is neither text/plain nor text/html is not read")
    encoded = text(form, "data")
    if not encoded:
        raise ValueError("a presented form that is elsewhere (url) is not fetched")
    if len(encoded) > TEXT_LIMIT_BYTES * 4 // 3 + 1024:
        raise ValueError(f"longer than {TEXT_LIMIT_BYTES} bytes")
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True).decode(charset)
    except (binascii.Error, UnicodeDecodeError, LookupError) as error:
        raise ValueError("a presented form is not base64, or not in the character set that it names") from error
    return plain(content) if kind == "text/html" else content.lstrip("﻿").strip()


def plain(markup: str) -> str:
    """The text of HTML; tags, scripts and styles are left out, blocks are lines."""
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    lines = (re.sub(r"[ \t\r\f\v\xa0]+", " ", line).strip() for line in "".join(reader.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BLOCKS and tag != "br":
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def _content_type(said: str) -> tuple[str, str]:
    """Media type and character set; UTF-8 where none is named."""
    header = Message()
    header["Content-Type"] = re.sub(r"[\r\n]", " ", said) or "application/octet-stream"
    return header.get_content_type(), header.get_content_charset("utf-8")


def _spaced(content: str) -> str:
    return " ".join(content.split())


def accession_numbers(element: Element) -> Iterator[str]:
    """Where a report may name the order or the study that it is of: identifier, basedOn, imagingStudy."""
    for identifier in children(element, "identifier"):
        yield text(identifier, "value")
    for name in ("basedOn", "imagingStudy"):
        for each in children(element, name):
            found = each.get("identifier")
            if isinstance(found, dict):
                yield text(found, "value")
