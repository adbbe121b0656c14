"""The page's second half: what it rests on, what is recommended, what was missing, with which software."""

from __future__ import annotations

from typing import Final

from reportlab.platypus import Flowable, KeepTogether, Paragraph

from cds.domain.evidence import Evidence, Missing, Observation
from cds.domain.finding import Recommendation, Statement
from cds.domain.records import LabResult, TextKind
from cds.domain.report import Report
from cds.report.chinese import chinese
from cds.report.identity import device_uid, instance_uid
from cds.report.labels import ASSERTIONS, FIELDS, KINDS, MODALITIES, STALE, TEXT_KINDS, Bilingual
from cds.report.laboratory import age, is_stale, judged, no_range, trend, window
from cds.report.pdf_style import AMBER_INK, GREEN, GREY, INK, RED, Page, gap
from cds.report.told import DESCRIPTION_ID, ORDER_ID, Passage, gaps, limits, passage
from cds.report.wording import gap as gap_sentence
from cds.report.wording import number, one_line, path_sentence, unit

MOST_ROWS: Final = 60
"""Rows of one table; what is beyond is counted, and stands in the structured report."""

ARROWS: Final = {"H": " ↑ H", "L": " ↓ L", "": ""}

Row = list[Flowable | list[Flowable] | str]


def recommendations(page: Page, report: Report) -> list[Flowable]:
    """What guidelines say, with table and row."""
    if not report.recommendations:
        return []
    made: list[Flowable] = []
    for each in report.recommendations:
        made += [page.panel([[_recommendation(page, each)]], bar=AMBER_INK if each.applies else GREY), gap(3)]
    return page.section("recommendations", made)


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
    return page.section("knowledge", [page.table(["", ""], rows, (0.18, 0.82)), *_more(page, len(report.statements))])


def _statement(page: Page, statement: Statement) -> list[Flowable]:
    sources = dict.fromkeys([*(step.citation for step in statement.path), statement.citation])
    return [
        *page.both(statement.text, 8.6),
        page.cell(path_sentence(statement), 7.4),
        page.cell("; ".join(filter(None, sources)), 7, colour=GREY),
    ]


def labs(page: Page, report: Report) -> list[Flowable]:
    """Every laboratory value with its unit, the reference range that its flag rests on, and the flag."""
    values = report.case.records.labs
    if not values:
        return []
    rows = [_lab(page, report, each) for each in values[:MOST_ROWS]]
    head = [" ".join(FIELDS[name]) for name in ("analyte", "value", "reference", "time", "source")]
    table = page.table(head, rows, (0.24, 0.20, 0.20, 0.20, 0.16))
    return page.section("labs", [table, *_more(page, len(values))])


def _lab(page: Page, report: Report, lab: LabResult) -> Row:
    judgement = judged(report, lab)
    value = f"{lab.comparator}{number(lab.value)}{unit(lab.unit)}{ARROWS[judgement.flag]}"
    colour = (RED if judgement.flag else GREEN) if judgement.shown else INK
    span: list[Flowable] = [page.cell(f"{judgement.shown}{unit(lab.unit)}" if judgement.shown else "–")]
    if not judgement.shown:
        span += _below(page, no_range(report, lab))
    if judgement.is_default:
        source = judgement.given_by.removeprefix("default: ")
        span.append(page.cell(f"default 默认: {source}", 6.6, colour=GREY))
    name = f"{lab.analyte.text('en')} {lab.analyte.meaning_zh} ({lab.analyte.value})"
    shown: list[Flowable] = [page.cell(value, bold=bool(judgement.flag), colour=colour)]
    shown += _below(page, trend(report, lab))
    return [name, shown, span, _taken(page, report, lab), lab.source or "–"]


def _taken(page: Page, report: Report, lab: LabResult) -> list[Flowable]:
    """When, how long before the study, and how long a value of this analyte counts."""
    stale = is_stale(report, lab)
    made: list[Flowable] = [page.cell(f"{lab.observed_at:%Y-%m-%d %H:%M}")]
    english, chinese_words = age(report, lab)
    if english:
        old = f" · {STALE[0]} {STALE[1]}" if stale else ""
        made.append(page.cell(f"{english} {chinese_words}{old}", 6.6, colour=AMBER_INK if stale else GREY))
    return made + _below(page, window(lab))


def _below(page: Page, said: Bilingual) -> list[Flowable]:
    return [page.cell(each, 6.6, colour=GREY) for each in said if each]


def texts(page: Page, report: Report) -> list[Flowable]:
    """The passages that observations rest on, quoted."""
    passages = [(part, each) for part in report.evidence for each in part.observations if each.span is not None]
    if not passages:
        return []
    rows: list[Row] = [
        [
            f"{each.concept.text('en')} {each.concept.meaning_zh}",
            " ".join(_standing(report, each)),
            _quoted(page, passage(report, each)),
            _origin(report, each),
        ]
        for _, each in passages[:MOST_ROWS]
    ]
    head = [FIELDS["finding"][0], "", "Passage 原文", FIELDS["source"][0]]
    table = page.table(head, rows, (0.22, 0.14, 0.44, 0.20))
    return page.section("texts", [table, *_more(page, len(passages))])


def _quoted(page: Page, found: Passage) -> Flowable:
    """The sentence, the words that count in bold."""
    parts = [part.replace("\n", " ") for part in (found.before, found.words, found.after)]
    before, words, after = map(page.fonts.markup, parts)
    return Paragraph(f'“{before}<font name="{page.fonts.bold}">{words}</font>{after}”', page.style(8))


def _standing(report: Report, observation: Observation) -> Bilingual:
    """What the passage says of now; of an earlier report, that it is one."""
    report_id = observation.span.report_id if observation.span else ""
    earlier = any(each.report_id == report_id and each.kind is TextKind.PRIOR for each in report.case.records.texts)
    return TEXT_KINDS["prior"] if earlier else ASSERTIONS[observation.assertion]


def _origin(report: Report, observation: Observation) -> str:
    """Which text: the order, or a report with its kind and date."""
    report_id = observation.span.report_id if observation.span else ""
    text = next((each for each in report.case.records.texts if each.report_id == report_id), None)
    if text is None:
        return "order 申请单" if report_id in (ORDER_ID, DESCRIPTION_ID) else report_id
    when = f" {text.authored_at:%Y-%m-%d}" if text.authored_at else ""
    return f"{' '.join(TEXT_KINDS[text.kind])}{when} ({report_id})"


def missing(page: Page, report: Report) -> list[Flowable]:
    """What could not take part, and what was seen and not used."""
    said = [gap_sentence(each) for each in gaps(report)]
    made = page.section("missing", page.both_bullets(said))
    rejected = report.case.records.rejected
    if rejected:
        lines = [
            (f"{one_line(each.source, 120)}: {one_line(each.reason, 300)}", one_line(chinese(each.reason), 300))
            for each in rejected[:MOST_ROWS]
        ]
        made += page.section("rejected", [*page.both_bullets(lines), *_more(page, len(rejected))])
    return made


def gates(page: Page, report: Report) -> list[Flowable]:
    """Every check, passed or not, and why."""
    parts: list[Evidence | Missing] = [*report.evidence, *report.missing]
    rows: list[Row] = [
        [
            " ".join(MODALITIES[part.modality]),
            page.both((gate.name, chinese(gate.name)), 8),
            page.cell("passed 通过" if gate.passed else "NOT PASSED 未通过", colour=GREEN if gate.passed else RED),
            page.both((one_line(gate.reason, 500), one_line(chinese(gate.reason), 300)), 8),
        ]
        for part in parts
        for gate in part.gates
    ]
    if not rows:
        return []
    return page.section("gates", [page.table(["", "", "", ""], rows[:MOST_ROWS], (0.18, 0.22, 0.17, 0.43))])


def limitations(page: Page, report: Report) -> list[Flowable]:
    """What a reader must know."""
    return page.section("limits", page.both_bullets(limits(report)))


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
    table = page.table(["", "Version 版本", "sha256", "Model card 模型卡"], rows, (0.2, 0.12, 0.46, 0.22))
    return page.section(
        "software", [table, gap(3), KeepTogether([page.text(line, 6.8, colour=GREY) for line in identity])]
    )


def _more(page: Page, count: int) -> list[Flowable]:
    if count <= MOST_ROWS:
        return []
    more = count - MOST_ROWS
    said = (f"and {more} more, in the structured report.", f"另有 {more} 项，见结构化报告。")
    return page.both(said, 7.5, colour=GREY)
