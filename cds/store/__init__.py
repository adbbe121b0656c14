"""Durable memory: blobs on disk, and a ledger in which every change of state is dated.

`BlobStore` keeps what arrived, `ReportFiles` what we made, `Ledger` says what is true of both;
`NodeLock` keeps a second node off the same folder. SQLite in WAL mode is embedded; the SQL is
SQLAlchemy Core, so that a server database can take its place.
"""

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
