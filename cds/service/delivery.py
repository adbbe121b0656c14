"""Delivery: one attempt at one peer, and when to try again."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cds.errors import CdsError, DeliveryError, DeliveryPostponed
from cds.ports import Peer, Sender
from cds.service.analysis import defect
from cds.store import Delivery, Ledger
from cds.store.values import DeliverableFile


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to wait after a failure that may pass.

    The wait doubles from `first_seconds` to `longest_seconds`, each up to `jitter` longer, so
    that a peer that comes back is not met by everyone at once.
    """

    first_seconds: float = 30.0
    longest_seconds: float = 600.0
    give_up_hours: float = 72.0
    jitter: float = 0.25

    def wait_seconds(self, attempt: int, chance: float) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 0); `chance` is in 0..1."""
        doublings = min(attempt, 30)
        return min(self.first_seconds * 2.0**doublings, self.longest_seconds) * (1.0 + self.jitter * chance)

    def gives_up(self, first_at: datetime, now: datetime) -> bool:
        """Whether it has been tried long enough."""
        return now - first_at >= timedelta(hours=self.give_up_hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Courier:
    """Makes delivery attempts and enters what came of them; `senders` are named by `Peer.via`."""

    ledger: Ledger
    senders: Mapping[str, Sender]
    peers: Mapping[str, Peer]
    ae_title: str
    policy: RetryPolicy
    clock: Callable[[], datetime]
    chance: Callable[[], float] = field(default=random.random)

    def deliver(self, delivery: Delivery) -> None:
        """Try once. Doing it again after a crash sends the same objects again, which changes nothing."""
        if not self.ledger.deliveries.still_pending(delivery):
            return
        peer = self.peers.get(delivery.peer)
        if peer is None:
            self._refuse(delivery.files, f"no peer {delivery.peer!r} is configured any more")
            return
        try:
            self._send(delivery.files, peer)
        except DeliveryPostponed as error:
            self._postpone(delivery, str(error))
        except DeliveryError as error:
            self._deliver_one_by_one(delivery, peer, str(error))
        except CdsError:
            raise
        except Exception as error:  # a sender is a plugin: its defect must not end the delivery
            self._postpone(delivery, defect("the sender", error))
        else:
            self._accept(delivery.files)

    def _deliver_one_by_one(self, delivery: Delivery, peer: Peer, reason: str) -> None:
        """Find out which files the peer refuses: a PDF it does not take must not cost the report."""
        if len(delivery.files) == 1:
            self._refuse(delivery.files, reason)
            return
        for file in delivery.files:
            try:
                self._send((file,), peer)
            except DeliveryPostponed as error:
                self._postpone(delivery, str(error))
                return
            except DeliveryError as error:
                self._refuse((file,), str(error))
            else:
                self._accept((file,))

    def _send(self, files: Sequence[DeliverableFile], peer: Peer) -> None:
        sender = self.senders[peer.via]
        sender.send([file.path for file in files], peer, calling_ae_title=self.ae_title)

    def _accept(self, files: Sequence[DeliverableFile]) -> None:
        self.ledger.deliveries.sent([file.delivery_id for file in files], self.clock())

    def _refuse(self, files: Sequence[DeliverableFile], reason: str) -> None:
        self.ledger.deliveries.refused([file.delivery_id for file in files], reason, self.clock())

    def _postpone(self, delivery: Delivery, reason: str) -> None:
        now = self.clock()
        if self.policy.gives_up(delivery.first_at, now):
            self._refuse(delivery.files, f"given up after {self.policy.give_up_hours:g} h: {reason}")
            return
        wait = timedelta(seconds=self.policy.wait_seconds(delivery.attempt, self.chance()))
        self.ledger.deliveries.postponed(delivery, reason, now + wait, now)
