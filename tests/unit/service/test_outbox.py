from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from cds.errors import DeliveryError, DeliveryPostponed, OutOfResources
from cds.ports import Peer
from cds.service import RetryPolicy
from cds.service.commitment import Notary
from cds.service.delivery import Courier
from cds.service.outbox import Outbox, PeerQueue
from cds.store import Ledger
from cds.store.database import stamp
from cds.store.tables import DELIVERIES, REPORT_FILES, REPORTS, STUDIES

SR = "1.2.840.10008.5.1.4.1.1.88.33"


def peer(name: str) -> Peer:
    return Peer(name=name, ae_title=name.upper(), host="127.0.0.1", port=104, send_results=True)


class Post:
    """A sender whose peers do what the test says; counts what each has accepted."""

    def __init__(self) -> None:
        self.accepted: Counter[tuple[str, str]] = Counter()
        self.tries: Counter[str] = Counter()
        self.behave: Callable[[str, str], None] = lambda peer, file: None
        self.closed = False

    def send(self, files: Sequence[Path], peer: Peer, *, calling_ae_title: str) -> None:
        self.tries[peer.name] += 1
        for file in files:
            self.behave(peer.name, file.name)
            self.accepted[peer.name, file.name] += 1

    def close(self) -> None:
        self.closed = True


class Town:
    """A ledger with reports that wait, a clock, and an outbox."""

    def __init__(self, ledger: Ledger, *peers: str, policy: RetryPolicy | None = None) -> None:
        self.ledger = ledger
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.post = Post()
        self.courier = Courier(
            ledger=ledger,
            senders={"dicom": self.post},
            peers={name: peer(name) for name in peers},
            ae_title="CDS",
            policy=policy or RetryPolicy(),
            clock=lambda: self.now,
            chance=lambda: 0.0,
        )
        self.notary = Notary(courier=self.courier)
        self.queues = [
            PeerQueue(peer=one, courier=self.courier, notary=self.notary) for one in self.courier.peers.values()
        ]

    def reports(self, count: int, *peers: str) -> None:
        """Enter reports of one file each, all at once."""
        now, numbers = stamp(self.now), range(1, count + 1)
        with self.ledger.deliveries._database.writing() as connection:
            studies = [
                {
                    "study_instance_uid": f"2.25.{n}",
                    "state": "RUNNING",
                    "first_received_at": now,
                    "last_received_at": now,
                    "changed_at": now,
                }
                for n in numbers
            ]
            connection.execute(insert(STUDIES), studies)
            reports = [
                {
                    "id": n,
                    "study_instance_uid": f"2.25.{n}",
                    "revision": 1,
                    "generation": 0,
                    "sop_instance_uid": f"2.25.{n}.1",
                    "inputs_hash": "",
                    "created_at": now,
                }
                for n in numbers
            ]
            connection.execute(insert(REPORTS), reports)
            files = [
                {
                    "id": n,
                    "report_id": n,
                    "position": 0,
                    "name": "sr",
                    "media_type": "",
                    "sop_instance_uid": f"2.25.{n}.1",
                    "sop_class_uid": SR,
                    "path": f"{n}.dcm",
                    "sha256": "",
                    "size": 0,
                }
                for n in numbers
            ]
            connection.execute(insert(REPORT_FILES), files)
            ways = [
                {"file_id": n, "peer": name, "state": "PENDING", "first_at": now, "next_at": now}
                for n in numbers
                for name in peers
            ]
            connection.execute(insert(DELIVERIES), ways)

    def look(self) -> None:
        for queue in self.queues:
            queue.work(lambda: False)

    def pass_time(self, *, until: timedelta, step: timedelta = timedelta(seconds=5)) -> None:
        end = self.now + until
        while self.now < end:
            self.look()
            self.now += step

    def states(self) -> Counter[str]:
        return Counter(study["state"] for study in self.ledger.state()["studies"])


def down(*_: str) -> None:
    raise DeliveryPostponed("connection refused")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "data") as ledger:
        yield ledger


def test_a_pacs_that_is_down_for_10_minutes_then_up_has_everything_once(ledger: Ledger) -> None:
    town = Town(ledger, "pacs")
    town.reports(50, "pacs")
    town.post.behave = down
    town.pass_time(until=timedelta(minutes=10))
    assert town.states() == {"RUNNING": 50}
    assert not town.post.accepted
    town.post.behave = lambda peer, file: None
    town.pass_time(until=timedelta(minutes=12))
    assert town.states() == {"REPORTED": 50}
    assert set(town.post.accepted.values()) == {1}
    assert len(town.post.accepted) == 50


def test_a_peer_that_is_down_is_probed_and_not_tried_piece_by_piece(ledger: Ledger) -> None:
    town = Town(ledger, "pacs")
    town.reports(50, "pacs")
    town.post.behave = down
    town.pass_time(until=timedelta(minutes=10))
    assert 10 <= town.post.tries["pacs"] <= 20


def test_once_a_peer_is_back_what_waits_goes_out_within_a_minute(ledger: Ledger) -> None:
    town = Town(ledger, "pacs")
    town.reports(50, "pacs")
    town.post.behave = down
    town.pass_time(until=timedelta(hours=2))
    town.post.behave = lambda peer, file: None
    town.pass_time(until=timedelta(seconds=65))
    assert town.states()["REPORTED"] >= 30  # the others were probes, and wait for their own next time
    town.pass_time(until=timedelta(minutes=11))
    assert town.states() == {"REPORTED": 50}


def test_one_report_that_a_peer_never_takes_does_not_hold_up_the_others(ledger: Ledger) -> None:
    town = Town(ledger, "pacs")
    town.reports(20, "pacs")

    def choke(_: str, file: str) -> None:
        if file == "7.dcm":
            raise DeliveryPostponed("0x0110")

    town.post.behave = choke
    town.look()
    assert town.states() == {"REPORTED": 19, "RUNNING": 1}


def test_a_refusal_is_final_at_once_and_says_nothing_of_the_peer(ledger: Ledger) -> None:
    town = Town(ledger, "pacs")
    town.reports(5, "pacs")

    def refuse(_: str, file: str) -> None:
        if file != "5.dcm":
            raise DeliveryError("0xA900")

    town.post.behave = refuse
    town.look()
    assert town.states() == {"FAILED": 4, "REPORTED": 1}
    assert town.post.tries["pacs"] == 5


def test_when_the_time_to_try_is_over_everything_that_waits_is_failed_and_says_so(ledger: Ledger) -> None:
    town = Town(ledger, "pacs", policy=RetryPolicy(give_up_hours=2))
    town.reports(40, "pacs")
    town.post.behave = down
    town.pass_time(until=timedelta(minutes=115), step=timedelta(minutes=1))
    assert town.states() == {"RUNNING": 40}
    town.pass_time(until=timedelta(minutes=25), step=timedelta(minutes=1))
    assert town.states() == {"FAILED": 40}
    assert all("given up after 2 h" in study["reason"] for study in ledger.state()["studies"])


def test_a_refusal_is_told_in_the_log_with_its_reason(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    town = Town(ledger, "pacs")
    town.reports(1, "pacs")

    def refuse(*_: str) -> None:
        raise DeliveryError("0xA900")

    town.post.behave = refuse
    town.pass_time(until=timedelta(minutes=5))
    assert caplog.messages == ["study 2.25.1: FAILED: 1 of 1 files to peer pacs: 0xA900"]


def test_a_peer_that_goes_silent_and_comes_back_is_told_once_each(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    town = Town(ledger, "pacs")
    town.reports(20, "pacs")
    town.post.behave = down
    town.pass_time(until=timedelta(minutes=10))
    assert caplog.messages == ["peer pacs takes nothing now and is tried again; 'cds state' says why"]
    town.post.behave = lambda peer, file: None
    town.pass_time(until=timedelta(minutes=12))
    assert caplog.messages[1:] == ["peer pacs is back: what waits for it is delivered"]


def test_a_backlog_of_5000_is_looked_at_a_part_at_a_time(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(ledger, "pacs", "other")
    town.reports(5000, "pacs")
    town.post.behave = down
    town.look()
    assert len(ledger.deliveries.due(town.now, "pacs", limit=16)) == 16
    assert not town.queues[0].due(), "the peer rests"
    assert not town.queues[1].due(), "nothing is for the other one"
    assert town.post.tries["pacs"] == 2


def test_revisions_that_wait_for_an_earlier_one_are_not_asked_for_all_the_time(ledger: Ledger) -> None:
    town = Town(ledger, "pacs")
    town.reports(1, "pacs")
    town.post.behave = down
    town.look()
    town.post.behave = lambda peer, file: None
    with ledger.deliveries._database.writing() as connection:
        connection.execute(
            insert(REPORTS).values(
                id=2,
                study_instance_uid="2.25.1",
                revision=2,
                generation=1,
                sop_instance_uid="2.25.2.1",
                inputs_hash="",
                created_at=stamp(town.now),
            )
        )
        connection.execute(
            insert(REPORT_FILES).values(
                id=2,
                report_id=2,
                position=0,
                name="sr",
                media_type="",
                sop_instance_uid="2.25.2.1",
                sop_class_uid=SR,
                path="2.dcm",
                sha256="",
                size=0,
            )
        )
        connection.execute(
            insert(DELIVERIES).values(
                file_id=2, peer="pacs", state="PENDING", first_at=stamp(town.now), next_at=stamp(town.now)
            )
        )
    town.look()
    assert not town.queues[0].due()
    town.pass_time(until=timedelta(seconds=40))
    assert list(town.post.accepted) == [("pacs", "1.dcm"), ("pacs", "2.dcm")]


class Street:
    """An outbox with its threads, and a peer that hangs until it is let go."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.outbox = Outbox(courier=town.courier, notary=town.notary)
        self.let_go = threading.Event()
        self.hanging = threading.Semaphore(0)
        town.post.behave = self._behave
        self.outbox.start()

    def _behave(self, peer: str, file: str) -> None:
        if peer == "frozen":
            self.hanging.release()
            self.let_go.wait(120)
            raise DeliveryPostponed("no answer in time")

    def until(self, condition: Callable[[], object]) -> None:
        deadline, pause = time.monotonic() + 120, threading.Event()
        while not condition():
            assert time.monotonic() < deadline, "it did not become true in time"
            self.outbox.look()
            pause.wait(0.02)


@pytest.fixture
def street(ledger: Ledger) -> Iterator[Street]:
    street = Street(Town(ledger, "frozen", "pacs"))
    yield street
    street.let_go.set()
    street.outbox.stop(30)


def test_a_peer_that_hangs_holds_one_thread_and_nobody_else_up(street: Street) -> None:
    street.town.reports(30, "frozen", "pacs")
    street.outbox.look()
    assert street.hanging.acquire(timeout=60)
    street.until(lambda: sum(street.town.post.accepted.values()) == 30)
    assert {name for name, _ in street.town.post.accepted} == {"pacs"}
    assert street.town.post.tries["frozen"] == 1


def test_threads_end_when_there_is_nothing_to_do(street: Street) -> None:
    street.town.reports(3, "pacs")
    street.until(lambda: sum(street.town.post.accepted.values()) == 3)
    street.until(lambda: not any(thread.name.startswith("cds-outbox") for thread in threading.enumerate()))


def test_a_stop_does_not_wait_for_a_peer_that_hangs_and_the_delivery_is_still_to_be_made(street: Street) -> None:
    street.town.reports(2, "frozen")
    street.outbox.look()
    assert street.hanging.acquire(timeout=60)
    street.outbox.stop(0.05)
    assert street.town.post.closed
    assert len(street.town.ledger.deliveries.due(street.town.now, "frozen")) == 2
    street.outbox.look()
    assert street.town.post.tries["frozen"] == 1


def test_a_database_that_is_busy_ends_no_queue(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds.service.outbox._BUSY_SECONDS", 0.01)
    deliver = Courier.deliver
    failures = iter([OutOfResources("locked"), ValueError("Canary^Yellow")])

    def busy_once(courier: Courier, delivery: object) -> bool:
        if error := next(failures, None):
            raise error
        return deliver(courier, delivery)  # type: ignore[arg-type]

    monkeypatch.setattr(Courier, "deliver", busy_once)
    street.town.reports(1, "pacs")
    street.until(lambda: sum(street.town.post.accepted.values()) == 1)


def test_what_waits_for_a_peer_that_is_configured_no_more_is_failed_at_the_start(ledger: Ledger) -> None:
    town = Town(ledger, "pacs")
    town.reports(100, "gone")
    Outbox(courier=town.courier, notary=town.notary).start()
    assert town.states() == {"FAILED": 100}
    assert "no peer 'gone'" in ledger.state()["studies"][0]["reason"]


def test_a_clock_that_is_set_back_puts_nothing_off(street: Street) -> None:
    town = street.town
    town.post.behave = down
    town.reports(1, "pacs")
    street.until(lambda: town.post.tries["pacs"] == 1)
    street.until(lambda: not town.ledger.deliveries.due(town.now))
    town.post.behave = lambda peer, file: None
    town.now -= timedelta(hours=1)
    street.until(lambda: sum(town.post.accepted.values()) == 1)


def test_a_clock_that_was_set_back_while_the_node_was_down_puts_nothing_off(ledger: Ledger) -> None:
    town = Town(ledger, "pacs")
    town.reports(2, "pacs")
    due = town.now
    town.now -= timedelta(minutes=11)
    Outbox(courier=town.courier, notary=town.notary).start()
    assert ledger.deliveries.due(town.now) == ()  # eleven minutes are within what the policy may put off
    town.now = due - timedelta(hours=1)
    Outbox(courier=town.courier, notary=town.notary).start()
    assert len(ledger.deliveries.due(town.now)) == 2
