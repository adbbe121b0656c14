"""Whether Fleischner 2017 holds for a case, and which rows the report then names."""

from dataclasses import replace

import pytest

from cds.domain.code import Code
from cds.domain.evidence import Algorithm, Assertion, Evidence, Measurement, Modality, Observation
from cds.domain.finding import Recommendation
from cds.domain.records import Records, TextReport
from cds.domain.report import Case
from cds.domain.study import Patient, Study
from cds.domain.vocabulary import FINDINGS
from knowledge_graph.fleischner import NoduleType, Risk, advise, rounded_mm, size_of
from knowledge_graph.guidelines_fleischner import recommend
from knowledge_graph.guidelines_nodule import LONG_AXIS, SHORT_AXIS, measure

ALGORITHM = Algorithm(name="test", version="1")


def nodule(number: int = 1, *axes_mm: float, note: str = "solid", unit: str = "mm") -> Observation:
    quantities = (LONG_AXIS, SHORT_AXIS)
    return Observation(
        id=f"chest_ct/nodule/{number}",
        concept=FINDINGS["lung_nodule"],
        note=note,
        measurements=tuple(
            Measurement(quantity=quantity, value=value, unit=unit)
            for quantity, value in zip(quantities, axes_mm, strict=False)
        ),
    )


def case(age: float | None = 60.0, *texts: str, description: str = "", reason: str = "") -> Case:
    return Case(
        study=Study(
            study_instance_uid="1.2.3",
            patient=Patient(age_years=age),
            series=(),
            description=description,
            reason_for_exam=reason,
        ),
        records=Records(texts=tuple(TextReport(report_id=str(n), text=text) for n, text in enumerate(texts))),
    )


def of(*nodules: Observation, who: Case | None = None, more: tuple[Evidence, ...] = ()) -> tuple[Recommendation, ...]:
    ct = Evidence(modality=Modality.CT, algorithm=ALGORITHM, observations=nodules)
    return recommend(who or case(), (ct, *more))


def text_evidence(key: str, assertion: Assertion = Assertion.PRESENT) -> Evidence:
    mention = Observation(id="text/1/0", concept=FINDINGS[key], assertion=assertion)
    return Evidence(modality=Modality.TEXT, algorithm=ALGORITHM, observations=(mention,))


@pytest.mark.parametrize(
    ("diameter_mm", "size"),
    [
        (5.49, "<6 mm"),
        (5.5, "6-8 mm"),
        (6.0, "6-8 mm"),
        (8.0, "6-8 mm"),
        (8.49, "6-8 mm"),
        (8.5, ">8 mm"),
        (20, ">8 mm"),
    ],
)
def test_the_mean_diameter_is_rounded_to_the_nearest_millimetre_before_the_column_is_chosen(
    diameter_mm: float, size: str
) -> None:
    assert size_of(diameter_mm) == size


def test_rounding_does_not_follow_the_bankers_rule() -> None:
    assert [rounded_mm(value) for value in (4.5, 5.5, 6.5, 7.5, 8.5)] == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("multiple", "risk", "diameter_mm", "words"),
    [
        (False, Risk.LOW, 5, "no routine follow-up"),
        (False, Risk.LOW, 7, "CT at 6 to 12 months, then consider CT at 18 to 24 months"),
        (False, Risk.LOW, 9, "consider CT at 3 months, PET/CT, or tissue sampling"),
        (False, Risk.HIGH, 5, "optional CT at 12 months"),
        (False, Risk.HIGH, 7, "CT at 6 to 12 months, then CT at 18 to 24 months"),
        (False, Risk.HIGH, 9, "consider CT at 3 months, PET/CT, or tissue sampling"),
        (True, Risk.LOW, 5, "no routine follow-up"),
        (True, Risk.LOW, 7, "CT at 3 to 6 months, then consider CT at 18 to 24 months"),
        (True, Risk.LOW, 9, "CT at 3 to 6 months, then consider CT at 18 to 24 months"),
        (True, Risk.HIGH, 5, "optional CT at 12 months"),
        (True, Risk.HIGH, 7, "CT at 3 to 6 months, then CT at 18 to 24 months"),
        (True, Risk.HIGH, 9, "CT at 3 to 6 months, then CT at 18 to 24 months"),
    ],
)
def test_every_cell_of_table_1a(multiple: bool, risk: Risk, diameter_mm: float, words: str) -> None:
    (advice,) = advise(NoduleType.SOLID, diameter_mm, multiple=multiple, risks=(risk,))
    assert advice.text[0] == words
    assert advice.table == "Table 1A (solid nodules)"


@pytest.mark.parametrize(
    ("multiple", "kind", "diameter_mm", "words"),
    [
        (False, NoduleType.GROUND_GLASS, 5, "no routine follow-up"),
        (False, NoduleType.GROUND_GLASS, 6, "CT at 6 to 12 months to see whether it persists, then CT every 2 years"),
        (False, NoduleType.PART_SOLID, 5, "no routine follow-up"),
        (False, NoduleType.PART_SOLID, 6, "CT at 3 to 6 months to see whether it persists; if unchanged and the solid"),
        (True, NoduleType.GROUND_GLASS, 5, "CT at 3 to 6 months; if stable, consider CT at 2 and 4 years"),
        (True, NoduleType.PART_SOLID, 6, "CT at 3 to 6 months; further management by the most suspicious nodule"),
    ],
)
def test_every_row_of_table_1b(multiple: bool, kind: NoduleType, diameter_mm: float, words: str) -> None:
    (advice,) = advise(kind, diameter_mm, multiple=multiple, risks=(Risk.LOW, Risk.HIGH))
    assert advice.text[0].startswith(words)
    assert advice.table == "Table 1B (subsolid nodules)"


def test_with_unknown_risk_both_rows_are_given_each_for_its_risk() -> None:
    low, high = of(nodule(1, 7.0, 7.0))
    assert (low.row, high.row) == ("single, low risk, 6-8 mm", "single, high risk, 6-8 mm")
    assert low.text[0].startswith("For a patient at low risk: CT at 6 to 12 months")
    assert high.text[1].startswith("高危患者：6至12个月复查CT")
    assert low.applies and high.applies
    assert low.citation.endswith("doi:10.1148/radiol.2017161659")


def test_a_risk_factor_on_record_leaves_the_high_risk_row_only() -> None:
    (smoker,) = of(nodule(1, 7.0, 7.0), who=case(60.0, "Current smoker, 30 pack years."))
    (emphysema,) = of(nodule(1, 7.0, 7.0), more=(text_evidence("emphysema"),))
    assert smoker.row == emphysema.row == "single, high risk, 6-8 mm"


@pytest.mark.parametrize("text", ["Never smoker.", "No smoking.", "Denies smoking.", "无吸烟史。", "不吸烟"])
def test_a_denied_risk_factor_proves_nothing(text: str) -> None:
    assert len(of(nodule(1, 7.0, 7.0), who=case(60.0, text))) == 2


def test_the_diameter_is_the_mean_of_long_and_short_axis() -> None:
    (low, _) = of(nodule(1, 8.0, 3.0))  # mean 5.5 mm, rounded to 6
    assert low.row == "single, low risk, 6-8 mm"
    assert "mean diameter 6 mm" in low.text[0]


def test_centimetres_are_read_as_centimetres() -> None:
    found = measure(nodule(1, 0.9, 0.7, unit="cm"))
    assert found is not None and found.diameter_mm == pytest.approx(8.0)


def test_a_named_diameter_serves_where_there_are_no_axes() -> None:
    item = Observation(
        id="chest_ct/nodule/1",
        concept=FINDINGS["lung_nodule"],
        measurements=(Measurement(quantity=Code("81827009", "SCT", "Diameter"), value=4.0, unit="mm"),),
    )
    found = measure(item)
    assert found is not None and found.diameter_mm == 4.0


def test_several_nodules_are_judged_by_the_largest() -> None:
    low, high = of(nodule(1, 4.0, 4.0), nodule(2, 9.0, 9.0))
    assert (low.row, high.row) == ("multiple, low risk, >8 mm", "multiple, high risk, >8 mm")
    assert low.because == ("chest_ct/nodule/1", "chest_ct/nodule/2")


def test_a_nodule_of_undetermined_type_names_the_subsolid_rows_as_not_applying() -> None:
    found = of(nodule(1, 7.0, 7.0, note=""))
    assert [item.applies for item in found] == [True, True, False, False]
    assert found[0].text[0].startswith("For a patient at low risk, if the nodule is solid: ")
    assert found[2].text[0].startswith("Unless the nodule is ground-glass")


@pytest.mark.parametrize(
    ("note", "row"),
    [
        ("part-solid nodule", "single, part-solid, >=6 mm"),
        ("ground glass", "single, ground-glass, >=6 mm"),
        ("磨玻璃", "single, ground-glass, >=6 mm"),
    ],
)
def test_a_subsolid_nodule_has_one_row(note: str, row: str) -> None:
    (found,) = of(nodule(1, 7.0, 7.0, note=note))
    assert found.row == row


@pytest.mark.parametrize(
    ("who", "words"),
    [
        (case(None), "age is not known"),
        (case(34.9), "younger than 35"),
        (case(60.0, "Colon cancer 2015."), "cancer is mentioned"),
        (case(60.0, "既往肺癌手术史"), "cancer is mentioned"),
        (case(60.0, "Renal transplant, on tacrolimus."), "Immunosuppression is mentioned"),
        (case(60.0, description="Low dose CT lung cancer screening"), "screening, not an incidental finding"),
    ],
)
def test_where_the_guideline_does_not_apply_it_says_why(who: Case, words: str) -> None:
    (found,) = of(nodule(1, 7.0, 7.0), who=who)
    assert not found.applies
    assert words in found.text[0]
    assert not found.text[0].lower().startswith("does not apply")  # the writers say that


def test_a_cancer_that_the_text_extractor_found_rules_the_guideline_out_and_a_denied_one_does_not() -> None:
    (found,) = of(nodule(1, 7.0, 7.0), more=(text_evidence("lung_cancer"),))
    assert not found.applies
    assert len(of(nodule(1, 7.0, 7.0), more=(text_evidence("lung_cancer", Assertion.ABSENT),))) == 2


@pytest.mark.parametrize(
    "text",
    ["No history of cancer.", "Family history of lung cancer", "Denies malignancy", "无恶性肿瘤史", "家族中有肺癌"],
)
def test_a_negated_or_family_history_of_cancer_does_not_rule_the_guideline_out(text: str) -> None:
    assert all(item.applies for item in of(nodule(1, 7.0, 7.0), who=case(60.0, text)))


def test_exactly_35_years_is_old_enough() -> None:
    assert all(item.applies for item in of(nodule(1, 7.0, 7.0), who=case(35.0)))


def test_a_nodule_without_a_measured_diameter_is_said_and_not_guessed() -> None:
    (found,) = of(nodule(1))
    assert not found.applies
    assert "No nodule has a measured diameter" in found.text[0]


def test_no_nodule_gives_no_recommendation() -> None:
    assert of() == ()
    absent = Observation(id="chest_ct/nodule/1", concept=FINDINGS["lung_nodule"], assertion=Assertion.ABSENT)
    assert of(absent) == ()


def said_before(note: str, assertion: Assertion = Assertion.NOT_ASSESSED, key: str = "lung_nodule") -> Evidence:
    mention = Observation(id="text/1/0", concept=FINDINGS[key], assertion=assertion, note=note)
    return Evidence(modality=Modality.TEXT, algorithm=ALGORITHM, observations=(mention,))


@pytest.mark.parametrize(
    "more",
    [
        said_before("prior report; said then on 2025-01-02: present"),
        said_before("prior report; said then: uncertain", key="lung_mass"),
        said_before("order; asked for, not found", Assertion.UNCERTAIN),
    ],
)
def test_a_nodule_that_was_named_before_may_be_outside_the_guidelines_scope(more: Evidence) -> None:
    for row in of(nodule(1, 7.0, 7.0), more=(more,)):
        assert row.applies
        assert "the guideline is for nodules found by chance" in row.text[0]
        assert row.text[0].endswith("it may not apply here.")
        assert row.text[1].endswith("此处可能不适用。")


@pytest.mark.parametrize(
    "more",
    [
        said_before("prior report; said then on 2025-01-02: absent"),
        said_before("prior report; said then: present; said of: family"),
        said_before("", Assertion.PRESENT),
        said_before("prior report; said then: present", key="consolidation"),
    ],
)
def test_a_nodule_that_nobody_named_before_is_taken_as_found_by_chance(more: Evidence) -> None:
    assert all("by chance" not in row.text[0] for row in of(nodule(1, 7.0, 7.0), more=(more,)))


@pytest.mark.parametrize(
    ("note", "row"),
    [
        ("solid, perifissural, smooth, triangular", "typical intrapulmonary lymph node"),
        ("solid, attached to the pleura, smooth, oval", "typical intrapulmonary lymph node"),
        ("实性，叶间裂旁，边缘光滑，三角形", "typical intrapulmonary lymph node"),
        ("solid, perifissural", "single, low risk, >8 mm"),
        ("solid, perifissural, triangular", "single, low risk, >8 mm"),
        ("part-solid, perifissural, smooth, triangular", "single, part-solid, >=6 mm"),
        ("solid, smooth, triangular", "single, low risk, >8 mm"),
    ],
)
def test_a_typical_intrapulmonary_lymph_node_needs_no_follow_up_whatever_its_size(note: str, row: str) -> None:
    assert of(nodule(1, 9.0, 9.0, note=note))[0].row == row


def test_a_spiculated_nodule_at_the_fissure_is_no_lymph_node_and_its_risk_is_high() -> None:
    (found,) = of(nodule(1, 7.0, 7.0, note="solid, perifissural, smooth, oval, spiculated"))
    assert found.row == "single, high risk, 6-8 mm"


def test_beside_another_nodule_a_lymph_node_does_not_count() -> None:
    node = nodule(1, 9.0, 9.0, note="solid, perifissural, smooth, triangular")
    low, _ = of(node, nodule(2, 7.0, 7.0))
    assert low.row == "single, low risk, 6-8 mm"
    assert low.because == ("chest_ct/nodule/1", "chest_ct/nodule/2")


def test_solid_and_subsolid_nodules_together_have_the_rows_of_both() -> None:
    found = of(nodule(1, 9.0, 9.0), nodule(2, 7.0, 7.0, note="part-solid"))
    assert [item.row for item in found] == [
        "multiple, low risk, >8 mm",
        "multiple, high risk, >8 mm",
        "multiple, subsolid, >=6 mm",
    ]
    assert all("the most suspicious one decides" in item.text[0] for item in found)


@pytest.mark.parametrize(
    "text",
    [
        "Asbestos exposure.",
        "Mother had lung cancer",
        "Family history of lung cancer",
        "石棉接触史",
        "家族中有肺癌",
        "有肺癌家族史",
        "Lung cancer in her mother",
    ],
)
def test_exposure_and_family_history_leave_the_high_risk_row_only(text: str) -> None:
    (found,) = of(nodule(1, 7.0, 7.0), who=case(60.0, text))
    assert found.row == "single, high risk, 6-8 mm"


@pytest.mark.parametrize(
    "text", ["No family history of lung cancer", "No asbestos exposure", "无石棉接触史", "无肺癌家族史"]
)
def test_a_denied_exposure_or_family_history_proves_nothing(text: str) -> None:
    assert len(of(nodule(1, 7.0, 7.0), who=case(60.0, text))) == 2


@pytest.mark.parametrize(
    ("solid_mm", "words"), [(5.0, "every year"), (7.0, "highly suspicious"), (9.0, "PET/CT, biopsy")]
)
def test_a_measured_solid_component_is_used(solid_mm: float, words: str) -> None:
    whole = nodule(1, 12.0, 12.0, note="part-solid")
    component = Measurement(quantity=Code("1", "99CDS", "Solid component diameter"), value=solid_mm, unit="mm")
    (found,) = of(replace(whole, measurements=(component, *whole.measurements)))
    assert words in found.text[0]
    assert "mean diameter 12 mm" in found.text[0]


@pytest.mark.parametrize(
    "text",
    [
        "Non-small cell lung carcinoma 2019.",
        "non Hodgkin lymphoma",
        "非小细胞肺癌术后",
        "非霍奇金淋巴瘤",
        "未分化癌",
        "肺不典型类癌切除术后",
    ],
)
def test_the_negation_in_the_name_of_a_cancer_denies_nothing(text: str) -> None:
    (found,) = of(nodule(1, 7.0, 7.0), who=case(60.0, text))
    assert not found.applies and "cancer is mentioned" in found.text[0]


@pytest.mark.parametrize("text", ["No non-small cell carcinoma.", "无非小细胞肺癌病史", "否认非霍奇金淋巴瘤"])
def test_such_a_cancer_can_still_be_denied(text: str) -> None:
    assert all(item.applies for item in of(nodule(1, 7.0, 7.0), who=case(60.0, text)))
