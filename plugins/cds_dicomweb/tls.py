"""Mutual TLS as DICOM wants it (PS3.15 B.12, BCP 195), with files that may be exchanged while we run."""

from __future__ import annotations

import hashlib
import logging
import socket
import ssl
import threading
from pathlib import Path
from typing import Final

from cds.errors import ConfigError
from cds.ports import Tls

_LOG: Final = logging.getLogger(__name__)

_TLS12_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""RFC 9325 4.2: forward secrecy and authenticated encryption; TLS 1.3 has nothing else."""

_Stamp = tuple[tuple[int, int], ...]


class ServerTls:
    """The context for connections that come in; read again when one of its files has changed.

    Raises
    ------
    ConfigError
        When the files are not there or do not belong together.
    """

    def __init__(self, files: Tls) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._stamp = stamp_of(files)
        self._context = _server_context(files)

    def context(self) -> ssl.SSLContext:
        """The context as the files are now; the last good one where they are not usable."""
        with self._lock:
            try:
                stamp = stamp_of(self._files)
                if stamp != self._stamp:
                    self._context, self._stamp = _server_context(self._files), stamp
            except ConfigError as error:
                _LOG.error("the TLS files have changed and are not usable, the former ones stay: %s", error)
            return self._context


class PinnedContext(ssl.SSLContext):
    """A context that speaks with the holder of one certificate only (SHA-256 of its DER, in hex)."""

    sha256: str = ""

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """Shake hands, then look at the certificate, before anything is said."""
        wrapped = super().wrap_socket(
            sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session
        )
        shown = wrapped.getpeercert(binary_form=True) or b""
        if self.sha256 and hashlib.sha256(shown).hexdigest() != self.sha256:
            wrapped.close()
            raise ssl.SSLCertVerificationError("the peer shows another certificate than the one configured for it")
        return wrapped


def client_context(files: Tls | None, certificate_sha256: str) -> ssl.SSLContext:
    """The context for connections that go out.

    Parameters
    ----------
    files
        Our own certificate, and whom we trust; None for a peer that wants none, whose certificate
        the system's authorities have signed.
    certificate_sha256
        The one certificate that the peer may show; its name is not looked at then.

    Raises
    ------
    ConfigError
        When the files are not there or do not belong together.
    """
    context = PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sha256 = certificate_sha256
    context.check_hostname = not certificate_sha256
    if files is None:
        context.load_default_certs()
    else:
        _load(context, files)
    return context


def stamp_of(files: Tls) -> _Stamp:
    """What changes when one of the files does.

    Raises
    ------
    ConfigError
        When one is not there.
    """
    found = []
    for file in (files.certificate_file, files.key_file, files.ca_file):
        try:
            status = Path(file).stat()
        except OSError as error:
            raise ConfigError(f"TLS file {file.name}: {error.strerror}") from None
        found.append((status.st_mtime_ns, status.st_size))
    return tuple(found)


def _server_context(files: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS12_CIPHERS)
    context.verify_mode = ssl.CERT_REQUIRED
    _load(context, files)
    return context


def _load(context: ssl.SSLContext, files: Tls) -> None:
    try:
        context.load_cert_chain(files.certificate_file, files.key_file)
        context.load_verify_locations(files.ca_file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "not readable"
        raise ConfigError(
            f"TLS: {files.certificate_file.name}, {files.key_file.name} and {files.ca_file.name} "
            f"are not a certificate, its key and authorities: {reason}"
        ) from None
