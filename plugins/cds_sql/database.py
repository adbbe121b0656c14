"""The site's database: read only, within a time, a row at a time."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, FromClause, Select, column, create_engine, func, literal, select, table, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from cds.errors import ConfigError

ROWS_AT_ONCE: Final = 1000
_STEPS: Final = 10_000
"""Instructions of SQLite's machine between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row, by column; `number` counts the patient's rows from 1."""

    number: int
    cells: Mapping[str, object] = field(repr=False)

    def cell(self, column: str) -> object:
        """A cell as the database gives it (`cds.domain.rows.Row`)."""
        return self.cells.get(column)


class Unanswered(Exception):
    """The database gave no whole answer; the message carries nothing of a query or a row."""


@dataclass(frozen=True, slots=True)
class View:
    """A view or table by name, or a SELECT in its place; `columns` are those of ours that it has, as it names them."""

    relation: FromClause
    columns: Mapping[str, str]

    def has(self, name: str) -> bool:
        """Whether it has a column."""
        return name in self.columns


class Database:
    """Reads views; every look is a transaction of its own, which the database holds to be read only.

    Raises
    ------
    ConfigError
        When the URL is none, or its driver is not installed.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._timeout = timeout_seconds
        self._engine = _engine(url)

    def view(self, said: str, known: Sequence[str]) -> View:
        """Look at the columns of a view.

        Raises
        ------
        Unanswered
            When the database cannot be asked, or has no such view.
        """
        relation = _relation(said, ())
        with self._reading() as connection:
            found = connection.execute(select(text("*")).select_from(relation).where(literal(1) == 0)).keys()
        columns = {name.lower(): name for name in found if name.lower() in known}
        return View(_relation(said, tuple(columns.values())), columns)

    def rows(self, view: View, patient_id: str, order: str) -> Iterator[Row]:
        """The rows of one patient, ordered by a column, as they come.

        Raises
        ------
        Unanswered
            When the database cannot be asked, or takes too long.
        """
        wanted = view.relation.c[view.columns["patient_id"]] == patient_id
        query = self._selected(view).where(wanted).order_by(view.relation.c[view.columns[order]])
        yield from self._streamed(query)

    def latest(self, view: View) -> tuple[object, int]:
        """The latest `updated_at` of all rows, None where there is none, and how many have it. Errors as in `rows`."""
        updated = view.relation.c[view.columns["updated_at"]]
        with self._reading() as connection:
            last = connection.execute(select(func.max(updated))).scalar()
            count = connection.execute(select(func.count()).select_from(view.relation).where(updated == last)).scalar()
        return last, int(count or 0)

    def changed(self, view: View, since: object) -> Iterator[Row]:
        """Who the rows are about whose `updated_at` is not before `since`, oldest first. Errors as in `rows`."""
        updated = view.relation.c[view.columns["updated_at"]]
        names = [name for name in ("patient_id", "issuer", "updated_at") if view.has(name)]
        query = select(*(view.relation.c[view.columns[name]].label(name) for name in names)).order_by(updated)
        yield from self._streamed(query.where(updated >= since) if since is not None else query)

    def close(self) -> None:
        """Let go of every connection."""
        self._engine.dispose()

    def _selected(self, view: View) -> Select[tuple[object, ...]]:
        return select(*(view.relation.c[own].label(name) for name, own in view.columns.items()))

    def _streamed(self, query: Select[tuple[object, ...]]) -> Iterator[Row]:
        patience = _Patience(self._timeout)
        taken = 0
        with self._reading(patience) as connection:
            with patience:
                result = connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)).mappings()
            while True:
                with patience:
                    part = result.fetchmany(ROWS_AT_ONCE)
                if not part:
                    return
                for number, cells in enumerate(part, start=taken + 1):
                    yield Row(number, {str(name): cell for name, cell in cells.items()})
                taken += len(part)

    @contextmanager
    def _reading(self, patience: _Patience | None = None) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                self._hold(connection, patience or _Patience(self._timeout).begun())
                yield connection
        except SQLAlchemyError as error:  # its message carries the query and its parameters
            raise Unanswered(f"the database cannot be asked, or has no such view ({type(error).__name__})") from None

    def _hold(self, connection: Connection, patience: _Patience) -> None:
        """Read only, and no statement longer than the time there is."""
        if connection.dialect.name == "postgresql":
            connection.execution_options(postgresql_readonly=True)
            milliseconds = max(1, round(self._timeout * 1000))
            connection.execute(text(f"SET LOCAL statement_timeout = {milliseconds}"))
        raw = connection.connection.dbapi_connection
        if isinstance(raw, sqlite3.Connection):
            raw.set_progress_handler(patience.is_over, _STEPS)


class _Patience:
    """The time that the database takes for one question, apart from what we do with the rows meanwhile.

    Leaving it raises `Unanswered` when it was too long.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._began: float | None = None

    def __enter__(self) -> None:
        self.begun()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        began, self._began = self._began, None
        self._left -= time.monotonic() - began if began is not None else 0.0
        if error is None and self._left < 0:
            raise Unanswered("the database takes too long")

    def begun(self) -> _Patience:
        """The clock runs."""
        self._began = time.monotonic()
        return self

    def is_over(self) -> bool:
        """Whether it is too long already."""
        return self._began is not None and time.monotonic() - self._began > self._left


def _engine(said: str) -> Engine:
    try:
        url = make_url(said)
        if url.get_backend_name() == "sqlite":
            return _sqlite(url)
        return create_engine(url, poolclass=NullPool, hide_parameters=True)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        # The message of SQLAlchemy may carry the URL with its password.
        raise ConfigError(
            "[records.sql] url is no SQLAlchemy URL, or its driver is not installed"
            f" ({type(error).__name__}); e.g. postgresql+psycopg://reader@host/database"
        ) from None


def _sqlite(url: URL) -> Engine:
    """Opened read only: a file that is not there is not made."""
    path = f"file:{quote(str(Path(url.database or '').absolute()))}?mode=ro"
    return create_engine(
        "sqlite://", poolclass=NullPool, hide_parameters=True, creator=lambda: sqlite3.connect(path, uri=True)
    )


def _relation(said: str, columns: Sequence[str]) -> FromClause:
    """A name, with its schema where it has one, or a SELECT."""
    if said.strip().lower().startswith(("select", "with")):
        return text(said.strip().rstrip(";")).columns(*(column(name) for name in columns)).subquery("records")
    schema, _, name = said.strip().rpartition(".")
    return table(name, *(column(each) for each in columns), schema=schema or None)
