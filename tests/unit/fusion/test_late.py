"""Late fusion, held against Bayes' rule by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest

from cds.domain.evidence import Assertion, Evidence, Modality, Observation
from cds.domain.finding import Finding
from cds.domain.vocabulary import FINDINGS
from cds.errors import ConfigError, FusionError
from cds.testing.contract_fusion import fuse, sample_evidence
from cds_fusion_late import LateFusion, LateSettings
from cds_fusion_late.ratios import NUMBERS, STATEMENTS, likelihood_ratio


def pneumonia(*evidence: Evidence, settings: LateSettings | None = None) -> Finding:
    return fuse(LateFusion(settings or LateSettings()), evidence)[0]


def part(modality: Modality) -> Evidence:
    return next(given for given in sample_evidence() if given.modality is modality)


def after(prior: float, *ratios: float) -> float:
    odds = prior / (1 - prior) * math.prod(ratios)
    return odds / (1 + odds)


def test_the_probability_is_the_prior_odds_times_the_likelihood_ratios() -> None:
    # Image 0.8 at a prior of 0.5: ratio 4. CRP 187 mg/L: between the published steps, ratio 1. Report: 0.196 / 0.036.
    finding = pneumonia(part(Modality.XRAY), part(Modality.LABS), part(Modality.TEXT))
    assert finding.probability == pytest.approx(after(0.479, 4.0, 1.0, 0.196 / 0.036))
    assert finding.because == ("chest_xray/pneumonia", "labs/1988-5", "text/r1/10")


def test_an_image_probability_at_its_own_prior_changes_nothing() -> None:
    xray = part(Modality.XRAY)
    same = dataclasses.replace(xray, observations=(dataclasses.replace(xray.observations[0], probability=0.74),))
    finding = pneumonia(same, settings=LateSettings(image_prior=0.74))
    assert finding.probability == pytest.approx(0.479)
    assert finding.contributions[0].value == pytest.approx(0.0)


def test_a_contribution_is_the_probability_with_the_modality_minus_without_it() -> None:
    finding = pneumonia(part(Modality.XRAY), part(Modality.TEXT))
    values = {given.modality: given.value for given in finding.contributions}
    whole = after(0.479, 4.0, 0.196 / 0.036)
    assert values[Modality.XRAY] == pytest.approx(whole - after(0.479, 0.196 / 0.036))
    assert values[Modality.TEXT] == pytest.approx(whole - after(0.479, 4.0))


def test_two_nodules_are_not_two_proofs() -> None:
    ct = part(Modality.CT)
    larger = dataclasses.replace(ct, observations=ct.observations[:1])
    both, single = (fuse(LateFusion(LateSettings()), (given,))[1] for given in (ct, larger))
    assert both.probability == single.probability
    assert both.because == ("chest_ct/nodule/1",)


def test_it_says_that_it_is_not_calibrated() -> None:
    finding = pneumonia(*sample_evidence())
    assert finding.calibrated_on == ""
    assert finding.interval is None
    assert "not calibrated" in finding.reason


def test_nothing_that_bears_on_a_finding_leaves_it_not_assessed() -> None:
    assert pneumonia(part(Modality.CT)).assertion is Assertion.NOT_ASSESSED


def test_laboratory_values_alone_leave_it_not_assessed() -> None:
    finding = pneumonia(part(Modality.CT), part(Modality.LABS))
    assert (finding.assertion, finding.probability) == (Assertion.NOT_ASSESSED, None)
    assert finding.because == ("labs/1988-5",)
    assert finding.reason == "not assessed on the images: from laboratory values only"


def test_a_certain_image_does_not_make_a_certain_finding() -> None:
    xray = part(Modality.XRAY)
    certain = dataclasses.replace(xray, observations=(dataclasses.replace(xray.observations[0], probability=1.0),))
    probability = pneumonia(certain).probability
    assert probability is not None
    assert 0.99 < probability < 1.0


def test_nan_is_refused() -> None:
    xray = part(Modality.XRAY)
    broken = dataclasses.replace(xray, observations=(dataclasses.replace(xray.observations[0], probability=math.nan),))
    with pytest.raises(FusionError, match="chest_xray/pneumonia"):
        pneumonia(broken)


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.1])
def test_a_prior_that_is_no_probability_is_a_configuration_error(bad: float) -> None:
    with pytest.raises(ConfigError, match="prior"):
        LateSettings(prior_pneumonia=bad)


@pytest.mark.parametrize(("value", "ratio"), [(3.0, 0.2), (74.9, 0.2), (75.0, 1.0), (200.0, 5.0)])
def test_the_step_that_a_crp_value_reaches_counts(value: float, ratio: float) -> None:
    crp = part(Modality.LABS).observations[0]
    measured = dataclasses.replace(crp, measurements=(dataclasses.replace(crp.measurements[0], value=value),))
    assert likelihood_ratio("pneumonia", Modality.LABS, measured) == ratio


def test_an_assertion_without_a_published_ratio_says_nothing() -> None:
    unsure = Observation(id="text/r1/1", concept=FINDINGS["lung_mass"], assertion=Assertion.UNCERTAIN)
    assert likelihood_ratio("lung_cancer", Modality.TEXT, unsure) is None


def test_a_prior_report_says_nothing_about_now() -> None:
    earlier = Observation(
        id="text/r1/1", concept=FINDINGS["pneumonia"], assertion=Assertion.PRESENT, note="prior report; change: new"
    )
    assert likelihood_ratio("pneumonia", Modality.TEXT, earlier) is None


def test_every_ratio_has_a_source_that_can_be_looked_up() -> None:
    assert all("doi:10." in rule.source for rule in (*STATEMENTS, *NUMBERS))
