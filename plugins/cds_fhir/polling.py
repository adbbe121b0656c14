"""Catching up with a FHIR server: what has changed since the last time, page by page, kept as it comes."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from cds.errors import OutOfResources
from cds_fhir.client import Client, Server, Unanswered
from cds_fhir.elements import Element, Unreadable, text
from cds_fhir.kept import Progress, ResourceStore
from cds_fhir.resources import TYPES, Resource, resource_of

_LOG: Final = logging.getLogger(__name__)

SEARCHES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {"Patient": {}, "Observation": {"category": "laboratory"}, "DiagnosticReport": {}}
)
_PATIENTS_AT_ONCE: Final = 40
_PAUSE_SECONDS: Final = 0.1
_ABSENT_SECONDS: Final = 24 * 3600.0
"""A Patient that the server does not have is asked for again after so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for, and how often; times in seconds but `history`.

    Attributes
    ----------
    origin
        The name of the server's resources among those that are kept.
    history
        How far the first search looks back.
    every_seconds
        Between two searches.
    overlap_seconds
        A search begins so long before the end of the last: a server may show late what it changed earlier.
    budget_seconds
        One call takes so long at most, half of it for other processes that ask; the next goes on from there.
    page_size
        Resources that are asked for at once.
    """

    server: Server
    origin: str
    history: timedelta = timedelta(days=30)
    every_seconds: float = 60.0
    overlap_seconds: float = 300.0
    budget_seconds: float = 20.0
    page_size: int = 200


class Poller:
    """Brings what is kept up to what the server has; several processes may, one at a time does."""

    def __init__(self, plan: Plan, store: ResourceStore, clock: Callable[[], float] = time.time) -> None:
        self._plan = plan
        self._store = store
        self._clock = clock
        self._not_before = 0.0
        self._wait = 0.0
        self._trouble = ""
        self._failed = False

    @property
    def failed(self) -> bool:
        """Whether the server could not be asked the last time, or what it has not be kept."""
        return self._failed

    def catch_up(self) -> str:
        """Ask for what has changed; why not all of it is here, ``""`` where it is.

        Raises
        ------
        ConfigError
            When a setting or a file is not usable.
        """
        now = self._clock()
        if now < self._not_before:
            return self._trouble
        if not self._is_due(now):
            self._failed = False
            return ""
        deadline = time.monotonic() + self._plan.budget_seconds
        with self._alone() as is_alone:
            if not is_alone:
                return "the FHIR server is being asked by another process"
            # Whoever had the lock before may have done it.
            self._failed = False
            self._trouble = self._ask(now, deadline - time.monotonic()) if self._is_due(now) else ""
        self._not_before = self._clock() + self._wait if self._trouble else 0.0
        return self._trouble

    def _is_due(self, now: float) -> bool:
        every = [self._store.progress(self._plan.origin, kind) for kind in TYPES]
        return any(each.next or now - each.asked_at >= self._plan.every_seconds for each in every)

    def _ask(self, now: float, seconds: float) -> str:
        self._wait = 0.0
        try:
            with Client(self._plan.server, seconds=seconds) as client:
                every = all(self._read_all(client, kind, now) for kind in TYPES)
                if not (every and self._fetch_patients(client, now)):
                    return "the FHIR server has more than could be fetched by now"
        except Unanswered as error:
            self._failed = True
            self._wait = max(error.retry_after, self._plan.every_seconds)
            _LOG.warning("the FHIR server could not be asked: %s", error)
            return f"the FHIR server could not be asked, what was fetched before is used: {error}"
        except OutOfResources as error:
            self._failed = True
            _LOG.warning("what the FHIR server has cannot be kept: %s", error)
            return "what the FHIR server has cannot be kept now; what was fetched before is used"
        return ""

    def _read_all(self, client: Client, kind: str, now: float) -> bool:
        """Read a search to its end; whether there was time for all of it."""
        progress = self._store.progress(self._plan.origin, kind)
        if not progress.next and now - progress.asked_at < self._plan.every_seconds:
            return True
        url = progress.next or client.search(kind, self._query(kind, progress.position, now))
        high = progress.high if progress.next else ""
        seen: set[str] = set()
        while url:
            if url in seen:
                raise Unanswered("the server's pages go round in a circle")
            seen.add(url)
            if not client.left():
                return False
            try:
                url, high = self._read_page(client, kind, url, high, now)
            except Unanswered:
                if len(seen) > 1 and not client.left():
                    return False  # the server does answer: the next call goes on with this page
                raise
        return True

    def _read_page(self, client: Client, kind: str, url: str, high: str, now: float) -> tuple[str, str]:
        """Read and keep one page; the next one, and the latest change seen."""
        before = self._store.progress(self._plan.origin, kind)
        try:
            page = client.page(url)
        except Unanswered as error:
            if error.is_stale and before.next:
                self._store.keep(self._plan.origin, (), (kind, _at(before, position=before.position)))
            raise
        resources = self._resources(page.resources)
        high = max([high, *(each.updated_at for each in resources if each.type == kind)])
        if page.next:
            after = Progress(position=before.position, next=page.next, high=high, asked_at=before.asked_at)
        else:
            # A clock that runs ahead must not make us pass over what comes next.
            position = max(min(high, _instant(now)), before.position)
            after = Progress(position=position, asked_at=now)
        self._store.keep(self._plan.origin, resources, (kind, after))
        return page.next, high

    def _query(self, kind: str, position: str, now: float) -> dict[str, str]:
        begin = datetime.fromtimestamp(now, UTC) - self._plan.history
        if position:
            begin = datetime.fromisoformat(position) - timedelta(seconds=self._plan.overlap_seconds)
        since = begin.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        common = {"_lastUpdated": f"ge{since}", "_sort": "_lastUpdated", "_count": str(self._plan.page_size)}
        return {**SEARCHES[kind], **common}

    def _fetch_patients(self, client: Client, now: float) -> bool:
        """Patients that results are about or others are linked with, and did not change; whether there was time."""
        some = False
        while lacking := self._store.lacking(self._plan.origin, now - _ABSENT_SECONDS, _PATIENTS_AT_ONCE):
            if not client.left():
                return False
            query = {"_id": ",".join(lacking), "_count": str(_PATIENTS_AT_ONCE)}
            try:
                page = client.page(client.search("Patient", query))
            except Unanswered:
                if some and not client.left():
                    return False
                raise
            some = True
            self._store.keep(self._plan.origin, self._resources(page.resources))
            self._store.note_absent(self._plan.origin, lacking, now)
        return True

    def _resources(self, elements: Sequence[Element]) -> list[Resource]:
        found = []
        for element in elements:
            if text(element, "resourceType") not in TYPES:
                continue  # an OperationOutcome of the search, or what was included unasked
            try:
                found.append(resource_of(element, self._plan.server.url))
            except Unreadable as error:
                _LOG.warning("a resource of the FHIR server is not kept: %s", error)
        return found

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether no other process or thread asks, once the one that does is done; the lock goes with the process."""
        descriptor = os.open(self._store.path.parent / "poll.lock", os.O_CREAT | os.O_RDWR, 0o600)
        deadline = time.monotonic() + self._plan.budget_seconds / 2  # the rest is for asking
        try:
            while not (is_alone := _locked(descriptor)) and time.monotonic() < deadline:
                threading.Event().wait(_PAUSE_SECONDS)
            yield is_alone
        finally:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _at(progress: Progress, *, position: str) -> Progress:
    """A search that begins anew at a position."""
    return Progress(position=position, asked_at=progress.asked_at)


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
