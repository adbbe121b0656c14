"""The Qualitative Evaluations container of TID 1500: all that is said about the study as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from highdicom.sr import ContainerContentItem, ContentSequence, TextContentItem
from highdicom.sr.enum import RelationshipTypeValues

from cds.domain.evidence import Evidence, Missing, Observation
from cds.domain.finding import Recommendation, Statement
from cds.domain.report import Report
from cds.report import priors, revision
from cds.report import sr_codes as codes
from cds.report.chinese import chinese
from cds.report.labels import ASSERTIONS, BANNER, MODALITIES
from cds.report.laboratory import lab_sentence
from cds.report.told import earlier_sentence, gaps, limits, passage, sizes_said_earlier
from cds.report.wording import gap, measure, number, one_line, path_sentence, place, probability


def evaluations(report: Report) -> ContainerContentItem:
    """CONTAINER (C0034375, UMLS, "Qualitative Evaluations") with TEXT items, most important first."""
    container = ContainerContentItem(
        name=codes.concept(codes.QUALITATIVE_EVALUATIONS), relationship_type=RelationshipTypeValues.CONTAINS
    )
    container.ContentSequence = ContentSequence(list(_items(report)))
    return container


def _items(report: Report) -> Iterator[TextContentItem]:
    yield from codes.both(codes.NOTICE, BANNER)
    yield from codes.both(codes.IMPRESSION, report.impression)
    for changed in revision.sentences(report):
        yield from codes.both(codes.CHANGE, changed)
    for each in report.recommendations:
        yield from _recommendation(each)
    for statement in report.statements:
        yield from _statement(statement)
    for absent in gaps(report):
        yield from codes.both(codes.MISSING, gap(absent))
    for part in report.evidence:
        for observation in part.observations:
            yield codes.text(codes.EVIDENCE, observed(part, observation))
            if observation.span is not None:
                yield codes.text(codes.TEXT_PASSAGE, _passage(report, observation))
    for comparison in report.comparisons:
        title = priors.heading(comparison)
        for said in priors.sentences(comparison):
            english = f"{title[0]} (Study {comparison.study_instance_uid}): {said[0]}"
            yield from codes.both(codes.PREVIOUS_FINDING, (english, f"{title[1]}：{said[1]}"))
    for earlier in sizes_said_earlier(report):
        yield from codes.both(codes.SAID_EARLIER, earlier_sentence(earlier))
    for lab in report.case.records.labs:
        yield from codes.both(codes.LABORATORY, lab_sentence(report, lab))
    for record in report.case.records.rejected:
        source, reason = one_line(record.source), one_line(record.reason)
        yield from codes.both(codes.REJECTED, (f"{source}: {reason}", f"{source}：{chinese(reason)}"))
    for part in report.evidence:
        yield from _gates(part)
    for absent in report.missing:
        yield from _gates(absent)
    if report.case.expected:
        yield codes.text(codes.GATE, _complete(report))
    for limit in limits(report):
        yield from codes.both(codes.LIMIT, limit)
    if report.predecessor:
        yield codes.text(codes.COMMENT, f"Revision {report.revision}; replaces {report.predecessor}.")


def _recommendation(item: Recommendation) -> Iterator[TextContentItem]:
    source = f"{item.guideline}, {item.table}, {item.row}. {item.citation}"
    applies = "" if item.applies else "Does not apply: "
    yield codes.text(codes.RECOMMENDATION, f"{applies}{item.text[0]} [{one_line(source)}]")
    yield codes.text(codes.RECOMMENDATION, ("" if item.applies else "不适用：") + item.text[1], chinese=True)


def _statement(statement: Statement) -> Iterator[TextContentItem]:
    name = codes.STATEMENTS[statement.kind]
    yield codes.text(name, f"{statement.text[0]} Path: {path_sentence(statement)} [{one_line(statement.citation)}]")
    yield codes.text(name, statement.text[1], chinese=True)


def observed(part: Evidence, observation: Observation) -> str:
    """One observation as a line: id, concept, where, how large, how sure, from which source."""
    words = [f"{observation.id}: {observation.concept.meaning}", ASSERTIONS[observation.assertion][0]]
    words += [place(observation.site)[0]] if observation.site else []
    words += [f"{each.quantity.meaning.lower()} {measure(each)}" for each in observation.measurements]
    if observation.probability is not None:
        words.append(f"probability {probability(observation.probability, observation.interval)}")
        words.append(f"p = {number(observation.probability)}")
    words += [one_line(observation.note)] if observation.note else []
    words += [f"source {observation.source}"] if observation.source else []
    return f"{', '.join(words)} ({part.algorithm.name} {part.algorithm.version})"


def _passage(report: Report, observation: Observation) -> str:
    span = observation.span
    assert span is not None
    found = passage(report, observation)
    return f"{observation.id}, characters {span.start} to {span.end}: {found.words} [in the sentence: {found.sentence}]"


def _complete(report: Report) -> str:
    held, expected = report.case.held, report.case.expected
    said = "passed" if held >= expected else "not passed"
    return f"study, complete: {said}. {held} of {expected} instances"


def _gates(part: Evidence | Missing) -> Iterator[TextContentItem]:
    name, name_zh = MODALITIES[part.modality]
    for gate in part.gates:
        said, said_zh = ("passed", "通过") if gate.passed else ("not passed", "未通过")
        english = f"{name}, {gate.name}: {said}. {one_line(gate.reason)}"
        yield from codes.both(
            codes.GATE, (english, f"{name_zh}，{chinese(gate.name)}：{said_zh}。{one_line(chinese(gate.reason))}")
        )
