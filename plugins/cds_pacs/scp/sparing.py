"""Warnings that a stranger can cause must not fill the log."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final

_MOST: Final = 20
_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Window:
    end: float = 0.0
    written: int = 0
    dropped: int = 0


class SparingWarnings:
    """Writes at most twenty warnings of a kind a minute; the next minute tells how many were not written."""

    def __init__(self, log: logging.Logger, now: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._now = now
        self._lock = Lock()
        self._windows: defaultdict[str, _Window] = defaultdict(_Window)

    def warn(self, message: str, *arguments: object) -> None:
        """Write a warning, if its kind (the message without its arguments) has not been written too often."""
        with self._lock:
            now, window = self._now(), self._windows[message]
            dropped = 0
            if now >= window.end:
                dropped = window.dropped
                self._windows[message] = window = _Window(end=now + _SECONDS)
            if window.written >= _MOST:
                window.dropped += 1
                return
            window.written += 1
        self._log.warning(message, *arguments)
        if dropped:
            self._log.warning("%d more of the kind were not written: %s", dropped, message)
