"""The connection: transactions that are durable when they return, and errors in the house's words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, delete, event, insert, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from cds.errors import ConfigError, OutOfResources
from cds.store.tables import EVENTS, META, METADATA, SCHEMA_VERSION
from cds.store.upgrade import upgrade

_BUSY_SECONDS: Final = 5.0
"""How long a writer waits for another one before it says so: well inside a sender's DIMSE timeout."""

_VERSION_KEY: Final = "schema_version"


def sqlite_url(file: Path) -> str:
    """The URL of an embedded database."""
    return f"sqlite:///{file}"


def stamp(moment: datetime) -> str:
    """A time as the tables keep it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class Database:
    """An engine with one writer at a time.

    Parameters
    ----------
    url
        An SQLAlchemy URL; SQLite is set to WAL with ``synchronous=FULL``, so that a commit is an fsync.
    check
        Whether every page of an SQLite file is looked at first, which takes as long as it is large.

    Raises
    ------
    ConfigError
        When the database is damaged, or was written by a newer version of this software.
    """

    def __init__(self, url: str, *, busy_seconds: float = _BUSY_SECONDS, check: bool = False) -> None:
        self._url = url
        self._busy_seconds = busy_seconds
        self._writing = threading.Lock()
        self._engine = _engine(url, busy_seconds)
        try:
            self._check_health(every_page=check)
            self._check_schema()
        except DBAPIError as error:
            self.close()
            raise ConfigError(_damaged(url, str(error.orig))) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of every connection."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent look at the database.

        Raises
        ------
        OutOfResources
            When it cannot be read now.
        """
        with _translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable once the block has been left without an error.

        Raises
        ------
        OutOfResources
            When another process keeps the database locked, or the disk is full or broken.
        """
        if not self._writing.acquire(timeout=self._busy_seconds):
            raise OutOfResources("the database is busy: another transaction has not ended yet")
        try:
            with _translated(), self._engine.connect() as connection:
                connection = connection.execution_options(cds_writes=True)
                with connection.begin():
                    yield connection
        finally:
            self._writing.release()

    def _check_health(self, *, every_page: bool) -> None:
        if self._engine.dialect.name != "sqlite":
            return
        with self._engine.connect() as connection:
            connection.execute(text("PRAGMA schema_version"))  # reads the file's header
            verdict = connection.execute(text("PRAGMA quick_check(1)")).scalar_one() if every_page else "ok"
        if verdict != "ok":
            raise ConfigError(_damaged(self._url, str(verdict)))

    def _check_schema(self) -> None:
        with self.writing() as connection:
            found = _schema_of(connection)
            if found > SCHEMA_VERSION:
                raise ConfigError(
                    f"the ledger has schema {found}, this version knows {SCHEMA_VERSION}: "
                    "run the newer version of the software that wrote it"
                )
            if found < SCHEMA_VERSION:
                upgrade(connection, METADATA)
                connection.execute(delete(META).where(META.c.key == _VERSION_KEY))
                connection.execute(insert(META).values(key=_VERSION_KEY, value=str(SCHEMA_VERSION)))


def note(
    connection: Connection,
    at: datetime,
    kind: str,
    *,
    study_instance_uid: str = "",
    sop_instance_uid: str = "",
    detail: str = "",
) -> None:
    """Enter an event into the history; `detail` carries no patient data."""
    connection.execute(
        insert(EVENTS).values(
            at=stamp(at),
            kind=kind,
            study_instance_uid=study_instance_uid,
            sop_instance_uid=sop_instance_uid,
            detail=detail,
        )
    )


def _engine(url: str, busy_seconds: float) -> Engine:
    engine = create_engine(url, hide_parameters=True)
    if make_url(url).get_backend_name() != "sqlite":
        return engine

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in (
            f"busy_timeout={int(busy_seconds * 1000)}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("cds_writes", False)
        # IMMEDIATE takes the write lock at once: a lock that is upgraded later can deadlock
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _schema_of(connection: Connection) -> int:
    """The schema's version; 0 of an empty database."""
    if not inspect(connection).has_table(META.name):
        return 0
    found = connection.execute(select(META.c.value).where(META.c.key == _VERSION_KEY)).scalar_one_or_none()
    return int(found or 0)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, PoolTimeoutError) as error:
        cause = str(error.orig) if isinstance(error, DBAPIError) else "no connection is free"
        raise OutOfResources(f"the database does not take it now: {cause}") from None


def _damaged(url: str, verdict: str) -> str:
    where = make_url(url).database or make_url(url).render_as_string(hide_password=True)
    return (
        f"the ledger {where!r} cannot be used ({verdict}). Restore it from a backup, or move it away together with "
        "its -wal and -shm files and start again: the ledger is then rebuilt from the stored instances"
    )
