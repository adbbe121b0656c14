"""An intake that keeps what it is given, and does what it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cds.ports import Announced, Bytes, Notice, ReceivedInstance


@dataclass
class Tray:
    """An intake double.

    Attributes
    ----------
    error
        Raised instead of taking anything.
    check
        Called with each instance before it is taken; may raise.
    gate
        While it is cleared nothing is taken; `entered` is set when something wants to.
    keep
        Whether instances are kept, or only counted.
    """

    spool_above_bytes: int = 1 << 22
    error: Exception | None = None
    check: Callable[[ReceivedInstance], object] | None = None
    keep: bool = True
    count: int = 0
    taken: list[ReceivedInstance] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    spools: list[TraySpool] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def take(self, instance: ReceivedInstance) -> None:
        """Keep a copy."""
        self.wait()
        if self.check:
            self.check(instance)
        if self.keep:
            self.taken.append(replace(instance, data_set=bytes(instance.data_set)))
        self.count += 1

    def spool(self, announced: Announced) -> TraySpool:
        """Begin a large one."""
        self.wait()
        spool = TraySpool(self, announced)
        self.spools.append(spool)
        return spool

    def notice(self, notice: Notice) -> None:
        """Keep it."""
        self.wait()
        self.notices.append(notice)

    def wait(self) -> None:
        """Wait at the gate; raise what is to be raised."""
        self.entered.set()
        self.gate.wait(30)
        if self.error:
            raise self.error


class TraySpool:
    """A large data set; `longest` is its longest part, `state` what became of it."""

    def __init__(self, tray: Tray, announced: Announced) -> None:
        self.tray = tray
        self.announced = announced
        self.content = bytearray()
        self.size = 0
        self.longest = 0
        self.error: Exception | None = None
        self.state = "open"

    def write(self, part: Bytes) -> None:
        """Add a part."""
        if self.error:
            raise self.error
        self.longest = max(self.longest, len(part))
        self.size += len(part)
        if self.tray.keep:
            self.content += part

    def take(self) -> None:
        """Keep the whole."""
        if self.error:
            raise self.error
        self.tray.count += 1
        self.state = "taken"

    def abandon(self) -> None:
        """Forget it."""
        if self.state == "open":
            self.state = "abandoned"
