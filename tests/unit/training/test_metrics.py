"""`cds.training.metrics` against scikit-learn and against hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, roc_auc_score

from cds.training.metrics import METRICS, calibration_error, measured


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400).astype(float)
    probabilities = np.clip(np.round(0.5 + 0.25 * (labels - 0.5) + rng.normal(0, 0.2, 400), 2), 0, 1)
    return labels, probabilities


def test_figures_agree_with_scikit_learn_ties_included(sample):
    labels, probabilities = sample
    found = measured(labels, probabilities, repeats=10)
    assert found["auroc"].value == pytest.approx(roc_auc_score(labels, probabilities))
    assert found["brier"].value == pytest.approx(brier_score_loss(labels, probabilities))
    assert found["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(labels, probabilities >= 0.5))


def test_calibration_error_is_the_gap_between_what_was_said_and_what_happened():
    labels = np.array([1.0, 1.0, 0.0, 0.0])
    assert calibration_error(labels, np.array([0.5, 0.5, 0.5, 0.5])) == pytest.approx(0.0)
    assert calibration_error(labels, np.array([0.9, 0.9, 0.9, 0.9])) == pytest.approx(0.4)
    assert calibration_error(labels, np.array([1.0, 1.0, 0.0, 0.0])) == 0.0


def test_intervals_hold_the_value_and_are_the_same_every_time(sample):
    first, second = (measured(*sample, repeats=200, seed=3) for _ in range(2))
    assert first == second
    assert all(estimate.low <= estimate.value <= estimate.high for name, estimate in first.items() if name != "ece")


def test_images_of_one_person_are_drawn_together_so_that_the_interval_is_wider(sample):
    labels, probabilities = (np.repeat(column, 8) for column in sample)
    persons = np.repeat(np.arange(400), 8)
    alone, together = (measured(labels, probabilities, groups, repeats=300) for groups in (None, persons))
    assert together["auroc"].high - together["auroc"].low > 1.8 * (alone["auroc"].high - alone["auroc"].low)
    assert together["auroc"].value == alone["auroc"].value


def test_with_one_class_only_what_cannot_be_known_is_null_and_not_zero():
    figures = {name: value.as_json() for name, value in measured([1, 1, 1], [0.9, 0.8, 0.2], repeats=20).items()}
    assert figures["auroc"] == figures["specificity"] == {"value": None, "low": None, "high": None}
    assert figures["sensitivity"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert set(figures) == set(METRICS)


@pytest.mark.parametrize(
    ("labels", "probabilities"), [([0, 1], [0.5]), ([0, 2], [0.5, 0.5]), ([0, 1], [0.5, float("nan")])]
)
def test_columns_that_do_not_fit_and_numbers_that_are_none_are_refused(labels, probabilities):
    with pytest.raises(ValueError, match="must be"):
        measured(labels, probabilities)
