from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from cds.ports import ListenerAddress, Peer
from cds_dicomweb.listener import DicomWebListener, ListenerSettings
from cds_dicomweb.testing import Origin, RememberingIntake

CALLER = Peer(name="caller", ae_title="CALLER", host="127.0.0.1", port=1, via="dicomweb")


def address_with(**changes: object) -> ListenerAddress:
    values: dict[str, object] = {"ae_title": "CDS", "host": "127.0.0.1", "port": 0, "max_associations": 8}
    return ListenerAddress(**{**values, "accept_unknown": False, "peers": (CALLER,), **changes})  # type: ignore[arg-type]


class Node:
    """A listener with an intake that remembers."""

    def __init__(self, settings: ListenerSettings, address: ListenerAddress, intake: RememberingIntake) -> None:
        self.intake = intake
        self.listener = DicomWebListener(settings)
        self.port = self.listener.start(address, intake)
        self.url = f"http://127.0.0.1:{self.port}/dicom-web"


@pytest.fixture
def node() -> Iterator[Callable[..., Node]]:
    """Start a listener; keyword arguments are its settings, `address` and `intake` are what they say."""
    started: list[Node] = []

    def start(
        address: ListenerAddress | None = None, intake: RememberingIntake | None = None, **settings: object
    ) -> Node:
        made = Node(ListenerSettings(**settings), address or address_with(), intake or RememberingIntake())  # type: ignore[arg-type]
        started.append(made)
        return made

    yield start
    for one in started:
        one.listener.stop()


@pytest.fixture
def listening() -> Callable[..., ListenerAddress]:
    """An address on loopback that `CALLER` may call, with changes."""
    return address_with


@pytest.fixture
def caller() -> Peer:
    return CALLER


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait until something is true, at most 120 s."""

    def wait(condition: Callable[[], object]) -> None:
        deadline, pause = time.monotonic() + 120, threading.Event()
        while not condition():
            assert time.monotonic() < deadline, "it did not become true in time"
            pause.wait(0.02)

    return wait
