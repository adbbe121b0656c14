"""The records source of this package: recordings that a CSV index names, or one file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from cds.domain.records import Identity, Records, RejectedRecord
from cds.domain.same_person import doubt
from cds.domain.study import Study
from cds.domain.waveform import Waveform
from cds.errors import ConfigError
from cds_wfdb.files import RecordingError, format_of, sha256_of

REQUIRED: Final = ("patient_id", "file", "acquired_at")
COLUMNS: Final = (*REQUIRED, "issuer_of_patient_id", "birth_date", "sex")
MOST_ROWS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WfdbSettings:
    """``[records.wfdb]``.

    Attributes
    ----------
    index
        A CSV file with the columns patient_id, file, acquired_at and, as far as known, issuer_of_patient_id,
        birth_date, sex; files are named relative to its folder and lie in it. ``""``: none.
    file
        One recording that belongs to whatever study is read (`cds analyze --waveform`). ``""``: none.
    window_hours_before, window_hours_after
        Recordings count from so long before the start of the study to so long after.
    """

    index: str = ""
    file: str = ""
    window_hours_before: float = 72.0
    window_hours_after: float = 24.0


class WfdbRecords:
    """Joins recordings to a study by identity and time (`cds.records`)."""

    Settings = WfdbSettings

    def __init__(self, settings: WfdbSettings) -> None:
        self._settings = settings
        for name in ("window_hours_before", "window_hours_after"):
            hours = getattr(settings, name)
            if not 0 <= hours <= 24 * 366:
                raise ConfigError(f"[records.wfdb] {name} must be between 0 and {24 * 366} hours, not {hours:g}")

    def check(self) -> None:
        """Look at the index's columns and at the one file.

        Raises
        ------
        ConfigError
            When one of them is not there or not usable; the message says what would be right.
        """
        try:
            if self._settings.index:
                next(_rows(Path(self._settings.index)), None)
            if self._settings.file:
                format_of(Path(self._settings.file))
                sha256_of(Path(self._settings.file))
        except RecordingError as error:
            raise ConfigError(f"[records.wfdb] {error}") from None

    def records_for(self, study: Study) -> Records:
        """The recordings of the study's patient in the window; why others do not count stands in ``rejected``."""
        found: list[Waveform] = []
        rejected: list[RejectedRecord] = []
        if self._settings.file:
            path = Path(self._settings.file)
            _take(found, rejected, path, f"waveforms: {path.name}", None)
        if self._settings.index:
            self._indexed(study, Path(self._settings.index), found, rejected)
        return Records(waveforms=tuple(found), rejected=tuple(rejected))

    def _indexed(self, study: Study, index: Path, found: list[Waveform], rejected: list[RejectedRecord]) -> None:
        where = f"waveforms: {index.name}"
        ours = _identity_of(study)
        if not ours.patient_id or study.started_at is None:
            reason = "the study has no Patient ID; no record can be joined"
            if ours.patient_id:
                reason = "the study has no date and time; no record can be joined"
            rejected.append(RejectedRecord(source=where, reason=reason))
            return
        before, after = len(found), len(rejected)
        try:
            for number, row in _rows(index):
                if row["patient_id"] == ours.patient_id:
                    source = f"{where} row {number}"
                    reason = self._refused(study.started_at, ours, row)
                    if reason:
                        rejected.append(RejectedRecord(source=source, reason=reason))
                    else:
                        _take(found, rejected, _beside(index, row["file"]), source, _moment(row["acquired_at"]))
        except RecordingError as error:
            rejected.append(RejectedRecord(source=where, reason=str(error)))
        if (before, after) == (len(found), len(rejected)):
            rejected.append(RejectedRecord(source=where, reason="no row has the Patient ID of this study"))

    def _refused(self, begun: datetime, ours: Identity, row: Mapping[str, str]) -> str:
        """Why a row of the study's patient ID does not count, ``""`` where it does."""
        try:
            theirs = _identity_in(row)
            taken = _moment(row["acquired_at"])
        except ValueError as error:
            return str(error)
        if why := doubt(ours, theirs):
            return f"it is not certain that it is the same person: {why}"
        early, late = self._settings.window_hours_before, self._settings.window_hours_after
        if not -timedelta(hours=early) <= taken - begun <= timedelta(hours=late):
            return f"outside the window of {early:g} h before to {late:g} h after the study"
        if not row["file"]:
            return "the row names no file"
        return ""


def _take(
    found: list[Waveform], rejected: list[RejectedRecord], path: Path | None, source: str, taken: datetime | None
) -> None:
    """Add one recording, or why it cannot be used."""
    if path is None:
        rejected.append(RejectedRecord(source=source, reason="the file lies outside the folder of the index"))
        return
    try:
        kind, digest = format_of(path), sha256_of(path)
    except RecordingError as error:
        rejected.append(RejectedRecord(source=source, reason=str(error)))
        return
    found.append(
        Waveform(waveform_id=digest[:16], format=kind, path=path, sha256=digest, acquired_at=taken, source=source)
    )


def _beside(index: Path, name: str) -> Path | None:
    """The file in the folder of the index; None where the name leads out of it."""
    folder = index.resolve().parent
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder) else None


def _rows(index: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Every row with its number in the file, cells stripped.

    Raises
    ------
    RecordingError
        When the file cannot be read or a column is missing.
    """
    try:
        with index.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = [name.strip() for name in reader.fieldnames or ()]
            for name in REQUIRED:
                if name not in columns:
                    raise RecordingError(f"the index has no column {name}")
            reader.fieldnames = columns
            for number, row in zip(range(2, MOST_ROWS), reader, strict=False):
                yield number, {name: (row.get(name) or "").strip() for name in COLUMNS}
    except (OSError, UnicodeDecodeError, csv.Error):
        raise RecordingError("the index cannot be read") from None


def _identity_of(study: Study) -> Identity:
    patient = study.patient
    return Identity(
        patient_id=patient.patient_id.strip(),
        issuer_of_patient_id=patient.issuer_of_patient_id,
        birth_date=patient.birth_date,
        sex=patient.sex,
    )


def _identity_in(row: Mapping[str, str]) -> Identity:
    """Who a row says it is of.

    Raises
    ------
    ValueError
        When a birth date or sex is not understood; the message does not repeat it.
    """
    try:
        born = date.fromisoformat(row["birth_date"]) if row["birth_date"] else None
    except ValueError:
        raise ValueError("the birth date does not exist in the calendar") from None
    sex = row["sex"].upper()
    if sex not in ("", "M", "F", "O"):
        raise ValueError("the sex is not understood; M, F, O or empty is wanted")
    return Identity(
        patient_id=row["patient_id"],
        issuer_of_patient_id=row["issuer_of_patient_id"],
        birth_date=born,
        sex=sex,
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("the time is not understood; ISO 8601 with a zone is wanted")
    return moment
