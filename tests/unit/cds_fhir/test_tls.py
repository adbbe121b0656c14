"""TLS both ways: whose certificate is not trusted is not asked, and may not send."""

from __future__ import annotations

import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cds.errors import ConfigError
from cds.ports import Tls
from cds.testing.contract_listeners import loopback
from cds_fhir.client import Client, Server, Unanswered

from .conftest import Listening, patient


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    """A certificate of this machine that is its own authority, for both sides."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
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
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file, key_file = tmp_path / "node.pem", tmp_path / "node.key"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Tls(certificate_file=file, key_file=key_file, ca_file=file)


class Metadata(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"fhirVersion": "4.0.1"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def port(tls: Tls) -> Iterator[int]:
    """Of a server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate_file, tls.key_file)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    httpd.daemon_threads = True
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield int(httpd.server_address[1])
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_a_server_whose_authority_is_named_is_asked(port: int, tls: Tls) -> None:
    with Client(Server(url=f"https://127.0.0.1:{port}/fhir", ca_file=str(tls.ca_file)), seconds=60) as client:
        assert client.capabilities() == {"fhirVersion": "4.0.1"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_with_another_authority_or_another_name_is_not_asked(port: int, tls: Tls, host: str) -> None:
    ca_file = "" if host == "127.0.0.1" else str(tls.ca_file)
    with (
        Client(Server(url=f"https://{host}:{port}/fhir", ca_file=ca_file), seconds=60) as client,
        pytest.raises(Unanswered, match="cannot be asked"),
    ):
        client.capabilities()


def test_who_shows_no_certificate_cannot_send(listening: Listening, tls: Tls) -> None:
    url = listening(replace(loopback(), tls=tls)).replace("http:", "https:")
    context = ssl.create_default_context(cafile=str(tls.ca_file))
    with httpx2.Client(verify=context, trust_env=False, timeout=60) as stranger, pytest.raises(httpx2.TransportError):
        stranger.put(f"{url}/Patient/p1", json=patient())
    context.load_cert_chain(tls.certificate_file, tls.key_file)
    with httpx2.Client(verify=context, trust_env=False, timeout=60) as sender:
        assert sender.put(f"{url}/Patient/p1", json=patient()).status_code == 201


def test_tls_files_that_are_not_there_are_told_at_the_start(listening: Listening, tls: Tls) -> None:
    with pytest.raises(ConfigError, match="TLS files"):
        listening(replace(loopback(), tls=replace(tls, key_file=Path("/nowhere"))))
