"""Reads a journal: behind a writer that lives, or what a dead one left."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from xxhash import xxh3_64_intdigest

from cds.store.journal_format import (
    PAGE,
    REACH,
    Control,
    Kind,
    Live,
    RecordHeader,
    decode_header,
    live_path,
    read_control,
)


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was written; `end` is the position behind it."""

    kind: Kind
    facts: bytes
    content: memoryview
    end: int


class JournalReader:
    """Reads the records of one ring, in order, each whole.

    What was not written whole is stepped over, page by page, to the next header whose epoch and
    position are right and whose checksums hold.

    Parameters
    ----------
    follow
        Whether a writer may live: read what it has ended. Otherwise nobody writes any more, and
        everything that is whole is read.

    Raises
    ------
    ConfigError
        When the control block is damaged.
    """

    def __init__(self, ring: Path, *, follow: bool) -> None:
        self.ring = ring
        self._descriptor = os.open(ring, os.O_RDWR | os.O_CLOEXEC)
        control = read_control(self._descriptor, ring)
        self._control = control or Control(epoch=0, size=PAGE, tail=0)
        self._live = Live(ring) if follow else None
        self._whole_until = self.position = self._control.tail
        self._ends_at = self._control.tail + (self._control.size if control else 0)
        if not follow:
            os.fdatasync(self._descriptor)  # what a dead process wrote is to be as durable as what it synced

    @property
    def epoch(self) -> int:
        """Which ring it is; a new one has another."""
        return self._control.epoch

    @property
    def reserved(self) -> int:
        """Everything that was begun up to now lies below."""
        return self._live.reserved if self._live else self._limit()

    @property
    def fill(self) -> float:
        """How full the ring is, 0 to 1."""
        return (self.reserved - self._live.tail) / self._control.size if self._live else 1.0

    def skip_to(self, position: int) -> None:
        """Leave out what is known to be filed."""
        self.position = max(self.position, position)
        self._whole_until = max(self._whole_until, position)

    def read(self, most_records: int, most_bytes: int) -> tuple[Record, ...]:
        """The next records, up to about `most_bytes` of them; none where there is nothing more now."""
        records: list[Record] = []
        begun = self.position
        while self.position < self._limit() and len(records) < most_records and self.position - begun < most_bytes:
            record = self._at(self.position)
            if record is None:
                self.position += PAGE
                continue
            self.position = self._whole_until = record.end
            if record.kind is not Kind.BEGUN:
                records.append(record)
        return tuple(records)

    def release(self, *, durable: bool = True) -> None:
        """Everything that was read has been filed: its space may be used again."""
        if self.position == self._control.tail:
            return
        self._control = Control(self._control.epoch, self._control.size, self.position)
        os.pwrite(self._descriptor, self._control.encoded(), 0)
        if durable:
            os.fdatasync(self._descriptor)
        if self._live:
            self._live.tail = self.position

    def writer_died(self) -> None:
        """Let what the writer left be read; the next one begins behind it."""
        os.fdatasync(self._descriptor)
        if self._live:
            self._live.head = self._live.reserved

    def writer_lives(self) -> bool:
        """Whether a process holds the ring."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        """Let go of the ring."""
        os.close(self._descriptor)
        if self._live:
            self._live.close()

    def remove(self) -> None:
        """Close and delete the ring: everything in it has been filed, and nobody writes it any more."""
        self.close()
        live_path(self.ring).unlink(missing_ok=True)
        self.ring.unlink()

    def _limit(self) -> int:
        return self._live.head if self._live else min(self._ends_at, self._whole_until + 2 * REACH)

    def _at(self, position: int) -> Record | None:
        offset = PAGE + position % self._control.size
        header = decode_header(os.pread(self._descriptor, RecordHeader.SIZE, offset), self._control, position)
        if header is None or offset + header.end - position > PAGE + self._control.size:
            return None
        body = bytearray(header.body_length)
        got = os.preadv(self._descriptor, [body], offset + header.SIZE)
        if got != len(body) or xxh3_64_intdigest(body) != header.checksum:
            return None
        facts, content = header.facts_length, header.facts_length + header.gap_length
        view = memoryview(body)
        return Record(header.kind, bytes(view[:facts]), view[content:], header.end)
