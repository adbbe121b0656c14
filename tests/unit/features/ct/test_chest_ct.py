from __future__ import annotations

import os
from dataclasses import replace
from math import pi
from pathlib import Path

import numpy as np
import pydicom
import pytest

from cds.dicom.read import read_studies
from cds.dicom.volume import Volume, load_volume
from cds.domain.evidence import Assertion, Evidence, Missing
from cds.domain.report import Case
from cds.domain.study import Study
from cds.domain.vocabulary import ANATOMY, FINDINGS
from cds.errors import EvidenceError
from cds.features.ct.extractor import DIAMETER, LONG_AXIS, SHORT_AXIS, VOLUME, ChestCt
from cds.features.ct.lungs import find_lungs
from cds.features.ct.nodules import find_nodules
from cds.testing.phantoms import CHILD, Nodule, PhantomStudy, Thorax, chest_xray_phantom, ct_thorax_phantom, place

STUDY = PhantomStudy(seed=6, patient=CHILD)
DATA = Path(os.environ.get("CDS_DATA", Path(__file__).resolve().parents[5] / "shared" / "data")) / "ct_chest_series"


@pytest.fixture(scope="module")
def nodules() -> tuple[Nodule, Nodule]:
    thorax, rng = Thorax(scale=STUDY.scale, seed=6), np.random.default_rng(6)
    return place(thorax, 6.0, "solitary", rng), place(thorax, 10.0, "solitary", rng)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, nodules: tuple[Nodule, Nodule]) -> Study:
    folder = tmp_path_factory.mktemp("ct")
    ct_thorax_phantom(folder, study=STUDY, seed=6, matrix=224, slice_mm=1.2, nodules=nodules)
    (found,), unreadable = read_studies([folder])
    assert unreadable == ()
    return found


@pytest.fixture(scope="module")
def volume(study: Study) -> Volume:
    return load_volume(study.series[0])


@pytest.fixture(scope="module")
def evidence(study: Study) -> Evidence:
    found = extract(study)
    assert isinstance(found, Evidence)
    return found


def extract(study: Study, **settings: float) -> Evidence | Missing:
    return ChestCt(ChestCt.Settings(**settings)).extract(Case(study=study))  # type: ignore[arg-type]


def test_each_nodule_is_found_once_the_largest_first(evidence: Evidence) -> None:
    assert [item.id for item in evidence.observations] == ["chest_ct/nodule/1", "chest_ct/nodule/2"]
    assert all(item.concept == FINDINGS["lung_nodule"] for item in evidence.observations)
    assert all(item.assertion is Assertion.PRESENT and item.probability is None for item in evidence.observations)


def test_sizes_and_volumes_are_those_that_were_drawn(evidence: Evidence, nodules: tuple[Nodule, Nodule]) -> None:
    for item, nodule in zip(evidence.observations, nodules[::-1], strict=True):
        values = {measurement.quantity: measurement.value for measurement in item.measurements}
        assert values[VOLUME] == pytest.approx(pi / 6 * nodule.diameter_mm**3, rel=0.1)
        assert values[DIAMETER] == pytest.approx(nodule.diameter_mm, abs=0.7)
        assert values[LONG_AXIS] >= values[DIAMETER] >= values[SHORT_AXIS]
        assert {m.quantity: m.unit for m in item.measurements}[VOLUME] == "mm3"


def test_the_ellipse_lies_on_the_nodule_in_the_slice_that_shows_it_largest(
    evidence: Evidence, study: Study, nodules: tuple[Nodule, Nodule]
) -> None:
    paths = {instance.sop_instance_uid: instance.path for instance in study.instances}
    for item, nodule in zip(evidence.observations, nodules[::-1], strict=True):
        assert item.region is not None and item.region.shape == "ELLIPSE"
        ds = pydicom.dcmread(paths[item.region.sop_instance_uid])
        column, row = np.mean(item.region.points, axis=0)
        x = ds.ImagePositionPatient[0] + (column - 0.5) * ds.PixelSpacing[1]
        y = ds.ImagePositionPatient[1] + (row - 0.5) * ds.PixelSpacing[0]
        assert (x, y) == pytest.approx(nodule.centre_mm[:2], abs=0.8)
        assert abs(ds.ImagePositionPatient[2] - nodule.centre_mm[2]) <= 1.2
        assert item.source == ds.SOPInstanceUID


def test_the_side_is_the_patients(evidence: Evidence, nodules: tuple[Nodule, Nodule]) -> None:
    for item, nodule in zip(evidence.observations, nodules[::-1], strict=True):
        assert item.site is not None
        assert item.site.laterality == ANATOMY["left" if nodule.centre_mm[0] > 0 else "right"]


def test_the_key_image_shows_the_largest_and_every_gate_was_passed(evidence: Evidence) -> None:
    assert evidence.key_image == evidence.observations[0].source
    assert evidence.gates and all(gate.passed for gate in evidence.gates)


def test_the_same_case_gives_the_same_evidence(study: Study, evidence: Evidence) -> None:
    assert extract(study) == evidence


def test_only_as_many_as_asked_for_are_reported_and_the_limit_says_so(study: Study) -> None:
    found = extract(study, max_nodules=1)
    assert isinstance(found, Evidence)
    assert len(found.observations) == 1
    assert any("Only the 1 largest" in limit for limit in found.limits)


def test_without_a_nodule_there_is_a_negative_observation(study: Study) -> None:
    found = extract(study, min_diameter_mm=25.0)
    assert isinstance(found, Evidence)
    (item,) = found.observations
    assert (item.id, item.assertion) == ("chest_ct/nodule", Assertion.ABSENT)
    assert item.source == study.series[0].series_instance_uid


@pytest.mark.parametrize("flips", [(1, 2), (0,)], ids=["prone", "head first in the file"])
def test_nodules_are_the_same_however_the_patient_lay(volume: Volume, flips: tuple[int, ...]) -> None:
    affine = volume.affine.copy()
    for axis in flips:
        affine[:, 3] += affine[:, axis] * (volume.hu.shape[axis] - 1)
        affine[:, axis] *= -1
    uids = volume.sop_instance_uids[::-1] if 0 in flips else volume.sop_instance_uids
    turned = replace(volume, hu=np.flip(volume.hu, flips), affine=affine, sop_instance_uids=uids)
    straight, other = (
        find_nodules(part, lungs) for part in (volume, turned) if (lungs := find_lungs(part)) is not None
    )
    assert len(straight) == len(other) == 2
    for one, two in zip(straight, other, strict=True):
        assert two.right == one.right
        assert two.centre_mm == pytest.approx(one.centre_mm, abs=0.6)
        assert two.volume_mm3 == pytest.approx(one.volume_mm3, rel=0.05)


def test_both_lungs_are_told_apart_and_are_whole(volume: Volume) -> None:
    lungs = find_lungs(volume)
    assert lungs is not None
    assert not lungs.touches_top and not lungs.touches_bottom
    assert min(lungs.volume_ml) > 0.6 * max(lungs.volume_ml)
    columns = [np.argwhere(lungs.inside & side)[:, 2].mean() for side in (lungs.right, ~lungs.right)]
    assert columns[0] < columns[1]


@pytest.mark.parametrize("hu", [-1000, 40])
def test_where_there_are_no_lungs_none_are_found(volume: Volume, hu: int) -> None:
    assert find_lungs(replace(volume, hu=np.full((40, 64, 64), hu, np.int16))) is None


def test_a_study_without_ct_is_missing(tmp_path: Path) -> None:
    chest_xray_phantom(tmp_path, pixels=64)
    (study,), _ = read_studies([tmp_path])
    found = extract(study)
    assert isinstance(found, Missing) and found.reason == "the study has no CT series"


def test_thick_slices_are_not_read_and_the_reason_says_what_is(tmp_path: Path) -> None:
    ct_thorax_phantom(tmp_path, study=STUDY, seed=6, matrix=160, slice_mm=5.0)
    (study,), _ = read_studies([tmp_path])
    found = extract(study)
    assert isinstance(found, Missing)
    assert "CT resolution: voxels of" in found.reason and "at most 1.5 x 1.5 x 3.1 mm are read" in found.reason
    assert [gate.name for gate in found.gates] == ["CT resolution"]


def test_a_part_of_the_lungs_in_a_ct_of_the_abdomen_is_not_read(study: Study) -> None:
    series = study.series[0]
    lower = tuple(sorted(series.instances, key=lambda instance: -(instance.instance_number or 0)))[:60]
    part = replace(study, series=(replace(series, body_part="ABDOMEN", instances=lower),))
    found = extract(part)
    assert isinstance(found, Missing) and "CT body part: body part is ABDOMEN" in found.reason


def test_a_series_with_a_gap_is_an_error_when_there_is_no_other(study: Study) -> None:
    series = study.series[0]
    gap = replace(series, instances=series.instances[:40] + series.instances[43:])
    with pytest.raises(EvidenceError, match="3 slices are missing"):
        extract(replace(study, series=(gap,)))


def test_the_whole_series_is_read_when_another_is_broken(study: Study, evidence: Evidence) -> None:
    series = study.series[0]
    gap = replace(series, series_instance_uid="2.25.99", instances=series.instances[:40] + series.instances[43:])
    found = extract(replace(study, series=(gap, series)))
    assert isinstance(found, Evidence) and found.observations == evidence.observations


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real series: set CDS_DATA to the folder that holds it")
def test_the_real_series_shows_its_tumour_and_few_other_spots() -> None:
    """The study's own reason for exam names a malignant neoplasm of the right lower lobe."""
    (study,), _ = read_studies([DATA])
    found = extract(study)
    assert isinstance(found, Evidence)
    assert len(found.observations) <= 5
    largest = found.observations[0]
    assert largest.site is not None and largest.site.laterality == ANATOMY["right"]
    assert 18 < {m.quantity: m.value for m in largest.measurements}[DIAMETER] < 27
