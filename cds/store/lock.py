"""One node per folder."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from cds.errors import ConfigError
from cds.store.durable import make_folder

_TRIES: Final = 5
"""Someone who only looks (`held_by_anyone`) holds the lock for an instant: that is no second node."""


class NodeLock:
    """An advisory lock on the data folder; the kernel lets go of it when the process dies."""

    def __init__(self, data_dir: Path) -> None:
        make_folder(data_dir)
        self._path = data_dir / "node.lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the folder.

        Raises
        ------
        ConfigError
            When another node works in it.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        for _ in range(_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(0.05)
            else:
                self._descriptor = descriptor
                return
        os.close(descriptor)
        raise ConfigError(
            f"another node already works in {str(self._path.parent)!r}: stop it, or give this one its own data_dir"
        )

    def release(self) -> None:
        """Let go of the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def held_by_anyone(self) -> bool:
        """Whether a node, this one or another, works in the folder now."""
        if self._descriptor is not None:
            return True
        if not self._path.exists():
            return False
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False
