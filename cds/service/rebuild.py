"""Rebuilding a ledger that was moved away, from the blobs."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from cds.dicom.header import parse_header
from cds.errors import MalformedInstance
from cds.service.facts import arrival_of
from cds.store import Arrival, BlobStore, Ledger
from cds.store.arrivals import Batch

_LOG: Final = logging.getLogger(__name__)

_BLOBS: Final = "blobs"
"""What the ledger calls this work: one that a crash broke off is begun again."""


def adopt_orphans(ledger: Ledger, clock: Callable[[], datetime], own_model_name: str) -> int:
    """Enter every blob, where the ledger knows of no instance at all; how many there were.

    Only whole files are entered: a name tells the digest. A file that is not whole was never
    answered for, or the disk has damaged it; it is removed, and the log tells its name.
    """
    if ledger.arrivals.any() and ledger.arrivals.filed(_BLOBS) != "begun":
        return 0
    ledger.arrivals.enter(Batch(arrivals=(), journals={_BLOBS: "begun"}))
    entered = 0
    for name in ledger.blobs.names():
        arrival = _arrival(ledger.blobs, name, own_model_name)
        if arrival is None:
            _LOG.error("blob %s is not whole, and was removed", name)
            ledger.blobs.remove(name)
        else:
            ledger.arrivals.record(arrival, clock())
            entered += 1
    ledger.arrivals.enter(Batch(arrivals=(), journals={_BLOBS: "done"}))
    return entered


def _arrival(blobs: BlobStore, name: str, own_model_name: str) -> Arrival | None:
    try:
        instance = blobs.read(name)
        header = parse_header(instance.data_set, instance.transfer_syntax_uid)
    except (ValueError, MalformedInstance):
        return None
    digest = hashlib.sha256(instance.data_set).hexdigest()
    if blobs.name(header.sop_instance_uid, digest) != name:
        return None
    return replace(arrival_of(header, instance, own_model_name, len(instance.data_set)), sha256=digest, blob=name)
