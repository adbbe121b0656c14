"""The time that one fetch may take: when it is over, its connections are shut, whatever is awaited on them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Protocol, runtime_checkable

_CONNECTED: Final = "connection.connect_tcp.complete"
"""The trace event of a new connection, before TLS, with its stream as ``return_value``."""


@runtime_checkable
class _Stream(Protocol):
    def get_extra_info(self, info: str) -> object: ...


class Budget:
    """So many seconds from the moment it is entered; a context manager.

    A timeout of each read alone does not bound an answer: a head that comes a byte at a time is never late.
    """

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._shut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Budget:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for each in self._sockets:
                each.close()
            self._sockets.clear()

    def left(self) -> float:
        """Seconds that are left; 0 when it is over."""
        return max(self._ends - time.monotonic(), 0.0)

    def trace(self, event: str, info: Mapping[str, object]) -> None:
        """Hear of a request's events (its extension ``trace``), and note the connections that it makes."""
        stream = info.get("return_value")
        if event == _CONNECTED and isinstance(stream, _Stream):
            made = stream.get_extra_info("socket")
            if isinstance(made, socket.socket):
                with self._lock:
                    self._sockets.append(made.dup())  # TLS takes the descriptor of the first away
                if not self.left():
                    self._shut()

    def _shut(self) -> None:
        with self._lock:
            for each in self._sockets:
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was first
