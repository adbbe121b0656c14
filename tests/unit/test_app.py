"""What cannot be loaded stops the node with its reason, before a study has failed of it."""

import shutil
from pathlib import Path

import pytest

from cds import app
from cds.config import read
from cds.errors import ConfigError

WEIGHTS = Path(app.__file__).parent / "features" / "weights"


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.logs, "configure", lambda: None)


def load(folder: Path, text: str, *, extractor: str = '"chest_xray"', fusion: str = "late") -> object:
    file = folder / "cds.toml"
    head = f'[models]\nextractors = [{extractor}]\nfusion = "{fusion}"\nknowledge = []\n'
    file.write_text(head + text, encoding="utf-8")
    return app._analyse_with(read(file, {}))


def test_weights_that_are_there_are_loaded(tmp_path: Path) -> None:
    assert callable(load(tmp_path, ""))


@pytest.mark.parametrize("damage", ["missing", "cut", "another"])
def test_damaged_weights_are_refused_at_the_start(tmp_path: Path, damage: str) -> None:
    for file in WEIGHTS.glob("chest_xray.*"):
        shutil.copy(file, tmp_path)
    weights = tmp_path / "chest_xray.safetensors"
    content = weights.read_bytes()
    if damage == "missing":
        weights.unlink()
    else:
        weights.write_bytes(content[:-1] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ConfigError, match="weights"):
        load(tmp_path, f'[models.chest_xray]\nweights = "{weights}"\n')


def test_damaged_weights_of_the_fusion_are_refused_at_the_start(tmp_path: Path) -> None:
    source = next(Path(app.__file__).parent.rglob("fusion*.safetensors"))
    for file in source.parent.glob(f"{source.stem}.*"):
        shutil.copy(file, tmp_path)
    weights = tmp_path / source.name
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ConfigError, match="weights"):
        load(tmp_path, f'[models.transformer]\nweights = "{weights}"\n', extractor="", fusion="transformer")
