import json
import subprocess
import sys
from pathlib import Path

import pytest


def cds(*arguments: str, stdin: bytes = b"", folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "cds.cli", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, cwd=folder, timeout=120, check=False)


def test_each_line_is_a_report_of_its_own_and_keeps_its_order(tmp_path: Path) -> None:
    lines = "No pneumothorax.\n\n右侧胸腔积液。\n".encode()
    answer = cds("parse-report", "-", "--json", "--lines", stdin=lines, folder=tmp_path)
    first, empty, last = (json.loads(line) for line in answer.stdout.splitlines())
    assert (first["mentions"][0]["finding"], first["mentions"][0]["assertion"]) == ("pneumothorax", "ABSENT")
    assert empty["mentions"] == []
    assert (last["mentions"][0]["finding"], last["mentions"][0]["assertion"]) == ("pleural_effusion", "PRESENT")


def test_the_table_says_whose_a_finding_is_where_it_is_not_the_patient_s(tmp_path: Path) -> None:
    table = cds("parse-report", "-", stdin=b"Mother had lung cancer. No pneumothorax.", folder=tmp_path).stdout.decode()
    assert "family" in table
    assert "(patient)" not in table


def test_plugins_as_json_names_every_door_and_what_is_chosen(tmp_path: Path) -> None:
    doors = json.loads(cds("plugins", "--json", folder=tmp_path).stdout)
    assert len(doors) == 8
    assert doors["cds.fusion"]["transformer"]["chosen"]
    assert not doors["cds.fusion"]["late"]["chosen"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["parse-report", "nowhere.txt"], b"", "No such file"),
        (["parse-report", "-"], b"\xff\xfe", "not UTF-8"),
        (["state", "--json"], b"", "no node has run here yet"),
        (["show", "cds.toml"], b"", "not a report as JSON"),
        (["plugins", "--config", "typo.toml"], b"", "did you mean 'late'"),
        (["serve", "--config", "typo.toml"], b"", "did you mean 'late'"),
        (["analyze", "nowhere", "--out", "out"], b"", "no such file or folder"),
        (["analyze", "cds.toml", "--out", "cds.toml"], b"", "is a file; name a folder"),
        (["evaluate", "image", "--manifest", "cds.toml"], b"", "column"),
    ],
)
def test_wrong_usage_ends_with_two_and_says_what_would_be_right(
    tmp_path: Path, arguments: list[str], stdin: bytes, said: str
) -> None:
    (tmp_path / "cds.toml").write_text('data_dir = "data"\n')
    (tmp_path / "typo.toml").write_text('[models]\nfusion = "lat"\n')
    answer = cds(*arguments, stdin=stdin, folder=tmp_path)
    assert answer.returncode == 2
    assert said in answer.stderr.decode()
    assert b"Traceback" not in answer.stderr
