"""The records source of this package: what the listener kept, joined to a study by identity and time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from cds.domain.joining import SUPERSEDED, Tally, search_for
from cds.domain.labs import latest_final
from cds.domain.records import Arrivals, Identity, Records, RejectedRecord
from cds.domain.same_person import doubt, identity_of
from cds.domain.site_codes import SiteCode, site_codes
from cds.domain.study import Study
from cds.errors import ConfigError
from cds_hl7 import late
from cds_hl7.er7 import Message, Segment, Unreadable, read
from cds_hl7.kept import Kept, KeptMessages, store_path
from cds_hl7.person import Check, Identifier, check_of, identifiers
from cds_hl7.reading import Chart, Letter

HOURS_LIMIT: Final = 24.0 * 366 * 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7Settings:
    """``[records.hl7]``.

    Attributes
    ----------
    codes
        The site's table of codes, a CSV file with the columns code, loinc, unit. ``""``: none.
    window_hours_before, window_hours_after
        Laboratory values and orders count from so long before the start of the study to so long after.
    timezone
        Of times that name none (IANA name).
    data_dir
        Of the node, which sets it.
    """

    codes: str = ""
    window_hours_before: float = 72.0
    window_hours_after: float = 24.0
    timezone: str = "UTC"
    data_dir: str = ""


class Hl7Records:
    """Joins what came by HL7 to a study (`cds.records`, name ``hl7``)."""

    Settings: ClassVar = Hl7Settings

    def __init__(self, settings: Hl7Settings) -> None:
        self._before = _hours("window_hours_before", settings.window_hours_before)
        self._after = _hours("window_hours_after", settings.window_hours_after)
        try:
            self._zone = ZoneInfo(settings.timezone)
        except (OSError, KeyError, ValueError) as error:
            raise ConfigError(
                f"[records.hl7] timezone: no zone {settings.timezone!r}; an IANA name is wanted, e.g. Asia/Shanghai"
            ) from error
        self._codes = settings.codes
        self._path = store_path(settings.data_dir) if settings.data_dir else None

    def check(self) -> None:
        """Read the site's table of codes.

        Raises
        ------
        ConfigError
            When it is not usable; the message names the row.
        """
        self._site()

    def records_for(self, study: Study) -> Records:
        """Everything of the study's patient that counts; why the rest does not stands in ``rejected``."""
        if self._path is None:
            return Records()
        search = search_for(study, before=self._before, after=self._after, zone=self._zone)
        if isinstance(search, str):
            return _only(search)
        if not self._path.exists():
            return _only("no HL7 message has been received yet")
        try:
            start = Identifier(search.identity.patient_id, search.identity.issuer_of_patient_id)
            known, kept = KeptMessages(self._path).about(start)
        except OSError:
            return _only("the file of HL7 messages cannot be read")
        if not kept:
            return _only("no HL7 message has the Patient ID of this study by the same issuer")
        tally = Tally()
        chart = Chart(search, self._site_or_none(tally), tally)
        for letter in _letters(study, known, kept, tally):
            chart.add(letter)
        labs, superseded = latest_final(chart.labs())
        for result in superseded:
            tally.note(result.source, SUPERSEDED)
        joined = search.window.joined(labs, superseded)
        return joined + Records(texts=chart.texts(), rejected=tally.rejected())

    def arrivals(self, since: str) -> Arrivals:
        """Whose messages came after the one that `since` names.

        Raises
        ------
        EvidenceError
            When the file of messages cannot be read now.
        """
        return late.arrivals(self._path, since) if self._path else Arrivals(position=since or late.NOTHING)

    def _site_or_none(self, tally: Tally) -> Mapping[str, SiteCode]:
        """A table that is not usable costs the values of local codes; `check` says what is wrong with it."""
        try:
            return self._site()
        except ConfigError:
            tally.note("hl7", "the site's table of codes cannot be used; only LOINC codes are read")
            return {}

    def _site(self) -> Mapping[str, SiteCode]:
        try:
            return site_codes(Path(self._codes)) if self._codes else {}
        except ValueError as error:
            raise ConfigError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Said:
    """What one message says of one patient."""

    kept: Kept
    message: Message
    segments: tuple[Segment, ...]
    identifier: Identifier
    named: frozenset[Identifier]
    check: Check

    @property
    def updates(self) -> bool:
        """Whether it is there to say who the patient is."""
        return self.message.kind[0] == "ADT"


def _letters(
    study: Study, known: Mapping[Identifier, Identifier], kept: Iterable[Kept], tally: Tally
) -> Iterable[Letter]:
    """The messages that are about the study's patient, in the order of arrival."""
    said = [each for message in kept for each in _said(message, known, tally)]
    updates = [each for each in said if each.updates]
    for each in said:
        if each.updates:
            continue
        reason = doubt(identity_of(study.patient), _theirs(each, updates, known))
        letter = Letter(each.message, each.segments, each.kept.sender, each.kept.control_id)
        if reason:
            tally.note(letter.source, f"it is not certain that it is the same person: {reason}")
        else:
            yield letter


def _said(kept: Kept, known: Mapping[Identifier, Identifier], tally: Tally) -> Iterable[_Said]:
    try:
        message = read(kept.body, kept.codec)
    except Unreadable as error:
        tally.note(f"hl7:{kept.control_id}", str(error))
        return
    for pid, segments in _patients(message):
        found = [identifier for identifier in identifiers(pid, 3) if identifier in known]
        if found:
            # The identifier whose issuer is named says most.
            identifier = max(found, key=lambda each: bool(each.issuer))
            yield _Said(kept, message, segments, identifier, frozenset(found), check_of(pid))


def _patients(message: Message) -> Iterable[tuple[Segment, tuple[Segment, ...]]]:
    """Each PID with what follows it, up to the next."""
    places = [place for place, segment in enumerate(message.segments) if segment.name == "PID"]
    for begin, end in zip(places, [*places[1:], len(message.segments)], strict=True):
        yield message.segments[begin], message.segments[begin + 1 : end]


def _theirs(said: _Said, updates: Sequence[_Said], known: Mapping[Identifier, Identifier]) -> Identity:
    """Who the message is about, as updates of the identity have it.

    Updates that name an identifier of the message fill up what it does not say, and replace it where they are
    later. Those of an identifier that it was merged with only fill up: a wrong merge must not make the results of
    one person those of another.
    """
    begin = known[said.identifier]
    own, joined, own_done = Check(), Check(), False
    for update in updates:
        if known[update.identifier] != begin:
            continue
        if not said.named & update.named:
            joined = update.check.after(joined)
            continue
        if not own_done and update.kept.number > said.kept.number:
            own, own_done = said.check.after(own), True
        own = update.check.after(own)
    if not own_done:
        own = said.check.after(own)
    check = own.after(joined)
    return Identity(
        patient_id=begin.patient_id,
        issuer_of_patient_id=begin.issuer,
        birth_date=check.birth_date,
        sex=check.sex,
    )


def _only(reason: str) -> Records:
    return Records(rejected=(RejectedRecord(source="hl7", reason=reason),))


def _hours(key: str, hours: float) -> timedelta:
    if not math.isfinite(hours) or not 0 <= hours <= HOURS_LIMIT:
        raise ConfigError(f"[records.hl7] {key} must be between 0 and {HOURS_LIMIT:g} hours, not {hours}")
    return timedelta(hours=hours)
