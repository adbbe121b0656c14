"""Study assembly: says when a study is complete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cds.ports import Peer, StudyAnnounced
from cds.service.counts import Counts
from cds.store import Ledger
from cds.store.jobs import WAITING
from cds.store.values import Receiving

_SHORT_SECONDS: Final = 1.0
"""A study that is still arriving is not worth a question; a second series follows within less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """Whether a study is complete, and why; `held` of `expected` instances are here, 0 where nobody said.

    `waiting` is what one that is not complete waits for, ``""`` where it is only for silence.
    """

    complete: bool
    reason: str = ""
    held: int = 0
    expected: int = 0
    waiting: str = ""


@dataclass(slots=True)
class _Seen:
    """A study as it was last looked at; `peer` is whom to ask about it, once that was looked up."""

    arrivals: int
    quiet_since: float
    peer: Peer | None = None
    senders_known: bool = False


class Assembly:
    """Closes studies: by what a peer announced or counts, else when they have been quiet long enough.

    A study that this process watched is timed by the monotonic clock, so that a wall clock set
    forward or back closes nothing early and keeps nothing open. One that was there at the start
    counts as quiet since its last instance where that is long enough by the wall clock, and is
    watched anew otherwise.

    Parameters
    ----------
    quiet_seconds
        A study of which nobody says how many instances it has is complete when none has come for this long.
    clock, monotonic
        The time now, aware; and seconds that never go back.
    longest_seconds
        One that is known to have more is waited for this long.
    counts
        Where to ask; None: nobody is asked.
    prior
        Why a study is no job of its own but was fetched for another one, ``""`` for every other study.
    """

    def __init__(
        self,
        ledger: Ledger,
        quiet_seconds: float,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        *,
        longest_seconds: float = 3600.0,
        counts: Counts | None = None,
        prior: Callable[[str], str] = lambda study_instance_uid: "",
    ) -> None:
        self._ledger = ledger
        self._quiet_seconds = quiet_seconds
        self._longest_seconds = max(longest_seconds, quiet_seconds)
        self._clock = clock
        self._monotonic = monotonic
        self._counts = counts
        self._prior = prior
        self._started_at = clock()
        self._seen: dict[str, _Seen] = {}
        self._receiving: tuple[Receiving, ...] = ()

    def close_quiet_studies(self) -> int:
        """Look at every study that is receiving; how many were closed. Waits for no peer."""
        self._enter_announcements()
        receiving = self._receiving = self._ledger.jobs.receiving()
        open_now = {study.study_instance_uid for study in receiving}
        for uid in self._seen.keys() - open_now:  # closed by itself, or by an operator
            self._forget(uid)
        announced = self._ledger.completeness.announced_studies() if receiving else frozenset()
        return sum(self._look(study, study.study_instance_uid in announced) for study in receiving)

    def pausing(self, seconds: float) -> tuple[Receiving, ...]:
        """The studies that are receiving, and of which nothing has come for `seconds`, as they were last looked at."""
        now = self._monotonic()
        return tuple(
            study
            for study in self._receiving
            if (seen := self._seen.get(study.study_instance_uid)) and now - seen.quiet_since >= seconds
        )

    def _enter_announcements(self) -> None:
        """What peers announced becomes what the studies are measured by; done twice, it changes nothing."""
        for waiting in self._ledger.notices.waiting(StudyAnnounced):
            notice = waiting.notice
            if isinstance(notice, StudyAnnounced):
                uids = [reference.sop_instance_uid for reference in notice.references]
                by = notice.calling_ae_title
                self._ledger.completeness.announce(notice.study_instance_uid, uids, by, self._clock())
            self._ledger.notices.done(waiting.id)

    def _look(self, study: Receiving, announced: bool) -> bool:
        seen = self._watched(study)
        quiet_for = self._monotonic() - seen.quiet_since
        if quiet_for < min(_SHORT_SECONDS, self._quiet_seconds):
            return False
        verdict = self._announced(study, quiet_for) if announced else self._counted(study, seen, quiet_for)
        if verdict.complete:
            return self._close(study, verdict)
        self._tell(study, verdict)
        return False

    def _tell(self, study: Receiving, verdict: _Verdict) -> None:
        """Let the ledger say what the study waits for, where that has changed."""
        waits = self._ledger.jobs.waits
        if verdict.waiting and verdict.waiting != study.reason:
            waits(study, verdict.waiting, held=verdict.held, expected=verdict.expected)
        elif not verdict.waiting and study.reason.startswith(WAITING):
            waits(study, "")

    def _watched(self, study: Receiving) -> _Seen:
        """The study, timed anew when something has arrived."""
        uid, now = study.study_instance_uid, self._monotonic()
        seen = self._seen.get(uid)
        if seen is None:
            before = (self._started_at - study.last_received_at).total_seconds()
            quiet_since = now - before if before >= self._quiet_seconds else now
            seen = self._seen[uid] = _Seen(study.arrivals, quiet_since)
        elif seen.arrivals != study.arrivals:
            seen = self._seen[uid] = _Seen(study.arrivals, now)
        return seen

    def _announced(self, study: Receiving, quiet_for: float) -> _Verdict:
        """By the instances that a peer named one by one."""
        expected, held = self._ledger.completeness.announced(study.study_instance_uid)
        return self._judged(held, expected, "that were announced", quiet_for)

    def _counted(self, study: Receiving, seen: _Seen, quiet_for: float) -> _Verdict:
        """By the number of instances that the peer says it has."""
        peer = self._peer(study, seen)
        if peer is None or self._counts is None:
            return self._by_quiet("", quiet_for)
        told = self._counts.look(study.study_instance_uid, peer, study.arrivals)
        if told is None or told.instances is None:
            return self._by_quiet(f"; peer {peer.name!r} did not say how many instances it has", quiet_for)
        held = self._ledger.completeness.held(study.study_instance_uid, peer.name)
        if held > told.instances:
            more = f"; {held} instances, of which peer {peer.name!r} knows {told.instances}"
            return self._by_quiet(more, quiet_for)
        if held == told.instances and told.arrivals != study.arrivals:
            return self._by_quiet("", quiet_for)  # what it said is older than what has come since
        return self._judged(held, told.instances, f"that peer {peer.name!r} has", quiet_for)

    def _judged(self, held: int, expected: int, which: str, quiet_for: float) -> _Verdict:
        """All here: complete. More to come: waited for, but not for ever."""
        if held == expected:
            return _Verdict(
                complete=True, reason=f"complete: all {expected} instances {which}", held=held, expected=expected
            )
        so_far = f"{held} of {expected} instances {which}"
        return _Verdict(
            complete=quiet_for >= self._longest_seconds,
            reason=f"not complete: {so_far}; nothing came for {self._longest_seconds:g} s",
            held=held,
            expected=expected,
            waiting=f"{WAITING} {so_far}",
        )

    def _by_quiet(self, more: str, quiet_for: float) -> _Verdict:
        reason = f"complete: quiet for {self._quiet_seconds:g} s{more}"
        return _Verdict(complete=quiet_for >= self._quiet_seconds, reason=reason)

    def _peer(self, study: Receiving, seen: _Seen) -> Peer | None:
        if self._counts is not None and not seen.senders_known:
            seen.peer = self._counts.peer_of(self._ledger.completeness.senders(study.study_instance_uid))
            seen.senders_known = True
        return seen.peer

    def _close(self, study: Receiving, verdict: _Verdict) -> bool:
        uid = study.study_instance_uid
        state = self._ledger.jobs.complete(
            study,
            verdict.reason,
            self._clock(),
            held=verdict.held,
            expected=verdict.expected,
            set_aside=self._prior(uid),
        )
        return state is not None

    def _forget(self, study_instance_uid: str) -> None:
        del self._seen[study_instance_uid]
        if self._counts is not None:
            self._counts.forget(study_instance_uid)
