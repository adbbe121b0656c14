"""Clinical terms beyond the thoracic findings: read and shown, never evidence."""

from __future__ import annotations

import pytest
from pydicom.sr import _snomed_dict

from cds.domain.evidence import Evidence
from cds.domain.records import Records, TextKind, TextReport
from cds.domain.report import Case
from cds.domain.study import Patient, Study
from cds.domain.vocabulary import FINDINGS
from cds.features.text import general, parse
from cds.features.text.extractor import ReportText, TextSettings


def read(text: str) -> list[tuple[str, str]]:
    return [(mention.text, mention.assertion.value[0]) for mention in parse(text).mentions]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("She denies chest pain but has a fever.", [("chest pain", "A"), ("fever", "P")]),
        ("Results rule out meningitis.", [("meningitis", "A")]),
        ("Rule out meningitis.", [("meningitis", "U")]),
        ("No cause of the syncope was found.", [("syncope", "P")]),
        ("Low probability of pulmonary embolism.", [("pulmonary embolism", "U")]),
        ("Claudication is denied.", [("Claudication", "A")]),
        ("? COVID-19", [("COVID-19", "U")]),
        ("Fell from standing, -LOC, +nausea.", [("LOC", "A"), ("nausea", "P")]),
        ("Non-diabetic.", [("diabetic", "A")]),
        ("PE unlikely given a normal D-dimer.", [("PE", "U")]),
        ("Agitation resolved after haloperidol.", [("Agitation", "A")]),
        ("The bleeding was likely gastritis.", [("bleeding", "P"), ("gastritis", "U")]),
        ("Screening for depression was negative.", [("depression", "A")]),
        ("Screening for depression was positive.", [("depression", "P")]),
        ("Risks of the procedure, including bleeding, were discussed.", [("bleeding", "U")]),
        ("DVT prophylaxis with heparin.", [("DVT", "U")]),
        ("No prior history presents with syncope.", [("syncope", "P")]),
        ("Indication: cough. Rule out meningitis.", [("cough", "P"), ("meningitis", "U")]),
        ("心肌酶正常，排除急性心肌梗死。", [("急性心肌梗死", "A")]),
        ("行头颅CT排除脑出血。", [("脑出血", "U")]),
        ("胸痛待查。", [("胸痛", "P")]),
        ("否认胸痛，有发热。", [("胸痛", "A"), ("发热", "P")]),
        ("未闻及哮鸣音。", [("哮鸣音", "A")]),
        ("不发热，头痛不缓解。", [("发热", "A"), ("头痛", "P")]),
    ],
)
def test_symptoms_and_signs_have_assertions(text: str, expected: list[tuple[str, str]]) -> None:
    assert read(text) == expected


def test_a_disease_that_no_list_names_is_known_by_how_its_word_is_built() -> None:
    (english,) = parse("No evidence of blepharitis.").mentions
    (chinese,) = parse("未见舌癌。").mentions
    assert (english.key, english.assertion.value) == (general.TERM, "ABSENT")
    assert (chinese.key, chinese.text, chinese.assertion.value) == (general.TERM, "舌癌", "ABSENT")


@pytest.mark.parametrize("text", ["The diagnosis and prognosis.", "Anastomosis intact.", "Symptoms.", "Physiotherapy."])
def test_a_word_that_only_ends_like_a_disease_is_none(text: str) -> None:
    assert parse(text).mentions == ()


def test_a_thoracic_finding_stays_itself() -> None:
    assert [mention.key for mention in parse("Pneumonia and bronchitis.").mentions] == ["pneumonia", "copd"]
    assert not parse("Pneumonia.").mentions[0].general


def test_general_terms_are_marked_and_are_no_evidence() -> None:
    report = TextReport(report_id="r", text="Fever. Pneumonia.", kind=TextKind.CURRENT)
    case = Case(study=Study(study_instance_uid="1.2", patient=Patient(), series=()), records=Records(texts=(report,)))
    made = ReportText(TextSettings()).extract(case)
    assert isinstance(made, Evidence)
    assert [each.concept for each in made.observations] == [FINDINGS["pneumonia"]]
    assert [mention.as_json()["general"] for mention in parse(report.text).mentions] == [True, False]


def test_public_codes_are_of_dicoms_free_set() -> None:
    """Held to the SNOMED CT table that pydicom generates from PS3.16."""
    public = {code.value for code in general.codes().values() if code.scheme == "SCT"}
    assert public
    assert public <= _snomed_dict.mapping["SCT"].keys()
    assert all(len(code.value) <= 16 for code in general.codes().values())
