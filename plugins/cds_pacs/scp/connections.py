"""How many may come in at a time, and from where: nobody alone fills the house."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Most connections and associations at a time.

    Attributes
    ----------
    associations
        Established ones, in all and from one address.
    reserved_associations
        So many more, each for an address that has none.
    connections, connections_per_address
        Open ones, with an association or not; each has a thread.
    """

    associations: int
    reserved_associations: int
    connections: int
    connections_per_address: int


class Connection(Protocol):
    """One that may be broken from outside; its thread then closes it."""

    address: str

    def hang_up(self) -> None:
        """Break it."""


class Connections:
    """The open connections. Safe to use from several threads."""

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._changed = Condition()
        self._open: dict[Connection, Thread] = {}
        self._established: set[Connection] = set()

    def enter(self, connection: Connection, thread: Thread) -> bool:
        """Enter a connection; whether there is room."""
        with self._changed:
            here = sum(other.address == connection.address for other in self._open)
            if len(self._open) >= self._caps.connections or here >= self._caps.connections_per_address:
                return False
            self._open[connection] = thread
            return True

    def leave(self, connection: Connection) -> None:
        """The connection is closed."""
        with self._changed:
            self._open.pop(connection, None)
            self._established.discard(connection)
            self._changed.notify_all()

    def establish(self, connection: Connection) -> bool:
        """Enter an association; whether there is room."""
        with self._changed:
            count = Counter(other.address for other in self._established)
            spare = 0 if count[connection.address] else self._caps.reserved_associations
            if count.total() >= self._caps.associations + spare:
                return False
            self._established.add(connection)
            return True

    def end(self, connection: Connection) -> None:
        """The association has ended, the connection is still open."""
        with self._changed:
            self._established.discard(connection)

    def hang_up(self, *, established: bool) -> None:
        """Break the connections that have no association; or all."""
        with self._changed:
            for connection in self._open:
                if established or connection not in self._established:
                    connection.hang_up()

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait until every connection is closed; whether that was so in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, timeout=seconds)

    def threads(self) -> list[Thread]:
        """The threads of the open connections."""
        with self._changed:
            return list(self._open.values())
