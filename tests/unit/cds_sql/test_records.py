"""Rows of a database joined to a study."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cds.domain.records import LabStatus, TextKind
from cds.errors import ConfigError, EvidenceError
from cds_sql.fold import EARLIER

from .conftest import CRP, LABS, REPORTS, STUDY, Cells, Join, crp, fill, reasons, report, source, study_of


def test_a_row_of_the_patient_is_a_value_in_the_house_unit(join: Join) -> None:
    found = join(
        crp(12, unit="mg/dL", reference_high="0.5"),
        crp(1, patient_id="P-2"),
        crp("<0.5", name="CRP", code="", at="2026-01-31 07:00", status="P"),
    )
    (lab,) = found.labs
    assert (lab.value, lab.unit, lab.reference_high, lab.source) == (120.0, "mg/L", 5.0, "labs row 2")
    assert (lab.observed_at, lab.status) == (datetime(2026, 1, 31, 8, tzinfo=UTC), LabStatus.FINAL)
    assert reasons(found) == [("labs", "superseded by a later, final or corrected value, or withdrawn: 1 row")]


def test_times_without_a_zone_are_of_the_configured_one(join: Join) -> None:
    found = join(crp(at="2026-01-31 08:00:00"), timezone="Asia/Shanghai")
    assert [lab.observed_at for lab in found.labs] == [datetime(2026, 1, 31, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sex": "M"}, "sex differs"),
        ({"birth_date": "1951-01-02"}, "birth date differs"),
        ({"issuer": "OTHER"}, "issuer of the Patient ID differs"),
        ({"birth_date": None, "sex": None}, "nothing but the Patient ID agrees"),
        ({"sex": "x"}, "the sex is not understood"),
        ({"birth_date": "2.1.1950"}, "the birth date is not understood"),
        ({"observed_at": "yesterday"}, "the time is not understood"),
        ({"observed_at": None}, "the time is not understood"),
        ({"observed_at": "2026-01-20"}, "outside the window"),
        ({"code": "8302-2"}, "LOINC 8302-2 is not among"),
        ({"code": "Canary"}, "the code is not among"),
        ({"code": None}, "the row names no analyte"),
        ({"code": None, "name": "Canary"}, "the name is not among"),
        ({"name": "white blood cell count"}, "two analytes"),
        ({"value": None}, "not a number"),
        ({"value": "1,5"}, "not a number"),
        ({"unit": None}, "the unit does not fit"),
        ({"status": "Canary"}, "the status is not known"),
        ({"status": "cancelled"}, "cancelled"),
    ],
)
def test_what_is_not_used_has_its_reason_and_repeats_no_cell(
    join: Join, changes: dict[str, object], reason: str
) -> None:
    at = changes.pop("observed_at", "2026-01-31T08:00:00Z")
    value = changes.pop("value", 120)
    found = join(crp(value, at, **changes))
    assert found.labs == ()
    (said,) = [why for _, why in reasons(found)]
    assert reason in said and "Canary" not in said and "P-1" not in said


def test_a_corrected_row_counts_and_a_cancelled_one_withdraws_its_own_time(join: Join) -> None:
    found = join(
        crp(1, "2026-01-31T06:00:00Z"),
        crp(2, "2026-01-31T07:00:00Z"),
        crp(3, "2026-01-31T07:00:00Z", status="corrected"),
        crp(4, "2026-01-31T08:00:00Z"),
        crp(4, "2026-01-31T08:00:00Z", status="cancelled"),
    )
    assert [(lab.value, lab.status) for lab in found.labs] == [(3.0, LabStatus.CORRECTED)]


def test_a_range_that_cannot_be_read_costs_the_range(join: Join) -> None:
    found = join(crp(reference_low=9, reference_high=5))
    assert [lab.reference_low for lab in found.labs] == [None]
    assert reasons(found) == [("labs row 1", "used without its reference range (it ends before it begins)")]


def test_the_table_of_codes_of_the_site_is_used(join: Join, tmp_path: Path) -> None:
    codes = tmp_path / "codes.csv"
    codes.write_text("code,loinc,unit\nXCRP,1988-5,mg/L\n", encoding="utf-8")
    assert [lab.value for lab in join(crp(code="XCRP", unit=None), codes=str(codes)).labs] == [120.0]


def test_a_select_takes_the_place_of_a_view_and_renames_its_columns(file: Path) -> None:
    fill(file, "results", "pid, born, loinc, num, uom, taken", [("P-1", 19500102, "1988-5", 7.5, "mg/L", "2026-01-31")])
    select = (
        "SELECT pid AS patient_id, born AS birth_date, loinc AS code, num AS value, uom AS unit,"
        " taken AS observed_at FROM results WHERE num > 0;"
    )
    found = source(file, labs=select).records_for(study_of(issuer_of_patient_id=""))
    assert [lab.value for lab in found.labs] == [7.5]


def test_a_patient_id_is_a_parameter_and_never_sql(join: Join) -> None:
    assert join(crp(), study=study_of(patient_id="x' OR '1'='1")).labs == ()


def test_reports_are_texts_the_latest_version_of_each(file: Path) -> None:
    rows = [
        report("R-1", "2026-01-20T08:00:00Z", "prior", "First."),
        report("R-1", "2026-01-20T09:00:00Z", "prior", "Second."),
        report("R-2", "2026-01-31T11:00:00Z", "order", "Cough."),
        report("R-3", "2026-02-01T11:00:00Z", "prior", "Later."),
        report("R-4", "2026-01-01T11:00:00Z", "current", "Early."),
        report("R-5", "2026-01-01T11:00:00Z", "letter", "Other."),
    ]
    fill(file, "texts", REPORTS, rows)
    found = source(file, labs="", reports="texts").records_for(STUDY)
    assert [(text.report_id, text.text, text.kind) for text in found.texts] == [
        ("R-1", "Second.", TextKind.PRIOR),
        ("R-2", "Cough.", TextKind.ORDER),
    ]
    assert len(found.rejected) == 4


def test_a_database_that_cannot_be_asked_costs_its_views_and_says_so(tmp_path: Path, file: Path) -> None:
    gone = source(tmp_path / "gone.sqlite3").records_for(STUDY)
    assert gone.labs == () and "the database cannot be asked" in reasons(gone)[0][1]
    assert not (tmp_path / "gone.sqlite3").exists()
    fill(file, "lis", "patient_id, value", [])
    assert "no column unit, observed_at, code or name" in reasons(source(file).records_for(STUDY))[0][1]


def test_a_statement_that_takes_too_long_is_ended(file: Path) -> None:
    fill(file, "lis", LABS, [CRP])
    forever = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)"
        " SELECT lis.* FROM lis WHERE (SELECT max(i) FROM n) > 0"
    )
    found = source(file, labs=forever, timeout_seconds=0.2).records_for(STUDY)
    assert found.labs == () and "the database cannot be asked" in reasons(found)[0][1]


def test_the_database_is_read_only(file: Path) -> None:
    fill(file, "lis", LABS, [CRP])
    found = source(file, labs="SELECT * FROM lis; DROP TABLE lis").records_for(STUDY)
    assert found.labs == ()
    assert [lab.value for lab in source(file).records_for(STUDY).labs] == [120.0]


def test_check_names_the_column_that_is_missing_and_what_there_is(file: Path) -> None:
    fill(file, "lis", "patient_id, value, units", [])
    with pytest.raises(ConfigError, match="no column unit, observed_at, code or name; there are: patient_id, value"):
        source(file).check()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"url": ""}, "one of url and url_file"),
        ({"url_file": "x"}, "one of url and url_file"),
        ({"timezone": "Mars"}, "no zone 'Mars'"),
        ({"timeout_seconds": 0.0}, "timeout_seconds"),
        ({"window_hours_after": float("nan")}, "window_hours_after"),
    ],
)
def test_a_wrong_setting_is_told_when_the_source_is_built(file: Path, settings: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        source(file, **settings)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"url": "no url with secret"}, "no SQLAlchemy URL"),
        ({"url": "nosuch://secret@host/db"}, "driver is not installed"),
        ({"url": "", "url_file": "/nowhere/secret"}, "url_file cannot be read"),
        ({"codes": "/nowhere"}, "codes"),
        ({"labs": "nothing"}, "no such view"),
    ],
)
def test_check_says_what_is_wrong_and_no_secret(file: Path, settings: dict[str, object], reason: str) -> None:
    fill(file, "lis", LABS, [])
    with pytest.raises(ConfigError, match=reason) as caught:
        source(file, **settings).check()
    assert "secret" not in str(caught.value)


def test_the_url_may_stand_in_a_file(file: Path, tmp_path: Path) -> None:
    fill(file, "lis", LABS, [CRP])
    (tmp_path / "url").write_text(f"sqlite:///{file}\n", encoding="utf-8")
    found = source(file, url="", url_file=str(tmp_path / "url")).records_for(STUDY)
    assert [lab.value for lab in found.labs] == [120.0]


def test_arrivals_names_whose_rows_are_new_once(file: Path) -> None:
    fill(file, "lis", LABS, [crp(updated_at="2026-01-31 09:00:00")])
    watched = source(file)
    start = watched.arrivals("")
    assert start.patients == ()
    assert watched.arrivals(start.position) == start
    fill(file, "lis", LABS, [crp(patient_id="P-2", updated_at="2026-01-31 09:00:00")])
    same_time = watched.arrivals(start.position)
    assert [each.patient_id for each in same_time.patients] == ["P-1", "P-2"]
    assert watched.arrivals(same_time.position).patients == ()
    fill(file, "lis", LABS, [crp(patient_id="P-3", updated_at="2026-01-31 10:00:00")])
    later = watched.arrivals(same_time.position)
    assert [(each.patient_id, each.issuer_of_patient_id) for each in later.patients] == [("P-3", "HOSP")]
    assert watched.arrivals(later.position).patients == ()


def test_arrivals_of_an_empty_view_names_the_first_row(file: Path) -> None:
    fill(file, "lis", LABS, [])
    watched = source(file)
    start = watched.arrivals("")
    fill(file, "lis", LABS, [crp(updated_at=5)])
    assert [each.patient_id for each in watched.arrivals(start.position).patients] == ["P-1"]


def test_arrivals_names_many_in_parts_and_nobody_is_left_out(file: Path) -> None:
    fill(file, "lis", LABS, [])
    watched = source(file)
    position = watched.arrivals("").position
    fill(file, "lis", LABS, [crp(patient_id=f"P-{n}", updated_at=n // 7) for n in range(5000)])
    named: list[str] = []
    for _ in range(9):
        part = watched.arrivals(position)
        named += [each.patient_id for each in part.patients]
        position = part.position
    assert sorted(set(named)) == sorted(f"P-{n}" for n in range(5000))
    assert watched.arrivals(position).patients == ()


def test_a_view_without_updated_at_names_nobody(file: Path) -> None:
    fill(file, "lis", "patient_id, value, unit, observed_at, code", [("P-1", 1, "mg/L", "2026-01-31", "1988-5")])
    watched = source(file)
    assert watched.arrivals(watched.arrivals("").position).patients == ()


@pytest.mark.parametrize("position", ["nonsense", "[]]", '{"labs": 5}', '{"labs": ["int", "x", "1"]}'])
def test_a_position_of_somebody_else_is_an_error(file: Path, position: str) -> None:
    fill(file, "lis", LABS, [])
    with pytest.raises(EvidenceError):
        source(file).arrivals(position)


def test_a_date_of_birth_may_have_any_type_of_the_database(join: Join) -> None:
    found = join(crp(birth_date=date(1950, 1, 2).isoformat() + " 00:00:00", sex=2, issuer=None))
    assert [lab.value for lab in found.labs] == [120.0]


MANY = """
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from cds.domain.study import Patient, Study
from cds_sql.source import SqlRecords
patient = Patient(patient_id="P-1", issuer_of_patient_id="HOSP", birth_date=date(1950, 1, 2), sex="F")
study = Study(study_instance_uid="1.2.3", patient=patient, series=(), started_at=datetime(2026, 1, 31, 12, tzinfo=UTC))
source = SqlRecords(SqlRecords.Settings(url=sys.argv[1], labs="lis"))
def peak_kilobytes():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])
before = peak_kilobytes()
(lab,) = source.records_for(study).labs
print(lab.value, peak_kilobytes() - before)
"""


def test_sixty_thousand_rows_of_one_patient_are_not_held(file: Path) -> None:
    rows = [crp(n, f"2026-01-31T{n // 3600 % 11:02}:{n // 60 % 60:02}:{n % 60:02}Z") for n in range(60_000)]
    fill(file, "lis", LABS, rows)
    command = [sys.executable, "-c", MANY, f"sqlite:///{file}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=240)
    value, kilobytes = done.stdout.split()
    assert float(value) == 39599.0  # of 10:59:59, the last second of the round that 39,600 rows make
    assert int(kilobytes) < 14_000  # a list of them all takes 22,000, one of a thousand rows 7,000


def test_a_value_counts_by_the_window_of_its_analyte_and_says_so_with_the_values_before_it(join: Join) -> None:
    def creatinine(value: float, at: str, **changes: object) -> Cells:
        return crp(value, at, code="2160-0", unit="mg/dL", **changes)

    found = join(
        creatinine(0.7, "2025-12-30T12:00:00Z"),
        creatinine(0.8, "2026-01-05T12:00:00Z"),
        creatinine(0.85, "2026-01-06T12:00:00Z"),
        creatinine(0, "2026-01-06T12:00:00Z", status="cancelled"),
        creatinine(0.95, "2026-01-10T12:00:00Z"),
        crp(45, "2026-01-10T12:00:00Z"),
    )
    assert [(lab.analyte.value, lab.value, lab.window_hours) for lab in found.labs] == [("2160-0", 0.95, (720, 24))]
    assert [lab.value for lab in found.earlier] == [0.8]
    assert ("labs", "outside the window of 72 h before to 24 h after the study: 2 rows") in reasons(found)


def test_of_many_earlier_values_the_latest_are_held_over_every_fold(join: Join) -> None:
    found = join(*(crp(n, f"2026-01-30T{n // 60:02}:{n % 60:02}:00Z") for n in range(1, 1200)))
    assert [lab.value for lab in found.labs] == [1199]
    assert [lab.value for lab in found.earlier] == list(range(1199 - EARLIER, 1199))
