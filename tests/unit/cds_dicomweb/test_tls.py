from __future__ import annotations

import os
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from cds.domain.records import Identity
from cds.errors import ArchiveError, ConfigError, DeliveryError, DeliveryPostponed
from cds.ports import Peer, Tls
from cds_dicomweb.archive import ArchiveSettings, DicomWebArchive
from cds_dicomweb.sender import DicomWebSender, SenderSettings
from cds_dicomweb.testing import Origin
from cds_dicomweb.testing.certificates import Authority, fingerprint
from cds_dicomweb.tls import ServerTls
from cds_pacs.testing.instances import part10, small_data_set, write_file


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return write_file(tmp_path / "out", small_data_set())


def to(port: int, **changes: object) -> Peer:
    values: dict[str, object] = {"name": "node", "ae_title": "NODE", "host": "127.0.0.1", "port": port, "tls": True}
    return Peer(**{**values, **changes})  # type: ignore[arg-type]


def send(file: Path, peer: Peer, tls: Tls | None) -> None:
    DicomWebSender(SenderSettings(tls=tls, idle_seconds=10)).send([file], peer, calling_ae_title="CDS")


def test_our_own_sender_delivers_to_our_own_listener_by_mutual_tls(
    node, listening, caller: Peer, authority: Authority, file: Path
) -> None:
    ours, theirs = authority.issue("ours"), authority.issue("theirs")
    known = replace(caller, tls=True, certificate=fingerprint(ours))
    running = node(address=listening(tls=theirs, peers=(known,)))
    send(file, to(running.port), ours)
    send(file, to(running.port, certificate=fingerprint(theirs)), ours)
    assert list(running.intake.taken) == ["2.25.1.1"]
    assert running.intake.announced["2.25.1.1"].calling_ae_title == "CALLER"


def test_a_caller_with_another_certificate_than_the_peer_s_is_refused(
    node, listening, caller: Peer, authority: Authority, file: Path
) -> None:
    known = replace(caller, certificate=fingerprint(authority.issue("known")))
    running = node(address=listening(tls=authority.issue("theirs"), peers=(known,)))
    with pytest.raises(DeliveryError, match="403"):
        send(file, to(running.port), authority.issue("other"))
    assert running.intake.taken == {}


def test_a_caller_whose_certificate_nobody_we_trust_has_signed_does_not_get_in(
    node, listening, authority: Authority, file: Path, tmp_path: Path
) -> None:
    running = node(address=listening(tls=authority.issue("theirs")))
    stranger = replace(Authority(tmp_path, "stranger").issue("strange"), ca_file=authority.file)
    with pytest.raises(DeliveryPostponed):
        send(file, to(running.port), stranger)
    context = ssl.create_default_context(cafile=str(authority.file))
    with socket.create_connection(("127.0.0.1", running.port)) as plain:
        plain.settimeout(10)
        with pytest.raises(OSError), context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped:
            wrapped.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert wrapped.recv(10) != b""  # with TLS 1.3 the refusal comes after the client's handshake
    assert running.intake.taken == {}


def test_a_peer_with_tls_may_not_call_without(node, listening, caller: Peer, file: Path) -> None:
    running = node(address=listening(peers=(replace(caller, tls=True),)))
    with pytest.raises(DeliveryError, match="403"):
        send(file, to(running.port, tls=False), None)


def test_nothing_is_sent_to_a_peer_that_shows_another_certificate(authority: Authority, file: Path) -> None:
    ours, theirs = authority.issue("ours"), authority.issue("theirs")
    with Origin(tls=ServerTls(theirs).context()) as origin:
        with pytest.raises(DeliveryPostponed, match="origin"):
            send(file, origin.peer(tls=True, certificate="0" * 64), ours)
        assert origin.targets == []
        send(file, origin.peer(tls=True, certificate=fingerprint(theirs)), ours)
        assert len(origin.targets) == 1


def test_nothing_is_sent_to_a_peer_that_nobody_we_trust_has_signed(
    authority: Authority, file: Path, tmp_path: Path
) -> None:
    strange = Authority(tmp_path, "stranger").issue("strange")
    both = replace(strange, ca_file=authority.file)
    with Origin(tls=ServerTls(both).context()) as origin:
        with pytest.raises(DeliveryPostponed):
            send(file, origin.peer(tls=True), authority.issue("ours"))
        assert origin.targets == []


def test_a_search_by_patient_goes_over_https(authority: Authority) -> None:
    with Origin(tls=ServerTls(authority.issue("theirs")).context()) as origin:
        origin.put(part10(small_data_set()))
        archive = DicomWebArchive(ArchiveSettings(tls=authority.issue("ours")))
        found = archive.studies(Identity(patient_id="TEST-1"), origin.peer(tls=True), calling_ae_title="CDS")
        assert [study.study_instance_uid for study in found] == ["2.25.1"]


def test_a_new_certificate_is_used_without_a_restart(
    node, listening, authority: Authority, file: Path, tmp_path: Path
) -> None:
    theirs, ours = authority.issue("theirs"), authority.issue("ours")
    running = node(address=listening(tls=theirs))
    old = fingerprint(theirs)
    send(file, to(running.port, certificate=old), ours)
    authority.issue("theirs")
    assert fingerprint(theirs) != old
    send(file, to(running.port, certificate=fingerprint(theirs)), ours)
    with pytest.raises(DeliveryPostponed):
        send(file, to(running.port, certificate=old), ours)


def test_files_that_do_not_belong_together_leave_the_former_certificate_in_use(
    node, listening, authority: Authority, file: Path
) -> None:
    theirs, ours = authority.issue("theirs"), authority.issue("ours")
    running = node(address=listening(tls=theirs))
    pinned = to(running.port, certificate=fingerprint(theirs))
    theirs.key_file.write_text("half a ke")
    send(file, pinned, ours)
    theirs.key_file.unlink()
    send(file, pinned, ours)


def test_the_sender_s_own_certificate_is_read_again_when_it_changes(
    node, listening, caller: Peer, authority: Authority, file: Path
) -> None:
    ours = authority.issue("ours")
    sender = DicomWebSender(SenderSettings(tls=ours))
    first = replace(caller, certificate=fingerprint(ours))
    running = node(address=listening(tls=authority.issue("theirs"), peers=(first,)))
    sender.send([file], to(running.port), calling_ae_title="CDS")
    authority.issue("ours")
    os.utime(ours.key_file, (1, 1))
    with pytest.raises(DeliveryError, match="403"):
        sender.send([file], to(running.port), calling_ae_title="CDS")


def test_a_peer_with_tls_needs_our_own_certificate(file: Path) -> None:
    with pytest.raises(DeliveryError, match=r"no \[node\.tls\]"):
        send(file, to(1), None)
    with pytest.raises(ArchiveError, match=r"no \[node\.tls\]"):
        DicomWebArchive(ArchiveSettings()).instances("1.2", to(1), calling_ae_title="CDS")


def test_a_listener_whose_tls_files_are_missing_does_not_start(node, listening, tmp_path: Path) -> None:
    missing = Tls(certificate_file=tmp_path / "a", key_file=tmp_path / "b", ca_file=tmp_path / "c")
    with pytest.raises(ConfigError, match="TLS file a"):
        node(address=listening(tls=missing))


def test_stop_ends_idle_connections_with_tls(node, listening, authority: Authority) -> None:
    ours = authority.issue("ours")
    for _ in range(20):
        running = node(address=listening(tls=authority.issue("theirs")))
        context = ssl.create_default_context(cafile=str(authority.file))
        context.load_cert_chain(ours.certificate_file, ours.key_file)
        with (
            socket.create_connection(("127.0.0.1", running.port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as idle,
        ):
            idle.settimeout(10)
            running.listener.stop()
            assert idle.recv(1) == b""
