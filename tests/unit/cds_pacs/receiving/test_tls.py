"""Mutual TLS: who has no certificate of ours does not come in (PS3.15 B.12, BCP 195)."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cds.errors import ConfigError
from cds.ports import Peer, Tls
from cds_pacs.listener import ListenerSettings
from cds_pacs.testing.bare_scu import BareScu, association_request
from cds_pacs.testing.door import Door
from cds_pacs.tls import ServerTls

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="the openssl command is not installed")


def openssl(*arguments: object) -> None:
    subprocess.run([str(OPENSSL), *map(str, arguments)], check=True, capture_output=True, timeout=60)


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.key, self.certificate = folder / f"{name}.key", folder / f"{name}.pem"
        self._request(name, self.key, "-x509", "-days", 2, "-out", self.certificate)

    def issue(self, name: str, *, not_after: str = "") -> tuple[Path, Path]:
        """Certificate and key; expired where `not_after` is long ago."""
        key, request, certificate = (self.folder / f"{name}{end}" for end in (".key", ".csr", ".pem"))
        self._request(name, key, "-out", request)
        config, database = self.folder / f"{name}.cnf", self.folder / f"{name}.txt"
        database.write_text("")
        config.write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={database}\nnew_certs_dir={self.folder}\nrand_serial=yes\n"
            "default_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n"
        )
        dates = ("-startdate", "20000101000000Z", "-enddate", not_after or "20990101000000Z")
        openssl(
            *("ca", "-batch", "-notext", "-config", config, "-cert", self.certificate, "-keyfile", self.key),
            *("-in", request, "-out", certificate, *dates),
        )
        return certificate, key

    def _request(self, name: str, key: Path, *more: object) -> None:
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
        openssl("req", *curve, "-nodes", "-subj", f"/CN={name}", "-keyout", key, *more)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def modality(ours: Authority) -> tuple[Path, Path]:
    return ours.issue("modality")


@pytest.fixture
def tls(ours: Authority, tmp_path: Path) -> Tls:
    """The node's files, which a test may exchange."""
    certificate, key = ours.issue("node")
    tls = Tls(certificate_file=tmp_path / "node.pem", key_file=tmp_path / "node.key", ca_file=tmp_path / "ca.pem")
    shutil.copy(certificate, tls.certificate_file)
    shutil.copy(key, tls.key_file)
    shutil.copy(ours.certificate, tls.ca_file)
    return tls


def call(door: Door, authority: Authority, own: tuple[Path, Path] | None, **limits: ssl.TLSVersion) -> BareScu:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(authority.certificate)
    for name, value in limits.items():
        setattr(context, name, value)
    if own:
        context.load_cert_chain(*own)
    plain = socket.create_connection(("127.0.0.1", door.port), timeout=60)
    try:
        return BareScu(door.port, sock=context.wrap_socket(plain))
    except BaseException:
        plain.close()
        raise


def is_served(door: Door, authority: Authority, own: tuple[Path, Path] | None) -> bool:
    """Whether an instance is taken; a handshake of TLS 1.3 fails at the first answer."""
    try:
        with call(door, authority, own) as scu:
            scu.say(association_request(calling="PACS"))
            if scu.hear()[0] != 2:
                return False
            assert scu.store("2.25.1", bytes(300_000)) == 0x0000
            scu.release()
            return True
    except OSError:
        return False


def sha256_of(certificate: Path) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()


def test_a_caller_with_a_certificate_of_a_trusted_authority_is_served(
    open_door: Callable[..., Door], tls: Tls, ours: Authority, modality: tuple[Path, Path]
) -> None:
    door = open_door(tls=tls)
    assert is_served(door, ours, modality)
    assert [len(taken.data_set) for taken in door.tray.taken] == [300_000]


def test_everybody_else_is_not(open_door: Callable[..., Door], tls: Tls, ours: Authority, tmp_path: Path) -> None:
    door = open_door(tls=tls)
    stranger = Authority(tmp_path, "stranger").issue("modality-of-a-stranger")
    expired = ours.issue("expired", not_after="20200101000000Z")
    assert not is_served(door, ours, None)
    assert not is_served(door, ours, stranger)
    assert not is_served(door, ours, expired)
    with door.call() as scu:
        scu.say(association_request())
        assert ended(scu.sock)
    assert door.tray.count == 0


def test_tls_1_1_is_too_old(open_door, tls: Tls, ours: Authority, modality: tuple[Path, Path]) -> None:
    door = open_door(tls=tls)
    with pytest.warns(DeprecationWarning), pytest.raises(OSError):
        call(door, ours, modality, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
    with call(door, ours, modality, maximum_version=ssl.TLSVersion.TLSv1_2) as scu:
        scu.associate()
        scu.release()


def test_a_title_is_bound_to_its_certificate(
    open_door: Callable[..., Door], tls: Tls, ours: Authority, modality: tuple[Path, Path]
) -> None:
    peer = Peer(
        name="pacs", ae_title="PACS", host="127.0.0.1", port=104, tls=True, certificate=sha256_of(modality[0]).upper()
    )
    door = open_door(tls=tls, peers=(peer,), accept_unknown=False)
    assert is_served(door, ours, modality)
    assert not is_served(door, ours, ours.issue("another"))
    assert door.tray.count == 1


def test_exchanged_files_are_used_for_the_next_connection(
    open_door: Callable[..., Door], tls: Tls, ours: Authority, modality: tuple[Path, Path], tmp_path: Path
) -> None:
    door = open_door(tls=tls)
    assert is_served(door, ours, modality)
    theirs = Authority(tmp_path, "theirs")
    certificate, key = theirs.issue("node-of-theirs")
    for source, target in ((certificate, tls.certificate_file), (key, tls.key_file), (theirs.certificate, tls.ca_file)):
        exchange(target, source.read_bytes())
    assert not is_served(door, ours, modality)
    assert is_served(door, theirs, theirs.issue("modality-of-theirs"))


def test_broken_files_leave_the_former_ones_in_use(
    open_door: Callable[..., Door],
    tls: Tls,
    ours: Authority,
    modality: tuple[Path, Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    door = open_door(tls=tls)
    whole = tls.certificate_file.read_bytes()
    exchange(tls.certificate_file, whole[:100])
    assert is_served(door, ours, modality)
    assert "the former ones stay" in caplog.text
    tls.certificate_file.unlink()
    assert is_served(door, ours, modality)
    exchange(tls.certificate_file, whole)
    assert is_served(door, ours, modality)


@pytest.mark.parametrize("content", [None, b"", b"garbage"])
def test_files_that_cannot_be_used_are_an_error_at_the_start(tls: Tls, content: bytes | None) -> None:
    tls.key_file.unlink()
    if content is not None:
        tls.key_file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"node\.tls"):
        ServerTls(tls)


def test_a_silent_handshake_keeps_nobody_out_and_ends(
    open_door: Callable[..., Door], tls: Tls, ours: Authority, modality: tuple[Path, Path]
) -> None:
    door = open_door(tls=tls, settings=ListenerSettings(association_seconds=1.0, drain_seconds=2))
    silent = [socket.create_connection(("127.0.0.1", door.port), timeout=60) for _ in range(10)]
    silent[0].sendall(b"\x16\x03\x01")
    assert is_served(door, ours, modality)
    for sock in silent:
        assert ended(sock)
        sock.close()


def ended(sock: socket.socket) -> bool:
    try:
        while sock.recv(100):
            pass
    except ConnectionError:
        return True
    return True


def exchange(target: Path, content: bytes) -> None:
    """As a certificate manager does: write beside it, rename."""
    beside = target.with_suffix(".new")
    beside.write_bytes(content)
    os.replace(beside, target)
