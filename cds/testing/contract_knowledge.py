"""What every plugin of the door `cds.knowledge` must keep; each check takes the plugin and raises AssertionError."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cds.domain.code import Code
from cds.domain.evidence import Algorithm, Assertion, Evidence, Measurement, Modality, Observation
from cds.domain.finding import Finding, Knowledge, StatementKind
from cds.domain.report import Case
from cds.domain.study import Patient, Study
from cds.domain.vocabulary import FINDINGS
from cds.ports import KnowledgeSource

ALGORITHM = Algorithm(name="test", version="1")
LONG, SHORT = Code("103339001", "SCT", "Long Axis"), Code("103340004", "SCT", "Short Axis")
CASE = Case(study=Study(study_instance_uid="1.2.3", patient=Patient(age_years=61.0), series=()))


def _part(modality: Modality, *observations: Observation) -> Evidence:
    return Evidence(modality=modality, algorithm=ALGORITHM, observations=observations)


def _lengths(*values_mm: float) -> tuple[Measurement, ...]:
    pairs = zip((LONG, SHORT), values_mm, strict=True)
    return tuple(Measurement(quantity=quantity, value=value, unit="mm") for quantity, value in pairs)


EVIDENCE = (
    _part(
        Modality.XRAY,
        Observation(id="chest_xray/pneumonia", concept=FINDINGS["pneumonia"], probability=0.91),
    ),
    _part(
        Modality.CT,
        Observation(
            id="chest_ct/nodule/1",
            concept=FINDINGS["lung_nodule"],
            measurements=_lengths(9.0, 7.0),
            note="solid",
        ),
    ),
    _part(Modality.LABS, Observation(id="labs/1988-5", concept=Code("1988-5", "LN", "CRP"), note="high")),
    _part(
        Modality.TEXT,
        Observation(id="text/r1/0", concept=FINDINGS["pneumonia"], assertion=Assertion.ABSENT),
        Observation(id="text/r1/40", concept=FINDINGS["pleural_effusion"]),
    ),
)
FINDING = Finding(
    id="pneumonia",
    code=FINDINGS["pneumonia"],
    assertion=Assertion.PRESENT,
    algorithm=ALGORITHM,
    probability=0.88,
    calibrated_on="a test",
    because=("chest_xray/pneumonia", "labs/1988-5"),
)
IDS = {item.id for part in EVIDENCE for item in part.observations} | {FINDING.id}


def _ask(
    plugin: KnowledgeSource, evidence: Sequence[Evidence] = EVIDENCE, findings: Sequence[Finding] = (FINDING,)
) -> Knowledge:
    return plugin.consult(CASE, evidence, findings)


def the_same_case_gives_the_same_knowledge(plugin: KnowledgeSource) -> None:
    """Deterministic: asked twice, it says the same."""
    assert _ask(plugin) == _ask(plugin)


def the_order_of_the_evidence_is_irrelevant(plugin: KnowledgeSource) -> None:
    """The order in which extractors ran changes nothing."""
    turned, straight = _ask(plugin, tuple(reversed(EVIDENCE))), _ask(plugin)
    assert [item.text for item in turned.statements] == [item.text for item in straight.statements]
    assert turned.recommendations == straight.recommendations


def what_it_says_points_at_the_evidence(plugin: KnowledgeSource) -> None:
    """Each statement and recommendation names observations of the case."""
    said = _ask(plugin)
    reasons = [item.because for item in said.statements] + [item.because for item in said.recommendations]
    assert all(because and set(because) <= IDS for because in reasons)


def every_statement_has_a_citation_and_every_step_of_its_path_too(plugin: KnowledgeSource) -> None:
    """Nothing is said without a source; only a contradiction has no path."""
    for statement in _ask(plugin).statements:
        assert statement.citation
        assert all(step.citation for step in statement.path)
        assert statement.path or statement.kind is StatementKind.CONTRADICTION


def every_sentence_stands_in_english_and_in_chinese(plugin: KnowledgeSource) -> None:
    """Both languages are there."""
    said = _ask(plugin)
    sentences = [item.text for item in said.statements] + [item.text for item in said.recommendations]
    for english, chinese in sentences:
        assert english.isascii() and english.endswith(".")
        assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese)


def every_recommendation_names_guideline_table_and_row(plugin: KnowledgeSource) -> None:
    """A reader can look the row up."""
    for item in _ask(plugin).recommendations:
        assert item.guideline and item.table and item.row and item.citation


def statements_of_a_kind_are_ranked(plugin: KnowledgeSource) -> None:
    """Higher scores come first."""
    for kind in (StatementKind.DIFFERENTIAL, StatementKind.FOLLOW_UP):
        scores = [item.score for item in _ask(plugin).statements if item.kind is kind]
        assert scores == sorted(scores, reverse=True)


def the_algorithm_has_a_name_a_version_and_the_hash_of_its_data(plugin: KnowledgeSource) -> None:
    """A report can say which knowledge it used."""
    algorithm = _ask(plugin).algorithm
    assert algorithm.name and algorithm.version
    assert len(algorithm.sha256) == 64


def nothing_seen_gives_nothing_said(plugin: KnowledgeSource) -> None:
    """Without evidence there is no knowledge to add."""
    said = _ask(plugin, (), ())
    assert (said.statements, said.recommendations) == ((), ())


CHECKS: tuple[Callable[[KnowledgeSource], None], ...] = (
    the_same_case_gives_the_same_knowledge,
    the_order_of_the_evidence_is_irrelevant,
    what_it_says_points_at_the_evidence,
    every_statement_has_a_citation_and_every_step_of_its_path_too,
    every_sentence_stands_in_english_and_in_chinese,
    every_recommendation_names_guideline_table_and_row,
    statements_of_a_kind_are_ranked,
    the_algorithm_has_a_name_a_version_and_the_hash_of_its_data,
    nothing_seen_gives_nothing_said,
)
