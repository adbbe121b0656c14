"""The outbox: each peer has a queue of its own, worked on by at most one thread, which ends when it is empty.

What is to be done stands in the ledger, and is done again after a crash; so nothing here is durable.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, runtime_checkable

from cds.errors import OutOfResources
from cds.ports import Peer
from cds.service.analysis import defect
from cds.service.commitment import Notary
from cds.service.delivery import Courier

_LOG: Final = logging.getLogger(__name__)

_AT_ONCE: Final = 16
"""How many deliveries are looked up at a time."""
_LONGEST_REST_SECONDS: Final = 60.0
"""How long a peer that is down is left alone: new reports must not wait for it much longer once it is back."""
_SILENT_AFTER: Final = 2
"""A peer that fails so often in a row is down, whatever was sent to it."""
_BUSY_SECONDS: Final = 5.0
"""How long the queue waits whose database has no room."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_CLOCK_SLACK: Final = timedelta(seconds=1)
"""By how much a clock that is being slewed may seem to go back."""
_BLOCKED_SECONDS: Final = 1.0
"""How long the queue waits in which every report waits for an earlier revision of itself."""


@runtime_checkable
class Closing(Protocol):
    """What a sender may offer beside its door: to let go of what it keeps open."""

    def close(self) -> None:
        """Let go."""


@dataclass(slots=True, kw_only=True)
class PeerQueue:
    """What is to be done for one peer.

    A peer that fails twice in a row is down, whatever is sent to it: it rests, and what waits for
    it is not tried piece by piece. One failure alone may be the fault of what was sent.
    """

    peer: Peer
    courier: Courier
    notary: Notary
    misses: int = 0
    rests_until: datetime | None = None

    def due(self) -> bool:
        """Whether there is something to do now."""
        now, ledger = self.courier.clock(), self.courier.ledger
        if self._rests():
            return False
        return ledger.deliveries.anything_due(now, self.peer.name) or ledger.commitments.anything_due(
            now, self.peer.name
        )

    def work(self, stopping: Callable[[], bool]) -> None:
        """Do what is due, until there is nothing more, the peer rests, or the node stops."""
        while not stopping() and self.due():
            now = self.courier.clock()
            deliveries = self.courier.ledger.deliveries.due(now, self.peer.name, limit=_AT_ONCE)
            if not deliveries and not self.courier.ledger.commitments.anything_due(now, self.peer.name):
                self.rests_until = now + timedelta(seconds=_BLOCKED_SECONDS)
                return
            for delivery in deliveries:
                if stopping() or self._rests():
                    return
                self._heed(self.courier.deliver(delivery))
            if not stopping() and not self.notary.run_errands(self.peer):
                self._heed(False)

    def _rests(self) -> bool:
        return self.rests_until is not None and self.courier.clock() < self.rests_until

    def _heed(self, reached: bool) -> None:
        if reached:
            if self.misses >= _SILENT_AFTER:
                _LOG.warning("peer %s is back: what waits for it is delivered", self.peer.name)
            self.misses, self.rests_until = 0, None
            return
        self.misses += 1
        if self.misses < _SILENT_AFTER:
            return
        if self.misses == _SILENT_AFTER:
            _LOG.warning("peer %s takes nothing now and is tried again; 'cds state' says why", self.peer.name)
        policy, now = self.courier.policy, self.courier.clock()
        rest = min(policy.wait_seconds(self.misses - _SILENT_AFTER, self.courier.chance()), _LONGEST_REST_SECONDS)
        self.rests_until = now + timedelta(seconds=rest)
        reason = f"given up after {policy.give_up_hours:g} h: peer {self.peer.name!r} was down"
        before = now - timedelta(hours=policy.give_up_hours)
        if files := self.courier.ledger.deliveries.give_up(self.peer.name, before, reason, now):
            _LOG.warning("FAILED: %d files to peer %s: %s", files, self.peer.name, reason)


@dataclass(slots=True, kw_only=True)
class Outbox:
    """Every peer's queue."""

    courier: Courier
    notary: Notary
    _queues: dict[str, PeerQueue] = field(default_factory=dict)
    _busy: dict[str, threading.Thread] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _looked_at: datetime = _NEVER

    def start(self) -> None:
        """Refuse what waits for peers that are configured no more; nothing is put off longer than the policy says."""
        policy, now = self.courier.policy, self.courier.clock()
        self._hasten(now + timedelta(seconds=policy.longest_seconds * (1.0 + policy.jitter)), now)
        for name, peer in self.courier.peers.items():
            self._queues[name] = PeerQueue(peer=peer, courier=self.courier, notary=self.notary)
        for name in self.courier.ledger.deliveries.peers():
            if name not in self._queues:
                while due := self.courier.ledger.deliveries.due(self.courier.clock(), name):
                    for delivery in due:
                        self.courier.deliver(delivery)

    def look(self) -> None:
        """Take notices, and set to work on every queue in which something is due; does not block."""
        if self._stopping.is_set():
            return
        now = self.courier.clock()
        if now + _CLOCK_SLACK < self._looked_at:
            self._hasten(now, now)
        self._looked_at = now
        self.notary.take_notices()
        for name, queue in self._queues.items():
            with self._lock:
                if name not in self._busy and queue.due():
                    thread = threading.Thread(target=self._work, args=(queue,), name=f"cds-outbox-{name}", daemon=True)
                    self._busy[name] = thread
                    thread.start()

    def _hasten(self, later_than: datetime, now: datetime) -> None:
        """Try now what waits for a later moment: the clock by which that was set has been set back since."""
        if files := self.courier.ledger.deliveries.hasten(later_than, now):
            _LOG.warning("the clock was set back: %d files and answers that waited are tried now", files)
        for queue in self._queues.values():
            queue.rests_until = None

    def stop(self, seconds: float) -> None:
        """Begin nothing more, wait for what is on the way, and let the senders let go."""
        self._stopping.set()
        deadline = time.monotonic() + seconds
        with self._lock:
            threads = list(self._busy.values())
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            _LOG.warning("left while a delivery was still waiting for its peer; it is made again at the next start")
        for sender in self.courier.senders.values():
            if isinstance(sender, Closing):
                sender.close()

    def _work(self, queue: PeerQueue) -> None:
        try:
            queue.work(self._stopping.is_set)
        except OutOfResources as error:
            _LOG.error("the outbox of %s waits: %s", queue.peer.name, error)
            self._stopping.wait(_BUSY_SECONDS)
        except Exception as error:  # the next look tries again
            defect("the outbox", error)
            self._stopping.wait(_BUSY_SECONDS)
        finally:
            with self._lock:
                del self._busy[queue.peer.name]
