"""`cds.features.xray`: what is read, what is refused, and what is said about it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pydicom
import pytest

from cds.dicom.radiograph import Radiograph
from cds.dicom.read import read_studies
from cds.domain.evidence import Assertion, Evidence, Missing
from cds.domain.report import Case
from cds.domain.study import Instance, Patient, Series, Study
from cds.domain.vocabulary import FINDINGS
from cds.errors import ConfigError, EvidenceError
from cds.features.xray import gates
from cds.features.xray.extractor import ChestXray
from cds.features.xray.model import SHIPPED, Sidecar, XrayModel
from cds.features.xray.prepare import equalised, squashed
from cds.testing.phantoms.xray import PNEUMONIA, chest_xray_phantom

CHILD = Patient(age_years=4.0)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    return chest_xray_phantom(tmp_path_factory.mktemp("phantom"), pixels=512, opacities=PNEUMONIA).file


@pytest.fixture
def extractor() -> ChestXray:
    return ChestXray(ChestXray.Settings(device="cpu"))


@pytest.fixture
def case(phantom) -> Case:
    studies, _ = read_studies([phantom])
    return Case(study=studies[0])


def changed(case: Case, tmp_path: Path, **attributes: object) -> Case:
    """The case with attributes of its image set anew."""
    dataset = pydicom.dcmread(case.study.instances[0].path)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    path = tmp_path / "changed.dcm"
    dataset.save_as(path)
    studies, _ = read_studies([path])
    return Case(study=dataclasses.replace(studies[0], patient=case.study.patient))


def with_pixels(case: Case, tmp_path: Path, pixels: np.ndarray) -> Case:
    whole = np.round(pixels * 255).astype(np.uint8)
    return changed(
        case, tmp_path, PixelData=whole.tobytes(), Rows=whole.shape[0], Columns=whole.shape[1], BitsAllocated=8,
        BitsStored=8, HighBit=7, PhotometricInterpretation="MONOCHROME2", PixelRepresentation=0,
    )  # fmt: skip


def test_a_chest_radiograph_of_a_child_gives_evidence_that_points_at_its_image(extractor, case):
    evidence = extractor.extract(case)
    assert isinstance(evidence, Evidence)
    (observation,) = evidence.observations
    uid = case.study.instances[0].sop_instance_uid
    assert (observation.id, observation.concept) == ("chest_xray/pneumonia", FINDINGS["pneumonia"])
    assert observation.source == evidence.key_image == uid
    low, high = observation.interval
    assert 0.0 <= low <= observation.probability <= high <= 1.0
    assert [len(row) for row in evidence.heat_map] == [14] * 14
    assert max(max(row) for row in evidence.heat_map) == pytest.approx(1.0)
    assert {gate.name for gate in evidence.gates if not gate.passed} <= {"familiar image"}
    sidecar = Sidecar.read(SHIPPED.with_suffix(".json"))
    assert (evidence.algorithm.version, evidence.algorithm.sha256) == (sidecar.version, sidecar.sha256)


def test_the_same_image_gives_the_same_evidence(extractor, case):
    assert extractor.extract(case) == ChestXray(ChestXray.Settings(device="cpu")).extract(case)


def test_the_inverse_image_as_monochrome1_gives_the_same_probability(extractor, case, tmp_path):
    dataset = pydicom.dcmread(case.study.instances[0].path)
    stored = dataset.pixel_array
    inverse = (2**dataset.BitsStored - 1 - stored).astype(stored.dtype)
    other = changed(
        case, tmp_path, PixelData=inverse.tobytes(), PhotometricInterpretation="MONOCHROME1",
        WindowCenter="", WindowWidth="",
    )  # fmt: skip
    plain = changed(case, tmp_path / "..", WindowCenter="", WindowWidth="")
    first, second = (extractor.extract(each).observations[0].probability for each in (plain, other))
    assert first == pytest.approx(second, abs=0.01)


@pytest.mark.parametrize(
    ("age", "passed"), [(None, False), (0.5, False), (1.0, True), (5.9, True), (6.0, False), (70.0, False)]
)
def test_the_age_gate_is_the_training_childrens_age(age, passed):
    assert gates.age(Patient(age_years=age)).passed is passed


@pytest.mark.parametrize("age", [None, 70.0])
def test_outside_the_age_the_number_is_given_and_never_more_than_uncertain(extractor, case, age):
    study = dataclasses.replace(case.study, patient=Patient(age_years=age))
    evidence = extractor.extract(Case(study=study))
    (observation,) = evidence.observations
    assert observation.assertion is Assertion.UNCERTAIN
    assert observation.probability is not None
    assert "outside the intended use: age" in observation.note
    assert any("children" in limit for limit in evidence.limits)
    assert [gate.passed for gate in evidence.gates if gate.name == "age"] == [False]


@pytest.mark.parametrize("view", ["LL", "RL", "LATERAL", "LAO", "LLO"])
def test_a_lateral_or_oblique_view_is_refused_with_the_reason(extractor, case, tmp_path, view):
    missing = extractor.extract(changed(case, tmp_path, ViewPosition=view))
    assert isinstance(missing, Missing)
    assert f"the view is {view}, not frontal" in missing.reason


@pytest.mark.parametrize("part", ["KNEE", "ABDOMEN", "TSPINE", "RIB", "SKULL"])
def test_another_body_part_is_refused_with_the_reason(extractor, case, tmp_path, part):
    missing = extractor.extract(changed(case, tmp_path, BodyPartExamined=part))
    assert isinstance(missing, Missing)
    assert f"Body Part Examined is {part}" in missing.reason


@pytest.mark.parametrize("part", ["CHEST", "Chest", "THORAX", "LUNG", ""])
def test_a_chest_by_any_of_its_names_is_read(case, part):
    series = dataclasses.replace(case.study.series[0], body_part=part)
    assert gates.body_part(series, case.study).passed


@pytest.mark.parametrize("modality", ["CT", "OT", "SC", "MG"])
def test_another_modality_is_not_taken(extractor, case, modality):
    series = tuple(dataclasses.replace(part, modality=modality) for part in case.study.series)
    missing = extractor.extract(Case(study=dataclasses.replace(case.study, series=series)))
    assert isinstance(missing, Missing)
    assert "no chest radiograph" in missing.reason


def test_a_secondary_capture_is_not_taken_even_when_its_series_says_dx(extractor, case):
    captured = dataclasses.replace(case.study.instances[0], sop_class_uid="1.2.840.10008.5.1.4.1.1.7")
    series = dataclasses.replace(case.study.series[0], instances=(captured,))
    missing = extractor.extract(Case(study=dataclasses.replace(case.study, series=(series,))))
    assert isinstance(missing, Missing)
    assert "not a CR or DX image" in missing.reason


def test_an_image_for_processing_is_refused(extractor, case, tmp_path):
    missing = extractor.extract(changed(case, tmp_path, PresentationIntentType="FOR PROCESSING"))
    assert isinstance(missing, Missing)
    assert "FOR PROCESSING" in missing.reason


def test_noise_a_constant_image_and_a_tiny_one_are_refused(extractor, case, tmp_path):
    noise = np.random.default_rng(0).random((256, 256))
    reasons = {"noise": noise, "constant": np.full((256, 256), 0.4), "too few": noise[:40, :40]}
    for reason, pixels in reasons.items():
        missing = extractor.extract(with_pixels(case, tmp_path, pixels))
        assert isinstance(missing, Missing)
        assert reason in missing.reason


def test_a_picture_that_is_no_chest_is_not_called_anything_certain(extractor, case, tmp_path):
    rows, columns = np.mgrid[0:256, 0:256]
    for pixels in (
        (rows + columns) / 510,
        (np.sin(rows / 9) * np.sin(columns / 9) + 1) / 2,
        (rows // 32 + columns // 32) % 2 * 0.5,
    ):
        found = extractor.extract(with_pixels(case, tmp_path, pixels))
        assert isinstance(found, Missing) or found.observations[0].assertion is Assertion.UNCERTAIN


def test_a_study_with_a_frontal_and_a_lateral_image_is_read_on_the_frontal_one(extractor, case, tmp_path):
    lateral = changed(case, tmp_path, ViewPosition="LL", SOPInstanceUID="1.2.3.4").study.series[0]
    lateral = dataclasses.replace(lateral, series_instance_uid="1.2.3")
    both = dataclasses.replace(case.study, series=(lateral, *case.study.series))
    evidence = extractor.extract(Case(study=both))
    assert evidence.key_image == case.study.instances[0].sop_instance_uid


def test_of_two_frontal_images_the_choice_does_not_depend_on_their_order(extractor, case, tmp_path):
    twin = changed(case, tmp_path, SOPInstanceUID="1.2.3.4").study.series[0]
    orders = [(twin, *case.study.series), (*case.study.series, twin)]
    found = [extractor.extract(Case(study=dataclasses.replace(case.study, series=order))) for order in orders]
    assert found[0] == found[1]
    assert "1 other frontal image(s)" in found[0].observations[0].note


def test_an_image_that_cannot_be_decoded_is_an_error_that_names_it(extractor, case, tmp_path):
    broken = changed(case, tmp_path, PixelData=b"\0" * 64)
    with pytest.raises(EvidenceError, match=broken.study.instances[0].sop_instance_uid):
        extractor.extract(broken)


def test_a_readable_image_is_read_although_another_one_is_broken(extractor, case, tmp_path):
    broken = changed(case, tmp_path, PixelData=b"\0" * 64, SOPInstanceUID="1.2.3.4").study.series[0]
    study = dataclasses.replace(case.study, series=(broken, *case.study.series))
    assert isinstance(extractor.extract(Case(study=study)), Evidence)


def test_a_study_without_images_says_so(extractor):
    missing = extractor.extract(Case(study=Study(study_instance_uid="1.2", patient=CHILD, series=())))
    assert missing.reason == "the study has no chest radiograph (CR or DX)"


def test_weights_that_are_not_those_of_the_sidecar_are_refused(tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(SHIPPED.read_bytes()[:-1] + b"\0")
    weights.with_suffix(".json").write_text(SHIPPED.with_suffix(".json").read_text())
    with pytest.raises(ConfigError, match="the sidecar says"):
        XrayModel.load(weights)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "cds-chest-xray-1"}', '{"format": "other"}'])
def test_a_sidecar_of_another_format_is_refused(tmp_path, content):
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(ConfigError, match=r"model\.json"):
        Sidecar.read(tmp_path / "model.json")


def test_weights_that_give_no_number_are_an_error_and_not_a_probability(case):
    model = XrayModel.load(SHIPPED, "cpu")
    with np.errstate(all="ignore"):
        for parameter in model._members[0].parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(EvidenceError, match="a number that is none"):
        model.read(np.linspace(0, 1, 128 * 128, dtype=np.float32).reshape(128, 128))


def test_the_shipped_weights_are_small():
    assert SHIPPED.stat().st_size <= 10_000_000


def test_equalising_undoes_window_gamma_and_contrast(picture):
    image = squashed(picture.astype(np.float32), 96)[None]
    reference = equalised(image)
    for other in (image**0.5, image**2, 0.3 + 0.4 * image):
        assert float((equalised(other) - reference).abs().mean()) < 0.05
    assert float(reference.mean()) == pytest.approx(0.0, abs=0.02)
    assert float(reference.std()) == pytest.approx(1.0, abs=0.02)


def test_noise_is_told_from_a_picture_at_any_size(picture):
    rng = np.random.default_rng(0)
    for side in (128, 700):
        assert gates.noise(Radiograph(pixels=rng.random((side, side), dtype=np.float32))) > 0.8
    assert gates.noise(Radiograph(pixels=picture.astype(np.float32))) < 0.2


def test_the_view_may_be_told_by_the_series_description():
    radiograph = Radiograph(pixels=np.zeros((2, 2), np.float32))
    series = Series(series_instance_uid="1", modality="DX", instances=(), description="W033 Chest lat.")
    assert gates.view(radiograph, dataclasses.replace(series, description="Thorax LATERAL")).passed is False
    assert gates.view(radiograph, dataclasses.replace(series, description="Chest pa")).passed is True


def test_an_instance_with_no_file_is_an_error(extractor, case):
    gone = Instance(sop_instance_uid="1.2.3", sop_class_uid="1.2.840.10008.5.1.4.1.1.1", path=Path("gone.dcm"))
    series = dataclasses.replace(case.study.series[0], instances=(gone,))
    with pytest.raises(EvidenceError, match=r"1\.2\.3 cannot be read: FileNotFoundError"):
        extractor.extract(Case(study=dataclasses.replace(case.study, series=(series,))))
