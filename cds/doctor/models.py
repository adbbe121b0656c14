"""The models: whether everything that the configuration names is there and loads, and where it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator

from cds import ports
from cds.app import analysis
from cds.config import Settings
from cds.domain.diagnosis import Diagnosis, fail, ok, warn
from cds.errors import CdsError


def examine(settings: Settings) -> Iterator[Diagnosis]:
    """Load what the configuration names, and look at the records' sources."""
    started = time.perf_counter()
    try:
        work = analysis(settings)
    except CdsError as error:
        yield fail("models", str(error), "correct [models], [records] or [report]; `cds plugins` lists what there is")
        return
    names = ", ".join((*settings.models.extractors, settings.models.fusion, *settings.models.knowledge))
    yield ok("models", f"{names}: loaded in {time.perf_counter() - started:.1f} s")
    yield _device(settings)
    if not work.records:
        mend = "add [records] so that labs and reports are joined; without, every report says that they are missing"
        yield warn("records", "no source of labs or reports", mend)
    for name, source in zip(settings.records.sources, work.records, strict=True):
        yield _source(name, source)


def _device(settings: Settings) -> Diagnosis:
    from cds.features.xray.model import chosen_device  # here: torch takes its time, the other looks need not wait

    chosen = chosen_device(settings.models.device)
    return ok("device", "the GPU" if chosen.type == "cuda" else "the CPU")


def _source(name: str, source: ports.RecordsSource) -> Diagnosis:
    subject = f"records {name}"
    try:
        if isinstance(source, ports.Checkable):
            source.check()
    except CdsError as error:
        return fail(subject, str(error), "correct the source; until then every report says that it is missing")
    return ok(subject, "readable")
