from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cds.domain.report import EncodedReport
from cds.store import Ledger
from cds.testing.intake import FiledIntake
from cds_pacs.testing.instances import COMPREHENSIVE_SR, ENCAPSULATED_PDF, received, small_data_set

STUDY = "2.25.1"
CONFIGURATION = """
data_dir = "data"
[[peers]]
name = "pacs"
ae_title = "PACS"
port = 104
send_results = true
[[peers]]
name = "archive"
ae_title = "ARCHIVE"
port = 105
send_results = true
send = ["pdf"]
[[peers]]
name = "modality"
ae_title = "CT1"
port = 106
"""


def cds(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cds.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which a node has worked: one study is REPORTED to `pacs`."""
    (tmp_path / "cds.toml").write_text(CONFIGURATION)
    now = datetime.now(UTC)
    with Ledger(tmp_path / "data") as ledger:
        intake = FiledIntake(ledger, lambda: now)
        intake.take(received(small_data_set()))
        intake.close()
        (receiving,) = ledger.jobs.receiving()
        ledger.jobs.complete(receiving, "", now)
        (job,) = ledger.jobs.open_jobs()
        ledger.jobs.begin(job, now)
        encodings = [
            EncodedReport(name=name, media_type="", content=b"", sop_instance_uid=uid, sop_class_uid=kind, writer=name)
            for name, uid, kind in (("sr", "2.25.8", COMPREHENSIVE_SR), ("pdf", "2.25.9", ENCAPSULATED_PDF))
        ]
        report = ledger.report_files.put(STUDY, job.id, encodings, revision=1, inputs_hash="")
        ledger.jobs.report(job, report, ["pacs"], now)
        for delivery in ledger.deliveries.due(now):
            ledger.deliveries.sent([file.delivery_id for file in delivery.files], now)
    return tmp_path


def due(folder: Path) -> list[tuple[str, list[str]]]:
    with Ledger(folder / "data") as ledger:
        found = ledger.deliveries.due(datetime.now(UTC))
        return sorted((one.peer, [file.sop_instance_uid for file in one.files]) for one in found)


def state(folder: Path) -> dict[str, Any]:
    with Ledger(folder / "data") as ledger:
        return dict(ledger.state(STUDY)["studies"][0])


def test_a_retry_makes_the_study_ready_again(folder: Path) -> None:
    answer = cds(folder, "retry", STUDY, "--json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["state"] == "READY"
    assert state(folder)["state"] == "READY"


def test_a_discarded_study_is_not_sent_again(folder: Path) -> None:
    answer = cds(folder, "discard", STUDY)
    assert answer.returncode == 0, answer.stderr
    assert "no node runs" in answer.stdout
    assert state(folder)["state"] == "DISCARDED"
    again = cds(folder, "resend", STUDY)
    assert again.returncode == 1
    assert "DISCARDED" in again.stderr


def test_a_resend_goes_to_every_peer_with_what_is_for_it(folder: Path) -> None:
    answer = cds(folder, "resend", STUDY)
    assert answer.returncode == 0, answer.stderr
    assert due(folder) == [("archive", ["2.25.9"]), ("pacs", ["2.25.8", "2.25.9"])]


def test_a_resend_goes_to_the_peer_that_is_named(folder: Path) -> None:
    answer = cds(folder, "resend", STUDY, "--peer", "archive", "--json")
    assert answer.returncode == 0, answer.stderr
    assert due(folder) == [("archive", ["2.25.9"])]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["retry", "2.25.404"], 1, "no study 2.25.404"),
        (["discard", "2.25.404"], 1, "no study 2.25.404"),
        (["resend", "2.25.404"], 1, "no study 2.25.404"),
        (["resend", STUDY, "--peer", "pax"], 2, "there are: pacs, archive, modality"),
        (["resend", STUDY, "--peer", "modality"], 2, "send_results"),
        (["retry"], 2, "Missing argument"),
        (["retry", STUDY, "--config", "nowhere.toml"], 2, "nowhere.toml"),
    ],
)
def test_what_cannot_be_done_says_why(folder: Path, arguments: list[str], status: int, said: str) -> None:
    answer = cds(folder, *arguments)
    assert answer.returncode == status
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert state(folder)["state"] == "REPORTED"


def test_where_no_node_has_run_there_is_nothing_to_act_on(tmp_path: Path) -> None:
    answer = cds(tmp_path, "retry", STUDY)
    assert answer.returncode == 2
    assert "no node has run here yet" in answer.stderr
