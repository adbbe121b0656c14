"""Training on the simulated cohort and on a manifest, small enough for seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cds.errors import ConfigError
from cds.fusion.spec import read_spec
from cds.fusion.tokens import State, Tokens
from cds.fusion.transformer import FusionSettings, TransformerFusion
from cds.fusion.weights import SHIPPED, load_weights
from cds.testing.contract_fusion import check_fusion
from cds.training import fusion
from cds.training.cohort import Cohort, load_cohort
from cds.training.fusion import FusionTraining, evaluate, train
from cds.training.fusion_card import render
from cds.training.fusion_evaluation import Measuring
from cds.training.fusion_manifest import read_manifest
from cds.training.fusion_xray import fit_xray_token, read_embeddings
from cds.training.metrics import auroc

TINY = FusionTraining(
    steps=3, batch=16, members=2, width=8, layers=1, heads=2, measuring=Measuring(cases=200, repeats=10)
)
HEADER = "case_id,group,pneumonia,lung_cancer,1988-5,nodules_mm,mention:pneumonia"


@pytest.fixture(autouse=True)
def _small_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "POOL", 500)
    monkeypatch.setattr(fusion, "CALIBRATION_CASES", 500)


def manifest(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "cohort.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def many_cases(folder: Path) -> Path:
    """A learnable cohort: CRP and report tell pneumonia, diameters tell cancer."""
    lines = []
    for number in range(300):
        ill, cancer = number % 2, number // 2 % 2
        crp = 150 if ill else 20
        sizes = "14.0;5.0" if cancer else ("none" if number % 3 else "4.5")
        said = ("present", "absent", "")[number % 3] if ill else ("absent", "not_mentioned", "")[number % 3]
        lines.append(f"c{number},p{number // 2},{ill},{cancer},{crp},{sizes},{said}")
    return manifest(folder, *lines)


def test_a_run_leaves_weights_that_fuse_their_figures_and_their_card(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    result = train(tmp_path / "run", settings=TINY, progress=lambda step, done: told.append((step, done)))
    spec = read_spec(result.weights.with_suffix(".json"))
    assert "simulated" in spec.calibrated_on
    check_fusion(
        TransformerFusion(FusionSettings(weights=str(result.weights))), embedding_size=spec.xray.embedding_size
    )
    assert set(result.metrics) == {"pneumonia", "lung_cancer"}
    assert spec.sha256 in result.card.read_text("utf-8")
    assert [done for _, done in told] == sorted(done for _, done in told)
    assert told[-1][1] == 1.0


def test_the_same_seed_trains_the_same_weights(tmp_path: Path) -> None:
    first, again = (train(tmp_path / name, settings=TINY).weights.read_bytes() for name in ("a", "b"))
    assert first == again


def test_an_interrupted_run_goes_on_with_the_members_that_are_missing(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", settings=TINY).weights.read_bytes()

    def stop(step: str, done: float) -> None:
        if done > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", settings=TINY, progress=stop)
    told: list[float] = []
    resumed = train(tmp_path / "cut", settings=TINY, progress=lambda step, done: told.append(done))
    assert resumed.weights.read_bytes() == whole
    assert min(told) > 0.5


def test_a_folder_with_a_run_of_other_settings_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "run", settings=TINY)
    other = FusionTraining(steps=4, batch=16, members=2, width=8, layers=1, heads=2)
    with pytest.raises(ConfigError, match="other settings"):
        train(tmp_path / "run", settings=other)


def test_a_manifest_of_real_cases_trains_and_is_measured_by_person(tmp_path: Path) -> None:
    settings = FusionTraining(
        steps=80, batch=32, members=2, width=16, layers=1, heads=2, measuring=Measuring(repeats=20)
    )
    path = many_cases(tmp_path)
    result = train(tmp_path / "run", manifest=path, settings=settings)
    spec = read_spec(result.weights.with_suffix(".json"))
    assert "site's own cohort" in spec.calibrated_on
    figures = json.loads((tmp_path / "run" / "fusion.metrics.json").read_text())
    assert figures["pneumonia"]["auroc"]["value"] > 0.95
    assert figures["lung_cancer"]["auroc"]["value"] > 0.9
    again = evaluate(path, weights=result.weights, measuring=Measuring(repeats=20))
    assert again["pneumonia"]["cases"] == 300  # type: ignore[index]


def test_a_manifest_is_read_into_the_tokens_that_evidence_would_make(tmp_path: Path) -> None:
    weights = load_weights(SHIPPED, torch.device("cpu"))
    size = weights.spec.xray.embedding_size
    np.save(tmp_path / "e.npy", np.ones(size))
    path = manifest(
        tmp_path,
        "a,p1,1,0,<5,12;6,uncertain,e.npy",
        "b,p2,0,,,none,,",
        header=HEADER + ",xray_embedding",
    )
    cases = read_manifest(path, weights.spec, weights.xray)
    tokens: Tokens = cases.tokens
    assert tokens.present.tolist() == [[True, True, True, True], [False, True, False, False]]
    assert tokens.below[0, 0]
    assert tokens.mentions[0, 0] == State.UNCERTAIN
    assert np.isfinite(tokens.nodules).sum(axis=1).tolist() == [2, 0]
    assert tokens.xray[0] == pytest.approx(weights.xray.projection @ (1 - weights.xray.mean), abs=1e-4)
    assert cases.labels[0].tolist() == [1.0, 0.0]
    assert np.isnan(cases.labels[1, 1])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,p1,2,0,5,none,absent", r"line 2, column 'pneumonia': expected 1, 0 or nothing"),
        ("a,p1,1,0,abc,none,absent", r"column '1988-5': expected a number"),
        ("a,p1,1,0,nan,none,absent", r"column '1988-5': expected a finite number"),
        ("a,p1,1,0,-3,none,absent", r"column '1988-5': expected a positive value"),
        ("a,p1,1,0,5,-2,absent", r"column 'nodules_mm': expected positive"),
        ("a,p1,1,0,5,none,perhaps", r"mention:pneumonia.*not_mentioned, absent, uncertain, present"),
        ("a,p1,1,0,,,", "no evidence of any modality"),
        ("a,,1,0,5,none,absent", "column 'group'"),
        (",p1,1,0,5,none,absent", "column 'case_id'"),
    ],
)
def test_a_wrong_cell_is_named_with_its_line_and_what_would_be_right(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(manifest(tmp_path, line))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("case_id,group,pneumonia,1988-5", r"lacks the columns \['lung_cancer'\]"),
        (HEADER + ",shoe_size", r"unknown columns \['shoe_size'\]"),
        ("case_id,group,pneumonia,lung_cancer", "no evidence"),
    ],
)
def test_a_wrong_header_is_named(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(manifest(tmp_path, header=header))


def test_an_embedding_of_another_size_is_refused_with_its_line(tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", np.ones(3))
    path = manifest(tmp_path, "a,p1,1,0,5,none,absent,e.npy", header=HEADER + ",xray_embedding")
    with pytest.raises(ConfigError, match=r"line 2, column 'xray_embedding'.*finite numbers"):
        evaluate(path)


def test_a_split_without_both_classes_is_refused(tmp_path: Path) -> None:
    path = manifest(tmp_path, *(f"c{n},p{n},1,0,5,none,absent" for n in range(50)))
    with pytest.raises(ConfigError, match="both classes"):
        train(tmp_path / "run", manifest=path, settings=TINY)


def test_a_person_is_never_on_two_sides_of_the_split(tmp_path: Path) -> None:
    weights = load_weights(SHIPPED, torch.device("cpu"))
    cases = read_manifest(many_cases(tmp_path), weights.spec, weights.xray)
    for person in np.unique(cases.groups):
        assert len(set(cases.splits[cases.groups == person])) == 1
    assert set(cases.splits) == {"train", "val", "test"}


def test_the_x_ray_token_separates_as_well_as_unseen_persons_allow() -> None:
    rng = np.random.default_rng(5)
    y = rng.random(1200) < 0.5
    x = rng.normal(0, 1, (1200, 30))
    x[:, 3] += 2.0 * y
    group = np.array([f"person{n // 2}" for n in range(1200)])
    token = fit_xray_token(x, y, group, size=4)
    apart = token.class_mean[1] - token.class_mean[0]
    squared = float(apart @ np.linalg.solve(token.class_covariance[0], apart))
    # The truth is 2 SD apart: a squared distance of 4. The fit on few persons may only be less sure than that.
    assert 2.5 < squared < 4.4
    score = (x - token.mean) @ token.projection[0]
    assert auroc(y.astype(float), score) > 0.9


def test_embeddings_that_do_not_separate_are_refused() -> None:
    rng = np.random.default_rng(6)
    group = np.array([f"person{n}" for n in range(400)])
    label = rng.random(400) < 0.5
    x = rng.normal(0, 1, (400, 10))
    with pytest.raises(ConfigError, match=r"too few|do not separate"):
        fit_xray_token(x[:40], label[:40], group[:40])


def test_embeddings_without_the_needed_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", X=np.zeros((3, 2)), y=np.zeros(3))
    with pytest.raises(ConfigError, match=r"e\.npz must be"):
        read_embeddings(tmp_path / "e.npz")


def test_the_card_in_the_documentation_is_the_one_of_the_shipped_weights() -> None:
    weights = load_weights(SHIPPED, torch.device("cpu"))
    metrics = json.loads(SHIPPED.with_suffix(".metrics.json").read_text("utf-8"))
    cohort: Cohort = load_cohort(weights.xray)
    card = Path(__file__).parents[3] / "docs" / "model-card-fusion.md"
    assert card.read_text("utf-8") == render(weights.spec, metrics, cohort)
