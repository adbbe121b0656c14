"""A workbook that unpacks to far more than it is, is refused before any of it is in memory."""

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest

from cds.errors import ConfigError
from cds_csv.source import CsvRecords

from .conftest import study_of

SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A good one."""
    path = tmp_path / "labs.xlsx"
    made = openpyxl.Workbook()
    made.worksheets[0].append(["patient_id", "sex", "birth_date", "code", "value", "unit", "observed_at"])
    made.worksheets[0].append(["P-1", "F", "1950-01-02", "1988-5", 120, "mg/L", "2026-01-31T08:00:00Z"])
    made.save(path)
    return path


def reason(path: Path) -> str:
    """Why it is not used; a check says the same."""
    source = CsvRecords(CsvRecords.Settings(labs=str(path)))
    found = source.records_for(study_of())
    assert found.labs == () and len(found.rejected) == 1
    with pytest.raises(ConfigError) as caught:
        source.check()
    assert found.rejected[0].reason in str(caught.value)
    return found.rejected[0].reason


def add(path: Path, parts: int, pieces: Iterator[bytes] | list[bytes], packing: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "a", packing) as archive:
        for number in range(parts):
            with archive.open(f"more{number}.xml", "w") as part:
                for piece in pieces:
                    part.write(piece)


def change(path: Path, name: str, *, size: int) -> None:
    """Let the directory say another unpacked length of a part (APPNOTE.TXT 4.3.12: at offset 24 of its entry)."""
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(name.encode()))
    content[entry + 24 : entry + 28] = struct.pack("<I", size)
    path.write_bytes(content)


def test_a_good_one_is_read(book: Path) -> None:
    found = CsvRecords(CsvRecords.Settings(labs=str(book))).records_for(study_of())
    assert [lab.value for lab in found.labs] == [120.0]


def test_a_text_of_a_million_times_the_same_letter_is_refused(book: Path) -> None:
    add(book, 1, [bytes(1 << 20)] * 17)
    assert reason(book) == "a part of it unpacks to more than 200 times its size"


def test_parts_that_are_too_much_together_are_refused(book: Path) -> None:
    add(book, 17, [bytes(1 << 20)] * 16)
    assert reason(book) == "unpacks to more than 256 MiB"


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_directory_that_lies_is_not_believed(book: Path, size: int) -> None:
    change(book, SHEET, size=size)
    assert reason(book) == "a part of it is not as long as its directory says"


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_another_way_of_packing_is_refused(book: Path, packing: int) -> None:
    add(book, 1, [bytes(1000)], packing)
    assert reason(book) == "not a readable XLSX file (BadZipFile)"
