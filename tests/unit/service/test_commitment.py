from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cds.domain.report import EncodedReport
from cds.errors import DeliveryError, DeliveryPostponed
from cds.ports import CommitmentReported, CommitmentRequested, Peer, Reference
from cds.service import RetryPolicy
from cds.service.commitment import CommitmentPolicy, Notary
from cds.service.delivery import Courier
from cds.service.outbox import PeerQueue
from cds.store import Ledger
from cds.testing.intake import FiledIntake
from cds_pacs.testing.instances import COMPREHENSIVE_SR, received, small_data_set

PACS = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=104, send_results=True, commitment=True)
CT = "1.2.840.10008.5.1.4.1.1.2"


class Clerk:
    """A sender that remembers what it was asked, and answers as the test says."""

    def __init__(self) -> None:
        self.sent = 0
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.answered: list[tuple[str, dict[str, int]]] = []
        self.on_ask: Callable[[str], CommitmentReported | None] = lambda uid: None
        self.on_answer: Callable[[], None] = lambda: None

    def send(self, files: Sequence[Path], peer: Peer, *, calling_ae_title: str) -> None:
        self.sent += 1

    def ask(
        self, transaction_uid: str, references: Sequence[Reference], peer: Peer, *, calling_ae_title: str
    ) -> CommitmentReported | None:
        self.asked.append((transaction_uid, tuple(one.sop_instance_uid for one in references)))
        return self.on_ask(transaction_uid)

    def answer(
        self, transaction_uid: str, references: Sequence[Reference], peer: Peer, *, calling_ae_title: str
    ) -> None:
        self.answered.append((transaction_uid, {one.sop_instance_uid: one.failure for one in references}))
        self.on_answer()


class Office:
    """A report on its way to a peer that commits, and a clock."""

    def __init__(self, ledger: Ledger, peer: Peer = PACS) -> None:
        self.ledger = ledger
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.clerk = Clerk()
        self.courier = Courier(
            ledger=ledger,
            senders={"dicom": self.clerk},
            peers={peer.name: peer},
            ae_title="CDS",
            policy=RetryPolicy(),
            clock=lambda: self.now,
            chance=lambda: 0.0,
        )
        self.notary = Notary(courier=self.courier, policy=CommitmentPolicy())
        self.queue = PeerQueue(peer=peer, courier=self.courier, notary=self.notary)
        self.intake = FiledIntake(ledger, lambda: self.now)
        self.intake.take(received(small_data_set()))
        (receiving,) = ledger.jobs.receiving()
        ledger.jobs.complete(receiving, "", self.now)
        (job,) = ledger.jobs.open_jobs()
        ledger.jobs.begin(job, self.now)
        sr = EncodedReport(
            name="sr", media_type="", content=b"", sop_instance_uid="2.25.8", sop_class_uid=COMPREHENSIVE_SR
        )
        report = ledger.report_files.put(job.study_instance_uid, job.id, [sr], revision=1, inputs_hash="")
        ledger.jobs.report(job, report, [peer.name], self.now)

    def work(self, **later: float) -> None:
        self.now += timedelta(**later)
        self.notary.take_notices()
        self.queue.work(lambda: False)

    def delivery(self) -> str:
        return str(self.ledger.state()["studies"][0]["reports"][0]["delivery"])

    def history(self) -> list[str]:
        return [f"{kind}: {detail}" for _, kind, detail in self.ledger.history("2.25.1")]

    def said(self, uid: str, failure: int = 0) -> CommitmentReported:
        reference = Reference(sop_class_uid=COMPREHENSIVE_SR, sop_instance_uid="2.25.8", failure=failure)
        return CommitmentReported(
            transaction_uid=uid, references=(reference,), calling_ae_title="PACS", address="127.0.0.1"
        )


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Ledger(tmp_path / "data") as ledger:
        office = Office(ledger)
        yield office
        office.intake.close()


def test_what_a_peer_accepted_it_is_asked_to_keep_a_moment_later(office: Office) -> None:
    office.work()
    assert (office.clerk.sent, office.clerk.asked) == (1, [])
    office.work(seconds=3)
    ((uid, asked),) = office.clerk.asked
    assert uid.startswith("2.25.") and len(uid) <= 64
    assert asked == ("2.25.8",)
    assert office.delivery() == "SENT"


def test_an_answer_to_the_listener_makes_it_committed(office: Office) -> None:
    office.work()
    office.work(seconds=3)
    office.intake.notice(office.said(office.clerk.asked[0][0]))
    office.work(seconds=1)
    assert office.delivery() == "COMMITTED"
    assert office.ledger.notices.waiting(CommitmentReported) == ()


def test_an_answer_over_the_same_association_makes_it_committed(office: Office) -> None:
    office.clerk.on_ask = office.said
    office.work()
    office.work(seconds=3)
    assert office.delivery() == "COMMITTED"


def test_what_the_peer_does_not_keep_is_sent_again_and_asked_for_again(office: Office) -> None:
    failures = iter([0x0112, 0])
    office.clerk.on_ask = lambda uid: office.said(uid, next(failures))
    office.work()
    office.work(seconds=3)
    assert office.clerk.sent == 2
    office.work(seconds=3)
    assert office.delivery() == "COMMITTED"
    assert len({uid for uid, _ in office.clerk.asked}) == 2


def test_what_the_peer_never_keeps_stays_sent_with_the_reason(office: Office) -> None:
    office.clerk.on_ask = lambda uid: office.said(uid, 0x0213)
    for _ in range(20):
        office.work(seconds=3)
    assert office.clerk.sent == 3
    assert office.delivery() == "SENT"
    assert any("commitment refused" in line and "0x0213" in line for line in office.history())


def test_a_peer_that_does_not_answer_is_asked_three_times_an_hour_apart(office: Office) -> None:
    office.work()
    for _ in range(24):
        office.work(minutes=15)
    uids = [uid for uid, _ in office.clerk.asked]
    assert len(uids) == len(set(uids)) == 3
    assert office.delivery() == "SENT"
    assert any("gave no answer to 3" in line for line in office.history())


def test_a_peer_that_is_down_is_asked_once_it_is_back(office: Office) -> None:
    def down(_: str) -> None:
        raise DeliveryPostponed("connection refused")

    office.work()
    office.clerk.on_ask = down
    for _ in range(60):
        office.work(minutes=2)
    asked = len(office.clerk.asked)
    assert asked > 3
    office.clerk.on_ask = office.said
    for _ in range(6):
        office.work(minutes=2)
    assert len(office.clerk.asked) == asked + 1
    assert office.delivery() == "COMMITTED"


def test_a_peer_that_does_no_commitment_keeps_what_it_has_as_sent_and_says_why(office: Office) -> None:
    def refuse(_: str) -> None:
        raise DeliveryError("peer 'pacs' does not do storage commitment")

    office.clerk.on_ask = refuse
    office.work()
    for _ in range(10):
        office.work(hours=1)
    assert len(office.clerk.asked) == 1
    assert office.delivery() == "SENT"
    assert any("does not do storage commitment" in line for line in office.history())


def test_a_defect_of_the_sender_is_tried_again_and_its_message_goes_nowhere(office: Office) -> None:
    def defect(_: str) -> None:
        raise ValueError("Canary^Yellow")

    office.clerk.on_ask = defect
    office.work()
    office.work(seconds=3)
    office.work(minutes=11)
    assert len(office.clerk.asked) == 2
    assert not any("Canary" in line for line in office.history())


def test_a_peer_without_commitment_is_never_asked(tmp_path: Path) -> None:
    plain = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=104, send_results=True)
    with Ledger(tmp_path / "data") as ledger:
        office = Office(ledger, plain)
        for _ in range(5):
            office.work(hours=1)
        assert office.clerk.asked == []
        assert office.delivery() == "SENT"
        office.intake.close()


def ask_us(office: Office, *uids: str, ae_title: str = "PACS", address: str = "127.0.0.1") -> None:
    references = tuple(Reference(sop_class_uid=CT, sop_instance_uid=uid) for uid in uids)
    office.intake.notice(
        CommitmentRequested(transaction_uid="2.25.7", references=references, calling_ae_title=ae_title, address=address)
    )


def stored(office: Office) -> str:
    return str(office.ledger.state()["instances"][0]["sop_instance_uid"])


def test_a_peer_that_asks_is_told_that_we_keep_what_it_sent(office: Office) -> None:
    ask_us(office, stored(office))
    office.work()
    assert office.clerk.answered == [("2.25.7", {stored(office): 0})]
    office.work(hours=1)
    assert len(office.clerk.answered) == 1


def test_what_never_came_is_told_so_once_it_cannot_be_on_its_way_any_more(office: Office) -> None:
    ask_us(office, stored(office), "2.25.404")
    office.work()
    assert office.clerk.answered == []
    for _ in range(12):
        office.work(seconds=1)
    assert office.clerk.answered == [("2.25.7", {stored(office): 0, "2.25.404": 0x0112})]


def test_an_answer_that_the_peer_cannot_take_now_is_given_later(office: Office) -> None:
    def down() -> None:
        raise DeliveryPostponed("connection refused")

    office.clerk.on_answer = down
    ask_us(office, stored(office))
    office.work()
    office.clerk.on_answer = lambda: None
    office.work(seconds=29)
    assert len(office.clerk.answered) == 1
    office.work(seconds=2)
    assert len(office.clerk.answered) == 2
    office.work(hours=1)
    assert len(office.clerk.answered) == 2


@pytest.mark.parametrize("stranger", [{"ae_title": "STRANGER"}, {"address": "192.0.2.1"}, {"address": "nowhere"}])
def test_a_stranger_that_asks_is_logged_and_not_answered(
    office: Office, stranger: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    ask_us(office, stored(office), **stranger)
    office.work()
    assert office.clerk.answered == []
    assert "no peer of ours" in caplog.text
    assert office.ledger.notices.waiting(CommitmentRequested) == ()


def test_an_answer_to_what_was_never_asked_is_logged_and_believed_by_nobody(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.work()
    office.intake.notice(office.said("2.25.66"))
    office.work(seconds=1)
    assert office.delivery() == "SENT"
    assert "never asked" in caplog.text
