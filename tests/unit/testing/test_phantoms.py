from __future__ import annotations

import shutil
import subprocess
from math import pi
from pathlib import Path

import numpy as np
import pydicom
import pytest
from scipy.spatial import cKDTree

from cds.dicom.read import read_studies
from cds.dicom.volume import load_volume
from cds.testing.phantoms import (
    CHILD,
    PNEUMONIA,
    Nodule,
    PhantomStudy,
    Thorax,
    chest_xray_phantom,
    ct_thorax_phantom,
    place,
)
from cds.testing.phantoms.nodules import blend, volume_in_lung_mm3
from cds.testing.phantoms.xray import render

DCIODVFY = shutil.which("dciodvfy")
SMALL_CT = PhantomStudy(seed=3, patient=CHILD)


def errors_of(file: Path) -> list[str]:
    """What dicom3tools' dciodvfy finds wrong."""
    assert DCIODVFY is not None
    done = subprocess.run([DCIODVFY, str(file)], capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if line.startswith("Error")]


def child_ct(folder: Path, nodules: tuple[Nodule, ...] = ()) -> tuple[Path, ...]:
    return ct_thorax_phantom(folder, study=SMALL_CT, seed=3, matrix=64, slice_mm=8.0, nodules=nodules).files


@pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy (Debian's dicom3tools) is not installed")
def test_phantoms_are_valid_instances_of_their_iod(tmp_path: Path) -> None:
    assert errors_of(child_ct(tmp_path / "ct")[0]) == []
    assert errors_of(chest_xray_phantom(tmp_path / "a", pixels=128).file) == []
    assert errors_of(chest_xray_phantom(tmp_path / "b", pixels=128, monochrome1=True, view_position="AP").file) == []


def test_the_same_phantom_is_the_same_bytes_and_another_seed_another_study(tmp_path: Path) -> None:
    first, again = child_ct(tmp_path / "a"), child_ct(tmp_path / "b")
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]
    other = ct_thorax_phantom(tmp_path / "c", study=PhantomStudy(seed=4), matrix=32, slice_mm=40.0)
    assert other.study_instance_uid != pydicom.dcmread(first[0]).StudyInstanceUID


def test_a_study_value_given_to_both_puts_ct_and_radiograph_into_one_study(tmp_path: Path) -> None:
    child_ct(tmp_path / "all")
    chest_xray_phantom(tmp_path / "all", study=SMALL_CT, pixels=64)
    (study,), unreadable = read_studies([tmp_path])
    assert unreadable == ()
    assert {series.modality for series in study.series} == {"CT", "DX"}
    assert study.patient.name == "Phantom^Doll=人偶^小娃"
    assert study.patient.age_years == pytest.approx(4.0)


def test_a_ct_phantom_reads_back_with_lung_tissue_and_bone(tmp_path: Path) -> None:
    child_ct(tmp_path)
    (study,), _ = read_studies([tmp_path])
    volume = load_volume(study.series[0])
    body = volume.hu[len(volume.hu) // 2]
    assert body[0, 0] < -900
    assert (np.abs(body + 860) < 80).mean() > 0.1
    assert body.max() > 150


def test_a_nodule_is_drawn_with_exactly_its_volume() -> None:
    """The sum of all voxels' shares is the sphere's volume, wherever the sphere lies between voxels."""
    spacing, origin = np.array([1.3, 0.7, 0.8]), np.zeros(3)
    for shift in (0.0, 0.31, 0.77):
        hu = np.full((20, 34, 30), -860, np.float32)
        blend(hu, Nodule(centre_mm=(11 + shift, 12 - shift, 13 + shift), diameter_mm=9.0, hu=40), origin, spacing)
        drawn = float(((hu + 860) / 900).sum() * spacing.prod())
        assert drawn == pytest.approx(pi / 6 * 9**3, rel=0.005)


@pytest.mark.parametrize("kind", ["solitary", "juxta_pleural", "juxta_vascular"])
def test_nodules_lie_where_their_kind_says(kind: str) -> None:
    thorax, rng = Thorax(seed=5), np.random.default_rng(5)
    for diameter in (5.0, 10.0, 20.0):
        nodule = place(thorax, diameter, kind, rng)
        x, y, z = (np.array([value], np.float32) for value in nodule.centre_mm)
        depth = -float(thorax.lung_mm(x, y, z)[0])
        share = volume_in_lung_mm3(nodule, thorax) / nodule.volume_mm3
        if kind == "juxta_pleural":
            assert 0.93 < share < 0.99
        else:
            assert depth > diameter / 2 and share == 1.0


@pytest.mark.parametrize("diameter", [6.0, 14.0, 30.0])
def test_no_nodule_at_the_pleura_overlaps_bone(diameter: float) -> None:
    """Seen from points of the sphere, and points every 0.1 mm along the middle of each bone."""
    thorax, rng = Thorax(seed=5), np.random.default_rng(5)
    towards = rng.normal(size=(3000, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    nodules = [place(thorax, diameter, "juxta_pleural", rng) for _ in range(5)]
    sphere = np.concatenate([np.array(each.centre_mm) + towards * diameter / 2 for each in nodules])
    for bone in (tube for tube in thorax.tubes if tube.kind == "bone"):
        knots = np.arange(len(bone.points))
        fine = np.arange(0, len(knots) - 1, 0.03)
        middle = np.stack([np.interp(fine, knots, bone.points[:, axis]) for axis in range(3)], 1)
        assert np.min(cKDTree(middle).query(sphere)[0]) > bone.radii.min() - 0.05


def test_a_radiograph_shows_lungs_dark_heart_left_and_consolidation_bright() -> None:
    thorax = Thorax(scale=0.55)
    clear, ill = (render(thorax, 128, opacities).astype(float) for opacities in ((), PNEUMONIA))
    right_lung, left_lung, middle = clear[45:60, 25:35], clear[45:60, 93:103], clear[45:60, 60:68]
    assert right_lung.mean() < 0.7 * middle.mean() and left_lung.mean() < 0.7 * middle.mean()
    assert clear[80, 80] > clear[80, 48]
    difference = ill - clear
    assert difference[66:90, 25:55].mean() > difference[66:90, 90:110].mean() > 0


def test_the_inverted_radiograph_is_the_same_picture(tmp_path: Path) -> None:
    plain = pydicom.dcmread(chest_xray_phantom(tmp_path / "a", pixels=64).file)
    inverted = pydicom.dcmread(chest_xray_phantom(tmp_path / "b", pixels=64, monochrome1=True).file)
    assert inverted.PhotometricInterpretation == "MONOCHROME1"
    assert np.array_equal(4095 - inverted.pixel_array, plain.pixel_array)


def test_a_larger_heart_is_wider() -> None:
    shadow = [render(Thorax(heart=heart), 128)[78, 60:120].astype(float).mean() for heart in (1.0, 1.4)]
    assert shadow[1] > 1.1 * shadow[0]
