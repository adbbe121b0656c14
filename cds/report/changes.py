"""What a revision says otherwise than the one before: both as JSON, thing by thing, in both languages."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, cast

from cds.domain.report import Report
from cds.domain.revision import Difference, Matter
from cds.report.json_form import as_json
from cds.report.json_shape import FindingJson, LabJson, ReportJson, SiteJson
from cds.report.labels import MODALITIES, TEXT_KINDS, Bilingual
from cds.report.wording import asserted, number, one_line, percent, unit

_IMAGES: Final[Bilingual] = ("Images", "图像")
_TAKES_NO_PART: Final[Bilingual] = ("took no part", "未参与")
_TAKES_PART: Final[Bilingual] = ("took part", "已参与")
_LONGEST: Final = 300

_Told = Mapping[tuple[Matter, str], tuple[Bilingual, Bilingual]]
"""What a report tells, by matter and id: the name of a thing, and what is said of it."""


def changes(report: Report, before: Path | None) -> tuple[Difference, ...] | None:
    """What `report` says otherwise than the report that stands as JSON in `before`; None where that is not known."""
    then = _read(before) if before is not None else None
    if then is None:
        return None
    now = _told(as_json(report))
    differing = [key for key in dict.fromkeys([*now, *then]) if _said(then, key) != _said(now, key)]
    order = list(Matter)
    return tuple(
        Difference(
            matter=key[0], id=key[1], name=(now.get(key) or then[key])[0], then=_said(then, key), now=_said(now, key)
        )
        for key in sorted(differing, key=lambda key: order.index(key[0]))
    )


def _said(told: _Told, key: tuple[Matter, str]) -> Bilingual | None:
    return told[key][1] if key in told else None


def _read(file: Path) -> _Told | None:
    """What a report that was kept told; None where the file is gone, or not of this form."""
    try:
        return _told(cast(ReportJson, json.loads(file.read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _told(report: ReportJson) -> _Told:
    return {(matter, key): (name, said) for matter, key, name, said in _everything(report)}


def _everything(report: ReportJson) -> Iterator[tuple[Matter, str, Bilingual, Bilingual]]:
    inputs = report["inputs"]
    count = len(inputs["images"])
    yield Matter.IMAGES, "", _IMAGES, (str(count), str(count))
    for lab in inputs["labs"]:
        yield Matter.LABORATORY, lab["loinc"], (lab["name"], lab["name_zh"] or lab["name"]), _value(lab)
    for text in inputs["texts"]:
        kind = TEXT_KINDS[text["kind"]]
        name = f"{kind[0]} {text['report_id']}", f"{kind[1]} {text['report_id']}"
        yield Matter.TEXT, text["report_id"], name, _version(text["authored_at"], text["sha256"])
    for wave in inputs.get("waveforms", []):
        english, chinese = MODALITIES["waveform"]
        name = f"{english} {wave['waveform_id']}", f"{chinese} {wave['waveform_id']}"
        yield Matter.WAVEFORM, wave["waveform_id"], name, _version(wave["acquired_at"], wave["sha256"])
    seen = {each["modality"] for each in report["evidence"]}
    absent = {each["modality"] for each in report["missing"]} - seen
    for modality in (each for each in MODALITIES if each in seen | absent):
        yield Matter.MODALITY, modality, MODALITIES[modality], _TAKES_NO_PART if modality in absent else _TAKES_PART
    yield from _conclusions(report)


def _conclusions(report: ReportJson) -> Iterator[tuple[Matter, str, Bilingual, Bilingual]]:
    for finding in report["findings"]:
        yield Matter.FINDING, finding["id"], _name(finding), _conclusion(finding)
    for item in report["recommendations"]:
        row = one_line(f"{item['guideline']}, {item['row']}", _LONGEST)
        applies = ("", "") if item["applies"] else ("does not apply: ", "不适用：")
        said = applies[0] + item["text"]["en"], applies[1] + item["text"]["zh"]
        key = f"{item['guideline']}/{item['table']}/{item['row']}/{item['because']}"
        yield Matter.RECOMMENDATION, key, (row, row), (_plain(said[0]), _plain(said[1]))
    versions = Counter[str]()
    for algorithm in report["algorithm"]:
        versions[algorithm["name"]] += 1
        key = f"{algorithm['name']}/{versions[algorithm['name']]}"
        version = f"{algorithm['version']} {algorithm['sha256'][:12]}".strip()
        yield Matter.SOFTWARE, key, (algorithm["name"], algorithm["name"]), (version, version)


def _plain(text: str) -> str:
    return one_line(text, _LONGEST).rstrip(".。")


def _value(lab: LabJson) -> Bilingual:
    """``"120 mg/L H, 2026-01-31 08:00"``."""
    value = f"{lab['comparator']}{number(lab['value'])}{unit(lab['unit'])} {lab['flag']}".rstrip()
    when = lab["time"][:16].replace("T", " ")
    return f"{value}, {when}", f"{value}，{when}"


def _version(when: str | None, sha256: str) -> Bilingual:
    """A text or a recording: of which day, and which wording or samples."""
    day = (when or "")[:10]
    return f"{day or 'without a date'} ({sha256[:8]})", f"{day or '无日期'}（{sha256[:8]}）"


def _name(finding: FindingJson) -> Bilingual:
    code, where = finding["code"], _place(finding["site"])
    english = code["meaning"] + (f" ({where[0]})" if where[0] else "")
    return english, (code["meaning_zh"] or code["meaning"]) + (f"（{where[1]}）" if where[1] else "")


def _place(site: SiteJson | None) -> Bilingual:
    if site is None:
        return "", ""
    region, side = site["region"], site["laterality"]
    english = f"{side['meaning']} {region['meaning']}" if side else region["meaning"]
    return english.lower(), (side["meaning_zh"] if side else "") + region["meaning_zh"]


def _conclusion(finding: FindingJson) -> Bilingual:
    """``"present, 83 %, 8.2 mm"``: what a reader would see change."""
    said = asserted(finding["assertion"], finding["calibrated_on"], finding["code"]["value"])
    sizes = [f"{number(each['value'])}{unit(each['unit'])}" for each in finding["measurements"]]
    sure = [percent(finding["probability"])] if finding["probability"] is not None else []
    return ", ".join([said[0], *sure, *sizes]), "，".join([said[1], *sure, *sizes])
