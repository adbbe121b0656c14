from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from cds_pacs.testing.reactor import mend_reactor
from support import orthanc

mend_reactor()


@pytest.fixture
def free_port() -> int:
    return orthanc.free_port()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait until something is true, at most 120 s."""

    def wait(condition: Callable[[], object]) -> None:
        deadline, pause = time.monotonic() + 120, threading.Event()
        while not condition():
            assert time.monotonic() < deadline, "it did not become true in time"
            pause.wait(0.05)

    return wait
