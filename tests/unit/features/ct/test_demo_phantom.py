"""The chest CT of the demo: what a newcomer sees first must hold its two nodules, and nothing else."""

from __future__ import annotations

from math import pi
from pathlib import Path

import numpy as np
import pytest

from cds.dicom.read import read_studies
from cds.domain.evidence import Evidence
from cds.domain.report import Case
from cds.features.ct.extractor import DIAMETER, VOLUME, ChestCt
from cds.testing.phantoms import Thorax, ct_thorax_phantom, place
from cds_pacs.testing.demo_patients import ADULT_STUDY, NODULES


@pytest.mark.slow
@pytest.mark.parametrize("slice_mm", [2.0, 2.5])
def test_the_demos_chest_shows_exactly_its_two_nodules(tmp_path: Path, slice_mm: float) -> None:
    seed = ADULT_STUDY.seed
    thorax, random = Thorax(scale=ADULT_STUDY.scale, seed=seed), np.random.default_rng(seed)
    nodules = [place(thorax, diameter, kind, random) for diameter, kind in NODULES]
    ct_thorax_phantom(tmp_path, study=ADULT_STUDY, seed=seed, slice_mm=slice_mm, nodules=nodules)
    (study,), _ = read_studies([tmp_path])
    found = ChestCt(ChestCt.Settings()).extract(Case(study=study))
    assert isinstance(found, Evidence)
    largest_first = sorted(nodules, key=lambda nodule: -nodule.diameter_mm)
    assert len(found.observations) == len(largest_first) == 2
    for item, nodule in zip(found.observations, largest_first, strict=True):
        values = {measurement.quantity: measurement.value for measurement in item.measurements}
        assert values[DIAMETER] == pytest.approx(nodule.diameter_mm, abs=1.0)
        assert values[VOLUME] == pytest.approx(pi / 6 * nodule.diameter_mm**3, rel=0.15)
