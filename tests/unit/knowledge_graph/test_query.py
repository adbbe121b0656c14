import math

import pytest

from knowledge_graph.graph import Network
from knowledge_graph.load import load
from knowledge_graph.query import LARGEST, Differential

DIFFERENTIAL = Differential(Network(load()))


def scores(*present: str, absent: tuple[str, ...] = ()) -> dict[str, float]:
    ranked = DIFFERENTIAL.rank(dict.fromkeys(present, 1.0), dict.fromkeys(absent, 1.0))
    return {candidate.disease: candidate.score for candidate in ranked}


# Vignettes of our own: (true disease, what is seen, the source for what goes with what).
VIGNETTES = [
    (
        "heart_failure",
        "pulmonary_edema cardiomegaly pleural_effusion bnp_high",
        "JAMA 2005;294:1944; BMJ 2015;350:h910",
    ),
    ("pulmonary_embolism", "atelectasis elevated_diaphragm ddimer_high", "Chest 2000;118:33; Blood Adv 2020;4:4296"),
    ("bacterial_pneumonia", "consolidation pct_high crp_high", "Clin Infect Dis 2004;39:206"),
    (
        "covid19",
        "ground_glass_opacity lymph_low crp_high",
        "AJR 2020 10.2214/AJR.20.23034; Scand J Clin Lab Invest 2020",
    ),
    ("tuberculosis", "cavity tree_in_bud consolidation", "AJR 2008;191:834; Clin Microbiol Rev 2008;21:305"),
    ("lung_cancer", "lung_mass lymphadenopathy smoking cea_high", "Chest 2013;143:e93S; JAMA 2021;325:962"),
    ("sarcoidosis", "lymphadenopathy micronodules", "RadioGraphics 2010;30:1567"),
    ("ipf", "honeycombing bronchiectasis fibrosis", "Am J Respir Crit Care Med 2022;205:e18"),
    ("copd", "emphysema hyperinflation smoking", "GOLD 2023"),
    ("lung_metastasis", "multiple_nodules known_cancer", "RadioGraphics 2001;21(2)"),
    ("aortic_dissection", "mediastinal_widening chest_pain", "JAMA 2002;287:2262"),
    ("silicosis", "micronodules calcification lymphadenopathy silica_exposure", "RadioGraphics 2006;26:59"),
    ("mesothelioma", "pleural_thickening pleural_effusion asbestos_exposure", "AJR 1990;154:487"),
    ("healed_granuloma", "lung_nodule calcification", "Ann Thorac Med 2010;5:67"),
    ("pneumocystis_pneumonia", "ground_glass_opacity interstitial_pattern immunosuppression", "OFID 2024 ofae146"),
    ("pulmonary_hypertension", "pulmonary_artery_enlarged cardiomegaly", "Eur Heart J 2022;43:3618"),
    ("hypersensitivity_pneumonitis", "ground_glass_opacity air_trapping micronodules", "AJRCCM 2020;202:e36"),
    ("invasive_aspergillosis", "halo_sign lung_nodule immunosuppression", "Clin Infect Dis 2016;63:e1"),
    ("lymphoma", "lymphadenopathy mediastinal_widening", "J Clin Oncol 2014;32:3059; Chest 2005;128:2893"),
    ("lung_abscess", "cavity crp_high dysphagia", "Clin Microbiol Rev 2008;21:305; N Engl J Med 2019;380:651"),
]


@pytest.mark.parametrize(("disease", "seen", "source"), VIGNETTES)
def test_the_true_disease_of_a_vignette_is_among_the_first_three(disease: str, seen: str, source: str) -> None:
    assert disease in list(scores(*seen.split()))[:3], source


def test_a_normal_d_dimer_moves_pulmonary_embolism_down_by_its_likelihood_ratio() -> None:
    """0.03 / 0.41 = 0.07 by sensitivity 0.97 and specificity 0.41 (Blood Adv 2020;4:4296)."""
    without, with_it = scores("atelectasis"), scores("atelectasis", "ddimer_normal")
    assert with_it["pulmonary_embolism"] - without["pulmonary_embolism"] == pytest.approx(math.log(0.07))


def test_a_grade_against_a_disease_counts_as_documented() -> None:
    without, with_it = scores("cardiomegaly"), scores("cardiomegaly", "bnp_normal")
    assert with_it["heart_failure"] - without["heart_failure"] == pytest.approx(math.log(0.1))


def test_a_published_likelihood_ratio_is_used_as_it_stands() -> None:
    """LR 12.0 for pulmonary venous congestion (JAMA 2005;294:1944)."""
    (found,) = [c for c in DIFFERENTIAL.rank({"vascular_congestion": 1.0}) if c.disease == "heart_failure"]
    assert found.supporting[0].score == pytest.approx(math.log(12.0))


def test_sensitivity_and_specificity_make_a_likelihood_ratio() -> None:
    """0.97 and 0.41 for D-dimer (Blood Adv 2020;4:4296): 0.97 / 0.59."""
    (found,) = [c for c in DIFFERENTIAL.rank({"ddimer_high": 1.0}) if c.disease == "pulmonary_embolism"]
    assert found.supporting[0].score == pytest.approx(math.log(0.97 / 0.59))


def test_an_absent_hallmark_counts_against_a_disease_and_stands_among_the_contradicting_paths() -> None:
    ranked = DIFFERENTIAL.rank({"interstitial_pattern": 1.0}, {"honeycombing": 1.0})
    (ipf,) = [candidate for candidate in ranked if candidate.disease == "ipf"]
    assert [reason.observed for reason in ipf.contradicting] == ["honeycombing"]
    assert ipf.contradicting[0].absent


def test_a_finding_that_a_disease_does_not_explain_lowers_it() -> None:
    assert scores("emphysema", "pleural_effusion")["copd"] < scores("emphysema")["copd"]


def test_uncertain_observations_count_in_proportion() -> None:
    full = DIFFERENTIAL.rank({"vascular_congestion": 1.0})[0]
    half = DIFFERENTIAL.rank({"vascular_congestion": 0.5})[0]
    assert half.supporting[0].score == pytest.approx(full.supporting[0].score / 2)


def test_a_general_finding_is_not_counted_again_beside_the_specific_one() -> None:
    assert scores("consolidation", "lung_opacity") == scores("consolidation")


def test_a_specific_finding_supports_what_the_general_one_supports_by_its_is_a_edge() -> None:
    (ards,) = [c for c in DIFFERENTIAL.rank({"ground_glass_opacity": 1.0}) if c.disease == "ards"]
    assert [edge.relation.value for edge in ards.supporting[0].path] == ["manifests_as", "is_a"]


def test_a_kind_of_a_disease_that_explains_no_more_than_the_disease_is_left_out() -> None:
    found = scores("lung_mass")
    assert "lung_cancer" in found and "lung_adenocarcinoma" not in found
    assert "lung_squamous" in scores("cavity")


def test_no_single_finding_outweighs_the_limit() -> None:
    reasons = [r for c in DIFFERENTIAL.rank({"pneumothorax": 1.0, "halo_sign": 1.0}) for r in c.supporting]
    assert reasons and all(abs(reason.score) <= LARGEST + 1e-9 for reason in reasons)


def test_a_denied_disease_sinks_with_all_its_kinds() -> None:
    without, denied = scores("consolidation", "pct_high"), scores("consolidation", "pct_high", absent=("pneumonia",))
    assert denied["bacterial_pneumonia"] == pytest.approx(without["bacterial_pneumonia"] - LARGEST)


def test_nothing_seen_gives_no_differential() -> None:
    assert DIFFERENTIAL.rank({}) == ()


def test_the_order_of_what_was_seen_is_irrelevant() -> None:
    one = DIFFERENTIAL.rank({"cavity": 1.0, "consolidation": 0.7, "crp_high": 1.0})
    other = DIFFERENTIAL.rank({"crp_high": 1.0, "consolidation": 0.7, "cavity": 1.0})
    assert one == other


def test_what_a_disease_requires_excludes_it_where_it_is_absent() -> None:
    assert "parapneumonic_effusion" in scores("consolidation", "crp_high", "pneumonia")
    assert "parapneumonic_effusion" not in scores(
        "consolidation", "crp_high", "pneumonia", absent=("pleural_effusion",)
    )
    assert "ards" in scores("consolidation") and "ards" not in scores("consolidation", absent=("bilateral_opacities",))


def test_a_disease_that_needs_an_exposure_is_named_only_once_one_of_them_is_known() -> None:
    seen = ("high_attenuation", "septal_lines", "dyspnea")
    assert "amiodarone_lung" not in scores(*seen) and "amiodarone_lung" in scores(*seen, "amiodarone")
    assert "fat_embolism" not in scores("ground_glass_opacity", "petechiae")
    assert "fat_embolism" in scores("ground_glass_opacity", "petechiae", "long_bone_fracture")


def test_one_kind_of_a_finding_speaks_less_for_a_disease_of_which_only_the_general_finding_is_known() -> None:
    """Crazy paving is a ground-glass opacity; sources name it for proteinosis, and only opacity for contusion."""
    kind = scores("crazy_paving")
    assert kind["alveolar_proteinosis"] - kind["pulmonary_contusion"] > 0.0
    assert scores("lung_opacity")["pulmonary_contusion"] > kind["pulmonary_contusion"]


def test_that_one_kind_is_absent_does_not_mean_that_the_general_finding_is() -> None:
    seen = ("fever", "cough")
    general, kind = scores(*seen, absent=("lung_opacity",)), scores(*seen, absent=("crazy_paving",))
    assert kind["pneumonia"] > general["pneumonia"]


def test_a_symptom_that_is_not_explained_counts_a_little_against_a_disease() -> None:
    told, alone = scores("emphysema", "hemoptysis")["copd"], scores("emphysema")["copd"]
    assert alone - math.log(2.0) < told < alone
