"""TLS: whether key, certificate and authorities fit together, and for how long they hold."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from cds.config import Settings
from cds.domain.diagnosis import Diagnosis, Verdict, fail, ok, warn
from cds.ports import Tls

_SOON: Final = timedelta(days=30)
"""Enough to have a certificate renewed by a hospital's own authority."""


def examine(settings: Settings, now: datetime | None = None) -> Iterator[Diagnosis]:
    """Look at the node's TLS files; without any, say whom we speak with in the clear."""
    tls = settings.tls
    if tls is None:
        yield from _in_the_clear(settings)
        return
    try:
        certificates = _certificates(tls.certificate_file)
        authorities = _certificates(tls.ca_file)
        _fits(tls)
    except (OSError, ValueError, ssl.SSLError) as error:
        mend = "node.tls needs certificate_file and key_file of one pair, and ca_file, all PEM"
        yield fail("TLS files", f"not usable: {type(error).__name__}: {_plain(error)}", mend)
        return
    now = now or datetime.now(UTC)
    yield _valid("our certificate", certificates[0], now)
    for number, authority in enumerate(authorities, start=1):
        yield _valid(f"authority {number} of {len(authorities)}", authority, now)
    for peer in settings.peers:
        if not peer.tls and peer.via == "dicom":
            mend = "set tls = true for it: with node.tls every caller has to speak TLS"
            yield warn(f"peer {peer.name}", "we call it in the clear", mend)


def complaints(settings: Settings) -> tuple[str, ...]:
    """What about our own TLS files keeps callers away, one sentence each; none without TLS."""
    if settings.tls is None:
        return ()
    found = [line for line in examine(settings) if line.verdict is Verdict.FAIL]
    return tuple(f"{line.subject}: {line.found}; {line.mend}" for line in found)


def _in_the_clear(settings: Settings) -> Iterator[Diagnosis]:
    if any(peer.tls for peer in settings.peers):
        yield fail("TLS", "a peer has tls = true, but there is no [node.tls]", "name our key and certificate there")
        return
    elsewhere = [peer.name for peer in settings.peers if peer.host not in ("127.0.0.1", "::1", "localhost")]
    if elsewhere:
        mend = "add [node.tls] (PS3.15 B.12), or keep this network segment to the PACS and us"
        yield warn("TLS", f"off: images and reports go in the clear to and from {', '.join(elsewhere)}", mend)
    else:
        yield ok("TLS", "off; every peer is on this machine")


def _certificates(file: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(file.read_bytes())


def _fits(tls: Tls) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate_file, tls.key_file)
    context.load_verify_locations(tls.ca_file)


def _valid(subject: str, certificate: x509.Certificate, now: datetime) -> Diagnosis:
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    found = f"valid from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    if now >= last:
        return fail(subject, f"{found}: expired", "renew it; a new file is read without a restart")
    if now < first:
        return fail(subject, f"{found}: not valid yet", "set this machine's clock, or wait")
    if last - now < _SOON:
        return warn(
            subject, f"{found}: {(last - now).days} days left", "renew it; a new file is read without a restart"
        )
    return ok(subject, found)


def _plain(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
