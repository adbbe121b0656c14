"""Resources on the disk: one SQLite file, written by listener and poller, read by the records source.

A resource is durable when `ResourceStore.keep` returns: WAL with synchronous=FULL flushes at each commit
(https://www.sqlite.org/pragma.html#pragma_synchronous). Each version of a resource is one row; one version of
it is current.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from cds.errors import ConfigError, OutOfResources
from cds_fhir.resources import Resource

_LOG: Final = logging.getLogger(__name__)
_VERSION: Final = 1
BUSY_SECONDS: Final = 10.0
_SCHEMA: Final = """
CREATE TABLE resources (
  id INTEGER PRIMARY KEY,
  origin TEXT NOT NULL, type TEXT NOT NULL, resource_id TEXT NOT NULL, version TEXT NOT NULL,
  digest BLOB NOT NULL, updated_at TEXT NOT NULL,
  received_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
  subject TEXT NOT NULL, observed REAL, is_current INTEGER NOT NULL, body BLOB NOT NULL,
  UNIQUE (origin, type, resource_id, version));
CREATE INDEX resources_by_subject ON resources (origin, subject, type, observed) WHERE is_current;
CREATE TABLE identifiers (
  value TEXT NOT NULL, system TEXT NOT NULL, resource INTEGER NOT NULL REFERENCES resources,
  PRIMARY KEY (value, system, resource)) WITHOUT ROWID;
CREATE TABLE links (
  origin TEXT NOT NULL, one TEXT NOT NULL, other TEXT NOT NULL, resource INTEGER NOT NULL REFERENCES resources,
  PRIMARY KEY (origin, one, other, resource)) WITHOUT ROWID;
CREATE INDEX links_by_other ON links (origin, other);
CREATE TABLE progress (
  origin TEXT NOT NULL, type TEXT NOT NULL, position TEXT NOT NULL, next TEXT NOT NULL, high TEXT NOT NULL,
  asked_at REAL NOT NULL, PRIMARY KEY (origin, type));
CREATE TABLE absent (
  origin TEXT NOT NULL, patient TEXT NOT NULL, asked_at REAL NOT NULL, PRIMARY KEY (origin, patient)) WITHOUT ROWID;
"""


class Outcome(Enum):
    """What became of a resource: new, a new version, or known before."""

    CREATED = "created"
    UPDATED = "updated"
    KNOWN = "known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a server was asked for resources of one type.

    Attributes
    ----------
    position
        The latest ``meta.lastUpdated`` of the last search that was read to its end; ``""`` before the first.
    next
        Where the search that is not yet read to its end goes on; ``""`` where none is.
    high
        The latest ``meta.lastUpdated`` seen in it.
    asked_at
        Seconds since 1970, of the last search that was read to its end.
    """

    position: str = ""
    next: str = ""
    high: str = ""
    asked_at: float = 0.0


def store_path(data_dir: str) -> Path:
    """Where the resources of a node lie."""
    return Path(data_dir) / "fhir" / "resources.sqlite3"


class ResourceStore:
    """Keeps resources; safe to call from several threads, and several processes may share the file.

    Raises
    ------
    ConfigError
        When the file is of a newer version, or no database.
    OSError
        When it cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.Lock()
        self._database = _opened(path)

    def keep(
        self, origin: str, resources: Sequence[Resource], progress: tuple[str, Progress] | None = None
    ) -> list[Outcome]:
        """Keep all of them, and how far a server was asked, or nothing; on the disk when it returns.

        Raises
        ------
        OutOfResources
            When the disk or the database does not take it now.
        """
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                found = [_keep(self._database, origin, resource) for resource in resources]
                if progress is not None:
                    _write_progress(self._database, origin, *progress)
                self._database.execute("COMMIT")
            except (sqlite3.Error, OSError) as error:
                _LOG.error("resources cannot be kept now: %s", error if isinstance(error, sqlite3.Error) else "disk")
                self._roll_back()
                raise OutOfResources("the resource cannot be kept now") from error
            return found

    def progress(self, origin: str, kind: str) -> Progress:
        """How far a server was asked for resources of a type."""
        row = self._database.execute(
            "SELECT position, next, high, asked_at FROM progress WHERE origin = ? AND type = ?", (origin, kind)
        ).fetchone()
        return Progress(position=row[0], next=row[1], high=row[2], asked_at=row[3]) if row else Progress()

    def lacking(self, origin: str, asked_before: float, limit: int) -> list[str]:
        """IDs of Patients that others refer to and that are not kept, nor were asked for since `asked_before`."""
        rows = self._database.execute(
            "WITH wanted (at) AS ("
            " SELECT DISTINCT subject FROM resources WHERE origin = ?1 AND is_current AND subject GLOB 'Patient/*'"
            " UNION SELECT other FROM links WHERE origin = ?1 AND other GLOB 'Patient/*')"
            " SELECT substr(at, 9) FROM wanted WHERE NOT EXISTS (SELECT 1 FROM resources"
            "  WHERE origin = ?1 AND type = 'Patient' AND resource_id = substr(at, 9))"
            " AND NOT EXISTS (SELECT 1 FROM absent WHERE origin = ?1 AND patient = substr(at, 9) AND asked_at >= ?2)"
            " ORDER BY 1 LIMIT ?3",
            (origin, asked_before, limit),
        )
        return [str(row[0]) for row in rows]

    def note_absent(self, origin: str, patients: Iterable[str], asked_at: float) -> None:
        """Patients that the server was asked for; those that it has are kept, and no longer lack.

        Raises
        ------
        OutOfResources
            As in `keep`.
        """
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                self._database.executemany(
                    "INSERT OR REPLACE INTO absent VALUES (?, ?, ?)", [(origin, each, asked_at) for each in patients]
                )
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise OutOfResources("it cannot be kept now") from error

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    def _roll_back(self) -> None:
        if self._database.in_transaction:
            try:
                self._database.execute("ROLLBACK")
            except sqlite3.Error as error:
                _LOG.error("a transaction cannot be taken back: %s", error)


def _opened(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("BEGIN IMMEDIATE")
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        if version == 0:
            for statement in _SCHEMA.split(";\n"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version={_VERSION}")
        database.execute("COMMIT")
    except sqlite3.OperationalError as error:
        database.close()
        raise OSError(f"the file of FHIR resources cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        database.close()
        raise ConfigError(f"{path} is damaged or no file of FHIR resources: {error}") from error
    if version > _VERSION:
        database.close()
        raise ConfigError(f"{path} is of version {version}; this software knows up to {_VERSION}")
    return database


def _keep(database: sqlite3.Connection, origin: str, resource: Resource) -> Outcome:
    """Insert a version, where it is one; it becomes current unless a later one is."""
    name = (origin, resource.type, resource.id)
    known = database.execute(
        "SELECT id, version, digest, updated_at, is_current FROM resources"
        " WHERE origin = ? AND type = ? AND resource_id = ?",
        name,
    ).fetchall()
    for _, version, digest, _, is_current in known:
        if digest == resource.digest and (is_current or _said(version) == resource.version):
            return Outcome.KNOWN
    current = next((row for row in known if row[4]), None)
    is_late = current is not None and resource.updated_at != "" and resource.updated_at < current[3]
    if not is_late:
        database.execute(
            "UPDATE resources SET is_current = 0 WHERE origin = ? AND type = ? AND resource_id = ? AND is_current", name
        )
    version = _free(resource.version or f"+{len(known) + 1}", {str(row[1]) for row in known})
    made = database.execute(
        "INSERT INTO resources (origin, type, resource_id, version, digest, updated_at, subject, observed, is_current,"
        " body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *name,
            version,
            resource.digest,
            resource.updated_at,
            resource.subject,
            resource.observed,
            not is_late,
            resource.body,
        ),
    )
    _index(database, origin, resource, made.lastrowid)
    return Outcome.UPDATED if known else Outcome.CREATED


def _said(version: str) -> str:
    """The version as the server said it; one that it did not say equals none that it says."""
    return version.partition("~")[0]


def _free(version: str, taken: set[str]) -> str:
    """A version that no other row has: a server may give one to two contents."""
    number, found = 1, version
    while found in taken:
        number += 1
        found = f"{version}~{number}"
    return found


def _index(database: sqlite3.Connection, origin: str, resource: Resource, row: int | None) -> None:
    database.executemany(
        "INSERT OR IGNORE INTO identifiers VALUES (?, ?, ?)",
        [(each.value, each.system, row) for each in resource.identifiers],
    )
    database.executemany(
        "INSERT OR IGNORE INTO links VALUES (?, ?, ?, ?)",
        [(origin, f"{resource.type}/{resource.id}", other, row) for other in resource.links],
    )


def _write_progress(database: sqlite3.Connection, origin: str, kind: str, progress: Progress) -> None:
    database.execute(
        "INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?, ?, ?)",
        (origin, kind, progress.position, progress.next, progress.high, progress.asked_at),
    )
