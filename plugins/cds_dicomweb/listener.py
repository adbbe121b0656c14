"""STOW-RS, the origin server's side (PS3.18 10.5): hands what arrives to the intake, and says what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cds.ports import Intake, ListenerAddress
from cds_dicomweb.desk import Desk
from cds_dicomweb.server import Caps, ConnectionServer, listening_socket
from cds_dicomweb.tls import ServerTls
from cds_dicomweb.wire import Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """Times in seconds; an empty `host` is the node's own, `path` is the root of the service.

    `max_connections` counts who is connected, `ListenerAddress.max_associations` the requests at once.
    While a body comes we wait `grace_seconds` in all, and a second more for each `bytes_per_second`.
    """

    host: str = ""
    path: str = "/dicom-web"
    max_connections: int = 100
    max_connections_per_address: int = 32
    head_seconds: float = 15.0
    grace_seconds: float = 30.0
    bytes_per_second: int = 10_000
    retry_after_seconds: int = 30
    drain_seconds: float = 8.0


class DicomWebListener:
    """Receives instances by STOW-RS (`cds.listeners`, name ``dicomweb``)."""

    Settings: ClassVar = ListenerSettings

    def __init__(self, settings: ListenerSettings) -> None:
        if not settings.path.startswith("/"):
            raise ValueError("path must begin with /, like /dicom-web")
        self._settings = settings
        self._server: ConnectionServer | None = None

    def start(self, address: ListenerAddress, intake: Intake) -> int:
        """Listen, without blocking; the port that was bound.

        Raises
        ------
        ConfigError
            When the TLS files are not usable.
        OSError
            When the port is taken, or the address is not ours.
        """
        settings = self._settings
        tls = ServerTls(address.tls) if address.tls else None
        sock = listening_socket(settings.host or address.host, address.port, is_shared=address.shared)
        caps = Caps(
            connections=settings.max_connections,
            connections_per_address=settings.max_connections_per_address,
            handshake_seconds=settings.head_seconds,
        )
        pace = Pace(
            head_seconds=settings.head_seconds,
            grace_seconds=settings.grace_seconds,
            bytes_per_second=settings.bytes_per_second,
        )
        desk = Desk(address, intake, settings.path, pace, settings.retry_after_seconds)
        self._server = ConnectionServer(sock, caps, tls, desk.serve)
        self._server.start()
        return int(sock.getsockname()[1])

    def stop(self) -> None:
        """Take no new request, let the running ones end, cut what is left."""
        server, self._server = self._server, None
        if server is not None:
            server.stop(self._settings.drain_seconds)
