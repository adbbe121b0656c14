"""`cds doctor`: looks at everything that an administrator may get wrong, before a patient's study does.

Each room yields `cds.domain.diagnosis.Diagnosis` lines, as it goes, and raises for nothing that it
finds: a doctor that dies of the first disease finds no second one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from cds.config import Settings
from cds.doctor import machine, models, network, storage, tls
from cds.domain.diagnosis import Diagnosis
from cds.errors import CdsError
from cds.store import Ledger


def examine(settings: Settings, *, with_models: bool = True) -> Iterator[Diagnosis]:
    """Look at disk, database, network, peers, TLS, clock, decoders and models, in this order."""
    with ExitStack() as stack:
        yield from storage.examine_folder(settings)
        ledger: Ledger | None = None
        if settings.data_dir.is_dir():
            try:
                ledger = stack.enter_context(Ledger(settings.data_dir, settings.database.url, check=True))
            except (CdsError, OSError) as error:
                yield storage.refused(settings, error)
            else:
                yield from storage.examine_ledger(settings, ledger)
        yield from network.examine(settings, ledger)
        yield from tls.examine(settings)
        yield from machine.examine(ledger)
    yield from models.examine_names(settings)
    if with_models:
        yield from models.examine(settings)
