"""The answer to a message (ACK, HL7 v2.5.1 2.9 and 2.14.1), in the sender's own separators and character set."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from cds_hl7.er7 import Delimiters, Message, Segment

CONDITIONS: Final[Mapping[int, str]] = MappingProxyType(
    {
        100: "Segment sequence error",
        101: "Required field missing",
        102: "Data type error",
        103: "Table value not found",
        104: "Value too long",
        200: "Unsupported message type",
        201: "Unsupported event code",
        202: "Unsupported processing id",
        203: "Unsupported version id",
        205: "Duplicate key identifier",
        207: "Application internal error",
    }
)
"""HL7 table 0357."""
_FIRST_REJECT: Final = 200
"""From here on table 0357 is of rejections (AR); below it are errors of what the message says (AE)."""
_LONGEST_FIELD: Final = 227


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message is not taken; the reason carries no patient data and no separators of HL7."""

    code: int
    reason: str

    @property
    def acknowledgment(self) -> str:
        """``AE`` where the message is at fault, ``AR`` where it is not for us or not now (table 0008)."""
        return "AR" if self.code >= _FIRST_REJECT else "AE"


def answer(message: Message | None, refusal: Refusal | None = None, *, control_id: str = "") -> bytes:
    """``AA``, or ``AE`` or ``AR`` with the reason in MSA-3 and ERR; not yet in a block.

    Parameters
    ----------
    message
        What is answered; None where it could not be read.
    control_id
        Its MSH-10, where that is known although it could not be read.
    """
    marks = message.delimiters if message else Delimiters()
    header = message.header if message else Segment("MSH", marks, "ascii")
    known = header.raw(10) if message else control_id
    separators = marks.component + marks.repetition + marks.escape + marks.subcomponent
    kind = marks.component.join(part for part in ("ACK", header.raw(9).partition(marks.component)[2]) if part)
    msh = ["MSH", separators, _copied(header, 5), _copied(header, 6), _copied(header, 3), _copied(header, 4)]
    msh += [f"{datetime.now(UTC):%Y%m%d%H%M%S}+0000", "", _event_of(kind, marks), uuid.uuid4().hex[:20]]
    msh += [_copied(header, 11) or "P", _copied(header, 12) or "2.5.1"]
    if header.raw(18):
        msh += ["", "", "", "", "", _copied(header, 18)]
    acknowledgment = refusal.acknowledgment if refusal else "AA"
    lines = [msh, ["MSA", acknowledgment, known[:_LONGEST_FIELD], *([refusal.reason] if refusal else [])]]
    if refusal:
        coded = marks.component.join((str(refusal.code), CONDITIONS[refusal.code], "HL70357"))
        lines.append(["ERR", "", "", coded, "E", "", "", "", refusal.reason])
    text = "".join(marks.field.join(line) + "\r" for line in lines)
    return text.encode(message.codec if message else "utf-8", errors="replace")


def _event_of(kind: str, marks: Delimiters) -> str:
    """``ACK`` and the event that is answered (MSH-9.2), without the structure of the message."""
    return marks.component.join(kind.split(marks.component)[:2])[:_LONGEST_FIELD]


def _copied(header: Segment, number: int) -> str:
    return header.raw(number)[:_LONGEST_FIELD]
