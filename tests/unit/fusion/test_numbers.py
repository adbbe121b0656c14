"""Shapley values, calibration and the network, each against an independent calculation."""

from __future__ import annotations

import dataclasses
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.special import expit

from cds.fusion.calibration import FLOOR, calibrated, fit_interval_scale, fit_temperature
from cds.fusion.contributions import coalitions, shapley
from cds.fusion.network import Batch
from cds.fusion.spec import TargetSpec
from cds.fusion.weights import FusionWeights
from cds.training.cohort import Cohort
from cds.training.fusion_fit import loss_of

TARGET = TargetSpec(id="pneumonia", absent_below=0.2, present_from=0.6, band_source="test")


def test_coalitions_are_all_subsets_of_the_present_from_none_to_all() -> None:
    rows = coalitions(np.array([True, False, True, True]))
    assert len({tuple(row) for row in rows}) == 8
    assert not rows[:, 1].any()
    assert not rows[0].any()
    assert rows[-1].tolist() == [True, False, True, True]


def test_shapley_values_are_the_mean_over_all_orders_of_arrival() -> None:
    players = 4
    worth = np.random.default_rng(1).random((2**players, 1))
    expected = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        there = 0
        for player in order:
            expected[player] += (worth[there | 1 << player, 0] - worth[there, 0]) / len(orders)
            there |= 1 << player
    assert shapley(worth, players)[:, 0] == pytest.approx(expected)


def test_shapley_values_add_up_to_the_whole_move() -> None:
    worth = np.random.default_rng(2).random((8, 3))
    assert shapley(worth, 3).sum(axis=0) == pytest.approx(worth[-1] - worth[0])


def test_the_temperature_that_was_applied_is_found_again() -> None:
    rng = np.random.default_rng(3)
    log_odds = rng.normal(0, 2, 40_000)
    labels = rng.random(40_000) < expit(log_odds)
    assert fit_temperature(2.5 * log_odds, labels) == pytest.approx(2.5, rel=0.05)


def test_the_conformal_interval_covers_at_its_level_on_new_cases() -> None:
    rng = np.random.default_rng(4)
    exact = rng.normal(0, 2, 20_000)
    members = exact + rng.normal(0, 0.3, 20_000) + rng.normal(0, 0.2, (5, 20_000))
    scale = fit_interval_scale(members[:, :10_000], expit(exact[:10_000]))
    target = dataclasses.replace(TARGET, interval_scale=scale)
    probability, low, high = (part[:, 0] for part in calibrated(members[:, 10_000:, None], (target,)))
    truth = expit(exact[10_000:])
    assert ((low <= truth) & (truth <= high)).mean() == pytest.approx(0.95, abs=0.01)
    assert ((low <= probability) & (probability <= high)).all()


def test_members_that_agree_leave_the_floor_as_interval() -> None:
    target = dataclasses.replace(TARGET, interval_scale=2.0)
    probability, low, high = calibrated(np.zeros((5, 1, 1)), (target,))
    assert (probability[0, 0], low[0, 0], high[0, 0]) == pytest.approx((0.5, 0.5 - 2 * FLOOR, 0.5 + 2 * FLOOR))


@pytest.mark.parametrize("log_odds", [-20.0, -6.0, -4.0, 0.0, 4.0, 6.0, 20.0])
def test_no_bound_says_impossible_or_certain_and_the_probability_lies_within(log_odds: float) -> None:
    target = dataclasses.replace(TARGET, interval_scale=8.0)
    probability, low, high = (part[0, 0] for part in calibrated(np.full((2, 1, 1), log_odds), (target,)))
    assert 0.0 < low <= probability <= high < 1.0
    assert low >= min(probability, 0.001) and high <= max(probability, 0.999)


def test_the_offset_moves_log_odds_to_the_prevalence() -> None:
    target = dataclasses.replace(TARGET, temperature=2.0, offset=-1.5)
    assert calibrated(np.full((1, 1, 1), 3.0), (target,))[0][0, 0] == pytest.approx(expit(3.0 / 2.0 - 1.5))


def test_the_network_does_not_see_the_order_of_nodules(weights: FusionWeights, cohort: Cohort) -> None:
    tokens, _ = cohort.sample(200, seed=1, complete=True)
    turned = dataclasses.replace(tokens, nodules=np.ascontiguousarray(tokens.nodules[:, ::-1]))
    assert np.array_equal(weights.ensemble.log_odds(tokens), weights.ensemble.log_odds(turned))


def test_a_case_scores_the_same_alone_and_in_a_batch(weights: FusionWeights, cohort: Cohort) -> None:
    tokens, _ = cohort.sample(40, seed=2)
    whole = weights.ensemble.log_odds(tokens)
    alone = [weights.ensemble.log_odds(tokens.take(slice(row, row + 1)))[:, 0] for row in range(40)]
    assert np.stack(alone, axis=1) == pytest.approx(whole, abs=1e-4)


def test_values_of_a_missing_modality_do_not_reach_the_network(weights: FusionWeights, cohort: Cohort) -> None:
    tokens, _ = cohort.sample(30, seed=3, complete=True)
    other, _ = cohort.sample(30, seed=4, complete=True)
    nothing = np.zeros((30, 4), dtype=bool)
    assert np.array_equal(
        weights.ensemble.log_odds(tokens.keep(nothing)), weights.ensemble.log_odds(other.keep(nothing))
    )


def test_a_missing_modality_is_not_the_same_as_one_that_was_read(weights: FusionWeights, cohort: Cohort) -> None:
    tokens, _ = cohort.sample(30, seed=5, complete=True)
    without_text = tokens.keep(np.tile([True, True, True, False], (30, 1)))
    silent = dataclasses.replace(tokens, mentions=np.zeros_like(tokens.mentions))
    assert not np.allclose(weights.ensemble.log_odds(without_text), weights.ensemble.log_odds(silent))


def test_every_kind_of_token_moves_the_result(weights: FusionWeights, cohort: Cohort) -> None:
    tokens, _ = cohort.sample(1, seed=6, complete=True)
    before = weights.ensemble.log_odds(tokens)
    for field in ("xray", "labs"):
        moved = dataclasses.replace(tokens, **{field: getattr(tokens, field) + np.float32(0.5)})
        assert not np.allclose(weights.ensemble.log_odds(moved), before), field
    flipped = dataclasses.replace(tokens, below=~tokens.below)
    assert not np.allclose(weights.ensemble.log_odds(flipped), before)
    said = dataclasses.replace(tokens, mentions=(tokens.mentions + 1) % 4)
    assert not np.allclose(weights.ensemble.log_odds(said), before)


def test_a_label_that_is_not_known_does_not_count_in_the_loss() -> None:
    log_odds = torch.tensor([[0.3, 9.0], [-1.0, 2.0]])
    labels = torch.tensor([[1.0, float("nan")], [0.0, float("nan")]])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(log_odds[:, 0], labels[:, 0])
    assert float(loss_of(log_odds, labels)) == pytest.approx(float(expected))


def test_a_batch_is_only_as_wide_as_its_most_nodules(cohort: Cohort) -> None:
    tokens, _ = cohort.sample(5, seed=7, complete=True)
    most = int(np.isfinite(tokens.nodules).sum(axis=1).max())
    assert Batch(tokens, torch.device("cpu")).nodules.shape == (5, most)
