"""`cds labs map`: proposals with reason and confidence, a table that a person edits, and what it then does."""

import csv
import gzip
import json
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner

from cds.domain.labs import ANALYTES
from cds.domain.proposals import Confidence, Named, propose
from cds.errors import ConfigError
from cds_csv.commands import app
from cds_csv.named import names_of
from cds_csv.source import CsvRecords
from cds_csv.tables import TableError

from .conftest import Join, lab

ITEMS = """ITEMID,LABEL,FLUID,CATEGORY,LOINC_CODE
1,Creatinine,Blood,Chemistry,2160-0
2,Lymphocytes,Blood,Hematology,731-0
3,Transferrin,Blood,Chemistry,2500-7
4,"Glucose, CSF",Cerebrospinal Fluid (CSF),Chemistry,2342-4
5,INR(PT),Blood,Hematology,5895-7
6,Creatinine,Urine,Chemistry,
"""
EVENTS = """SUBJECT_ID,ITEMID,VALUE,VALUEUOM
9,1,1.1,mg/dL
9,2,20,%
9,2,21,%
9,6,80,mg/dL
"""


def run(*arguments: str) -> list[dict[str, str]]:
    done = CliRunner().invoke(app, ["map", *arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "items.csv.gz"
    path.write_bytes(gzip.compress(ITEMS.encode()))
    return path


@pytest.mark.parametrize(
    ("named", "key", "confidence"),
    [
        (Named(name="C反应蛋白"), "crp", Confidence.EXACT),
        (Named(name="CRP"), "crp", Confidence.ALIAS),
        (Named(name="Serum creatinin"), "creatinine", Confidence.SIMILAR),
        (Named(name="局部名", loinc="1988-5", unit="mg/L"), "crp", Confidence.LOINC_GIVEN),
        (Named(name="CRP", unit="K/uL"), "crp", Confidence.DISAGREES),
        (Named(name="Lymphocytes", loinc="731-0", unit="%"), "lymphocytes_percent", Confidence.DISAGREES),
        (Named(name="Transferrin", loinc="2500-7", unit="mg/dL"), "transferrin", Confidence.CODE_DISAGREES),
        (Named(name="INR(PT)", loinc="5895-7"), "inr", Confidence.CODE_DISAGREES),
        (Named(name="Creatinine", specimen="Urine"), "urine_creatinine", Confidence.ALIAS),
        (Named(name="钾", specimen="尿液"), "urine_potassium", Confidence.ALIAS),
        (Named(name="Creatinine", loinc="2160-0", specimen="Urine"), None, Confidence.NONE),
        (Named(name="Glucose, CSF", loinc="2342-4", specimen="Cerebrospinal Fluid (CSF)"), None, Confidence.NONE),
        (Named(name="Hemoglobin C", loinc="4563-3"), None, Confidence.NONE),
        (Named(name="TdT"), None, Confidence.NONE),
        (Named(name="pH"), None, Confidence.NONE),
        (Named(), None, Confidence.NONE),
    ],
)
def test_a_proposal_has_an_analyte_a_confidence_and_a_reason(
    named: Named, key: str | None, confidence: Confidence
) -> None:
    found = propose(named)
    assert (found.analyte, found.confidence) == (ANALYTES[key] if key else None, confidence)
    assert found.reason


def test_what_is_not_sure_is_proposed_and_not_filled_in(items: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text(EVENTS)
    rows = {row["code"]: row for row in run(str(items), str(events))}
    assert (rows["1"]["loinc"], rows["1"]["unit"], rows["1"]["confidence"]) == ("2160-0", "mg/dL", "LOINC given")
    assert (rows["2"]["loinc"], rows["2"]["unit"], rows["2"]["proposed"]) == ("", "", "736-9")
    assert (rows["3"]["loinc"], rows["3"]["proposed"]) == ("", "3034-6")
    assert (rows["4"]["loinc"], rows["4"]["proposed"]) == ("", "")
    assert (rows["6"]["loinc"], rows["6"]["unit"]) == ("2161-8", "mg/dL")


@pytest.mark.parametrize(
    ("header", "expected"),
    [(["PATIENT_ID", "白细胞计数", "肌酐"], ["6690-2", "2160-0"]), (["WBC", "Na"], ["6690-2", "2951-2"])],
)
def test_of_a_file_without_a_column_of_names_the_headers_are_the_names(
    tmp_path: Path, header: list[str], expected: list[str]
) -> None:
    path = tmp_path / "wide.xlsx"
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(header)
    sheet.append([1] * len(header))
    book.save(path)
    assert [row["loinc"] for row in run(str(path)) if row["loinc"]] == expected


def test_the_table_is_used_once_the_configuration_names_it_and_not_before(
    join_labs: Join, items: Path, tmp_path: Path
) -> None:
    table = tmp_path / "codes.csv"
    done = CliRunner().invoke(app, ["map", str(items), "--out", str(table)], catch_exceptions=False)
    assert done.exit_code == 0
    row = lab(code="1", value="2.0", unit="mg/dL")
    assert join_labs(row).labs == ()
    found = join_labs(row, codes=str(table))
    assert [(value.analyte.value, value.value) for value in found.labs] == [("2160-0", 2.0)]


def test_a_row_that_a_person_decided_counts_and_its_unit_stands_in_where_the_source_has_none(
    join_labs: Join, tmp_path: Path
) -> None:
    table = tmp_path / "codes.csv"
    table.write_text("name,loinc,unit\n肌酐(酶法),2160-0,μmol/L\n", encoding="utf-8")
    found = join_labs(lab(code="", name="肌酐(酶法)", value="88.4", unit=""), codes=str(table))
    assert [(value.analyte.value, value.value) for value in found.labs] == [("2160-0", 0.9999808)]


def test_a_table_of_decisions_is_never_overwritten(items: Path, tmp_path: Path) -> None:
    table = tmp_path / "codes.csv"
    table.write_text("code,loinc,unit\n")
    with pytest.raises(ConfigError, match="name another"):
        CliRunner().invoke(app, ["map", str(items), "--out", str(table)], catch_exceptions=False)
    assert table.read_text() == "code,loinc,unit\n"


def test_a_broken_table_costs_local_codes_only_and_the_check_says_why(join_labs: Join, tmp_path: Path) -> None:
    table = tmp_path / "codes.csv"
    table.write_text("code,loinc,unit\nA,9999-9,\n")
    found = join_labs(lab(), codes=str(table))
    assert len(found.labs) == 1
    assert "the site's table of codes cannot be used" in found.rejected[0].reason
    with pytest.raises(ConfigError, match="row 2: the LOINC code"):
        CsvRecords(CsvRecords.Settings(codes=str(table))).check()


def test_a_urine_value_is_no_serum_value(join_labs: Join) -> None:
    found = join_labs(lab(code="2160-0", unit="mg/dL") | {"specimen": "Urine"})
    assert found.labs == ()
    assert found.rejected[0].reason == "the specimen is another than that of the analyte"


def test_a_code_and_a_name_that_are_two_analytes_are_refused(join_labs: Join) -> None:
    found = join_labs(lab(code="2500-7", name="Transferrin", unit="mg/dL"))
    assert found.labs == ()
    assert found.rejected[0].reason == "its LOINC code and its name are two analytes"


@pytest.mark.parametrize("body", [b"\x1f\x8b damaged", gzip.compress(b"name\nCRP\n" * 999)[:-9]])
def test_a_damaged_gzip_file_is_named(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "items.csv.gz"
    path.write_bytes(body)
    with pytest.raises(TableError, match=r"items\.csv\.gz"):
        names_of([path])


def test_the_written_table_opens_in_a_spreadsheet_with_its_chinese(tmp_path: Path) -> None:
    source, table = tmp_path / "tests.csv", tmp_path / "codes.csv"
    source.write_text("项目名称,单位\n白细胞计数,×10⁹/L\n", encoding="gb18030")
    CliRunner().invoke(app, ["map", str(source), "--out", str(table)], catch_exceptions=False)
    assert table.read_bytes().startswith(b"\xef\xbb\xbf")
    with table.open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["name"], row["loinc"], row["unit"]) == ("白细胞计数", "6690-2", "×10⁹/L")
