"""The receiving endpoint of this package: POST and PUT in, kept resources on the disk."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from cds.errors import ConfigError
from cds.ports import Intake, ListenerAddress, Tls
from cds_fhir.desk import Desk, Network, Rules
from cds_fhir.kept import ResourceStore, store_path
from cds_fhir.source import ORIGIN
from cds_fhir.wire import HttpServer, Limits, Service, listening_socket

_SHORTEST_TOKEN: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirListenerSettings:
    """``[node.fhir]``, beside its ``port``.

    Attributes
    ----------
    host
        Where to listen; only this machine where nothing is said.
    path
        Root of the service.
    token_file
        Who may send: a line for each sender, its token, or a name and its token. Senders of the same name share
        their ids; one without a name is the server that ``[records.fhir]`` asks. ``""``: whoever is on this
        machine may send, and nobody else.
    addresses
        Networks from which requests are taken.
    url
        Base URL of the server that sends; absolute references that begin with it are to what it sends.
    max_body_bytes, max_entries
        Of one request, of one Bundle.
    max_connections
        Open at once.
    idle_seconds
        How long a connection may say nothing.
    grace_seconds, bytes_per_second
        A request must be whole `grace_seconds` after its head, and a second later for each `bytes_per_second`.
    drain_seconds
        What a request that is arriving has when the node stops.
    plain
        Without TLS, although the node has a certificate.
    data_dir
        Of the node, which sets it.
    """

    host: str = "127.0.0.1"
    path: str = "/fhir"
    token_file: str = ""
    addresses: tuple[str, ...] = ("127.0.0.1/32", "::1/128")
    url: str = ""
    max_body_bytes: int = 16 << 20
    max_entries: int = 5000
    max_connections: int = 64
    idle_seconds: float = 60.0
    grace_seconds: float = 30.0
    bytes_per_second: int = 10_000
    drain_seconds: float = 8.0
    plain: bool = False
    data_dir: str = ""


class FhirListener:
    """Receives FHIR resources by HTTP (`cds.listeners`, name ``fhir``).

    It hands nothing to the node's intake: resources are no instances. What it kept is read by the records source
    of the same name.

    Raises
    ------
    ConfigError
        When a setting is wrong, or somebody else than this machine might send without a token.
    """

    Settings: ClassVar = FhirListenerSettings

    def __init__(self, settings: FhirListenerSettings) -> None:
        self._settings = settings
        self._networks = tuple(_network(address) for address in settings.addresses)
        if not settings.path.startswith("/"):
            raise ConfigError("[node.fhir] path must begin with /, like /fhir")
        if not settings.token_file and not _is_loopback(settings.host):
            raise ConfigError("[node.fhir] host: whoever is not on this machine needs a token; set token_file")
        self._server: HttpServer | None = None
        self._store: ResourceStore | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def start(self, address: ListenerAddress, intake: Intake) -> int:
        """Listen, without blocking; the port that was bound.

        Raises
        ------
        ConfigError
            When the tokens, the TLS files or the file of resources are not usable.
        OSError
            When the port is taken, the address is not ours, or the disk cannot be written.
        """
        settings = self._settings
        tls = None if settings.plain else address.tls
        if tls is not None:
            _context(tls)
        self._origins()
        sock = listening_socket(settings.host, address.port, is_shared=address.shared)
        try:
            self._store = ResourceStore(self._path())
        except BaseException:
            sock.close()
            raise
        desk = Desk(self._store, self._rules(address))
        service = Service(desk.admit, desk.take, desk.refuse)
        self._server = HttpServer(sock, self._limits(), (lambda: _context(tls)) if tls else None, service)
        self._server.start()
        return int(sock.getsockname()[1])

    def stop(self) -> None:
        """Take no new request, let those that are arriving end, and close."""
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
        """In the node's folder; without one nobody will read the resources, and they go with the listener."""
        if self._settings.data_dir:
            return store_path(self._settings.data_dir)
        self._folder = tempfile.TemporaryDirectory(prefix="cds-fhir-")
        return store_path(self._folder.name)

    def _rules(self, address: ListenerAddress) -> Rules:
        return Rules(
            root=self._settings.path.rstrip("/"),
            base=self._settings.url.rstrip("/"),
            origins=self._origins,
            origin=ORIGIN,
            networks=self._networks if not address.accept_unknown else None,
            entries=self._settings.max_entries,
        )

    def _origins(self) -> Mapping[str, str]:
        """Which name each token has; read anew for each request, for tokens are exchanged."""
        return _tokens(self._settings.token_file) if self._settings.token_file else {}

    def _limits(self) -> Limits:
        settings = self._settings
        return Limits(
            connections=settings.max_connections,
            body_bytes=settings.max_body_bytes,
            idle=settings.idle_seconds,
            grace=settings.grace_seconds,
            bytes_per_second=settings.bytes_per_second,
        )


def _tokens(file: str) -> Mapping[str, str]:
    try:
        lines = Path(file).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"[node.fhir] token_file cannot be read: {type(error).__name__}") from error
    found: dict[str, str] = {}
    for words in (line.split() for line in lines if line.strip() and not line.startswith("#")):
        if len(words) > 2 or len(words[-1]) < _SHORTEST_TOKEN:
            raise ConfigError(
                "[node.fhir] token_file: a line is a token, or a name and a token, "
                f"which has at least {_SHORTEST_TOKEN} characters"
            )
        found[words[-1]] = words[0] if len(words) == 2 else ORIGIN
    if not found:
        raise ConfigError("[node.fhir] token_file holds no token")
    return found


def _network(address: str) -> Network:
    try:
        return ipaddress.ip_network(address)
    except ValueError:
        raise ConfigError(f"[node.fhir] addresses: {address!r} is no network; e.g. 192.0.2.10/32") from None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
