"""A PACS that is down, frozen, rejecting, aborting, slow, or that says no: everything is delivered once."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from faults.senders import instance
from faults.stage import Stage


class Proxy:
    """Before the PACS: passes on, or keeps everything to itself, or takes its time."""

    def __init__(self) -> None:
        self.behind = 0
        self.frozen = threading.Event()
        self.pause_seconds = 0.0
        self.connections = 0
        self._over = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.2)
        self.port = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _accept(self) -> None:
        with self._server:
            while not self._over.is_set():
                try:
                    client, _ = self._server.accept()
                except TimeoutError:
                    continue
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.behind))
        except ConnectionRefusedError:
            client.close()
            return
        with client, server:
            other = {client: server, server: client}
            while not self._over.is_set():
                for sock in select.select(other, (), (), 0.1)[0]:
                    if self.frozen.is_set():
                        self._over.wait(0.1)
                        continue
                    self._over.wait(self.pause_seconds)
                    try:
                        part = sock.recv(2_000 if self.pause_seconds else 65_536)
                        if not part:
                            return
                        other[sock].sendall(part)
                    except OSError:
                        return


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory, proxy: Proxy) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("stage"), pacs_port=proxy.port)
    proxy.behind = stage.pacs.port
    stage.start()
    yield stage
    stage.close()


@pytest.fixture(autouse=True)
def well_again(common: Stage, proxy: Proxy) -> Iterator[None]:
    yield
    faults = common.pacs.faults
    faults.refuse = faults.abort = faults.abort_after_storing = False
    faults.statuses.clear()
    proxy.frozen.clear()
    proxy.pause_seconds = 0.0


def has_report(stage: Stage, study: int) -> Callable[[], bool]:
    return lambda: bool(stage.study(study)["reports"])


def test_a_pacs_that_is_down_gets_the_report_when_it_is_up(common: Stage) -> None:
    common.pacs.stop()
    with common.pulse():
        common.send(instance(1, 1), instance(2, 1))
        common.wait(has_report(common, 2), "reports that wait")
        assert {common.study(1)["state"], common.study(2)["state"]} == {"RUNNING"}
    common.pacs.start()
    common.check()


def test_a_pacs_that_is_frozen_holds_nobody_up_and_gets_the_report_when_it_thaws(common: Stage, proxy: Proxy) -> None:
    proxy.frozen.set()
    connections = proxy.connections
    with common.pulse():
        common.send(instance(3, 1))
        common.wait(lambda: proxy.connections >= connections + 1, "an attempt")
        common.wait(has_report(common, 3), "a report that waits")
        common.send(instance(4, 1))
        common.wait(has_report(common, 4), "a report of the next study")
    assert common.study(3)["state"] == "RUNNING"
    proxy.frozen.clear()
    common.check()


@pytest.mark.slow
def test_a_pacs_that_rejects_associations_gets_the_report_later(common: Stage) -> None:
    common.pacs.stop()  # and with it the association that the node keeps
    common.pacs.start()
    common.pacs.faults.refuse = True
    common.send(instance(5, 1))
    common.wait(has_report(common, 5), "a report that waits")
    assert common.study(5)["state"] == "RUNNING"
    common.pacs.faults.refuse = False
    common.check()


def test_a_pacs_that_aborts_gets_the_report_later(common: Stage) -> None:
    common.pacs.faults.abort = True
    common.send(instance(6, 1))
    common.wait(has_report(common, 6), "a report that waits")
    common.pacs.faults.abort = False
    common.check()


def test_a_pacs_that_stores_and_aborts_has_the_report_once(common: Stage) -> None:
    common.pacs.faults.abort_after_storing = True
    common.send(instance(7, 1))
    common.wait(lambda: common.pacs.structured_reports("2.25.7"), "the report at the PACS")
    assert common.study(7)["state"] == "RUNNING"
    common.pacs.faults.abort_after_storing = False
    common.check()


def test_a_slow_pacs_gets_the_report_once(common: Stage, proxy: Proxy) -> None:
    proxy.pause_seconds = 0.3
    with common.pulse():
        common.send(instance(8, 1))
        common.wait_for(8, "REPORTED")
    common.check()


@pytest.mark.slow
@pytest.mark.parametrize(("study", "statuses"), [(9, [0xA700]), (10, [0xA700, 0xA700]), (11, [0x0110])])
def test_a_pacs_that_is_busy_then_well_gets_the_report_once(common: Stage, study: int, statuses: list[int]) -> None:
    common.pacs.faults.statuses = list(statuses)
    common.send(instance(study, 1))
    common.check()


def test_a_pacs_that_says_duplicate_has_the_report(common: Stage) -> None:
    """0x0111: it has the instance (PS3.7 Annex C.5.7)."""
    common.pacs.faults.abort_after_storing = True
    common.send(instance(12, 1))
    common.wait(lambda: common.pacs.structured_reports("2.25.12"), "the report at the PACS")
    common.pacs.faults.statuses = [0x0111]
    common.pacs.faults.abort_after_storing = False
    common.check()


def test_a_pacs_that_refuses_for_good_is_told_at_once_and_visibly(common: Stage) -> None:
    common.pacs.faults.statuses = [0xA900] * 20
    common.send(instance(13, 1))
    row = common.wait_for(13, "FAILED")
    assert "0xA900" in row["reason"]
    assert common.pacs.structured_reports("2.25.13") == ()
    common.check({13: "FAILED"})


def test_it_stops_with_nothing_left_behind(common: Stage) -> None:
    common.stop()
    common.check()
