from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cds.domain.records import Records
from cds.domain.study import Patient, Study
from cds_csv.source import CsvRecords

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PATIENT = Patient(patient_id="P-1", birth_date=date(1950, 1, 2), sex="F")


def study_of(patient: Patient = PATIENT, started_at: datetime | None = NOON) -> Study:
    return Study(study_instance_uid="1.2.3", patient=patient, series=(), started_at=started_at)


Join = Callable[..., Records]


@pytest.fixture
def join_labs(tmp_path: Path) -> Join:
    """Join rows (dicts) of one table of laboratory values to a study."""

    def run(*rows: dict[str, str], study: Study | None = None, **settings: object) -> Records:
        path = tmp_path / "labs.csv"
        path.write_text(table(rows), encoding="utf-8")
        return CsvRecords(CsvRecords.Settings(labs=str(path), **settings)).records_for(study or study_of())  # type: ignore[arg-type]

    return run


def table(rows: tuple[dict[str, str], ...]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [columns, *([row.get(column, "") for column in columns] for row in rows)]
    return "\n".join(",".join(f'"{cell}"' for cell in line) for line in lines) + "\n"


def lab(**changes: str) -> dict[str, str]:
    row = {
        "patient_id": "P-1",
        "issuer": "",
        "birth_date": "1950-01-02",
        "sex": "F",
        "code": "1988-5",
        "name": "",
        "value": "120",
        "unit": "mg/L",
        "observed_at": "2026-01-31T08:00:00Z",
        "status": "final",
    }
    return row | changes


def report(**changes: str) -> dict[str, str]:
    row = {
        "patient_id": "P-1",
        "issuer": "",
        "birth_date": "1950-01-02",
        "sex": "F",
        "report_id": "R1",
        "authored_at": "2026-01-31T08:00:00Z",
        "kind": "current",
        "text": "No pleural effusion.",
    }
    return row | changes
