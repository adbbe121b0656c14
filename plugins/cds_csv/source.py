"""The records source of this package: folders or files of laboratory values and reports."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from cds.domain.joining import SUPERSEDED, Search, Tally, search_for
from cds.domain.labs import latest_final
from cds.domain.records import Arrivals, LabResult, LabStatus, Records, RejectedRecord, TextReport
from cds.domain.rows import LABS_REQUIRED, REPORTS_REQUIRED
from cds.domain.site_codes import SiteCode, site_codes
from cds.domain.study import Study
from cds.errors import ConfigError, EvidenceError
from cds_csv import late
from cds_csv.columns import LABS, REPORTS
from cds_csv.scan import check_header, labs_of, named_text, reports_of
from cds_csv.tables import TABLE_SUFFIXES, TableError

HOURS_LIMIT: Final = 24.0 * 366 * 10
Found = TypeVar("Found", LabResult, TextReport)
Scan = Callable[[Path, Search, Tally], tuple[Found, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvSettings:
    """``[records.csv]``.

    Attributes
    ----------
    labs, reports
        A folder of .csv and .xlsx files, or one such file; `reports` may also be one .txt file, which
        is then the current report of whatever study is read. ``""``: none.
    codes
        The site's table of codes, a CSV file with the columns code or name, loinc, unit, as `cds labs map` writes
        it. ``""``: none.
    window_hours_before, window_hours_after
        Laboratory values, current reports and orders count from so long before the start of the study
        to so long after.
    timezone
        Of times that name none (IANA name).
    """

    labs: str = ""
    reports: str = ""
    codes: str = ""
    window_hours_before: float = 72.0
    window_hours_after: float = 24.0
    timezone: str = "UTC"


class CsvRecords:
    """Joins rows of CSV and XLSX files to a study by identity and time (`cds.records`)."""

    Settings = CsvSettings

    def __init__(self, settings: CsvSettings) -> None:
        self._settings = settings
        self._before = _hours("window_hours_before", settings.window_hours_before)
        self._after = _hours("window_hours_after", settings.window_hours_after)
        self._zone = _zone(settings.timezone)
        named = {"labs": settings.labs, "reports": settings.reports}
        self._locations = {key: location for key, location in named.items() if location}

    def check(self) -> None:
        """Look at every file's header row.

        Raises
        ------
        ConfigError
            When a file or folder is not there or cannot be read, or its columns are wrong; the message
            names the file, what is missing and what there is.
        """
        self._site()
        for key, location in self._locations.items():
            at = Path(location)
            try:
                for at in _files(Path(location)):
                    _check_file(key, at)
            except TableError as error:
                raise ConfigError(f"[records.csv] {key}: {at}: {error}") from error

    def records_for(self, study: Study) -> Records:
        """All rows of the study's patient that count; why others do not stands in ``rejected``.

        A file that cannot be used costs that file, a row that cannot be used costs that row.
        """
        texts, rejected = self._named_text()
        tables = {key: location for key, location in self._locations.items() if not _is_text(key, location)}
        search = search_for(study, before=self._before, after=self._after, zone=self._zone)
        if isinstance(search, str):
            return Records(
                texts=texts, rejected=(*rejected, *(RejectedRecord(source=key, reason=search) for key in tables))
            )
        site, unusable = self._site_or_none()
        labs, lab_tallies = _scan("labs", tables, partial(labs_of, site=site), search)
        used, superseded = latest_final(labs)
        _count_superseded(superseded, lab_tallies)
        reports, report_tallies = _scan("reports", tables, reports_of, search)
        latest = _latest_of_each(reports, report_tallies)
        tallies = (*lab_tallies, *report_tallies)
        return search.window.joined(used, superseded) + Records(
            texts=(*texts, *latest),
            rejected=(*rejected, *unusable, *(record for tally in tallies for record in tally.rejected())),
        )

    def arrivals(self, since: str) -> Arrivals:
        """Whose rows are not as they were at `since`. A text file that was named is about nobody, and not watched.

        Raises
        ------
        EvidenceError
            When the files cannot be looked at now.
        """
        tables = [(key, Path(location)) for key, location in self._locations.items() if not _is_text(key, location)]
        try:
            files = [late.Table(key, path) for key, location in tables for path in _files(location)]
        except TableError as error:
            raise EvidenceError(f"the tables cannot be looked at: {error}") from None
        return late.arrivals(files, since)

    def _site_or_none(self) -> tuple[Mapping[str, SiteCode], tuple[RejectedRecord, ...]]:
        """A table that is not usable costs the rows of local codes and names; `check` says what is wrong with it."""
        try:
            return self._site(), ()
        except ConfigError:
            reason = "the site's table of codes cannot be used; only LOINC codes and known names are read"
            return {}, (RejectedRecord(source="codes", reason=reason),)

    def _site(self) -> Mapping[str, SiteCode]:
        try:
            return site_codes(Path(self._settings.codes)) if self._settings.codes else {}
        except ValueError as error:
            raise ConfigError(f"[records.csv] codes: {error}") from error

    def _named_text(self) -> tuple[tuple[TextReport, ...], tuple[RejectedRecord, ...]]:
        location = self._locations.get("reports", "")
        if not _is_text("reports", location):
            return (), ()
        try:
            return (named_text(Path(location)),), ()
        except TableError as error:
            return (), (RejectedRecord(source="reports", reason=str(error)),)


def check(settings: CsvSettings) -> None:
    """`CsvRecords.check` for settings that no source was built of.

    Raises
    ------
    ConfigError
        When a setting, a file or a column is wrong.
    """
    CsvRecords(settings).check()


def _hours(key: str, hours: float) -> timedelta:
    if not math.isfinite(hours) or not 0 <= hours <= HOURS_LIMIT:
        raise ConfigError(f"[records.csv] {key} must be between 0 and {HOURS_LIMIT:g} hours, not {hours}")
    return timedelta(hours=hours)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(
            f"[records.csv] timezone: no zone {name!r}; an IANA name is wanted, e.g. Asia/Shanghai"
        ) from error


def _files(location: Path) -> tuple[Path, ...]:
    """The file, or the tables of the folder in the order of their names.

    Raises
    ------
    TableError
        When there is no such file or folder, or it cannot be listed.
    """
    try:
        if location.is_file():
            return (location,)
        if not location.is_dir():
            raise TableError("no such file or folder")
        entries = sorted(location.iterdir())
        return tuple(path for path in entries if path.suffix.lower() in TABLE_SUFFIXES and _plain(path))
    except OSError as error:
        raise TableError(f"cannot be read: {error.strerror}") from error


def _plain(path: Path) -> bool:
    """A regular file that is no editor's lock or hidden file; a pipe would hold the node up."""
    return path.is_file() and not path.name.startswith((".", "~$"))


def _count_superseded(superseded: Sequence[LabResult], tallies: Sequence[Tally]) -> None:
    """Count what a later or a final value replaced; cancelled ones were counted when they were read."""
    files = Counter(
        result.source.rsplit(" row ", 1)[0] for result in superseded if result.status is not LabStatus.CANCELLED
    )
    for tally in tallies:
        if files[tally.source]:
            tally.count(SUPERSEDED, files[tally.source])


def _latest_of_each(reports: Sequence[TextReport], tallies: Sequence[Tally]) -> tuple[TextReport, ...]:
    """One text for each report id, the latest; observations are named by report id."""
    best: dict[str, TextReport] = {}
    for report in reports:
        known = best.get(report.report_id)
        if known is None or _authored(report) >= _authored(known):
            best[report.report_id] = report
    kept = {id(report) for report in best.values()}
    files = Counter(report.source.rsplit(" row ", 1)[0] for report in reports if id(report) not in kept)
    for tally in tallies:
        if files[tally.source]:
            tally.count("superseded by a later version of the same report", files[tally.source])
    return tuple(best.values())


def _authored(report: TextReport) -> float:
    return report.authored_at.timestamp() if report.authored_at is not None else -math.inf


def _is_text(key: str, location: str) -> bool:
    return key == "reports" and location.lower().endswith(".txt")


def _check_file(key: str, path: Path) -> None:
    if _is_text(key, path.name):
        named_text(path)
    elif key == "labs":
        check_header(path, LABS, LABS_REQUIRED)
    else:
        check_header(path, REPORTS, REPORTS_REQUIRED)


def _scan(
    key: str, tables: Mapping[str, str], scan: Scan[Found], search: Search
) -> tuple[tuple[Found, ...], list[Tally]]:
    """What every file of a location has for the search, and one tally for the location and each file."""
    if key not in tables:
        return (), []
    whole = Tally(key)
    tallies = [whole]
    found: list[Found] = []
    try:
        files = _files(Path(tables[key]))
    except TableError as error:
        whole.note(key, str(error))
        return (), tallies
    for path in files:
        tally = Tally(f"{key}: {path.name}")
        tallies.append(tally)
        try:
            found += scan(path, search, tally)
        except TableError as error:
            tally.note(tally.source, str(error))
    if not found and not any(tally.rejected() for tally in tallies):
        whole.note(key, f"no row has the Patient ID of this study (files read: {len(files)})")
    return tuple(found), tallies
