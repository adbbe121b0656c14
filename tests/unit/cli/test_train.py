"""`cds train`: what the options make of the settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cds.cli import app
from cds.errors import ConfigError
from cds.features.xray.model import SHIPPED
from cds.training import fusion, image, image_speed
from cds.training.fusion import FusionTraining
from cds.training.fusion import TrainResult as FusionResult
from cds.training.image import TrainResult as ImageResult
from cds.training.image import TrainSettings
from cds.training.image_speed import computes_in_bfloat16, with_speed


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """Settings that the commands train with; nothing is trained."""
    seen: list[Any] = []

    def image_train(manifest: Path, out: Path, *, settings: TrainSettings, progress: object) -> ImageResult:
        seen.append(settings)
        return ImageResult(weights=out, sidecar=out, card=out, metrics={}, skipped=0)

    def fusion_train(out: Path, *, manifest: Path | None, settings: FusionTraining, progress: object) -> FusionResult:
        seen.append(settings)
        return FusionResult(weights=out, card=out, metrics={})

    monkeypatch.setattr(image, "train", image_train)
    monkeypatch.setattr(fusion, "train", fusion_train)
    return seen


def on_a_machine(monkeypatch: pytest.MonkeyPatch, *, bfloat16: bool, compiler: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": bfloat16})
    monkeypatch.setattr(image_speed, "has_compiler", lambda: compiler)


@pytest.mark.parametrize(
    ("bfloat16", "compiler", "options", "half", "compiled"),
    [
        (False, True, [], False, False),
        (True, True, [], True, True),
        (True, False, [], True, False),
        (False, True, ["--bf16"], True, False),
        (False, True, ["--compile"], False, True),
        (True, True, ["--no-bf16", "--no-compile"], False, False),
    ],
)
def test_bfloat16_and_compilation_follow_the_options_else_the_machine(
    bfloat16: bool,
    compiler: bool,
    options: list[str],
    half: bool,
    compiled: bool,
    trained: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    on_a_machine(monkeypatch, bfloat16=bfloat16, compiler=compiler)
    command = ["train", "image", "--manifest", str(tmp_path / "m.csv"), "--out", str(tmp_path), "--device", "cpu"]
    result = CliRunner().invoke(app, [*command, *options])
    assert result.exit_code == 0, result.output
    assert (trained[0].half, trained[0].compiled) == (half, compiled)


def test_compilation_without_a_compiler_is_an_error_that_says_what_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_machine(monkeypatch, bfloat16=True, compiler=False)
    with pytest.raises(ConfigError, match=r"--compile needs a C\+\+ compiler"):
        with_speed(TrainSettings(device="cpu"), compiled=True)


def test_the_shipped_weights_were_trained_as_the_help_says() -> None:
    sidecar = json.loads(SHIPPED.with_suffix(".json").read_text(encoding="utf-8"))
    assert (sidecar["training"]["settings"]["half"], sidecar["training"]["settings"]["compiled"]) == (True, True)


def test_the_cpu_s_own_word_decides_about_bfloat16() -> None:
    stated = Path("/proc/cpuinfo")
    if not stated.is_file():
        pytest.skip("this system does not state the CPU's instructions in /proc/cpuinfo")
    assert computes_in_bfloat16(torch.device("cpu")) == ("avx512_bf16" in stated.read_text())


def test_embeddings_and_their_card_reach_the_training_of_the_fusion(trained: list[Any], tmp_path: Path) -> None:
    given = ["--embeddings", str(tmp_path / "held.npz"), "--xray-card", str(tmp_path / "model.json")]
    result = CliRunner().invoke(app, ["train", "fusion", "--out", str(tmp_path), *given])
    assert result.exit_code == 0, result.output
    assert (trained[0].embeddings, trained[0].xray_card) == (given[1], given[3])
    CliRunner().invoke(app, ["train", "fusion", "--out", str(tmp_path)])
    assert (trained[1].embeddings, trained[1].xray_card) == ("", "")


@pytest.mark.parametrize("option", ["--embeddings", "--xray-card"])
def test_one_without_the_other_is_refused_before_anything_is_trained(option: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", X=np.zeros((2, 3)), y=np.zeros(2), group=np.array(["a", "b"]))
    result = CliRunner().invoke(
        app, ["train", "fusion", "--out", str(tmp_path / "out"), option, str(tmp_path / "x.npz")]
    )
    assert result.exit_code != 0
    assert not (tmp_path / "out").exists()
    assert isinstance(result.exception, ConfigError)
