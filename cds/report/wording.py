"""The sentences of a report, in English and Chinese: one place, so that every encoding says the same."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Final

from cds.domain.evidence import Assertion, Measurement, Missing, Site
from cds.domain.finding import Contribution, Finding, Statement
from cds.domain.vocabulary import ECG
from cds.errors import ReportError
from cds.report.chinese import chinese as translated
from cds.report.labels import ASSERTIONS, INTERVAL, MEASURED, MODALITIES, SPREAD, SUSPECTED, Bilingual

NOT_TEXT: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Control characters, lone surrogates and non-characters: never part of a text that leaves the house."""
BIDI: Final = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Direction marks, which could make a line read as something else."""

TEN_TO: Final = re.compile(r"10\*(-?\d+)")
"""UCUM's power of ten, as in ``"10*9/L"``."""

URGENCY: Final = (Assertion.PRESENT, Assertion.UNCERTAIN, Assertion.ABSENT, Assertion.NOT_ASSESSED)
"""The order in which an impression speaks."""

SIMULATED: Final = "simulated"
"""How `Finding.calibrated_on` begins where no patient was measured; the sentence itself must say so."""
OF_MODEL: Final = "see "
"""How `Finding.calibrated_on` begins where a model's own number stands: its interval is what its members span."""

DECIMALS: Final = 3
"""Of a probability: calibration sets of some thousand cases carry no more, and their intervals much less."""
LEAST: Final = 0.001


def clean(text: str) -> str:
    """`text` without control characters, direction marks and lone surrogates; line ends become line feeds."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    return BIDI.sub("", NOT_TEXT.sub(" ", unified))


def one_line(text: str, limit: int = 0) -> str:
    """`text` on one line, cut with an ellipsis at `limit` characters (0: not cut)."""
    flat = " ".join(clean(text).split())
    return flat if not limit or len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def number(value: float, digits: int = 4) -> str:
    """A number with at most `digits` significant digits and no exponent where a reader expects none.

    Raises
    ------
    ReportError
        When the value is not finite: NaN never becomes a number in a report.
    """
    if not math.isfinite(value):
        raise ReportError("a report cannot carry a number that is not finite")
    if value == int(value) and abs(value) < 10**9:
        return str(int(value))
    if 10**digits <= abs(value) < 10**9:
        return str(round(value))
    return f"{value:.{digits}g}"


def rounded(probability: float) -> float:
    """A probability with the three decimals that it can carry; never 0 or 1 for what is neither."""
    if probability in (0.0, 1.0):
        return probability
    return min(max(round(probability, DECIMALS), LEAST), 1.0 - LEAST)


def percent(probability: float) -> str:
    """A probability as a percentage, halves up; never ``0 %`` or ``100 %`` for what is neither.

    It is made from the rounded value, so that ``0.835`` is ``84 %`` wherever it stands.
    """
    tenths = round(1000 * rounded(probability))
    if 0 < tenths < 10:
        return "<1 %"
    if 990 < tenths < 1000:
        return ">99 %"
    return f"{(tenths + 5) // 10} %"


def probability(value: float | None, interval: tuple[float, float] | None) -> str:
    """``"83 % (71–91 %)"``; an en dash where there is none."""
    if value is None:
        return "–"
    return percent(value) if interval is None else f"{percent(value)} ({span(interval)})"


def span(interval: tuple[float, float]) -> str:
    """``"71–91 %"``; one number where both bounds are written alike."""
    low, high = (percent(bound) for bound in interval)
    return low if low == high else f"{low.removesuffix(' %')}–{high}"


def measure(measurement: Measurement) -> str:
    """``"8.2 mm"``."""
    return number(measurement.value) + unit(measurement.unit)


def measured(measurements: Iterable[Measurement]) -> Bilingual:
    """``"long axis 9.1 mm, short axis 7.3 mm"`` and its Chinese."""
    kept = tuple(measurements)
    english = ", ".join(f"{_within(each.quantity.text('en'))} {measure(each)}" for each in kept)
    return english, "，".join(f"{each.quantity.text('zh')} {measure(each)}" for each in kept)


def _within(name: str) -> str:
    """A name within a sentence: ``"Long axis"`` is ``"long axis"``, ``"QRS duration"`` stays."""
    return name[:1].lower() + name[1:] if name[1:2].islower() else name


def unit(ucum: str) -> str:
    """A UCUM unit after a number, as one writes it: ``" mm³"`` for ``"mm3"``; nothing for ``"1"``."""
    if ucum in ("", "1"):
        return ""
    shown = {"mm3": "mm³", "cm3": "cm³", "[hnsf'U]": "HU", "Cel": "°C", "{ratio}": ""}.get(ucum, ucum)
    return (" " + TEN_TO.sub(r"×10^\1", shown)).rstrip()


def place(site: Site | None) -> Bilingual:
    """``"right lung"`` and its Chinese; empty where the site is not known."""
    if site is None:
        return "", ""
    side = site.laterality
    english = f"{side.meaning} {site.region.meaning}" if side else site.region.meaning
    return english.lower(), (side.text("zh") if side else "") + site.region.text("zh")


def _sized(findings: Iterable[Finding]) -> tuple[float, Measurement, Finding] | None:
    sizes = [(m.value, m, f) for f in findings for m in f.measurements if m.unit == "mm"]
    return max(sizes, key=lambda size: size[0]) if sizes else None


def asserted(assertion: str, calibrated_on: str, code: str = "") -> Bilingual:
    """What is said of a finding; neither a number nor what a simulated cohort taught is called present."""
    if code == ECG.value:
        return MEASURED
    if assertion == Assertion.PRESENT and calibrated_on.startswith(SIMULATED):
        return SUSPECTED
    return ASSERTIONS[assertion]


def interval_name(calibrated_on: str) -> Bilingual:
    """What the bounds of a probability are: of an ensemble alone, only how far its members lie apart."""
    return SPREAD if calibrated_on.startswith((SIMULATED, OF_MODEL)) else INTERVAL


def sentence(finding: Finding) -> Bilingual:
    """One finding as one sentence: what, where, how large, how sure, or why not."""
    english, chinese = [finding.code.text("en")], [finding.code.text("zh")]
    where = place(finding.site)
    if where[0]:
        english.append(f" ({where[0]})")
        chinese.append(f"（{where[1]}）")
    said = asserted(finding.assertion, finding.calibrated_on, finding.code.value)
    english.append(f": {said[0]}")
    chinese.append(f"：{said[1]}")
    sizes, sizes_zh = measured(finding.measurements)
    if sizes:
        english.append(f", {sizes}")
        chinese.append(f"，{sizes_zh}")
    sure = _how_sure(finding)
    english.append(sure[0])
    chinese.append(sure[1])
    return "".join(english) + ".", "".join(chinese) + "。"


def _how_sure(finding: Finding) -> Bilingual:
    english, chinese = "", ""
    if finding.probability is not None:
        english, chinese = f", probability {percent(finding.probability)}", f"，概率 {percent(finding.probability)}"
        if finding.interval is not None:
            name = interval_name(finding.calibrated_on)
            english += f" ({name[0]} {span(finding.interval)})"
            chinese += f"（{name[1]} {span(finding.interval)}）"
        if finding.calibrated_on.startswith(SIMULATED):
            english += ", learned from a simulated cohort, never measured on patients"
            chinese += "，依据模拟队列，未经患者验证"
    if finding.reason:
        english += f"; {one_line(finding.reason).rstrip('.')}"
        chinese += f"；{one_line(translated(finding.reason)).rstrip('.。')}"
    return english, chinese


def _group_sentence(group: Sequence[Finding]) -> Bilingual:
    """Several findings of one code and one assertion as one sentence, with the largest of them."""
    if len(group) == 1:
        return sentence(group[0])
    code, said = group[0].code, asserted(group[0].assertion, group[0].calibrated_on, group[0].code.value)
    english, chinese = f"{code.text('en')}: {len(group)}, {said[0]}", f"{code.text('zh')}：{len(group)} 处，{said[1]}"
    largest = _sized(group)
    if largest is not None:
        where = place(largest[2].site)
        english += f"; the largest {measure(largest[1])}" + (f" ({where[0]})" if where[0] else "")
        chinese += f"；最大 {measure(largest[1])}" + (f"（{where[1]}）" if where[1] else "")
    return english + ".", chinese + "。"


def gap(missing: Missing) -> Bilingual:
    """What one modality could not give, and why."""
    english, chinese = MODALITIES[missing.modality]
    reason = one_line(missing.reason).rstrip(".")
    return f"{english}: {reason}.", f"{chinese}：{translated(reason)}。"


def impression(findings: Sequence[Finding], missing: Sequence[Missing]) -> Bilingual:
    """The impression: one line per conclusion, the present ones first, then what was missing.

    Returns
    -------
    tuple of str
        (English, Chinese), lines separated by line feeds.
    """
    groups: dict[tuple[int, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((URGENCY.index(finding.assertion), finding.code.key), []).append(finding)
    lines = [_group_sentence(group) for _, group in sorted(groups.items(), key=lambda item: item[0][0])]
    if not any(f.assertion in (Assertion.PRESENT, Assertion.UNCERTAIN) for f in findings):
        lines.insert(0, ("No finding was called present.", "未判定任何阳性所见。"))
    bases = dict.fromkeys(f.calibrated_on for f in findings if f.probability is not None and f.calibrated_on)
    lines += [
        (f"Probabilities hold for: {one_line(basis)}.", f"概率的依据：{one_line(translated(basis))}。")
        for basis in bases
    ]
    if missing:
        lines.append(
            (
                "Not available: " + ", ".join(MODALITIES[part.modality][0] for part in missing) + ".",
                "缺失：" + "、".join(MODALITIES[part.modality][1] for part in missing) + "。",
            )
        )
    return "\n".join(line[0] for line in lines), "\n".join(line[1] for line in lines)


def contribution(part: Contribution) -> Bilingual:
    """``"chest X-ray +21.0 percentage points"``: how far one modality moved the probability."""
    english, chinese_name = MODALITIES[part.modality]
    points = f"{100 * part.value:+.1f}"
    return f"{english} {points} percentage points", f"{chinese_name} {points} 个百分点"


def base(finding: Finding) -> float | None:
    """What the contributions start from: the probability without them; None where there are none to take off.

    For Shapley values, as of the fusion transformer, it is the probability that the model gives without any
    input. Where contributions do not add up, as in late fusion, what remains may be no probability: None.
    """
    if finding.probability is None or not finding.contributions:
        return None
    rest = round(rounded(finding.probability) - sum(round(c.value, DECIMALS) for c in finding.contributions), DECIMALS)
    return rest if 0.0 <= rest <= 1.0 else None


def contributions_sentence(finding: Finding) -> Bilingual:
    """Every contribution, and the base value that they start from."""
    start = base(finding)
    said = [contribution(part) for part in finding.contributions]
    english, from_base = "; ".join(each[0] for each in said), f", from a base value of {percent(start or 0.0)}"
    chinese_words, from_base_zh = "；".join(each[1] for each in said), f"（基线值 {percent(start or 0.0)}）"
    return (
        f"Contributions to the probability{from_base if start is not None else ''}: {english}.",
        f"各模态对概率的贡献{from_base_zh if start is not None else ''}：{chinese_words}。",
    )


def path_sentence(statement: Statement) -> str:
    """The path through the knowledge graph: ``"Pneumonia —causes→ Fever —seen in→ Influenza"``."""
    if not statement.path:
        return f"{statement.subject.meaning} —{relation(statement.relation)}→ {statement.object.meaning}"
    words = [statement.path[0].subject.meaning]
    here = statement.path[0].subject
    for step in statement.path:
        if step.subject != here:
            words.append(f"; {step.subject.meaning}")
        words.append(f"—{relation(step.relation)}→ {step.object.meaning}")
        here = step.object
    return " ".join(words).replace(" ; ", "; ")


def relation(name: str) -> str:
    """A relation as words: ``"seen_in"`` is ``"seen in"``."""
    return name.replace("_", " ").lower()
