import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds.domain.code import Code
from cds.domain.evidence import Algorithm, Assertion, Evidence, Measurement, Modality, Observation, Site
from cds.domain.finding import Finding, Knowledge, StatementKind
from cds.domain.records import LabResult, Records
from cds.domain.report import Case
from cds.domain.study import Patient, Study
from cds.domain.vocabulary import ANATOMY, FINDINGS
from cds.errors import KnowledgeError
from knowledge_graph.load import load
from knowledge_graph.source import ThoraxGraph
from knowledge_graph.store import build

ALGORITHM = Algorithm(name="test", version="1")
GRAPH = ThoraxGraph(ThoraxGraph.Settings())
BNP = Code("30934-4", "LN", "Natriuretic peptide B")


def case(*labs: LabResult) -> Case:
    study = Study(study_instance_uid="1.2.3", patient=Patient(age_years=60.0), series=())
    return Case(study=study, records=Records(labs=labs))


def finding(key: str, probability: float | None = None, assertion: Assertion = Assertion.PRESENT) -> Finding:
    return Finding(
        id=key,
        code=FINDINGS[key],
        assertion=assertion,
        probability=probability,
        algorithm=ALGORITHM,
        because=(f"chest_xray/{key}",),
    )


def seen(
    modality: Modality, key: str, assertion: Assertion = Assertion.PRESENT, probability: float | None = None
) -> Evidence:
    item = Observation(id=f"{modality}/{key}", concept=FINDINGS[key], assertion=assertion, probability=probability)
    return Evidence(modality=modality, algorithm=ALGORITHM, observations=(item,))


def lab(note: str, value: float = 900.0, code: Code = BNP) -> Evidence:
    item = Observation(
        id=f"labs/{code.value}",
        concept=code,
        note=note,
        measurements=(Measurement(quantity=code, value=value, unit="pg/mL"),),
    )
    return Evidence(modality=Modality.LABS, algorithm=ALGORITHM, observations=(item,))


def kinds(knowledge: Knowledge, kind: StatementKind) -> list[str]:
    return [statement.object.meaning for statement in knowledge.statements if statement.kind is kind]


def test_the_differential_ranks_explains_and_cites() -> None:
    found = GRAPH.consult(case(), (lab("high (reference range: up to 100 pg/mL)"),), (finding("cardiomegaly"),))
    first = found.statements[0]
    assert (first.kind, first.object) == (StatementKind.DIFFERENTIAL, FINDINGS["heart_failure"])
    assert {step.relation for step in first.path} == {"manifests_as"}
    assert all(step.citation for step in first.path)
    assert set(first.because) == {"chest_xray/cardiomegaly", "labs/30934-4"}
    assert first.text[0].startswith("Consider heart failure: supported by ")
    assert first.text[1].startswith("考虑心力衰竭：支持点为")


def test_scores_fall_down_the_differential() -> None:
    found = GRAPH.consult(case(), (), (finding("cavity"), finding("consolidation")))
    scores = [item.score for item in found.statements if item.kind is StatementKind.DIFFERENTIAL]
    assert len(scores) > 1 and scores == sorted(scores, reverse=True)


def test_next_examinations_of_the_likeliest_diseases_are_named() -> None:
    found = GRAPH.consult(case(), (), (finding("cavity"), finding("consolidation")))
    wanted = "Sputum smear, culture and nucleic acid test for mycobacteria"
    assert wanted in kinds(found, StatementKind.FOLLOW_UP)


@pytest.mark.parametrize("note", ["low", "normal (reference range: up to 100 pg/mL)", "< 10 pg/mL; normal (default)"])
def test_a_normal_or_low_laboratory_value_counts_against_a_disease(note: str) -> None:
    with_lab = GRAPH.consult(case(), (lab(note, 20.0),), (finding("cardiomegaly"),))
    without = GRAPH.consult(case(), (), (finding("cardiomegaly"),))
    score = {item.object: item.score for item in without.statements if item.kind is StatementKind.DIFFERENTIAL}
    after = {item.object: item.score for item in with_lab.statements if item.kind is StatementKind.DIFFERENTIAL}
    assert after.get(FINDINGS["heart_failure"], -99.0) < score[FINDINGS["heart_failure"]]


def test_a_value_without_a_word_is_compared_with_the_reference_range_of_its_laboratory() -> None:
    result = LabResult(
        analyte=BNP, value=900.0, unit="pg/mL", observed_at=datetime(2026, 1, 1, tzinfo=UTC), reference_high=100.0
    )
    compared = GRAPH.consult(case(result), (lab(""),), (finding("cardiomegaly"),))
    said = GRAPH.consult(case(), (lab("high"),), (finding("cardiomegaly"),))
    assert compared.statements == said.statements


def test_a_value_that_nothing_compares_says_nothing() -> None:
    silent = GRAPH.consult(
        case(), (lab("not compared (reference range: no reference range given)"),), (finding("cardiomegaly"),)
    )
    assert silent.statements == GRAPH.consult(case(), (), (finding("cardiomegaly"),)).statements


def test_a_text_that_denies_what_the_image_shows_is_a_contradiction() -> None:
    evidence = (seen(Modality.XRAY, "pneumonia", probability=0.93), seen(Modality.TEXT, "pneumonia", Assertion.ABSENT))
    (found,) = [s for s in GRAPH.consult(case(), evidence, ()).statements if s.kind is StatementKind.CONTRADICTION]
    assert found.because == ("chest_xray/pneumonia", "text/pneumonia")
    assert "denies pneumonia, but the image model shows it (probability 0.93)" in found.text[0]
    assert "否认肺炎" in found.text[1]


def test_a_text_that_states_what_the_image_does_not_show_is_a_contradiction() -> None:
    image = seen(Modality.XRAY, "pneumonia", Assertion.ABSENT, probability=0.04)
    evidence = (image, seen(Modality.TEXT, "pneumonia"))
    assert len(kinds(GRAPH.consult(case(), evidence, ()), StatementKind.CONTRADICTION)) == 1


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (seen(Modality.XRAY, "pneumonia", probability=0.79), seen(Modality.TEXT, "pneumonia", Assertion.ABSENT)),
        (seen(Modality.XRAY, "pneumonia", probability=0.93), seen(Modality.TEXT, "pneumonia")),
        (seen(Modality.XRAY, "pneumonia", probability=0.93), seen(Modality.TEXT, "pneumothorax", Assertion.ABSENT)),
        (seen(Modality.CT, "lung_nodule", probability=0.05), seen(Modality.TEXT, "lung_nodule")),
    ],
)
def test_agreement_doubt_and_other_concepts_are_no_contradiction(image: Evidence, text: Evidence) -> None:
    """A CT nodule of low probability is a benign one, not an absent one."""
    assert kinds(GRAPH.consult(case(), (image, text), ()), StatementKind.CONTRADICTION) == []


def test_no_more_statements_of_a_kind_are_made_than_the_settings_allow() -> None:
    small = ThoraxGraph(ThoraxGraph.Settings(max_statements=2))
    found = small.consult(case(), (), (finding("cavity"), finding("consolidation"), finding("lymphadenopathy")))
    assert len(kinds(found, StatementKind.DIFFERENTIAL)) == 2
    assert len(kinds(found, StatementKind.FOLLOW_UP)) == 2


def test_an_abstained_finding_is_not_evidence() -> None:
    abstained = Finding(
        id="pneumonia",
        code=FINDINGS["pneumonia"],
        assertion=Assertion.NOT_ASSESSED,
        algorithm=ALGORITHM,
        reason="out of distribution",
    )
    assert GRAPH.consult(case(), (), (abstained,)).statements == ()


def test_an_observation_whose_probability_is_not_a_number_is_an_error() -> None:
    with pytest.raises(KnowledgeError, match=r"not a number in 0\.\.1"):
        GRAPH.consult(case(), (seen(Modality.XRAY, "pneumonia", probability=float("nan")),), ())


def test_files_and_database_give_the_same_statements_and_the_same_hash(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'kg.sqlite'}"
    build(load(), url)
    other = ThoraxGraph(ThoraxGraph.Settings(path=url))
    findings = (finding("cavity"), finding("consolidation"))
    assert other.consult(case(), (), findings) == GRAPH.consult(case(), (), findings)


def test_a_graph_that_is_not_there_is_an_error_that_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"sources\.toml"):
        ThoraxGraph(ThoraxGraph.Settings(path=str(tmp_path)))


def test_every_sentence_is_whole_in_both_languages() -> None:
    evidence = (seen(Modality.XRAY, "pneumonia", probability=0.93), seen(Modality.TEXT, "pneumonia", Assertion.ABSENT))
    findings = tuple(finding(key) for key in ("cavity", "consolidation", "cardiomegaly", "lung_nodule"))
    found = GRAPH.consult(case(), evidence, findings)
    said = [item.text for item in found.statements] + [item.text for item in found.recommendations]
    for english, chinese in said:
        assert re.fullmatch(r"[A-Z][\x20-\x7e]+\.", english), english
        assert re.search(r"[\u4e00-\u9fff]", chinese) and chinese.endswith("。"), chinese


def test_a_denial_is_no_reason_for_what_another_source_shows() -> None:
    evidence = (seen(Modality.XRAY, "cavity", probability=0.9), seen(Modality.TEXT, "cavity", Assertion.ABSENT))
    for order in (evidence, evidence[::-1]):
        (first, *_) = GRAPH.consult(case(), order, ()).statements
        assert first.because == ("chest_xray/cavity",)


def differential(*findings: Finding, evidence: tuple[Evidence, ...] = ()) -> dict[str, str]:
    found = GRAPH.consult(case(), evidence, findings).statements
    return {each.object.meaning: each.text[0] for each in found if each.kind is StatementKind.DIFFERENTIAL}


def opacities(*sides: str) -> Evidence:
    items = tuple(
        Observation(
            id=f"text/{number}",
            concept=FINDINGS["consolidation"],
            site=Site(region=ANATOMY["lung"], laterality=ANATOMY[side] if side else None),
        )
        for number, side in enumerate(sides)
    )
    return Evidence(modality=Modality.TEXT, algorithm=ALGORITHM, observations=items)


@pytest.mark.parametrize(
    ("sides", "possible"),
    [(("right",), False), (("left", "left"), False), (("right", "left"), True), (("bilateral",), True), (("",), True)],
)
def test_ards_is_not_considered_where_opacities_are_known_to_be_of_one_lung(
    sides: tuple[str, ...], possible: bool
) -> None:
    names = differential(evidence=(opacities(*sides),))
    assert any("respiratory distress" in name for name in names) == possible


def test_empyema_is_not_offered_where_there_is_no_effusion() -> None:
    effusion = finding("pleural_effusion", assertion=Assertion.ABSENT)
    crp = lab("high", 90.0, Code("1988-5", "LN", "C reactive protein"))
    without = differential(finding("consolidation"), finding("pneumonia"), evidence=(crp,))
    denied = differential(finding("consolidation"), finding("pneumonia"), effusion, evidence=(crp,))
    assert "Parapneumonic effusion or empyema" in without
    assert "Parapneumonic effusion or empyema" not in denied


def test_what_was_concluded_already_is_not_offered_as_a_differential() -> None:
    opacity, concluded = finding("consolidation"), finding("pneumonia", 0.9)
    unsure = finding("pneumonia", 0.5, Assertion.UNCERTAIN)
    assert "Pneumonia" not in differential(opacity, concluded)
    assert "Pneumonia" in differential(opacity, unsure)


def test_what_may_be_there_supports_as_possible() -> None:
    opacity, unsure = finding("consolidation"), finding("pneumonia", 0.5, Assertion.UNCERTAIN)
    image = seen(Modality.XRAY, "pneumonia", probability=0.5)
    said = " ".join(differential(opacity, unsure, evidence=(image,)).values())
    assert "possible pneumonia" in said and "by pneumonia" not in said
    sure = " ".join(differential(opacity, finding("pneumonia", 0.9)).values())
    assert "pneumonia" in sure and "possible pneumonia" not in sure
