"""Parts of the risk model against independent answers."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score, roc_curve
from sklearn.svm import SVC

from cds.domain.labs import ANALYTES, convert
from cds.features.labs_risk.inputs import AGE, VARIABLES, Preparation, values_of
from cds.features.labs_risk.model import Calibration, log_odds, sigmoid
from cds.features.labs_risk.scorers import scores
from cds.training import baselines
from cds.training.labs_calibrate import best_curve, curve_of, threshold_of
from cds.training.labs_cross import Settings
from cds.training.labs_data import Cohort, Person, Sample
from cds.training.labs_figures import figures, published_tree, share_of_cohorts_beyond
from cds.training.labs_gaussian import preparation_of
from cds.training.labs_temporal import temporal_figures
from cds.training.metrics import calibration_error

RANDOM = np.random.default_rng(3)
ROWS = RANDOM.normal(size=(240, 6))
LABELS = (ROWS[:, 0] - ROWS[:, 1] + 0.5 * RANDOM.normal(size=240) > 0).astype(np.int64)
GAPPED = np.where(RANDOM.random(ROWS.shape) < 0.2, np.nan, ROWS)
WEIGHTS = RANDOM.uniform(0.5, 1.5, 240)


def ours(kind: str, parameters: dict[str, float]) -> np.ndarray:
    arrays = baselines.fit(kind, parameters, GAPPED, ROWS, LABELS, WEIGHTS, seed=5)
    return scores(kind, arrays, GAPPED, ROWS)


def test_logistic_scores_are_those_of_scikit_learn() -> None:
    fitted = LogisticRegression(C=0.3, max_iter=3000).fit(ROWS, LABELS, sample_weight=WEIGHTS)
    np.testing.assert_allclose(ours("logistic", {"c": 0.3}), fitted.decision_function(ROWS), atol=1e-6)


def test_svm_scores_are_those_of_scikit_learn() -> None:
    fitted = SVC(C=1.0, gamma=0.1).fit(ROWS, LABELS, sample_weight=WEIGHTS)
    np.testing.assert_allclose(ours("svm", {"c": 1.0, "gamma": 0.1}), fitted.decision_function(ROWS), atol=1e-6)


def test_forest_votes_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "TREES", 20)
    fitted = RandomForestClassifier(20, min_samples_leaf=4, random_state=5).fit(ROWS, LABELS, sample_weight=WEIGHTS)
    votes = np.clip(fitted.predict_proba(ROWS)[:, 1], 1e-3, 1 - 1e-3)
    np.testing.assert_allclose(ours("forest", {"least_leaf": 4}), np.log(votes / (1 - votes)), atol=1e-6)


def test_boosting_scores_are_those_of_scikit_learn_gaps_included(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "_ROUNDS", 15)
    fitted = HistGradientBoostingClassifier(
        learning_rate=0.05, max_iter=15, max_leaf_nodes=6, min_samples_leaf=40, l2_regularization=3.0, random_state=5,
        early_stopping=False,
    ).fit(GAPPED, LABELS, sample_weight=WEIGHTS)  # fmt: skip
    found = ours("boosting", {"leaves": 6, "ridge": 3.0})
    np.testing.assert_allclose(found, fitted.decision_function(GAPPED), atol=1e-6)


def test_what_is_missing_is_said_by_what_stands_for_it() -> None:
    found = dict(
        zip(VARIABLES, values_of({"crp": 12.0, "urea_nitrogen": 28.0, "lymphocytes": 1.0, "wbc": 4.0}), strict=True)
    )
    urea = convert(28.0, "mg/dL", ANALYTES["urea_nitrogen"]) * 10 / 28.014  # mmol of urea: one for two nitrogens
    assert found["hs_crp"] == 12.0
    assert found["urea"] == pytest.approx(urea, rel=1e-3)
    assert found["lymphocytes_percent"] == 25.0
    assert np.isnan(found[AGE])
    assert values_of({"crp": 12.0, "hs_crp": 3.0})[VARIABLES.index("hs_crp")] == 3.0


def test_a_gap_is_filled_as_the_bivariate_normal_has_it_and_its_variance_stays_open() -> None:
    prepared = Preparation(np.zeros(2), np.ones(2), np.array([0.5, -1.0]), np.array([[2.0, 1.2], [1.2, 3.0]]))
    filled = prepared.filled(np.array([[1.5, np.nan], [np.nan, np.nan]]))
    assert filled[0, 1] == pytest.approx(-1.0 + 1.2 / 2.0 * (1.5 - 0.5))
    assert filled[1].tolist() == [0.5, -1.0]
    left = prepared.open_variance(np.array([[1.5, np.nan], [np.nan, np.nan], [1.0, 1.0]]), np.array([1.0, 2.0]))
    assert left == pytest.approx([4 * (3.0 - 1.2**2 / 2.0), 2.0 + 4 * 1.2 + 4 * 3.0, 0.0])


def test_the_preparation_learns_a_correlation_through_the_gaps() -> None:
    rng = np.random.default_rng(1)
    values = np.full((1500, len(VARIABLES)), np.nan)
    shared = rng.normal(size=1500)
    albumin, sodium = VARIABLES.index("albumin"), VARIABLES.index("sodium")
    values[:, albumin] = 35 + 4 * shared
    values[:, sodium] = 140 + 3 * (0.8 * shared + 0.6 * rng.normal(size=1500))
    values[rng.random(1500) < 0.3, sodium] = np.nan
    prepared = preparation_of(values)
    between = prepared.covariance[albumin, sodium]
    assert between == pytest.approx(0.8 * 0.9, abs=0.06)  # shrunk by a tenth, clipped at 3 SD
    assert prepared.mean[albumin] == pytest.approx(35, abs=0.3)


def test_figures_are_those_of_scikit_learn_at_any_share_of_deaths() -> None:
    rng = np.random.default_rng(2)
    died = (rng.random(300) < 0.4).astype(float)
    score = np.round(died + rng.normal(size=300), 1)  # with ties
    chance = sigmoid(score)
    called = score > 0.6
    for prevalence in (None, 0.12):
        factor = np.ones(300)
        if prevalence:
            factor = np.where(died == 1, prevalence / died.sum(), (1 - prevalence) / (1 - died).sum())
        found = figures(score, chance, called, died, np.arange(300), prevalence=prevalence, draws=50)
        assert found["auroc"].value == pytest.approx(roc_auc_score(died, score, sample_weight=factor))
        assert found["f1"].value == pytest.approx(f1_score(died, called, sample_weight=factor))
        assert found["auroc"].low < found["auroc"].value < found["auroc"].high
    alarms, sensitivity, _ = roc_curve(died, score, drop_intermediate=False)
    plain = figures(score, chance, called, died, np.arange(300), draws=2)
    assert plain["sensitivity_at_90_specificity"].value == pytest.approx(sensitivity[alarms <= 0.1].max())
    assert plain["ece"].value == pytest.approx(calibration_error(died, chance))


def test_intervals_know_that_rows_of_one_patient_are_not_independent() -> None:
    rng = np.random.default_rng(4)
    died = (rng.random(100) < 0.5).astype(float)
    score = died + rng.normal(size=100)
    one = figures(score, sigmoid(score), score > 0.5, died, np.arange(100))
    ten = figures(
        *(np.tile(part, 10) for part in (score, sigmoid(score), score > 0.5, died)), np.tile(np.arange(100), 10)
    )
    width = one["accuracy"].high - one["accuracy"].low
    assert ten["accuracy"].high - ten["accuracy"].low == pytest.approx(width, rel=0.15)


def test_a_curve_finds_scale_and_offset_that_made_the_outcomes() -> None:
    rng = np.random.default_rng(6)
    score = rng.normal(size=8000) * 2
    died = (rng.random(8000) < sigmoid(1.7 * score - 0.8)).astype(float)
    platt = curve_of("platt", score, died, "")
    assert (platt.scale, platt.offset) == (pytest.approx(1.7, abs=0.12), pytest.approx(-0.8, abs=0.12))
    chosen, errors = best_curve(score, died, np.arange(8000) % 5, "made up")
    assert chosen.kind == "platt"
    assert errors["platt"] < errors["temperature"]


def test_log_odds_move_with_the_share_of_deaths() -> None:
    curve = Calibration(kind="platt", scale=2.0, offset=1.0, prior=0.5)
    there = curve.log_odds(np.array([0.3]))
    assert curve.log_odds(np.array([0.3]), 0.12)[0] == pytest.approx(there[0] + log_odds(0.12))
    flat = Calibration(kind="isotonic", knots=((0.0, 0.2), (1.0, 0.6)))
    assert sigmoid(flat.log_odds(np.array([0.5])))[0] == pytest.approx(0.4)


def test_where_fewer_die_the_threshold_is_higher() -> None:
    rng = np.random.default_rng(7)
    died = (rng.random(2000) < 0.5).astype(float)
    score = (2 * died + rng.normal(size=2000))[None]
    low, high = (threshold_of(score, died, share, draws=20, seed=0) for share in (0.5, 0.05))
    assert low == pytest.approx(0.7, abs=0.5)  # F1 at one half: between the Bayes rule at 1 and below
    assert high > low + 0.5


def test_the_published_tree_follows_its_three_questions() -> None:
    rows = [values_of(dict(zip(("ldh", "lymphocytes_percent", "hs_crp"), row, strict=True)) ) for row in (
        (366.0, 30.0, 5.0), (200.0, 30.0, 5.0), (200.0, 30.0, 90.0), (200.0, 10.0, 90.0)
    )]  # fmt: skip
    assert published_tree(np.array(rows)).tolist() == [True, False, False, True]


def test_a_perfect_call_is_beyond_any_published_figure_and_a_blind_one_is_not() -> None:
    died = np.array([1.0, 0.0] * 50)
    share = share_of_cohorts_beyond(died == 1, died, deaths=13, survivors=97, accuracy=0.973, f1=0.889)
    assert share == 1.0
    assert share_of_cohorts_beyond(died >= 0, died, deaths=13, survivors=97, accuracy=0.973, f1=0.889) == 0.0


def test_a_split_by_admission_measures_later_patients_and_is_left_out_where_days_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(8)
    start = datetime(2020, 1, 1)
    persons = []
    for number in range(120):
        died = int(rng.random() < 0.5)
        ldh = 300 * 2 ** (rng.normal() + 2 * died)
        persons.append(Person(str(number), died, 60.0, (Sample(1.0, {"ldh": ldh}),), start + timedelta(days=number)))
    cohort = Cohort(tuple(persons), {})
    monkeypatch.setattr(baselines, "GRIDS", {kind: grid[-1:] for kind, grid in baselines.GRIDS.items()})
    monkeypatch.setattr(baselines, "TREES", 4)
    monkeypatch.setattr(baselines, "_ROUNDS", 4)
    found = temporal_figures(cohort, "logistic", Calibration(), 0.0, Settings(folds=2))
    assert found["n"] == 36  # 30 % of 120
    assert found["died"] == sum(person.died for person in persons[84:])
    area = found["last: all"]
    assert isinstance(area, dict)
    assert 0.85 < area["auroc"]["value"] < 0.98  # two normal laws 2 SD apart: Phi(2 / sqrt 2) = 0.921
    nowhere = Cohort(tuple(replace(person, admitted_at=None) for person in persons), {})
    assert temporal_figures(nowhere, "logistic", Calibration(), 0.0, Settings()) == {}
