"""The journal: where what was received is durable first, at the price of one write to the disk.

One process writes it, from many threads; `JournalReader` reads it, in another process. A write
reserves its place, goes to the disk without being copied, and returns once one `fdatasync` that
began after it has ended: one for all who wrote meanwhile (group commit).
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cds.errors import ConfigError, OutOfResources
from cds.ports import Bytes
from cds.store.journal_format import PAGE, REACH, Kind, Live, RecordHeader, crc_of, padded, read_control

_LOOK_SECONDS: Final = 0.01
_ZEROS: Final = memoryview(bytes(PAGE))


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
        self._descriptor = os.open(ring, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            control = read_control(self._descriptor, ring)
        except OSError:
            control = None
        if control is None:
            os.close(self._descriptor)
            raise ConfigError(f"the journal {ring.name!r} is written by another process, or was never made")
        self._epoch, self._size = control.epoch, control.size
        self._durable = durable
        self._wait_seconds = wait_seconds
        self._live = Live(ring)
        self._next = self._live.reserved
        self._unfinished: dict[int, None] = {}
        self._changed = threading.Condition()
        self._syncs_begun = self._syncs_done = 0
        self._syncing = False
        self._broken = ""
        self.append(Kind.BEGUN, b"")

    @property
    def broken(self) -> bool:
        """Whether the disk failed. What it holds is not known then, and no second try would tell."""
        return bool(self._broken)

    def append(self, kind: Kind, facts: bytes, content: Sequence[Bytes] = ()) -> None:
        """Write a record; it is durable when this returns.

        Raises
        ------
        OutOfResources
            When the ring stays full, or the disk does not take it.
        """
        header, body = RecordHeader.SIZE, (facts, *content)
        length = header + sum(len(part) for part in body)
        position = self._reserve(padded(length))
        try:
            head = RecordHeader(position, kind, len(facts), length - header - len(facts), crc_of(body))
            filling = _ZEROS[: padded(length) - length]  # whole pages: the kernel need not read the rest of the last
            self._write(PAGE + position % self._size, [head.encoded(self._epoch), *body, filling])
        except OSError as error:
            self._break(error)
        finally:
            self._finish(position)
        if self._durable:
            self._sync()

    def close(self) -> None:
        """Let go of the ring."""
        os.close(self._descriptor)
        self._live.close()

    def _reserve(self, length: int) -> int:
        if length > min(REACH, self._size // 2):
            raise OutOfResources(f"{length} bytes are too many for this journal: raise node.journal_mb")
        deadline = time.monotonic() + self._wait_seconds
        with self._changed:
            while True:
                if self._broken:
                    raise OutOfResources(self._broken)
                to_the_end = self._size - self._next % self._size
                position = self._next if length <= to_the_end else self._next + to_the_end
                oldest = next(iter(self._unfinished), position)
                if position + length - self._live.tail <= self._size and position + length - oldest <= REACH:
                    break
                if time.monotonic() >= deadline:
                    raise OutOfResources("the journal is full: what was received before is not filed yet")
                self._changed.wait(_LOOK_SECONDS)
            self._unfinished[position] = None
            self._next = position + length
            self._live.reserved = self._next
            return position

    def _write(self, offset: int, parts: list[Bytes]) -> None:
        written = os.pwritev(self._descriptor, parts, offset)
        left = sum(len(part) for part in parts) - written
        if left:
            rest = memoryview(b"".join(parts))[written:]
            while rest:
                written += (now := os.pwrite(self._descriptor, rest, offset + written))
                rest = rest[now:]

    def _finish(self, position: int) -> None:
        with self._changed:
            del self._unfinished[position]
            if not self._durable:
                self._live.head = self._ended()

    def _ended(self) -> int:
        """The position below which no write is under way."""
        return next(iter(self._unfinished), self._next)

    def _sync(self) -> None:
        """Wait for an fdatasync that begins after now; do it for all where nobody else does."""
        with self._changed:
            needed = self._syncs_begun + 1
            while self._syncing and self._syncs_done < needed and not self._broken:
                self._changed.wait()
            if self._broken:
                raise OutOfResources(self._broken)
            if self._syncs_done >= needed:
                return
            self._syncing = True
            self._syncs_begun += 1
            this, ended = self._syncs_begun, self._ended()
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._break(error)
        finally:
            with self._changed:
                self._syncing = False
                if not self._broken:
                    self._syncs_done = this
                    self._live.head = ended
                self._changed.notify_all()

    def _break(self, error: OSError) -> None:
        self._broken = f"the journal cannot be written: {error.strerror}"
        raise OutOfResources(self._broken) from None
