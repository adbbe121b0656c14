"""How a journal lies on the disk: a ring of records behind one control block.

A record begins on a page and at a *position* that only ever grows; it lies at ``PAGE + position %
size`` of the file and never runs over the ring's end. Its header tells the epoch of the ring and
its own position, so that what an earlier lap, an earlier ring or a payload left there is no record.
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from xxhash import xxh3_64_intdigest

from cds.errors import ConfigError
from cds.store.durable import fsync_folder, make_folder, write_all

PAGE: Final = 4096
REACH: Final = 64 << 20
"""No write begins further than this behind the oldest unfinished one: no record for longer means the end."""

_MAGIC: Final = b"CDSJRNL1"
_CONTROL: Final = struct.Struct("<8sQQQI")
_RECORD: Final = struct.Struct("<8sQQIIIQQ")
_CHECKSUM: Final = struct.Struct("<Q")
_ZEROS: Final = bytes(1 << 20)


class Kind(IntEnum):
    """What a record holds."""

    BEGUN = 1
    """A writer began its work here."""
    INSTANCE = 2
    """Facts, then a whole DICOM file (PS3.10)."""
    SPOOLED = 3
    """Facts; the DICOM file is durable already in the spool folder."""
    NOTICE = 4
    """What a peer told us."""


@dataclass(frozen=True, slots=True)
class Control:
    """Where the ring begins: `tail` is the position below which everything has been filed."""

    epoch: int
    size: int
    tail: int

    def encoded(self) -> bytes:
        """The first bytes of the file; they lie in one sector, which a disk writes whole or not at all."""
        block = _CONTROL.pack(_MAGIC, self.epoch, self.size, self.tail, 0)[:-4]
        return block + zlib.crc32(block).to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """The first bytes of a record; lengths in bytes.

    Attributes
    ----------
    gap_length
        Zeros between the facts and the content.
    checksum
        XXH3 (64 bits) of facts, gap and content.
    """

    position: int
    kind: Kind
    facts_length: int
    gap_length: int
    content_length: int
    checksum: int

    SIZE = _RECORD.size + _CHECKSUM.size

    @property
    def body_length(self) -> int:
        """Facts, gap and content together."""
        return self.facts_length + self.gap_length + self.content_length

    @property
    def end(self) -> int:
        """The position behind the record."""
        return self.position + padded(self.SIZE + self.body_length)

    def encoded(self, epoch: int) -> bytes:
        """The header as it is written."""
        lengths = self.facts_length, self.gap_length, self.content_length
        header = _RECORD.pack(_MAGIC, epoch, self.position, self.kind, *lengths, self.checksum)
        return header + _CHECKSUM.pack(xxh3_64_intdigest(header))


def decode_header(block: bytes, control: Control, position: int) -> RecordHeader | None:
    """The header of the record at `position`, or None where there is none."""
    if len(block) < RecordHeader.SIZE or not block.startswith(_MAGIC):
        return None
    (checksum,) = _CHECKSUM.unpack_from(block, _RECORD.size)
    _, epoch, own_position, kind, *lengths, body_checksum = _RECORD.unpack_from(block)
    if (epoch, own_position) != (control.epoch, position) or checksum != xxh3_64_intdigest(block[: _RECORD.size]):
        return None
    facts_length, gap_length, content_length = lengths
    return RecordHeader(position, Kind(kind), facts_length, gap_length, content_length, body_checksum)


def read_control(descriptor: int, path: Path) -> Control | None:
    """The control block; None where the ring was never finished.

    Raises
    ------
    ConfigError
        When it is damaged.
    """
    block = os.pread(descriptor, _CONTROL.size, 0)
    if len(block) < _CONTROL.size or block == bytes(_CONTROL.size):
        return None
    magic, epoch, size, tail, crc = _CONTROL.unpack(block)
    if magic != _MAGIC or crc != zlib.crc32(block[:-4]):
        raise ConfigError(
            f"the journal {path.name!r} is damaged: check the disk; what was received in the last moments before the "
            f"node stopped may lie in it. Move {str(path)!r} away to start without it"
        )
    return Control(epoch, size, tail)


def make_ring(path: Path, size: int) -> None:
    """Make an empty ring of `size` bytes, or empty the one there is; everything in it must have been filed.

    The file is written with zeros once, so that later writes change no metadata: making them
    durable then costs one write to the disk.

    Raises
    ------
    OSError
        When the disk has no room.
    """
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size != PAGE + size:
            _write_zeros(descriptor, PAGE + size)
        os.pwrite(descriptor, Control(secrets.randbits(64), size, 0).encoded(), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    live_path(path).write_bytes(bytes(PAGE))
    fsync_folder(path.parent)


def _write_zeros(descriptor: int, length: int) -> None:
    os.ftruncate(descriptor, 0)
    os.posix_fallocate(descriptor, 0, length)
    for start in range(0, length, len(_ZEROS)):
        write_all(descriptor, memoryview(_ZEROS)[: length - start])
    os.fsync(descriptor)


def live_path(path: Path) -> Path:
    """The page that writer and reader share while they live."""
    return path.with_suffix(".live")


class Live:
    """Three positions that the writer and the reader of a ring share in memory; nobody relies on their being durable.

    Below `head` every write has ended and may be read; below `reserved` space has been given out;
    below `tail` everything has been filed, durably, and its space may be used again.
    """

    def __init__(self, ring: Path) -> None:
        with live_path(ring).open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), PAGE)
        self._words = memoryview(self._map).cast("Q")  # eight bytes in one move, never half of them

    @property
    def head(self) -> int:
        """Below it everything can be read."""
        return self._words[0]

    @head.setter
    def head(self, position: int) -> None:
        self._words[0] = position

    @property
    def reserved(self) -> int:
        """Below it space has been given out."""
        return self._words[1]

    @reserved.setter
    def reserved(self, position: int) -> None:
        self._words[1] = position

    @property
    def tail(self) -> int:
        """Below it space is free."""
        return self._words[2]

    @tail.setter
    def tail(self, position: int) -> None:
        self._words[2] = position

    def close(self) -> None:
        """Let go of the page."""
        self._words.release()
        self._map.close()


def padded(length: int) -> int:
    """Whole pages."""
    return -(-length // PAGE) * PAGE
