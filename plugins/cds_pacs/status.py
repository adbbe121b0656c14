"""THE table of DIMSE statuses: our errors as statuses, and a peer's statuses as our errors.

Sources: PS3.4 table B.2-1 (C-STORE), C.4 (queries), PS3.7 Annex C (general statuses).
"""

from __future__ import annotations

from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from cds.errors import CdsError, MalformedInstance, MismatchedInstance, OutOfResources
from cds_pacs.commands import Field

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE_SOP_INSTANCE: Final = 0x0111
NO_SUCH_INSTANCE: Final = 0x0112
NO_SUCH_EVENT: Final = 0x0113
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
NO_SUCH_ACTION: Final = 0x0123
UNRECOGNIZED_OPERATION: Final = 0x0211
RESOURCE_LIMITATION: Final = 0x0213

_INVALID_ATTRIBUTE: Final = 0x0106
_INVALID_ARGUMENT: Final = 0x0115

PENDING: Final = frozenset({0xFF00, 0xFF01})
"""There is more to come; with 0xFF01 some optional keys were not supported (PS3.4 C.4.1.1.4)."""
TRANSFERRED: Final = frozenset({SUCCESS, 0xB000})
"""How a retrieval may end (PS3.4 tables C.4-2, C.4-3); with 0xB000 one instance or more failed."""

STATUS_OF: Final = MappingProxyType(
    {
        OutOfResources: 0xA700,  # refused, out of resources: a retry may help
        MismatchedInstance: 0xA900,  # data set does not match SOP class
        MalformedInstance: 0xC000,  # cannot understand
    }
)
"""What a sender is told when its instance was not stored."""


class Outcome(Enum):
    """What a peer's answer to our C-STORE means for the delivery."""

    ACCEPTED = auto()
    TRY_AGAIN = auto()
    REFUSED = auto()


def status_of(error: CdsError) -> int:
    """Status for an error; a defect of ours is a processing failure (0x0110), never success."""
    return next((status for kind, status in STATUS_OF.items() if isinstance(error, kind)), PROCESSING_FAILURE)


def notice_status_of(error: CdsError, command_field: int) -> int:
    """Status for a notice that was not kept (PS3.7 10.1: N-EVENT-REPORT, N-ACTION, N-CREATE)."""
    if isinstance(error, OutOfResources):
        return RESOURCE_LIMITATION
    if isinstance(error, MalformedInstance):
        return _INVALID_ATTRIBUTE if command_field == Field.N_CREATE else _INVALID_ARGUMENT
    return PROCESSING_FAILURE


def outcome_of(status: int) -> Outcome:
    """Read a peer's answer.

    Warnings (0xBxxx, 0x0001, 0x0107, 0x0116) mean stored. A duplicate SOP instance (0x0111) is
    there already, and our UIDs name one object only. A processing failure may pass.
    """
    if status in (SUCCESS, 0x0001, 0x0107, DUPLICATE_SOP_INSTANCE, 0x0116) or status >> 12 == 0xB:
        return Outcome.ACCEPTED
    if status >> 8 == 0xA7 or status == PROCESSING_FAILURE:
        return Outcome.TRY_AGAIN
    return Outcome.REFUSED
