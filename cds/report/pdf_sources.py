"""The page's second half: what it rests on, what is recommended, what was missing, with which software."""

from __future__ import annotations

from typing import Final

from reportlab.platypus import Flowable

from cds.domain.evidence import Evidence, Missing
from cds.domain.finding import Recommendation, Statement
from cds.domain.records import LabResult
from cds.domain.report import Report
from cds.report.identity import device_uid, instance_uid
from cds.report.json_form import passage
from cds.report.labels import ASSERTIONS, FIELDS, KINDS, MODALITIES
from cds.report.pdf_style import AMBER_INK, GREEN, GREY, RED, Page, gap
from cds.report.wording import flag, number, one_line, path_sentence, reference, unit
from cds.report.wording import gap as gap_sentence

MOST_ROWS: Final = 60
"""Rows of one table; what is beyond is counted, and stands in the structured report."""

Row = list[Flowable | list[Flowable] | str]


def recommendations(page: Page, report: Report) -> list[Flowable]:
    """What guidelines say, with table and row."""
    if not report.recommendations:
        return []
    made: list[Flowable] = [*page.heading("recommendations")]
    for each in report.recommendations:
        made += [page.panel([[_recommendation(page, each)]], bar=AMBER_INK if each.applies else GREY), gap(3)]
    return made


def _recommendation(page: Page, item: Recommendation) -> list[Flowable]:
    applies = ("", "") if item.applies else ("Does not apply: ", "不适用：")
    source = f"{item.guideline} · {item.table} · {item.row} · {item.citation}"
    return [
        *page.both((applies[0] + item.text[0], applies[1] + item.text[1]), 9, bold=item.applies),
        page.cell(source, 7.2, colour=GREY),
    ]


def knowledge(page: Page, report: Report) -> list[Flowable]:
    """Statements of the knowledge graph, each with its path and citation."""
    if not report.statements:
        return []
    rows = [[" ".join(KINDS[each.kind]), _statement(page, each)] for each in report.statements[:MOST_ROWS]]
    made = [*page.heading("knowledge"), page.table(["", ""], rows, (0.18, 0.82))]
    return made + _more(page, len(report.statements))


def _statement(page: Page, statement: Statement) -> list[Flowable]:
    sources = dict.fromkeys([*(step.citation for step in statement.path), statement.citation])
    return [
        *page.both(statement.text, 8.6),
        page.cell(path_sentence(statement), 7.4),
        page.cell("; ".join(filter(None, sources)), 7, colour=GREY),
    ]


def labs(page: Page, report: Report) -> list[Flowable]:
    """Every laboratory value with unit, reference range and flag."""
    values = report.case.records.labs
    if not values:
        return []
    rows = [_lab(page, each) for each in values[:MOST_ROWS]]
    head = [" ".join(FIELDS[name]) for name in ("analyte", "value", "reference", "time", "source")]
    return [*page.heading("labs"), page.table(head, rows, (0.32, 0.18, 0.14, 0.18, 0.18)), *_more(page, len(values))]


def _lab(page: Page, lab: LabResult) -> Row:
    raised = flag(lab)
    arrow = {"H": " ↑ H", "L": " ↓ L", "": ""}[raised]
    value = page.cell(
        f"{lab.comparator}{number(lab.value)}{unit(lab.unit)}{arrow}",
        bold=bool(raised),
        colour=RED if raised else GREEN,
    )
    if not reference(lab):
        value = page.cell(f"{lab.comparator}{number(lab.value)}{unit(lab.unit)}")
    name = f"{lab.analyte.text('en')} {lab.analyte.meaning_zh} ({lab.analyte.value})"
    return [name, value, reference(lab) or "–", f"{lab.observed_at:%Y-%m-%d %H:%M}", lab.source or "–"]


def texts(page: Page, report: Report) -> list[Flowable]:
    """The passages that observations rest on, quoted."""
    passages = [(part, each) for part in report.evidence for each in part.observations if each.span is not None]
    if not passages:
        return []
    rows: list[Row] = [
        [
            f"{each.concept.text('en')} {each.concept.meaning_zh}",
            " ".join(ASSERTIONS[each.assertion]),
            f"“{one_line(passage(report.case.records, each), 240)}”",
            f"{each.span.report_id if each.span else ''}",
        ]
        for _, each in passages[:MOST_ROWS]
    ]
    head = [FIELDS["finding"][0], "", "Passage 原文", FIELDS["source"][0]]
    return [*page.heading("texts"), page.table(head, rows, (0.25, 0.15, 0.42, 0.18)), *_more(page, len(passages))]


def missing(page: Page, report: Report) -> list[Flowable]:
    """What could not take part, and what was seen and not used."""
    made: list[Flowable] = []
    if report.missing:
        said = [gap_sentence(each) for each in report.missing]
        made += [*page.heading("missing"), *page.bullets([f"{english} {chinese}" for english, chinese in said])]
    rejected = report.case.records.rejected
    if rejected:
        lines = [f"{one_line(each.source, 120)}: {one_line(each.reason, 300)}" for each in rejected[:MOST_ROWS]]
        made += [*page.heading("rejected"), *page.bullets(lines), *_more(page, len(rejected))]
    return made


def gates(page: Page, report: Report) -> list[Flowable]:
    """Every check, passed or not, and why."""
    parts: list[Evidence | Missing] = [*report.evidence, *report.missing]
    rows: list[Row] = [
        [
            " ".join(MODALITIES[part.modality]),
            gate.name,
            page.cell("passed 通过" if gate.passed else "NOT PASSED 未通过", colour=GREEN if gate.passed else RED),
            gate.reason,
        ]
        for part in parts
        for gate in part.gates
    ]
    if not rows:
        return []
    return [*page.heading("gates"), page.table(["", "", "", ""], rows[:MOST_ROWS], (0.2, 0.25, 0.17, 0.38))]


def limits(page: Page, report: Report) -> list[Flowable]:
    """What a reader must know."""
    return [*page.heading("limits"), *page.bullets(list(report.limits))] if report.limits else []


def software(page: Page, report: Report) -> list[Flowable]:
    """Everything that computed, by version and sha256, and what identifies this report."""
    rows: list[Row] = [
        [each.name, each.version, page.cell(each.sha256 or "–", 5.8), each.card or "–"] for each in report.algorithms
    ]
    identity = [
        f"Study Instance UID {report.study.study_instance_uid}",
        f"Inputs sha256 {report.inputs_hash}",
        f"This document {instance_uid(report, 'pdf')}, revision {report.revision}",
        f"Device UID of this configuration {device_uid(*report.algorithms)}",
    ]
    return [
        *page.heading("software"),
        page.table(["", "Version", "sha256", "Model card"], rows, (0.2, 0.12, 0.46, 0.22)),
        gap(3),
        *(page.text(line, 6.8, colour=GREY) for line in identity),
    ]


def _more(page: Page, count: int) -> list[Flowable]:
    if count <= MOST_ROWS:
        return []
    return [page.text(f"and {count - MOST_ROWS} more, in the structured report.", 7.5, colour=GREY)]
