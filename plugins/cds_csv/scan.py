"""Reading one file for one study: the rows of its patient, in its window of time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cds.domain.joining import Search, Tally
from cds.domain.records import Identity, LabResult, TextKind, TextReport
from cds.domain.rows import LABS_REQUIRED, REPORTS_REQUIRED, identity, lab_of, report_of
from cds.domain.same_person import row_doubt
from cds.domain.site_codes import SiteCode
from cds_csv.columns import LABS, REPORTS, Layout, Row, layout
from cds_csv.tables import TableError, rows_of, text_of

TEXT_LIMIT_BYTES: Final = 1 << 20


def labs_of(
    path: Path, search: Search, tally: Tally, site: Mapping[str, SiteCode] = MappingProxyType({})
) -> tuple[LabResult, ...]:
    """Every value of the patient in the window; what is not used stands in `tally`.

    Raises
    ------
    TableError
        When the file as a whole cannot be used.
    """
    rows = _rows(path, LABS, LABS_REQUIRED, search, tally)
    found = (lab_of(row, row.number, search, site, tally) for row in rows)
    return tuple(result for result in found if result is not None)


def reports_of(path: Path, search: Search, tally: Tally) -> tuple[TextReport, ...]:
    """Every report of the patient: current ones and orders in the window, priors from before the study.

    Raises
    ------
    TableError
        When the file as a whole cannot be used.
    """
    rows = _rows(path, REPORTS, REPORTS_REQUIRED, search, tally)
    found = (report_of(row, row.number, search, tally) for row in rows)
    return tuple(report for report in found if report is not None)


def named_text(path: Path) -> TextReport:
    """A text file that the user named: the current report, without an identity of its own.

    Its id is made of the file's name by hash, since file names carry patient names.

    Raises
    ------
    TableError
        When it cannot be read or is empty.
    """
    text = text_of(path, TEXT_LIMIT_BYTES).strip()
    if not text:
        raise TableError("the file is empty")
    report_id = "text-" + hashlib.sha256(path.stem.encode(errors="surrogateescape")).hexdigest()[:12]
    return TextReport(
        report_id=report_id,
        text=text,
        kind=TextKind.CURRENT,
        source="reports: a text file named by the user; it carries no identity and none was checked",
    )


def check_header(path: Path, columns: Mapping[str, tuple[str, ...]], required: Sequence[str]) -> None:
    """Read the first row only.

    Raises
    ------
    TableError
        When the file cannot be read or its columns are wrong.
    """
    with rows_of(path) as rows:
        layout_of(rows, columns, required)


def layout_of(
    rows: Iterator[tuple[int, list[str] | None]], columns: Mapping[str, tuple[str, ...]], required: Sequence[str]
) -> Layout:
    """Where the columns are, by the first row.

    Raises
    ------
    TableError
        When it cannot be read, or its columns are wrong.
    """
    _, header = next(rows, (0, None))
    if header is None:
        raise TableError("the file is empty or its first row cannot be parsed")
    return layout(header, columns, required)


def _rows(
    path: Path, columns: Mapping[str, tuple[str, ...]], required: Sequence[str], search: Search, tally: Tally
) -> Iterator[Row]:
    """The rows of the study's patient. Rows of others are passed over without a look at their other cells."""
    wanted = search.identity
    with rows_of(path) as rows:
        where = layout_of(rows, columns, required)
        place = where.places["patient_id"]
        for number, cells in rows:
            if cells is None:
                tally.row(number, "the row cannot be parsed as CSV")
                continue
            if len(cells) <= place or cells[place].strip() != wanted.patient_id:
                continue
            row = Row(number, cells, where)
            if reason := _refused(row, wanted):
                tally.row(number, reason)
            else:
                yield row


def _refused(row: Row, wanted: Identity) -> str:
    cells, where = row.cells, row.where
    if len(cells) != where.width and any(cell.strip() for cell in cells[where.width :]):
        return f"the row has {len(cells)} cells, the header {where.width}"
    if len(cells) < where.width:
        return f"the row has {len(cells)} cells, the header {where.width}"
    try:
        theirs = identity(row)
    except ValueError as error:
        return f"identity: {error}"
    return row_doubt(wanted, theirs)
