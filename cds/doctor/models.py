"""The models: whether everything that the configuration names is there and loads, and where it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator

from cds import ports
from cds.app import analysis, plugins, records_sources
from cds.config import Settings
from cds.domain.diagnosis import Diagnosis, fail, ok, warn
from cds.errors import CdsError


def examine(settings: Settings) -> Iterator[Diagnosis]:
    """Load what the configuration names."""
    started = time.perf_counter()
    try:
        analysis(settings)
    except CdsError as error:
        yield fail("models", str(error), "correct [models], [records] or [report]; `cds plugins` lists what there is")
        return
    names = ", ".join((*settings.models.extractors, settings.models.fusion, *settings.models.knowledge))
    yield ok("models", f"{names}: loaded in {time.perf_counter() - started:.1f} s")
    yield _device(settings)


def examine_names(settings: Settings) -> Iterator[Diagnosis]:
    """Look whether every plugin that is named is installed, and at the records' sources; loads no model."""
    try:
        plugins(settings)
        sources = records_sources(settings)
    except CdsError as error:
        yield fail("plugins", str(error), "correct the name or the table; `cds plugins` lists what there is")
        return
    yield ok("plugins", "every one that is named is installed")
    if not sources:
        mend = "add [records] so that labs and reports are joined; without, every report says that they are missing"
        yield warn("records", "no source of labs or reports", mend)
    for name, source in zip(settings.records.sources, sources, strict=True):
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
