"""Disk and database: whether there is room, whether it is ours alone, and whether the ledger opens."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cds.config import Settings
from cds.domain.diagnosis import Diagnosis, fail, ok, warn
from cds.store import Ledger
from cds.store.durable import fsync_folder

_MB: Final = 1 << 20
_SLOW_SECONDS: Final = 0.05
"""A disk that takes longer to make one megabyte durable holds back every sender; an SSD takes 1 to 5 ms."""
_TRIES: Final = 5


def examine_folder(settings: Settings) -> Iterator[Diagnosis]:
    """Look at the data folder, or at where it is to be: its owner, its room, its speed."""
    folder = settings.data_dir
    if folder.is_dir():
        yield from _folder(folder)
        there = folder
    else:
        there = next(path for path in folder.parents if path.is_dir())
        can = _can_make_a_folder(there)
        if not can:
            yield fail("data folder", f"{folder} cannot be made", f"let the user of the node write to {there}")
            return
        yield warn("data folder", f"{folder} is not there yet", "`cds serve` makes it at its first start")
    yield _room(settings, there)
    yield _speed(there)


def _can_make_a_folder(parent: Path) -> bool:
    """Try: what the access rights say is not all (a read-only or a virtual file system)."""
    trial = parent / f".doctor-{os.getpid()}"
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError:
        return False
    return True


def refused(settings: Settings, error: Exception) -> Diagnosis:
    """Say that the database does not open, and why."""
    return fail(_database(settings), str(error), "do what it says; the stored instances themselves are not touched")


def examine_ledger(settings: Settings, ledger: Ledger) -> Iterator[Diagnosis]:
    """Look into a database that opened."""
    studies = ledger.overview.studies()
    instances = sum(ledger.overview.instances().values())
    yield ok(_database(settings), f"opens; {sum(studies.values())} studies, {instances} instances")
    yield ok("node", "is running in this folder" if ledger.lock.held_by_anyone() else "is not running in this folder")
    stuck = {state: studies[state] for state in ("FAILED", "IDENTITY_CONFLICT", "QUARANTINED") if studies.get(state)}
    if stuck:
        counted = ", ".join(f"{count} {state}" for state, count in stuck.items())
        yield warn("studies", counted, "`cds state` says why; then `cds retry`, `cds resend` or `cds discard`")


def _database(settings: Settings) -> str:
    return "database" if settings.database.url else "database (SQLite in the data folder)"


def _folder(folder: Path) -> Iterator[Diagnosis]:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield fail("data folder", f"{folder} is not ours to write", "run the node as the user that owns it")
        return
    if folder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mend = "chmod 700 the folder: it holds patients' data (a group that makes backups may read it)"
        yield warn("data folder", f"{folder} is open to other users of this machine", mend)
    else:
        yield ok("data folder", f"{folder} is ours alone")


def _room(settings: Settings, folder: Path) -> Diagnosis:
    free = shutil.disk_usage(folder).free // _MB
    reserve = settings.node.reserve_mb
    found = f"{free:,} MB free, of which {reserve:,} are kept in reserve"
    mend = "free some space, move data_dir to a larger disk, or lower node.reserve_mb"
    if free <= reserve:
        return fail("disk space", found + ": nothing more is taken, every sender hears 0xA700", mend)
    if free < 5 * reserve:
        return warn("disk space", found, mend)
    return ok("disk space", found)


def _speed(folder: Path) -> Diagnosis:
    """Time what every instance costs: a megabyte, written and made durable."""
    file = folder / f".doctor-{os.getpid()}"
    try:
        seconds = sorted(_durable_write(file) for _ in range(_TRIES))[_TRIES // 2]
    except OSError as error:
        return fail(
            "disk", f"a file cannot be made durable: {error.strerror}", "look at the disk and its mount options"
        )
    finally:
        file.unlink(missing_ok=True)
    found = f"1 MB is durable after {seconds * 1e3:.1f} ms"
    if seconds > _SLOW_SECONDS:
        mend = "put data_dir on a local SSD; network file systems and disks under load hold every sender back"
        return warn("disk", found, mend)
    return ok("disk", found)


def _durable_write(file: Path) -> float:
    content = bytes(_MB)
    start = time.perf_counter()
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fsync_folder(file.parent)
    return time.perf_counter() - start
