"""kill -9 of node, listener and worker at random moments under load: nothing lost, nothing twice.

``CDS_FAULT_KILLS=100`` makes it the full count; what is drawn follows from ``CDS_FAULT_SEED``.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from contextlib import suppress

import pytest

from faults.senders import instances
from faults.stage import Stage

KILLS = int(os.environ.get("CDS_FAULT_KILLS", "4"))
SEED = int(os.environ.get("CDS_FAULT_SEED", "1"))
STUDIES, EACH = 3, 4
VICTIMS = ("listener", "worker", "node", "all")


def strike(stage: Stage, victim: str) -> None:
    """Kill one of them, or all; where the node itself is gone, start it again."""
    if victim in ("listener", "worker"):
        with suppress(ProcessLookupError):  # it was being replaced at this moment
            os.kill(getattr(stage, victim), signal.SIGKILL)
        return
    if victim == "node":
        os.kill(stage.pid, signal.SIGKILL)
        stage.node.process.wait(60)
    else:
        stage.kill()
    stage.start()


@pytest.mark.timeout(120 + 20 * KILLS)
def test_killed_at_random_moments_under_load(stage: Stage) -> None:
    drawn, pause = random.Random(SEED), threading.Event()
    for number in range(KILLS):
        studies = range(1 + number * STUDIES, 1 + (number + 1) * STUDIES)
        for study in studies:
            stage.script.write(f"2.25.{study}", "slow")
        with stage.load(instances(studies, EACH, size=drawn.choice((0, 20_000, 1_500_000)))) as load:
            pause.wait(drawn.uniform(0.0, 1.8))
            strike(stage, VICTIMS[number % len(VICTIMS)] if number < len(VICTIMS) else drawn.choice(VICTIMS))
            load.finish()
    stage.check(seconds=60 + 2 * KILLS)
    stage.stop()
    stage.check()
