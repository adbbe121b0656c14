"""THE table of statuses: our errors as Failure Reasons and HTTP statuses, and a peer's as our errors.

Sources: PS3.18 table 10.5.3-1 (HTTP), PS3.18 table I.2-2 and PS3.7 Annex C (Failure Reason).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from cds.errors import CdsError, MalformedInstance, MismatchedInstance, OutOfResources

PROCESSING_FAILURE: Final = 0x0110
DUPLICATE_SOP_INSTANCE: Final = 0x0111
OUT_OF_RESOURCES: Final = 0xA700
MISMATCH: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000

REASON_OF: Final = MappingProxyType(
    {
        OutOfResources: OUT_OF_RESOURCES,  # a retry may help
        MismatchedInstance: MISMATCH,
        MalformedInstance: CANNOT_UNDERSTAND,
    }
)
"""The Failure Reason (0008,1197) that a sender is told when its instance was not stored."""


class Outcome(Enum):
    """What a peer's answer means for the delivery."""

    ACCEPTED = auto()
    TRY_AGAIN = auto()
    REFUSED = auto()


def reason_of(error: CdsError) -> int:
    """Failure Reason for an error; a defect of ours is a processing failure, never success."""
    return next((reason for kind, reason in REASON_OF.items() if isinstance(error, kind)), PROCESSING_FAILURE)


def answer_status(stored: int, reasons: Sequence[int]) -> int:
    """HTTP status of the answer to a store request, from how many were stored and why the others were not."""
    if not reasons:
        return 200 if stored else 400
    if stored:
        return 202
    if any(reason >> 8 == 0xA7 for reason in reasons):
        return 503
    return 409


def outcome_of_reason(reason: int) -> Outcome:
    """Read a peer's Failure Reason.

    A duplicate SOP instance is there already, and our UIDs name one object only. A processing
    failure may pass.
    """
    if reason == DUPLICATE_SOP_INSTANCE:
        return Outcome.ACCEPTED
    return Outcome.TRY_AGAIN if reason >> 8 == 0xA7 or reason == PROCESSING_FAILURE else Outcome.REFUSED


def outcome_of_status(status: int) -> Outcome:
    """Read a peer's HTTP status where its body says nothing of the instances.

    408, 425 and 429 ask for another try (RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4), and so does
    whatever the server blames on itself. Success without a word on the instances is none.
    """
    return Outcome.TRY_AGAIN if status in (408, 425, 429) or status >= 500 else Outcome.REFUSED
