from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from cds.domain.code import Code
from cds.domain.evidence import Algorithm, Assertion, Evidence, Measurement, Modality, Observation
from cds.domain.vocabulary import FINDINGS
from cds.errors import FusionError
from cds.fusion.spec import FusionSpec
from cds.fusion.tokens import CLIP_SD, CaseTokens, State, tokens_of
from cds.fusion.weights import XrayToken

CRP = Code("1988-5", "LN", "C reactive protein [Mass/volume] in Serum or Plasma")
Read = Callable[..., CaseTokens]
MODEL = Algorithm(name="chest_xray", version="1", sha256="aa" * 32)


def lab(value: float, *, unit: str = "mg/L", code: Code = CRP, note: str = "", id: str = "") -> Observation:
    measured = (Measurement(quantity=code, value=value, unit=unit),)
    return Observation(id=id or f"labs/{code.value}", concept=code, measurements=measured, note=note)


def nodule(number: int, diameter_mm: float) -> Observation:
    size = Measurement(quantity=Code("81827009", "SCT", "Diameter"), value=diameter_mm, unit="mm")
    volume = Measurement(quantity=Code("118565006", "SCT", "Volume"), value=900.0, unit="mm3")
    identifier = f"chest_ct/nodule/{number}"
    return Observation(id=identifier, concept=FINDINGS["lung_nodule"], measurements=(volume, size))


def mention(key: str, assertion: Assertion, start: int = 0) -> Observation:
    return Observation(id=f"text/r/{start}", concept=FINDINGS[key], assertion=assertion)


def part(modality: Modality, *observations: Observation, embedding: tuple[float, ...] = ()) -> Evidence:
    return Evidence(modality=modality, algorithm=MODEL, observations=observations, embedding=embedding)


def xray(embedding: tuple[float, ...]) -> Evidence:
    seen = Observation(id="chest_xray/pneumonia", concept=FINDINGS["pneumonia"])
    return part(Modality.XRAY, seen, embedding=embedding)


@pytest.fixture
def read(spec: FusionSpec, xray_token: XrayToken) -> Read:
    def tokens(*evidence: Evidence) -> CaseTokens:
        return tokens_of(evidence, spec, xray_token.mean, xray_token.projection)

    return tokens


def test_a_laboratory_value_becomes_its_standardised_logarithm(read: Read, spec: FusionSpec) -> None:
    found = read(part(Modality.LABS, lab(100.0)))
    column = [analyte.loinc for analyte in spec.analytes].index("1988-5")
    expected = (math.log(100.0) - spec.analytes[column].log_mean) / spec.analytes[column].log_sd
    assert found.tokens.labs[0, column] == pytest.approx(expected)
    assert np.isnan(np.delete(found.tokens.labs[0], column)).all()
    assert found.because == {"pneumonia": ("labs/1988-5",), "lung_cancer": ()}


@pytest.mark.parametrize(
    ("note", "bounded"), [("< 5 mg/L; normal", True), ("<= 5 mg/L", True), ("> 5 mg/L", False), ("high", False)]
)
def test_a_comparator_at_the_start_of_the_note_marks_an_upper_bound(read: Read, note: str, bounded: bool) -> None:
    assert read(part(Modality.LABS, lab(5.0, note=note))).tokens.below[0, 0] == bounded


def test_a_laboratory_value_of_zero_is_held_at_the_low_end(read: Read) -> None:
    assert read(part(Modality.LABS, lab(0.0))).tokens.labs[0, 0] == -CLIP_SD


def test_a_foreign_unit_is_refused_and_both_units_are_named(read: Read) -> None:
    with pytest.raises(FusionError, match=r"'mg/dL'.*'mg/L'"):
        read(part(Modality.LABS, lab(10.0, unit="mg/dL")))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_a_value_that_is_no_possible_measurement_is_refused(read: Read, bad: float) -> None:
    with pytest.raises(FusionError, match="labs/1988-5"):
        read(part(Modality.LABS, lab(bad)))


def test_an_analyte_that_was_not_trained_on_makes_no_token(read: Read) -> None:
    sodium = Code("2951-2", "LN", "Sodium [Moles/volume] in Serum or Plasma")
    found = read(part(Modality.LABS, lab(140.0, unit="mmol/L", code=sodium)))
    assert not found.tokens.present[0, 2]
    assert found.because["pneumonia"] == ()


def test_a_nodule_is_read_by_its_length_in_mm_not_by_its_volume(read: Read, spec: FusionSpec) -> None:
    found = read(part(Modality.CT, nodule(1, 5.0), nodule(2, 12.0)))
    expected = (np.log([12.0, 5.0]) - spec.nodule.log_mean) / spec.nodule.log_sd
    assert found.tokens.nodules[0] == pytest.approx(expected)
    assert set(found.because["lung_cancer"]) == {"chest_ct/nodule/1", "chest_ct/nodule/2"}


def test_a_ct_without_nodules_is_read_and_its_statement_is_the_evidence(read: Read) -> None:
    none = Observation(id="chest_ct/nodules", concept=FINDINGS["lung_nodule"], assertion=Assertion.ABSENT)
    found = read(part(Modality.CT, none))
    assert found.tokens.present[0, 1]
    assert found.tokens.nodules.shape == (1, 0)
    assert found.because["lung_cancer"] == ("chest_ct/nodules",)


def test_a_nodule_without_a_positive_size_is_refused(read: Read) -> None:
    with pytest.raises(FusionError, match="positive size"):
        read(part(Modality.CT, nodule(1, 0.0)))


def test_the_embedding_is_centred_and_projected(read: Read) -> None:
    found = read(xray((0.5, -0.25, 2.0, 9.0, 9.0)))
    assert found.tokens.xray[0] == pytest.approx([0.5, -0.25, 2.0])
    assert found.because["pneumonia"] == ("chest_xray/pneumonia",)


def test_an_embedding_of_another_size_is_refused_and_both_sizes_are_named(read: Read) -> None:
    with pytest.raises(FusionError, match=r"has 7 numbers.*want 5"):
        read(xray((0.0,) * 7))


def test_an_embedding_of_other_weights_is_refused(read: Read) -> None:
    other = dataclasses.replace(xray((0.0,) * 5), algorithm=dataclasses.replace(MODEL, sha256="bb" * 32))
    with pytest.raises(FusionError, match=r"bbbbbbbbbbbb.*aaaaaaaaaaaa.*cds train fusion"):
        read(other)


def test_an_embedding_with_nan_is_refused(read: Read) -> None:
    with pytest.raises(FusionError, match="NaN"):
        read(xray((math.nan, 0.0, 0.0, 0.0, 0.0)))


def test_a_radiograph_without_embedding_is_missing_and_said_to_be(read: Read) -> None:
    found = read(xray(()))
    assert not found.tokens.present[0, 0]
    assert "no embedding" in found.notes[0]
    assert found.because["pneumonia"] == ()


def test_of_several_statements_the_more_telling_one_stands(read: Read, spec: FusionSpec) -> None:
    column = [group.id for group in spec.mentions].index("opacity")
    said = (mention("infiltrate", Assertion.ABSENT, 1), mention("consolidation", Assertion.UNCERTAIN, 2))
    assert read(part(Modality.TEXT, *said)).tokens.mentions[0, column] == State.UNCERTAIN
    more = (*said, mention("lung_opacity", Assertion.PRESENT, 3))
    assert read(part(Modality.TEXT, *more)).tokens.mentions[0, column] == State.PRESENT


def test_a_report_that_mentions_nothing_relevant_is_read_but_points_at_nothing(read: Read) -> None:
    found = read(part(Modality.TEXT, mention("rib_fracture", Assertion.PRESENT)))
    assert found.tokens.present[0, 3]
    assert (found.tokens.mentions == State.NOT_MENTIONED).all()
    assert found.because == {"pneumonia": (), "lung_cancer": ()}


def test_an_observation_given_twice_is_one_observation(read: Read) -> None:
    once = read(part(Modality.CT, nodule(1, 8.0)))
    twice = read(part(Modality.CT, nodule(1, 8.0), nodule(1, 8.0)), part(Modality.CT, nodule(1, 8.0)))
    assert np.array_equal(once.tokens.nodules, twice.tokens.nodules)


def test_inputs_far_outside_are_held_within_the_trained_range(read: Read) -> None:
    assert read(xray((1e9, 0.0, 0.0, 0.0, 0.0))).tokens.xray[0, 0] == CLIP_SD


@pytest.mark.parametrize("note", ["prior report", "order; asked for, not found", "asked for, not found"])
def test_what_an_earlier_report_said_or_an_order_asked_is_not_evidence_of_now(read: Read, note: str) -> None:
    said = dataclasses.replace(mention("pneumonia", Assertion.PRESENT), note=note)
    found = read(part(Modality.TEXT, said))
    assert not found.tokens.present[0, 3]
    assert found.because["pneumonia"] == ()


def test_the_mean_diameter_goes_before_the_long_axis(read: Read, spec: FusionSpec) -> None:
    axis = Measurement(quantity=Code("103339001", "SCT", "Long axis"), value=14.0, unit="mm")
    item = nodule(1, 11.0)
    found = read(part(Modality.CT, dataclasses.replace(item, measurements=(axis, *item.measurements))))
    assert found.tokens.nodules[0, 0] == pytest.approx((math.log(11.0) - spec.nodule.log_mean) / spec.nodule.log_sd)
