"""How many instances a study has where it came from: asked of peers in the background, never waited for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cds.errors import ArchiveError
from cds.ports import Archive, Peer
from cds.service.analysis import defect

_LOG: Final = logging.getLogger(__name__)

_AGAIN_SECONDS: Final = 10.0
"""After this time a study that waits for more is asked for again: what it lacks may have been deleted."""
_BELIEVED_SECONDS: Final = 30.0
"""An answer older than this is none: the peer may have changed, or be gone."""
_FIRST_PAUSE_SECONDS: Final = 30.0
_LONGEST_PAUSE_SECONDS: Final = 600.0
"""A peer that does not answer is left alone for so long, doubling."""
_AT_ONCE: Final = 2
"""Questions under way to one peer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a peer said of a study when `arrivals` instances of it had come; None: it does not say."""

    peer: str
    instances: int | None
    arrivals: int
    asked_at: float


@dataclass(slots=True)
class _Line:
    """How it stands with one peer."""

    under_way: int = 0
    pause_seconds: float = 0.0
    silent_until: float = 0.0


def in_a_thread(work: Callable[[], None]) -> None:
    """Run it beside everything else; a peer that hangs keeps no process from ending."""
    threading.Thread(target=work, name="cds-counts", daemon=True).start()


class Counts:
    """Asks peers with `counts` how many instances a study has.

    Parameters
    ----------
    archives
        By the name that a peer's `via` has.
    monotonic
        Seconds that never go back.
    run
        Runs a question without making the caller wait for it.
    """

    def __init__(
        self,
        *,
        archives: Mapping[str, Archive],
        peers: Mapping[str, Peer],
        ae_title: str,
        monotonic: Callable[[], float],
        run: Callable[[Callable[[], None]], None] = in_a_thread,
    ) -> None:
        self._archives = archives
        self._by_ae_title = {peer.ae_title.strip(): peer for peer in peers.values() if peer.counts}
        self._ae_title = ae_title
        self._monotonic = monotonic
        self._run = run
        self._told: dict[str, Told] = {}
        self._asking: set[str] = set()
        self._lines: dict[str, _Line] = {name: _Line() for name in peers}
        self._lock = threading.Lock()

    def peer_of(self, ae_titles: frozenset[str]) -> Peer | None:
        """The peer to ask about what came from these application entities; None where none can be asked."""
        known = sorted(ae_titles & set(self._by_ae_title))
        return self._by_ae_title[known[0]] if known else None

    def look(self, study_instance_uid: str, peer: Peer, arrivals: int) -> Told | None:
        """What the peer last said, asked for (again) where that is due, without waiting.

        None before it has answered, after it failed to, and where its answer is too old to be believed.
        """
        now = self._monotonic()
        with self._lock:
            told, line = self._believed(study_instance_uid, now), self._lines[peer.name]
            fresh = told is not None and told.arrivals == arrivals and now - told.asked_at < _AGAIN_SECONDS
            busy = study_instance_uid in self._asking or line.under_way >= _AT_ONCE or now < line.silent_until
            if fresh or busy:
                return told
            self._asking.add(study_instance_uid)
            line.under_way += 1
        self._run(lambda: self._ask(study_instance_uid, peer, arrivals))
        with self._lock:
            return self._believed(study_instance_uid, now)

    def forget(self, study_instance_uid: str) -> None:
        """The study is complete."""
        with self._lock:
            self._told.pop(study_instance_uid, None)

    def _believed(self, study_instance_uid: str, now: float) -> Told | None:
        told = self._told.get(study_instance_uid)
        return told if told is not None and now - told.asked_at <= _BELIEVED_SECONDS else None

    def _ask(self, study_instance_uid: str, peer: Peer, arrivals: int) -> None:
        asked_at = self._monotonic()
        instances: int | None = None
        failed = False
        try:
            archive = self._archives[peer.via]
            instances = archive.instances(study_instance_uid, peer, calling_ae_title=self._ae_title)
        except ArchiveError as error:
            _LOG.warning("study %s: not counted: %s", study_instance_uid, error)
            failed = True
        except Exception as error:  # a plugin's defect must not end the counting for good
            defect(f"archive {peer.via!r}", error)
            failed = True
        with self._lock:
            line = self._lines[peer.name]
            self._asking.discard(study_instance_uid)
            line.under_way -= 1
            if failed:
                longer = max(_FIRST_PAUSE_SECONDS, 2 * line.pause_seconds)
                line.pause_seconds = min(longer, _LONGEST_PAUSE_SECONDS)
                line.silent_until = self._monotonic() + line.pause_seconds
                self._told.pop(study_instance_uid, None)
                return
            line.pause_seconds = line.silent_until = 0.0
            self._told[study_instance_uid] = Told(
                peer=peer.name, instances=instances, arrivals=arrivals, asked_at=asked_at
            )
