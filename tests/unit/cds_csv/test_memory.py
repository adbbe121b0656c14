"""A table of any length is joined in the memory of its one patient's rows; measured in processes of their own."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CHILD = """
import json, resource, sys
from datetime import UTC, date, datetime
import openpyxl
from cds.domain.study import Patient, Study
from cds_csv.source import CsvRecords, CsvSettings
patient = Patient(patient_id="P-7", birth_date=date(1950, 1, 2), sex="F")
noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
study = Study(study_instance_uid="1.2.3", patient=patient, series=(), started_at=noon)
found = CsvRecords(CsvSettings(labs=sys.argv[1])).records_for(study)
print(json.dumps([len(found.labs), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]))
"""
HEADER = ("patient_id", "birth_date", "sex", "code", "value", "unit", "observed_at", "comment")
CONTENT = """<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Override PartName="/xl/workbook.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>
<Override PartName="/xl/sheet.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>"""
LINK = """<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}" Target="{}"/></Relationships>"""
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
BOOK = f"""<workbook xmlns="{MAIN}"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">
<sheets><sheet name="labs" sheetId="1" r:id="rId1"/></sheets></workbook>"""


def lines(rows: int, words: int) -> Iterator[tuple[str, ...]]:
    yield HEADER
    for n in range(rows):
        row = (f"P-{n % 500}", "1950-01-02", "F", "1988-5", str(n % 300), "mg/L", "2026-01-31T08:00:00Z")
        yield (*row, f"{n:08} " * words)


def write_csv(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(",".join(line) + "\n" for line in lines(rows, words=25))


def write_xlsx(path: Path, rows: int) -> None:
    """With its texts in the cells: a table of shared strings, as most programs write it, is read as a whole.

    Not packed: texts that repeat themselves so much would not be taken for a table's.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as book:
        book.writestr("[Content_Types].xml", CONTENT)
        book.writestr("_rels/.rels", LINK.format("officeDocument", "xl/workbook.xml"))
        book.writestr("xl/workbook.xml", BOOK)
        book.writestr("xl/_rels/workbook.xml.rels", LINK.format("worksheet", "sheet.xml"))
        with book.open("xl/sheet.xml", "w") as sheet:
            sheet.write(f'<worksheet xmlns="{MAIN}"><sheetData>'.encode())
            for line in lines(rows, words=900):
                cells = "".join(f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in line)
                sheet.write(f"<row>{cells}</row>".encode())
            sheet.write(b"</sheetData></worksheet>")


def peak_mb(path: Path) -> int:
    done = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True)
    labs, peak = json.loads(done.stdout)
    assert labs == 1
    return int(peak)


@pytest.mark.parametrize(("suffix", "few", "many"), [(".csv", 1_000, 200_000), (".xlsx", 500, 6_000)])
def test_many_times_the_rows_take_no_more_memory(tmp_path: Path, suffix: str, few: int, many: int) -> None:
    """Either long file has some 50 MB of text; 20 MB are left for what differs between two processes."""
    write = write_csv if suffix == ".csv" else write_xlsx
    short, long = tmp_path / f"short{suffix}", tmp_path / f"long{suffix}"
    write(short, few)
    write(long, many)
    assert peak_mb(long) - peak_mb(short) < 20
