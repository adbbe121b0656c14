"""What an examination of an installation says: one line a thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it stands: as it should be, worth a look, or it will not work like this."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One thing that was looked at; `mend` says what would make it right, ``""`` where nothing is wrong.

    Neither `found` nor `mend` carries patient data or a secret.
    """

    subject: str
    verdict: Verdict
    found: str
    mend: str = ""


def ok(subject: str, found: str) -> Diagnosis:
    """Say that it is as it should be."""
    return Diagnosis(subject=subject, verdict=Verdict.OK, found=found)


def warn(subject: str, found: str, mend: str) -> Diagnosis:
    """Say that it works, and what would be better."""
    return Diagnosis(subject=subject, verdict=Verdict.WARN, found=found, mend=mend)


def fail(subject: str, found: str, mend: str) -> Diagnosis:
    """Say that it will not work, and what would mend it."""
    return Diagnosis(subject=subject, verdict=Verdict.FAIL, found=found, mend=mend)
