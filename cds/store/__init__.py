"""Durable memory: journals, blobs on disk, and a ledger in which every change of state is dated.

A journal makes durable what arrives; `BlobStore` keeps it, `ReportFiles` what we made, `Ledger`
says what is true of both; `NodeLock` keeps a second node off the same folder. SQLite in WAL mode is
embedded; the SQL is SQLAlchemy Core, so that a server database can take its place.

Names are imported when they are asked for: a process that only receives needs no database.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cds.store.blobs import Blob, BlobStore
    from cds.store.ledger import Ledger
    from cds.store.lock import NodeLock
    from cds.store.report_files import ReportFiles, StoredReport
    from cds.store.values import (
        Arrival,
        Attempt,
        Delivery,
        DeliveryState,
        InstanceState,
        Job,
        StoredInstance,
        StudyState,
        Taken,
    )

_HOMES: Final = MappingProxyType(
    {
        "cds.store.blobs": ("Blob", "BlobStore"),
        "cds.store.ledger": ("Ledger",),
        "cds.store.lock": ("NodeLock",),
        "cds.store.report_files": ("ReportFiles", "StoredReport"),
    }
)

__all__ = [
    "Arrival",
    "Attempt",
    "Blob",
    "BlobStore",
    "Delivery",
    "DeliveryState",
    "InstanceState",
    "Job",
    "Ledger",
    "NodeLock",
    "ReportFiles",
    "StoredInstance",
    "StoredReport",
    "StudyState",
    "Taken",
]


def __getattr__(name: str) -> object:
    """Import a name of this room on its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((home for home, names in _HOMES.items() if name in names), "cds.store.values")
    return getattr(import_module(home), name)
