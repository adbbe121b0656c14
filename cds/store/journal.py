"""The journal: where what was received is durable first, at the price of one write to the disk.

One process writes it, from many threads; `JournalReader` reads it, in another process. A write
reserves its place, goes to the disk from where it lies, without being copied, and is durable when
it ends (O_DIRECT, O_DSYNC). Nobody waits for another: what writes at one time have in common, the
disk's cache to be emptied, the kernel does for them at once.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from xxhash import xxh3_64

from cds.errors import ConfigError, OutOfResources
from cds.ports import Bytes
from cds.store.journal_format import PAGE, REACH, Kind, Live, RecordHeader, padded, read_control

_LOOK_SECONDS: Final = 0.01
_ZEROS: Final = bytes(PAGE)
_OWN_PAGES: Final = 3
"""For a header, facts and file meta, and for the last, broken page of an instance."""
_DIRECT: Final = getattr(os, "O_DIRECT", 0)


class Journal:
    """The writer of one ring.

    Parameters
    ----------
    ring
        Made by `make_ring`; held locked until `close`.
    durable
        Whether `append` waits for the disk.
    wait_seconds
        How long a full ring is waited for.

    Raises
    ------
    ConfigError
        When another process writes the ring, or there is none.
    """

    def __init__(self, ring: Path, *, durable: bool = True, wait_seconds: float = 5.0) -> None:
        self._descriptor = os.open(ring, os.O_RDWR | os.O_CLOEXEC | (os.O_DSYNC if durable else 0))
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            control = read_control(self._descriptor, ring)
        except OSError:
            control = None
        if control is None:
            os.close(self._descriptor)
            raise ConfigError(f"the journal {ring.name!r} is written by another process, or was never made")
        if durable:
            _bypass_the_page_cache(self._descriptor)
        self._epoch, self._size = control.epoch, control.size
        self._wait_seconds = wait_seconds
        self._live = Live(ring)
        self._next = self._live.reserved
        self._unfinished: dict[int, None] = {}
        self._lock = threading.Lock()
        self._spare: deque[memoryview] = deque()
        self._broken = ""
        self.append(Kind.BEGUN, b"")

    @property
    def broken(self) -> bool:
        """Whether the disk failed. What it holds is not known then, and no second try would tell."""
        return bool(self._broken)

    def append(self, kind: Kind, facts: bytes, content: Sequence[Bytes] = ()) -> None:
        """Write a record; it is durable when this returns.

        The last part of the content is not copied where it begins on a page of memory.

        Raises
        ------
        OutOfResources
            When the ring stays full, or the disk does not take it.
        """
        *before, last = content or (b"",)
        first = b"".join(before)
        lead = padded(RecordHeader.SIZE + len(facts) + len(first))
        gap = lead - RecordHeader.SIZE - len(facts) - len(first)
        body = b"".join((facts, _ZEROS[:gap], first))
        checksum = xxh3_64(body)
        checksum.update(last)
        position = self._reserve(lead + padded(len(last)))
        header = RecordHeader(position, kind, len(facts), gap, len(first) + len(last), checksum.intdigest())
        try:
            self._write(PAGE + position % self._size, header.encoded(self._epoch) + body, memoryview(last))
        except OSError as error:
            self._broken = f"the journal cannot be written: {error.strerror}"
            raise OutOfResources(self._broken) from None
        self._finish(position)

    def close(self) -> None:
        """Let go of the ring."""
        os.close(self._descriptor)
        self._live.close()

    def _reserve(self, length: int) -> int:
        if length > min(REACH, self._size // 2):
            raise OutOfResources(f"{length} bytes are too many for this journal: raise node.journal_mb")
        deadline = time.monotonic() + self._wait_seconds
        while (position := self._place(length)) is None:
            if time.monotonic() >= deadline:
                raise OutOfResources("the journal is full: what was received before is not filed yet")
            time.sleep(_LOOK_SECONDS)
        return position

    def _place(self, length: int) -> int | None:
        """A place for so many bytes; None where there is none now."""
        with self._lock:
            if self._broken:
                raise OutOfResources(self._broken)
            to_the_end = self._size - self._next % self._size
            position = self._next if length <= to_the_end else self._next + to_the_end
            oldest = next(iter(self._unfinished), position)
            if position + length - self._live.tail > self._size or position + length - oldest > REACH:
                return None
            self._unfinished[position] = None
            self._next = position + length
            self._live.reserved = self._next
            return position

    def _finish(self, position: int) -> None:
        """The record may be read, once all before it may; one that failed stays unfinished."""
        with self._lock:
            del self._unfinished[position]
            self._live.head = next(iter(self._unfinished), self._next)

    def _write(self, offset: int, lead: bytes, last: memoryview) -> None:
        """Write whole pages: `lead` is some, `last` is filled up."""
        whole = len(last) // PAGE * PAGE
        pages = self._pages(len(lead) + PAGE)
        pages[: len(lead)] = lead
        parts = [pages[: len(lead)], last[:whole]]
        if whole < len(last):
            rest = pages[len(lead) : len(lead) + PAGE]
            rest[:] = bytes(last[whole:]).ljust(PAGE, b"\0")
            parts.append(rest)
        self._write_pages(offset, parts)
        self._spare.append(pages)

    def _write_pages(self, offset: int, parts: list[memoryview]) -> None:
        length = sum(map(len, parts))
        try:
            written = os.pwritev(self._descriptor, parts, offset)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            written = 0  # a part is not where the disk can fetch it
        if written < length:
            copy = memoryview(mmap.mmap(-1, length))
            copy[:] = b"".join(parts)
            while written < length:
                begin = written // PAGE * PAGE
                written = begin + os.pwritev(self._descriptor, [copy[begin:]], offset + begin)

    def _pages(self, length: int) -> memoryview:
        """Memory that begins on a page."""
        if length > _OWN_PAGES * PAGE or not self._spare:
            return memoryview(mmap.mmap(-1, max(length, _OWN_PAGES * PAGE)))
        return self._spare.pop()


def _bypass_the_page_cache(descriptor: int) -> None:
    """Let writes go from our memory to the disk, where the file system can; elsewhere they are copied first."""
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | _DIRECT)
