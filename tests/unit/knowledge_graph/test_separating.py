import math
from pathlib import Path

import pytest

from knowledge_graph.graph import Network
from knowledge_graph.load import load
from knowledge_graph.query import Differential
from knowledge_graph.separating import missing, separators
from knowledge_graph.wording import differential_text

OWN = Differential(Network(load()))

SOURCES = '[[source]]\nkey = "s"\ntext = "A source. 2020"\n'
NODES = "".join(
    f'[[node]]\nkey = "{key}"\nkind = "{kind}"\nen = "{key.upper()}"\nzh = "甲"\n\n'
    for key, kind in [
        ("d1", "disease"),
        ("d2", "disease"),
        ("d3", "disease"),
        ("seen", "finding"),
        ("tells", "finding"),
        ("same", "finding"),
    ]
)


def two_diseases(folder: Path) -> Differential:
    """Two diseases that one finding tells apart (0.9 against chance) and another does not; a third has neither."""
    often = [("d1", "seen", 0.5), ("d2", "seen", 0.5), ("d1", "same", 0.4), ("d2", "same", 0.4), ("d1", "tells", 0.9)]
    edges = "".join(
        f'[[edge]]\nfrom = "{disease}"\nrelation = "manifests_as"\nto = "{finding}"\nsource = "s"\n'
        f"sensitivity = {each}\n\n"
        for disease, finding, each in often
    )
    (folder / "nodes").mkdir()
    (folder / "edges").mkdir()
    (folder / "sources.toml").write_text(SOURCES, encoding="utf-8")
    (folder / "nodes" / "all.toml").write_text(NODES, encoding="utf-8")
    (folder / "edges" / "all.toml").write_text(edges, encoding="utf-8")
    return Differential(Network(load(folder)))


def bits(share: float) -> float:
    return -sum(each * math.log2(each) for each in (share, 1.0 - share))


def test_the_gain_is_the_entropy_that_is_expected_to_go(tmp_path: Path) -> None:
    """Two equally likely diseases; the finding in 0.9 of one and, by chance, in 0.05 of the other."""
    graph = two_diseases(tmp_path)
    (first,) = separators(graph, graph.rank({"seen": 1.0}), ["seen"])
    there = (0.9 + 0.05) / 2
    expected = 1.0 - there * bits(0.9 / 0.95) - (1.0 - there) * bits(0.1 / 1.05)
    assert (first.observation, first.speaks_for) == ("tells", "d1")
    assert first.bits == pytest.approx(expected)


def test_what_is_known_separates_nothing_any_more(tmp_path: Path) -> None:
    graph = two_diseases(tmp_path)
    ranked = graph.rank({"seen": 1.0}, {"tells": 1.0})
    assert separators(graph, ranked, ["seen", "tells"]) == ()
    assert separators(graph, ranked[:1], ["seen"]) == ()


def test_natriuretic_peptides_separate_heart_failure_from_what_looks_like_it() -> None:
    known = ["cardiomegaly", "pleural_effusion"]
    found = separators(OWN, OWN.rank(dict.fromkeys(known, 1.0)), known)
    assert found[0].observation in {"bnp_high", "ntprobnp_high"} and found[0].speaks_for == "heart_failure"


def test_missing_is_what_would_raise_a_disease_and_was_not_looked_for() -> None:
    ranked = OWN.rank({"cardiomegaly": 1.0, "pleural_effusion": 1.0})
    (embolism,) = [candidate for candidate in ranked if candidate.disease == "pulmonary_embolism"]
    assert "ddimer_high" in missing(OWN, embolism, ["cardiomegaly", "pleural_effusion"])
    assert "ddimer_high" not in missing(OWN, embolism, ["cardiomegaly", "pleural_effusion", "ddimer_high"])


def test_whoever_saw_one_kind_of_opacity_is_not_asked_for_another() -> None:
    (pneumonia,) = [one for one in OWN.rank({"consolidation": 1.0}) if one.disease == "pneumonia"]
    assert "infiltrate" not in missing(OWN, pneumonia, ["consolidation"], most=9)


def test_what_few_patients_show_is_not_asked_for() -> None:
    """Air trapping is an uncommon sign of pneumonia in the graph (0.15)."""
    (pneumonia,) = [one for one in OWN.rank({"consolidation": 1.0}) if one.disease == "pneumonia"]
    assert missing(OWN, pneumonia, ["consolidation"], most=9) == ("pleural_effusion",)


def test_the_sentence_says_in_both_languages_what_is_not_known_yet() -> None:
    candidate = OWN.rank({"vascular_congestion": 1.0})[0]
    english, chinese = differential_text(OWN.network, candidate, frozenset(), ("bnp_high", "cardiomegaly"))
    assert english.endswith("; not known yet: high B-type natriuretic peptide and cardiomegaly.")
    assert chinese.endswith("；尚不清楚：脑钠肽升高、心影增大。")
