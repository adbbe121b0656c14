"""A worker that hangs, crashes, is killed or stopped; models and plugins that cannot be used; a long queue."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cds.ports import EXTRACTORS
from faults.senders import instance, instances
from faults.stage import Stage, utc_now

ANALYSIS_SECONDS = 4.0


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("stage"), analysis_seconds=ANALYSIS_SECONDS)
    stage.start()
    yield stage
    stage.close()


def test_a_worker_killed_in_the_middle_is_one_attempt_and_the_study_is_reported(common: Stage) -> None:
    common.script.write("2.25.1", "hang")
    common.send(instance(1, 1))
    common.wait(lambda: common.script.runs("2.25.1") == 1, "an analysis")
    with common.pulse():
        os.kill(common.worker, signal.SIGKILL)
        common.check()
    assert common.study(1)["attempts"] == 2


def test_a_worker_stopped_beyond_its_time_is_replaced(common: Stage) -> None:
    common.script.write("2.25.2", "hang")
    common.send(instance(2, 1))
    common.wait(lambda: common.script.runs("2.25.2") == 1, "an analysis")
    stopped = common.worker
    with common.pulse():
        os.kill(stopped, signal.SIGSTOP)
        common.wait_for(2, "REPORTED")
    assert not Path(f"/proc/{stopped}").exists()
    common.check()


def test_a_poison_study_is_quarantined_after_three_attempts_and_the_queue_goes_on(common: Stage) -> None:
    common.script.write("2.25.3", *["crash"] * 10)
    common.script.write("2.25.4", *["hang"] * 10)
    common.send(instance(3, 1), instance(4, 1), instance(5, 1))
    with common.pulse():
        common.check({3: "QUARANTINED", 4: "QUARANTINED"})
    assert [common.script.runs(f"2.25.{study}") for study in (3, 4, 5)] == [3, 3, 1]
    assert common.pacs.structured_reports("2.25.3") == common.pacs.structured_reports("2.25.4") == ()


@pytest.mark.parametrize(
    ("study", "word", "state"), [(6, "error", "FAILED"), (7, "defect", "FAILED"), (8, "unusable", "SKIPPED")]
)
def test_an_analysis_that_raises_ends_its_study_and_nothing_else(
    common: Stage, study: int, word: str, state: str
) -> None:
    common.script.write(f"2.25.{study}", word)
    common.send(instance(study, 1))
    common.check({study: state})
    assert common.study(study)["reason"]


def test_a_study_discarded_while_it_is_analysed_leaves_no_file(common: Stage) -> None:
    common.script.write("2.25.9", "slow")
    common.send(instance(9, 1))
    common.wait(lambda: common.script.runs("2.25.9") == 1, "an analysis")
    with common.ledger() as ledger:
        ledger.levers.discard("2.25.9", utc_now())
    common.send(instance(10, 1))
    common.check({9: "DISCARDED"})


def test_it_stops_with_nothing_left_behind(common: Stage) -> None:
    common.stop()
    common.check()


def test_terminated_under_load_it_leaves_in_time_and_loses_nothing(stage: Stage) -> None:
    files = instances(range(1, 5), 20, size=100_000)
    for study in range(1, 5):
        stage.script.write(f"2.25.{study}", "slow")
    with stage.load(files, at_a_time=4) as load:
        stage.wait(lambda: len(stage.sent.accepted) > 10, "the load")
        stage.stop()  # within 30 s, with status 0
        stage.start()
        load.finish()
    stage.check()
    stage.stop()


@pytest.mark.timeout(7200)
def test_many_queued_studies_are_worked_off(stage: Stage) -> None:
    count = int(os.environ.get("CDS_FAULT_QUEUED", "30"))
    stage.script.write("2.25.1", "hang")
    with stage.pulse():
        stage.send(instance(1, 1))
        stage.wait(lambda: stage.script.runs("2.25.1") == 1, "an analysis")
        assert set(stage.send(*instances(range(2, count + 2), 1))) == {0x0000}
        stage.wait(lambda: stage.filed(), "the journals to be filed", 60 + count / 10)
        stage.script.release()
        stage.check(seconds=60 + count)
    stage.stop()


def plugin(folder: Path, body: str) -> str:
    """Install an extractor ``faulty`` for those who have this folder on their path."""
    (folder / "faulty-1.dist-info").mkdir(parents=True)
    (folder / "faulty-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1\n")
    (folder / "faulty-1.dist-info" / "entry_points.txt").write_text(f"[{EXTRACTORS}]\nfaulty = faulty:Faulty\n")
    (folder / "faulty.py").write_text(body)
    return str(folder)


RAISING = "raise RuntimeError('no such library')\n"
EXITING = "import os\nos._exit(3)\n"
CRASHING = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
FAULTY = '[models]\nextractors = ["faulty"]\nfusion = "late"\nknowledge = []\n'


def test_a_plugin_that_raises_at_import_stops_the_node_with_a_sentence_and_loses_nothing(
    stage_of: Callable[..., Stage], tmp_path: Path
) -> None:
    stage = stage_of(real=True, extra=FAULTY)
    stage.environment["PYTHONPATH"] = plugin(tmp_path / "plugin", RAISING)
    said = stage.refuses_to_start()
    assert "'faulty'" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("body", [EXITING, pytest.param(CRASHING, marks=pytest.mark.slow)])
def test_a_plugin_that_ends_its_process_costs_attempts_and_not_the_node(
    stage_of: Callable[..., Stage], tmp_path: Path, body: str
) -> None:
    stage = stage_of(real=True, extra=FAULTY)
    stage.environment["PYTHONPATH"] = plugin(tmp_path / "plugin", body)
    stage.start()
    with stage.pulse():
        assert stage.send(instance(1, 1)) == [0x0000]
        stage.check({1: "QUARANTINED"})
    stage.stop()
