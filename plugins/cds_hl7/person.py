"""Who a message is about: identifiers, birth date and sex of PID, and merges of identifiers (MRG)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Final

from cds_hl7 import moments
from cds_hl7.er7 import NULL, Message, Segment

SEXES: Final[Mapping[str, str]] = MappingProxyType({"M": "M", "F": "F", "O": "O", "A": "O", "U": "", "N": "", "": ""})
"""HL7 table 0001 as DICOM's M, F, O; ambiguous is other, unknown and not applicable say nothing."""


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """A patient identifier and who assigned it (CX.1 and CX.4; ``""`` where it is not said)."""

    patient_id: str = field(repr=False)
    issuer: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Merge:
    """What was filed under `old` is filed under `new` (ADT^A40)."""

    old: Identifier
    new: Identifier


@dataclass(frozen=True, slots=True)
class Check:
    """What confirms an identity; None where the message does not say, which is not the same as unknown."""

    birth_date: date | None = field(repr=False, default=None)
    sex: str = ""
    clears_birth_date: bool = False
    clears_sex: bool = False

    def after(self, earlier: Check) -> Check:
        """What holds once this came after `earlier`: what it does not say stays as it was."""
        return Check(
            birth_date=self.birth_date if self.birth_date or self.clears_birth_date else earlier.birth_date,
            sex=self.sex if self.sex or self.clears_sex else earlier.sex,
        )


def identifiers(segment: Segment, number: int) -> tuple[Identifier, ...]:
    """Every identifier of a field of type CX: PID-3, MRG-1."""
    found = []
    for repetition in segment.repetitions(number):
        patient_id = segment.part(repetition)
        issuer = segment.part(repetition, 4, 1) or segment.part(repetition, 4, 2)
        if patient_id and patient_id != NULL:
            found.append(Identifier(patient_id, "" if issuer == NULL else issuer))
    return tuple(dict.fromkeys(found))


def check_of(pid: Segment) -> Check:
    """Birth date and sex (PID-7, PID-8).

    Raises
    ------
    ValueError
        When one of them cannot be understood.
    """
    born, sex = pid.text(7), pid.text(8)
    if sex.upper() not in SEXES and sex != NULL:
        raise ValueError("the sex (PID-8) is not understood")
    return Check(
        birth_date=moments.day(born) if born and born != NULL else None,
        sex="" if sex == NULL else SEXES[sex.upper()],
        clears_birth_date=born == NULL,
        clears_sex=sex == NULL,
    )


def merges(message: Message) -> Iterator[Merge]:
    """Every merge of an ADT^A40: each MRG goes with the PID before it, by issuer where that is told."""
    current: tuple[Identifier, ...] = ()
    for segment in message.segments:
        if segment.name == "PID":
            current = identifiers(segment, 3)
        elif segment.name == "MRG" and current:
            for old in identifiers(segment, 1):
                yield Merge(old, next((new for new in current if new.issuer == old.issuer), current[0]))
