"""Fetched studies on disk: bounded, under names that the wire has no say in, and there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_UNFINISHED: Final = ".part"
_MOVED: Final = ".moved"


class PriorCache:
    """A folder of studies that were fetched for comparisons; it may be deleted at any time.

    Parameters
    ----------
    most_bytes, most_days
        What is larger altogether, or was not used for longer, is removed, the longest unused first.
    """

    def __init__(self, root: Path, *, most_bytes: int = 20 << 30, most_days: float = 30.0) -> None:
        self._root = root
        self._most_bytes = most_bytes
        self._most_seconds = most_days * 86_400

    def clear_up(self) -> int:
        """Remove what a crash left half fetched; how many studies."""
        left = list(self._root.glob(f"*{_UNFINISHED}"))
        for folder in left:
            shutil.rmtree(folder, ignore_errors=True)
        return len(left)

    def files(self, study_instance_uid: str) -> tuple[Path, ...]:
        """The files of a study, none where it is not here; it counts as used now."""
        folder = self._folder(study_instance_uid)
        if not folder.is_dir():
            return ()
        with suppress(OSError):
            os.utime(folder)
        return tuple(sorted(folder.glob("*.dcm")))

    def fill(self, study_instance_uid: str, fetch: Callable[[Path], object]) -> tuple[Path, ...]:
        """Let `fetch` write a study's files into a folder, then keep it; the files.

        Raises
        ------
        OSError
            When the disk does not take it. This, and what `fetch` raises, leaves nothing behind.
        """
        unfinished = self._root / f"{uuid.uuid4().hex}{_UNFINISHED}"
        unfinished.mkdir(parents=True)
        try:
            fetch(unfinished)
            folder = self._folder(study_instance_uid)
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.replace(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return tuple(sorted(folder.glob("*.dcm")))

    def drop(self, study_instance_uid: str) -> None:
        """Forget a study."""
        shutil.rmtree(self._folder(study_instance_uid), ignore_errors=True)

    def note_moved(self, study_instance_uid: str) -> None:
        """Remember, durably, that a study was asked to be sent to our listener for a comparison."""
        self._root.mkdir(parents=True, exist_ok=True)
        with self._mark(study_instance_uid).open("wb") as file:
            os.fsync(file.fileno())

    def forget_moved(self, study_instance_uid: str) -> None:
        """It was not sent after all."""
        self._mark(study_instance_uid).unlink(missing_ok=True)

    def was_moved(self, study_instance_uid: str) -> bool:
        """Whether it was, within the last day."""
        try:
            return time.time() - self._mark(study_instance_uid).stat().st_mtime < 86_400
        except FileNotFoundError:
            return False

    def sweep(self) -> int:
        """Remove what is too old or too much; how many studies and marks."""
        now, kept, removed = time.time(), 0, 0
        entries = sorted(self._root.glob("*"), key=lambda entry: -entry.stat().st_mtime)
        for entry in entries:
            if entry.suffix == _UNFINISHED:
                continue
            kept += sum(file.stat().st_size for file in entry.glob("*.dcm"))
            if kept > self._most_bytes or now - entry.stat().st_mtime > self._most_seconds:
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)
                removed += 1
        return removed

    def _folder(self, study_instance_uid: str) -> Path:
        return self._root / hashlib.sha256(study_instance_uid.encode()).hexdigest()[:32]

    def _mark(self, study_instance_uid: str) -> Path:
        return self._folder(study_instance_uid).with_suffix(_MOVED)
