from __future__ import annotations

from pathlib import Path

import pytest

from cds.domain.records import Arrivals
from cds.errors import EvidenceError
from cds.ports import Watched
from cds_csv import late
from cds_csv.source import CsvRecords

from .conftest import lab, report, table

Row = dict[str, str]


class Folder:
    """A folder of tables, watched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = CsvRecords(CsvRecords.Settings(labs=str(folder)))
        assert isinstance(self.source, Watched)
        self.position = ""

    def write(self, name: str, *rows: Row) -> None:
        (self.folder / name).write_text(table(rows), encoding="utf-8")

    def look(self) -> set[str]:
        found = self.source.arrivals(self.position)
        assert isinstance(found, Arrivals)
        self.position = found.position
        return {patient.patient_id for patient in found.patients}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "labs").mkdir()
    watched = Folder(tmp_path / "labs")
    watched.write("a.csv", *(lab(patient_id=f"P-{number}") for number in range(50)))
    assert watched.look() == set()
    return watched


def test_where_nothing_changed_nobody_is_named_and_no_file_is_opened(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folder.position
    monkeypatch.setattr(late, "rows_of", None)
    assert folder.look() == set()
    assert folder.position == before


def test_a_row_that_is_appended_names_its_patient(folder: Folder) -> None:
    folder.write("a.csv", *(lab(patient_id=f"P-{number}") for number in range(50)), lab(patient_id="P-7", value="9"))
    assert "P-7" in folder.look()
    assert folder.look() == set()


def test_a_new_file_names_whom_it_is_about(folder: Folder) -> None:
    folder.write("b.csv", lab(patient_id="P-NEW"))
    assert folder.look() == {"P-NEW"}


def test_a_value_that_was_corrected_in_its_row_names_its_patient(folder: Folder) -> None:
    folder.write("a.csv", lab(patient_id="P-0", value="7"), *(lab(patient_id=f"P-{n}") for n in range(1, 50)))
    assert "P-0" in folder.look()


def test_rows_in_another_order_and_another_file_with_other_columns_beside_them_are_not_new(folder: Folder) -> None:
    rows = [lab(patient_id=f"P-{number}") for number in range(50)]
    (folder.folder / "a.csv").unlink()
    folder.write("b.csv", *({"remark": "x", **row} for row in reversed(rows[:20])))
    folder.write("c.csv", *rows[20:])
    assert folder.look() == set()


def test_the_position_does_not_grow_with_the_rows(folder: Folder) -> None:
    folder.write("b.csv", *(lab(patient_id=f"Q-{number}") for number in range(20_000)))
    while folder.look():
        pass
    assert len(folder.position) < 50_000


def test_what_is_too_much_for_one_look_is_named_by_the_next(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "ROWS_AT_ONCE", 8)
    folder.write("b.csv", *(lab(patient_id=f"Q-{number}") for number in range(30)))
    looks: list[set[str]] = []
    while named := folder.look():
        looks.append(named)
    assert len(looks) >= 4
    assert {f"Q-{number}" for number in range(30)} <= set().union(*looks)
    assert folder.look() == set()


def test_a_file_that_is_no_table_costs_that_file_only(folder: Folder) -> None:
    (folder.folder / "broken.csv").write_bytes(b"\xff\xfe\x00")
    folder.write("b.csv", lab(patient_id="P-NEW"))
    assert folder.look() == {"P-NEW"}


def test_a_folder_that_is_gone_is_an_error_and_what_came_meanwhile_is_named_later(folder: Folder) -> None:
    folder.folder.rename(folder.folder.with_name("away"))
    with pytest.raises(EvidenceError, match="no such file or folder"):
        folder.look()
    folder.folder.with_name("away").rename(folder.folder)
    folder.write("b.csv", lab(patient_id="P-NEW"))
    assert folder.look() == {"P-NEW"}


def test_a_position_of_another_version_says_that_everything_is_new(folder: Folder) -> None:
    folder.position = "what an earlier version wrote"
    assert folder.look() == {f"P-{number}" for number in range(50)}


def test_a_report_that_comes_names_its_patient_and_a_named_text_file_is_about_nobody(tmp_path: Path) -> None:
    reports, text = tmp_path / "reports.csv", tmp_path / "one.txt"
    reports.write_text(table((report(),)), encoding="utf-8")
    source = CsvRecords(CsvRecords.Settings(reports=str(reports)))
    begin = source.arrivals("").position
    reports.write_text(table((report(), report(patient_id="P-2", report_id="R2"))), encoding="utf-8")
    assert "P-2" in {patient.patient_id for patient in source.arrivals(begin).patients}
    text.write_text("No pleural effusion.", encoding="utf-8")
    named = CsvRecords(CsvRecords.Settings(reports=str(text)))
    begin = named.arrivals("").position
    text.write_text("Pleural effusion.", encoding="utf-8")
    assert named.arrivals(begin).patients == ()
