"""The records source of this package: what was fetched and received, joined to a study by identity and time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from cds.domain.joining import Tally, search_for
from cds.domain.records import Arrivals, Records, RejectedRecord
from cds.domain.site_codes import SiteCode, site_codes
from cds.domain.study import Study
from cds.errors import ConfigError, EvidenceError
from cds_fhir.client import Client, Server, Unanswered, checked_url, tls_context, token_of
from cds_fhir.elements import text
from cds_fhir.joined import Join
from cds_fhir.kept import ResourceStore, store_path
from cds_fhir.polling import Plan, Poller
from cds_fhir.reading import Chart, KeptResources

HOURS_LIMIT: Final = 24.0 * 366 * 10
ORIGIN: Final = "server"
"""The name of the resources of the server, fetched or sent by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirSettings:
    """``[records.fhir]``.

    Attributes
    ----------
    url
        Base URL of the server that is asked; ``""``: none is, only what the listener receives counts.
    token_file
        A file with the bearer token; ``""``: none is sent.
    ca_file
        The authorities that may have signed the server's certificate (PEM); ``""``: those of the system.
    plain
        Allow http, unencrypted, to another machine.
    issuers
        ``system=issuer``: which Issuer of Patient ID (0010,0021) the images have for an identifier's system.
    codes
        The site's table of codes, a CSV file with the columns code, loinc, unit. ``""``: none.
    window_hours_before, window_hours_after
        Laboratory values count from so long before the start of the study to so long after; those of analytes that
        change slowly from longer before (`cds.domain.windows`).
    history_days
        How far the first search looks back.
    poll_seconds
        Between two searches for what has changed.
    budget_seconds
        How long one study waits for the server at most, and a check.
    connect_seconds, answer_seconds, max_answer_bytes
        Of one answer.
    page_size
        Resources that are asked for at once.
    timezone
        Of dates without a time (IANA name).
    data_dir
        Of the node, which sets it.
    """

    url: str = ""
    token_file: str = ""
    ca_file: str = ""
    plain: bool = False
    issuers: tuple[str, ...] = ()
    codes: str = ""
    window_hours_before: float = 72.0
    window_hours_after: float = 24.0
    history_days: float = 30.0
    poll_seconds: float = 60.0
    budget_seconds: float = 20.0
    connect_seconds: float = 10.0
    answer_seconds: float = 60.0
    max_answer_bytes: int = 64 << 20
    page_size: int = 200
    timezone: str = "UTC"
    data_dir: str = ""


class FhirRecords:
    """Joins what came by FHIR to a study (`cds.records`, name ``fhir``)."""

    Settings: ClassVar = FhirSettings

    def __init__(self, settings: FhirSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        limit = HOURS_LIMIT
        self._before = timedelta(hours=_within("window_hours_before", settings.window_hours_before, 0, limit))
        self._after = timedelta(hours=_within("window_hours_after", settings.window_hours_after, 0, limit))
        self._history = timedelta(days=_within("history_days", settings.history_days, 0, limit / 24))
        _within("poll_seconds", settings.poll_seconds, 1, 86_400)
        _within("budget_seconds", settings.budget_seconds, 1, 3600)
        _within("connect_seconds", settings.connect_seconds, 0.1, 3600)
        _within("answer_seconds", settings.answer_seconds, 0.1, 3600)
        _within("page_size", settings.page_size, 1, 10_000)
        self._issuers = _issuers(settings.issuers)
        try:
            self._zone = ZoneInfo(settings.timezone)
        except (OSError, KeyError, ValueError) as error:
            raise ConfigError(
                f"[records.fhir] timezone: no zone {settings.timezone!r}; an IANA name is wanted, e.g. Asia/Shanghai"
            ) from error
        self._server = Server(
            url=settings.url,
            token_file=settings.token_file,
            ca_file=settings.ca_file,
            plain=settings.plain,
            connect_seconds=settings.connect_seconds,
            answer_seconds=settings.answer_seconds,
            answer_bytes=settings.max_answer_bytes,
        )
        if settings.url:
            checked_url(self._server)
        self._path = store_path(settings.data_dir) if settings.data_dir else None
        self._poller: Poller | None = None

    def check(self) -> None:
        """Read token and authorities, and ask the server what it is.

        Raises
        ------
        ConfigError
            When they are not usable, or the server does not answer, refuses the token, or is no FHIR R4 server.
        """
        self._site()
        if not self._settings.url:
            return
        tls_context(self._server)
        token_of(self._server.token_file, "[records.fhir]")
        try:
            with Client(self._server, seconds=self._settings.budget_seconds) as client:
                capabilities = client.capabilities()
        except Unanswered as error:
            raise ConfigError(f"[records.fhir] url: {error}") from error
        version = text(capabilities, "fhirVersion")
        if not version.startswith("4."):
            raise ConfigError(f"[records.fhir] url: the server does not say that it speaks FHIR R4 (4.0.1) {version!r}")

    def records_for(self, study: Study) -> Records:
        """Everything of the study's patient that counts; why the rest does not stands in ``rejected``."""
        if self._path is None:
            return Records()
        search = search_for(study, before=self._before, after=self._after, zone=self._zone)
        if isinstance(search, str):
            return _only(search)
        tally = Tally()
        join = Join(search, self._site_or_none(tally), tally)
        behind, _ = self._catch_up()
        if behind:
            tally.note("fhir", behind)
        if not self._path.exists():
            tally.note("fhir", "no FHIR resource has been received yet")
            return Records(rejected=tally.rejected())
        try:
            chart = KeptResources(self._path, self._issuers).about(search.identity, search.window)
        except OSError:
            return _only("the file of FHIR resources cannot be read")
        if chart == Chart():
            tally.note("fhir", "no FHIR resource has the Patient ID of this study by the same issuer")
        joined, texts = join.labs(chart), join.texts(chart)
        return joined + Records(texts=texts, rejected=join.tally.rejected())

    def arrivals(self, since: str) -> Arrivals:
        """Whose resources came or changed since a position, which is a row number (`cds.ports.Watched`).

        Raises
        ------
        EvidenceError
            When the file cannot be read, or the position is none; when the server could not be asked the last time
            and nobody's resources came otherwise. A first position is given in any case: what comes after it counts.
        """
        if self._path is None:
            return Arrivals(position=since or "0")
        behind, failed = self._catch_up()
        found = self._kept_since(since, self._path)
        if failed and since and not found.patients:
            raise EvidenceError(behind)
        return found

    def _kept_since(self, since: str, path: Path) -> Arrivals:
        if since and not (since.isascii() and since.isdigit()):
            raise EvidenceError("the position is none that this source gave")
        if not path.exists():
            return Arrivals(position=since or "0")
        kept = KeptResources(path, self._issuers)
        try:
            if not since:
                return Arrivals(position=str(kept.last()))
            position, patients = kept.changed(int(since))
        except OSError as error:
            raise EvidenceError("the file of FHIR resources cannot be read") from error
        return Arrivals(position=str(position), patients=patients)

    def _site_or_none(self, tally: Tally) -> Mapping[str, SiteCode]:
        """A table that is not usable costs the values of local codes; `check` says what is wrong with it."""
        try:
            return self._site()
        except ConfigError:
            tally.note("fhir", "the site's table of codes cannot be used; only LOINC codes are read")
            return {}

    def _site(self) -> Mapping[str, SiteCode]:
        try:
            return site_codes(Path(self._settings.codes)) if self._settings.codes else {}
        except ValueError as error:
            raise ConfigError(f"[records.fhir] codes: {error}") from error

    def _catch_up(self) -> tuple[str, bool]:
        """Ask the server for what has changed; why not all of it is here, and whether that is a failure."""
        if not self._settings.url or self._path is None:
            return "", False
        try:
            if self._poller is None:
                self._poller = Poller(self._plan(), ResourceStore(self._path), self._clock)
            return self._poller.catch_up(), self._poller.failed
        except (ConfigError, OSError):
            reason = (
                "the FHIR server cannot be asked, a file that it takes is not usable; what was fetched before is used"
            )
            return reason, True

    def _plan(self) -> Plan:
        settings = self._settings
        return Plan(
            server=self._server,
            origin=ORIGIN,
            history=self._history,
            every_seconds=settings.poll_seconds,
            budget_seconds=settings.budget_seconds,
            page_size=settings.page_size,
        )


def _issuers(said: tuple[str, ...]) -> Mapping[str, str]:
    found = {}
    for each in said:
        system, sign, issuer = str(each).rpartition("=")
        if not sign or not system.strip():
            raise ConfigError(f"[records.fhir] issuers: {each!r} is not of the form system=issuer")
        found[system.strip()] = issuer.strip()
    return found


def _only(reason: str) -> Records:
    return Records(rejected=(RejectedRecord(source="fhir", reason=reason),))


def _within(key: str, value: float, least: float, most: float) -> float:
    if not math.isfinite(value) or not least <= value <= most:
        raise ConfigError(f"[records.fhir] {key} must be between {least:g} and {most:g}, not {value}")
    return value
