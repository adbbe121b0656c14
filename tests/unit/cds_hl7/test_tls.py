"""Mutual TLS: who has no certificate that is trusted cannot send."""

from __future__ import annotations

import socket
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cds.errors import ConfigError
from cds.ports import Tls
from cds.testing.contract_listeners import loopback
from cds_hl7.framing import framed

from .conftest import Listening, oru, said


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    """A certificate that is its own authority, for both sides."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "node.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "node.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    file = tmp_path / "node.pem"
    return Tls(certificate_file=file, key_file=tmp_path / "node.key", ca_file=file)


def client(tls: Tls, *, with_certificate: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(tls.ca_file)
    if with_certificate:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    return context


def ask(port: int, context: ssl.SSLContext) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as plain, context.wrap_socket(plain) as sock:
        sock.sendall(framed(oru()))
        return sock.recv(1 << 16)


def test_a_sender_with_a_certificate_is_answered_and_one_without_is_not(listening: Listening, tls: Tls) -> None:
    port = listening(replace(loopback(), tls=tls))
    assert said(ask(port, client(tls, with_certificate=True)).strip(b"\x0b\x1c\r")) == ["AA", "M-1"]
    try:
        assert ask(port, client(tls, with_certificate=False)) == b""
    except OSError:
        return  # the alert came before the answer was waited for: refused all the same


def test_a_listener_may_be_plain_where_the_node_has_a_certificate(listening: Listening, tls: Tls) -> None:
    port = listening(replace(loopback(), tls=tls), plain=True)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.sendall(framed(oru()))
        assert said(sock.recv(1 << 16).strip(b"\x0b\x1c\r")) == ["AA", "M-1"]


def test_files_that_are_no_certificate_are_said_so(listening: Listening, tls: Tls) -> None:
    tls.key_file.write_text("nothing")
    with pytest.raises(ConfigError, match="TLS files"):
        listening(replace(loopback(), tls=tls))
