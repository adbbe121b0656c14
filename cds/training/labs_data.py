"""A cohort with laboratory values over time and an outcome: read, checked, and seen at one moment of the stay."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from cds.domain.labs import by_code, by_name, convert, parse_value
from cds.errors import ConfigError
from cds.features.labs_risk.inputs import AGE, THREE, VARIABLES, Floats, values_of
from cds.training.labs_table import Table, read_table

Moment = Literal["last", "admission"]
MOMENTS: Final[tuple[Moment, ...]] = ("last", "admission")
ADMISSION_HOURS: Final = 48.0
"""What was measured this soon after admission is a value of admission; two days, as severity scores of intensive care
take one and laboratories of a ward need another."""
TREND_HOURS: Final = 24.0
_OUTCOMES: Final = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "alive": 0, "survived": 0, "died": 1, "dead": 1}


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured at one time; `hours` since admission, or since the first sample where that is not known."""

    hours: float | None
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Person:
    """One patient; `samples` in the order of time."""

    patient_id: str = field(repr=False)
    died: int
    age: float | None
    samples: tuple[Sample, ...]
    admitted_at: datetime | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Cohort:
    """Every patient, and how many values could not be used, by reason."""

    persons: tuple[Person, ...]
    refused: Mapping[str, int]

    @property
    def died(self) -> npt.NDArray[np.int64]:
        """0 or 1, shape (n,)."""
        return np.array([person.died for person in self.persons], dtype=np.int64)

    def sha256(self) -> str:
        """What is learned from, in one string: values at both moments, and outcomes; not names or order of columns."""
        parts = [self.died.tobytes(), *(snapshot(self, moment).tobytes() for moment in MOMENTS)]
        return hashlib.sha256(b"".join(parts)).hexdigest()


@dataclass(slots=True)
class _Reading:
    """A patient while rows come in."""

    died: int | None = None
    age: float | None = None
    admitted_at: datetime | None = None
    samples: list[tuple[datetime | None, dict[str, float]]] = field(default_factory=list)


def read_cohort(manifest: Path) -> Cohort:
    """Read a cohort; see docs/howto/train-labs.md for the layouts.

    Raises
    ------
    ConfigError
        When a file or column is missing, an outcome is not 0 or 1 or changes within a patient; the message names the
        row, never the patient.
    """
    table = read_table(manifest)
    absent = [column for column in ("patient_id", "outcome") if column not in table.places]
    if absent:
        raise ConfigError(f"{table.name} has no column {', '.join(absent)}; see docs/howto/train-labs.md")
    if "file" not in table.places and not _has_values(table):
        raise ConfigError(f"{table.name} names no analyte, has no columns name, value, unit, and no column file")
    found: dict[str, _Reading] = {}
    refused: Counter[str] = Counter()
    patient_id = ""
    files: dict[str, Table] = {}
    for number, cells in table.rows:
        patient_id = table.cell(cells, "patient_id") or patient_id
        if not patient_id:
            raise ConfigError(f"{table.name} row {number}: no patient_id")
        one = found.setdefault(patient_id, _Reading())
        _note(one, table, number, cells)
        if name := table.cell(cells, "file"):
            other = files.setdefault(name, _file(manifest.parent / name))
            rows = [row for _, row in other.rows if other.cell(row, "patient_id") in ("", patient_id)]
            one.samples += [_sample(other, row, refused) for row in rows]
        else:
            one.samples.append(_sample(table, cells, refused))
    persons = tuple(_person(key, one, table.name, refused) for key, one in found.items())
    return Cohort(persons, dict(refused))


def _has_values(table: Table) -> bool:
    return bool(table.analytes) or {"value", "unit"} <= table.places.keys()


def _file(path: Path) -> Table:
    table = read_table(path)
    if not _has_values(table):
        raise ConfigError(f"{table.name} names no analyte and has no columns name or code, value, unit")
    return table


def _note(one: _Reading, table: Table, number: int, cells: tuple[str, ...]) -> None:
    """Outcome, age and admission of a patient, which may stand in every row or only in the first."""
    if text := table.cell(cells, "outcome").casefold():
        if text not in _OUTCOMES or one.died not in (None, _OUTCOMES[text]):
            raise ConfigError(
                f"{table.name} row {number}: the outcome must be 0 (left alive) or 1 (died), and one only"
            )
        one.died = _OUTCOMES[text]
    if text := table.cell(cells, "age"):
        one.age = _number(text)
    if text := table.cell(cells, "admitted_at"):
        one.admitted_at = _moment(text)


def _sample(table: Table, cells: tuple[str, ...], refused: Counter[str]) -> tuple[datetime | None, dict[str, float]]:
    values: dict[str, float] = {}
    for key, value in _values(table, cells, refused):
        values[key] = value
    return _moment(table.cell(cells, "observed_at")), values


def _values(table: Table, cells: tuple[str, ...], refused: Counter[str]) -> Iterator[tuple[str, float]]:
    """The values of a row in house units; what cannot be used is counted by its reason."""
    named = [(analyte, unit, cells[place]) for place, (analyte, unit) in table.analytes.items() if place < len(cells)]
    if "value" in table.places:
        unit, code = table.cell(cells, "unit"), table.cell(cells, "code")
        analyte = by_code(code) if code else by_name(table.cell(cells, "name"), unit)
        if analyte is None:
            refused["not among the analytes that are used"] += 1
        else:
            named.append((analyte, unit, table.cell(cells, "value")))
    for analyte, unit, text in named:
        if not text:
            continue
        try:
            yield analyte.key, convert(parse_value(text)[1], unit, analyte)
        except ValueError as error:
            refused[str(error)] += 1


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    """ISO 8601 or ``2020/1/31 9:05``; None where there is none or it is not understood."""
    if not text:
        return None
    for form in (None, "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d"):
        try:
            read = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)
        except ValueError:
            continue
        return read.replace(tzinfo=None) if read.tzinfo is None else read.astimezone().replace(tzinfo=None)
    return None


def _person(patient_id: str, one: _Reading, name: str, refused: Counter[str]) -> Person:
    if one.died is None:
        raise ConfigError(f"{name}: a patient has no outcome")
    times = [moment for moment, _ in one.samples if moment is not None]
    start = one.admitted_at or (min(times) if times else None)
    samples = [
        Sample(None if moment is None or start is None else (moment - start).total_seconds() / 3600, values)
        for moment, values in one.samples
        if values
    ]
    timed = [sample for sample in samples if sample.hours is not None]
    if timed and len(timed) < len(samples):
        refused["the time is missing or not understood, and the patient's other rows have one"] += sum(
            len(sample.values) for sample in samples
        ) - sum(len(sample.values) for sample in timed)
    ordered = sorted(timed, key=lambda sample: sample.hours or 0.0) if timed else samples
    return Person(patient_id, one.died, one.age, tuple(ordered), one.admitted_at)


def snapshot(cohort: Cohort, moment: Moment) -> Floats:
    """What was known at one moment, in house units, shape (n, d), NaN where nothing was.

    ``"last"`` is the latest value of each analyte in the stay; ``"admission"`` the first within `ADMISSION_HOURS`.
    Rows without any time count in the order of the file.
    """
    return np.stack([_row(person, moment) for person in cohort.persons])


def _row(person: Person, moment: Moment) -> Floats:
    known: dict[str, float] = {}
    for sample in person.samples:
        if moment == "last":
            known |= sample.values
        elif sample.hours is None or sample.hours <= ADMISSION_HOURS:
            known = {**sample.values, **known}
    if person.age is not None:
        known[AGE] = person.age
    return values_of(known)


def trend(cohort: Cohort) -> Floats:
    """How the three analytes of Yan et al. changed: last value against the latest `TREND_HOURS` before; shape (n, 3).

    A ratio's logarithm; NaN where there is no earlier value.
    """
    return np.array([[_change(person, key) for key in THREE] for person in cohort.persons])


def _change(person: Person, key: str) -> float:
    seen = [(one.hours, one.values[key]) for one in person.samples if key in one.values and one.hours is not None]
    if not seen:
        return float("nan")
    end, last = seen[-1]
    before = [value for hours, value in seen if hours <= end - TREND_HOURS]
    return float(np.log((last + 0.1) / (before[-1] + 0.1))) if before else float("nan")


def has_labs(values: Floats) -> npt.NDArray[np.bool_]:
    """Rows with at least one laboratory value, shape (n,); the age alone is none."""
    labs = [place for place, key in enumerate(VARIABLES) if key != AGE]
    return np.asarray(np.isfinite(values[:, labs]).any(axis=1), dtype=np.bool_)
