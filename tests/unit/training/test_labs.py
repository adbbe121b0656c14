"""`cds train labs` and `cds evaluate labs` on a made-up hospital whose law is known."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from cds.cli import app
from cds.errors import ConfigError
from cds.features.labs_risk.model import SHIPPED, RiskModel
from cds.training import baselines, labs_calibrate, labs_cross, labs_measure, labs_run
from cds.training.labs import Settings, TrainResult, evaluate, train

PATIENTS = 90


def manifest(folder: Path, seed: int, missing: float = 0.0) -> tuple[Path, float]:
    """Patients whose log odds of death are 6 times log2 of LDH over 300; and the AUROC of whoever knows that."""
    rng = np.random.default_rng(seed)
    ldh = 300 * 2 ** rng.normal(0, 1, PATIENTS)
    died = (rng.random(PATIENTS) < 1 / (1 + np.exp(-6 * np.log2(ldh / 300)))).astype(int)
    lines = ["patient_id,outcome,age,LDH [U/L],Lymphocyte (%),hs-CRP [mg/L],sodium [mmol/L]"]
    for number in range(PATIENTS):
        others = rng.uniform(5, 40), rng.uniform(1, 100), rng.normal(140, 4)
        shown = ["" if rng.random() < missing else f"{value:.3f}" for value in others]
        lines.append(f"p{number},{died[number]},{rng.integers(20, 90)},{ldh[number]:.3f},{','.join(shown)}")
    path = folder / f"cohort-{seed}.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path, float(roc_auc_score(died, ldh))


@pytest.fixture(scope="module")
def small() -> object:
    """One point of each grid, few trees, few draws: the way is the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "GRIDS", {kind: grid[-1:] for kind, grid in baselines.GRIDS.items()})
        patch.setattr(baselines, "TREES", 8)
        patch.setattr(baselines, "_ROUNDS", 8)
        patch.setattr(labs_measure, "DRAWS", 20)
        patch.setattr(labs_run, "_DRAWS", 10)
        patch.setattr(labs_calibrate, "_CANDIDATES", 41)
        yield


SETTINGS = Settings(repeats=1, folds=2, seed=3)


@pytest.fixture(scope="module")
def trained(small: object, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    folder = tmp_path_factory.mktemp("labs")
    path, _ = manifest(folder, 1, missing=0.1)
    return folder, train(path, folder / "run", settings=SETTINGS)


def test_training_finds_the_law_on_new_patients(trained: tuple[Path, TrainResult], tmp_path: Path) -> None:
    path, best = manifest(tmp_path, 2)
    found = evaluate(path, model=trained[1].weights, repeats=50)
    last = found["last"]
    assert isinstance(last, dict)
    assert last["auroc"]["value"] > best - 0.06
    assert last["accuracy"]["value"] > 0.75
    assert last["n"] == PATIENTS
    assert found["admission"]["auroc"] == last["auroc"]  # one row each, without a time
    assert found["unlike_training"] == []


def test_a_column_in_another_unit_is_told(trained: tuple[Path, TrainResult], tmp_path: Path) -> None:
    path, _ = manifest(tmp_path, 2)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(path.read_text(encoding="utf-8").replace("LDH [U/L]", "LDH [ukat/L]"), encoding="utf-8")
    assert evaluate(wrong, model=trained[1].weights, repeats=2)["unlike_training"] == ["ldh"]


def test_everything_that_a_run_promises_lies_in_its_folder(trained: tuple[Path, TrainResult]) -> None:
    folder, result = trained
    for picture in result.curves:
        with Image.open(picture) as shown:
            assert (
                len(set(shown.convert("RGB").get_flattened_data())) > 4
                if hasattr(shown, "get_flattened_data")
                else True
            )
            assert shown.format == "PNG"
    assert json.loads((folder / "run" / "config.json").read_text(encoding="utf-8"))["seed"] == SETTINGS.seed
    card = result.card.read_text(encoding="utf-8")
    sidecar = json.loads(result.sidecar.read_text(encoding="utf-8"))
    assert sidecar["sha256"] in card
    for shown in (
        "SVM",
        "random forest",
        "gradient boosting",
        "published tree",
        "last: three",
        "admission: 40 % removed",
    ):
        assert shown in card
    assert "not measured" not in card


def test_a_resumed_run_does_no_fold_again_and_ends_the_same(
    small: object, trained: tuple[Path, TrainResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, result = trained
    before = result.weights.read_bytes(), result.sidecar.read_bytes()
    monkeypatch.setattr(labs_cross, "_fold", lambda *given: pytest.fail("a finished fold was computed again"))
    again = train(folder / "cohort-1.csv", folder / "run", settings=SETTINGS)
    assert (again.weights.read_bytes(), again.sidecar.read_bytes()) == before


def test_a_folder_of_another_run_is_refused(trained: tuple[Path, TrainResult], tmp_path: Path) -> None:
    folder, _ = trained
    other, _ = manifest(tmp_path, 4)
    with pytest.raises(ConfigError, match="other data or settings"):
        train(other, folder / "run", settings=SETTINGS)


def test_too_few_patients_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("patient_id,outcome,LDH\na,1,500\nb,0,100\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="at least 15 patients"):
        train(path, tmp_path / "run")


def test_damaged_weights_are_refused(trained: tuple[Path, TrainResult], tmp_path: Path) -> None:
    weights = tmp_path / "labs_risk.safetensors"
    weights.write_bytes(trained[1].weights.read_bytes()[:-1] + b"x")
    weights.with_suffix(".json").write_bytes(trained[1].sidecar.read_bytes())
    with pytest.raises(ConfigError, match="sha256"):
        RiskModel.load(weights)


def test_the_share_of_deaths_moves_probabilities_and_not_calls() -> None:
    model = RiskModel.load(SHIPPED)
    rows = np.full((2, 29), np.nan)
    rows[:, :3] = [[900.0, 3.0, 150.0], [180.0, 30.0, 2.0]]
    often, seldom = model.read(rows, 0.4), model.read(rows, 0.05)
    assert (often.probability > seldom.probability).all()
    assert often.high_risk.tolist() == seldom.high_risk.tolist() == [True, False]
    assert (often.low < often.probability).all()
    assert (often.probability < often.high).all()


def test_the_command_measures_the_shipped_model_as_json(tmp_path: Path) -> None:
    path, _ = manifest(tmp_path, 5)
    found = CliRunner().invoke(app, ["evaluate", "labs", "--manifest", str(path), "--json"])
    assert found.exit_code == 0, found.output
    table = json.loads(found.stdout)
    assert table["last"]["auroc"]["value"] > 0.8
    assert table["model"]["sha256"] == RiskModel.load(SHIPPED).sidecar.sha256
