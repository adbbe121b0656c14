"""What every installed source of records keeps, whoever wrote it."""

from datetime import UTC, datetime

import pytest

from cds.discovery import build, installed
from cds.domain.records import Records
from cds.domain.study import Patient, Study
from cds.ports import RECORDS, RecordsSource, Watched

SOURCES = pytest.mark.parametrize("name", sorted(installed(RECORDS)))
STUDIES = (
    Study(study_instance_uid="1.2.3", patient=Patient(), series=()),
    Study(
        study_instance_uid="1.2.4",
        patient=Patient(patient_id="P-1", sex="F"),
        series=(),
        started_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
    ),
)


@SOURCES
def test_a_source_is_built_from_an_empty_table_and_finds_nothing_that_nobody_configured(name: str) -> None:
    source = build(RECORDS, name, RecordsSource, {})  # type: ignore[type-abstract]
    for study in STUDIES:
        assert source.records_for(study) == Records()


@SOURCES
def test_the_same_study_gives_the_same_records(name: str) -> None:
    source = build(RECORDS, name, RecordsSource, {})  # type: ignore[type-abstract]
    assert [source.records_for(study) for study in STUDIES] == [source.records_for(study) for study in STUDIES]


@SOURCES
def test_a_source_that_is_watched_names_nobody_at_first_and_nobody_while_nothing_comes(name: str) -> None:
    source = build(RECORDS, name, RecordsSource, {})  # type: ignore[type-abstract]
    if not isinstance(source, Watched):
        pytest.skip(f"the source {name!r} does not say whose records came")
    begin = source.arrivals("")
    assert begin.position
    assert begin.patients == ()
    assert source.arrivals(begin.position) == begin
