"""The machine: its clock, and the decoders of compressed pixels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cds.dicom.codecs import decoders
from cds.domain.diagnosis import Diagnosis, fail, ok, warn
from cds.store import Ledger

_TOLERANCE: Final = timedelta(minutes=1)
_SYNCHRONISED: Final = Path("/run/systemd/timesync/synchronized")
"""Written by systemd-timesyncd; where another service keeps the clock, a person has to know."""


def examine(ledger: Ledger | None, now: datetime | None = None) -> Iterator[Diagnosis]:
    """Look at the clock and at what can be decoded."""
    yield _clock(ledger, now or datetime.now(UTC))
    for name, found in decoders().items():
        if found:
            yield ok(f"decoder for {name}", ", ".join(found))
        else:
            mend = "install the decoders again: `./run setup`; such images are SKIPPED until then"
            yield fail(f"decoder for {name}", "none", mend)


def _clock(ledger: Ledger | None, now: datetime) -> Diagnosis:
    last = ledger.overview.last_event_at() if ledger else None
    found = f"it is {now:%Y-%m-%d %H:%M} UTC here"
    mend = "synchronise this machine by NTP: labs are joined by time, reports carry it"
    if last is not None and now < last - _TOLERANCE:
        return fail("clock", f"{found}, but the ledger's last entry is of {last:%Y-%m-%d %H:%M}", mend)
    return ok("clock", found) if _SYNCHRONISED.exists() else warn("clock", f"{found}; synchronised by whom?", mend)
