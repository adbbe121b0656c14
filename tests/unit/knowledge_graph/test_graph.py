from itertools import pairwise

import pytest

from cds.errors import KnowledgeError
from knowledge_graph.graph import Network, UnknownConcept
from knowledge_graph.load import load

NETWORK = Network(load())


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("pleural_effusion", "pleural_effusion"),
        ("Pleural Effusion", "pleural_effusion"),
        ("胸腔积液", "pleural_effusion"),
        ("SCT:60046008", "pleural_effusion"),
        ("60046008", "pleural_effusion"),
        ("TB", "tuberculosis"),
        ("COPD", "copd"),
        ("心衰", "heart_failure"),
    ],
)
def test_a_concept_is_found_by_key_label_synonym_and_code(name: str, key: str) -> None:
    assert NETWORK.find(name).key == key


def test_an_unknown_concept_is_an_error_that_lists_the_nearest_names() -> None:
    with pytest.raises(UnknownConcept, match="'pnemonia'; the nearest are: pneumonia"):
        NETWORK.find("pnemonia")


def test_a_concept_is_what_it_is_a_kind_of_with_the_edges_that_say_so() -> None:
    reached = NETWORK.ascent("covid19")
    assert list(reached) == ["covid19", "viral_pneumonia", "pneumonia"]
    assert [edge.identity for edge in reached["pneumonia"]] == [
        ("covid19", "is_a", "viral_pneumonia"),
        ("viral_pneumonia", "is_a", "pneumonia"),
    ]


def test_a_path_joins_two_findings_by_a_disease_rather_than_by_an_examination() -> None:
    path = NETWORK.path("cavity", "lymphadenopathy")
    ends = [{edge.subject, edge.object} for edge in path]
    assert "cavity" in ends[0] and "lymphadenopathy" in ends[-1]
    assert all(first & second for first, second in pairwise(ends))
    assert not any(edge.relation.value == "investigated_by" for edge in path)


def test_concepts_that_nothing_joins_are_an_error() -> None:
    with pytest.raises(KnowledgeError, match="nothing in the graph joins"):
        NETWORK.path("scoliosis", "pneumonia")
