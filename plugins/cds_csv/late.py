"""Whose rows are new since a moment, in memory and with a position that do not grow with the tables.

Every patient belongs to one of `BUCKETS` buckets, and a bucket keeps the sum of the digests of its rows, in
whatever file and order they stand. A sum that changed names the patients of its bucket: those with a new row, and
a few more about whom nothing came, which costs a look and makes no revision.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cds.domain.records import Arrivals, Identity
from cds.domain.rows import LABS_REQUIRED, REPORTS_REQUIRED
from cds.errors import EvidenceError
from cds_csv.columns import LABS, REPORTS, Layout
from cds_csv.scan import layout_of
from cds_csv.tables import TableError, rows_of

BUCKETS: Final = 4096
ROWS_AT_ONCE: Final = 20_000
"""Rows of the patients that one look names; those after them are named by the next."""
_COLUMNS: Final[Mapping[str, tuple[Mapping[str, tuple[str, ...]], tuple[str, ...]]]] = {
    "labs": (LABS, LABS_REQUIRED),
    "reports": (REPORTS, REPORTS_REQUIRED),
}
_WRAP: Final = (1 << 64) - 1
_BETWEEN: Final = "\x1f"


@dataclass(frozen=True, slots=True)
class Table:
    """One file, and whether it is of labs or of reports."""

    key: str
    path: Path


@dataclass(frozen=True, slots=True)
class _Position:
    """`files` is a digest of what the files are called, how large and how old; ``""``: they are to be read again."""

    files: str
    sums: array[int]

    def __str__(self) -> str:
        return json.dumps({"files": self.files, "rows": base64.b64encode(zlib.compress(self.sums.tobytes())).decode()})


def arrivals(tables: Sequence[Table], since: str) -> Arrivals:
    """Whose rows are not as they were at `since`; a row that was only moved is as it was.

    While no file has another size or time, none is opened.

    Raises
    ------
    EvidenceError
        When the files cannot be looked at now.
    """
    try:
        files = _digest_of(tables)
    except OSError as error:
        raise EvidenceError(f"the tables cannot be looked at: {error.strerror}") from None
    before = _read(since) if since else None
    if before is not None and before.files == files:
        return Arrivals(position=since)
    sums, counts, whole = _summed(tables)
    if before is None:
        return Arrivals(position=str(_Position(files if whole else "", sums)))
    changed = [bucket for bucket in range(BUCKETS) if sums[bucket] != before.sums[bucket]]
    taken = _at_once(changed, counts)
    for bucket in set(changed) - taken:
        sums[bucket] = before.sums[bucket]
    complete = whole and len(taken) == len(changed)
    patients = _patients(tables, taken) if taken else ()
    return Arrivals(position=str(_Position(files if complete else "", sums)), patients=patients)


def _digest_of(tables: Sequence[Table]) -> str:
    """Of every file's name, size, times and place on the disk."""
    found = hashlib.sha256()
    for table in tables:
        about = table.path.stat()
        facts = (table.key, str(table.path), about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
        found.update(repr(facts).encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def _read(position: str) -> _Position:
    """A position that an earlier call gave; one that cannot be read says that every row is new."""
    try:
        said = json.loads(position)
        sums = array("Q", zlib.decompress(base64.b64decode(said["rows"])))
        files = str(said["files"])
    except (ValueError, TypeError, KeyError, zlib.error, binascii.Error):
        return _Position("", _zeros())
    return _Position(files, sums) if len(sums) == BUCKETS else _Position("", _zeros())


def _zeros() -> array[int]:
    return array("Q", bytes(8 * BUCKETS))


def _summed(tables: Sequence[Table]) -> tuple[array[int], array[int], bool]:
    """The sum and the number of rows of each bucket, and whether every file could be read.

    A file that is no table has no rows, as when a study is read; one that the disk does not give now is tried again.
    """
    sums, counts, whole = _zeros(), _zeros(), True
    for table in tables:
        try:
            for patient_id, cells, where in _rows(table):
                bucket = _bucket(patient_id)
                sums[bucket] = (sums[bucket] + _digest(table.key, cells, where)) & _WRAP
                counts[bucket] += 1
        except TableError as error:
            whole = whole and not isinstance(error.__cause__, OSError)
    return sums, counts, whole


def _at_once(changed: Sequence[int], counts: Sequence[int]) -> set[int]:
    """The first of the buckets, as many as have about `ROWS_AT_ONCE` rows, and at least one."""
    taken: set[int] = set()
    rows = 0
    for bucket in changed:
        rows += counts[bucket]
        if taken and rows > ROWS_AT_ONCE:
            break
        taken.add(bucket)
    return taken


def _patients(tables: Sequence[Table], buckets: set[int]) -> tuple[Identity, ...]:
    found: set[tuple[str, str]] = set()
    for table in tables:
        try:
            for patient_id, cells, where in _rows(table):
                if _bucket(patient_id) in buckets:
                    found.add((patient_id, where.cell(cells, "issuer")))
        except TableError:
            continue  # it had no rows the first time, or will be another file the next time
    return tuple(Identity(patient_id=patient_id, issuer_of_patient_id=issuer) for patient_id, issuer in sorted(found))


def _rows(table: Table) -> Iterator[tuple[str, Sequence[str], Layout]]:
    """Patient ID, cells and layout of every row that has a Patient ID."""
    with rows_of(table.path) as rows:
        where = layout_of(rows, *_COLUMNS[table.key])
        place = where.places["patient_id"]
        for _, cells in rows:
            if cells is not None and len(cells) > place and (patient_id := cells[place].strip()):
                yield patient_id, cells, where


def _bucket(patient_id: str) -> int:
    return zlib.crc32(patient_id.encode("utf-8", "surrogatepass")) % BUCKETS


def _digest(key: str, cells: Sequence[str], where: Layout) -> int:
    """Of the cells that are read, in an order that is not the file's."""
    said = [
        key,
        *(f"{name}={cells[where.places[name]]}" for name in sorted(where.places) if where.places[name] < len(cells)),
    ]
    content = _BETWEEN.join(said).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())
