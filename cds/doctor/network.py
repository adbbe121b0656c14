"""The network: our own port, who may call us, and every peer, both ways."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from cds import ports
from cds.config import PeerSettings, Settings
from cds.discovery import build
from cds.domain.diagnosis import Diagnosis, fail, ok, warn
from cds.errors import CdsError
from cds.store import Ledger

_CONNECT_SECONDS: Final = 5.0


def examine(settings: Settings, ledger: Ledger | None) -> Iterator[Diagnosis]:
    """Look at our address, at the allow-list, then try every peer out."""
    yield _port(settings, ledger)
    yield from _web_port(settings, ledger)
    yield from _allow_list(settings)
    last_heard = ledger.overview.last_heard() if ledger else {}
    for peer in settings.peers:
        yield from _peer(settings, peer)
        yield _calls_us(settings, peer, last_heard.get(peer.ae_title.strip()))


def _port(settings: Settings, ledger: Ledger | None) -> Diagnosis:
    node = settings.node
    subject = f"our address {node.host}:{node.port}"
    if node.port == 0:
        return warn(subject, "a free port at every start", "set node.port, so that the PACS finds us: 11112 is usual")
    with socket.socket(socket.AF_INET6 if ":" in node.host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((node.host, node.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return _taken(settings, ledger, subject)
            mend = "set node.host to an address of this machine; 0.0.0.0 is all of them"
            if error.errno == errno.EACCES:
                mend = "ports below 1024 need a privilege: take 11112, the usual one for DICOM"
            return fail(subject, f"cannot be bound: {error.strerror}", mend)
    if ipaddress.ip_address(node.host).is_loopback and any(not _is_here(peer.host) for peer in settings.peers):
        mend = 'set node.host = "0.0.0.0" (or this machine\'s address) so that other machines reach us'
        return warn(subject, "only this machine can reach it, but there are peers elsewhere", mend)
    return ok(subject, "is free")


def _taken(settings: Settings, ledger: Ledger | None, subject: str) -> Diagnosis:
    node = ledger.state("")["node"] if ledger else None
    if node and node.get("port") == settings.node.port:
        return ok(subject, f"our node listens there (process {node.get('pid')})")
    return fail(subject, "another program listens there", "stop it, or choose another node.port")


def _web_port(settings: Settings, ledger: Ledger | None) -> Iterator[Diagnosis]:
    """Look whether the web pages can be served; a running node of ours has the port itself."""
    web = settings.web
    if web.port == 0 or (ledger and ledger.lock.held_by_anyone()):
        return
    try:
        socket.create_server((web.host, web.port)).close()
    except OSError as error:
        mend = "choose another web.port, or stop the program that has it; reception works without the web pages"
        yield warn(f"web pages at {web.host}:{web.port}", f"cannot be served: {error.strerror}", mend)


def _allow_list(settings: Settings) -> Iterator[Diagnosis]:
    if settings.node.accept_unknown:
        yield warn("allow-list", "node.accept_unknown = true: any machine may send us studies", "list the [[peers]]")
    if not settings.peers:
        mend = "add [[peers]] with the AE title, host and port of the PACS; see docs/howto/connect-a-pacs.md"
        yield fail("peers", "there is none: nobody may call us, and no report can go anywhere", mend)
    elif not any(peer.send_results for peer in settings.peers):
        yield fail("peers", "none gets our results", "set send_results = true for the PACS")
    titles = [peer.ae_title.strip() for peer in settings.peers]
    if settings.node.ae_title.strip() in titles:
        yield warn("AE titles", "a peer has our own AE title", "give the node an AE title of its own")


def _peer(settings: Settings, peer: PeerSettings) -> Iterator[Diagnosis]:
    if not peer.is_called:
        return
    subject = f"peer {peer.name}"
    reached = _reach(peer)
    yield reached
    if reached.mend:
        return
    common = {"data_dir": str(settings.data_dir), "tls": settings.tls}
    doors: list[tuple[str, type[object], Mapping[str, Mapping[str, object]]]] = []
    if peer.send_results:
        doors.append((ports.SENDERS, ports.Sender, settings.report.tables))
    if peer.counts or peer.priors:
        doors.append((ports.ARCHIVES, ports.Archive, settings.archives.tables))
    for group, door, tables in doors:
        try:
            plugin: object = build(group, peer.via, door, tables.get(peer.via, {}), common)
        except CdsError as error:
            yield fail(subject, str(error), "correct `via` of the peer, or the plugin's table")
            continue
        if isinstance(plugin, ports.Examinable):
            yield from plugin.examine(peer.peer(), calling_ae_title=settings.node.ae_title)


def _reach(peer: PeerSettings) -> Diagnosis:
    subject = f"peer {peer.name} at {peer.host}:{peer.port}"
    try:
        socket.create_connection((peer.host, peer.port), timeout=_CONNECT_SECONDS).close()
    except socket.gaierror:
        return fail(subject, "the name of the host is not known", "correct its host, or use its IP address")
    except TimeoutError:
        return fail(subject, f"no answer within {_CONNECT_SECONDS:g} s", "look at the firewall between us and it")
    except OSError as error:
        return fail(subject, f"no connection: {error.strerror}", "is it running, and is this its DICOM port?")
    return ok(subject, "can be reached")


def _calls_us(settings: Settings, peer: PeerSettings, last: datetime | None) -> Diagnosis:
    """Whether the peer has called us: the other way can only be tried from there."""
    subject = f"peer {peer.name} calls us"
    if last:
        return ok(subject, f"its last instance came at {last:%Y-%m-%d %H:%M} UTC")
    if not _may_call(peer):
        mend = "add the address that it calls from to its `addresses`"
        return warn(subject, f"its host {peer.host} is not in its `addresses`: it would be refused", mend)
    node = settings.node
    mend = f"set up auto-forward there to AE title {node.ae_title}, port {node.port}; try C-ECHO from it first"
    if peer.via == "dicomweb":
        mend = "set up STOW-RS there to our listener `dicomweb`, path /dicom-web/studies; see docs/howto/dicomweb.md"
    return warn(subject, "nothing has come from it yet", mend)


def _may_call(peer: PeerSettings) -> bool:
    networks = [ipaddress.ip_network(address) for address in peer.addresses]
    found = _addresses(peer.host)
    return not found or any(address in network for address in found for network in networks)


def _is_here(host: str) -> bool:
    return any(address.is_loopback for address in _addresses(host))


def _addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        return [ipaddress.ip_address(str(found[4][0]).split("%")[0]) for found in socket.getaddrinfo(host, None)]
    except (OSError, ValueError):
        return []
