"""The body of a multipart message (RFC 2046 5.1), taken apart as it comes, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from enum import Enum, auto
from typing import Final

MAX_HEAD_BYTES: Final = 8192
"""Longest head of a part, and longest preamble; both are a few lines."""

_LINE_END: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,199}[0-9A-Za-z'()+_,\-./:=?]")
"""RFC 2046 5.1.1, the last no space; it allows 70 characters, but Orthanc sends 73."""


class MultipartError(ValueError):
    """The body is not what its Content-Type says; the message says where."""


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A new part; `content_type` is in lower case and without parameters, ``""`` where none is told."""

    content_type: str


@dataclass(frozen=True, slots=True)
class PartEnds:
    """The part is whole: its delimiter was read."""


Event = PartBegins | bytes | PartEnds
"""What a body is made of; the bytes between `PartBegins` and `PartEnds` are the part's content, in order."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type with its parameters; type and parameter names are in lower case."""

    name: str
    parameters: Mapping[str, str]


def media_type(text: str) -> MediaType:
    """Read a Content-Type, or one of an Accept's; ``""`` as name where it is none."""
    message = Message()
    message["content-type"] = text.replace("\r", " ").replace("\n", " ")
    name = message.get_content_type() if "/" in text else ""
    found = message.get_params(failobj=[])
    return MediaType(name, {key.lower(): str(value) for key, value in found[1:]})


def is_boundary(text: str) -> bool:
    """Whether a boundary is of the characters that RFC 2046 allows, and no longer than 200."""
    return _BOUNDARY.fullmatch(text) is not None


class _State(Enum):
    BEFORE = auto()
    DELIMITED = auto()
    HEAD = auto()
    BEGUN = auto()
    CONTENT = auto()
    AFTER = auto()


class MultipartReader:
    """Takes chunks of any size in, gives events out; holds a few kilobytes beside the chunk.

    Raises
    ------
    ValueError
        When the boundary is none (RFC 2046 5.1.1).
    """

    def __init__(self, boundary: str) -> None:
        if not is_boundary(boundary):
            raise ValueError("the boundary is not one that RFC 2046 allows")
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._buffer = bytearray(_LINE_END)  # so that a delimiter at the very beginning is like any other
        self._state = _State.BEFORE

    @property
    def is_complete(self) -> bool:
        """Whether the closing delimiter was read."""
        return self._state is _State.AFTER

    def feed(self, chunk: bytes | bytearray | memoryview) -> Iterator[Event]:
        """Take the next bytes; exhaust the iterator before the next call.

        Raises
        ------
        MultipartError
            When they cannot be what comes next.
        """
        if self.is_complete:
            return  # the epilogue means nothing (RFC 2046 5.1.1)
        self._buffer += chunk
        while True:
            before = (self._state, len(self._buffer))
            yield from self._step()
            if self.is_complete or (self._state, len(self._buffer)) == before:
                return

    def close(self) -> None:
        """Say that nothing more comes.

        Raises
        ------
        MultipartError
            When the closing delimiter is missing: the body was cut off.
        """
        if not self.is_complete:
            raise MultipartError("the multipart body ends without its closing delimiter")

    def _step(self) -> Iterator[Event]:
        """Go on by one state, or as far as the buffer reaches."""
        match self._state:
            case _State.BEFORE:
                self._skip_preamble()
            case _State.DELIMITED:
                self._read_rest_of_delimiter()
            case _State.HEAD:
                yield from self._read_head()
            case _State.BEGUN:
                yield from self._begin_content()
            case _State.CONTENT:
                yield from self._read_content()

    def _skip_preamble(self) -> None:
        at = self._buffer.find(self._delimiter)
        if at >= 0:
            self._delimited(at)
        elif len(self._buffer) > MAX_HEAD_BYTES:
            raise MultipartError("the multipart body does not begin with its boundary")

    def _delimited(self, at: int) -> None:
        del self._buffer[: at + len(self._delimiter)]
        self._state = _State.DELIMITED

    def _read_rest_of_delimiter(self) -> None:
        """After the boundary: ``--`` closes the body, the end of the line opens a part (spaces may precede it)."""
        if self._buffer.startswith(b"--"):
            self._buffer.clear()
            self._state = _State.AFTER
            return
        rest = self._buffer.lstrip(b" \t")
        if rest.startswith(_LINE_END):
            self._buffer = rest  # the line's end stays: a head without lines ends with it
            self._state = _State.HEAD
        elif len(self._buffer) > MAX_HEAD_BYTES or not (b"--".startswith(self._buffer) or _LINE_END.startswith(rest)):
            raise MultipartError("a boundary is followed by something else than the end of its line")

    def _read_head(self) -> Iterator[Event]:
        at = self._buffer.find(_HEAD_END)
        if at > MAX_HEAD_BYTES or (at < 0 and len(self._buffer) > MAX_HEAD_BYTES):
            raise MultipartError(f"the head of a part is longer than {MAX_HEAD_BYTES} bytes")
        if at < 0:
            return
        head = bytes(self._buffer[:at])
        del self._buffer[: at + len(_LINE_END)]  # its own end may be the beginning of a delimiter: an empty part
        self._state = _State.BEGUN
        yield PartBegins(_content_type(head))

    def _begin_content(self) -> Iterator[Event]:
        if self._buffer.startswith(self._delimiter):
            self._delimited(0)
            yield PartEnds()
        elif not self._delimiter.startswith(self._buffer):
            del self._buffer[: len(_LINE_END)]
            self._state = _State.CONTENT

    def _read_content(self) -> Iterator[Event]:
        at = self._buffer.find(self._delimiter)
        end = at if at >= 0 else self._buffer.rfind(b"\r", max(0, len(self._buffer) - len(self._delimiter) + 1))
        content = bytes(self._buffer[:end] if end >= 0 else self._buffer)
        if at >= 0:
            self._delimited(at)
        else:
            del self._buffer[: len(content)]  # a carriage return near the end may begin a delimiter: it waits
        if content:
            yield content
        if at >= 0:
            yield PartEnds()


def _content_type(head: bytes) -> str:
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-type":
            return media_type(value.strip()).name
    return ""
