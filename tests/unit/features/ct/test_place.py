"""Two chest CTs of one phantom patient, half a year of growth apart: are the nodules of then found again?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from math import log, pi
from pathlib import Path

import numpy as np
import pytest

from cds.compared import SAME_PLACE, compared
from cds.dicom.read import read_studies
from cds.domain.comparison import Change, Comparison, Trend
from cds.domain.evidence import Evidence
from cds.domain.report import Case
from cds.domain.study import Study
from cds.features.ct.extractor import ChestCt
from cds.testing.phantoms import CHILD, Nodule, PhantomStudy, Thorax, ct_thorax_phantom, place

NOW = PhantomStudy(seed=6, patient=CHILD, started_at=datetime(2026, 6, 15, 9, tzinfo=UTC))
THEN = replace(NOW, seed=7, started_at=datetime(2025, 12, 15, 9, tzinfo=UTC))
DAYS = 182


def read(folder: Path, study: PhantomStudy, nodules: tuple[Nodule, ...], *, slice_mm: float, matrix: int) -> Study:
    ct_thorax_phantom(folder, study=study, seed=6, matrix=matrix, slice_mm=slice_mm, nodules=nodules)
    (found,), _ = read_studies([folder])
    return found


def seen(study: Study) -> Evidence:
    found = ChestCt(ChestCt.Settings()).extract(Case(study=study))
    assert isinstance(found, Evidence)
    return found


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """One nodule that grew from 7 to 10 mm, one of 7 mm that did not, one that is new; the child grew too."""
    thorax, random = Thorax(scale=NOW.scale, seed=6), np.random.default_rng(6)
    grown, steady, new = (place(thorax, diameter, "solitary", random) for diameter in (10.0, 7.0, 6.0))
    share = THEN.scale / NOW.scale
    assert share < 0.99

    def earlier(nodule: Nodule, diameter_mm: float) -> Nodule:
        x, y, z = (share * axis for axis in nodule.centre_mm)
        return replace(nodule, centre_mm=(x, y, z), diameter_mm=diameter_mm)

    folder = tmp_path_factory.mktemp("pair")
    now = read(folder / "now", NOW, (grown, steady, new), slice_mm=1.2, matrix=224)
    then = read(folder / "then", THEN, (earlier(grown, 7.0), earlier(steady, 7.0)), slice_mm=1.4, matrix=208)
    return compared(now, then, seen(now), seen(then))


def matched(comparison: Comparison) -> list[Change]:
    return sorted(
        (change for change in comparison.changes if change.matched), key=lambda change: change.volume_change or 0.0
    )


def test_both_nodules_are_found_again_and_the_new_one_is_not_taken_for_an_old_one(comparison: Comparison) -> None:
    assert len(matched(comparison)) == 2
    assert [change.then for change in comparison.changes if not change.matched] == [None]
    assert comparison.days == DAYS


def test_a_nodule_of_the_same_size_is_within_the_variability_of_measurement(comparison: Comparison) -> None:
    steady, _ = matched(comparison)
    assert steady.trend is Trend.WITHIN_VARIABILITY


def test_the_doubling_time_is_that_of_the_drawn_spheres(comparison: Comparison) -> None:
    """By the exact volumes of the spheres: ln 2 * 182 / ln((10 / 7)^3) = 118 days."""
    _, grown = matched(comparison)
    exact = log(2) * DAYS / log((pi / 6 * 10**3) / (pi / 6 * 7**3))
    assert grown.trend is Trend.GROWN
    assert grown.doubling_days == pytest.approx(exact, rel=0.12)


def test_places_agree_far_better_than_is_asked_for(comparison: Comparison) -> None:
    for change in matched(comparison):
        assert change.then and change.now
        apart = np.abs(np.subtract(change.then.position, change.now.position)).max()
        assert apart < SAME_PLACE / 2


def test_where_the_lungs_are_cut_off_nothing_has_a_place(tmp_path: Path) -> None:
    thorax, random = Thorax(scale=NOW.scale, seed=6), np.random.default_rng(6)
    nodule = place(thorax, 8.0, "solitary", random)
    whole = read(tmp_path / "whole", NOW, (nodule,), slice_mm=1.4, matrix=208)
    series = whole.series[0]
    kept = series.instances[: len(series.instances) * 3 // 4]
    cut = replace(whole, series=(replace(series, instances=kept),))
    assert all(len(each.position) == 3 for each in seen(whole).observations)
    observations = seen(cut).observations
    assert observations
    assert all(each.position == () for each in observations)
