from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cds.domain.records import Records
from cds.domain.study import Patient, Study
from cds_sql.source import SqlRecords

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PATIENT = Patient(patient_id="P-1", issuer_of_patient_id="HOSP", birth_date=date(1950, 1, 2), sex="F")
STUDY = Study(study_instance_uid="1.2.3", patient=PATIENT, series=(), started_at=NOON, accession_number="ACC-1")
LABS = (
    "patient_id, issuer, birth_date, sex, code, name, value, unit, observed_at, reference_low, reference_high, status,"
    " updated_at"
)
REPORTS = "patient_id, issuer, birth_date, sex, report_id, authored_at, kind, text"
CRP = ("P-1", "HOSP", "1950-01-02", "F", "1988-5", None, 120, "mg/L", "2026-01-31T08:00:00Z", None, 5, "final", None)
Cells = Sequence[object]


def crp(value: object = 120, at: object = "2026-01-31T08:00:00Z", **changes: object) -> Cells:
    cells = dict(zip(LABS.split(", "), CRP, strict=True)) | {"value": value, "observed_at": at} | changes
    return tuple(cells.values())


def report(report_id: str = "R-1", at: str = "2026-01-20T08:00:00Z", kind: str = "prior", text: str = "Old.") -> Cells:
    return ("P-1", "HOSP", "1950-01-02", "F", report_id, at, kind, text)


def fill(file: Path, table: str, columns: str, rows: Sequence[Cells]) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
        database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns.split(', ')))})", rows)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lis.sqlite3"


Join = Callable[..., Records]


@pytest.fixture
def join(file: Path) -> Join:
    """Fill the table of laboratory values, then join it to a study."""

    def run(*rows: Cells, study: Study = STUDY, **settings: object) -> Records:
        fill(file, "lis", LABS, rows)
        return source(file, **settings).records_for(study)

    return run


def source(file: Path, **settings: object) -> SqlRecords:
    table = {"url": f"sqlite:///{file}", "labs": "lis", **settings}
    return SqlRecords(SqlRecords.Settings(**table))  # type: ignore[arg-type]


def reasons(records: Records) -> list[tuple[str, str]]:
    return [(rejected.source, rejected.reason) for rejected in records.rejected]


def study_of(**changes: object) -> Study:
    return replace(STUDY, patient=replace(PATIENT, **changes))  # type: ignore[arg-type]
