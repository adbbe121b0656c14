from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cds.errors import DeliveryError, DeliveryPostponed
from cds.ports import Peer
from cds_dicomweb.sender import DicomWebSender, SenderSettings
from cds_dicomweb.testing import Origin
from cds_dicomweb.testing.origin import Reply, stored_answer
from cds_pacs.testing.instances import COMPREHENSIVE_SR, small_data_set, write_file

CLASS = COMPREHENSIVE_SR
ONE, TWO = "2.25.1.1", "2.25.1.2"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write_file(tmp_path, small_data_set(instance=number, sop_class_uid=CLASS)) for number in (1, 2)]


def send(files: list[Path], peer: Peer, **settings: float) -> None:
    DicomWebSender(SenderSettings(**settings)).send(files, peer, calling_ae_title="CDS")  # type: ignore[arg-type]


def test_files_arrive_byte_for_byte(files: list[Path], origin: Origin) -> None:
    send(files, origin.peer())
    assert origin.files == {ONE: files[0].read_bytes(), TWO: files[1].read_bytes()}


def test_a_large_file_arrives_byte_for_byte(tmp_path: Path, origin: Origin) -> None:
    file = write_file(tmp_path, small_data_set(PixelData=bytes(range(256)) * 20_000))
    send([file], origin.peer())
    assert origin.files == {ONE: file.read_bytes()}


def test_one_connection_is_kept_for_several_deliveries(files: list[Path], origin: Origin) -> None:
    sender = DicomWebSender(SenderSettings())
    for _ in range(5):
        sender.send(files, origin.peer(), calling_ae_title="CDS")
    assert origin.connections == 1


def test_a_connection_that_the_peer_closed_meanwhile_is_made_anew(files: list[Path]) -> None:
    sender = DicomWebSender(SenderSettings())
    with Origin() as first:
        sender.send(files, first.peer(), calling_ae_title="CDS")
        first.says.append(Reply(200, stored_answer([(CLASS, ONE), (CLASS, TWO)]), headers=(("Connection", "close"),)))
        sender.send(files, first.peer(), calling_ae_title="CDS")
        sender.send(files, first.peer(), calling_ae_title="CDS")
        assert first.connections == 2


BOTH = [(CLASS, ONE), (CLASS, TWO)]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(200, stored_answer(BOTH)), None),
        (Reply(202, stored_answer(BOTH)), None),
        (Reply(200, stored_answer(BOTH[:1], [(CLASS, TWO, 0x0111)])), None),
        (Reply(409, stored_answer([], [(CLASS, ONE, 0x0111), (CLASS, TWO, 0x0111)])), None),
        (Reply(200, stored_answer(BOTH[:1], [(CLASS, TWO, 0xA900)])), DeliveryError),
        (Reply(200, stored_answer(BOTH, [(CLASS, TWO, 0xC000)])), DeliveryError),
        (Reply(202, stored_answer(BOTH[:1], [(CLASS, TWO, 0xA700)])), DeliveryPostponed),
        (Reply(202, stored_answer(BOTH[:1], [(CLASS, TWO, 0x0110)])), DeliveryPostponed),
        (Reply(202, stored_answer([], [(CLASS, ONE, 0xA700), (CLASS, TWO, 0x0122)])), DeliveryError),
        (Reply(409, stored_answer([], [(CLASS, ONE, 0xA900), (CLASS, TWO, 0xA900)])), DeliveryError),
        (Reply(200, stored_answer(BOTH[:1])), DeliveryPostponed),
        (Reply(200, b""), DeliveryError),
        (Reply(200, b"<html>log in</html>", "text/html"), DeliveryError),
        (Reply(200, b"{"), DeliveryError),
        (Reply(200, b"[1]"), DeliveryError),
        (Reply(204), DeliveryError),
        (Reply(302, headers=(("Location", "http://127.0.0.1:9/"),)), DeliveryError),
        (Reply(400), DeliveryError),
        (Reply(401), DeliveryError),
        (Reply(404), DeliveryError),
        (Reply(415), DeliveryError),
        (Reply(408), DeliveryPostponed),
        (Reply(429), DeliveryPostponed),
        (Reply(500), DeliveryPostponed),
        (Reply(503, stored_answer([], [(CLASS, ONE, 0xA700), (CLASS, TWO, 0xA700)])), DeliveryPostponed),
    ],
)
def test_the_answer_is_read_instance_by_instance(
    files: list[Path], origin: Origin, reply: Reply, expected: type[DeliveryError] | None
) -> None:
    origin.says.append(reply)
    if expected is None:
        send(files, origin.peer())
        return
    with pytest.raises(DeliveryError) as caught:
        send(files, origin.peer())
    assert type(caught.value) is expected
    assert "origin" in str(caught.value)


def test_a_failed_instance_without_a_reason_is_not_accepted(files: list[Path], origin: Origin) -> None:
    answer = stored_answer(BOTH[:1], [(CLASS, TWO, 0)])
    origin.says.append(Reply(200, answer))
    with pytest.raises(DeliveryPostponed, match="0x0110"):
        send(files, origin.peer())


def test_a_peer_that_says_nothing_in_time_is_tried_again(
    files: list[Path], origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    silent = threading.Event()
    monkeypatch.setattr(origin, "put", lambda content: silent.wait(30))
    try:
        with pytest.raises(DeliveryPostponed, match="ReadTimeout"):
            send(files, origin.peer(), idle_seconds=0.2)
    finally:
        silent.set()


def test_an_answer_beyond_measure_is_not_read_to_its_end(files: list[Path], origin: Origin) -> None:
    origin.says.append(Reply(200, b" " * (17 << 20)))
    with pytest.raises(DeliveryPostponed, match="longer than"):
        send(files, origin.peer())


def test_a_file_that_is_no_dicom_file_is_never_sent(tmp_path: Path, origin: Origin) -> None:
    file = tmp_path / "report.txt"
    file.write_text("x" * 500)
    with pytest.raises(DeliveryError, match="no DICOM file"):
        send([file], origin.peer())
    assert origin.targets == []


@pytest.mark.parametrize("url", ["ftp://peer/", "peer:80", "http://", "http://user:word@peer/", "http://peer/?x=1"])
def test_a_url_that_is_none_of_the_web_is_a_final_error(files: list[Path], origin: Origin, url: str) -> None:
    with pytest.raises(DeliveryError, match="url must be like") as caught:
        send(files, origin.peer(url=url))
    assert not caught.value.retryable
    assert "word" not in str(caught.value)


def test_a_peer_with_tls_is_never_sent_anything_without(files: list[Path], origin: Origin) -> None:
    with pytest.raises(DeliveryError, match="https"):
        send(files, origin.peer(tls=True, url=f"http://127.0.0.1:{origin.port}/dicom-web"))
    assert origin.targets == []


def test_neither_url_nor_patient_stands_in_a_log_or_an_error(
    files: list[Path], origin: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    origin.says.append(Reply(500, b"Canary^Yellow TEST-1"))
    with pytest.raises(DeliveryPostponed) as caught:
        send(files, origin.peer())
    for text in (caplog.text, str(caught.value), repr(caught.value.__context__)):
        assert "Canary" not in text
        assert "TEST-1" not in text
    assert "/dicom-web" not in caplog.text
