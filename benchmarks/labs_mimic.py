"""76,074 laboratory events of the MIMIC-III demo in the normal form, and 100,000 rows joined to one study.

    ./run python benchmarks/labs_mimic.py [--json figures.json] [--rows 100000]

Every event goes through the code that reads a row of a CSV source (`cds.domain.rows.lab_row`), three times: with
the source's own LOINC codes; with the table of codes that ``cds labs map`` proposes where it is sure; and
with its other proposals for known names confirmed too, as a person would who looks through the table. What is
refused is counted by what the event itself is: text, without a unit, of another specimen, or of a quantity that
the house does not have. The join runs in a fresh process for each file, whose peak of memory is its own.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from zoneinfo import ZoneInfo

from cds.domain.cells import moment
from cds.domain.labs import by_code, fits_specimen, parse_value
from cds.domain.proposals import Confidence, propose
from cds.domain.records import LabResult
from cds.domain.rows import lab_row
from cds.domain.site_codes import SiteCode
from cds.domain.study import Patient, Study
from cds_csv.columns import LABS, Layout, Row, layout
from cds_csv.named import names_of
from cds_csv.source import CsvRecords, CsvSettings

ROOT: Final = Path(__file__).resolve().parents[1]
DATA: Final = Path(os.environ.get("CDS_DATA", ROOT.parent / "shared" / "data"))
ITEMS: Final = "labs_mimic3demo_D_LABITEMS.csv.gz"
EVENTS: Final = "labs_mimic3demo_LABEVENTS.csv.gz"
HEADER: Final = ("code", "name", "specimen", "value", "unit", "observed_at")
ZONE: Final = ZoneInfo("UTC")
TEXT: Final = "value is text, a range or a grade (NEG, 1+, 0-2)"
EMPTY: Final = "no value"
NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Event:
    """One event with its item."""

    itemid: str
    loinc: str
    label: str
    fluid: str
    value: str
    unit: str
    time: str

    def cells(self, *, own_code: bool) -> tuple[str, ...]:
        """A row of a CSV source: with the LOINC code, or with the site's own."""
        return (self.itemid if own_code else self.loinc, self.label, self.fluid, self.value, self.unit, self.time)


def events() -> Iterator[Event]:
    """Every event, in the order of the file."""
    with gzip.open(DATA / ITEMS, "rt", encoding="utf-8", newline="") as file:
        items = {item["ITEMID"]: item for item in csv.DictReader(file)}
    with gzip.open(DATA / EVENTS, "rt", encoding="utf-8", newline="") as file:
        for each in csv.DictReader(file):
            item = items[each["ITEMID"]]
            yield Event(
                each["ITEMID"],
                item["LOINC_CODE"],
                item["LABEL"],
                item["FLUID"],
                each["VALUE"],
                each["VALUEUOM"].strip(),
                each["CHARTTIME"],
            )


def normal_form(event: Event, where: Layout, site: Mapping[str, SiteCode]) -> LabResult | str:
    """The event as a source would give it, or the reason why not."""
    row = Row(1, event.cells(own_code=bool(site)), where)
    try:
        return lab_row(row, moment(row.cell("observed_at"), ZONE), "mimic", site).result
    except ValueError as error:
        return str(error)


def kind_of(event: Event, reason: str) -> str:
    """What keeps a refused event out: of the event where it says so itself, else of its code."""
    blood, urine = by_code("2160-0"), by_code("2161-8")
    assert blood is not None
    assert urine is not None
    if not fits_specimen(event.fluid, blood) and not fits_specimen(event.fluid, urine):
        return "specimen is neither blood nor urine"
    if "the time" in reason:
        return "time after 2200 (MIMIC shifts its dates)"
    if not event.value.strip():
        return EMPTY
    try:
        parse_value(event.value)
    except ValueError:
        return TEXT
    if "two analytes" in reason:
        return "LOINC and name are two analytes"
    if "unit does not fit" in reason:
        return "no unit" if not event.unit else "unit contradicts the LOINC given (a share coded as a count)"
    if not event.loinc:
        return "no LOINC, name not known"
    return "quantity that the house does not have"


def site_of(proposals_of: str) -> dict[str, SiteCode]:
    """The table of codes: what is sure, or that and the other proposals for known names."""
    site: dict[str, SiteCode] = {}
    for named in names_of((DATA / ITEMS, DATA / EVENTS)):
        found = propose(named)
        confirmed = proposals_of == "confirmed" and found.confidence in (
            Confidence.DISAGREES,
            Confidence.CODE_DISAGREES,
        )
        if found.analyte is not None and (found.is_sure or confirmed):
            site[named.code] = SiteCode(found.analyte, named.unit)
    return site


def measure(site: Mapping[str, SiteCode], every: list[Event]) -> dict[str, object]:
    """Shares, refusals by kind, and rows a second."""
    where = layout(HEADER, LABS, ("value",))
    refused: Counter[str] = Counter()
    begin = time.perf_counter()
    found = [normal_form(event, where, site) for event in every]
    seconds = time.perf_counter() - begin
    for event, result in zip(every, found, strict=True):
        if isinstance(result, str):
            refused[kind_of(event, result)] += 1
    read = len(every) - refused.total()
    return {
        "events": len(every),
        "in normal form": read,
        "share": round(read / len(every), 4),
        "share of those that are numbers": round(read / (len(every) - refused[TEXT] - refused[EMPTY]), 4),
        "refused": dict(refused.most_common()),
        "rows a second": round(len(every) / seconds),
    }


def write_rows(path: Path, rows: int) -> None:
    """Rows of a thousand patients, CSV or XLSX."""
    header = ["patient_id", "birth_date", "sex", "code", "value", "unit", "observed_at"]
    lines = (
        [f"P-{n % 1000}", "1950-01-02", "F", "1988-5", str(n % 300), "mg/L", f"2026-01-31T{n % 12:02}:00:00Z"]
        for n in range(rows)
    )
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(lines)
        return
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(header)
    for line in lines:
        sheet.append(line)
    book.save(path)


def join(path: Path) -> dict[str, float]:
    """Join the file to a study of one patient, in this process; its peak of memory before and after, in MB."""
    study = Study(
        study_instance_uid="1.2.3",
        patient=Patient(patient_id="P-7", birth_date=date(1950, 1, 2), sex="F"),
        series=(),
        started_at=NOON,
    )
    if path.suffix == ".xlsx":
        import openpyxl  # what the library itself takes is not what the rows take

        assert openpyxl.__version__
    before, begin = peak_mb(), time.perf_counter()
    found = CsvRecords(CsvSettings(labs=str(path))).records_for(study)
    return {"seconds": time.perf_counter() - begin, "labs": len(found.labs), "before": before, "peak": peak_mb()}


def peak_mb() -> float:
    """The largest resident size of this process so far (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def joined_afresh(path: Path, rows: int) -> dict[str, float]:
    """`join` in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--join", str(path)], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return {
        "rows a second": round(rows / found["seconds"]),
        "peak MB": round(found["peak"], 1),
        "of it for the rows MB": round(found["peak"] - found["before"], 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--join", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.join:
        print(json.dumps(join(arguments.join)))
        return
    figures: dict[str, object] = {}
    if (DATA / EVENTS).is_file():
        every = list(events())
        figures["LOINC as given"] = measure({}, every)
        figures["cds labs map, sure"] = measure(site_of("sure"), every)
        figures["cds labs map, confirmed"] = measure(site_of("confirmed"), every)
    else:
        print(f"{EVENTS} is not in CDS_DATA; only the join is measured", file=sys.stderr)
    with TemporaryDirectory() as folder:
        for suffix in (".csv", ".xlsx"):
            path = Path(folder) / f"labs{suffix}"
            write_rows(path, arguments.rows)
            figures[f"{arguments.rows} rows joined, {suffix}"] = joined_afresh(path, arguments.rows)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
