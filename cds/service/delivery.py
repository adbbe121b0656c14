"""Delivery: who is to have which file, one attempt at one peer, and when to try again."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from cds.errors import CdsError, DeliveryError, DeliveryPostponed
from cds.ports import Peer, Sender
from cds.service.analysis import defect
from cds.store import Delivery, Ledger
from cds.store.report_files import STRUCTURED_REPORTS, StoredFile
from cds.store.values import DeliverableFile

_LOG: Final = logging.getLogger(__name__)

SR_CLASSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "enhanced": "1.2.840.10008.5.1.4.1.1.88.22",
        "comprehensive": "1.2.840.10008.5.1.4.1.1.88.33",
        "comprehensive-3d": "1.2.840.10008.5.1.4.1.1.88.34",
    }
)
"""SOP class of each `Peer.sr_class`."""


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


def recipients(files: Sequence[StoredFile], peers: Iterable[Peer]) -> dict[str, tuple[str, ...]]:
    """Which peers are to have each file of a report, by the file's name.

    A peer has what the writers in its `send` made; of several structured reports the one of its
    `sr_class`, or the first where there is none of it. What no writer signed goes to every peer.
    """
    reports = [file for file in files if file.sop_class_uid in STRUCTURED_REPORTS]
    found: dict[str, list[str]] = {file.name: [] for file in files}
    for peer in peers:
        wanted = SR_CLASSES.get(peer.sr_class, "")
        mine = next((file for file in reports if file.sop_class_uid == wanted), reports[0] if reports else None)
        for file in files:
            if file.writer and file.writer not in peer.send:
                continue
            if file in reports and file is not mine:
                continue
            found[file.name].append(peer.name)
    return {name: tuple(names) for name, names in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Courier:
    """Makes delivery attempts and enters what came of them; `senders` are named by `Peer.via`.

    A file that was sent to a peer with `commitment` is asked for `commitment_after_seconds` later, so that
    what belongs together goes into one request.
    """

    ledger: Ledger
    senders: Mapping[str, Sender]
    peers: Mapping[str, Peer]
    ae_title: str
    policy: RetryPolicy
    clock: Callable[[], datetime]
    chance: Callable[[], float] = field(default=random.random)
    commitment_after_seconds: float = 2.0

    def deliver(self, delivery: Delivery) -> bool:
        """Try once; False where the peer could not take it now.

        Doing it again after a crash sends the same objects again, which changes nothing.
        """
        if not self.ledger.deliveries.still_pending(delivery):
            return True
        peer = self.peers.get(delivery.peer)
        if peer is None:
            self._refuse(delivery, delivery.files, f"no peer {delivery.peer!r} is configured any more")
            return True
        try:
            self._send(delivery.files, peer)
        except DeliveryPostponed as error:
            return self._postpone(delivery, str(error))
        except DeliveryError as error:
            return self._deliver_one_by_one(delivery, peer, str(error))
        except CdsError:
            raise
        except Exception as error:  # a sender is a plugin: its defect must not end the delivery
            return self._postpone(delivery, defect("the sender", error))
        self._accept(delivery.files, peer)
        return True

    def _deliver_one_by_one(self, delivery: Delivery, peer: Peer, reason: str) -> bool:
        """Find out which files the peer refuses: a PDF it does not take must not cost the report."""
        if len(delivery.files) == 1:
            self._refuse(delivery, delivery.files, reason)
            return True
        for file in delivery.files:
            try:
                self._send((file,), peer)
            except DeliveryPostponed as error:
                return self._postpone(delivery, str(error))
            except DeliveryError as error:
                self._refuse(delivery, (file,), str(error))
            else:
                self._accept((file,), peer)
        return True

    def _send(self, files: Sequence[DeliverableFile], peer: Peer) -> None:
        sender = self.senders[peer.via]
        sender.send([file.path for file in files], peer, calling_ae_title=self.ae_title)

    def _accept(self, files: Sequence[DeliverableFile], peer: Peer) -> None:
        now = self.clock()
        commit_at = now + timedelta(seconds=self.commitment_after_seconds) if peer.commitment else None
        self.ledger.deliveries.sent([file.delivery_id for file in files], now, commit_at)

    def _refuse(self, delivery: Delivery, files: Sequence[DeliverableFile], reason: str) -> None:
        _LOG.warning(
            "study %s: FAILED: %d of %d files to peer %s: %s",
            delivery.study_instance_uid,
            len(files),
            len(delivery.files),
            delivery.peer,
            reason,
        )
        self.ledger.deliveries.refused([file.delivery_id for file in files], reason, self.clock())

    def _postpone(self, delivery: Delivery, reason: str) -> bool:
        now = self.clock()
        if self.policy.gives_up(delivery.first_at, now):
            self._refuse(delivery, delivery.files, f"given up after {self.policy.give_up_hours:g} h: {reason}")
        else:
            wait = timedelta(seconds=self.policy.wait_seconds(delivery.attempt, self.chance()))
            self.ledger.deliveries.postponed(delivery, reason, now + wait, now)
        return False
