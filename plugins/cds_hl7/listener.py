"""The listener of this package: MLLP in, kept messages on the disk."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cds.errors import ConfigError
from cds.ports import Intake, ListenerAddress, Tls
from cds_hl7.charsets import CODECS, codec_of
from cds_hl7.desk import Desk, Rules
from cds_hl7.kept import MessageStore, store_path
from cds_hl7.server import Limits, MllpServer, Network, listening_socket


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7ListenerSettings:
    """``[node.hl7]``, beside its ``port``.

    Attributes
    ----------
    host
        Where to listen; ``""``: where the node does.
    addresses
        Networks from which messages are taken.
    charset
        Of messages that name none (MSH-18), by HL7 table 0211.
    processing_ids
        MSH-11: P is production, T training, D debugging.
    max_message_bytes
        Of one message.
    max_connections, max_connections_per_address
        Open at once.
    idle_seconds
        How long a connection may say nothing.
    grace_seconds, bytes_per_second
        A message must be whole `grace_seconds` after its start, and a second later for each `bytes_per_second`.
    drain_seconds
        What a message that is arriving has when the node stops.
    plain
        Without TLS, although the node has a certificate.
    data_dir
        Of the node, which sets it.
    """

    host: str = ""
    addresses: tuple[str, ...] = ("127.0.0.1/32", "::1/128")
    charset: str = "UNICODE UTF-8"
    processing_ids: tuple[str, ...] = ("P",)
    max_message_bytes: int = 10 << 20
    max_connections: int = 64
    max_connections_per_address: int = 16
    idle_seconds: float = 3600.0
    grace_seconds: float = 30.0
    bytes_per_second: int = 10_000
    drain_seconds: float = 8.0
    plain: bool = False
    data_dir: str = ""


class Hl7Listener:
    """Receives HL7 v2 messages over MLLP (`cds.listeners`, name ``hl7``).

    It hands nothing to the node's intake: messages are no instances. What it kept is read by the records
    source of the same name.
    """

    Settings: ClassVar = Hl7ListenerSettings

    def __init__(self, settings: Hl7ListenerSettings) -> None:
        self._settings = settings
        self._networks = tuple(_network(address) for address in settings.addresses)
        codec = codec_of(settings.charset)
        if codec is None:
            raise ConfigError(f"[node.hl7] charset: {settings.charset!r} is not read; there are: {', '.join(CODECS)}")
        self._rules = Rules(codec=codec, processing_ids=settings.processing_ids)
        self._server: MllpServer | None = None
        self._store: MessageStore | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def start(self, address: ListenerAddress, intake: Intake) -> int:
        """Listen, without blocking; the port that was bound.

        Raises
        ------
        ConfigError
            When the TLS files or the file of messages are not usable.
        OSError
            When the port is taken, the address is not ours, or the disk cannot be written.
        """
        tls = None if self._settings.plain else address.tls
        if tls is not None:
            _context(tls)
        sock = listening_socket(self._settings.host or address.host, address.port, is_shared=address.shared)
        try:
            self._store = MessageStore(self._path())
        except BaseException:
            sock.close()
            raise
        desk = Desk(self._store, self._rules)
        limits = self._limits(self._networks if not address.accept_unknown else None)
        self._server = MllpServer(sock, limits, (lambda: _context(tls)) if tls else None, desk.take)
        self._server.start()
        return int(sock.getsockname()[1])

    def stop(self) -> None:
        """Take no new message, let those that are arriving end, and close."""
        server, self._server = self._server, None
        if server is not None:
            server.stop(self._settings.drain_seconds)
        store, self._store = self._store, None
        if store is not None:
            store.close()
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    def _path(self) -> Path:
        """In the node's folder; without one nobody will read the messages, and they go with the listener."""
        if self._settings.data_dir:
            return store_path(self._settings.data_dir)
        self._folder = tempfile.TemporaryDirectory(prefix="cds-hl7-")
        return store_path(self._folder.name)

    def _limits(self, networks: tuple[Network, ...] | None) -> Limits:
        settings = self._settings
        return Limits(
            networks=networks,
            connections=settings.max_connections,
            connections_per_address=settings.max_connections_per_address,
            message_bytes=settings.max_message_bytes,
            idle=settings.idle_seconds,
            grace=settings.grace_seconds,
            bytes_per_second=settings.bytes_per_second,
        )


def _network(address: str) -> Network:
    try:
        return ipaddress.ip_network(address)
    except ValueError:
        raise ConfigError(f"[node.hl7] addresses: {address!r} is no network; e.g. 192.0.2.10/32") from None


def _context(tls: Tls) -> ssl.SSLContext:
    """Mutual TLS 1.2 and later (BCP 195); read anew for each connection, for the files may be exchanged.

    Raises
    ------
    ConfigError
        When a file is not there or not usable.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
        context.load_verify_locations(tls.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the TLS files are not usable: {error.strerror or type(error).__name__}") from error
    return context
