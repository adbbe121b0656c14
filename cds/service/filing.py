"""Filing: what the journals hold becomes blobs and rows, behind the answer to the sender.

The order keeps every promise: files durable, then their folders, then one transaction with the rows
and how far the journal is filed, then the journal's space. After a crash at any point the same
records are filed again, with the same outcome.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from cds.errors import ConfigError, OutOfResources
from cds.ports import Notice
from cds.service.analysis import defect
from cds.service.facts import Facts, decode_facts
from cds.store import Arrival, Ledger
from cds.store.arrivals import Batch
from cds.store.blobs import BlobStore, NewBlob
from cds.store.journal_format import Kind
from cds.store.journal_reader import JournalReader, Record
from cds.store.notice_json import decode_notice

_LOG: Final = logging.getLogger(__name__)

_RECORDS: Final = 64
_BYTES: Final = 16 << 20
"""One batch; a larger one makes the durable writes no cheaper."""
_LOOK_SECONDS: Final = 0.02
_RETRY_SECONDS: Final = 2.0
_NEARLY_FULL: Final = 0.75
_CALM_SECONDS: Final = 0.06
_LONGEST_WAIT_SECONDS: Final = 1.0
"""Filing waits for a pause in what arrives, for so long at most: disk and processors serve the sender first."""
_NICENESS: Final = 7
_ORPHANED_WRITER_SECONDS: Final = 10.0


class Filer:
    """Files the journals of a node.

    Parameters
    ----------
    spool_dir
        Where the large instances lie until they are filed.
    durable
        Whether the journals are.
    monotonic
        Seconds that never go back.
    """

    def __init__(
        self,
        ledger: Ledger,
        spool_dir: Path,
        *,
        durable: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._spool_dir = spool_dir
        self._durable = durable
        self._monotonic = monotonic
        self._journals: list[_Pending] = []
        self._traffic = Traffic()
        self._filing = threading.Lock()
        self._stopping = threading.Event()
        self.trouble = ""
        """Why nothing can be filed now; what arrives waits in the journals."""
        self._threads = [
            threading.Thread(target=self._run, args=(_NICENESS, 0.0), name="cds-filer", daemon=True),
            threading.Thread(target=self._run, args=(0, _NEARLY_FULL), name="cds-filer-in-need", daemon=True),
        ]

    def recover(self, folder: Path) -> int:
        """File every journal in a folder and delete it; how many records there were.

        Raises
        ------
        ConfigError
            When a journal is damaged, or a process of an earlier node still writes it.
        OutOfResources, OSError
            When disk or database do not take it now.
        """
        filed = 0
        for ring in sorted(folder.glob("*.ring")):
            reader = JournalReader(ring, follow=False)
            try:
                _wait_until_nobody_writes(reader)
                pending = self._pending(reader)
                while self._file(pending):
                    filed += pending.filed
            except BaseException:
                reader.close()
                raise
            reader.remove()
        for leftover in self._spool_dir.glob("*.part"):
            leftover.unlink()
        return filed

    def follow(self, reader: JournalReader) -> None:
        """File this journal from now on."""
        self._journals.append(self._pending(reader))

    def start(self) -> None:
        """File in threads of its own: one that leaves the processor to others, one for a nearly full journal."""
        for thread in self._threads:
            thread.start()

    def stop(self, grace_seconds: float) -> None:
        """File what there is, for at most `grace_seconds`; the rest is filed at the next start."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        deadline = time.monotonic() + grace_seconds
        try:
            while self.run_once() and time.monotonic() < deadline:
                pass
        except (OutOfResources, OSError) as error:
            _LOG.warning("what waits in the journals is filed at the next start: %s", error)
        for journal in self._journals:
            journal.reader.close()
        self._journals.clear()

    def run_once(self, at_least_full: float = 0.0) -> int:
        """File a batch of every journal that is at least so full (0 to 1); how many moved on.

        Raises
        ------
        OutOfResources, OSError
            When disk or database do not take it now; the same batch is filed the next time.
        """
        with self._filing:
            return sum(self._file(journal) for journal in self._journals if journal.reader.fill >= at_least_full)

    def filed_through(self) -> float:
        """The moment up to which everything that had come is filed, on the monotonic clock."""
        return min((journal.filed_through for journal in self._journals), default=self._monotonic())

    def _run(self, niceness: int, at_least_full: float) -> None:
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + niceness)
        told = ""
        pause = _LOOK_SECONDS
        while not self._stopping.wait(pause):
            if not at_least_full and self._traffic.is_dense(self._monotonic(), self._reserved()):
                pause = _LOOK_SECONDS
                continue
            try:
                pause = 0.0 if self.run_once(at_least_full) else _LOOK_SECONDS
                if told:
                    told = self.trouble = ""
            except (OutOfResources, OSError) as error:
                if str(error) != told:
                    told = self.trouble = str(error)
                    _LOG.error("what arrives waits in the journals: %s", told)
                pause = _RETRY_SECONDS
            except Exception as error:  # the journals keep what came; a defect must not end filing for ever
                defect("filing", error)
                pause = _RETRY_SECONDS

    def _reserved(self) -> int:
        """A number that grows with everything that arrives."""
        return sum(journal.reader.reserved for journal in self._journals)

    def _pending(self, reader: JournalReader) -> _Pending:
        epoch, _, position = self._ledger.arrivals.filed(reader.ring.name).partition(":")
        if position and int(epoch) == reader.epoch:
            reader.skip_to(int(position))
        return _Pending(reader, self._monotonic())

    def _file(self, journal: _Pending) -> bool:
        """File the next batch; whether there was one."""
        reader = journal.reader
        begun, reserved, before = self._monotonic(), reader.reserved, reader.position
        again = bool(journal.records)
        if not again:
            journal.records = reader.read(_RECORDS, _BYTES)
        if records := journal.records:
            self._enter(records, reader.ring.name, f"{reader.epoch}:{reader.position}", again=again)
            journal.records = ()
        reader.release(durable=self._durable)
        journal.filed = len(records)
        if reader.position >= reserved:
            journal.filed_through = begun
        return bool(records) or reader.position != before

    def _enter(self, records: Sequence[Record], journal: str, filed: str, *, again: bool) -> None:
        found = [self._instance(record) for record in records if record.kind is not Kind.NOTICE]
        instances = [one for one in found if one is not None]
        known = self._ledger.arrivals.known((one.sop_instance_uid, one.sha256) for one, _, _ in instances)
        self._ledger.blobs.put_all(
            blob for one, _, blob in instances if (one.sop_instance_uid, one.sha256) not in known
        )
        batch = Batch(
            arrivals=[(arrival, at) for arrival, at, _ in instances],
            notices=[_notice(record.facts) for record in records if record.kind is Kind.NOTICE],
            journals={journal: filed},
        )
        if not again or self._ledger.arrivals.filed(journal) != filed:  # an error may come after the commit
            self._ledger.arrivals.enter(batch)
        for _, _, blob in instances:
            if isinstance(blob.content, Path):
                blob.content.unlink(missing_ok=True)

    def _instance(self, record: Record) -> tuple[Arrival, datetime, NewBlob] | None:
        facts = decode_facts(record.facts)
        content: memoryview | Path = record.content
        if record.kind is Kind.SPOOLED:
            content = self._spool_dir / facts.spooled
            if not content.exists():
                _LOG.error("instance %s: its file is gone from the spool folder", facts.arrival.sop_instance_uid)
                return None
        digest = _sha256(content, facts)
        name = BlobStore.name(facts.arrival.sop_instance_uid, digest)
        return replace(facts.arrival, sha256=digest, blob=name), facts.at, NewBlob(name, content)


class Traffic:
    """Tells whether instances are arriving one upon the other, and have not done so for too long."""

    def __init__(self) -> None:
        self._arrived = 0
        self._last_at = float("-inf")
        self._since = float("-inf")

    def is_dense(self, now: float, arrived: int) -> bool:
        """Whether filing should wait, given all that has `arrived` until `now` (monotonic seconds)."""
        if arrived != self._arrived:
            if now - self._last_at >= _CALM_SECONDS:
                self._since = now
            self._arrived, self._last_at = arrived, now
        return now - self._last_at < _CALM_SECONDS and now - self._since < _LONGEST_WAIT_SECONDS


class _Pending:
    """A journal, and the batch that is being filed."""

    def __init__(self, reader: JournalReader, filed_through: float) -> None:
        self.reader = reader
        self.records: tuple[Record, ...] = ()
        self.filed = 0
        self.filed_through = filed_through


def _sha256(content: memoryview | Path, facts: Facts) -> str:
    """Of the data set, without the file meta before it."""
    if not isinstance(content, Path):
        return hashlib.sha256(content[facts.meta_length :]).hexdigest()
    with content.open("rb") as file:
        file.seek(facts.meta_length)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _notice(content: bytes) -> tuple[Notice, datetime]:
    kind, at, text = content.decode().split("\n", 2)
    return decode_notice(kind, text), datetime.fromisoformat(at)


def _wait_until_nobody_writes(reader: JournalReader) -> None:
    """Wait for the listeners of a node that was killed: they end when they see it."""
    deadline, pause = time.monotonic() + _ORPHANED_WRITER_SECONDS, threading.Event()
    while reader.writer_lives():
        if time.monotonic() >= deadline:
            raise ConfigError(f"a listener of an earlier node still writes {str(reader.ring)!r}: end it first")
        pause.wait(_LOOK_SECONDS)
