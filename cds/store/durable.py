"""Files that are there whole or not at all, also after a power cut."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from cds.ports import Bytes


def write_durably(path: Path, parts: Iterable[Bytes], temporary_dir: Path) -> None:
    """Write a file so that, once this returns, it survives a crash.

    Temporary file in the same filesystem, fsync, rename, fsync of the folder (`path`'s folder
    must exist and be durable itself). On an error nothing is left behind.

    Raises
    ------
    OSError
        When the disk does not take it (ENOSPC, EIO, EROFS, EMFILE).
    """
    temporary = temporary_dir / f"{uuid.uuid4().hex}.part"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    try:
        try:
            for part in parts:
                write_all(descriptor, part)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def write_all(descriptor: int, part: Bytes) -> None:
    """Write all of `part`, however often that has to be asked for."""
    view = memoryview(part)
    while view:
        view = view[os.write(descriptor, view) :]


def begin_writeback(descriptor: int, start: int = 0, length: int = 0) -> None:
    """Set what was written on its way to the disk, so that a later fsync finds it there; `length` 0 is to the end.

    On Linux the advice that pages are not needed starts their writeback; elsewhere nothing happens.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)


def fsync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create `folder` and its parents, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    fsync_folder(folder.parent)


def sweep(temporary_dir: Path) -> int:
    """Remove what a crash left half written; how many there were."""
    leftovers = list(temporary_dir.glob("*.part"))
    for leftover in leftovers:
        leftover.unlink()
    return len(leftovers)
