"""A wall clock that is set a day ahead, or back by an hour, while the node works."""

from __future__ import annotations

import pytest

from faults.senders import instance
from faults.stage import Stage

DAY, HOUR = 86_400, 3_600


def set_clock(stage: Stage, seconds: int) -> None:
    """Let the node's wall clock be wrong by so much from now on; its monotonic clock goes on as it is."""
    new = stage.folder / "clock.new"
    new.write_text(str(seconds))
    new.rename(stage.folder / "script" / "clock")


def tries(stage: Stage, study: int) -> int:
    """How often a delivery of the study's last report was tried and failed."""
    told = [way for report in stage.study(study)["reports"] for way in report["deliveries"]]
    return max((int(way["attempts"]) for way in told), default=0)


@pytest.mark.parametrize("seconds", [DAY, -HOUR])
def test_a_clock_that_is_set_while_a_study_arrives_loses_and_doubles_nothing(stage: Stage, seconds: int) -> None:
    with stage.pulse():
        assert stage.send(instance(1, 1)) == [0x0000]
        set_clock(stage, seconds)
        assert stage.send(instance(1, 2), instance(2, 1)) == [0x0000] * 2
        stage.check()
    assert stage.study(2)["attempts"] == 1


def test_a_clock_that_is_set_back_does_not_put_a_delivery_off(stage: Stage) -> None:
    set_clock(stage, DAY)
    stage.pacs.faults.refuse = True
    stage.send(instance(1, 1))
    stage.wait(lambda: tries(stage, 1) > 0, "a try that failed")
    stage.pacs.faults.refuse = False
    set_clock(stage, 0)
    stage.check()
