"""The page's first half: patient, impression, findings, what moved them, measurements."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Paragraph, Table, TableStyle

from cds.domain.finding import Finding
from cds.domain.report import Report
from cds.report.because import told
from cds.report.chinese import chinese
from cds.report.labels import FIELDS, MEASURED, MODALITIES, SEXES, Bilingual
from cds.report.pdf_drawings import ProbabilityBar, ShareBar
from cds.report.pdf_style import ASSERTION_COLOURS, GREY, INK, PALE, WIDTH, Page, gap
from cds.report.source import SourceHeader
from cds.report.told import sizes_said_earlier
from cds.report.wording import (
    DECIMALS,
    asserted,
    base,
    interval_name,
    measure,
    measured,
    one_line,
    percent,
    place,
    probability,
    span,
)

BAR: Final = 46 * mm
MOST_IN_FULL: Final = 12
"""Findings that are told in full; more of them are told in one line each, every number kept."""
MOST_REASONS: Final = 6

Row = list[Flowable | list[Flowable] | str]


def patient(page: Page, report: Report, header: SourceHeader) -> list[Flowable]:
    """Who and which study, as the images say."""
    study = report.study
    sex = SEXES.get(header.text("PatientSex"), (header.text("PatientSex"), ""))
    dated = " ".join(filter(None, (_date(header.text("StudyDate")), _time(header.text("StudyTime")))))
    values: list[tuple[str, str]] = [
        ("patient", person(header.text("PatientName")) or "–"),
        ("patient_id", _identifier(header)),
        ("birth_date", _date(header.text("PatientBirthDate")) or "–"),
        ("sex", " ".join(sex)),
        ("study", header.text("StudyDescription") or study.description or "–"),
        ("study_date", dated or "–"),
        ("accession", header.text("AccessionNumber") or "–"),
        ("images", f"{len(study.instances)} ({', '.join(dict.fromkeys(s.modality for s in study.series))})"),
        ("created", f"{report.created_at:%Y-%m-%d %H:%M %Z}"),
        ("revision", str(report.revision) + (f" (replaces {report.predecessor})" if report.predecessor else "")),
    ]
    cells = [_field(page, FIELDS[name], value) for name, value in values]
    rows = [cells[start : start + 4] + [""] * (4 - len(cells[start : start + 4])) for start in range(0, len(cells), 4)]
    table = Table(rows, colWidths=[WIDTH * share for share in (0.31, 0.25, 0.22, 0.22)])
    table.setStyle(
        TableStyle(
            [
                ("BACKGROUND", (0, 0), (-1, -1), PALE),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
                ("SPAN", (1, len(rows) - 1), (3, len(rows) - 1)),
            ]
        )
    )
    reason = [page.text(f"{FIELDS['reason'][0]} {FIELDS['reason'][1]}: {one_line(study.reason_for_exam, 500)}", 8)]
    return [table, *([gap(3), *reason] if study.reason_for_exam else [])]


def _field(page: Page, label: Bilingual, value: str) -> list[Flowable]:
    return [page.cell(f"{label[0]} {label[1]}", 6.8, colour=GREY), page.cell(value, 9)]


def person(name: str) -> str:
    """A person name as one reads it: ``"Wang^XiaoDong=王^小东"`` is ``"Wang XiaoDong (王小东)"``."""
    groups = [" ".join(filter(None, part.split("^"))) for part in name.split("=")]
    latin, *other = [*groups, ""]
    ideographic = other[0].replace(" ", "") if other else ""
    return f"{latin} ({ideographic})" if latin and ideographic else latin or ideographic


def _identifier(header: SourceHeader) -> str:
    issuer = header.text("IssuerOfPatientID")
    return (header.text("PatientID") or "–") + (f" ({issuer})" if issuer else "")


def _date(value: str) -> str:
    return f"{value[:4]}-{value[4:6]}-{value[6:8]}" if len(value) == 8 and value.isdigit() else value


def _time(value: str) -> str:
    return f"{value[:2]}:{value[2:4]}" if len(value) >= 4 and value[:4].isdigit() else value


def impression(page: Page, report: Report) -> list[Flowable]:
    """The impression, English beside Chinese, line by line."""
    english, chinese = (text.strip().split("\n") for text in report.impression)
    rows: list[Sequence[Flowable | str]] = [
        [page.text(left, 9.8, bold=position == 0), page.text(right, 9.2, colour=GREY)]
        for position, (left, right) in enumerate(zip_longest(english, chinese, fillvalue=""))
    ]
    return page.section("impression", [page.panel(rows, shares=(0.58, 0.42))])


def findings(page: Page, report: Report) -> list[Flowable]:
    """One row per finding: what and where, what is said of it, how sure, because of what."""
    if not report.findings:
        return page.section("findings", [page.text("No finding was assessed. 未评估任何所见。")])
    if len(report.findings) > MOST_IN_FULL:
        return _compact(page, report)
    rows: list[Row] = [
        [_what(page, each), _said(page, each), _sure(page, each), _because(page, report, each)]
        for each in report.findings
    ]
    head = [
        " ".join(FIELDS["finding"]),
        "",
        " ".join(FIELDS["probability"]),
        "Because of 依据",
    ]
    return page.section("findings", [page.table(head, rows, (0.25, 0.13, 0.30, 0.32))])


def _compact(page: Page, report: Report) -> list[Flowable]:
    """One line per finding."""
    rows: list[Row] = [
        [
            each.id,
            page.cell(f"{each.code.text('en')} {each.code.meaning_zh}", bold=True),
            " ".join(place(each.site)),
            ", ".join(measure(size) for size in each.measurements),
            page.cell(
                " ".join(asserted(each.assertion, each.calibrated_on, each.code.value)),
                colour=ASSERTION_COLOURS[each.assertion],
            ),
            probability(each.probability, each.interval)
            if each.probability is not None
            else _reason(page, each.reason, 7.2),
        ]
        for each in report.findings
    ]
    head = ["", *(" ".join(FIELDS[name]) for name in ("finding", "site", "value")), "", " ".join(FIELDS["probability"])]
    return page.section("findings", [page.table(head, rows, (0.12, 0.22, 0.16, 0.16, 0.13, 0.21))])


def _what(page: Page, finding: Finding) -> list[Flowable]:
    english, chinese = place(finding.site)
    made = page.both((finding.code.text("en"), finding.code.text("zh")), 9.2, bold=True)
    if english:
        made.append(page.text(f"{english} {chinese if chinese != english else ''}", 7.6))
    if finding.measurements:
        made += page.both(measured(finding.measurements), 7.6)
    return made


def _said(page: Page, finding: Finding) -> list[Flowable]:
    english, chinese = asserted(finding.assertion, finding.calibrated_on, finding.code.value)
    colour = INK if english == MEASURED[0] else ASSERTION_COLOURS[finding.assertion]
    return [page.text(english.upper(), 8.2, bold=True, colour=colour), page.text(chinese, 8, colour=colour)]


def _sure(page: Page, finding: Finding) -> list[Flowable]:
    if finding.probability is None:
        return _reason(page, finding.reason or "no calibrated probability exists for it", 8)
    colour = ASSERTION_COLOURS[finding.assertion]
    name = " ".join(interval_name(finding.calibrated_on))
    interval = f"  ({name} {span(finding.interval)})" if finding.interval else ""
    exact = f"{finding.probability:.{DECIMALS}f}"
    if finding.interval:
        exact += f" ({finding.interval[0]:.{DECIMALS}f} to {finding.interval[1]:.{DECIMALS}f})"
    made: list[Flowable] = [
        Paragraph(
            f'<font name="{page.fonts.bold}" size="11">{page.fonts.markup(percent(finding.probability))}</font>'
            f"{page.fonts.markup(interval)}",
            page.style(8.6),
        ),
        ProbabilityBar(finding.probability, finding.interval, colour, BAR),
        page.text(f"p = {exact}", 6.8, colour=GREY),
    ]
    if finding.calibrated_on:
        basis = one_line(finding.calibrated_on, 200)
        words = f"校准于：{chinese(basis)}" if chinese(basis) != basis else ""
        made += page.both(
            (f"calibrated on 校准于 {basis}" if not words else f"calibrated on {basis}", words), 6.8, colour=GREY
        )
    return made + (_reason(page, finding.reason, 7.2) if finding.reason else [])


def _reason(page: Page, reason: str, size: float) -> list[Flowable]:
    return page.both((one_line(reason, 500), one_line(chinese(reason), 300)), size, colour=GREY)


def _because(page: Page, report: Report, finding: Finding) -> list[Flowable]:
    lines = [told(report, each, brief=True) for each in finding.because[:MOST_REASONS]]
    if len(finding.because) > len(lines):
        more = len(finding.because) - len(lines)
        lines.append((f"and {more} more", f"另有 {more} 项"))
    made = [page.both((one_line(english, 200), one_line(words, 160)), 7.6) for english, words in lines]
    return [part for each in made for part in each] or [page.text("–", 7.6)]


def contributions(page: Page, report: Report) -> list[Flowable]:
    """How far each modality moved each probability, as bars from a common zero."""
    moved = [each for each in report.findings if each.contributions]
    if not moved:
        return []
    largest = max(abs(part.value) for each in moved for part in each.contributions)
    groups = [_shares(page, each, largest) for each in moved]
    rows = [row for group in groups for row in group]
    head = ["", "", "lowers it 降低  |  raises it 升高", "percentage points 百分点"]
    note = (
        "Each probability is its base value plus the contributions of the inputs, in percentage points.",
        "概率 = 基线值 + 各输入的贡献（百分点）。",
    )
    table = page.table(head, rows, (0.27, 0.20, 0.33, 0.20), together=[len(group) for group in groups])
    return page.section("contributions", [table, *page.both(note, 7, colour=GREY)])


def _shares(page: Page, finding: Finding, largest: float) -> list[Row]:
    """The base value, one bar for each contribution, and the probability that they lead to."""
    name = page.cell(f"{finding.code.text('en')} {finding.code.meaning_zh}", bold=True)
    start, rows = base(finding), list[Row]()
    if start is not None:
        rows.append([name, "base value 基线值", "", f"{100 * start:.1f} %"])
    for part in finding.contributions:
        bar = ShareBar(part.value, largest, 57 * mm)
        points = f"{100 * part.value:+.1f} points"
        rows.append(["" if rows else name, " ".join(MODALITIES[part.modality]), bar, points])
    rows.append(["", "probability 概率", "", page.cell(f"= {100 * (finding.probability or 0.0):.1f} %", bold=True)])
    return rows


def measurements(page: Page, report: Report) -> list[Flowable]:
    """Every measurement with its quantity and unit."""
    rows: list[Row] = [
        [
            finding.id if position == 0 else "",
            finding.code.text("en") if position == 0 else "",
            " ".join(place(finding.site)) if position == 0 else "",
            f"{each.quantity.text('en')} {each.quantity.meaning_zh}",
            measure(each),
        ]
        for finding in report.findings
        for position, each in enumerate(finding.measurements)
    ]
    if not rows:
        return []
    head = ["", *(" ".join(FIELDS[name]) for name in ("finding", "site")), "Quantity 量", " ".join(FIELDS["value"])]
    together = [len(finding.measurements) for finding in report.findings if finding.measurements]
    return page.section("measurements", [page.table(head, rows, (0.12, 0.25, 0.2, 0.25, 0.18), together=together)])


def earlier(page: Page, report: Report) -> list[Flowable]:
    """Sizes that earlier reports state, with their dates, beside today's."""
    rows: list[Row] = [
        [
            page.cell(f"{each.observation.concept.text('en')} {each.observation.concept.meaning_zh}"),
            " ".join(place(each.observation.site)),
            f"{each.said_at:%Y-%m-%d}" if each.said_at else "not dated 未注明",
            ", ".join(measure(size) for size in each.sizes),
            ", ".join(measure(size) for size in each.now) or "–",
        ]
        for each in sizes_said_earlier(report)
    ]
    if not rows:
        return []
    head = [*(" ".join(FIELDS[name]) for name in ("finding", "site")), "Report of 报告日期", "Size then 当时大小"]
    note = (
        "Sizes as the earlier reports state them; whether it is the same lesion is not known.",
        "大小依既往报告所述；是否为同一病灶未知。",
    )
    table = page.table([*head, "Largest now 本次最大"], rows, (0.28, 0.22, 0.17, 0.17, 0.16))
    return page.section("said_earlier", [table, *page.both(note, 7, colour=GREY)])
