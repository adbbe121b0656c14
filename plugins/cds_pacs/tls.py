"""Mutual TLS (PS3.15 B.12, BCP 195), with files that may be exchanged while the node runs."""

from __future__ import annotations

import hashlib
import logging
import os
import ssl
from threading import Lock
from typing import Final

from cds.errors import ConfigError
from cds.ports import Tls

_LOG: Final = logging.getLogger(__name__)

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2 only what has forward secrecy and authenticates what it encrypts (RFC 9325 4.2)."""

_Stamp = tuple[tuple[int, int, int], ...]


class ServerTls:
    """The context for new connections; read again when a file has changed."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._lock = Lock()
        self._stamp = self._stamp_now()
        try:
            self._context = self._load()
        except OSError as error:
            raise ConfigError(f"[node.tls]: the key, certificate or authorities cannot be used ({error})") from None

    def context(self) -> ssl.SSLContext:
        """The context of today's files; of yesterday's where today's are broken, with a warning."""
        with self._lock:
            stamp = self._stamp_now()
            if stamp != self._stamp:
                self._stamp = stamp
                self._reload()
            return self._context

    def _reload(self) -> None:
        try:
            self._context = self._load()
        except OSError as error:
            _LOG.error("changed TLS files cannot be used, the former ones stay: %s", error)
        else:
            _LOG.info("changed TLS files are in use")

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
        context.num_tickets = 0  # a session outlives no certificate
        context.load_cert_chain(self._tls.certificate_file, self._tls.key_file, password=_no_password)
        context.load_verify_locations(self._tls.ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _stamp_now(self) -> _Stamp:
        files = (self._tls.certificate_file, self._tls.key_file, self._tls.ca_file)
        return tuple(_stamp_of(file) for file in files)


def client_context(tls: Tls) -> ssl.SSLContext:
    """The context for a connection of ours; the files are read anew, so that they may be exchanged.

    Trust is in the authorities: a peer is known by its address, AE title and certificate, not by a host name.

    Raises
    ------
    OSError
        When a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(tls.ca_file)
    context.load_cert_chain(tls.certificate_file, tls.key_file)
    return context


def certificate_of(sock: ssl.SSLSocket) -> str:
    """SHA-256 of the peer's certificate (DER), in hex."""
    return hashlib.sha256(sock.getpeercert(binary_form=True) or b"").hexdigest()


def _stamp_of(file: os.PathLike[str]) -> tuple[int, int, int]:
    try:
        status = os.stat(file)
    except OSError:
        return (0, 0, 0)
    return status.st_mtime_ns, status.st_size, status.st_ino


def _no_password() -> str:
    """Answer where OpenSSL would ask at the terminal: a key with a password is an error."""
    return ""
