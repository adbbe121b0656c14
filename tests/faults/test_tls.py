"""A TLS listener: silent callers, certificates that have expired, are exchanged, or are of somebody else."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cds_pacs.testing.bare_scu import BareScu, association_request
from faults.senders import ECHO_SECONDS, Instance, instance
from faults.stage import Stage, utc_now

HASTY = "association_seconds = 3.0\n"


class Authority:
    """A certificate authority, and where what it signs lies."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name
        self.file = self.issue(name, authority=True)[0]

    def issue(self, name: str, *, days: int = 2, authority: bool = False) -> tuple[Path, Path]:
        """Certificate and key; one that has expired where `days` are negative."""
        key = self.key if authority else ec.generate_private_key(ec.SECP256R1())
        now = utc_now()
        builder = x509.CertificateBuilder(
            issuer_name=_named(self.name),
            subject_name=_named(name),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(days=9),
            not_valid_after=now + timedelta(days=days),
        ).add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        certificate, private = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        pem = serialization.Encoding.PEM
        certificate.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(pem))
        private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return certificate, private


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def stage(stage_of: Callable[..., Stage], authority: Authority) -> Stage:
    certificate, key = authority.issue("node")
    tls = f'[node.tls]\ncertificate_file = "{certificate}"\nkey_file = "{key}"\nca_file = "{authority.file}"\n'
    stage = stage_of(listener=HASTY, extra=tls)
    stage.start()
    return stage


def send(stage: Stage, authority: Authority, own: tuple[Path, Path], one: Instance, seconds: float = 20) -> bool:
    """Whether an instance is taken over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(authority.file)
    context.load_cert_chain(*own)
    plain = socket.create_connection(("127.0.0.1", stage.port), timeout=seconds)
    try:
        with context.wrap_socket(plain) as sock, BareScu(stage.port, sock=sock) as scu:
            scu.associate(association_request())
            return stage.sender.store(scu, one) == 0x0000
    except (OSError, AssertionError):
        return False
    finally:
        plain.close()


def test_a_silent_caller_blocks_nobody(stage: Stage, authority: Authority) -> None:
    own = authority.issue("modality")
    silent = [socket.create_connection(("127.0.0.1", stage.port)) for _ in range(5)]
    for number in range(1, 6):
        assert send(stage, authority, own, instance(1, number), seconds=ECHO_SECONDS)
    for sock in silent:
        sock.settimeout(20)
        assert sock.recv(1) == b""  # sent away
        sock.close()
    stage.check()
    stage.stop()


def test_a_caller_whose_certificate_has_expired_is_not_served(stage: Stage, authority: Authority) -> None:
    assert not send(stage, authority, authority.issue("late", days=-1), instance(1, 1))
    assert not send(stage, authority, Authority(stage.folder, "other").issue("else"), instance(1, 1))
    assert send(stage, authority, authority.issue("modality"), instance(1, 1))
    stage.check()


def test_a_certificate_is_exchanged_while_the_node_works(stage: Stage, authority: Authority) -> None:
    own = authority.issue("modality")
    assert send(stage, authority, own, instance(1, 1))
    (authority.folder / "node.pem").write_text("half a certif")
    assert send(stage, authority, own, instance(1, 2)), "the former one stays where the new one is broken"
    authority.issue("node", days=-1)
    assert not send(stage, authority, own, instance(1, 3)), "an expired one is what it is"
    authority.issue("node")
    assert send(stage, authority, own, instance(1, 3))
    stage.check()
