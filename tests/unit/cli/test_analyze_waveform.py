"""`cds analyze --waveform` and `cds train waveform`: what is wrong is said before anything is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cds.cli import app
from cds.errors import ConfigError
from cds.testing.phantoms.ecg import synthetic_ecg, write_wfdb
from cds.testing.phantoms.patient import PhantomStudy
from cds.testing.phantoms.xray import chest_xray_phantom


def test_a_waveform_of_another_kind_is_refused(tmp_path: Path) -> None:
    chest_xray_phantom(tmp_path / "study", pixels=128)
    text = tmp_path / "ecg.txt"
    text.write_text("no recording")
    result = CliRunner().invoke(
        app, ["analyze", str(tmp_path / "study"), "--waveform", str(text), "--out", str(tmp_path / "out")]
    )
    assert isinstance(result.exception, ConfigError)
    assert "neither a WFDB header nor DICOM" in str(result.exception)


def test_a_waveform_belongs_to_one_study(tmp_path: Path) -> None:
    for seed in (1, 2):
        chest_xray_phantom(tmp_path / "studies" / str(seed), study=PhantomStudy(seed=seed), pixels=128)
    header = write_wfdb(tmp_path, "ecg", synthetic_ecg())
    result = CliRunner().invoke(
        app, ["analyze", str(tmp_path / "studies"), "--waveform", str(header), "--out", str(tmp_path / "out")]
    )
    assert isinstance(result.exception, ConfigError)
    assert "a waveform belongs to one study" in str(result.exception)


def test_a_manifest_without_records_or_outcomes_is_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text("a,b\n1,2\n")
    arguments = ["train", "waveform", "--manifest", str(manifest), "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ConfigError)


@pytest.mark.parametrize("flag", [["--json"]])
def test_training_tells_its_figures_as_json(flag: list[str], tmp_path: Path) -> None:
    write_wfdb(tmp_path, "r", synthetic_ecg(seconds=120.0, hz=200.0, rhythm="extrasystoles"))
    manifest = tmp_path / "m.csv"
    manifest.write_text("record\nr\n")
    arguments = ["train", "waveform", "--manifest", str(manifest), "--out", str(tmp_path / "run"), *flag]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout.strip().splitlines()[-1])
    assert told["beats"] > 0
    assert (tmp_path / "run" / "model-card.md").is_file()
