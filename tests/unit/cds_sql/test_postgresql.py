"""Views of a real PostgreSQL: its types, its transactions, its own limits."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from cds.domain.records import LabStatus
from cds.errors import ConfigError
from cds_sql.source import SqlRecords
from faults.test_postgresql import Cluster

from .conftest import STUDY, reasons

TABLE = """
CREATE TABLE results (
  pid varchar(20), born date, gender char(1), loinc text, result numeric(10, 3), uom text,
  taken timestamptz, high double precision, verified boolean, changed timestamptz);
CREATE VIEW labs AS SELECT pid AS patient_id, 'HOSP' AS issuer, born AS birth_date, gender AS sex, loinc AS code,
  result AS value, uom AS unit, taken AS observed_at, high AS reference_high,
  CASE WHEN verified THEN 'final' ELSE 'preliminary' END AS status, changed AS updated_at FROM results;
CREATE TABLE texts (
  patient_id text, birth_date timestamp, report_id integer, authored_at timestamp, kind text, text text);
INSERT INTO results VALUES
  ('P-1', '1950-01-02', 'F', '1988-5', 120.500, 'mg/L', '2026-01-31 16:00+08', 5, true, '2026-01-31 09:00+00'),
  ('P-1', '1950-01-02', 'F', '6690-2', 17.4, '10*9/L', '2026-01-31 08:00+00', NULL, false, '2026-01-31 09:00+00'),
  ('P-2', '1960-01-02', 'M', '1988-5', 1, 'mg/L', '2026-01-31 08:00+00', 5, true, '2026-01-31 09:00+00');
INSERT INTO texts VALUES ('P-1', '1950-01-02', 7, '2026-01-20 08:00', 'prior', 'Old.');
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("psycopg", reason="needs the extra 'postgresql'")
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("needs PostgreSQL with initdb and pg_ctl on the PATH: apt-get install postgresql")
    # not under pytest's own folder, where an unprivileged user does not get in
    with tempfile.TemporaryDirectory(prefix="cds-sql-") as folder:
        cluster = Cluster(Path(folder))
        cluster.start()
        with _engine(cluster).begin() as connection:
            connection.execute(text(TABLE))
        yield cluster
        cluster.stop()


def _engine(cluster: Cluster) -> Engine:
    return create_engine(cluster.url, poolclass=NullPool)


def _source(cluster: Cluster, **settings: object) -> SqlRecords:
    table = {"url": cluster.url, "labs": "public.labs", "reports": "texts", **settings}
    return SqlRecords(SqlRecords.Settings(**table))  # type: ignore[arg-type]


def test_values_and_reports_of_its_types_are_read(cluster: Cluster) -> None:
    source = _source(cluster)
    source.check()
    found = source.records_for(STUDY)
    assert {lab.analyte.value: (lab.value, lab.reference_high, lab.status) for lab in found.labs} == {
        "6690-2": (17.4, None, LabStatus.PRELIMINARY),
        "1988-5": (120.5, 5.0, LabStatus.FINAL),
    }
    assert reasons(found) == [
        ("reports row 1", "it is not certain that it is the same person: only one of them names the issuer of the"
         " Patient ID, and birth date and sex do not both confirm it")
    ]  # fmt: skip
    assert len({lab.observed_at.timestamp() for lab in found.labs}) == 1


def test_nothing_can_be_written(cluster: Cluster) -> None:
    with _engine(cluster).begin() as connection:
        connection.execute(text("CREATE SEQUENCE counter"))
    found = _source(cluster, labs="SELECT labs.*, nextval('counter') FROM labs").records_for(STUDY)
    assert found.labs == ()
    assert "the database cannot be asked" in reasons(found)[0][1]
    with _engine(cluster).begin() as connection:
        assert connection.execute(text("SELECT is_called FROM counter")).scalar() is False


def test_check_says_that_a_view_is_not_there(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="no such view"):
        _source(cluster, labs="nothing").check()


def test_a_statement_that_takes_too_long_is_ended_by_the_server(cluster: Cluster) -> None:
    slow = "SELECT labs.* FROM labs, pg_sleep(600) AS s"
    found = _source(cluster, labs=slow, timeout_seconds=0.5).records_for(STUDY)
    assert found.labs == ()
    assert "the database cannot be asked" in reasons(found)[0][1]


def test_arrivals_names_whose_rows_were_changed(cluster: Cluster) -> None:
    source = _source(cluster)
    start = source.arrivals("")
    with _engine(cluster).begin() as connection:
        connection.execute(text("UPDATE results SET result = 2, changed = '2026-01-31 10:00+00' WHERE pid = 'P-2'"))
    later = source.arrivals(start.position)
    assert [each.patient_id for each in later.patients] == ["P-2"]
    assert source.arrivals(later.position).patients == ()


def test_a_server_that_is_down_costs_its_views_and_says_so(cluster: Cluster) -> None:
    cluster.stop()
    try:
        found = _source(cluster).records_for(STUDY)
    finally:
        cluster.start()
    assert {reason for _, reason in reasons(found)} == {
        "not read: the database cannot be asked, or has no such view (OperationalError)"
    }
