"""The records source of this package: views of laboratory values and reports."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from cds.domain.cells import written
from cds.domain.joining import Search, Tally, search_for
from cds.domain.records import Arrivals, Identity, Records, RejectedRecord
from cds.domain.rows import EITHER, LABS, LABS_REQUIRED, REPORTS, REPORTS_REQUIRED
from cds.domain.site_codes import SiteCode, site_codes
from cds.domain.study import Study
from cds.errors import ConfigError, EvidenceError
from cds_sql.database import Database, Unanswered, View
from cds_sql.fold import Labs, Reports

HOURS_LIMIT: Final = 24.0 * 366 * 10
ARRIVALS_AT_ONCE: Final = 2000
COLUMNS: Final = {
    "labs": ((*LABS, "updated_at"), LABS_REQUIRED),
    "reports": ((*REPORTS, "updated_at"), REPORTS_REQUIRED),
}
"""The columns that are read, with the names that CSV files have, and those that must be there."""
_ORDER: Final = {"labs": "observed_at", "reports": "authored_at"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlSettings:
    """``[records.sql]``.

    Attributes
    ----------
    url, url_file
        An SQLAlchemy URL, or a file that holds it, where it has a password.
    labs, reports
        A view or table (``schema.name``), or a SELECT. ``""``: none.
    codes
        The site's table of codes, a CSV file with the columns code or name, loinc, unit. ``""``: none.
    window_hours_before, window_hours_after
        Laboratory values, current reports and orders count from so long before the start of the study
        to so long after; values of analytes that change slowly from longer before (`cds.domain.windows`).
    timeout_seconds
        Of one question to the database.
    timezone
        Of times that name none (IANA name).
    """

    url: str = ""
    url_file: str = ""
    labs: str = ""
    reports: str = ""
    codes: str = ""
    window_hours_before: float = 72.0
    window_hours_after: float = 24.0
    timeout_seconds: float = 10.0
    timezone: str = "UTC"


class SqlRecords:
    """Joins rows of SQL views to a study by identity and time (`cds.records`, name ``sql``)."""

    Settings: ClassVar = SqlSettings

    def __init__(self, settings: SqlSettings) -> None:
        self._settings = settings
        self._before = timedelta(hours=_within("window_hours_before", settings.window_hours_before, 0, HOURS_LIMIT))
        self._after = timedelta(hours=_within("window_hours_after", settings.window_hours_after, 0, HOURS_LIMIT))
        _within("timeout_seconds", settings.timeout_seconds, 0.1, 600)
        try:
            self._zone = ZoneInfo(settings.timezone)
        except (OSError, KeyError, ValueError) as error:
            raise ConfigError(
                f"[records.sql] timezone: no zone {settings.timezone!r}; an IANA name is wanted, e.g. Asia/Shanghai"
            ) from error
        named = {"labs": settings.labs, "reports": settings.reports}
        self._views = {key: said for key, said in named.items() if said.strip()}
        if self._views and bool(settings.url) == bool(settings.url_file):
            raise ConfigError("[records.sql] one of url and url_file must name the database")
        self._database: Database | None = None

    def check(self) -> None:
        """Ask the database for the columns of each view.

        Raises
        ------
        ConfigError
            When a setting or a file is not usable, the database cannot be asked, or a column is missing; the
            message says which, and what there is.
        """
        self._site()
        for key, said in self._views.items():
            try:
                view = self._connected().view(said, COLUMNS[key][0])
            except Unanswered as error:
                raise ConfigError(f"[records.sql] {key}: {error}") from error
            if lacking := _lacking(key, view):
                there = ", ".join(view.columns) or "none that is known"
                raise ConfigError(f"[records.sql] {key}: no column {', '.join(lacking)}; there are: {there}")

    def records_for(self, study: Study) -> Records:
        """All rows of the study's patient that count; why others do not stands in ``rejected``."""
        if not self._views:
            return Records()
        search = search_for(study, before=self._before, after=self._after, zone=self._zone)
        if isinstance(search, str):
            return Records(rejected=tuple(RejectedRecord(source=key, reason=search) for key in self._views))
        labs_tally, reports_tally = Tally("labs"), Tally("reports")
        labs, reports = Labs(search, self._site_or_none(labs_tally), labs_tally), Reports(search, reports_tally)
        if "labs" in self._views:
            self._read("labs", labs, search, labs_tally)
        if "reports" in self._views:
            self._read("reports", reports, search, reports_tally)
        joined, texts = labs.joined(), reports.texts()
        return joined + Records(texts=texts, rejected=(*labs_tally.rejected(), *reports_tally.rejected()))

    def arrivals(self, since: str) -> Arrivals:
        """Whose rows have an `updated_at` that is not before a position's (`cds.ports.Watched`).

        A view without the column names nobody. Rows of the position's own time are named again: others of the same
        time may have come later.

        Raises
        ------
        EvidenceError
            When the database cannot be asked now, or the position is none.
        """
        before = _read_position(since)
        found: dict[Identity, None] = {}
        after: dict[str, list[str]] = {}
        try:
            for key, said in self._views.items():
                view = self._connected().view(said, COLUMNS[key][0])
                if not view.has("updated_at") or not view.has("patient_id"):
                    continue
                if not since:
                    after[key] = _written(*self._connected().latest(view))
                    continue
                after[key], patients = self._changed(view, before.get(key, _written(None, 0)))
                found |= dict.fromkeys(patients)
        except (Unanswered, ConfigError) as error:
            raise EvidenceError(f"whose rows are new cannot be asked: {error}") from None
        return Arrivals(position=json.dumps(after, sort_keys=True), patients=tuple(found))

    def _changed(self, view: View, since: list[str]) -> tuple[list[str], tuple[Identity, ...]]:
        """Up to which time it looked, and about whom rows are; all of one time are named at once.

        Rows of the position's own time count only when there are more of them than there were.
        """
        begin = last = _said(since)
        same: dict[tuple[str, str], None] = {}
        found: dict[tuple[str, str], None] = {}
        at_begin = at_last = 0
        for row in self._connected().changed(view, begin):
            updated, person = row.cell("updated_at"), (written(row.cell("patient_id")), written(row.cell("issuer")))
            if updated == begin:
                at_begin += 1
                same[person] = None
            elif len(found) >= ARRIVALS_AT_ONCE and updated != last:
                break
            else:
                found[person] = None
            at_last, last = at_last + 1 if updated == last else 1, updated
        if at_begin > int(since[2]):
            found |= same
        people = tuple(Identity(patient_id=one, issuer_of_patient_id=issuer) for one, issuer in found if one)
        return _written(last, at_last), people

    def _read(self, key: str, fold: Labs | Reports, search: Search, tally: Tally) -> None:
        """Let a fold take the patient's rows; a view that cannot be read costs that view."""
        taken = 0
        try:
            view = self._connected().view(self._views[key], COLUMNS[key][0])
            if lacking := _lacking(key, view):
                tally.note(key, f"the view has no column {', '.join(lacking)}")
                return
            for row in self._connected().rows(view, search.identity.patient_id, _ORDER[key]):
                taken += 1
                fold.take(row)
        except (Unanswered, ConfigError) as error:
            fold.forget()
            tally.note(key, f"not read: {error}")
            return
        if not taken:
            tally.note(key, "no row has the Patient ID of this study")

    def _connected(self) -> Database:
        if self._database is None:
            self._database = Database(self._url(), self._settings.timeout_seconds)
        return self._database

    def _url(self) -> str:
        if not self._settings.url_file:
            return self._settings.url
        try:
            return Path(self._settings.url_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"[records.sql] url_file cannot be read: {type(error).__name__}") from error

    def _site_or_none(self, tally: Tally) -> Mapping[str, SiteCode]:
        """A table that is not usable costs the rows of local codes and names; `check` says what is wrong with it."""
        try:
            return self._site()
        except ConfigError:
            reason = "the site's table of codes cannot be used; only LOINC codes and known names are read"
            tally.note("codes", reason)
            return {}

    def _site(self) -> Mapping[str, SiteCode]:
        try:
            return site_codes(Path(self._settings.codes)) if self._settings.codes else {}
        except ValueError as error:
            raise ConfigError(f"[records.sql] codes: {error}") from error


def _lacking(key: str, view: View) -> list[str]:
    lacking = [name for name in COLUMNS[key][1] if not view.has(name)]
    if key == "labs" and not any(view.has(name) for name in EITHER):
        lacking.append("code or name")
    return lacking


def _read_position(since: str) -> dict[str, list[str]]:
    try:
        found = {str(key): [str(each) for each in said] for key, said in dict(json.loads(since or "{}")).items()}
        for written in found.values():
            _said(written)
    except (ValueError, TypeError, IndexError) as error:
        raise EvidenceError("the position is none that this source gave") from error
    return found


def _written(moment: object, rows: int) -> list[str]:
    """A cell of `updated_at` with its type, so that it can be compared in the database again, and how many have it."""
    if isinstance(moment, datetime):
        return ["datetime", moment.isoformat(), str(rows)]
    if isinstance(moment, date):
        return ["date", moment.isoformat(), str(rows)]
    if isinstance(moment, int):
        return ["int", str(moment), str(rows)]
    return ["", "", "0"] if moment is None else ["text", str(moment), str(rows)]


def _said(written: list[str]) -> object:
    kind, said, rows = written[0], written[1], int(written[2])
    if kind == "datetime":
        return datetime.fromisoformat(said)
    if kind == "date":
        return date.fromisoformat(said)
    if kind == "int":
        return int(said)
    return said if kind == "text" and rows else None


def _within(key: str, value: float, least: float, most: float) -> float:
    if not math.isfinite(value) or not least <= value <= most:
        raise ConfigError(f"[records.sql] {key} must be between {least:g} and {most:g}, not {value}")
    return value
