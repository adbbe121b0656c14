r"""HL7 v2 messages in ER7, the form with vertical bars (HL7 v2.5.1 chapter 2.5 to 2.7), read as far as is asked.

A message is cut into segments and fields at once, a field into components and escapes only when it is
looked at: that is what makes it fast, for most fields never are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cds_hl7.charsets import codec_of

_NAME: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_SEPARATORS: Final = "^~\\&"
NULL: Final = '""'
"""What a field says that is to be deleted (2.5.3.1); an empty one says nothing."""
_MOST_BLANK_LINES: Final = 10


class Unreadable(ValueError):
    """The bytes are no message; `code` is of HL7 table 0357, and the reason repeats nothing of them."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Delimiters:
    """MSH-1 and MSH-2."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"


class Segment:
    """One segment; fields are counted as HL7 does, from 1, and MSH-1 is the field separator."""

    __slots__ = ("_codec", "_delimiters", "_fields", "name")

    def __init__(self, line: str, delimiters: Delimiters, codec: str) -> None:
        self._fields = line.split(delimiters.field)
        self._delimiters = delimiters
        self._codec = codec
        self.name = self._fields[0]
        if self.name == "MSH":
            self._fields.insert(1, delimiters.field)

    def raw(self, number: int) -> str:
        """A field as it stands there; ``""`` where the segment is shorter."""
        return self._fields[number] if number < len(self._fields) else ""

    def repetitions(self, number: int) -> tuple[str, ...]:
        """The repetitions of a field, as they stand there; none of an empty field."""
        field = self.raw(number)
        return tuple(field.split(self._delimiters.repetition)) if field else ()

    def text(self, number: int, component: int = 1, subcomponent: int = 1) -> str:
        """A component of the first repetition of a field, without escapes and surrounding blanks."""
        return self.part(next(iter(self.repetitions(number)), ""), component, subcomponent)

    def part(self, repetition: str, component: int = 1, subcomponent: int = 1) -> str:
        """A component of a repetition, without escapes and surrounding blanks."""
        inner = _nth(
            _nth(repetition, self._delimiters.component, component), self._delimiters.subcomponent, subcomponent
        )
        return self.unescaped(inner).strip()

    def whole(self, repetition: str) -> str:
        """A repetition as text that has no components, for values of type ST, TX and FT."""
        return self.unescaped(repetition)

    def unescaped(self, text: str) -> str:
        r"""Resolve escapes (2.7): ``\F\ \S\ \T\ \R\ \E\ \X..\ \.br\``; formatting that text cannot show is dropped.

        An escape character that stands alone stays, and so does an escape that HL7 does not have.
        """
        mark = self._delimiters.escape
        if mark not in text:
            return text
        return re.sub(f"{re.escape(mark)}([^{re.escape(mark)}]*){re.escape(mark)}", self._resolved, text)

    def _resolved(self, found: re.Match[str]) -> str:
        inside, marks = found[1], self._delimiters
        single = {"F": marks.field, "S": marks.component, "T": marks.subcomponent, "R": marks.repetition}
        single |= {"E": marks.escape, "H": "", "N": "", ".br": "\n", ".ce": "\n", ".fi": "", ".nf": ""}
        if inside in single:
            return single[inside]
        if inside.startswith(".sp"):
            count = inside[3:].strip(" +")
            return "\n" * min(int(count) if count.isdecimal() else 1, _MOST_BLANK_LINES)
        if inside.startswith((".in", ".ti", ".sk")):
            return " "
        if inside.startswith("X"):
            return self._of_hex(inside[1:]) or found[0]
        return found[0]

    def _of_hex(self, digits: str) -> str:
        try:
            return bytes.fromhex(digits).decode(self._codec)
        except ValueError:
            return ""


@dataclass(frozen=True, slots=True)
class Message:
    """Segments in their order; the first is the MSH."""

    segments: tuple[Segment, ...]
    delimiters: Delimiters
    codec: str

    @property
    def header(self) -> Segment:
        """The MSH segment."""
        return self.segments[0]

    @property
    def kind(self) -> tuple[str, str]:
        """Message type and trigger event (MSH-9.1, MSH-9.2)."""
        return self.header.text(9), self.header.text(9, 2)

    def all(self, name: str) -> Iterator[Segment]:
        """Every segment of that name."""
        return (segment for segment in self.segments if segment.name == name)


def messages_in(content: bytes) -> tuple[bytes, ...]:
    """Each message of a block; a block should hold one, and some senders put more into it.

    Where segments end in carriage returns, a line feed alone is text, and what follows it no message.
    """
    ends = rb"(?<=\r)|(?<=\r\n)" if b"\r" in content else rb"(?<=\n)"
    begins = [found.start() for found in re.finditer(rb"(?:\A|" + ends + rb")MSH(?=[^A-Za-z0-9\s])", content)]
    if not begins or content[: begins[0]].strip():
        return (content,)
    return tuple(content[a:b] for a, b in zip(begins, [*begins[1:], len(content)], strict=True))


def read(content: bytes, default_codec: str) -> Message:
    """The message of a block.

    Raises
    ------
    Unreadable
        When it has no MSH, separators that cannot be, a character set that is not known or that it is
        not in, or a segment without a name.
    """
    codec = _codec(content, default_codec)
    try:
        text = content.decode(codec)
    except UnicodeDecodeError:
        raise Unreadable(102, "the message is not in its character set (MSH-18)") from None
    text = text.strip("\r\n")
    marks = delimiters_of(text)
    lines = [line.lstrip("\n") for line in text.split("\r" if "\r" in text else "\n")]
    segments = tuple(Segment(line, marks, codec) for line in lines if line.strip())
    for number, segment in enumerate(segments, start=1):
        if not _NAME.fullmatch(segment.name):
            raise Unreadable(100, f"segment {number} has no name of three characters")
    return Message(segments, marks, codec)


def delimiters_of(text: str) -> Delimiters:
    """MSH-1 and MSH-2 of a message; where MSH-2 is shorter, HL7's own fill it up.

    Raises
    ------
    Unreadable
        When it does not begin with an MSH segment, or two separators are one.
    """
    if not text.startswith("MSH") or len(text) < 5:
        raise Unreadable(100, "the message does not begin with an MSH segment")
    field = text[3]
    given = re.split(f"[{re.escape(field)}\r\n]", text[4:16], maxsplit=1)[0][:4]
    marks = Delimiters(field, *(given + _SEPARATORS[len(given) :]))
    every = {field, marks.component, marks.repetition, marks.escape, marks.subcomponent}
    if len(every) < 5 or any(mark.isalnum() or mark.isspace() for mark in every):
        raise Unreadable(100, "MSH-1 and MSH-2 do not name five separators")
    return marks


def _codec(content: bytes, default_codec: str) -> str:
    """The codec that MSH-18 names.

    It stands behind names that may be in that very character set, in which GB 18030 may use the byte
    of the field separator: what a codec makes of MSH-18 counts only if MSH-18 names that codec.
    """
    line = re.split(rb"[\r\n]", content.lstrip(b"\r\n"), maxsplit=1)[0]
    guesses = dict.fromkeys(("latin-1", default_codec, "gb18030", "big5", "shift_jis"))
    names = [_charset_name(line, guess) for guess in guesses]
    for name in names:
        codec = codec_of(name)
        if codec is not None and _charset_name(line, codec) == name:
            return codec
    if not any(names):
        return default_codec
    raise Unreadable(103, "the character set (MSH-18) is not one that is read")


def _charset_name(line: bytes, codec: str) -> str:
    """MSH-18: its first repetition that says something."""
    header = line.decode(codec, errors="replace")
    fields = header.split(header[3:4] or "|")
    given = fields[17].split("~") if len(fields) > 17 else []
    return next((name.strip() for name in given if name.strip()), "")


def _nth(text: str, separator: str, number: int) -> str:
    if number == 1:
        return text.split(separator, 1)[0]
    parts = text.split(separator, number)
    return parts[number - 1] if number <= len(parts) else ""
