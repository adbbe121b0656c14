"""Associations that are kept for the next delivery, one for each peer, and let go when nobody needs them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from cds.ports import Peer, Tls
from cds_pacs.contexts import requested_for
from cds_pacs.scu.association import Association
from cds_pacs.scu.upper_layer import AssociationEnded, Called, Timeouts, call

Kind = tuple[str, str]
"""SOP class and transfer syntax."""
Result = TypeVar("Result")

_MOST_KINDS: Final = 60
"""Each makes up to two contexts; a proposal has room for 128 (PS3.8 9.3.2.2)."""


@dataclass(slots=True)
class Pool:
    """Safe to share between threads: an association is used by one at a time.

    Parameters
    ----------
    tls
        Our key and certificate, for peers that want them.
    idle_seconds
        How long an association is kept that nobody uses; 0 keeps none.
    """

    timeouts: Timeouts
    tls: Tls | None
    idle_seconds: float
    _kept: dict[Called, tuple[Association, float]] = field(default_factory=dict)
    _kinds: dict[Called, frozenset[Kind]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reaper: threading.Timer | None = None

    def use(
        self, peer: Peer, calling_ae_title: str, kinds: Sequence[Kind], work: Callable[[Association], Result]
    ) -> Result:
        """Do `work` over an association that proposed `kinds`.

        A kept association that turns out to be dead is replaced once: the work must bear being done twice.

        Raises
        ------
        AssociationEnded, AssociationRejected
            When there is none, or it ends.
        """
        called = self.called(peer, calling_ae_title)
        wanted = frozenset(kinds)
        kept = self._take(called, wanted)
        if kept is not None:
            try:
                return self._do(called, kept, work)
            except AssociationEnded:
                pass
        contexts = requested_for(self._widened(called, wanted))
        return self._do(called, Association.open(called, contexts, self.timeouts), work)

    def called(self, peer: Peer, calling_ae_title: str) -> Called:
        """Whom to call for a peer.

        Raises
        ------
        DeliveryError
            When it wants TLS and we have no certificate.
        """
        return call(peer, calling_ae_title, self.tls)

    def close(self) -> None:
        """Release every association that is kept."""
        self._release(older_than=0.0)

    def _do(self, called: Called, association: Association, work: Callable[[Association], Result]) -> Result:
        try:
            result = work(association)
        except AssociationEnded:
            association.abort()
            raise
        except BaseException:
            self._keep(called, association)
            raise
        self._keep(called, association)
        return result

    def _take(self, called: Called, wanted: frozenset[Kind]) -> Association | None:
        with self._lock:
            association, _ = self._kept.pop(called, (None, 0.0))
        if association is None:
            return None
        if not association.usable():
            association.abort()
            return None
        if not wanted <= association.proposed:
            association.release()
            return None
        return association

    def _keep(self, called: Called, association: Association) -> None:
        with self._lock:
            if self.idle_seconds > 0 and called not in self._kept:
                self._kept[called] = (association, time.monotonic())
                self._watch()
                return
        association.release()

    def _widened(self, called: Called, wanted: frozenset[Kind]) -> list[Kind]:
        """What to propose: what is wanted now, and what this peer was sent before."""
        with self._lock:
            all_kinds = self._kinds.get(called, frozenset()) | wanted
            self._kinds[called] = all_kinds if len(all_kinds) <= _MOST_KINDS else wanted
            return sorted(self._kinds[called])

    def _watch(self) -> None:
        if self._reaper is None:
            self._reaper = threading.Timer(self.idle_seconds, self._reap)
            self._reaper.daemon = True
            self._reaper.name = "cds-idle-associations"
            self._reaper.start()

    def _reap(self) -> None:
        with self._lock:
            self._reaper = None
        self._release(older_than=self.idle_seconds)

    def _release(self, older_than: float) -> None:
        limit = time.monotonic() - older_than
        with self._lock:
            old = [called for called, (_, since) in self._kept.items() if since <= limit]
            ended = [self._kept.pop(called)[0] for called in old]
            if self._kept:
                self._watch()
            elif self._reaper is not None:
                self._reaper.cancel()
                self._reaper = None
        for association in ended:
            association.release()
