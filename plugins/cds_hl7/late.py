"""Whose messages came since a moment: the numbers of the kept messages grow, so the last one is the position."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from cds.domain.records import Arrivals, Identity
from cds.errors import EvidenceError
from cds_hl7.kept import followed, reading
from cds_hl7.person import Identifier

AT_ONCE: Final = 10_000
"""Messages of one look; those after them are named by the next."""
NOTHING: Final = "0 "


def arrivals(path: Path, since: str) -> Arrivals:
    """Whose messages came after the one that `since` names; merges name every identifier that they join.

    A position is the number of a message and when it was received: where another one has that number, the file is
    a new one, and is looked at from its beginning.

    Raises
    ------
    EvidenceError
        When the file cannot be read now.
    """
    if not path.exists():
        return Arrivals(position=NOTHING)
    try:
        with closing(reading(path)) as database:
            database.execute("BEGIN")  # one look, whatever is kept meanwhile
            last = int(database.execute("SELECT coalesce(max(id), 0) FROM messages").fetchone()[0])
            if not since:
                return Arrivals(position=_position(database, last))
            first = _number(database, since)
            last = min(last, first + AT_ONCE)
            identities = _identities(database, first, last)
            return Arrivals(position=_position(database, last), patients=identities)
    except sqlite3.Error as error:
        raise EvidenceError(f"the file of HL7 messages cannot be read: {error}") from error


def _position(database: sqlite3.Connection, number: int) -> str:
    row = database.execute("SELECT received_at FROM messages WHERE id = ?", (number,)).fetchone()
    return f"{number} {row[0] if row else ''}"


def _number(database: sqlite3.Connection, since: str) -> int:
    """The number in a position; 0 where the message of that number is not the one that it names."""
    number = since.partition(" ")[0]
    return int(number) if number.isdecimal() and _position(database, int(number)) == since else 0


def _identities(database: sqlite3.Connection, first: int, last: int) -> tuple[Identity, ...]:
    here = (first, last)
    rows = [
        *database.execute("SELECT DISTINCT patient_id, issuer FROM subjects WHERE message > ? AND message <= ?", here),
        *database.execute("SELECT old_id, old_issuer FROM merges WHERE message > ? AND message <= ?", here),
        *database.execute("SELECT new_id, new_issuer FROM merges WHERE message > ? AND message <= ?", here),
    ]
    return _every_name(database, [Identifier(*row) for row in rows])


def _every_name(database: sqlite3.Connection, named: Iterable[Identifier]) -> tuple[Identity, ...]:
    known = sorted(followed(database, named), key=lambda each: (each.patient_id, each.issuer))
    return tuple(Identity(patient_id=each.patient_id, issuer_of_patient_id=each.issuer) for each in known)
