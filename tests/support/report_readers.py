"""What encodings say of findings and laboratory values, each read by software that did not write it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final

import hl7
from pydicom import dcmread
from pydicom.dataset import Dataset

from cds.report.json_shape import FindingJson, LabJson

ASSERTION_OF: Final = {
    "52101004": "PRESENT",
    "272519000": "ABSENT",
    "121059": "UNCERTAIN",
    "373121007": "NOT_ASSESSED",
}
"""SNOMED CT and DICOM (PS3.16 CID 240, CID 3703, Annex D)."""
NO_FINDING: Final = "no finding"
Told = dict[str, object]
Figures = Sequence[tuple[str, float, str]]


def _told(uid: str, code: str, assertion: str, figures: Figures) -> Told:
    """A finding: what is known by its code, the rest as measurements (code, value, unit)."""
    known = {name: value for name, value, _ in figures if name.startswith(("probability_", "share_", "122157"))}
    interval = [known[name] for name in ("probability_low", "probability_high") if name in known]
    return {
        "tracking_uid": uid,
        "code": code,
        "assertion": assertion,
        "probability": known.get("122157"),
        "interval": interval or None,
        "base": known.get("probability_base"),
        "contributions": {
            name.removeprefix("share_"): value for name, value in known.items() if name.startswith("share_")
        },
        "measurements": [each for each in figures if each[0] not in known],
    }


def of_json(findings: Sequence[FindingJson]) -> list[Told]:
    return [
        {
            "tracking_uid": each["tracking_uid"],
            "code": each["code"]["value"],
            "assertion": each["assertion"],
            "probability": each["probability"],
            "interval": each["interval"],
            "base": each["base"],
            "contributions": each["contributions"],
            "measurements": [(m["quantity"]["value"], m["value"], m["unit"] or "1") for m in each["measurements"]],
        }
        for each in findings
    ]


def of_sr(content: bytes) -> list[Told]:
    """The measurement groups, read with pydicom alone."""
    items = dcmread(BytesIO(content)).ContentSequence
    groups = next(item for item in items if _code(item.ConceptNameCodeSequence[0]) == "126010").ContentSequence
    told = [_of_group(group) for group in groups]
    return [finding for name, finding in told if name != NO_FINDING]


def _of_group(group: Dataset) -> tuple[str, Told]:
    items = [(_code(item.ConceptNameCodeSequence[0]), item) for item in group.ContentSequence]
    codes = {name: _code(item.ConceptCodeSequence[0]) for name, item in items if item.ValueType == "CODE"}
    figures = []
    for name, item in items:
        if item.ValueType == "NUM":
            value = item.MeasuredValueSequence[0]
            unit = _code(value.MeasurementUnitsCodeSequence[0])
            figures.append((name, float(value.get("FloatingPointValue", value.NumericValue)), unit))
    uid = next(item.UID for name, item in items if name == "112040")
    name = next(item.TextValue for name, item in items if name == "112039")
    if name == NO_FINDING:
        return name, {}
    return name, _told(uid, codes["121071"], ASSERTION_OF[codes["121052"]], figures)


def _code(item: Dataset) -> str:
    return str(item.get("CodeValue") or item.get("LongCodeValue"))


def resources(content: bytes) -> dict[str, dict[str, Any]]:
    """The resources of a bundle by their full URL."""
    return {entry["fullUrl"]: entry["resource"] for entry in json.loads(content)["entry"]}


def of_fhir(content: bytes) -> list[Told]:
    """The results of the DiagnosticReport, with their members."""
    all_of = resources(content)
    report = next(each for each in all_of.values() if each["resourceType"] == "DiagnosticReport")
    return [_of_observation(all_of[each["reference"]], all_of) for each in report.get("result", [])]


def _of_observation(found: Mapping[str, Any], all_of: Mapping[str, Mapping[str, Any]]) -> Told:
    figures = [(_first(each["code"]), each) for each in found.get("component", []) if "valueQuantity" in each]
    members = [all_of[each["reference"]] for each in found.get("hasMember", [])]
    figures += [(_first(each["code"]), each) for each in members]
    uid = found["identifier"][0]["value"].removeprefix("urn:oid:")
    said = found.get("valueCodeableConcept")
    return _told(
        uid,
        _first(found["code"]),
        ASSERTION_OF[_first(said)] if said else "NOT_ASSESSED",
        [(name, float(each["valueQuantity"]["value"]), each["valueQuantity"]["code"]) for name, each in figures],
    )


def _first(concept: Mapping[str, Any]) -> str:
    return str(concept["coding"][0]["code"])


def message(content: bytes) -> hl7.Message:
    """The message as python-hl7 reads it."""
    return hl7.parse(content.decode("utf-8"))


def of_hl7(content: bytes) -> list[Told]:
    """The OBX segments by their OBX-4."""
    groups: dict[str, list[hl7.Segment]] = defaultdict(list)
    for obx in message(content).segments("OBX"):
        if str(obx[4]):
            groups[str(obx[4])].append(obx)
    return [_of_segments(groups[name]) for name in sorted(groups, key=int)]


def _of_segments(segments: Sequence[hl7.Segment]) -> Told:
    first = segments[0]
    numbers = [each for each in segments if str(each[2]) == "NM"]
    uid = next(str(each[5]) for each in segments if component(each, 3, 1) == "112040")
    return _told(
        uid,
        component(first, 3, 1),
        ASSERTION_OF[component(first, 5, 1)],
        [(component(each, 3, 1), float(str(each[5])), component(each, 6, 1)) for each in numbers],
    )


def component(segment: hl7.Segment, field: int, number: int) -> str:
    """A component of the first repetition of a field; ``""`` where it is shorter."""
    try:
        parts = segment[field][0]
    except IndexError:
        return ""
    if isinstance(parts, str):
        return parts if number == 1 else ""
    return "".join(str(each) for each in parts[number - 1]) if number <= len(parts) else ""


def labs_of_json(labs: Sequence[LabJson]) -> list[tuple[object, ...]]:
    return [
        (
            each["loinc"],
            each["comparator"],
            float(each["value"]),
            each["unit"],
            each["reference_low"],
            each["reference_high"],
            each["flag"],
            each["status"],
        )
        for each in labs
    ]


def labs_of_fhir(content: bytes) -> list[tuple[object, ...]]:
    found = []
    for each in resources(content).values():
        if each["resourceType"] == "Observation" and _first(each["category"][0]) == "laboratory":
            value, limits = each["valueQuantity"], each.get("referenceRange", [{}])[0]
            flag = _first(each["interpretation"][0]) if "interpretation" in each else ""
            bounds = [limits[side]["value"] if side in limits else None for side in ("low", "high")]
            comparator, number = value.get("comparator", ""), float(value["value"])
            found.append((_first(each["code"]), comparator, number, value["code"], *bounds, flag, each["status"]))
    return found


def labs_of_hl7(content: bytes) -> list[tuple[object, ...]]:
    statuses = {"P": "preliminary", "F": "final", "C": "corrected", "X": "cancelled"}
    found = []
    for obx in message(content).segments("OBX"):
        if component(obx, 3, 3) == "LN" and str(obx[2]) in ("NM", "SN"):
            comparator, value = (
                ("", str(obx[5])) if str(obx[2]) == "NM" else (component(obx, 5, 1), component(obx, 5, 2))
            )
            low, high = _bounds(str(obx[7]))
            found.append(
                (
                    component(obx, 3, 1),
                    comparator,
                    float(value),
                    component(obx, 6, 1),
                    low,
                    high,
                    str(obx[8]),
                    statuses[str(obx[11])],
                )
            )
    return found


def _bounds(text: str) -> tuple[float | None, float | None]:
    if text.startswith("<="):
        return None, float(text[2:])
    if text.startswith(">="):
        return float(text[2:]), None
    low, _, high = text.partition("-")
    return (float(low), float(high)) if high else (None, None)
