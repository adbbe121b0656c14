"""CSV, gzipped CSV and XLSX files as rows of text, one at a time, whatever state they are in."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path
from typing import BinaryIO, Final, cast

from cds.errors import ConfigError
from cds_csv.workbook import trouble_of

TABLE_SUFFIXES: Final = (".csv", ".xlsx")
BLOCK_BYTES: Final = 1 << 20

Row = tuple[int, list[str] | None]
"""Row number as a spreadsheet counts (the header is row 1), and its cells; None where it cannot be parsed."""


class TableError(ConfigError):
    """A file as a whole cannot be used; the message names the reason and no cell of a data row."""


@contextmanager
def rows_of(path: Path) -> Iterator[Iterator[Row]]:
    """Open a table; its first row is the header.

    Raises
    ------
    TableError
        On opening or on a later row, when the file cannot be read or is of no known kind.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv" or path.name.lower().endswith(".csv.gz"):
        with _csv_rows(path) as rows:
            yield rows
    elif suffix == ".xlsx":
        yield _xlsx_rows(path)
    else:
        raise TableError(f"not a .csv or .xlsx file (it is named *{suffix})")


def text_of(path: Path, limit_bytes: int) -> str:
    """The text of a file in UTF-8 or GB18030.

    Raises
    ------
    TableError
        When it cannot be read, is longer than `limit_bytes`, or is in another encoding.
    """
    try:
        if path.stat().st_size > limit_bytes:
            raise TableError(f"longer than {limit_bytes} bytes")
        return path.read_bytes().decode(encoding_of(path))
    except OSError as error:
        raise TableError(f"cannot be read: {error.strerror}") from error


def encoding_of(path: Path) -> str:
    """UTF-8 (with or without a byte order mark), UTF-16 with one, or GB18030; the whole file must decode.

    Raises
    ------
    TableError
        When it is in none of them.
    OSError
        When it cannot be read.
    """
    with _opened(path) as file:
        start = file.read(3)
    if start.startswith(codecs.BOM_UTF8):
        return _checked(path, "utf-8-sig")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _checked(path, "utf-16")
    return _checked(path, "utf-8", "gb18030")


def _checked(path: Path, *encodings: str) -> str:
    for encoding in encodings:
        if _decodes(path, encoding):
            return encoding
    raise TableError("the text is neither UTF-8 nor GB18030; save it as CSV UTF-8")


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with _opened(path) as file:
            while block := file.read(BLOCK_BYTES):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def _csv_rows(path: Path) -> Iterator[Iterator[Row]]:
    try:
        encoding = encoding_of(path)
        with _opened(path) as binary, io.TextIOWrapper(binary, encoding=encoding, newline="") as file:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            yield _parsed(csv.reader(file, delimiter=delimiter))
    except OSError as error:
        raise TableError(f"cannot be read: {error.strerror}") from error
    except (EOFError, zlib.error) as error:
        raise TableError("not a readable gzip file") from error
    except UnicodeDecodeError as error:
        raise TableError("changed while it was read") from error


def _opened(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked where it is gzipped."""
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _delimiter(header: str) -> str:
    """Comma, semicolon or tab, whichever the header has most of."""
    return max(",;\t", key=header.count)


def _parsed(reader: Iterator[list[str]]) -> Iterator[Row]:
    """Number the rows; one that the parser gives up (a field of more than 128 KiB) does not end the file."""
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield number, None
            continue
        yield number, cells


def _xlsx_rows(path: Path) -> Iterator[Row]:
    """The first sheet's rows, read as a stream."""
    try:
        with path.open("rb") as file:
            if trouble := trouble_of(file):
                raise TableError(trouble)
            import openpyxl

            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            try:
                for number, cells in enumerate(book.worksheets[0].iter_rows(values_only=True), start=1):
                    yield number, [_cell(value) for value in cells]
            finally:
                book.close()
    except (TableError, GeneratorExit):
        raise
    except Exception as error:
        # openpyxl has no error of its own for a damaged file: it lets through whatever zipfile, zlib,
        # the XML parser and its own type descriptors raise.
        raise TableError(f"not a readable XLSX file ({type(error).__name__})") from error


def _cell(value: object) -> str:
    """A cell as CSV would have it: ISO 8601 for dates, no ``.0`` after a whole number."""
    if value is None:
        return ""
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
