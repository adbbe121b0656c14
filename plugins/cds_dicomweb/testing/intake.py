"""An intake that remembers what it was given, and refuses what a test tells it to."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from cds.errors import IntakeError, OutOfResources
from cds.ports import Announced, Bytes, Notice, ReceivedInstance, Spool


@dataclass
class RememberingIntake:
    """Keeps data sets in memory, by SOP Instance UID.

    Attributes
    ----------
    refuse
        SOP Instance UID -> the error that it is refused with.
    hold
        What a `take` waits for; set, unless a test clears it.
    spools_open
        How many spools were begun and neither taken nor abandoned.
    """

    spool_above_bytes: int = 1 << 20
    refuse: dict[str, Exception] = field(default_factory=dict)
    taken: dict[str, bytes] = field(default_factory=dict)
    announced: dict[str, Announced] = field(default_factory=dict)
    spooled: list[str] = field(default_factory=list)
    spools_open: int = 0
    longest_write: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.hold = threading.Event()
        self.hold.set()
        self.is_entered = threading.Event()

    def take(self, instance: ReceivedInstance) -> None:
        """Remember an instance."""
        self.is_entered.set()
        self.hold.wait(30)
        self._keep(instance, bytes(instance.data_set))

    def spool(self, announced: Announced) -> Spool:
        """Begin a large instance."""
        if isinstance(self.refuse.get("spool"), OutOfResources):
            raise self.refuse["spool"]
        with self.lock:
            self.spools_open += 1
            self.spooled.append(announced.sop_instance_uid)
        return _Spool(self, announced)

    def notice(self, notice: Notice) -> None:
        """Refuse: nobody sends notices here.

        Raises
        ------
        IntakeError
            Always.
        """
        raise IntakeError("no notice was expected")

    def _keep(self, announced: Announced, data_set: bytes) -> None:
        uid = announced.sop_instance_uid
        if uid in self.refuse:
            raise self.refuse[uid]
        with self.lock:
            self.taken[uid] = data_set
            self.announced[uid] = announced


class _Spool:
    def __init__(self, intake: RememberingIntake, announced: Announced) -> None:
        self._intake = intake
        self._announced = announced
        self._content = bytearray()
        self._is_open = True

    def write(self, part: Bytes) -> None:
        if isinstance(self._intake.refuse.get("write"), OutOfResources):
            raise self._intake.refuse["write"]
        self._intake.longest_write = max(self._intake.longest_write, len(part))
        self._content += part

    def take(self) -> None:
        self._intake._keep(self._announced, bytes(self._content))
        self._close()

    def abandon(self) -> None:
        self._close()

    def _close(self) -> None:
        with self._intake.lock:
            self._intake.spools_open -= self._is_open
        self._is_open = False
