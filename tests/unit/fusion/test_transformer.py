"""The fusion model with its shipped weights, and with damaged ones."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cds.domain.evidence import Assertion, Evidence, Gate, Modality, Observation
from cds.domain.finding import Finding
from cds.domain.vocabulary import FINDINGS
from cds.errors import FusionError
from cds.fusion.spec import TargetSpec, read_spec
from cds.fusion.transformer import FusionSettings, TransformerFusion, assertion_of
from cds.fusion.weights import SHIPPED, FusionWeights, load_weights, save_weights
from cds.testing.contract_fusion import fuse, sample_evidence
from cds.training.cohort import TARGETS, load_cohort
from cds.training.fusion_evaluation import EVEN, fused
from cds.training.metrics import auroc

SIZE = read_spec(SHIPPED.with_suffix(".json")).xray.embedding_size
XRAY_SIDECAR = SHIPPED.parents[2] / "features" / "weights" / "chest_xray.json"


@pytest.fixture(scope="module")
def model() -> TransformerFusion:
    return TransformerFusion(FusionSettings())


def one(findings: tuple[Finding, ...], identifier: str) -> Finding:
    return next(finding for finding in findings if finding.id == identifier)


def parts(*modalities: Modality) -> tuple[Evidence, ...]:
    return tuple(part for part in sample_evidence(embedding_size=SIZE) if part.modality in modalities)


def test_contributions_add_up_to_the_move_from_the_prevalence(model: TransformerFusion) -> None:
    spec = read_spec(SHIPPED.with_suffix(".json"))
    weights = load_weights(SHIPPED, torch.device("cpu"))
    tokens, _ = load_cohort(weights.xray).sample(1, seed=1)
    nothing = fused(weights, tokens.keep(np.zeros((1, 4), dtype=bool)))[0]
    findings = fuse(model, sample_evidence(embedding_size=SIZE))
    for column, target in enumerate(spec.targets):
        finding = one(findings, target.id)
        assert finding.probability is not None
        base = 1 / (1 + np.exp(-nothing[column]))
        assert sum(part.value for part in finding.contributions) == pytest.approx(finding.probability - base, abs=1e-5)


def test_with_everything_missing_the_model_would_say_about_the_prevalence() -> None:
    weights = load_weights(SHIPPED, torch.device("cpu"))
    cohort = load_cohort(weights.xray)
    tokens, _ = cohort.sample(1, seed=1)
    nothing = 1 / (1 + np.exp(-fused(weights, tokens.keep(np.zeros((1, 4), dtype=bool)))[0]))
    assert nothing == pytest.approx(cohort.prevalence, rel=0.35)


def test_what_only_laboratory_values_bear_on_is_not_assessed_and_says_so(model: TransformerFusion) -> None:
    ct_and_labs = fuse(model, parts(Modality.CT, Modality.LABS))
    xray_and_labs = fuse(model, parts(Modality.XRAY, Modality.LABS))
    for finding in (one(ct_and_labs, "pneumonia"), one(xray_and_labs, "lung_cancer")):
        assert (finding.assertion, finding.probability) == (Assertion.NOT_ASSESSED, None)
        assert finding.reason == "not assessed on the images: from laboratory values only"
        assert finding.because and all(each.startswith("labs/") for each in finding.because)


def test_a_report_text_beside_laboratory_values_gives_a_number(model: TransformerFusion) -> None:
    finding = one(fuse(model, parts(Modality.LABS, Modality.TEXT)), "pneumonia")
    assert finding.probability is not None and finding.reason == ""
    assert {each.partition("/")[0] for each in finding.because} == {"labs", "text"}


def test_a_finding_that_nothing_bears_on_is_not_assessed_and_says_why(model: TransformerFusion) -> None:
    finding = one(fuse(model, parts(Modality.CT)), "pneumonia")
    assert finding.assertion is Assertion.NOT_ASSESSED
    assert finding.probability is None
    assert "no observation" in finding.reason


def test_every_finding_says_that_it_was_calibrated_on_simulated_cases(model: TransformerFusion) -> None:
    for finding in fuse(model, sample_evidence(embedding_size=SIZE)):
        assert "simulated" in finding.calibrated_on


def test_a_gate_that_was_not_passed_stands_in_the_reason(model: TransformerFusion) -> None:
    gate = Gate(name="age", passed=False, reason="the model was trained on children")
    xray = dataclasses.replace(parts(Modality.XRAY)[0], gates=(gate,))
    reason = one(fuse(model, (xray,)), "pneumonia").reason
    assert "'age'" in reason
    assert "trained on children" in reason


def test_evidence_outside_its_intended_use_does_not_settle_a_finding(model: TransformerFusion) -> None:
    gate = Gate(name="familiar image", passed=False, reason="too far")
    report = parts(Modality.TEXT)[0]
    ct = parts(Modality.CT)[0]
    doubted = dataclasses.replace(ct, gates=(gate,))
    assert one(fuse(model, (ct,)), "lung_cancer").assertion is Assertion.PRESENT
    found = one(fuse(model, (doubted, report)), "lung_cancer")
    assert found.assertion is Assertion.UNCERTAIN
    assert found.probability == one(fuse(model, (ct, report)), "lung_cancer").probability


def test_an_image_outside_its_intended_use_and_laboratory_values_settle_nothing(model: TransformerFusion) -> None:
    gate = Gate(name="age", passed=False, reason="the model was trained on children")
    xray, labs = parts(Modality.XRAY, Modality.LABS)
    xray = dataclasses.replace(xray, embedding=tuple(-each for each in xray.embedding))
    normal = dataclasses.replace(labs, observations=tuple(_at(each, 0.1) for each in labs.observations))
    both = (dataclasses.replace(xray, gates=(gate,)), normal)
    found = one(fuse(model, both), "pneumonia")
    assert found.assertion is Assertion.UNCERTAIN
    assert found.probability == one(fuse(model, (xray, normal)), "pneumonia").probability
    report = parts(Modality.TEXT)[0]
    assert one(fuse(model, (*both, report)), "pneumonia").assertion is not Assertion.NOT_ASSESSED


def _at(observation: Observation, value: float) -> Observation:
    measured = tuple(dataclasses.replace(each, value=value) for each in observation.measurements)
    return dataclasses.replace(observation, measurements=measured)


def test_larger_nodules_make_lung_cancer_likelier(model: TransformerFusion) -> None:
    ct = parts(Modality.CT)[0]
    found = []
    for diameter in (4.0, 8.0, 12.0, 20.0):
        size = dataclasses.replace(ct.observations[0].measurements[0], value=diameter)
        nodule = dataclasses.replace(ct.observations[0], measurements=(size,))
        found.append(one(fuse(model, (dataclasses.replace(ct, observations=(nodule,)),)), "lung_cancer").probability)
    assert found == sorted(found, key=float)
    assert found[0] is not None and found[0] < 0.05
    assert found[-1] is not None and found[-1] > 0.65


def test_a_ct_without_nodules_makes_lung_cancer_absent(model: TransformerFusion) -> None:
    none = Observation(id="chest_ct/nodules", concept=FINDINGS["lung_nodule"], assertion=Assertion.ABSENT)
    ct = dataclasses.replace(parts(Modality.CT)[0], observations=(none,))
    finding = one(fuse(model, (ct,)), "lung_cancer")
    assert (finding.assertion, finding.because) == (Assertion.ABSENT, ("chest_ct/nodules",))


@pytest.mark.parametrize(
    ("probability", "assertion"),
    [
        (0.19, Assertion.ABSENT),
        (0.2, Assertion.UNCERTAIN),
        (0.59, Assertion.UNCERTAIN),
        (0.6, Assertion.PRESENT),
    ],
)
def test_the_band_between_the_thresholds_is_uncertain(probability: float, assertion: Assertion) -> None:
    target = TargetSpec(id="pneumonia", absent_below=0.2, present_from=0.6, band_source="test")
    assert assertion_of(probability, probability, target) is assertion


def test_the_shipped_weights_reach_98_percent_of_the_best_possible_auroc_whatever_is_missing() -> None:
    weights = load_weights(SHIPPED, torch.device("cpu"))
    cohort = load_cohort(weights.xray)
    tokens, truth = cohort.sample(1000, seed=4242, prevalence=EVEN, complete=True)
    for gone in (None, 0, 1, 2, 3):
        kept = np.array([column != gone for column in range(4)])
        part = tokens.keep(np.tile(kept, (len(tokens), 1)))
        found, best = fused(weights, part), cohort.bayes_score(part)
        for target in range(len(TARGETS)):
            labels = truth[:, target].astype(float)
            assert auroc(labels, found[:, target]) >= 0.98 * auroc(labels, best[:, target])


@pytest.mark.skipif(not XRAY_SIDECAR.exists(), reason="the chest X-ray weights are not here")
def test_the_shipped_weights_belong_to_the_shipped_x_ray_model() -> None:
    assert read_spec(SHIPPED.with_suffix(".json")).xray.sha256 == json.loads(XRAY_SIDECAR.read_text())["sha256"]


def test_saved_weights_are_read_back_and_fuse(weights: FusionWeights, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    spec = save_weights(path, weights)
    model = TransformerFusion(FusionSettings(weights=str(path)))
    findings = fuse(model, sample_evidence(embedding_size=5))
    assert {finding.algorithm.sha256 for finding in findings} == {spec.sha256}


def test_weights_with_another_hash_are_refused(weights: FusionWeights, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(path, weights)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(FusionError, match="sha256"):
        TransformerFusion(FusionSettings(weights=str(path)))


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(FusionError, match=r"gone\.json"):
        TransformerFusion(FusionSettings(weights=str(tmp_path / "gone.safetensors")))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "cds-fusion-0", "cds-fusion-0"),
        ("extra", 1, "extra"),
        ("name", 5, "5"),
        ("targets", [], "unknown targets"),
    ],
)
def test_a_sidecar_that_does_not_fit_is_refused(
    weights: FusionWeights, tmp_path: Path, key: str, value: object, message: str
) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(path, weights)
    sidecar = path.with_suffix(".json")
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {key: value}))
    with pytest.raises(FusionError, match=message):
        load_weights(path, torch.device("cpu"))


def test_weights_of_another_shape_than_the_sidecar_says_are_refused(weights: FusionWeights, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(path, weights)
    sidecar = path.with_suffix(".json")
    table = json.loads(sidecar.read_text())
    table["network"]["layers"] = 3
    sidecar.write_text(json.dumps(table))
    with pytest.raises(FusionError, match="do not fit"):
        load_weights(path, torch.device("cpu"))


def test_a_network_that_gives_nan_gives_no_finding(weights: FusionWeights, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    with torch.no_grad():
        weights.ensemble.members[0].bias.fill_(float("nan"))
    save_weights(path, weights)
    model = TransformerFusion(FusionSettings(weights=str(path)))
    with pytest.raises(FusionError, match="NaN"):
        fuse(model, sample_evidence(embedding_size=5))
