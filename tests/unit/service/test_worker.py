from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cds.errors import CdsError, ConfigError, UnusableStudy
from cds.service import InlineAnalyst, WorkerProcess
from cds.service.analysis import Analyse, AnalysisBroken, AnalysisCrashed, AnalysisInterrupted
from cds.store import Attempt, Job, StoredInstance
from cds.testing.stand_in import Script, make_stand_in
from cds_pacs.testing.instances import small_data_set, write_file

STUDY = "2.25.1"


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    path = write_file(tmp_path, small_data_set())
    instance = StoredInstance(sop_instance_uid="2.25.1.1", sop_class_uid="", transfer_syntax_uid="", path=path)
    job = Job(study_instance_uid=STUDY, generation=1)
    return Attempt(job=job, number=1, instances=(instance,), revision=1, predecessor="")


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path / "script")


@pytest.fixture
def worker(tmp_path: Path, script: Script) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(make_stand_in(tmp_path / "script"), timeout_seconds=60)
    yield worker
    worker.stop(0)


def test_an_analysis_in_the_worker_comes_back_whole(worker: WorkerProcess, attempt: Attempt) -> None:
    result = worker.analyse(attempt)
    assert result.encodings[0].content[128:132] == b"DICM"
    assert result == worker.analyse(attempt)


def test_a_worker_that_dies_is_replaced(worker: WorkerProcess, script: Script, attempt: Attempt) -> None:
    script.write(STUDY, "crash")
    with pytest.raises(AnalysisCrashed, match="died"):
        worker.analyse(attempt)
    assert worker.analyse(attempt).inputs_hash


@pytest.mark.parametrize(
    ("word", "error", "message"),
    [
        ("unusable", UnusableStudy, "nothing here can be read"),
        ("error", CdsError, "the slices do not lie on a grid"),
        ("defect", AnalysisBroken, "^the analysis raised ValueError$"),
    ],
)
def test_what_the_analysis_raises_comes_back_and_a_defect_without_its_message(
    worker: WorkerProcess, script: Script, attempt: Attempt, word: str, error: type[Exception], message: str
) -> None:
    script.write(STUDY, word)
    with pytest.raises(error, match=message):
        worker.analyse(attempt)


def test_an_analysis_that_hangs_is_ended(tmp_path: Path, script: Script, attempt: Attempt) -> None:
    script.write(STUDY, "hang")
    worker = WorkerProcess(make_stand_in(tmp_path / "script"), timeout_seconds=0.5)
    with pytest.raises(AnalysisCrashed, match=r"no answer within 0\.5 s"):
        worker.analyse(attempt)
    worker.stop(0)


def test_stopping_interrupts_a_long_analysis(worker: WorkerProcess, script: Script, attempt: Attempt) -> None:
    script.write(STUDY, "hang")
    raised: list[BaseException] = []

    def analyse() -> None:
        try:
            worker.analyse(attempt)
        except AnalysisInterrupted as error:
            raised.append(error)

    running = threading.Thread(target=analyse)
    running.start()
    worker.stop(0)
    running.join(60)
    assert len(raised) == 1
    with pytest.raises(AnalysisInterrupted):
        worker.analyse(attempt)


def test_models_that_break_while_loading_are_the_reason_of_every_failure(attempt: Attempt) -> None:
    worker = WorkerProcess(functools.partial(exec, "import cds.errors as e; raise e.EvidenceError('no model x')"))
    with pytest.raises(CdsError, match="no model x"):
        worker.analyse(attempt)
    worker.stop(0)


def test_inline_a_defect_loses_its_message_too(attempt: Attempt) -> None:
    def analyse(_: Attempt) -> object:
        raise ValueError("Canary^Yellow")

    with pytest.raises(AnalysisBroken, match=r"^the analysis raised ValueError$"):
        InlineAnalyst(analyse).analyse(attempt)  # type: ignore[arg-type]


def refusing() -> Analyse:
    raise ConfigError("no plugin named 'x'")


def test_what_cannot_be_loaded_is_told_and_costs_no_attempt(attempt: Attempt) -> None:
    worker = WorkerProcess(refusing)
    worker.start()
    try:
        with pytest.raises(AnalysisInterrupted):
            worker.analyse(attempt)
        assert worker.refusal() == "no plugin named 'x'"
        assert worker.refusal() == ""
    finally:
        worker.stop(0)


def test_a_worker_that_loaded_refuses_nothing(worker: WorkerProcess, script: Script, attempt: Attempt) -> None:
    worker.analyse(attempt)
    assert worker.refusal() == ""


LATE = "import threading, cds.errors as e; threading.Event().wait(1.5); raise e.EvidenceError('no model x')"


def test_the_time_of_an_analysis_begins_when_the_models_are_loaded(attempt: Attempt) -> None:
    worker = WorkerProcess(functools.partial(exec, LATE), timeout_seconds=1.0)
    with pytest.raises(CdsError, match="no model x"):
        worker.analyse(attempt)
    worker.stop(0)
