"""The web server of a node: a thread beside it, for as long as it runs."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from cds.config import Settings
from cds.store import Ledger
from cds.web import health, results

_LOG: Final = logging.getLogger(__name__)
_STOP_SECONDS: Final = 5.0


def application(
    settings: Settings,
    ledger: Ledger,
    complaints: health.Complaints,
    records: health.RecordTroubles = health.no_records,
) -> Starlette:
    """Put the pages together."""

    def every_complaint() -> Sequence[str]:
        return (*complaints(), *health.disk_complaint(settings.data_dir, settings.node.reserve_mb))

    networks = [ipaddress.ip_network(network) for peer in settings.peers for network in peer.addresses]
    dicom_web = PeersOnly(Starlette(routes=results.routes(ledger)), networks)
    pages = health.routes(ledger, every_complaint, settings.data_dir, records)
    return Starlette(routes=[*pages, Mount("/dicom-web", app=dicom_web)])


class PeersOnly:
    """Lets the addresses of the configured peers in, and nobody else."""

    def __init__(self, inner: ASGIApp, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> None:
        self._inner = inner
        self._networks = networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403."""
        request = Request(scope)
        if request.client is not None and self._knows(request.client.host):
            await self._inner(scope, receive, send)
            return
        refusal = JSONResponse({"error": "results are for the peers of the configuration"}, status_code=403)
        await refusal(scope, receive, send)

    def _knows(self, host: str) -> bool:
        caller = ipaddress.ip_address(host.split("%")[0])
        mapped = caller.ipv4_mapped if isinstance(caller, ipaddress.IPv6Address) else None
        return any((mapped or caller) in network for network in self._networks)


@contextmanager
def serving(
    settings: Settings,
    ledger: Ledger,
    complaints: health.Complaints,
    records: health.RecordTroubles = health.no_records,
) -> Iterator[int]:
    """Serve the pages as long as the block runs; its port, 0 where it could not be had.

    A port that is taken stops no reception: it is an error in the log, and the doctor names it.
    """
    try:
        sock = socket.create_server((settings.web.host, settings.web.port))
    except OSError as error:
        _LOG.error("no web pages: %s:%d cannot be bound: %s", settings.web.host, settings.web.port, error.strerror)
        yield 0
        return
    config = uvicorn.Config(
        application(settings, ledger, complaints, records),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        limit_concurrency=64,
        timeout_keep_alive=10,
    )
    server = QuietServer(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, name="cds-web", daemon=True)
    thread.start()
    try:
        yield int(sock.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(_STOP_SECONDS)
        sock.close()


class QuietServer(uvicorn.Server):
    """Leaves the process's signals to the node."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
