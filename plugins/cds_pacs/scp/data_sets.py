"""Where a data set is put together: in memory, or on its way to the disk when it is large."""

from __future__ import annotations

import mmap
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cds.ports import Announced, Intake, ReceivedInstance, Spool
from cds_pacs.scp.wire import AHEAD, Wire

_PART_BYTES: Final = 1 << 17
"""Smaller writes gain nothing, and one of twice the size costs the kernel up to twice as much (docs/speed.md)."""

_KEPT_BYTES: Final = 1 << 20
"""What a buffer keeps of its memory between two data sets."""


_SPARE_BUFFERS: Final = 4
"""As many are kept for the next associations: new pages cost more than a short association."""


class Buffer:
    """Memory for one data set of an association: reserved at once, taken as it is filled, given back.

    Pages that were never written cost nothing; after a long data set the rest is given back.
    `longest` bytes, one part more and what is read ahead always find room.
    """

    def __init__(self, longest: int, longest_part: int) -> None:
        self.longest = longest
        self._size = max(longest, _PART_BYTES, _KEPT_BYTES) + longest_part + AHEAD
        self._pages = mmap.mmap(-1, self._size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.view = memoryview(self._pages)

    def give_back(self, filled: int) -> None:
        """Give back what `filled` bytes took beyond what is kept."""
        if filled > _KEPT_BYTES and hasattr(self._pages, "madvise"):
            self._pages.madvise(mmap.MADV_DONTNEED, _KEPT_BYTES, self._size - _KEPT_BYTES)


class Buffers:
    """Buffers that are used again, one association after the other."""

    def __init__(self, longest: int, longest_part: int) -> None:
        self._longest, self._longest_part = longest, longest_part
        self._spare: deque[Buffer] = deque(maxlen=_SPARE_BUFFERS)

    @contextmanager
    def one(self) -> Iterator[Buffer]:
        """Lend a buffer."""
        try:
            buffer = self._spare.pop()
        except IndexError:
            buffer = Buffer(self._longest, self._longest_part)
        try:
            yield buffer
        finally:
            self._spare.append(buffer)


class InstanceSink:
    """The data set of a C-STORE: to the intake in one piece, or part by part when it is large.

    A disk that does not take it is no reason to stop reading: the peer hears of it in the response.
    """

    def __init__(self, buffer: Buffer, intake: Intake, announced: Announced, wire: Wire) -> None:
        self._buffer = buffer
        self._intake = intake
        self._announced = announced
        self._wire = wire
        self._filled = 0
        self._limit = min(intake.spool_above_bytes, buffer.longest)
        self._spool: Spool | None = None
        self._failure: Exception | None = None

    def room(self, size: int) -> memoryview:
        """Where the next `size` bytes go."""
        if self._filled + size > self._limit:
            self._move_on()
        return self._buffer.view[self._filled :]

    def add(self, size: int) -> None:
        """They are there."""
        self._filled += size

    def take(self) -> None:
        """Hand the whole in; errors as `Intake.take`."""
        if self._failure is not None:
            raise self._failure
        if self._spool is None:
            self._intake.take(_instance(self._announced, self._buffer.view[: self._filled]))
            return
        self._spool.write(self._buffer.view[: self._filled])
        self._spool.take()

    def close(self) -> None:
        """Forget what was not taken, and give memory back."""
        if self._spool is not None:
            self._spool.abandon()
        self._buffer.give_back(self._filled)

    def _move_on(self) -> None:
        started = time.monotonic()
        try:
            if self._failure is None:
                self._write()
        except Exception as error:  # whatever it was, it is told when the data set is through
            self._failure = error
        self._filled, self._limit = 0, _PART_BYTES
        self._wire.deadline += time.monotonic() - started  # a slow disk is not the sender's fault

    def _write(self) -> None:
        if self._spool is None:
            self._spool = self._intake.spool(self._announced)
        for at in range(0, self._filled, _PART_BYTES):
            self._spool.write(self._buffer.view[at : min(at + _PART_BYTES, self._filled)])
        self._buffer.give_back(self._filled)


class NoticeSink:
    """A short data set beside the instances; of a long one only the length is kept."""

    def __init__(self, buffer: Buffer, longest: int) -> None:
        self._buffer = buffer
        self._longest = longest
        self._filled = 0
        self.too_long = False

    def room(self, size: int) -> memoryview:
        """Where the next `size` bytes go."""
        if self._filled + size > self._longest:
            self.too_long, self._filled = True, 0
        return self._buffer.view[self._filled :]

    def add(self, size: int) -> None:
        """They are there."""
        self._filled += size

    def content(self) -> bytes:
        """The data set."""
        return bytes(self._buffer.view[: self._filled])


def _instance(announced: Announced, data_set: memoryview) -> ReceivedInstance:
    return ReceivedInstance(
        transfer_syntax_uid=announced.transfer_syntax_uid,
        sop_class_uid=announced.sop_class_uid,
        sop_instance_uid=announced.sop_instance_uid,
        calling_ae_title=announced.calling_ae_title,
        address=announced.address,
        data_set=data_set,
    )
