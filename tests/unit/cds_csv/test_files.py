import os
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest

from cds.domain.records import Records
from cds.errors import ConfigError
from cds.ports import RecordsSource
from cds_csv.source import CsvRecords, check

from .conftest import lab, study_of, table


def records_for(location: Path, **settings: object) -> Records:
    return source(location, **settings).records_for(study_of())


def source(location: Path, **settings: object) -> CsvRecords:
    return CsvRecords(CsvRecords.Settings(labs=str(location), **settings))  # type: ignore[arg-type]


def write(path: Path, *rows: dict[str, str], encoding: str = "utf-8") -> Path:
    path.write_text(table(rows), encoding=encoding)
    return path


def test_it_keeps_the_contract_of_its_door(tmp_path: Path) -> None:
    assert isinstance(source(tmp_path), RecordsSource)


def test_nothing_configured_is_nothing_found() -> None:
    plain = CsvRecords(CsvRecords.Settings())
    plain.check()
    assert plain.records_for(study_of()) == Records()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_file_is_read_in_every_encoding_that_a_chinese_export_has(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "labs.csv", lab(code="", name="白细胞计数", value="12", unit="×10⁹/L"), encoding=encoding)
    assert [value.value for value in records_for(path).labs] == [12.0]


def test_other_encodings_are_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "labs.csv"
    path.write_bytes(b"patient_id,value\n\xff\xff\xff\n")
    assert records_for(path).rejected[0].reason.startswith("the text is neither UTF-8 nor GB18030")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_the_headers(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "labs.csv"
    path.write_text(table((lab(),)).replace(",", delimiter))
    assert len(records_for(path).labs) == 1


def test_headers_are_taken_in_chinese_and_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "labs.csv"
    path.write_text(
        "患者ID,出生日期,性别,项目名称,结果,单位,采样时间\nP-1,1950/1/2,女,降钙素原,0.3,ng/mL,2026-01-31 08:00\n"
    )
    assert records_for(path).labs[0].analyte.value == "33959-8"
    path.write_text(
        "Patient ID,Birth-Date,SEX,LOINC,Value,Unit,Observed at\nP-1,1950-01-02,F,1988-5,3,mg/L,2026-01-31 08:00\n"
    )
    assert records_for(path).labs[0].value == 3.0


def test_a_workbook_is_read_with_its_own_dates_and_numbers(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["patient_id", "birth_date", "sex", "code", "value", "unit", "observed_at"])
    sheet.append(["P-1", date(1950, 1, 2), "F", "1988-5", 120.5, "mg/L", datetime(2026, 1, 31, 8)])
    sheet.append(["P-1", datetime(1950, 1, 2), "F", "6690-2", 12, "10*9/L", datetime(2026, 1, 31, 8, 30)])
    book.save(tmp_path / "labs.xlsx")
    found = records_for(tmp_path / "labs.xlsx")
    assert [(value.value, value.observed_at.hour) for value in found.labs] == [(120.5, 8), (12.0, 8)]
    assert found.rejected == ()


def test_a_whole_number_in_a_workbook_is_an_id_without_a_decimal_point(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["patient_id", "value", "unit", "observed_at", "code"])
    sheet.append([1234.0, 1, "mg/L", datetime(2026, 1, 31, 8), "1988-5"])
    book.save(tmp_path / "labs.xlsx")
    from cds.domain.study import Patient

    found = source(tmp_path).records_for(study_of(Patient(patient_id="1234", sex="F")))
    assert "nothing but the Patient ID agrees" in found.rejected[0].reason


def test_every_table_of_a_folder_counts_and_a_broken_one_costs_itself(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", lab(value="1", observed_at="2026-01-31T08:00Z"))
    write(tmp_path / "b.csv", lab(value="2", observed_at="2026-01-31T09:00Z"))
    (tmp_path / "c.xlsx").write_bytes(b"PK\x03\x04 no workbook")
    (tmp_path / "d.csv").write_text("some,other,table\n1,2,3\n")
    (tmp_path / "notes.txt").write_text("not a table")
    (tmp_path / "~$e.xlsx").write_bytes(b"an editor's lock")
    found = records_for(tmp_path)
    assert [(value.value, value.source) for value in found.labs] == [(2.0, "labs: b.csv row 2")]
    assert [(record.source, record.reason) for record in found.rejected] == [
        ("labs: a.csv", "superseded by a later, final or corrected value, or withdrawn: 1 row"),
        ("labs: c.xlsx", "not a readable XLSX file (BadZipFile)"),
        (
            "labs: d.csv",
            "no column is known; the first row must name the columns: patient_id, issuer, birth_date, sex, code, "
            "name, value, unit, specimen, observed_at, reference_low, reference_high, status",
        ),
    ]


def test_a_pipe_in_the_folder_does_not_hold_the_node_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert "files read: 0" in records_for(tmp_path).rejected[0].reason


def test_a_folder_that_is_not_there_is_a_reason_for_a_study_and_an_error_for_a_check(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert records_for(gone).rejected[0].reason == "no such file or folder"
    with pytest.raises(ConfigError, match=r"labs: .*gone: no such file or folder"):
        source(gone).check()


def test_a_wrong_column_is_an_error_for_a_check_that_names_file_column_and_nearest(tmp_path: Path) -> None:
    row = lab()
    row["valu"] = row.pop("value")
    path = write(tmp_path / "labs.csv", row)
    with pytest.raises(ConfigError, match=r"labs\.csv: no column 'value' \(nearest is 'valu'\); there are: patient_id"):
        check(CsvRecords.Settings(labs=str(tmp_path)))
    assert "no column 'value'" in records_for(path).rejected[0].reason


def test_code_or_name_must_be_there(tmp_path: Path) -> None:
    row = {key: value for key, value in lab().items() if key not in ("code", "name")}
    with pytest.raises(ConfigError, match="no column 'code or name'"):
        source(write(tmp_path / "labs.csv", row)).check()


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labs.csv").write_text("patient_id,value,result,unit,observed_at,code\n")
    with pytest.raises(ConfigError, match="two columns are 'value'"):
        source(tmp_path).check()


def test_a_first_row_that_is_a_patient_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "labs.csv").write_text("P-1,1950-01-02,F,1988-5,120,mg/L\n")
    with pytest.raises(ConfigError) as refused:
        source(tmp_path).check()
    assert "P-1" not in str(refused.value)
    assert "1950" not in str(refused.value)


@pytest.mark.parametrize("name", ["labs.csv", "labs.xlsx", "labs.dat"])
def test_an_empty_or_foreign_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ConfigError, match=name):
        source(tmp_path / name).check()
    assert len(records_for(tmp_path / name).rejected) == 1


def test_rows_of_another_width_are_refused_but_empty_cells_at_the_end_are_not(tmp_path: Path) -> None:
    header = "patient_id,birth_date,sex,code,value,unit,observed_at"
    good = "P-1,1950-01-02,F,1988-5,120,mg/L,2026-01-31 08:00"
    path = tmp_path / "labs.csv"
    path.write_text(f"{header}\n{good},,\n\nP-1,1950-01-02,F\n{good},extra\n")
    found = records_for(path)
    assert len(found.labs) == 1
    assert [(record.source, record.reason) for record in found.rejected] == [
        ("labs: labs.csv row 4", "the row has 3 cells, the header 7"),
        ("labs: labs.csv row 5", "the row has 8 cells, the header 7"),
    ]


def test_a_quote_that_is_never_closed_costs_what_it_swallows_not_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "labs.csv", lab())
    filler = "x" * 1000
    with path.open("a") as file:
        file.write('P-1,"never closed\n' + f"{filler}\n" * 200)
    found = records_for(path)
    assert len(found.labs) == 1
    assert found.rejected[0].reason == "the row cannot be parsed as CSV"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_hours_before": -1.0}, "window_hours_before must be between 0"),
        ({"window_hours_after": float("nan")}, "window_hours_after must be between 0"),
        ({"timezone": "Mars/Olympus"}, "no zone 'Mars/Olympus'"),
        ({"timezone": "../etc/passwd"}, "no zone"),
        ({"timezone": ""}, "no zone"),
    ],
)
def test_a_wrong_setting_is_an_error_that_names_it(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        source(tmp_path, **settings)
