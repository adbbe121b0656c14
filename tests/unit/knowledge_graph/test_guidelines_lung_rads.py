"""When Lung-RADS holds, with what comparisons it reads growth, and what the report then says."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cds.compared import compared as pipeline_compares
from cds.domain.comparison import Change, Comparison
from cds.domain.evidence import Algorithm, Assertion, Evidence, Measurement, Modality, Observation, Site
from cds.domain.finding import Recommendation
from cds.domain.report import Case
from cds.domain.study import Patient, Study
from cds.domain.vocabulary import ANATOMY, FINDINGS
from knowledge_graph.guidelines import recommend as every_guideline
from knowledge_graph.guidelines_lung_rads import recommend
from knowledge_graph.guidelines_nodule import LONG_AXIS, SHORT_AXIS

ALGORITHM = Algorithm(name="test", version="1")


def nodule(number: int, mm: float, note: str = "solid", key: str = "lung_nodule") -> Observation:
    return Observation(
        id=f"chest_ct/nodule/{number}",
        concept=FINDINGS[key],
        note=note,
        measurements=tuple(Measurement(quantity=axis, value=mm, unit="mm") for axis in (LONG_AXIS, SHORT_AXIS)),
    )


def case(description: str = "LDCT lung cancer screening", reason: str = "", *comparisons: Comparison) -> Case:
    study = Study(
        study_instance_uid="1.2.3",
        patient=Patient(age_years=60.0),
        series=(),
        description=description,
        reason_for_exam=reason,
    )
    return Case(study=study, comparisons=comparisons)


def compared(*pairs: tuple[Observation | None, Observation], days: int | None = 365, reason: str = "") -> Comparison:
    return Comparison(
        study_instance_uid="1.2.2",
        performed_on=None,
        days=days,
        modality=Modality.CT,
        changes=tuple(Change(then=then, now=now) for then, now in pairs),
        reason=reason,
    )


def ct(*items: Observation) -> Evidence:
    return Evidence(modality=Modality.CT, algorithm=ALGORITHM, observations=items)


def text(key: str, note: str = "") -> Evidence:
    item = Observation(id="text/1/0", concept=FINDINGS[key], note=note)
    return Evidence(modality=Modality.TEXT, algorithm=ALGORITHM, observations=(item,))


def rows(found: tuple[Recommendation, ...]) -> list[str]:
    return [item.row for item in found]


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("LDCT lung cancer screening", ""),
        ("CT CHEST LOW DOSE SCREENING", ""),
        ("CT chest", "Lung cancer screening, 30 pack years"),
        ("CT chest 71271", ""),
        ("G0297", ""),
        ("低剂量胸部CT", "肺癌筛查"),
    ],
)
def test_a_screening_ct_is_known_by_description_reason_or_procedure_code(description: str, reason: str) -> None:
    (found,) = recommend(case(description, reason), (ct(nodule(1, 7.0)),))
    assert found.applies
    assert found.row == "category 3: solid nodule, at baseline, 6 to <8 mm"


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("CT chest", "cough"),
        ("CT chest", "not for screening"),
        ("CT chest, non-screening", ""),
        ("胸部CT", "非筛查"),
        ("CT chest", "TB screening"),
        ("CT chest", "screening for metastases"),
        ("CT chest", "breast cancer screening recall"),
        ("CT abdomen", "screening"),
        ("胸部CT", "结核筛查"),
    ],
)
def test_any_other_ct_is_told_not_to_be_a_screening(description: str, reason: str) -> None:
    (found,) = recommend(case(description, reason), (ct(nodule(1, 7.0)),))
    assert not found.applies
    assert found.text == ("Not a screening examination.", "非筛查检查。")


def test_a_site_names_its_own_study_descriptions() -> None:
    own = case("Thorax Vorsorge")
    (found,) = recommend(own, (ct(nodule(1, 7.0)),), ("thorax vorsorge",))
    assert found.applies
    fleischner, lung_rads = every_guideline(own, (ct(nodule(1, 7.0)),), (), ("thorax vorsorge",))
    assert not fleischner.applies and lung_rads.applies


def test_no_examination_is_under_fleischner_and_lung_rads_at_once() -> None:
    for who in (case(), case("CT chest", "cough"), case("CT chest", "TB screening"), case("CT abdomen", "screening")):
        assert len({item.guideline for item in every_guideline(who, (ct(nodule(1, 7.0)),)) if item.applies}) <= 1


def test_a_ct_that_is_no_screening_and_shows_no_nodule_is_not_spoken_of() -> None:
    absent = replace(nodule(1, 5.0), id="chest_ct/nodule", assertion=Assertion.ABSENT, measurements=())
    assert recommend(case("CT chest"), (ct(absent),)) == ()
    assert recommend(case(), ()) == ()


def test_a_screening_without_a_nodule_is_category_1_as_far_as_was_looked() -> None:
    absent = replace(nodule(1, 5.0), id="chest_ct/nodule", assertion=Assertion.ABSENT, measurements=())
    (found,) = recommend(case(), (ct(absent),))
    assert found.row == "category 1: no lung nodule"
    assert "airway lesions, cysts and pure ground glass are the reader's to add" in found.text[0]
    assert "12个月" in found.text[1]


@pytest.mark.parametrize(
    ("then_mm", "now_mm", "days", "row"),
    [
        (6.0, 7.5, 365, "category 2: category 3 lesion, stable or smaller after 6 months"),
        (6.0, 7.6, 365, "category 4A: solid nodule, growing, <8 mm"),
        (7.0, 9.0, 365, "category 4B: solid nodule, growing, >=8 mm"),
        (6.0, 7.6, 730, "category 4B: slowly growing solid nodule (note 8)"),
        (9.0, 9.0, 100, "category 3: category 4A lesion, stable or smaller after 3 months"),
        (5.5, 6.5, 365, "category 3: solid nodule, at baseline, 6 to <8 mm"),
    ],
)
def test_growth_is_read_from_the_comparison_with_an_earlier_ct(
    then_mm: float, now_mm: float, days: int, row: str
) -> None:
    now = nodule(1, now_mm)
    (found,) = recommend(case("Lung screening", "", compared((nodule(4, then_mm), now), days=days)), (ct(now),))
    assert found.row == row


def test_what_an_earlier_ct_does_not_show_is_new() -> None:
    now = nodule(1, 6.5)
    (found,) = recommend(case("Lung screening", "", compared((None, now))), (ct(now),))
    assert found.row == "category 4A: solid nodule, new, 6 to <8 mm"
    assert "新发" in found.text[1]


def test_growth_since_any_of_several_earlier_cts_counts() -> None:
    now = nodule(1, 7.6)
    last, first = compared((nodule(1, 7.4), now), days=90), compared((nodule(1, 5.9), now), days=350)
    for order in ((last, first), (first, last)):
        (found,) = recommend(case("Lung screening", "", *order), (ct(now),))
        assert found.row == "category 4A: solid nodule, growing, <8 mm"


def test_a_solid_part_in_what_was_ground_glass_is_a_new_solid_component() -> None:
    component = Measurement(quantity=replace(LONG_AXIS, value="x", meaning="Solid component"), value=3.0, unit="mm")
    now = nodule(1, 12.0, "part-solid")
    now = replace(now, measurements=(*now.measurements, component))
    then = nodule(1, 12.0, "ground-glass")
    (found,) = recommend(case("Lung screening", "", compared((then, now))), (ct(now),))
    assert found.row == "category 4A: part-solid nodule, new solid component, <4 mm"


def test_an_earlier_ct_that_could_not_be_compared_makes_the_examination_incomplete() -> None:
    first, second = recommend(case("Lung screening", "", compared(reason="unreadable")), (ct(nodule(1, 7.0)),))
    assert first.row == "category 0: earlier chest CT to be compared"
    assert second.row == "category 3: solid nodule, at baseline, 6 to <8 mm"


def test_instances_that_did_not_come_make_the_examination_incomplete() -> None:
    first, _ = recommend(replace(case(), held=90, expected=120), (ct(nodule(1, 7.0)),))
    assert first.row == "category 0: part or all of the lungs cannot be evaluated"


def test_consolidation_of_now_may_be_an_infection_and_one_of_an_earlier_report_is_not() -> None:
    shown = (ct(nodule(1, 7.0)), text("consolidation"))
    assert rows(recommend(case(), shown))[0] == "category 0: findings of an inflammatory or infectious process"
    earlier = (ct(nodule(1, 7.0)), text("consolidation", "prior report; said then: present"))
    assert len(recommend(case(), earlier)) == 1


@pytest.mark.parametrize(("number", "incomplete"), [(6, False), (7, True)])
def test_more_than_six_new_nodules_may_be_an_infection(number: int, incomplete: bool) -> None:
    new = [nodule(each, 5.0) for each in range(1, number + 1)]
    found = recommend(case("Lung screening", "", compared(*((None, each) for each in new))), (ct(*new),))
    assert (found[0].row == "category 0: findings of an inflammatory or infectious process") is incomplete


def test_spiculation_or_enlarged_nodes_make_a_category_3_nodule_4x() -> None:
    (by_margin,) = recommend(case(), (ct(nodule(1, 7.0, "solid, spiculated")),))
    (by_nodes,) = recommend(case(), (ct(nodule(1, 7.0)), text("lymphadenopathy")))
    (small,) = recommend(case(), (ct(nodule(1, 5.0, "solid, spiculated")),))
    assert by_margin.row.startswith("category 4X: category 3 with suspicious features")
    assert by_nodes.row.startswith("category 4X")
    assert small.row.startswith("category 2")


def test_spiculation_of_a_small_nodule_does_not_raise_another_one() -> None:
    (found,) = recommend(case(), (ct(nodule(1, 4.0, "solid, spiculated"), nodule(2, 7.0, "solid, smooth")),))
    assert found.row == "category 3: solid nodule, at baseline, 6 to <8 mm"


def test_other_findings_propose_modifier_s() -> None:
    _, found = recommend(case(), (ct(nodule(1, 5.0)), text("pleural_effusion")))
    assert found.row == "modifier S"
    assert "Pleural effusion" in found.text[0] and "胸腔积液" in found.text[1]


def test_an_undetermined_type_or_component_is_told_as_the_categories_that_are_possible() -> None:
    (found,) = recommend(case(), (ct(nodule(1, 9.0, "")),))
    assert found.row == "category 2 or category 3 or category 4A or category 4B"
    assert found.text[0].startswith("Not settled")
    (part,) = recommend(case(), (ct(nodule(1, 9.0, "part-solid")),))
    assert part.row == "category 3 or category 4A or category 4B"


def test_a_nodule_without_a_diameter_leaves_the_category_open() -> None:
    bare = replace(nodule(2, 5.0), measurements=())
    (found,) = recommend(case(), (ct(nodule(1, 7.0), bare),))
    assert not found.applies
    assert "no measured diameter" in found.text[0]


def test_typical_shape_at_the_pleura_is_category_2_below_10_mm() -> None:
    (found,) = recommend(case(), (ct(nodule(1, 9.0, "solid, attached to the pleura, smooth, triangular")),))
    (shapeless,) = recommend(case(), (ct(nodule(1, 9.0, "solid, attached to the pleura")),))
    assert found.row == "category 2: juxtapleural nodule, at baseline, <10 mm"
    assert shapeless.row.startswith("category 4A")


def test_every_sentence_is_whole_in_both_languages() -> None:
    who = case("Lung screening", "", compared(reason="unreadable"))
    shown = (ct(nodule(1, 9.0, ""), nodule(2, 7.0)), text("pleural_effusion"))
    for item in (*recommend(who, shown), *recommend(case("CT chest"), shown)):
        assert item.text[0].isascii() and item.text[0].endswith(".") and item.text[0][0].isupper()
        assert item.text[1].endswith("。")
        assert item.citation.endswith("doi:10.1016/j.jacr.2023.09.009")


@pytest.mark.parametrize(
    ("note", "row"),
    [
        (
            "solid endobronchial nodule, segmental",
            "category 4A: airway nodule, segmental or more proximal, at baseline",
        ),
        ("endobronchial, subsegmental", "category 2: airway nodule, subsegmental, at baseline"),
        ("支气管内结节", "category 4A: airway nodule, segmental or more proximal, at baseline"),
        ("thick-walled cyst", "category 4A: thick-walled cyst"),
        ("multilocular cyst", "category 4A: multilocular cyst at baseline"),
    ],
)
def test_an_airway_nodule_or_atypical_cyst_is_not_rated_by_its_size(note: str, row: str) -> None:
    (found,) = recommend(case(), (ct(nodule(1, 5.0, note)),))
    assert found.row == row


@pytest.mark.parametrize(
    ("then", "now", "row"),
    [
        (
            ("endobronchial", 5.0),
            ("endobronchial", 5.0),
            "category 4B: airway nodule, segmental or more proximal, stable",
        ),
        (("thick-walled cyst", 12.0), ("multilocular cyst", 12.0), "category 4A: cyst that has become multilocular"),
        (("multilocular cyst", 12.0), ("multilocular cyst", 15.0), "category 4B: multilocular cyst that grows"),
        (
            ("thick-walled cyst", 12.0),
            ("thick-walled cyst", 15.0),
            "category 3: thick-walled cyst whose cystic component grows",
        ),
        (
            ("thick-walled cyst", 12.0),
            ("thick-walled cyst", 12.0),
            "category 3: category 4A lesion, stable or smaller after 3 months",
        ),
    ],
)
def test_airway_nodules_and_cysts_are_followed_too(then: tuple[str, float], now: tuple[str, float], row: str) -> None:
    seen = nodule(1, now[1], now[0])
    (found,) = recommend(case("Lung screening", "", compared((nodule(1, then[1], then[0]), seen))), (ct(seen),))
    assert found.row == row


def test_a_growing_subsegmental_airway_nodule_is_told_to_have_no_row() -> None:
    then, now = nodule(1, 4.0, "endobronchial, subsegmental"), nodule(1, 6.0, "endobronchial, subsegmental")
    (found,) = recommend(case("Lung screening", "", compared((then, now))), (ct(now),))
    assert not found.applies
    assert "no row in the table" in found.text[0]


def at(item: Observation, *position: float, side: str = "right") -> Observation:
    return replace(item, position=position, site=Site(region=ANATOMY["lung"], laterality=ANATOMY[side]))


def gone(item: Observation) -> Change:
    return Change(then=item, now=None)


@pytest.mark.parametrize(
    ("lost", "row"),
    [
        (at(nodule(4, 6.4), 0.5, 0.5, 0.6), "category 3 or category 4A"),
        (at(nodule(4, 6.4)), "category 3 or category 4A"),
        (at(nodule(4, 6.4), 0.5, 0.5, 0.7), "category 4A: solid nodule, new, 6 to <8 mm"),
        (at(nodule(4, 6.4), 0.5, 0.5, 0.6, side="left"), "category 4A: solid nodule, new, 6 to <8 mm"),
    ],
)
def test_a_nodule_that_may_be_one_of_before_is_not_called_new(lost: Observation, row: str) -> None:
    now = at(nodule(1, 6.5), 0.5, 0.5, 0.5)
    comparison = compared((None, now))
    comparison = replace(comparison, changes=(*comparison.changes, gone(lost)))
    (found,) = recommend(case("Lung screening", "", comparison), (ct(now),))
    assert found.row == row


@pytest.mark.parametrize("reason", ["not for screening", "non-screening", "非筛查"])
def test_a_denied_screening_is_under_fleischner(reason: str) -> None:
    found = every_guideline(case("CT chest", reason), (ct(nodule(1, 7.0)),))
    assert {item.guideline for item in found if item.applies} == {"Fleischner Society 2017"}


@pytest.mark.parametrize(
    ("then_mm", "row"),
    [
        (6.1, "category 4A: solid nodule, growing, <8 mm"),
        (6.2, "category 2: category 3 lesion, stable or smaller after 6 months"),
    ],
)
def test_growth_is_read_from_what_the_pipeline_itself_compares(then_mm: float, row: str) -> None:
    now, then = at(nodule(1, 7.7), 0.5, 0.5, 0.5), at(nodule(3, then_mm), 0.52, 0.5, 0.5)
    who = case()
    study = replace(who.study, started_at=datetime(2026, 1, 10, tzinfo=UTC))
    prior = replace(who.study, study_instance_uid="1.2.2", started_at=datetime(2025, 1, 10, tzinfo=UTC))
    made = pipeline_compares(study, prior, ct(now), ct(then))
    (found,) = recommend(replace(who, study=study, comparisons=(made,)), (ct(now),))
    assert found.row == row
