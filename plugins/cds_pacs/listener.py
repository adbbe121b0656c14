"""The storage SCP: listens, and gives every connection its own thread."""

from __future__ import annotations

import ipaddress
import logging
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread
from typing import ClassVar, Final

from cds.ports import Intake, ListenerAddress
from cds_pacs.scp.association import Association, House
from cds_pacs.scp.connections import Caps, Connections
from cds_pacs.scp.data_sets import Buffers
from cds_pacs.scp.negotiation import GuestList
from cds_pacs.scp.services import LONGEST_NOTICE
from cds_pacs.scp.sparing import SparingWarnings
from cds_pacs.scp.wire import Pace
from cds_pacs.tls import ServerTls

_LOG: Final = logging.getLogger(__name__)

_BACKLOG: Final = 512
_TICK_SECONDS: Final = 0.5
_RESPITE_SECONDS: Final = 0.2
"""Pause when the machine has no descriptor or no thread left."""
_HANG_UP_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """What a peer is given, and what it may cost.

    Attributes
    ----------
    max_pdu_bytes
        Longest P-DATA-TF that we announce.
    max_request_bytes
        Longest association request: 128 contexts with some 30 transfer syntaxes each.
    association_seconds
        Time from the connection to the whole association request, the TLS handshake included.
    idle_seconds
        Longest silence between two messages of an association.
    grace_seconds, least_bytes_per_second
        A message may fall so far behind this pace.
    drain_seconds
        How long running transfers may go on when the node stops.
    reserved_associations
        Associations beyond the node's `max_associations`, each for an address that has none.
    spare_connections
        Connections beyond the associations; one address has half of them.
    """

    max_pdu_bytes: int = 131_072
    max_request_bytes: int = 131_072
    association_seconds: float = 10.0
    idle_seconds: float = 60.0
    grace_seconds: float = 30.0
    least_bytes_per_second: float = 4_000.0
    drain_seconds: float = 8.0
    reserved_associations: int = 4
    spare_connections: int = 100
    check_called_ae_title: bool = False


class DicomListener:
    """Receives instances by C-STORE, hears of commitments and studies, answers C-ECHO (`cds.listeners`, ``dicom``)."""

    Settings: ClassVar = ListenerSettings

    def __init__(self, settings: ListenerSettings) -> None:
        self._settings = settings
        self._door: _Door | None = None

    def start(self, address: ListenerAddress, intake: Intake) -> int:
        """Listen, without blocking; the port that was bound.

        Raises
        ------
        OSError
            When the port is taken, or the address is not ours.
        ConfigError
            When the TLS files cannot be used.
        """
        house = _house(self._settings, address, intake)
        self._door = _Door(_listening(address), house)
        return self._door.port

    def stop(self) -> None:
        """Take no new association, let running transfers end, abort what is left."""
        door, self._door = self._door, None
        if door is not None:
            door.close(self._settings.drain_seconds)


class _Door:
    """The listening socket and its thread."""

    def __init__(self, sock: socket.socket, house: House) -> None:
        self.port = int(sock.getsockname()[1])
        self._sock = sock
        self._house = house
        self._thread = Thread(target=self._welcome, name="cds-listener", daemon=True)
        self._thread.start()

    def close(self, drain_seconds: float) -> None:
        """Let nobody in any more, and everybody out."""
        connections = self._house.connections
        self._house.leaving.set()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        threads = connections.threads()
        connections.hang_up(established=False)
        connections.wait_until_empty(drain_seconds)
        connections.hang_up(established=True)
        deadline = time.monotonic() + _HANG_UP_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _welcome(self) -> None:
        leaving = self._house.leaving
        with self._sock:
            while not leaving.is_set():
                try:
                    sock, address = self._sock.accept()
                except TimeoutError:
                    continue
                except OSError as error:
                    if not leaving.is_set():
                        self._house.warnings.warn("no connection can be taken: %s", error.strerror)
                        leaving.wait(_RESPITE_SECONDS)
                    continue
                self._let_in(sock, _plain(address[0]))

    def _let_in(self, sock: socket.socket, address: str) -> None:
        association = Association(self._house, sock, address)
        thread = Thread(target=association.run, name=f"cds-association-{address}", daemon=True)
        if not self._house.connections.enter(association, thread):
            self._house.warnings.warn("connection from %s closed: there are too many", address)
            sock.close()
            return
        try:
            thread.start()
        except RuntimeError:
            self._house.warnings.warn("connection from %s closed: no thread can be started", address)
            sock.close()
            self._house.connections.leave(association)


def _house(settings: ListenerSettings, address: ListenerAddress, intake: Intake) -> House:
    associations = address.max_associations + settings.reserved_associations
    return House(
        intake=intake,
        buffers=Buffers(max(intake.spool_above_bytes, LONGEST_NOTICE), settings.max_pdu_bytes),
        guests=GuestList(
            address.peers,
            ae_title=address.ae_title,
            check_called=settings.check_called_ae_title,
            accept_unknown=address.accept_unknown,
        ),
        connections=Connections(
            Caps(
                associations=address.max_associations,
                reserved_associations=settings.reserved_associations,
                connections=associations + settings.spare_connections,
                connections_per_address=address.max_associations + settings.spare_connections // 2,
            )
        ),
        tls=None if address.tls is None else ServerTls(address.tls),
        pace=Pace(
            idle_seconds=settings.idle_seconds,
            grace_seconds=settings.grace_seconds,
            bytes_per_second=settings.least_bytes_per_second,
            tick_seconds=min(
                _TICK_SECONDS, settings.idle_seconds, settings.grace_seconds, settings.association_seconds
            ),
        ),
        association_seconds=settings.association_seconds,
        max_request_bytes=settings.max_request_bytes,
        max_pdu_bytes=settings.max_pdu_bytes,
        leaving=Event(),
        warnings=SparingWarnings(_LOG),
    )


def _listening(address: ListenerAddress) -> socket.socket:
    family, kind, protocol, _, where = socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(where)
        sock.listen(_BACKLOG)
        sock.settimeout(_TICK_SECONDS)
    except OSError:
        sock.close()
        raise
    return sock


def _plain(address: str) -> str:
    """An IPv4 address that came over IPv6, as what it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address  # with a scope, as fe80::1%eth0
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
