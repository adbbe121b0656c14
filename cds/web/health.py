"""Health: `/healthz` (alive), `/readyz` (takes studies; else why not) and `/metrics` (Prometheus text format)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from cds.errors import CdsError
from cds.store import Ledger

_MB: Final = 1 << 20
_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Complaints = Callable[[], Sequence[str]]
"""What keeps the node from taking studies, one sentence each; nothing where all is well."""


RecordTroubles = Callable[[], Mapping[str, str]]
"""By records source that is watched for late records: why it cannot be asked now, ``""`` where it can."""


def no_records() -> Mapping[str, str]:
    """No source is watched."""
    return {}


def disk_complaint(data_dir: Path, reserve_mb: int) -> tuple[str, ...]:
    """Say that the disk is below its reserve, where it is: then senders hear 0xA700."""
    free = shutil.disk_usage(data_dir).free // _MB
    if free > reserve_mb:
        return ()
    return (f"the disk has {free} MB free, {reserve_mb} MB are kept in reserve: instances are refused with 0xA700",)


def routes(ledger: Ledger, complaints: Complaints, data_dir: Path, records: RecordTroubles = no_records) -> list[Route]:
    """Make the three pages. A records source that cannot be asked is told; the node is ready all the same."""

    def healthz(_: Request) -> Response:
        return JSONResponse({"alive": True})

    def readyz(_: Request) -> Response:
        reasons = [*complaints(), *_database_complaint(ledger)]
        told: dict[str, object] = {"ready": not reasons, "reasons": reasons}
        if troubles := records():
            told["late_records"] = {name: reason or "ok" for name, reason in troubles.items()}
        return JSONResponse(told, status_code=503 if reasons else 200)

    def metrics(_: Request) -> Response:
        try:
            lines = [*_metrics(ledger, data_dir, complaints), *_record_metrics(records())]
        except CdsError as error:
            return PlainTextResponse(f"# {error}\n", status_code=503)
        return Response("\n".join(lines) + "\n", media_type=_METRICS_TYPE)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


def _database_complaint(ledger: Ledger) -> tuple[str, ...]:
    try:
        ledger.overview.studies()
    except CdsError as error:
        return (str(error),)
    return ()


def _metrics(ledger: Ledger, data_dir: Path, complaints: Complaints) -> Iterator[str]:
    overview = ledger.overview
    disk = shutil.disk_usage(data_dir)
    yield from _gauge("cds_studies", "Studies by state.", overview.studies())
    yield from _gauge("cds_instances", "Received instances by state.", overview.instances())
    yield from _gauge("cds_deliveries", "Objects on their way to a peer, by state.", overview.deliveries())
    yield from _gauge("cds_received_bytes", "Size of all data sets kept.", overview.received_bytes())
    yield from _gauge("cds_disk_free_bytes", "Free space for the data folder.", disk.free)
    yield from _gauge("cds_ready", "1 if studies are taken.", int(not complaints()))


def _record_metrics(troubles: Mapping[str, str]) -> Iterator[str]:
    if troubles:
        up = {name: int(not reason) for name, reason in troubles.items()}
        yield from _gauge("cds_records_source_up", "1 if the source is asked for late records.", up, "source")


def _gauge(name: str, about: str, value: int | Mapping[str, int], label: str = "state") -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} gauge"
    if isinstance(value, int):
        yield f"{name} {value}"
        return
    for state, count in sorted(value.items()):
        yield f'{name}{{{label}="{state}"}} {count}'
