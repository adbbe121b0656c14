"""The report in a terminal: what was found, how sure, from what, what was missing."""

from __future__ import annotations

from typing import cast

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cds.domain.report import Report
from cds.errors import ReportError
from cds.report.chinese import chinese
from cds.report.json_form import as_json
from cds.report.json_shape import CodeJson, FindingJson, LabJson, MeasurementJson, ReportJson, SiteJson
from cds.report.labels import BANNER, FIELDS, KINDS, MODALITIES, SECTIONS, Bilingual
from cds.report.wording import asserted, interval_name, number, one_line, percent, span, unit

COLOURS = {"PRESENT": "bold red", "UNCERTAIN": "bold yellow", "ABSENT": "green", "NOT_ASSESSED": "dim"}
BAR_CELLS = 12
FINDING_CELLS = 24
SURE_CELLS = 34
"""With the assertion before them these fit into 80 columns."""
MOST_LINES = 12
VERIFICATION_ZH = {"UNVERIFIED": "未经确认"}
LANGUAGES = {"en": ("en",), "zh": ("zh",), "both": ("en", "zh")}


def show(report: Report | object, console: Console, *, language: str = "en") -> None:
    """Print a report, given as the value or as the JSON that was read back.

    Parameters
    ----------
    language
        ``"en"``, ``"zh"`` or ``"both"``.

    Raises
    ------
    ReportError
        When what was read back lacks a key of the contract.
    """
    said = as_json(report) if isinstance(report, Report) else _checked(report)
    console.print(_Shown(said, LANGUAGES[language]).all())


class _Shown:
    """One report in the languages asked for."""

    def __init__(self, report: ReportJson, languages: tuple[str, ...]) -> None:
        self.report, self.languages = report, languages

    def all(self) -> RenderableType:
        """Every part that has something to say, in the order of a hurried reader."""
        parts = [
            Panel(Text(self._label(BANNER), style="bold"), border_style="yellow"),
            Padding(Text(self._head(), style="dim"), (0, 0, 1, 1)),
            Panel(
                self._impression(), title=self._label(SECTIONS["impression"]), title_align="left", border_style="blue"
            ),
            self._findings(),
            *self._lines("because", self._because()),
            *self._lines("contributions", self._contributions()),
            *self._lines("said_earlier", self._said_earlier()),
            *self._lines("recommendations", self._recommendations()),
            *self._lines("knowledge", self._knowledge()),
            *self._lines("labs", self._labs()),
            *self._lines("missing", self._missing()),
            *self._lines("rejected", self._rejected()),
            *self._lines("gates", self._failed_gates()),
            *self._lines("limits", [Text(self._told(each)) for each in self.report["limits"]]),
            *self._lines("software", self._software()),
        ]
        return Group(*parts)

    def _label(self, both: Bilingual) -> str:
        return " ".join(both[0] if language == "en" else both[1] for language in self.languages)

    def _code(self, code: CodeJson) -> str:
        names = [code["meaning"] if each == "en" else code["meaning_zh"] or code["meaning"] for each in self.languages]
        return one_line(" ".join(dict.fromkeys(names)))

    def _head(self) -> str:
        report, inputs = self.report, self.report["inputs"]
        images, labs, texts = (len(inputs["images"]), len(inputs["labs"]), len(inputs["texts"]))
        counted = self._both(
            f"revision {report['revision']} · {images} images, {labs} laboratory values, {texts} texts",
            f"版本 {report['revision']} · {images} 幅图像，{labs} 项检验结果，{texts} 份文本",
        )
        verification = self._both(report["verification"], VERIFICATION_ZH.get(report["verification"], ""))
        return f"{report['study_instance_uid']}\n{report['created_at']} · {counted} · {verification}"

    def _impression(self) -> Text:
        both = self.report["impression"]
        return Text("\n".join(both["en"] if language == "en" else both["zh"] for language in self.languages))

    def _findings(self) -> RenderableType:
        table = Table(box=SIMPLE_HEAD, title=self._label(SECTIONS["findings"]), title_justify="left", expand=False)
        table.add_column("", no_wrap=True)
        table.add_column(self._label(FIELDS["finding"]), min_width=FINDING_CELLS, ratio=2)
        table.add_column(self._label(FIELDS["probability"]), min_width=SURE_CELLS, ratio=3)
        for finding in self.report["findings"]:
            table.add_row(*self._row(finding))
        return table

    def _row(self, finding: FindingJson) -> tuple[RenderableType, ...]:
        assertion = finding["assertion"]
        about = [self._site(finding["site"]), *(self._size(each) for each in finding["measurements"])]
        name = Text.assemble((self._code(finding["code"]), "bold"), *(f"\n{line}" for line in about if line))
        said = asserted(assertion, finding["calibrated_on"], finding["code"]["value"])
        return (Text(self._label(said), style=COLOURS[assertion]), name, self._sure(finding))

    def _site(self, site: SiteJson | None) -> str:
        if site is None:
            return ""
        side = site["laterality"]
        return f"{self._code(side)} {self._code(site['region'])}" if side else self._code(site["region"])

    def _size(self, measurement: MeasurementJson) -> str:
        return f"{self._code(measurement['quantity']).lower()} {_measure(measurement)}"

    def _sure(self, finding: FindingJson) -> Text:
        value = finding["probability"]
        if value is None:
            return Text(self._told(finding["reason"]) or "–", style="dim")
        filled = round(BAR_CELLS * value)
        colour = COLOURS[finding["assertion"]]
        text = Text.assemble(("█" * filled, colour), ("░" * (BAR_CELLS - filled), "dim"), f" {percent(value)}")
        interval = finding["interval"]
        if interval is not None:
            name = self._label(interval_name(finding["calibrated_on"]))
            text.append(f"\n{name} {span((interval[0], interval[1]))}", style="dim")
        return text

    def _lines(self, section: str, lines: list[Text]) -> list[RenderableType]:
        if not lines:
            return []
        kept = lines[:MOST_LINES]
        if len(lines) > len(kept):
            more = len(lines) - len(kept)
            kept.append(Text(self._both(f"and {more} more", f"另有 {more} 项"), style="dim"))
        title = Text(self._label(SECTIONS[section]), style="bold blue")
        return [title, *(Padding(line, (0, 0, 0, 2)) for line in kept), Text("")]

    def _because(self) -> list[Text]:
        observed = {each["id"]: each for each in self.report["evidence"]}
        lines = []
        for finding in self.report["findings"]:
            named = [observed[each] for each in finding["because"] if each in observed]
            words = [
                f"{self._label(MODALITIES[each['modality']])}: {self._code(each['code'])} "
                + (percent(each["probability"]) if each["probability"] is not None else _sizes(each["measurements"]))
                for each in named
            ]
            if words:
                lines.append(Text(f"{self._code(finding['code'])} ← {'; '.join(word.strip() for word in words)}"))
        return lines

    def _contributions(self) -> list[Text]:
        return [self._shares(finding) for finding in self.report["findings"] if finding["contributions"]]

    def _shares(self, finding: FindingJson) -> Text:
        """The base value, each contribution, and the probability that they lead to."""
        start = finding.get("base")
        parts = [] if start is None else [self._both(f"base {100 * start:.1f} %", f"基线值 {100 * start:.1f} %")]
        parts += [
            f"{self._label(MODALITIES[modality])} {100 * value:+.1f}"
            for modality, value in finding["contributions"].items()
        ]
        return Text(f"{self._code(finding['code'])}: {', '.join(parts)} {self._both('percentage points', '个百分点')}")

    def _said_earlier(self) -> list[Text]:
        lines = []
        for each in self.report.get("said_earlier", []):
            when = (each["said_at"] or "")[:10]
            then, now = _sizes(each["sizes"]), _sizes(each["now"])
            english = f"{then} in the earlier report{f' of {when}' if when else ''}; " + (
                f"today's largest {now}; whether it is the same is not known" if now else "not measured today"
            )
            words = f"{when}既往报告中为 {then}；" + (f"本次最大 {now}；是否为同一病灶未知" if now else "本次未测量")
            lines.append(Text(f"{self._code(each['code'])}: {self._both(english, words)}"))
        return lines

    def _recommendations(self) -> list[Text]:
        return [
            Text.assemble(
                ("" if each["applies"] else self._both("does not apply: ", "不适用：")),
                one_line(self._both(each["text"]["en"], each["text"]["zh"])),
                (f"  [{one_line(each['guideline'])}, {one_line(each['table'])}, {one_line(each['row'])}]", "dim"),
            )
            for each in self.report["recommendations"]
        ]

    def _knowledge(self) -> list[Text]:
        return [
            Text.assemble(
                (f"{self._label(KINDS[each['kind']])}: ", "italic"),
                one_line(self._both(each["text"]["en"], each["text"]["zh"])),
                (f"  [{one_line(each['citation'])}]", "dim"),
            )
            for each in self.report["statements"]
        ]

    def _labs(self) -> list[Text]:
        lines = []
        for lab in self.report["inputs"]["labs"]:
            name = self._both(lab["name"], lab["name_zh"] or lab["name"])
            value = f"{lab['comparator']}{number(lab['value'])}{unit(lab['unit'])}"
            lines.append(Text(one_line(f"{name} ({lab['loinc']}): {value}{self._range(lab)}, {lab['time']}")))
        return lines

    def _range(self, lab: LabJson) -> str:
        """The flag, and the range that it rests on."""
        low, high, source = lab["reference_low"], lab["reference_high"], lab.get("reference_source", "")
        ends = [number(end) for end in (low, high) if end is not None]
        if not ends:
            return ""
        span = "–".join(ends) if len(ends) == 2 else ("≥" if high is None else "≤") + ends[0]
        flagged = f" {lab['flag']}" if lab.get("flag") else ""
        default = source.removeprefix("default: ") if source.startswith("default: ") else ""
        said = (f", default, {default}", f"，默认，{default}") if default else ("", "")
        return f"{flagged} ({self._both(f'reference {span}{said[0]}', f'参考范围 {span}{said[1]}')})"

    def _missing(self) -> list[Text]:
        return [
            Text(f"{self._label(MODALITIES[each['modality']])}: {self._told(each['reason'])}")
            for each in self.report["missing"]
        ]

    def _rejected(self) -> list[Text]:
        return [
            Text(f"{one_line(each['source'])}: {self._told(each['reason'])}")
            for each in self.report["inputs"]["rejected"]
        ]

    def _told(self, english: str) -> str:
        return one_line(self._both(english, chinese(english)) if chinese(english) != english else english)

    def _failed_gates(self) -> list[Text]:
        return [
            Text(
                ": ".join(
                    (f"✗ {self._label(MODALITIES[gate['modality']])}", *map(self._told, (gate["name"], gate["reason"])))
                )
            )
            for gate in self.report["gates"]
            if not gate["passed"]
        ]

    def _software(self) -> list[Text]:
        return [
            Text(f"{each['name']} {each['version']}" + (f"  sha256 {each['sha256'][:12]}…" if each["sha256"] else ""))
            for each in self.report["algorithm"]
        ]

    def _both(self, english: str, chinese: str) -> str:
        return self._label((english, chinese))


def _measure(measurement: MeasurementJson) -> str:
    return number(measurement["value"]) + unit(measurement["unit"])


def _sizes(measurements: list[MeasurementJson]) -> str:
    return ", ".join(_measure(each) for each in measurements[:3])


def _checked(value: object) -> ReportJson:
    """A report as `json.loads` gave it back, with every key of the contract."""
    wanted = ReportJson.__required_keys__
    lacking = sorted(wanted - set(value)) if isinstance(value, dict) else sorted(wanted)
    if lacking:
        raise ReportError(f"this is no report: it lacks {', '.join(lacking)}")
    return cast(ReportJson, value)
