"""The tables of the statement, taken from the tables that run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Final

from pydicom.uid import UID

from cds_pacs import contexts, status

_MEANING: Final = {
    0x0000: "success",
    0xA700: "refused: out of resources",
    0xA900: "error: data set does not match SOP class",
    0xC000: "error: cannot understand",
    0x0110: "processing failure",
}
"""PS3.4 Table B.2-1 and PS3.7 Annex C."""


def services() -> Iterator[tuple[str, str, str]]:
    """Every service with our roles."""
    yield "Storage", "yes", "yes"
    yield "Storage Commitment Push Model", "yes", "yes"
    yield "Verification", "yes", "yes"
    yield "Instance Availability Notification", "no", "yes"
    yield "Query/Retrieve, study root: FIND, GET, MOVE", "yes", "no"


def defaults(settings: object) -> Iterator[tuple[str, object]]:
    """Names and defaults of a settings dataclass; what the node fills in is left out."""
    for field in fields(settings):  # type: ignore[arg-type]
        if field.name not in ("tls", "data_dir"):
            yield field.name, getattr(settings, field.name)


def accepted_services() -> Iterator[tuple[str, str, str]]:
    """What is accepted beside storage, with the role of the caller."""
    for uid in (contexts.VERIFICATION, *sorted(contexts.ANSWERED_BY_US)):
        role = "SCU, or SCP where it reports to us" if uid in contexts.EITHER_ROLE else "SCU"
        yield UID(uid).name, uid, role


def statuses() -> Iterator[tuple[str, str, str]]:
    """Every status of a C-STORE response."""
    yield _status(status.SUCCESS, "the instance is durable")
    for error, code in status.STATUS_OF.items():
        yield _status(code, (error.__doc__ or "").rstrip(".").lower())
    yield _status(status.PROCESSING_FAILURE, "a defect of ours: nothing was stored")


def _status(code: int, when: str) -> tuple[str, str, str]:
    return f"0x{code:04X}", _MEANING[code], when


def sent() -> Iterator[tuple[str, str, str, str]]:
    """What is proposed when results go out."""
    plain = "Explicit or Implicit VR Little Endian"
    for uid, name in contexts.STRUCTURED_REPORTS.items():
        yield UID(uid).name, uid, plain, f'peers with sr_class = "{name}"'
    for name, uid in contexts.COMPANIONS.items():
        yield UID(uid).name, uid, plain, f'peers with "{name}" in send'
    commitment = contexts.STORAGE_COMMITMENT
    yield UID(commitment).name, commitment, plain, "peers with commitment = true; to answer those that asked us"
    yield UID(contexts.VERIFICATION).name, contexts.VERIFICATION, plain, "`cds doctor`"


def queries() -> Iterator[tuple[str, str, str]]:
    """What is proposed to a peer that is asked."""
    yield UID(contexts.FIND).name, contexts.FIND, "peers with counts or priors"
    yield UID(contexts.GET).name, contexts.GET, "peers with priors"
    yield UID(contexts.MOVE).name, contexts.MOVE, "peers with priors that have no C-GET"


def storage() -> Iterator[tuple[str, str]]:
    """Every storage SOP class."""
    return ((name, uid) for uid, name in contexts.STORAGE_SOP_CLASSES.items())


def syntaxes() -> Iterator[tuple[str, str]]:
    """Every transfer syntax."""
    return ((name, uid) for uid, name in contexts.TRANSFER_SYNTAXES.items())
