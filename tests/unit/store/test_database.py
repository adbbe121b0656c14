from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from cds.errors import ConfigError, OutOfResources
from cds.store import Ledger, NodeLock
from cds.store.database import Database, sqlite_url


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    connection.close()
    with pytest.raises(ConfigError, match="schema 99"):
        Ledger(tmp_path)


def test_a_damaged_database_is_refused_with_the_way_out(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    file = tmp_path / "ledger.sqlite"
    content = bytearray(file.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="rebuilt from the stored instances"):
        Ledger(tmp_path, check=True)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ConfigError, match="cannot be used"):
        Ledger(tmp_path)


def test_a_locked_database_is_out_of_resources_not_an_internal_error(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    database = Database(sqlite_url(file), busy_seconds=0.05)
    other = sqlite3.connect(file)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OutOfResources, match="locked"), database.writing():
        pytest.fail("the transaction began")
    other.rollback()
    other.close()
    with database.writing():
        pass
    database.close()


def test_commits_are_durable_by_configuration(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "x.sqlite"))
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    database.close()


def test_a_failed_transaction_leaves_no_trace(book, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("cds.store.arrivals._Page._enter_instance", fail)
    with pytest.raises(RuntimeError):
        book.arrive()
    assert book.ledger.state()["studies"] == []


def test_a_folder_belongs_to_one_node_until_it_lets_go(tmp_path: Path) -> None:
    first, second = NodeLock(tmp_path), NodeLock(tmp_path)
    assert not second.held_by_anyone()
    first.acquire()
    with pytest.raises(ConfigError, match="another node"):
        second.acquire()
    assert second.held_by_anyone()
    first.release()
    second.acquire()
    second.release()
    assert not first.held_by_anyone()


def test_the_state_names_the_node_only_while_it_runs(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger, Ledger(tmp_path) as other:
        ledger.set_node({"ae_title": "CDS", "port": 11112, "pid": 1})
        assert other.state()["node"] is None
        ledger.lock.acquire()
        assert other.state()["node"] == {"ae_title": "CDS", "port": 11112, "pid": 1}
        ledger.lock.release()


def test_no_patient_data_stands_in_an_error_of_the_database(book, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import IntegrityError

    book.arrive()
    monkeypatch.setattr("cds.store.arrivals._Page._enter_study", lambda *_: None)
    with pytest.raises(IntegrityError) as caught:
        book.arrive(study="2.25.4", calling_ae_title="CANARY")
    assert "CANARY" not in str(caught.value)
