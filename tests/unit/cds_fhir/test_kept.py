"""Versions on the disk: each is one row, and the latest is current."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from cds.errors import ConfigError, EvidenceError
from cds_fhir.kept import Outcome, ResourceStore, store_path

from .conftest import STUDY, Json, Keep, observation, patient, source


def version(number: str, value: object, hour: int) -> Json:
    return observation(value=value, meta={"versionId": number, "lastUpdated": f"2026-01-31T{hour:02}:00:00Z"})


def values(folder: Path) -> list[tuple[float, str]]:
    return [(lab.value, lab.source.rpartition("/")[2]) for lab in source(folder).records_for(STUDY).labs]


def test_an_older_version_that_comes_late_is_kept_and_not_current(tmp_path: Path, keep: Keep) -> None:
    told = keep(patient(), version("2", 2, 10), version("1", 1, 9), version("1", 1, 9))
    assert told == [Outcome.CREATED, Outcome.CREATED, Outcome.UPDATED, Outcome.KNOWN]
    assert values(tmp_path) == [(2.0, "2")]


def test_a_version_number_that_is_given_to_another_content_makes_another_row(tmp_path: Path, keep: Keep) -> None:
    told = keep(patient(), version("1", 1, 9), version("1", 2, 9), version("1", 2, 9), version("1", 1, 9))
    assert told[1:] == [Outcome.CREATED, Outcome.UPDATED, Outcome.KNOWN, Outcome.KNOWN]
    assert values(tmp_path) == [(2.0, "1~2")]


def test_without_versions_what_comes_last_is_current_also_when_it_was_so_before(tmp_path: Path, keep: Keep) -> None:
    told = keep(patient(), observation(value=1), observation(value=2), observation(value=1), observation(value=1))
    assert told[1:] == [Outcome.CREATED, Outcome.UPDATED, Outcome.UPDATED, Outcome.KNOWN]
    assert values(tmp_path) == [(1.0, "+3")]


def test_the_order_of_members_makes_no_new_version(keep: Keep) -> None:
    assert keep(observation(), dict(reversed(observation().items())))[1] is Outcome.KNOWN


def test_the_file_is_for_its_user_alone(store: ResourceStore) -> None:
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_a_file_of_a_newer_version_or_of_something_else_is_refused(tmp_path: Path) -> None:
    newer = tmp_path / "newer.sqlite3"
    with closing(sqlite3.connect(newer)) as database:
        database.execute("PRAGMA user_version=99")
    with pytest.raises(ConfigError, match="version 99"):
        ResourceStore(newer)
    (tmp_path / "other").write_bytes(b"not a database" * 1000)
    with pytest.raises(ConfigError, match="damaged or no file"):
        ResourceStore(tmp_path / "other")


def test_a_file_that_cannot_be_read_is_said_and_nothing_is_joined(tmp_path: Path) -> None:
    path = store_path(str(tmp_path))
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 1000)
    found = source(tmp_path).records_for(STUDY)
    assert [each.reason for each in found.rejected] == ["the file of FHIR resources cannot be read"]
    with pytest.raises(EvidenceError):
        source(tmp_path).arrivals("")
