"""What was kept about one patient, read while others write: who that is, and the current versions about them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from cds.domain.joining import Window
from cds.domain.records import Identity
from cds_fhir import moments
from cds_fhir.elements import Element, parsed, text
from cds_fhir.kept import BUSY_SECONDS
from cds_fhir.resources import ZONE_MARGIN, Identifier, contained_subject

Issuers = Mapping[str, str]
"""From the system of an identifier to the Issuer of Patient ID that images have."""

SEXES: Final = {"male": "M", "female": "F", "other": "O"}
"""R4 administrative-gender as DICOM's M, F, O; unknown says nothing."""
_ARRIVALS: Final = 2000


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a resource is about, as a study's patient would be named.

    `partial_birth_date` is a year or a month, which confirms nothing and may contradict.
    """

    identity: Identity
    partial_birth_date: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Kept:
    """One current version about a patient; `source` is how records name it."""

    element: Element
    source: str
    person: Person
    order: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that is kept about a patient, in the order in which it was changed."""

    observations: tuple[Kept, ...] = ()
    reports: tuple[Kept, ...] = ()
    outside: int = 0


class KeptResources:
    """Reads what was kept; changes nothing.

    Every method raises `OSError` when the file cannot be read.
    """

    def __init__(self, path: Path, issuers: Issuers) -> None:
        self._path = path
        self._issuers = issuers

    def about(self, ours: Identity, window: Window) -> Chart:
        """The current versions about a patient.

        Observations in the window, as far as their time can be told, and every report; `outside` counts the others.
        Where one side names no issuer, the Patient ID alone leads to the resource; whether the person is the same
        is for the caller to say.
        """
        with self._reading() as database:
            people = _People(database, self._issuers, ours)
            observations = list(people.observations(window))
            reports = list(people.of("DiagnosticReport", None))
            return Chart(
                tuple(sorted(observations, key=lambda each: each.order)),
                tuple(sorted(reports, key=lambda each: each.order)),
                people.count("Observation") - len(observations),
            )

    def last(self) -> int:
        """The number of the row that was kept last; 0 where none was."""
        with self._reading() as database:
            return int(database.execute("SELECT coalesce(max(id), 0) FROM resources").fetchone()[0])

    def changed(self, after: int) -> tuple[int, tuple[Identity, ...]]:
        """Up to which row it looked, and about whom the rows after `after` are."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT id, origin, type, resource_id, subject FROM resources WHERE id > ? ORDER BY id LIMIT ?",
                (after, _ARRIVALS),
            ).fetchall()
            patients: dict[tuple[str, str], None] = {}
            direct: dict[Identifier, None] = {}
            for number, origin, kind, identity, subject in rows:
                patients[origin, f"Patient/{identity}" if kind == "Patient" else subject] = None
                direct |= dict.fromkeys(_identifiers(database, number))
            for patient in list(_linked(database, patients)):
                for row in _rows_of(database, *patient):
                    direct |= dict.fromkeys(_identifiers(database, row))
            found = tuple(
                Identity(patient_id=each.value, issuer_of_patient_id=self._issuers.get(each.system, each.system))
                for each in direct
            )
            return (int(rows[-1][0]) if rows else after), found

    def _reading(self) -> _Reading:
        return _Reading(self._path)


class _Reading:
    """A connection that reads; its errors are `OSError`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._database = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS
            )
        except sqlite3.Error as error:
            raise OSError(f"the file of FHIR resources cannot be read: {error}") from error
        return self._database

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._database is not None:
            self._database.close()
        if isinstance(error, sqlite3.Error):
            raise OSError(f"the file of FHIR resources cannot be read: {error}") from error


class _People:
    """The Patients that a study's Patient ID leads to, links followed, and what is about them."""

    def __init__(self, database: sqlite3.Connection, issuers: Issuers, ours: Identity) -> None:
        self._database = database
        self._issuers = issuers
        self._ours = ours
        self._persons = self._found()

    def count(self, kind: str) -> int:
        """How many current versions of a type are about them, by reference or by identifier."""
        referred = {row for patient in self._persons for row in self._by_subject(kind, patient, None)}
        return len(referred | self._direct(kind))

    def observations(self, window: Window) -> Iterator[Kept]:
        """Observations in the window of some analyte, and those whose time cannot be told."""
        begin, end = window.widest
        yield from self.of("Observation", ((begin - ZONE_MARGIN).timestamp(), (end + ZONE_MARGIN).timestamp()))

    def of(self, kind: str, span: tuple[float, float] | None) -> Iterator[Kept]:
        """Current versions of a type."""
        seen: set[int] = set()
        for patient, person in self._persons.items():
            for row in self._by_subject(kind, patient, span):
                if row not in seen:
                    seen.add(row)
                    yield self._kept(row, person)
        for row in sorted(self._direct(kind) - seen):
            if (kept := self._kept(row, None)) is not None and _within(self._database, row, span):
                yield kept

    def _found(self) -> dict[tuple[str, str], Person]:
        rows = self._database.execute(
            "SELECT r.origin, r.resource_id, i.system FROM identifiers AS i JOIN resources AS r ON r.id = i.resource"
            " WHERE i.value = ? AND r.is_current AND r.type = 'Patient' ORDER BY r.id",
            (self._ours.patient_id,),
        ).fetchall()
        begins: dict[tuple[str, str], str] = {}
        for origin, identity, system in rows:
            issuer = self._issuers.get(system, system)
            if self._may_be(issuer):
                at = (origin, f"Patient/{identity}")
                # The identifier whose issuer is named says most.
                begins[at] = begins.get(at, "") or issuer
        found: dict[tuple[str, str], Person] = {}
        for begin, issuer in begins.items():
            own = _person(self._database, begin, self._ours.patient_id, issuer)
            for patient in _linked(self._database, [begin]):
                found.setdefault(patient, _filled(_person(self._database, patient, self._ours.patient_id, issuer), own))
        return found

    def _may_be(self, issuer: str) -> bool:
        ours = self._ours.issuer_of_patient_id
        return not issuer or not ours or issuer == ours

    def _by_subject(self, kind: str, patient: tuple[str, str], span: tuple[float, float] | None) -> list[int]:
        within = " AND (observed IS NULL OR observed BETWEEN ? AND ?)" if span else ""
        rows = self._database.execute(
            "SELECT id FROM resources WHERE is_current AND origin = ? AND subject = ? AND type = ?" + within,
            (*patient, kind, *(span or ())),
        )
        return [int(row[0]) for row in rows]

    def _direct(self, kind: str) -> set[int]:
        """Those whose subject is told by identifier, or contained; not where a Patient that is kept is referred to."""
        rows = self._database.execute(
            "SELECT r.id, i.system FROM identifiers AS i JOIN resources AS r ON r.id = i.resource"
            " WHERE i.value = ?1 AND r.is_current AND r.type = ?2 AND NOT EXISTS (SELECT 1 FROM resources AS p WHERE"
            " p.origin = r.origin AND p.type = 'Patient' AND p.is_current AND 'Patient/' || p.resource_id = r.subject)",
            (self._ours.patient_id, kind),
        )
        return {int(row) for row, system in rows if self._may_be(self._issuers.get(system, system))}

    def _kept(self, row: int, person: Person | None) -> Kept:
        kind, identity, version, updated_at, body = self._database.execute(
            "SELECT type, resource_id, version, updated_at, body FROM resources WHERE id = ?", (row,)
        ).fetchone()
        element = parsed(bytes(body))
        return Kept(
            element,
            f"fhir:{kind}/{identity}/_history/{version}",
            person or self._told(row, element),
            (updated_at, row),
        )

    def _told(self, row: int, element: Element) -> Person:
        """Whom a subject without a kept Patient is: by its identifier, checked by what is contained or kept of it."""
        named = [each for each in _identifiers(self._database, row) if each.value == self._ours.patient_id]
        issuers = (self._issuers.get(each.system, each.system) for each in named)
        issuer = max(filter(self._may_be, issuers), default="")
        own = _read(contained_subject(element), self._ours.patient_id, issuer)
        others = [person for person in self._persons.values() if person.identity.issuer_of_patient_id == issuer]
        return _filled(own, others[0]) if others else own


def _within(database: sqlite3.Connection, row: int, span: tuple[float, float] | None) -> bool:
    observed = database.execute("SELECT observed FROM resources WHERE id = ?", (row,)).fetchone()[0]
    return span is None or observed is None or span[0] <= observed <= span[1]


def _identifiers(database: sqlite3.Connection, row: int) -> tuple[Identifier, ...]:
    rows = database.execute("SELECT value, system FROM identifiers WHERE resource = ?", (row,))
    return tuple(Identifier(*each) for each in rows)


def _rows_of(database: sqlite3.Connection, origin: str, patient: str) -> list[int]:
    rows = database.execute(
        "SELECT id FROM resources WHERE origin = ? AND type = 'Patient' AND resource_id = ?",
        (origin, patient.removeprefix("Patient/")),
    )
    return [int(row[0]) for row in rows]


def _linked(database: sqlite3.Connection, begins: Iterable[tuple[str, str]]) -> dict[tuple[str, str], None]:
    """The Patients and every one that current links join to them; all types of link say the same person (R4)."""
    known = dict.fromkeys(begins)
    waiting = list(known)
    while waiting:
        origin, here = waiting.pop()
        rows = database.execute(
            "SELECT l.one, l.other FROM links AS l JOIN resources AS r ON r.id = l.resource"
            " WHERE r.is_current AND l.origin = ?1 AND (l.one = ?2 OR l.other = ?2)",
            (origin, here),
        )
        for there in {(origin, str(each)) for row in rows for each in row} - known.keys():
            known[there] = None
            waiting.append(there)
    return known


def _person(database: sqlite3.Connection, patient: tuple[str, str], patient_id: str, issuer: str) -> Person:
    row = database.execute(
        "SELECT body FROM resources WHERE origin = ? AND type = 'Patient' AND resource_id = ? AND is_current",
        (patient[0], patient[1].removeprefix("Patient/")),
    ).fetchone()
    return _read(parsed(bytes(row[0])) if row else {}, patient_id, issuer)


def _read(element: Element, patient_id: str, issuer: str) -> Person:
    born = text(element, "birthDate")
    exact: date | None = None
    try:
        exact = moments.day(born) if born else None
    except ValueError:
        born = ""  # what is no date confirms nothing and contradicts nothing
    identity = Identity(
        patient_id=patient_id,
        issuer_of_patient_id=issuer,
        birth_date=exact,
        sex=SEXES.get(text(element, "gender"), ""),
    )
    return Person(identity, "" if exact else born)


def _filled(own: Person, other: Person) -> Person:
    """What a Patient says, and what it leaves open as the one that it is linked with says it."""
    ours, theirs = own.identity, other.identity
    partial = own.partial_birth_date
    return Person(
        Identity(
            patient_id=ours.patient_id,
            issuer_of_patient_id=ours.issuer_of_patient_id,
            birth_date=ours.birth_date or (None if partial else theirs.birth_date),
            sex=ours.sex or theirs.sex,
        ),
        partial or ("" if ours.birth_date else other.partial_birth_date),
    )
