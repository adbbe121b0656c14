"""The simulated cohort, held against scipy, against enumeration, and against the data it cites."""

from __future__ import annotations

import csv
import math
import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cds.fusion.tokens import State
from cds.training.cohort import TARGETS, Cohort, log_normal
from cds.training.metrics import auroc

EVEN = np.array([0.5, 0.5])
DATA = Path(os.environ.get("CDS_DATA", Path(__file__).parents[4] / "shared" / "data"))


def test_a_log_normal_from_quartiles_has_these_quartiles() -> None:
    mean, sd = log_normal({"quartiles": [123, 187, 278]})
    found = stats.lognorm(s=sd, scale=math.exp(mean))
    assert found.median() == pytest.approx(187)
    assert found.ppf(0.75) / found.ppf(0.25) == pytest.approx(278 / 123)


def test_a_log_normal_from_median_and_width_has_this_median_and_width() -> None:
    mean, sd = log_normal({"median": 1.27, "iqr": 2.36})
    found = stats.lognorm(s=sd, scale=math.exp(mean))
    assert found.median() == pytest.approx(1.27)
    assert found.ppf(0.75) - found.ppf(0.25) == pytest.approx(2.36)


def test_simulated_laboratory_values_have_the_published_medians(cohort: Cohort) -> None:
    tokens, truth = cohort.sample(40_000, seed=1, prevalence=EVEN, complete=True)
    for column, analyte in enumerate(cohort.analytes):
        side = truth[:, TARGETS.index(analyte.spec.target)]
        exact = ~tokens.below[:, column]
        for ill in (False, True):
            # Bounds take the place of low values, so the median is that of all values, bounded ones counted low.
            logs = np.where(exact, tokens.labs[:, column], -np.inf)[side == ill]
            median = np.median(logs) * analyte.spec.log_sd + analyte.spec.log_mean
            assert median == pytest.approx(analyte.mean[int(ill)], abs=0.05 + 0.2 * analyte.spec.log_sd)


def test_report_statements_have_the_published_rates(cohort: Cohort) -> None:
    tokens, truth = cohort.sample(40_000, seed=2, prevalence=EVEN, complete=True)
    column = [mention.spec.id for mention in cohort.mentions].index("nodule_or_mass")
    said = tokens.mentions[:, column] == State.PRESENT
    cancer = truth[:, TARGETS.index("lung_cancer")]
    assert said[cancer].mean() == pytest.approx(0.754, abs=0.01)
    assert said[~cancer].mean() == pytest.approx(0.098, abs=0.01)


def test_modalities_are_missing_at_the_documented_rates(cohort: Cohort) -> None:
    tokens, _ = cohort.sample(40_000, seed=3)
    wanted = [1 - cohort.missing[name] for name in ("chest_xray", "chest_ct", "text")]
    assert tokens.present[:, [0, 1, 3]].mean(axis=0) == pytest.approx(wanted, abs=0.01)
    assert np.isnan(tokens.xray[~tokens.present[:, 0]]).all()
    assert np.isnan(tokens.nodules[~tokens.present[:, 1]]).all()


def test_the_x_ray_ratio_is_that_of_two_gaussians(cohort: Cohort) -> None:
    tokens, _ = cohort.sample(50, seed=4, complete=True)
    alone = tokens.keep(np.tile([True, False, False, False], (50, 1)))
    sides = [
        stats.multivariate_normal(mean, covariance).logpdf(tokens.xray)
        for mean, covariance in zip(cohort.xray.class_mean, cohort.xray.class_covariance, strict=True)
    ]
    assert cohort.bayes_score(alone, prevalence=EVEN)[:, 0] == pytest.approx(sides[1] - sides[0], rel=1e-4, abs=1e-4)


def test_the_laboratory_ratio_is_that_of_two_correlated_gaussians(cohort: Cohort) -> None:
    tokens, _ = cohort.sample(200, seed=5, complete=True)
    free = ~tokens.below.any(axis=1)
    part = tokens.keep(np.tile([False, False, True, False], (200, 1))).take(np.flatnonzero(free))
    columns = [c for c, analyte in enumerate(cohort.analytes) if analyte.spec.target == "pneumonia"]
    logs = np.array([part.labs[:, c] * cohort.analytes[c].spec.log_sd + cohort.analytes[c].spec.log_mean
                     for c in columns], dtype=float).T  # fmt: skip
    sides = []
    for ill in (0, 1):
        sd = np.array([cohort.analytes[c].sd[ill] for c in columns])
        covariance = cohort.correlation[np.ix_(columns, columns)] * np.outer(sd, sd)
        mean = [cohort.analytes[c].mean[ill] for c in columns]
        sides.append(stats.multivariate_normal(mean, covariance).logpdf(logs))
    assert cohort.bayes_score(part, prevalence=EVEN)[:, 0] == pytest.approx(sides[1] - sides[0], rel=1e-3, abs=1e-3)


def test_a_bounded_value_counts_as_the_mass_below_the_bound(cohort: Cohort) -> None:
    tokens, _ = cohort.sample(2000, seed=6, complete=True)
    column = next(c for c, analyte in enumerate(cohort.analytes) if analyte.spec.loinc == "2039-6")
    row = int(np.flatnonzero(tokens.below[:, column])[0])
    labs = np.full_like(tokens.labs[[row]], np.nan)
    labs[0, column] = tokens.labs[row, column]
    one = tokens.take(np.array([row])).keep(np.array([[False, False, True, False]]))
    one = type(one)(one.present, one.xray, one.nodules, labs, one.below, one.mentions)
    analyte = cohort.analytes[column]
    log = float(labs[0, column]) * analyte.spec.log_sd + analyte.spec.log_mean
    below = [stats.norm(analyte.mean[ill], analyte.sd[ill]).cdf(log) for ill in (0, 1)]
    assert cohort.bayes_score(one, prevalence=EVEN)[0, 1] == pytest.approx(math.log(below[1] / below[0]), abs=1e-4)


def test_the_nodule_ratio_is_that_of_enumerating_which_nodule_is_the_cancer(cohort: Cohort) -> None:
    nodules = cohort.nodules
    tokens, _ = cohort.sample(300, seed=7, prevalence=EVEN, complete=True)
    part = tokens.keep(np.tile([False, True, False, False], (300, 1)))
    found = cohort.bayes_score(part, prevalence=EVEN)[:, 1]
    count = stats.poisson(nodules.benign_per_scan).pmf
    benign, malignant = stats.norm(*nodules.benign).pdf, stats.norm(*nodules.malignant).pdf
    for row in range(len(part)):
        logs = part.nodules[row][np.isfinite(part.nodules[row])] * nodules.spec.log_sd + nodules.spec.log_mean
        without = count(len(logs)) * np.prod(benign(logs))
        seen = 0.0
        for chosen in range(len(logs)):
            others = np.prod(benign(np.delete(logs, chosen)))
            seen += count(len(logs) - 1) / len(logs) * malignant(logs[chosen]) * others
        ratio = ((1 - nodules.sensitivity) * without + nodules.sensitivity * seen) / without
        assert found[row] == pytest.approx(math.log(ratio), abs=1e-3)


def test_the_exact_posterior_is_calibrated_on_what_it_generates(cohort: Cohort) -> None:
    tokens, truth = cohort.sample(60_000, seed=8)
    for target in range(len(TARGETS)):
        probability = 1 / (1 + np.exp(-cohort.bayes_score(tokens)[:, target]))
        for rows in np.array_split(np.argsort(probability), 10):
            expected, deviation = probability[rows].mean(), math.sqrt(0.25 / len(rows))
            assert truth[rows, target].mean() == pytest.approx(expected, abs=4 * deviation)


def test_more_evidence_never_lowers_the_best_possible_auroc(cohort: Cohort) -> None:
    tokens, truth = cohort.sample(8_000, seed=9, prevalence=EVEN, complete=True)
    reached = {}
    for kept in product((False, True), repeat=4):
        score = cohort.bayes_score(tokens.keep(np.tile(kept, (len(tokens), 1))))
        reached[kept] = [auroc(truth[:, t].astype(float), score[:, t]) for t in range(len(TARGETS))]
    for kept, values in reached.items():
        for column in range(4):
            if not kept[column]:
                more = reached[(*kept[:column], True, *kept[column + 1 :])]
                assert all(after >= before - 2e-3 for before, after in zip(values, more, strict=True))


def test_the_same_seed_gives_the_same_cohort(cohort: Cohort) -> None:
    first, again, other = (cohort.sample(20, seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first.labs, again.labs, equal_nan=True)
    assert not np.array_equal(first.labs, other.labs, equal_nan=True)


@pytest.mark.skipif(not (DATA / "lidc_luna_nodule_table.csv").exists(), reason="needs the LIDC table: set CDS_DATA")
def test_nodule_diameters_are_those_of_the_lidc_table(cohort: Cohort) -> None:
    with (DATA / "lidc_luna_nodule_table.csv").open() as file:
        rows = list(csv.DictReader(file))
    for kind, wanted in (("True", cohort.nodules.malignant), ("False", cohort.nodules.benign)):
        logs = np.log([float(row["diameter_mm"]) for row in rows if row["mal_bool"] == kind])
        assert (logs.mean(), logs.std(ddof=1)) == pytest.approx(wanted, abs=1e-4)
