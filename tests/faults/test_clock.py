"""A wall clock that is set a day ahead, or back by an hour, while the node works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.senders import instance
from faults.stage import Stage

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed: apt-get install faketime")


class Clock:
    """The wall clock of a node; the monotonic one goes on as it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.set("+0")

    def set(self, offset: str) -> None:
        """By how much it is wrong from now on, as libfaketime writes it: ``+1d``, ``-1h``."""
        self.path.with_suffix(".new").write_text(offset + "\n")
        self.path.with_suffix(".new").rename(self.path)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@pytest.fixture
def timed(stage_of: Callable[..., Stage], tmp_path: Path) -> Iterator[tuple[Stage, Clock]]:
    clock = Clock(tmp_path / "clock")
    stage = stage_of()
    stage.environment |= clock.environment
    stage.start()
    yield stage, clock


def tries(stage: Stage, study: int) -> int:
    """How often a delivery of the study's last report was tried and failed."""
    told = [way for report in stage.study(study)["reports"] for way in report["deliveries"]]
    return max((int(way["attempts"]) for way in told), default=0)


@pytest.mark.parametrize("offset", ["+1d", "-1h"])
def test_a_clock_that_is_set_while_a_study_arrives_loses_and_doubles_nothing(
    timed: tuple[Stage, Clock], offset: str
) -> None:
    stage, clock = timed
    with stage.pulse():
        assert stage.send(instance(1, 1)) == [0x0000]
        clock.set(offset)
        assert stage.send(instance(1, 2), instance(2, 1)) == [0x0000] * 2
        stage.check()
    assert stage.study(2)["attempts"] == 1


def test_a_clock_that_is_set_back_does_not_put_a_delivery_off(timed: tuple[Stage, Clock]) -> None:
    stage, clock = timed
    clock.set("+1d")
    stage.pacs.faults.refuse = True
    stage.send(instance(1, 1))
    stage.wait(lambda: tries(stage, 1) > 0, "a try that failed")
    stage.pacs.faults.refuse = False
    clock.set("+0")
    stage.check()
