"""The graph that comes with the software: what a reviewer may rely on."""

import re

import pytest

from cds.domain.labs import by_code
from cds.domain.vocabulary import FINDINGS
from knowledge_graph.load import load
from knowledge_graph.model import WEIGHED, Kind, Relation

GRAPH = load()
NODES = {node.key: node for node in GRAPH.nodes}


def luhn(digits: str) -> int:
    """LOINC's check digit: modulus 10, doubling every other digit from the right (LOINC Users' Guide, appendix)."""
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits))]
    return -sum(value // 10 + value % 10 for value in doubled) % 10


VERHOEFF_PRODUCT = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
]
"""Multiplication in the dihedral group of order ten."""


def verhoeff_holds(digits: str) -> bool:
    """SNOMED CT's check digit (Release File Specification, "Check-digit"): the Verhoeff sum over all digits is 0."""
    step = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    check = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        for _ in range(place % 8):
            value = step[value]
        check = VERHOEFF_PRODUCT[check][value]
    return check == 0


PATTERNS = {
    "SCT": r"[1-9]\d{5,17}",
    "DCM": r"\d{6}",
    "RADLEX": r"RID\d+",
    "99CDS": r"[a-z0-9_]{1,16}",
    "ICD10CM": r"[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?",
    "HP": r"\d{7}",
    "DOID": r"\d+",
}
"""How a code of each system looks; the systems that this graph uses."""


def codes() -> list[tuple[str, str, str]]:
    own = [(node.key, node.code.scheme, node.code.value) for node in GRAPH.nodes]
    elsewhere = [(node.key, xref.partition(":")) for node in GRAPH.nodes for xref in node.xrefs]
    return own + [(key, scheme, value) for key, (scheme, _, value) in elsewhere]


def test_the_verhoeff_sum_knows_right_from_wrong() -> None:
    """60046008 is pleural effusion (PS3.16); one digit changed and two digits swapped are no identifiers."""
    assert verhoeff_holds("60046008")
    assert not verhoeff_holds("60046007") and not verhoeff_holds("60064008")


def test_every_code_has_the_pattern_of_its_system() -> None:
    assert [code for code in codes() if not re.fullmatch(PATTERNS[code[1]], code[2])] == []


def test_every_snomed_code_has_a_valid_check_digit() -> None:
    snomed = [(key, value) for key, scheme, value in codes() if scheme == "SCT"]
    assert len(snomed) >= 20
    assert [key for key, value in snomed if not verhoeff_holds(value)] == []


def test_cross_references_name_one_concept_only() -> None:
    external = [xref for node in GRAPH.nodes for xref in node.xrefs]
    assert [xref for xref in set(external) if external.count(xref) > 1] == []


def test_it_has_the_breadth_that_the_documentation_promises() -> None:
    assert sum(node.kind is Kind.DISEASE for node in GRAPH.nodes) >= 80
    assert len(GRAPH.edges) >= 700
    assert {node.kind for node in GRAPH.nodes} == set(Kind)


def test_every_concept_of_the_shared_vocabulary_is_a_node() -> None:
    assert set(FINDINGS) <= set(NODES)


def test_every_edge_has_a_citation_with_year_or_doi() -> None:
    assert [
        edge.identity for edge in GRAPH.edges if not re.search(r"doi:10\.|\b(19|20)\d\d\b|review", edge.citation)
    ] == []


def test_every_disease_is_reached_by_evidence_and_leads_to_an_examination_itself_or_by_what_it_is() -> None:
    told = {edge.subject for edge in GRAPH.edges if edge.relation is Relation.MANIFESTS_AS}
    told |= {edge.object for edge in GRAPH.edges if edge.relation in WEIGHED}
    told |= {edge.subject for edge in GRAPH.edges if edge.relation is Relation.IS_A}
    assert {node.key for node in GRAPH.nodes if node.kind is Kind.DISEASE} - told == set()


@pytest.mark.parametrize("key", [node.key for node in GRAPH.nodes if node.kind is Kind.LAB])
def test_laboratory_codes_have_a_valid_check_digit_and_are_known_to_the_laboratory_table(key: str) -> None:
    for loinc in NODES[key].loinc.split():
        number, _, check = loinc.partition("-")
        assert luhn(number) == int(check)
        assert by_code(loinc) is not None


def test_codes_are_unique_and_labels_stand_in_both_languages() -> None:
    assert len({node.code for node in GRAPH.nodes}) == len(GRAPH.nodes)
    assert [key for key, node in NODES.items() if not re.search(r"[\u4e00-\u9fffA-Z]", node.code.meaning_zh)] == []


def test_snomed_and_dicom_codes_stand_in_ps3_16_with_that_meaning() -> None:
    from pydicom.sr._concepts_dict import concepts

    meanings: dict[tuple[str, str], set[str]] = {}
    for scheme in ("SCT", "DCM"):
        for entry in concepts[scheme].values():
            assert isinstance(entry, dict)
            for value, (meaning, *_) in entry.items():
                meanings.setdefault((scheme, value), set()).add(meaning.lower())
    codes_of_dicom = [node for node in GRAPH.nodes if node.code.scheme in {"SCT", "DCM"} and node.key not in FINDINGS]
    assert [
        node.key
        for node in codes_of_dicom
        if node.code.meaning.lower() not in meanings[node.code.scheme, node.code.value]
    ] == []


def test_published_figures_read_as_the_sources_print_them() -> None:
    """A few figures compared with the abstracts, read apart from the files."""
    edges = {edge.identity: edge.strength for edge in GRAPH.edges}
    assert edges["heart_failure", "manifests_as", "vascular_congestion"].lr_positive == 12.0  # JAMA 294:1944
    assert edges["heart_failure", "manifests_as", "cardiomegaly"].lr_negative == 0.33  # JAMA 294:1944
    assert edges["bacterial_pneumonia", "manifests_as", "pct_high"].sensitivity == 0.88  # CID 39:206
    assert edges["pulmonary_embolism", "manifests_as", "pleural_effusion"].sensitivity == 0.23  # Chest 118:33
    assert edges["pulmonary_embolism", "manifests_as", "ddimer_high"].specificity == 0.41  # Blood Adv 4:4296
    assert edges["aortic_dissection", "manifests_as", "mediastinal_widening"].lr_positive == 2.0  # JAMA 287:2262
    assert edges["covid19", "manifests_as", "crp_high"].sensitivity == 0.736  # Scand J Clin Lab Invest 2020
    assert edges["lung_cancer", "manifests_as", "cea_high"].lr_positive == 3.96  # Acta Clin Belg 2020
