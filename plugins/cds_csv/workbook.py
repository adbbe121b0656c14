"""XLSX files before they are read: a ZIP archive of XML, which may unpack to far more than it is."""

from __future__ import annotations

import copy
import zipfile
from typing import BinaryIO, Final

_MOST_BYTES: Final = 256 << 20
"""Of all parts together, unpacked; a row of 8 cells is some 450 bytes, so that this is about half a million rows."""
_PLAIN_BYTES: Final = 16 << 20
_MOST_TIMES: Final = 200
"""A part of more than `_PLAIN_BYTES` that unpacks to more than so many times its size is no table.

DEFLATE gives 1032 times at most (https://zlib.net/zlib_tech.html); 20,000 rows of laboratory values gave 11.
"""
_BLOCK_BYTES: Final = 1 << 18
_PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Others unpack without a limit on what one step gives; spreadsheets are not written with them."""


def trouble_of(file: BinaryIO) -> str:
    """Why a workbook is not to be read; ``""`` where it may be.

    It is unpacked once, piece by piece and no further than its directory says, for the directory may lie.

    Raises
    ------
    zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError
        When the archive is damaged, encrypted or cannot be read.
    """
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        if sum(part.file_size for part in parts) > _MOST_BYTES:
            return "unpacks to more than 256 MiB"
        if any(part.file_size > max(_PLAIN_BYTES, _MOST_TIMES * part.compress_size) for part in parts):
            return "a part of it unpacks to more than 200 times its size"
        if not all(_is_as_said(archive, part) for part in parts):
            return "a part of it is not as long as its directory says"
    return ""


def _is_as_said(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    if part.compress_type not in _PACKED:
        raise zipfile.BadZipFile("another compression than DEFLATE")
    asked = copy.copy(part)
    asked.file_size += 1  # zipfile gives no more than this, and so would hide what is beyond it
    del asked.CRC  # of what it gives; looked at when the part is read
    counted = 0
    with archive.open(asked) as unpacked:
        while block := unpacked.read(_BLOCK_BYTES):
            counted += len(block)
    return counted == part.file_size
