"""The page that administrators read, held to the code."""

import re
import sqlite3
from contextlib import closing
from dataclasses import fields
from pathlib import Path

from cds_sql.source import COLUMNS, SqlSettings

from .conftest import STUDY, source

PAGE = (Path(__file__).parents[3] / "docs" / "howto" / "connect-sql.md").read_text(encoding="utf-8")
TABLES = """
CREATE TABLE patients (id INTEGER PRIMARY KEY, mrn TEXT, born TEXT, sex TEXT);
CREATE TABLE results (patient INTEGER, loinc TEXT, test TEXT, result REAL, unit TEXT, collected TEXT, verified INTEGER,
  changed TEXT);
INSERT INTO patients VALUES (1, 'P-1', '1950-01-02', 'F');
INSERT INTO results VALUES (1, '1988-5', 'CRP', 120, 'mg/L', '2026-01-31T08:00:00Z', 1, '2026-01-31T09:00:00Z');
"""


def test_every_setting_is_on_the_page() -> None:
    named = [field.name for field in fields(SqlSettings)]
    assert [name for name in named if f"\n{name} = " not in PAGE and f"`{name}" not in PAGE] == []


def test_every_column_is_on_the_page() -> None:
    for key, (columns, required) in COLUMNS.items():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{key}` |"))
        _, _, must, may, _ = row.split("|")
        assert set(required) <= set(re.findall(r"`(\w+)`", must))
        assert set(columns) <= set(re.findall(r"`(\w+)`", must + may))


def test_the_view_on_the_page_is_one(file: Path) -> None:
    example = re.search(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    with closing(sqlite3.connect(file)) as database, database:
        database.executescript(TABLES + example[1])
    read = source(file, labs="labs")
    read.check()
    assert [lab.value for lab in read.records_for(STUDY).labs] == [120.0]
