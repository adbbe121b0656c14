from __future__ import annotations

import hashlib
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from cds.errors import DeliveryError, DeliveryPostponed
from cds.ports import Peer, Tls
from cds_pacs.sender import DicomSender, SenderSettings
from cds_pacs.testing.instances import COMPREHENSIVE_SR, ENCAPSULATED_PDF, small_data_set, write_file

ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]


class Pacs:
    """pynetdicom as an independent peer: counts associations, remembers what came."""

    def __init__(self, *sop_classes: str, tls: ssl.SSLContext | None = None) -> None:
        self._sockets: list[socket.socket] = []  # pynetdicom leaves some of them to the garbage collector
        self.opened = 0
        self.released = 0
        self.proposed: list[int] = []
        self.stored: list[str] = []
        self.statuses: list[int] = []
        entity = AE(ae_title="PACS")
        entity.supported_contexts = [
            build_context(one, SYNTAXES) for one in sop_classes or (COMPREHENSIVE_SR, ENCAPSULATED_PDF)
        ]
        self._handlers = [
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_RELEASED, self._was_released),
            (evt.EVT_C_STORE, self._store),
        ]
        self.entity = entity
        self._tls = tls
        self.start(0)

    def start(self, port: int) -> None:
        self._server = self.entity.start_server(
            ("127.0.0.1", port), block=False, evt_handlers=self._handlers, ssl_context=self._tls
        )
        self.port = int(self._server.server_address[1])

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for association in self._server.active_associations:
            (association.abort if association.is_established else association.kill)()
        for one in self._sockets:
            one.close()

    def drop(self) -> None:
        """End every association without a word, as a firewall does."""
        for association in self._server.active_associations:
            association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
            association.join(60)

    def peer(self, **changes: Any) -> Peer:
        return Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=self.port, **changes)

    def _accepted(self, event: Any) -> None:
        self.opened += 1
        self._sockets.append(event.assoc.dul.socket.socket)
        self.proposed.append(len(event.assoc.requestor.primitive.presentation_context_definition_list))

    def _was_released(self, event: Any) -> None:
        self.released += 1

    def _store(self, event: Any) -> int:
        if self.statuses:
            return self.statuses.pop(0)
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    pacs = Pacs()
    yield pacs
    pacs.stop()


@pytest.fixture
def sender() -> Iterator[DicomSender]:
    sender = DicomSender(SenderSettings(acse_timeout_seconds=60, dimse_timeout_seconds=60, answer_seconds=0.2))
    yield sender
    sender.close()


@pytest.fixture
def reports(tmp_path: Path) -> list[Path]:
    return [write_file(tmp_path, small_data_set(1, number, sop_class_uid=COMPREHENSIVE_SR)) for number in range(1, 6)]


@pytest.fixture
def document(tmp_path: Path) -> Path:
    return write_file(tmp_path, small_data_set(1, 9, sop_class_uid=ENCAPSULATED_PDF))


def deliver(sender: DicomSender, files: list[Path], pacs: Pacs) -> None:
    for file in files:
        sender.send([file], pacs.peer(), calling_ae_title="CDS")


def test_one_association_is_kept_for_many_deliveries(pacs: Pacs, sender: DicomSender, reports: list[Path]) -> None:
    deliver(sender, reports, pacs)
    assert (len(pacs.stored), pacs.opened) == (5, 1)


def test_nothing_is_proposed_but_what_is_sent(pacs: Pacs, sender: DicomSender, reports: list[Path]) -> None:
    deliver(sender, reports, pacs)
    assert pacs.proposed == [2]  # Explicit VR Little Endian as it is, and the default transfer syntax


def test_an_object_of_another_kind_makes_a_new_association_that_is_good_for_both(
    pacs: Pacs, sender: DicomSender, reports: list[Path], document: Path
) -> None:
    deliver(sender, [reports[0], document, reports[1], document, reports[2]], pacs)
    assert (len(pacs.stored), pacs.opened) == (5, 2)


def test_an_association_that_the_peer_dropped_is_replaced_and_everything_arrives_once(
    pacs: Pacs, sender: DicomSender, reports: list[Path]
) -> None:
    deliver(sender, reports[:2], pacs)
    pacs.drop()
    deliver(sender, reports[2:], pacs)
    assert len(pacs.stored) == len(set(pacs.stored)) == 5
    assert pacs.opened == 2


def test_a_peer_that_was_restarted_gets_what_comes_next(pacs: Pacs, sender: DicomSender, reports: list[Path]) -> None:
    deliver(sender, reports[:1], pacs)
    pacs.stop()
    with pytest.raises(DeliveryPostponed, match="is it running"):
        deliver(sender, reports[1:2], pacs)
    pacs.start(pacs.port)
    deliver(sender, reports[1:], pacs)
    assert len(pacs.stored) == 5


def test_a_refusal_does_not_cost_the_association(pacs: Pacs, sender: DicomSender, reports: list[Path]) -> None:
    pacs.statuses = [0xA900]
    with pytest.raises(DeliveryError, match="0xA900"):
        deliver(sender, reports[:1], pacs)
    deliver(sender, reports[1:], pacs)
    assert pacs.opened == 1


def test_an_association_that_nobody_uses_is_released(
    pacs: Pacs, reports: list[Path], until: Callable[..., None]
) -> None:
    sender = DicomSender(SenderSettings(idle_seconds=0.2))
    deliver(sender, reports, pacs)
    until(lambda: pacs.released == 1)
    until(lambda: not any(thread.name == "cds-idle-associations" for thread in threading.enumerate()))


def test_a_sender_that_closes_releases_what_it_kept(
    pacs: Pacs, sender: DicomSender, reports: list[Path], until: Callable[..., None]
) -> None:
    deliver(sender, reports, pacs)
    sender.close()
    until(lambda: pacs.released == 1)


def test_threads_never_share_an_association(pacs: Pacs, sender: DicomSender, reports: list[Path]) -> None:
    def work() -> None:
        for _ in range(5):
            deliver(sender, reports, pacs)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(pacs.stored) == 100


def test_a_peer_that_takes_another_structured_report_is_named_with_the_class_to_set(
    sender: DicomSender, reports: list[Path]
) -> None:
    pacs = Pacs(ENHANCED_SR)
    with pytest.raises(DeliveryError, match="set its sr_class to 'enhanced'") as caught:
        deliver(sender, reports[:1], pacs)
    assert not caught.value.retryable
    pacs.stop()


def test_a_peer_that_takes_no_structured_report_is_told_so(sender: DicomSender, reports: list[Path]) -> None:
    pacs = Pacs(ENCAPSULATED_PDF)
    with pytest.raises(DeliveryError, match="nor any other structured report"):
        deliver(sender, reports[:1], pacs)
    pacs.stop()


class Stranger:
    """A peer of bytes: accepts connections, sends what the test says, and then is silent."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = answers
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            for answer in self._answers:
                connection.recv(65536)
                connection.sendall(answer)

    def close(self) -> None:
        self._socket.close()
        for connection in self._open:
            connection.close()


GARBAGE = {
    "nothing at all": (),
    "half a header": (b"\x02\x00\x00",),
    "a giant PDU": (struct.pack(">BxI", 2, 0xFFFFFFFF),),
    "an acceptance of nonsense": (struct.pack(">BxI", 2, 8) + b"nonsense",),
    "a rejection of nonsense": (struct.pack(">BxI", 3, 4) + b"\xff\xff\xff\xff",),
    "an unknown PDU": (struct.pack(">BxI", 0x42, 4) + b"\x00\x00\x00\x00",),
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
    "an abort": (struct.pack(">BxI", 7, 4) + b"\x00\x00\x02\x00",),
}


@pytest.mark.parametrize("answers", GARBAGE.values(), ids=GARBAGE)
def test_a_peer_that_speaks_no_dicom_postpones_the_delivery_in_time(
    answers: tuple[bytes, ...], reports: list[Path]
) -> None:
    stranger = Stranger(*answers)
    sender = DicomSender(SenderSettings(acse_timeout_seconds=0.3, dimse_timeout_seconds=0.3))
    peer = Peer(name="stranger", ae_title="X", host="127.0.0.1", port=stranger.port)
    with pytest.raises(DeliveryPostponed, match="stranger"):
        sender.send(reports[:1], peer, calling_ae_title="CDS")
    stranger.close()


def test_a_pacs_that_accepts_and_then_freezes_postpones_the_delivery_in_time(pacs: Pacs, reports: list[Path]) -> None:
    frozen = threading.Event()
    pacs._handlers[2] = (evt.EVT_C_STORE, lambda event: 0x0000 if frozen.wait(10) else 0x0110)
    pacs.stop()
    pacs.start(pacs.port)
    sender = DicomSender(SenderSettings(dimse_timeout_seconds=0.3))
    with pytest.raises(DeliveryPostponed, match="no answer in time"):
        deliver(sender, reports[:1], pacs)
    frozen.set()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, and a key and a certificate of it for `node`, `pacs`; `stranger` has its own."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for ca in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN={ca}", "-days", "2")  # fmt: skip
    for name, ca in (("node", "ca"), ("pacs", "ca"), ("stranger", "other")):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")  # fmt: skip
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key",
                "-CAcreateserial", "-out", f"{name}.pem", "-days", "2")  # fmt: skip
    return folder


class TestTls:
    @pytest.fixture
    def secured(self, authority: Path) -> Iterator[Pacs]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority / "pacs.pem", authority / "pacs.key")
        context.load_verify_locations(authority / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        pacs = Pacs(tls=context)
        yield pacs
        pacs.stop()

    def sender(self, authority: Path, name: str = "node", ca: str = "ca") -> DicomSender:
        tls = Tls(
            certificate_file=authority / f"{name}.pem",
            key_file=authority / f"{name}.key",
            ca_file=authority / f"{ca}.pem",
        )
        return DicomSender(SenderSettings(acse_timeout_seconds=60, tls=tls))

    def test_both_sides_show_a_certificate_and_the_association_is_kept(
        self, secured: Pacs, authority: Path, reports: list[Path]
    ) -> None:
        sender = self.sender(authority)
        for file in reports:
            sender.send([file], secured.peer(tls=True), calling_ae_title="CDS")
        assert (len(secured.stored), secured.opened) == (5, 1)
        sender.close()

    def test_a_peer_of_another_authority_gets_nothing(
        self, secured: Pacs, authority: Path, reports: list[Path]
    ) -> None:
        with pytest.raises(DeliveryPostponed, match="TLS"):
            self.sender(authority, ca="other").send(reports[:1], secured.peer(tls=True), calling_ae_title="CDS")
        assert secured.stored == []

    def test_we_get_nowhere_with_a_certificate_that_the_peer_does_not_trust(
        self, secured: Pacs, authority: Path, reports: list[Path]
    ) -> None:
        with pytest.raises(DeliveryPostponed):
            self.sender(authority, name="stranger").send(reports[:1], secured.peer(tls=True), calling_ae_title="CDS")
        assert secured.stored == []

    def test_a_certificate_that_is_pinned_must_be_the_one(
        self, secured: Pacs, authority: Path, reports: list[Path]
    ) -> None:
        der = ssl.PEM_cert_to_DER_cert((authority / "pacs.pem").read_text())
        pinned = secured.peer(tls=True, certificate=hashlib.sha256(der).hexdigest())
        sender = self.sender(authority)
        sender.send(reports[:1], pinned, calling_ae_title="CDS")
        sender.close()
        with pytest.raises(DeliveryPostponed, match="not the one that is configured"):
            sender.send(reports[:1], secured.peer(tls=True, certificate="0" * 64), calling_ae_title="CDS")

    def test_a_peer_with_tls_is_never_called_without(
        self, secured: Pacs, sender: DicomSender, reports: list[Path]
    ) -> None:
        with pytest.raises(DeliveryError, match=r"node\.tls"):
            sender.send(reports[:1], secured.peer(tls=True), calling_ae_title="CDS")
