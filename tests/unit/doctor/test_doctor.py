"""Each disease is given to an installation on purpose, and the doctor has to name it and its mend."""

import os
import socket
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cds.config import Settings, read
from cds.doctor import examine, machine, network, storage, tls
from cds.domain.diagnosis import Diagnosis, Verdict
from cds.store import Ledger

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PEER = """
[[peers]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {port}
send_results = {send}
"""


def settings_of(folder: Path, text: str = "") -> Settings:
    file = folder / "cds.toml"
    file.write_text(f'data_dir = "{folder / "data"}"\n{text}', encoding="utf-8")
    return read(file, {})


def line(lines: list[Diagnosis], subject: str) -> Diagnosis:
    found = [one for one in lines if one.subject.startswith(subject)]
    assert len(found) == 1, [one.subject for one in lines]
    return found[0]


def listening() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.listen(8)
    return sock


def test_every_line_that_is_not_ok_says_what_would_mend_it(tmp_path: Path) -> None:
    with closing(listening()) as taken:
        port = taken.getsockname()[1]
        lines = list(examine(settings_of(tmp_path, f"[node]\nport = {port}\naccept_unknown = true"), with_models=False))
    assert {one.verdict for one in lines} == set(Verdict)
    for one in lines:
        assert bool(one.mend) == (one.verdict is not Verdict.OK), one


def test_a_port_that_another_program_has_is_named(tmp_path: Path) -> None:
    with closing(listening()) as taken:
        settings = settings_of(tmp_path, f"[node]\nport = {taken.getsockname()[1]}")
        found = line(list(network.examine(settings, None)), "our address")
    assert found.verdict is Verdict.FAIL
    assert "another program" in found.found


def test_the_port_of_our_own_running_node_is_in_order(tmp_path: Path) -> None:
    with closing(listening()) as taken:
        port = taken.getsockname()[1]
        settings = settings_of(tmp_path, f"[node]\nport = {port}")
        with Ledger(settings.data_dir) as ledger:
            ledger.lock.acquire()
            ledger.set_node({"ae_title": "CDS", "port": port, "pid": os.getpid()})
            found = line(list(network.examine(settings, ledger)), "our address")
            ledger.lock.release()
    assert found.verdict is Verdict.OK


def test_no_peer_and_no_peer_for_results_are_failures(tmp_path: Path) -> None:
    assert line(list(network.examine(settings_of(tmp_path), None)), "peers").verdict is Verdict.FAIL
    with closing(listening()) as pacs:
        text = PEER.format(port=pacs.getsockname()[1], send="false")
        found = line(list(network.examine(settings_of(tmp_path, text), None)), "peers")
    assert found.verdict is Verdict.FAIL
    assert "send_results" in found.mend


def test_a_peer_that_is_down_is_told_apart_from_one_that_can_be_reached(tmp_path: Path) -> None:
    with closing(listening()) as pacs:
        port = pacs.getsockname()[1]
        brief = "[report.dicom]\nacse_timeout_seconds = 0.5\n"  # it listens, and says nothing
        settings = settings_of(tmp_path, PEER.format(port=port, send="true") + brief)
        assert line(list(network.examine(settings, None)), "peer pacs at").verdict is Verdict.OK
    assert line(list(network.examine(settings, None)), "peer pacs at").verdict is Verdict.FAIL


def test_a_peer_whose_own_address_is_not_allowed_to_call_is_named(tmp_path: Path) -> None:
    text = PEER.format(port=104, send="false") + 'addresses = ["10.0.0.0/8"]\n'
    found = line(list(network.examine(settings_of(tmp_path, text), None)), "peer pacs calls us")
    assert found.verdict is Verdict.WARN
    assert "addresses" in found.mend


def test_a_folder_that_others_may_read_is_named(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    settings.data_dir.mkdir(mode=0o700)
    assert line(list(storage.examine_folder(settings)), "data folder").verdict is Verdict.OK
    settings.data_dir.chmod(0o755)
    assert line(list(storage.examine_folder(settings)), "data folder").verdict is Verdict.WARN


def test_a_disk_below_its_reserve_is_a_failure(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "[node]\nreserve_mb = 100000000")
    settings.data_dir.mkdir()
    found = line(list(storage.examine_folder(settings)), "disk space")
    assert found.verdict is Verdict.FAIL
    assert "0xA700" in found.found


def test_a_damaged_ledger_is_a_failure_and_the_other_looks_go_on(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    settings.data_dir.mkdir()
    (settings.data_dir / "ledger.sqlite").write_bytes(b"this is no database" * 100)
    lines = list(examine(settings, with_models=False))
    assert line(lines, "database").verdict is Verdict.FAIL
    assert line(lines, "our address")
    assert line(lines, "clock")


def test_a_clock_behind_the_last_entry_is_a_failure(tmp_path: Path) -> None:
    with Ledger(tmp_path / "data") as ledger:
        assert line(list(machine.examine(ledger, NOW)), "clock").verdict is not Verdict.FAIL
        with ledger._database.writing() as connection:
            from cds.store.database import note

            note(connection, NOW, "a test", detail="")
        assert line(list(machine.examine(ledger, NOW - timedelta(hours=1))), "clock").verdict is Verdict.FAIL
        assert line(list(machine.examine(ledger, NOW + timedelta(hours=1))), "clock").verdict is not Verdict.FAIL


def certificate(folder: Path, name: str, days: int) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert, secret


@pytest.mark.parametrize(("days", "verdict"), [(-1, Verdict.FAIL), (10, Verdict.WARN), (300, Verdict.OK)])
def test_a_certificate_that_ends_is_told_in_time(tmp_path: Path, days: int, verdict: Verdict) -> None:
    cert, key = certificate(tmp_path, "node", days)
    text = f'[node.tls]\ncertificate_file = "{cert}"\nkey_file = "{key}"\nca_file = "{cert}"'
    assert line(list(tls.examine(settings_of(tmp_path, text), NOW)), "our certificate").verdict is verdict


def test_a_key_of_another_certificate_is_a_failure_that_shows_no_secret(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path, "node", 300)
    _, other = certificate(tmp_path, "other", 300)
    text = f'[node.tls]\ncertificate_file = "{cert}"\nkey_file = "{other}"\nca_file = "{cert}"'
    found = line(list(tls.examine(settings_of(tmp_path, text), NOW)), "TLS files")
    assert found.verdict is Verdict.FAIL
    assert "PRIVATE" not in found.found


def test_a_peer_elsewhere_without_tls_is_a_warning(tmp_path: Path) -> None:
    text = PEER.format(port=104, send="false").replace("127.0.0.1", "192.0.2.7")
    assert line(list(tls.examine(settings_of(tmp_path, text), NOW)), "TLS").verdict is Verdict.WARN


def test_a_folder_that_cannot_be_made_is_a_failure_before_the_first_start(tmp_path: Path) -> None:
    settings = settings_of(tmp_path).model_copy(update={"data_dir": Path("/proc/cds-data")})
    assert line(list(storage.examine_folder(settings)), "data folder").verdict is Verdict.FAIL


def test_a_full_disk_is_a_failure_before_the_first_start(tmp_path: Path) -> None:
    lines = list(storage.examine_folder(settings_of(tmp_path, "[node]\nreserve_mb = 100000000")))
    assert line(lines, "data folder").verdict is Verdict.WARN
    assert line(lines, "disk space").verdict is Verdict.FAIL
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cds.toml"]


def test_plugin_names_are_looked_at_without_the_models(tmp_path: Path) -> None:
    found = line(list(examine(settings_of(tmp_path, '[models]\nfusion = "transformr"'), with_models=False)), "plugins")
    assert found.verdict is Verdict.FAIL
    assert "'transformer'" in found.found


def test_a_peer_that_only_sends_needs_no_port(tmp_path: Path) -> None:
    text = '[[peers]]\nname = "ct1"\nae_title = "CT1"\n'
    lines = list(network.examine(settings_of(tmp_path, text), None))
    assert not [one for one in lines if one.subject.startswith("peer ct1 at")]
    assert line(lines, "peer ct1 calls us").verdict is Verdict.WARN


def test_a_web_port_that_is_taken_is_a_warning(tmp_path: Path) -> None:
    with closing(listening()) as taken:
        settings = settings_of(tmp_path, f"[web]\nport = {taken.getsockname()[1]}")
        assert line(list(network.examine(settings, None)), "web pages").verdict is Verdict.WARN


def test_a_tls_file_that_is_missing_is_named(tmp_path: Path) -> None:
    text = '[node.tls]\ncertificate_file = "nowhere.pem"\nkey_file = "k"\nca_file = "c"'
    assert "nowhere.pem" in line(list(tls.examine(settings_of(tmp_path, text), NOW)), "TLS files").found


def test_an_expired_certificate_of_ours_is_a_complaint_of_the_node(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "node", -300)
    text = f'[node.tls]\ncertificate_file = "{cert}"\nkey_file = "{key}"\nca_file = "{cert}"'
    assert "expired" in tls.complaints(settings_of(tmp_path, text))[0]
    assert tls.complaints(settings_of(tmp_path)) == ()
