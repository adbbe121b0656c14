"""Every public code is held to a source that is not ours: pydicom's copy of PS3.16, and verified RadLex identifiers."""

import re

import pytest
from pydicom.sr._concepts_dict import concepts

from cds.domain.code import Code
from cds.domain.vocabulary import ANATOMY, FINDINGS, KEY_OF

RADLEX = {
    # RadLex 4.3 class list, preferred labels, as checked in github.com/joseph-arulraj/NeSy-rag-rrg
    # (v2/scripts/build_radlex_map.py refuses ids that RadLex 4.3 does not have or marks obsolete),
    # and again in github.com/TheLion-ai/UMIE_datasets (labels.py).
    "RID5350": "pneumonia",
    # github.com/florian-reiger-ochsner/radreport-templates, RADLEX-MAPPING.md of the chest radiograph
    # template: each identifier resolved at NCBO BioPortal (ontology RADLEX) on 2026-07-21.
    "RID43255": "consolidation",
    "RID28493": "atelectasis",
    "RID4799": "emphysema",
    "RID5196": "calcification",
    # The same table, and github.com/RSNA/RadLex tests/data/search_eval.json.
    "RID50149": "pulmonary nodule",
    # Kahn CE. Acad Radiol 2014;21(3), Annotation of Figures from the Biomedical Imaging Literature, Table 4.
    "RID39056": "lung mass",
    # Tan WK et al. Acad Radiol 2018;25(11), PII S1076-6332(18)30121-1, Table 2.
    "RID4756": "scoliosis",
}
"""RadLex identifiers with their preferred labels and where that was read."""

ALL = {**FINDINGS, **ANATOMY}


def dicom_meanings(code: Code) -> set[str]:
    """What PS3.16 prints for a code, semantic tags such as "(disorder)" taken off."""
    found = (entry[code.value][0] for entry in concepts[code.scheme].values() if code.value in entry)
    return {re.sub(r"\s*\([^)]*\)$", "", meaning).lower() for meaning in found}


@pytest.mark.parametrize("key", [key for key, code in ALL.items() if code.scheme in {"SCT", "DCM"}])
def test_each_snomed_and_dicom_code_stands_in_ps3_16_with_that_meaning(key: str) -> None:
    assert ALL[key].meaning.lower() in dicom_meanings(ALL[key])


@pytest.mark.parametrize("key", [key for key, code in FINDINGS.items() if code.scheme == "SCT"])
def test_no_snomed_code_of_a_finding_means_two_things_in_ps3_16(key: str) -> None:
    """DICOM prints (287272002, "Cardiomegaly") for a code that SNOMED CT names otherwise: such codes are not used."""
    meanings = dicom_meanings(FINDINGS[key])
    known_synonyms = {
        "93880001": {"lung cancer", "primary malignant neoplasm of lung"},
        "94391008": {"pulmonary metastasis", "secondary malignant neoplasm of lung"},
    }
    assert meanings == known_synonyms.get(FINDINGS[key].value, {FINDINGS[key].meaning.lower()})


@pytest.mark.parametrize("key", [key for key, code in ALL.items() if code.scheme == "RADLEX"])
def test_each_radlex_code_stands_in_the_table_of_verified_ids(key: str) -> None:
    assert ALL[key].meaning.lower() == RADLEX[ALL[key].value]


@pytest.mark.parametrize("key", [key for key, code in ALL.items() if code.scheme == "99CDS"])
def test_a_private_code_is_a_word_and_no_digits_that_could_be_taken_for_a_public_code(key: str) -> None:
    assert re.fullmatch(r"[a-z][a-z_]+(19)?", ALL[key].value)


def test_only_public_schemes_and_our_own_are_used() -> None:
    assert {code.scheme for code in ALL.values()} <= {"SCT", "DCM", "RADLEX", "99CDS"}


def test_no_two_concepts_share_a_code() -> None:
    assert len(KEY_OF) == len(FINDINGS)


@pytest.mark.parametrize("key", list(ALL))
def test_each_concept_reads_in_english_and_in_chinese(key: str) -> None:
    assert ALL[key].meaning.isascii()
    assert re.search(r"[\u4e00-\u9fff]", ALL[key].meaning_zh)


def test_code_values_and_meanings_fit_dicom_short_and_long_strings() -> None:
    """Code Value is SH (16 characters), Code Meaning LO (64): PS3.5 Table 6.2-1."""
    assert [key for key, code in ALL.items() if len(code.value) > 16 or len(code.meaning) > 64] == []
