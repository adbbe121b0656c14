"""Storage commitment (PS3.4 Annex J): asking peers to keep our results, and answering what we keep of theirs."""

from __future__ import annotations

import ipaddress
import logging
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cds.errors import CdsError, DeliveryError, DeliveryPostponed
from cds.ports import CommitmentReported, CommitmentRequested, Committing, Peer
from cds.service.analysis import defect
from cds.service.delivery import Courier
from cds.store.commitments import NO_SUCH_INSTANCE, Answer, Ask
from cds.store.values import DeliveryState

_LOG: Final = logging.getLogger(__name__)

_FILING_SECONDS: Final = 10.0
"""How long an instance may be on its way into the ledger after it was answered for."""
_FILING_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentPolicy:
    """How long we wait for a peer's answer, how often we ask, and how often we send again what it does not keep."""

    answer_seconds: float = 3600.0
    most_asks: int = 3
    most_refusals: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Notary:
    """Asks and answers; what it needs to know of ledger and peers it has from the courier."""

    courier: Courier
    policy: CommitmentPolicy = CommitmentPolicy()

    def take_notices(self) -> None:
        """Act on what peers told the listener."""
        notices = self.courier.ledger.notices
        for waiting in notices.waiting(CommitmentReported):
            if isinstance(waiting.notice, CommitmentReported):
                self.heed(waiting.notice)
            notices.done(waiting.id)
        for waiting in notices.waiting(CommitmentRequested):
            if isinstance(waiting.notice, CommitmentRequested):
                self._enter(waiting.notice)
            notices.done(waiting.id)

    def heed(self, report: CommitmentReported) -> None:
        """Enter what a peer says that it keeps."""
        known = self.courier.ledger.commitments.reported(
            report.transaction_uid, report.references, self.courier.clock(), most_refusals=self.policy.most_refusals
        )
        if not known:
            _LOG.warning("a peer reported on storage commitment %s, which we never asked for", report.transaction_uid)

    def run_errands(self, peer: Peer) -> bool:
        """Ask and answer what is due for a peer; False where it could not be reached."""
        commitments, clock = self.courier.ledger.commitments, self.courier.clock
        reached = [self._ask(ask, peer) for ask in commitments.asks(clock(), peer.name)]
        reached += [self._answer(answer, peer) for answer in commitments.answers(clock(), peer.name)]
        return all(reached)

    def _ask(self, ask: Ask, peer: Peer) -> bool:
        ledger, now = self.courier.ledger.commitments, self.courier.clock()
        sender = self.courier.senders.get(peer.via)
        if not peer.commitment or not isinstance(sender, Committing):
            ledger.given_up(ask, f"peer {peer.name!r} is not asked for storage commitment any more", now)
            return True
        if ask.asks >= self.policy.most_asks:
            ledger.given_up(ask, f"peer {peer.name!r} gave no answer to {ask.asks} storage commitment requests", now)
            return True
        transaction_uid = f"2.25.{uuid.uuid4().int}"
        # entered first: the answer may be here before the request has returned
        ledger.asked(ask, transaction_uid, now + timedelta(seconds=self.policy.answer_seconds), now)
        try:
            report = sender.ask(transaction_uid, ask.references, peer, calling_ae_title=self.courier.ae_title)
        except DeliveryPostponed as error:
            return self._postpone_ask(ask, str(error))
        except DeliveryError as error:
            ledger.given_up(ask, str(error), self.courier.clock())
            return True
        except CdsError:
            raise
        except Exception as error:  # a sender is a plugin: its defect must not end the errands
            return self._postpone_ask(ask, defect("the sender", error))
        if report is not None:
            self.heed(report)
        return True

    def _postpone_ask(self, ask: Ask, reason: str) -> bool:
        ledger, now = self.courier.ledger.commitments, self.courier.clock()
        if self.courier.policy.gives_up(ask.first_at, now):
            ledger.given_up(ask, f"given up: {reason}", now)
        else:
            ledger.postponed(ask, reason, now + timedelta(seconds=self.courier.policy.longest_seconds), now)
        return False

    def _answer(self, answer: Answer, peer: Peer) -> bool:
        ledger, now = self.courier.ledger.commitments, self.courier.clock()
        missing = any(reference.failure == NO_SUCH_INSTANCE for reference in answer.references)
        if missing and now - answer.first_at < timedelta(seconds=_FILING_SECONDS):
            later = now + timedelta(seconds=_FILING_LOOK_SECONDS)
            ledger.answer_postponed(answer, "an instance may still be on its way into the ledger", later, now)
            return True
        sender = self.courier.senders.get(peer.via)
        try:
            if not isinstance(sender, Committing):
                raise DeliveryError(f"peer {peer.name!r} is spoken with by {peer.via!r}, which cannot answer")
            sender.answer(answer.transaction_uid, answer.references, peer, calling_ae_title=self.courier.ae_title)
        except DeliveryPostponed as error:
            return self._postpone_answer(answer, str(error))
        except DeliveryError as error:
            ledger.answered(answer, DeliveryState.FAILED, str(error), self.courier.clock())
        except CdsError:
            raise
        except Exception as error:
            return self._postpone_answer(answer, defect("the sender", error))
        else:
            ledger.answered(answer, DeliveryState.SENT, "", self.courier.clock())
        return True

    def _postpone_answer(self, answer: Answer, reason: str) -> bool:
        ledger, policy, now = self.courier.ledger.commitments, self.courier.policy, self.courier.clock()
        if policy.gives_up(answer.first_at, now):
            ledger.answered(answer, DeliveryState.FAILED, f"given up after {policy.give_up_hours:g} h: {reason}", now)
        else:
            wait = timedelta(seconds=policy.wait_seconds(answer.attempt, self.courier.chance()))
            ledger.answer_postponed(answer, reason, now + wait, now)
        return False

    def _enter(self, request: CommitmentRequested) -> None:
        peer = next((peer for peer in self.courier.peers.values() if _called(request, peer)), None)
        if peer is None:
            _LOG.error(
                "%s at %s asked for storage commitment and is no peer of ours: nobody to answer",
                request.calling_ae_title,
                request.address,
            )
            return
        self.courier.ledger.commitments.requested(
            peer.name, request.transaction_uid, request.references, self.courier.clock()
        )


def _called(request: CommitmentRequested, peer: Peer) -> bool:
    if peer.ae_title.strip() != request.calling_ae_title.strip():
        return False
    try:
        address = ipaddress.ip_address(request.address)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in peer.addresses)
