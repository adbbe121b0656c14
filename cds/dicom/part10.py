"""Open a DICOM file (PS3.10 Section 7) without reading its pixels."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

from cds.dicom import elements, text
from cds.errors import MalformedInstance

_PREAMBLE: Final = 128
_FILE_META_GROUP: Final = b"\x02\x00"
_TRANSFER_SYNTAX: Final = 0x0010
_LONG_VRS: Final = (b"OB", b"OW", b"UN", b"UT", b"SQ")


@dataclass(frozen=True, slots=True)
class OpenFile:
    """The mapped bytes of one file; its data set starts at `offset`.

    A deflated data set is inflated: `data` is then the data set alone and `offset` zero.
    """

    data: elements.Buffer
    offset: int
    transfer_syntax_uid: str


@contextmanager
def opened(path: Path) -> Iterator[OpenFile]:
    """Map a DICOM file and read its file meta.

    Raises
    ------
    MalformedInstance
        When it is no DICOM file.
    OSError
        When it cannot be read.
    """
    with path.open("rb") as stream:
        if stream.read(_PREAMBLE + 4)[_PREAMBLE:] != b"DICM":
            raise MalformedInstance("not a DICOM file: no DICM prefix at byte 128")
        with mmap(stream.fileno(), 0, access=ACCESS_READ) as data:
            syntax, offset = _file_meta(data)
            if syntax in elements.DEFLATED:
                yield OpenFile(elements.inflate(data[offset:]), 0, syntax)
            else:
                yield OpenFile(data, offset, syntax)


def _file_meta(data: mmap) -> tuple[str, int]:
    """Transfer Syntax UID and where the data set starts; the meta is Explicit VR Little Endian."""
    offset, syntax = _PREAMBLE + 4, ""
    try:
        while data[offset : offset + 2] == _FILE_META_GROUP:
            (number,) = struct.unpack_from("<H", data, offset + 2)
            long_form = data[offset + 4 : offset + 6] in _LONG_VRS
            form, start = ("<L", offset + 12) if long_form else ("<H", offset + 8)
            (length,) = struct.unpack_from(form, data, start - struct.calcsize(form))
            if number == _TRANSFER_SYNTAX:
                syntax = text.uid(data[start : start + length])
            offset = start + length
    except struct.error as error:
        raise MalformedInstance("the file ends inside its file meta information") from error
    if not syntax:
        raise MalformedInstance("the file meta information names no valid Transfer Syntax UID")
    return syntax, offset
