"""Messages on the disk: one SQLite file, written by the listener, read by the records source.

A message is durable when `MessageStore.keep` is done: WAL with synchronous=FULL flushes at each commit
(https://www.sqlite.org/pragma.html#pragma_synchronous). Messages that wait for the disk at the same time share
one commit.
"""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cds.errors import ConfigError, OutOfResources
from cds_hl7.person import Identifier, Merge

_LOG: Final = logging.getLogger(__name__)
_VERSION: Final = 2
_BUSY_SECONDS: Final = 10.0
_BATCH: Final = 256
_SCHEMA: Final = """
CREATE TABLE messages (
  id INTEGER PRIMARY KEY,
  sender TEXT NOT NULL, control_id TEXT NOT NULL, digest BLOB NOT NULL,
  received_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
  codec TEXT NOT NULL, body BLOB NOT NULL, answer BLOB NOT NULL,
  UNIQUE (sender, control_id));
CREATE TABLE subjects (
  patient_id TEXT NOT NULL, issuer TEXT NOT NULL, message INTEGER NOT NULL REFERENCES messages,
  PRIMARY KEY (patient_id, issuer, message)) WITHOUT ROWID;
CREATE TABLE merges (
  message INTEGER NOT NULL REFERENCES messages,
  old_id TEXT NOT NULL, old_issuer TEXT NOT NULL, new_id TEXT NOT NULL, new_issuer TEXT NOT NULL);
CREATE INDEX merges_by_old ON merges (old_id, old_issuer);
CREATE INDEX merges_by_new ON merges (new_id, new_issuer);
"""
_SCHEMA_2: Final = "CREATE INDEX subjects_by_message ON subjects (message)"
"""Whom the latest messages are about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message that is to be kept, and how it is answered once it is."""

    sender: str
    control_id: str
    digest: bytes
    codec: str
    body: bytes = field(repr=False)
    answer: bytes = field(repr=False)
    subjects: tuple[Identifier, ...] = ()
    merges: tuple[Merge, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A message that was kept; numbers grow in the order of arrival."""

    number: int
    sender: str
    control_id: str
    codec: str
    body: bytes = field(repr=False)


class Reused(Exception):
    """The sender gave the control ID to another message before."""


def store_path(data_dir: str) -> Path:
    """Where the messages of a node lie."""
    return Path(data_dir) / "hl7" / "messages.sqlite3"


class MessageStore:
    """Keeps messages; safe to call from several threads, and several processes may share the file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self._database = _opened(path)
        self._waiting: queue.SimpleQueue[tuple[Received, Future[bytes]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="cds-hl7-store", daemon=True)
        self._thread.start()

    def keep(self, message: Received) -> Future[bytes]:
        """Begin to keep a message.

        Its result is the answer: the one of the first time where the message came before. It fails with
        `Reused`, or with `OutOfResources` when the disk or the database does not take it now.
        """
        done: Future[bytes] = Future()
        self._waiting.put((message, done))
        return done

    def count(self) -> int:
        """How many messages were kept."""
        with closing(reading(self.path)) as database:
            return int(database.execute("SELECT count(*) FROM messages").fetchone()[0])

    def close(self) -> None:
        """Keep what waits, then close."""
        self._waiting.put(None)
        self._thread.join()
        self._database.close()

    def _write(self) -> None:
        is_open = True
        while is_open:
            batch = [self._waiting.get()]
            while not self._waiting.empty() and len(batch) < _BATCH:
                batch.append(self._waiting.get())
            is_open = None not in batch
            self._commit([each for each in batch if each is not None])

    def _commit(self, batch: list[tuple[Received, Future[bytes]]]) -> None:
        """One transaction; nobody is told anything before it is on the disk."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            found = [_kept(self._database, message) for message, _ in batch]
            self._database.execute("COMMIT")
        except Exception as error:  # whatever it was, those who wait must be told, and the next ones served
            _LOG.error("messages cannot be kept now: %s", error if isinstance(error, sqlite3.Error) else type(error))
            self._roll_back()
            for _, done in batch:
                done.set_exception(OutOfResources("the message cannot be kept now"))
            return
        for (_, done), answer in zip(batch, found, strict=True):
            if answer is None:
                done.set_exception(Reused())
            else:
                done.set_result(answer)

    def _roll_back(self) -> None:
        if self._database.in_transaction:
            try:
                self._database.execute("ROLLBACK")
            except sqlite3.Error as error:
                _LOG.error("a transaction cannot be taken back: %s", error)


def _opened(path: Path) -> sqlite3.Connection:
    """The database, made where there is none.

    Raises
    ------
    ConfigError
        When it is of a newer version, or no database.
    OSError
        When it cannot be opened or written.
    """
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("BEGIN IMMEDIATE")
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        if version == 0:
            for statement in _SCHEMA.split(";\n"):
                database.execute(statement)
        if version < 2:
            database.execute(_SCHEMA_2)
            database.execute(f"PRAGMA user_version={_VERSION}")
        database.execute("COMMIT")
    except sqlite3.OperationalError as error:
        database.close()
        raise OSError(f"the file of HL7 messages cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        database.close()
        raise ConfigError(f"{path} is damaged or no file of HL7 messages: {error}") from error
    if version > _VERSION:
        database.close()
        raise ConfigError(f"{path} is of version {version}; this software knows up to {_VERSION}")
    return database


def _kept(database: sqlite3.Connection, message: Received) -> bytes | None:
    """Insert a message; its answer, of the first time where it was there; None where the control ID was another's."""
    columns = (message.sender, message.control_id, message.digest, message.codec, message.body, message.answer)
    made = database.execute(
        "INSERT INTO messages (sender, control_id, digest, codec, body, answer) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        columns,
    )
    if not made.rowcount:
        digest, answer = database.execute(
            "SELECT digest, answer FROM messages WHERE sender = ? AND control_id = ?", columns[:2]
        ).fetchone()
        return bytes(answer) if digest == message.digest else None
    number = made.lastrowid
    database.executemany(
        "INSERT OR IGNORE INTO subjects VALUES (?, ?, ?)",
        [(subject.patient_id, subject.issuer, number) for subject in message.subjects],
    )
    database.executemany(
        "INSERT INTO merges VALUES (?, ?, ?, ?, ?)",
        [(number, m.old.patient_id, m.old.issuer, m.new.patient_id, m.new.issuer) for m in message.merges],
    )
    return message.answer


class KeptMessages:
    """Reads what was kept, while a listener writes; changes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def about(self, start: Identifier) -> tuple[dict[Identifier, Identifier], tuple[Kept, ...]]:
        """The messages about a patient, in the order of arrival.

        Parameters
        ----------
        start
            The study's Patient ID and issuer. Where one side names no issuer, the Patient ID alone leads to
            the message; whether the person is the same is for the caller to say.

        Returns
        -------
        identifiers, messages
            Every identifier that leads to the patient, merges followed, with the one that stands for it:
            the one that has the study's Patient ID.

        Raises
        ------
        OSError
            When the file cannot be read.
        """
        try:
            with closing(reading(self._path)) as database:
                known = followed(database, _beginnings(database, start))
                return known, tuple(_messages(database, known))
        except sqlite3.Error as error:
            raise OSError(f"the file of HL7 messages cannot be read: {error}") from error


def reading(path: Path) -> sqlite3.Connection:
    """The database, for those who only read."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)


def _beginnings(database: sqlite3.Connection, start: Identifier) -> list[Identifier]:
    rows = database.execute(
        "SELECT DISTINCT patient_id, issuer FROM subjects WHERE patient_id = ? AND (issuer IN ('', ?) OR ? = '')",
        (start.patient_id, start.issuer, start.issuer),
    )
    return [Identifier(*row) for row in rows]


def followed(database: sqlite3.Connection, beginnings: Iterable[Identifier]) -> dict[Identifier, Identifier]:
    """Every identifier that merges join to one of the beginnings, with that beginning."""
    known = {beginning: beginning for beginning in beginnings}
    waiting = list(known)
    while waiting:
        here = waiting.pop()
        at = (here.patient_id, here.issuer)
        rows = [
            *database.execute("SELECT new_id, new_issuer FROM merges WHERE old_id = ? AND old_issuer = ?", at),
            *database.execute("SELECT old_id, old_issuer FROM merges WHERE new_id = ? AND new_issuer = ?", at),
        ]
        for there in (Identifier(*row) for row in rows):
            if there not in known:
                known[there] = known[here]
                waiting.append(there)
    return known


def _messages(database: sqlite3.Connection, identifiers: Iterable[Identifier]) -> Iterator[Kept]:
    numbers: set[int] = set()
    for identifier in identifiers:
        rows = database.execute(
            "SELECT message FROM subjects WHERE patient_id = ? AND issuer = ?",
            (identifier.patient_id, identifier.issuer),
        )
        numbers |= {int(row[0]) for row in rows}
    for number in sorted(numbers):
        sender, control_id, codec, body = database.execute(
            "SELECT sender, control_id, codec, body FROM messages WHERE id = ?", (number,)
        ).fetchone()
        yield Kept(number=number, sender=sender, control_id=control_id, codec=codec, body=bytes(body))
