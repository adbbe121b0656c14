from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, inspect

from cds.errors import ConfigError
from cds.store import Ledger
from cds.store.database import Database, sqlite_url
from cds.store.tables import METADATA, SCHEMA_VERSION
from cds.store.upgrade import upgrade

SCHEMA_1 = """
CREATE TABLE meta (key VARCHAR(64) NOT NULL PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO meta VALUES ('schema_version', '1');
CREATE TABLE studies (study_instance_uid VARCHAR(64) NOT NULL PRIMARY KEY, state VARCHAR(20) NOT NULL,
  reason TEXT NOT NULL, generation INTEGER NOT NULL, attempts INTEGER NOT NULL, arrivals INTEGER NOT NULL,
  reopened BOOLEAN NOT NULL, inputs_hash VARCHAR(64) NOT NULL, patient_id TEXT NOT NULL,
  issuer_of_patient_id TEXT NOT NULL, birth_date VARCHAR(10) NOT NULL, sex VARCHAR(1) NOT NULL,
  first_received_at VARCHAR(32) NOT NULL, last_received_at VARCHAR(32) NOT NULL, changed_at VARCHAR(32) NOT NULL);
CREATE TABLE instances (id INTEGER NOT NULL PRIMARY KEY, sop_instance_uid VARCHAR(64) NOT NULL,
  sha256 VARCHAR(64) NOT NULL, study_instance_uid VARCHAR(64) NOT NULL REFERENCES studies,
  series_instance_uid VARCHAR(64) NOT NULL, sop_class_uid VARCHAR(64) NOT NULL,
  transfer_syntax_uid VARCHAR(64) NOT NULL, state VARCHAR(20) NOT NULL, image BOOLEAN NOT NULL, own BOOLEAN NOT NULL,
  blob VARCHAR(128) NOT NULL UNIQUE, size INTEGER NOT NULL, calling_ae_title VARCHAR(16) NOT NULL,
  address VARCHAR(64) NOT NULL, received_at VARCHAR(32) NOT NULL, UNIQUE (sop_instance_uid, sha256));
CREATE TABLE reports (id INTEGER NOT NULL PRIMARY KEY, study_instance_uid VARCHAR(64) NOT NULL REFERENCES studies,
  revision INTEGER NOT NULL, generation INTEGER NOT NULL, sop_instance_uid VARCHAR(64) NOT NULL UNIQUE,
  inputs_hash VARCHAR(64) NOT NULL, superseded BOOLEAN NOT NULL, created_at VARCHAR(32) NOT NULL,
  UNIQUE (study_instance_uid, revision));
CREATE TABLE report_files (id INTEGER NOT NULL PRIMARY KEY, report_id INTEGER NOT NULL REFERENCES reports,
  position INTEGER NOT NULL, name TEXT NOT NULL, media_type TEXT NOT NULL, sop_instance_uid VARCHAR(64) NOT NULL,
  sop_class_uid VARCHAR(64) NOT NULL, path VARCHAR(160) NOT NULL UNIQUE, sha256 VARCHAR(64) NOT NULL,
  size INTEGER NOT NULL);
CREATE TABLE deliveries (id INTEGER NOT NULL PRIMARY KEY, file_id INTEGER NOT NULL REFERENCES report_files,
  peer TEXT NOT NULL, state VARCHAR(10) NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL,
  first_at VARCHAR(32) NOT NULL, next_at VARCHAR(32) NOT NULL, UNIQUE (file_id, peer));
CREATE INDEX ix_deliveries_due ON deliveries (state, next_at);
CREATE TABLE events (id INTEGER NOT NULL PRIMARY KEY, at VARCHAR(32) NOT NULL, study_instance_uid VARCHAR(64) NOT NULL,
  sop_instance_uid VARCHAR(64) NOT NULL, kind VARCHAR(32) NOT NULL, detail TEXT NOT NULL);
INSERT INTO studies VALUES ('2.25.1', 'RUNNING', '', 1, 1, 1, 0, 'h', 'P', '', '', '', '2026', '2026', '2026');
INSERT INTO reports VALUES (1, '2.25.1', 1, 1, '2.25.9', 'h', 0, '2026');
INSERT INTO report_files VALUES (1, 1, 0, 'r.dcm', '', '2.25.9', '1.2.840.10008.5.1.4.1.1.88.33', 'a/r.dcm', 's', 1);
INSERT INTO deliveries VALUES (1, 1, 'pacs', 'PENDING', '', 0,
  '2026-01-01T00:00:00.000000+00:00', '2026-01-01T00:00:00.000000+00:00');
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A data folder as the version with schema 1 left it: one report is on its way."""
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.executescript(SCHEMA_1)
    connection.close()
    return tmp_path


def shape(folder: Path) -> dict[str, object]:
    """Tables with their columns and the names of their indexes."""
    database = Database(sqlite_url(folder / "ledger.sqlite"))
    with database.reading() as connection:
        about = inspect(connection)
        found = {
            table: (
                sorted((column["name"], column["nullable"]) for column in about.get_columns(table)),
                sorted(str(index["name"]) for index in about.get_indexes(table) if str(index["name"])[:3] == "ix_"),
            )
            for table in about.get_table_names()
        }
    database.close()
    return found


def test_an_upgraded_ledger_has_the_shape_of_a_new_one(old: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    new = tmp_path_factory.mktemp("new")
    Ledger(new).close()
    Ledger(old).close()
    assert shape(old) == shape(new)
    assert set(shape(new)) == set(METADATA.tables)


def test_what_was_on_its_way_is_delivered_after_the_upgrade(old: Path, book) -> None:
    with Ledger(old) as ledger:
        (delivery,) = ledger.deliveries.due(book.now, "pacs")
        assert delivery.files[0].sop_instance_uid == "2.25.9"
        ledger.deliveries.sent([delivery.files[0].delivery_id], book.now)
        assert ledger.state("2.25.1")["studies"][0]["state"] == "REPORTED"


def test_an_upgrade_is_made_once_and_remembered(old: Path) -> None:
    Ledger(old).close()
    Ledger(old).close()
    with sqlite3.connect(old / "ledger.sqlite") as connection:
        found = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchall()
    connection.close()
    assert found == [(str(SCHEMA_VERSION),)]


def test_an_upgrade_that_fails_changes_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("cds.store.upgrade._renew_indexes", fail)
    with pytest.raises(RuntimeError):
        Ledger(old)
    with sqlite3.connect(old / "ledger.sqlite") as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        columns = {row[1] for row in connection.execute("PRAGMA table_info(deliveries)")}
    connection.close()
    assert "commitments" not in tables
    assert "commit_at" not in columns


def test_a_newer_schema_is_refused_and_left_as_it_is(old: Path) -> None:
    with sqlite3.connect(old / "ledger.sqlite") as connection:
        connection.execute("UPDATE meta SET value = '99'")
    connection.close()
    with pytest.raises(ConfigError, match="schema 99"):
        Ledger(old)
    with sqlite3.connect(old / "ledger.sqlite") as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(deliveries)")}
    connection.close()
    assert "commit_at" not in columns


def test_a_new_column_without_a_default_is_a_defect_that_is_named(tmp_path: Path) -> None:
    metadata = MetaData()
    Table("things", metadata, Column("id", Integer, primary_key=True), Column("new", Integer, nullable=False))
    database = Database(sqlite_url(tmp_path / "x.sqlite"))
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE things (id INTEGER PRIMARY KEY)")
        with pytest.raises(ValueError, match=r"things\.new"):
            upgrade(connection, metadata)
    database.close()
