from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cds.domain.report import EncodedReport
from cds.errors import DeliveryError, DeliveryPostponed
from cds.ports import Peer
from cds.service import RetryPolicy
from cds.service.delivery import SR_CLASSES, Courier, recipients
from cds.store import Ledger
from cds.store.report_files import StoredFile
from cds.testing.intake import FiledIntake
from cds_pacs.testing.instances import COMPREHENSIVE_SR, ENCAPSULATED_PDF, received, small_data_set

PEER = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=104, send_results=True)


class Post:
    """A sender that does what the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.answer: Callable[[Sequence[Path]], None] = lambda files: None

    def send(self, files: Sequence[Path], peer: Peer, *, calling_ae_title: str) -> None:
        self.calls.append([path.name for path in files])
        self.answer(files)


class Office:
    """A report that waits to be delivered, and a clock."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.post = Post()
        self.courier = Courier(
            ledger=ledger,
            senders={"dicom": self.post},
            peers={"pacs": PEER},
            ae_title="CDS",
            policy=RetryPolicy(),
            clock=lambda: self.now,
            chance=lambda: 0.0,
        )
        FiledIntake(ledger, lambda: self.now).take(received(small_data_set()))
        (receiving,) = ledger.jobs.receiving()
        ledger.jobs.complete(receiving, "", self.now)
        (job,) = ledger.jobs.open_jobs()
        ledger.jobs.begin(job, self.now)
        encodings = [
            EncodedReport(
                name="sr", media_type="", content=b"", sop_instance_uid="2.25.8", sop_class_uid=COMPREHENSIVE_SR
            ),
            EncodedReport(
                name="pdf", media_type="", content=b"", sop_instance_uid="2.25.9", sop_class_uid=ENCAPSULATED_PDF
            ),
        ]
        report = ledger.report_files.put(job.study_instance_uid, job.id, encodings, revision=1, inputs_hash="")
        ledger.jobs.report(job, report, ["pacs"], self.now)

    def deliver(self) -> None:
        for delivery in self.ledger.deliveries.due(self.now):
            self.courier.deliver(delivery)

    def study(self) -> dict[str, Any]:
        return dict(self.ledger.state()["studies"][0])


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Ledger(tmp_path / "data") as ledger:
        yield Office(ledger)


def test_an_accepted_report_is_reported_after_one_association(office: Office) -> None:
    office.deliver()
    assert office.post.calls == [["sr", "pdf"]]
    assert office.study()["state"] == "REPORTED"


def test_an_attempt_that_was_made_is_not_made_again(office: Office) -> None:
    (delivery,) = office.ledger.deliveries.due(office.now)
    office.courier.deliver(delivery)
    office.courier.deliver(delivery)
    assert len(office.post.calls) == 1


def test_waits_double_from_30_s_to_10_min_with_jitter_on_top() -> None:
    policy = RetryPolicy()
    assert [policy.wait_seconds(n, 0.0) for n in range(7)] == [30, 60, 120, 240, 480, 600, 600]
    assert policy.wait_seconds(0, 1.0) == 37.5
    assert policy.wait_seconds(10_000, 0.0) == 600


def test_a_peer_that_is_down_is_asked_again_until_72_h_are_over(office: Office) -> None:
    def down(_: Sequence[Path]) -> None:
        raise DeliveryPostponed("peer 'pacs' does not answer")

    office.post.answer = down
    started = office.now
    while office.study()["state"] == "RUNNING":
        office.deliver()
        assert office.now - started < timedelta(hours=73)
        office.now += timedelta(seconds=600)
    assert office.now - started >= timedelta(hours=72)
    assert office.study()["state"] == "FAILED"
    assert "given up after 72 h" in office.study()["reason"]
    assert len(office.post.calls) > 400


def test_a_peer_that_comes_back_gets_the_report(office: Office) -> None:
    failures = iter([DeliveryPostponed("0xA700"), DeliveryPostponed("0xA700")])

    def busy_twice(_: Sequence[Path]) -> None:
        error = next(failures, None)
        if error:
            raise error

    office.post.answer = busy_twice
    for seconds in (0, 29, 1, 59, 1):
        office.now += timedelta(seconds=seconds)
        office.deliver()
    assert len(office.post.calls) == 3
    assert office.study()["state"] == "REPORTED"


def test_a_refusal_fails_at_once_and_only_what_is_refused(office: Office) -> None:
    def no_pdf(files: Sequence[Path]) -> None:
        if any(path.name == "pdf" for path in files):
            raise DeliveryError("SOP class not accepted")

    office.post.answer = no_pdf
    office.deliver()
    assert office.post.calls == [["sr", "pdf"], ["sr"], ["pdf"]]
    assert office.study()["state"] == "REPORTED"
    assert office.ledger.deliveries.due(office.now + timedelta(days=1)) == ()


def test_a_refused_report_is_never_called_reported(office: Office) -> None:
    def refuse(_: Sequence[Path]) -> None:
        raise DeliveryError("0xA900")

    office.post.answer = refuse
    office.deliver()
    assert office.study()["state"] == "FAILED"


def test_a_defect_of_a_sender_is_tried_again_and_its_message_goes_nowhere(office: Office) -> None:
    def defect(_: Sequence[Path]) -> None:
        raise ValueError("Canary^Yellow")

    office.post.answer = defect
    office.deliver()
    assert office.study()["state"] == "RUNNING"
    details = [detail for _, _, detail in office.ledger.history("2.25.1")]
    assert any("ValueError" in detail for detail in details)
    assert not any("Canary" in detail for detail in details)


def test_a_peer_that_is_no_longer_configured_is_refused_with_the_reason(office: Office) -> None:
    (delivery,) = office.ledger.deliveries.due(office.now)
    Courier(
        ledger=office.ledger,
        senders={"dicom": office.post},
        peers={},
        ae_title="CDS",
        policy=RetryPolicy(),
        clock=lambda: office.now,
    ).deliver(delivery)
    assert "no peer 'pacs'" in office.study()["reason"]


def stored(name: str, writer: str, sop_class_uid: str = "") -> StoredFile:
    return StoredFile(
        name=name,
        media_type="",
        sop_instance_uid="2.25.1",
        sop_class_uid=sop_class_uid,
        path=name,
        sha256="",
        size=0,
        writer=writer,
    )


FILES = [
    stored("plain", "sr", SR_CLASSES["comprehensive"]),
    stored("3d", "sr", SR_CLASSES["comprehensive-3d"]),
    stored("pdf", "pdf", ENCAPSULATED_PDF),
    stored("seg", "seg", "1.2.840.10008.5.1.4.1.1.66.4"),
]


def taker(name: str, **profile: Any) -> Peer:
    return Peer(name=name, ae_title="X", host="127.0.0.1", port=104, send_results=True, **profile)


def had(files: Sequence[StoredFile], peer: Peer) -> list[str]:
    return [name for name, names in recipients(files, [peer]).items() if peer.name in names]


def test_a_peer_has_what_the_writers_that_it_names_made_and_one_structured_report() -> None:
    assert had(FILES, taker("a", sr_class="comprehensive")) == ["plain", "pdf"]
    assert had(FILES, taker("a", sr_class="comprehensive-3d")) == ["3d", "pdf"]
    assert had(FILES, taker("a", sr_class="comprehensive", send=("sr", "seg"))) == ["plain", "seg"]
    assert had(FILES, taker("a", send=("pdf",))) == ["pdf"]


def test_a_class_that_was_not_written_is_replaced_by_the_report_that_there_is() -> None:
    assert had(FILES, taker("a", sr_class="enhanced")) == ["plain", "pdf"]


def test_what_no_writer_signed_goes_to_everyone() -> None:
    assert had([stored("old", "", SR_CLASSES["comprehensive"])], taker("a", sr_class="enhanced", send=("pdf",))) == [
        "old"
    ]


def test_two_peers_with_two_classes_each_have_their_own() -> None:
    peers = [taker("a", sr_class="comprehensive"), taker("b", sr_class="comprehensive-3d")]
    assert recipients(FILES, peers) == {"plain": ("a",), "3d": ("b",), "pdf": ("a", "b"), "seg": ()}
