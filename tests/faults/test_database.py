"""A ledger that is locked, damaged, of a newer version, or wanted by two nodes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faults.senders import instance, instances
from faults.stage import Stage

LOCKED_SECONDS = float(os.environ.get("CDS_FAULT_LOCKED_SECONDS", "7"))
"""Longer than a transaction waits; the list of faults says 30 s."""
LOCK = """
import sqlite3, sys, threading
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another process holds the database, as long as the block runs."""
    command = [sys.executable, "-c", LOCK, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        yield
        process.stdin.close()


def test_a_ledger_that_another_process_locks_holds_up_no_reception(common: Stage) -> None:
    with locked(common.data_dir / "ledger.sqlite"), common.pulse() as pulse:
        with common.load(instances((1, 2), 5, size=20_000)) as load:
            load.finish()
        common.wait(lambda: common.ready()[0] == 503, "/readyz to say so")
        pulse.wait(LOCKED_SECONDS)
        assert common.send(instance(3, 1)) == [0x0000]
    common.check()
    common.wait(lambda: common.ready()[0] == 200, "/readyz to be well again")


@pytest.mark.slow
def test_a_locked_database_of_the_workflow_only_delays(common: Stage) -> None:
    with locked(common.data_dir / "workflow.sqlite"), common.pulse() as pulse:
        assert common.send(instance(5, 1)) == [0x0000]
        pulse.wait(LOCKED_SECONDS)
    common.check()


def test_a_second_node_on_the_folder_is_refused_and_the_first_goes_on(common: Stage) -> None:
    first = common.node.process
    try:
        assert "another node already works" in common.refuses_to_start()
    finally:
        common.node.process = first
    assert common.send(instance(10, 1)) == [0x0000]
    common.check()


def test_a_ledger_of_a_newer_version_is_refused_and_untouched(common: Stage) -> None:
    common.stop()
    database = common.data_dir / "ledger.sqlite"
    version = "UPDATE meta SET value = {} WHERE key = 'schema_version'"
    with sqlite3.connect(database) as connection:
        (known,) = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
        connection.execute(version.format(999))
    connection.close()
    said = common.refuses_to_start()
    assert "schema 999" in said
    assert "Traceback" not in said
    with sqlite3.connect(database) as connection:
        connection.execute(version.format(known))
    connection.close()
    common.start()
    common.check()


def test_a_damaged_page_is_refused_and_the_ledger_is_rebuilt_from_the_blobs(common: Stage) -> None:
    common.send(*instances((20, 21), 3))
    common.check()
    common.stop()
    database = common.data_dir / "ledger.sqlite"
    with database.open("r+b") as file:
        for page in range(2, database.stat().st_size // 4096, 2):
            file.seek(page * 4096)
            file.write(os.urandom(4096))
    said = common.refuses_to_start()
    assert "rebuilt from the stored instances" in said
    assert "Traceback" not in said
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
        (common.data_dir / name).unlink(missing_ok=True)
    common.start()
    common.check()
    common.stop()
    common.check()


@pytest.mark.parametrize("name", ["workflow.sqlite", pytest.param("journal/dicom-0.ring", marks=pytest.mark.slow)])
def test_what_else_is_damaged_is_named_at_the_start(stage_of: Callable[..., Stage], name: str) -> None:
    stage = stage_of()
    stage.start()
    stage.stop()
    with (stage.data_dir / name).open("r+b") as file:
        file.write(os.urandom(4096))
    said = stage.refuses_to_start()
    assert Path(name).name in said
    assert "Traceback" not in said
