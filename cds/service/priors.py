"""Earlier studies of the patient, for a comparison: found, fetched, and checked to be the same person's."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from cds.dicom.read import read_studies
from cds.domain.records import Identity
from cds.domain.same_person import doubt, identity_of
from cds.domain.study import Study
from cds.errors import ArchiveError, OutOfResources
from cds.ports import Archive, ArchivedStudy, Moving, Peer
from cds.service.analysis import defect
from cds.service.prior_cache import PriorCache
from cds.store import Attempt, Ledger

_LOG: Final = logging.getLogger(__name__)

_KINDS: Final = (frozenset({"CT"}), frozenset({"CR", "DX"}))
"""Modalities (0008,0060) that can be compared with each other."""
_CHEST: Final = ("CHEST", "THORA", "LUNG", "胸", "肺")
"""What a description of a chest examination holds; those come first, as others may be of anything."""
_DAYS_A_YEAR: Final = 365.25
_PATIENCE_SECONDS: Final = 300.0
"""What all earlier studies of one study may take together; the report does not wait longer for a comparison."""
_ARRIVE_SECONDS: Final = 30.0
"""How long a moved study may take from the peer's last word to our ledger."""
_LOOK_SECONDS: Final = 0.2
_LOCKS: Final = 16
"""A study may be read ahead at the very moment in which its own job begins: one gathers, the other finds it there."""
_PAUSE_SECONDS: Final = 60.0
"""A peer that failed is left alone so long, so that it does not hold up every study of a queue."""
MOVED: Final = "fetched for the comparison with another study: makes no report of its own"


NONE: Final = "no earlier study that could be compared is in the archives that were asked"
NAMELESS: Final = "the study has no Patient ID or no date"
UNREADABLE: Final = "an earlier study that came cannot be read"
NO_ROOM: Final = "the disk does not take earlier studies"
DEFECT: Final = "fetching them failed in the software"
"""Why there is no comparison: without hosts and times, so that the same state of things gives the same report."""


class _Unreadable(Exception):
    """What came is not a study that could be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorsPlan:
    """At most so many earlier studies, and none older than so many years."""

    at_most: int = 2
    years: float = 5.0


@dataclass(slots=True)
class _Gathering:
    """What has come together for one study."""

    study: Study
    until: float
    found: list[Study] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def patient(self) -> Identity:
        return identity_of(self.study.patient)


class Priors:
    """Finds and fetches earlier studies from peers with `priors`.

    Parameters
    ----------
    archives
        By the name that a peer's `via` has.
    monotonic, pause
        Seconds that never go back; and what waits for some.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        cache: PriorCache,
        archives: Mapping[str, Archive],
        peers: Mapping[str, Peer],
        ae_title: str,
        plan: PriorsPlan,
        monotonic: Callable[[], float],
        pause: Callable[[float], object],
    ) -> None:
        self._ledger = ledger
        self._cache = cache
        self._archives = archives
        self._peers = tuple(peer for peer in peers.values() if peer.priors)
        self._ae_title = ae_title
        self._plan = plan
        self._monotonic = monotonic
        self._pause = pause
        self._silent_until: dict[str, float] = {}
        self._gathering = tuple(threading.Lock() for _ in range(_LOCKS))

    def clear_up(self) -> int:
        """Remove what a crash left half fetched; how many studies."""
        return self._cache.clear_up()

    def set_aside(self, study_instance_uid: str) -> str:
        """Why a study is no job of its own; ``""`` where it is one."""
        return MOVED if self._cache.was_moved(study_instance_uid) else ""

    def add_to(self, attempt: Attempt) -> Attempt:
        """The attempt with earlier studies, newest first, and with the reasons where there are none.

        Whatever goes wrong costs the comparison, and nothing else.
        """
        if not self._peers or not self._plan.at_most:
            return attempt
        try:
            self._cache.sweep()
            with self._gathering[hash(attempt.job.study_instance_uid) % _LOCKS]:
                return self._gathered(attempt)
        except OutOfResources:
            raise
        except Exception as error:  # a defect here must not cost the report
            defect("fetching earlier studies", error)
            return replace(attempt, not_compared=(DEFECT,))

    def _gathered(self, attempt: Attempt) -> Attempt:
        study = _looked_at(attempt)
        kind = _kind(study) if study else None
        if study is None or kind is None:
            return attempt
        gathering = _Gathering(study, self._monotonic() + _PATIENCE_SECONDS)
        if not study.patient.patient_id.strip() or study.started_at is None:
            gathering.reasons.append(NAMELESS)
        else:
            for peer, archived in self._candidates(gathering, kind):
                if len(gathering.found) < self._plan.at_most:
                    self._take(gathering, peer, archived)
        found = sorted(gathering.found, key=_newest_first)
        return replace(attempt, priors=tuple(found), not_compared=tuple(dict.fromkeys(gathering.reasons)))

    def _candidates(self, gathering: _Gathering, kind: frozenset[str]) -> list[tuple[Peer, ArchivedStudy]]:
        """What peers list that may be compared: of a chest by its description first, then the newest."""
        listed: dict[str, tuple[Peer, ArchivedStudy]] = {}
        for peer in self._peers:
            for archived in self._listed(gathering, peer):
                if self._fits(gathering.study, archived, kind):
                    listed.setdefault(archived.study_instance_uid, (peer, archived))
        found = sorted(listed.values(), key=_preference)
        if not found and not gathering.reasons:
            gathering.reasons.append(NONE)
        return found[: 2 * self._plan.at_most]

    def _listed(self, gathering: _Gathering, peer: Peer) -> tuple[ArchivedStudy, ...]:
        try:
            if self._monotonic() >= self._silent_until.get(peer.name, 0.0):
                return self._archives[peer.via].studies(gathering.patient, peer, calling_ae_title=self._ae_title)
        except ArchiveError as error:
            _LOG.warning("earlier studies were not looked for: %s", error)
            self._silent_until[peer.name] = self._monotonic() + _PAUSE_SECONDS
        gathering.reasons.append(f"peer {peer.name!r} could not be asked for earlier studies")
        return ()

    def _fits(self, study: Study, archived: ArchivedStudy, kind: frozenset[str]) -> bool:
        assert study.started_at is not None
        today, day = study.started_at.date(), archived.started_on
        if day is None or archived.study_instance_uid == study.study_instance_uid:
            return False
        recent = today - timedelta(days=self._plan.years * _DAYS_A_YEAR) <= day < today
        return recent and bool(kind & set(archived.modalities) or not archived.modalities)

    def _take(self, gathering: _Gathering, peer: Peer, archived: ArchivedStudy) -> None:
        """Add one study, or the reason why not."""
        uid = archived.study_instance_uid
        if self._monotonic() >= gathering.until:
            gathering.reasons.append(f"earlier studies did not come within {_PATIENCE_SECONDS:g} s")
            return
        try:
            prior = _read(uid, self._files(peer, archived))
        except _Unreadable as error:
            _LOG.warning("study %s: not compared: %s", uid, error)
            self._cache.drop(uid)
            gathering.reasons.append(UNREADABLE)
            return
        except ArchiveError as error:
            _LOG.warning("study %s: not fetched for a comparison: %s", uid, error)
            gathering.reasons.append(f"peer {peer.name!r} did not send an earlier study")
            return
        except OSError as error:
            _LOG.error("study %s: not fetched for a comparison: %s", uid, error.strerror)
            gathering.reasons.append(NO_ROOM)
            return
        if suspicion := doubt(gathering.patient, identity_of(prior.patient)):
            self._cache.drop(uid)
            gathering.reasons.append(f"an earlier study under the same Patient ID was not used: {suspicion}")
            return
        gathering.found.append(prior)

    def _files(self, peer: Peer, archived: ArchivedStudy) -> tuple[Path, ...]:
        """The files of an earlier study: what the ledger has, else the cache, else what the peer sends."""
        uid, wanted = archived.study_instance_uid, archived.instances
        kept = self._ledger.jobs.kept(uid, receiving=self._cache.was_moved(uid))
        if kept and (wanted is None or self._ledger.completeness.held(uid, peer.name) >= wanted):
            return kept
        cached = self._cache.files(uid)
        if cached and wanted in (None, len(cached)):
            return cached
        archive = self._archives[peer.via]
        try:
            return self._cache.fill(
                uid, lambda folder: archive.fetch(uid, folder, peer, calling_ae_title=self._ae_title)
            )
        except ArchiveError as error:
            _LOG.info("study %s: not fetched: %s", uid, error)
            if kept or not isinstance(archive, Moving) or self._ledger.completeness.senders(uid):
                raise
            return self._moved(archive, peer, uid)

    def _moved(self, archive: Moving, peer: Peer, study_instance_uid: str) -> tuple[Path, ...]:
        """Have it sent to our own listener: it comes into the ledger, marked, and makes no report of its own."""
        self._cache.note_moved(study_instance_uid)
        try:
            sent = archive.move(study_instance_uid, peer, calling_ae_title=self._ae_title)
        except BaseException:
            if not self._ledger.completeness.senders(study_instance_uid):
                self._cache.forget_moved(study_instance_uid)  # one that comes by itself later is a study like any other
            raise
        until = self._monotonic() + _ARRIVE_SECONDS
        while self._ledger.completeness.held(study_instance_uid) < sent:
            if self._monotonic() >= until:
                raise ArchiveError(f"peer {peer.name!r} sent {sent} instances, and not all have come to our listener")
            self._pause(_LOOK_SECONDS)
        return self._ledger.jobs.kept(study_instance_uid, receiving=True)


def _looked_at(attempt: Attempt) -> Study | None:
    """The study by one instance of each SOP class: enough to know patient, date and modality."""
    one_each = {instance.sop_class_uid: instance.path for instance in reversed(attempt.instances)}
    studies, _ = read_studies(one_each.values())
    return studies[0] if len(studies) == 1 else None


def _kind(study: Study) -> frozenset[str] | None:
    shown = {series.modality.upper() for series in study.series}
    return next((kind for kind in _KINDS if kind & shown), None)


def _read(study_instance_uid: str, files: Sequence[Path]) -> Study:
    studies, unreadable = read_studies(files)
    if unreadable:
        raise _Unreadable(f"{len(unreadable)} of its {len(files)} files cannot be read: {unreadable[0].reason}")
    if [study.study_instance_uid for study in studies] != [study_instance_uid]:
        raise _Unreadable("what came is not the study that was asked for")
    return studies[0]


def _preference(candidate: tuple[Peer, ArchivedStudy]) -> tuple[bool, int, str]:
    _, archived = candidate
    chest = any(word in archived.description.upper() for word in _CHEST)
    day = archived.started_on
    return (not chest, -day.toordinal() if day else 0, archived.study_instance_uid)


def _newest_first(study: Study) -> tuple[float, str]:
    return (-study.started_at.timestamp() if study.started_at else 0.0, study.study_instance_uid)
