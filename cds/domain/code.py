"""Coded concepts: a value, the scheme it belongs to, and what it means in both languages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept as DICOM writes it (PS3.3 Section 8.8, PS3.16 Section 8).

    Attributes
    ----------
    value
        Code Value, e.g. ``"233604007"``.
    scheme
        Coding Scheme Designator: ``"SCT"``, ``"DCM"``, ``"LN"``, ``"RADLEX"``, ``"UCUM"``
        or ``"99CDS"`` for a concept that no public scheme has.
    meaning
        Code Meaning in English, as the scheme prints it.
    meaning_zh
        What a Chinese reader is shown; display only, never part of the identity.
    """

    value: str
    scheme: str
    meaning: str
    meaning_zh: str = ""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Code):
            return NotImplemented
        return (self.value, self.scheme) == (other.value, other.scheme)

    def __hash__(self) -> int:
        return hash((self.value, self.scheme))

    @property
    def key(self) -> str:
        """The identity in one string, e.g. ``"SCT:233604007"``."""
        return f"{self.scheme}:{self.value}"

    def text(self, language: str = "en") -> str:
        """The meaning in `language` (``"en"`` or ``"zh"``); English where there is no other."""
        return self.meaning_zh if language == "zh" and self.meaning_zh else self.meaning
