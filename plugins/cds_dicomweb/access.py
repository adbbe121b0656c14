"""Who may call: the peers that speak DICOMweb, by address and certificate; nobody else, unless the node says so."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Final

from cds.ports import ListenerAddress, Peer

VIA: Final = "dicomweb"
UNKNOWN_CALLER: Final = "DICOMWEB"
"""HTTP carries no AE title: a caller that is no peer gets this one."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends: the AE title of the peer that it is, and its address."""

    ae_title: str
    address: str


def caller_of(listening: ListenerAddress, address: str, certificate: bytes | None) -> Caller | None:
    """Find the peer that calls; None where nobody may from there.

    Parameters
    ----------
    certificate
        The caller's certificate (DER), already verified; None for a connection without TLS.
    """
    for peer in listening.peers:
        if peer.via == VIA and _is_from(peer, address) and _shows(peer, certificate):
            return Caller(peer.ae_title, address)
    return Caller(UNKNOWN_CALLER, address) if listening.accept_unknown else None


def _is_from(peer: Peer, address: str) -> bool:
    caller = ipaddress.ip_address(address.partition("%")[0])
    mapped = caller.ipv4_mapped if isinstance(caller, ipaddress.IPv6Address) else None
    return any((mapped or caller) in ipaddress.ip_network(network) for network in peer.addresses)


def _shows(peer: Peer, certificate: bytes | None) -> bool:
    if certificate is None:
        return not (peer.tls or peer.certificate)
    return not peer.certificate or hashlib.sha256(certificate).hexdigest() == peer.certificate
