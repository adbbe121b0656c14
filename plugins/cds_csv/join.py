"""Whether a row belongs to a study: the same person, at the right time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cds.domain.records import Identity, RejectedRecord
from cds.domain.study import Patient

SHOWN_ROWS: Final = 5


class Mismatch(ValueError):
    """The row is about somebody else, or it is not certain that it is not."""


def same_person(patient: Patient, row: Identity) -> None:
    """Compare a row that has the study's Patient ID with the study's patient.

    Identity is (Patient ID, issuer). Birth date and sex must not contradict it, and one of them must
    confirm it; where only one side names the issuer, both must.

    Raises
    ------
    Mismatch
        With the reason; it carries no patient data.
    """
    if row.patient_id != patient.patient_id.strip():
        raise Mismatch("another Patient ID")
    issuers = (row.issuer_of_patient_id, patient.issuer_of_patient_id.strip())
    if all(issuers) and issuers[0] != issuers[1]:
        raise Mismatch("the same Patient ID by another issuer")
    checks = {
        "birth date": (row.birth_date, patient.birth_date),
        "sex": (row.sex, patient.sex),
    }
    for name, (theirs, ours) in checks.items():
        if theirs and ours and theirs != ours:
            raise Mismatch(f"the Patient ID agrees, the {name} does not")
    agreed = [name for name, (theirs, ours) in checks.items() if theirs and ours]
    if any(issuers) and not all(issuers) and len(agreed) < len(checks):
        raise Mismatch("only one side names the issuer of the Patient ID; birth date and sex must then both confirm it")
    if not agreed:
        raise Mismatch("nothing but the Patient ID agrees; a birth date or sex must confirm it")


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time around the start of the study, both ends included."""

    study: datetime
    before: timedelta
    after: timedelta

    def holds(self, moment: datetime) -> bool:
        """Whether `moment` is inside."""
        return -self.before <= moment - self.study <= self.after

    def __str__(self) -> str:
        return f"{_hours(self.before)} h before to {_hours(self.after)} h after the study"


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:g}"


@dataclass(slots=True)
class Tally:
    """Rows of one file that were seen and not used, by reason, so that thousands make a few lines."""

    source: str
    rows: dict[str, list[int]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def note(self, reason: str) -> None:
        """Note what concerns the file as a whole."""
        self.notes.append(reason)

    def row(self, number: int, reason: str) -> None:
        """Note one row; row numbers are listed."""
        self.rows.setdefault(reason, []).append(number)

    def count(self, reason: str, times: int = 1) -> None:
        """Note rows that are only counted: those out of the window or superseded."""
        self.counts[reason] += times

    def rejected(self) -> tuple[RejectedRecord, ...]:
        """One record for each reason, in the order in which the reasons came up."""
        noted = [RejectedRecord(source=self.source, reason=reason) for reason in self.notes]
        listed = [RejectedRecord(source=self._where(numbers), reason=reason) for reason, numbers in self.rows.items()]
        counted = [
            RejectedRecord(source=self.source, reason=f"{reason}: {times} row{'s' if times > 1 else ''}")
            for reason, times in self.counts.items()
        ]
        return (*noted, *listed, *counted)

    def _where(self, numbers: Sequence[int]) -> str:
        shown = ", ".join(str(number) for number in numbers[:SHOWN_ROWS])
        more = f" and {len(numbers) - SHOWN_ROWS} more" if len(numbers) > SHOWN_ROWS else ""
        return f"{self.source} row{'s' if len(numbers) > 1 else ''} {shown}{more}"
