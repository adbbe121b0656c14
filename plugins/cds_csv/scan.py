"""Reading one file for one study: the rows of its patient, in its window of time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cds.domain.joining import Search, Tally, Window
from cds.domain.records import Identity, LabResult, LabStatus, TextKind, TextReport
from cds.domain.same_person import row_doubt
from cds.domain.site_codes import SiteCode
from cds_csv.columns import LABS, LABS_REQUIRED, REPORTS, REPORTS_REQUIRED, Layout, layout
from cds_csv.rows import identity, lab_row, observed_at, report_row
from cds_csv.tables import TableError, rows_of, text_of

TEXT_LIMIT_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Person:
    """The rows that carry the study's Patient ID."""

    number: int
    cells: Sequence[str]
    where: Layout


def labs_of(
    path: Path, search: Search, tally: Tally, site: Mapping[str, SiteCode] = MappingProxyType({})
) -> tuple[LabResult, ...]:
    """Every value of the patient in the window; what is not used stands in `tally`.

    Raises
    ------
    TableError
        When the file as a whole cannot be used.
    """
    found: list[LabResult] = []
    for row in _rows(path, LABS, LABS_REQUIRED, search, tally):
        try:
            moment = observed_at(row.cells, row.where, search.zone)
            if not search.window.may_hold(moment):
                tally.count(f"outside the window of {search.window}")
                continue
            read = lab_row(row.cells, row.where, moment, f"{tally.source} row {row.number}", site)
            if not search.window.holds(moment, read.result.analyte):
                tally.count(f"outside the window of {search.window}")
                continue
        except ValueError as error:
            tally.row(row.number, str(error))
            continue
        if read.remark:
            tally.row(row.number, read.remark)
        if read.result.status is LabStatus.CANCELLED:
            tally.count("cancelled")
        found.append(read.result)
    return tuple(found)


def reports_of(path: Path, search: Search, tally: Tally) -> tuple[TextReport, ...]:
    """Every report of the patient: current ones and orders in the window, priors from before the study.

    Raises
    ------
    TableError
        When the file as a whole cannot be used.
    """
    found: list[TextReport] = []
    for row in _rows(path, REPORTS, REPORTS_REQUIRED, search, tally):
        try:
            report = report_row(row.cells, row.where, search.zone, f"{tally.source} row {row.number}")
        except ValueError as error:
            tally.row(row.number, str(error))
            continue
        if reason := _untimely(report, search.window):
            tally.count(reason)
        else:
            found.append(report)
    return tuple(found)


def _untimely(report: TextReport, window: Window) -> str:
    if report.authored_at is None:
        return "without a time"
    if report.kind is TextKind.PRIOR:
        return "" if report.authored_at < window.study else "a prior that is not from before the study"
    return "" if window.holds(report.authored_at) else f"outside the window of {window}"


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
) -> Iterator[Person]:
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
            if reason := _refused(cells, where, wanted):
                tally.row(number, reason)
            else:
                yield Person(number, cells, where)


def _refused(cells: Sequence[str], where: Layout, wanted: Identity) -> str:
    if len(cells) != where.width and any(cell.strip() for cell in cells[where.width :]):
        return f"the row has {len(cells)} cells, the header {where.width}"
    if len(cells) < where.width:
        return f"the row has {len(cells)} cells, the header {where.width}"
    try:
        row = identity(cells, where)
    except ValueError as error:
        return f"identity: {error}"
    return row_doubt(wanted, row)
