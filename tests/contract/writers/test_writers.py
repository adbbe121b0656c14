"""The contract of the door `cds.writers`, run over every registered plugin."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from cds import ports
from cds.discovery import build, installed
from cds.domain.report import Report
from cds.report.json_form import as_json
from cds.report.json_shape import FindingJson
from cds.report.labels import ASSERTIONS
from cds.report.sr_codes import ASSERTION_VALUES
from cds.report.wording import number, percent
from cds.testing.contract_writers import CHECKS
from support.reports import FUSION, full_report, many_nodules_report, revised_report, xray_only_report

Check = Callable[[ports.Writer, Report], None]
Make = Callable[[Path], Report]
KINDS: tuple[Make, ...] = (full_report, xray_only_report, revised_report)


def writer(name: str) -> ports.Writer:
    return build(ports.WRITERS, name, ports.Writer, {}, {})  # type: ignore[type-abstract]


@pytest.fixture(params=KINDS, ids=lambda make: make.__name__)
def report(request: pytest.FixtureRequest, tmp_path: Path) -> Report:
    make: Make = request.param
    return make(tmp_path)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(installed(ports.WRITERS)))
def test_every_writer_keeps_the_contract(name: str, check: Check, report: Report) -> None:
    check(writer(name), report)


def test_the_house_registers_sr_pdf_and_json() -> None:
    assert {"sr", "pdf", "json"} <= set(installed(ports.WRITERS))


def test_another_input_another_revision_or_another_model_is_another_instance(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    finding = replace(report.findings[0], algorithm=replace(FUSION, sha256="9" * 64))
    variants = (
        report,
        replace(report, inputs_hash="f" * 64),
        replace(report, revision=2),
        replace(report, findings=(finding, *report.findings[1:])),
    )
    for name in ("sr", "pdf"):
        uids = {writer(name).write(each)[0].sop_instance_uid for each in variants}
        assert len(uids) == len(variants)


def test_the_encodings_of_one_report_are_different_instances_in_different_series(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    objects = [dcmread(BytesIO(writer(name).write(report)[0].content)) for name in ("sr", "pdf")]
    assert len({ds.SOPInstanceUID for ds in objects}) == len({ds.SeriesInstanceUID for ds in objects}) == 2


@pytest.mark.parametrize("make", [full_report, xray_only_report, many_nodules_report])
def test_sr_json_and_pdf_carry_the_same_findings_and_numbers(make: Make, tmp_path: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (Debian package poppler-utils) is not installed")
    report = make(tmp_path)
    told = as_json(report)["findings"]
    content = {name: writer(name).write(report) for name in ("sr", "pdf", "json")}
    assert json.loads(content["json"][0].content)["findings"] == told
    assert [_of_group(group) for group in _groups(dcmread(BytesIO(content["sr"][0].content)))] == [
        _of_json(finding) for finding in told
    ]
    (tmp_path / "page.pdf").write_bytes(content["pdf"][1].content)
    page = subprocess.run(
        ["pdftotext", "-layout", str(tmp_path / "page.pdf"), "-"], capture_output=True, check=True
    ).stdout.decode()
    for finding in told:
        for expected in _on_page(finding):
            assert re.sub(r"\s", "", expected) in re.sub(r"\s", "", page), f"{finding['id']}: {expected}"


def _groups(ds: Dataset) -> list[Dataset]:
    measurements = next(item for item in ds.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010")
    return list(measurements.ContentSequence)


def _code(item: Dataset) -> str:
    return str(item.get("CodeValue") or item.get("LongCodeValue"))


def _of_group(group: Dataset) -> dict[str, object]:
    """What a measurement group says, read with pydicom alone."""
    items = [(_code(item.ConceptNameCodeSequence[0]), item) for item in group.ContentSequence]
    numbers = {
        name: float(item.MeasuredValueSequence[0].FloatingPointValue) for name, item in items if item.ValueType == "NUM"
    }
    meaning = {code.value: assertion for assertion, code in ASSERTION_VALUES.items()}
    codes = {name: _code(item.ConceptCodeSequence[0]) for name, item in items if item.ValueType == "CODE"}
    interval = [numbers.pop(bound) for bound in ("probability_low", "probability_high") if bound in numbers]
    probability = numbers.pop("122157", None)
    shares = {name.removeprefix("share_"): numbers.pop(name) for name in list(numbers) if name.startswith("share_")}
    return {
        "id": next(item.TextValue for name, item in items if name == "112039"),
        "tracking_uid": next(item.UID for name, item in items if name == "112040"),
        "code": codes["121071"],
        "assertion": meaning[codes["121052"]],
        "probability": probability,
        "interval": interval or None,
        "base": numbers.pop("probability_base", None),
        "contributions": shares,
        "measurements": numbers,
    }


def _of_json(finding: FindingJson) -> dict[str, object]:
    return {
        "id": finding["id"],
        "tracking_uid": finding["tracking_uid"],
        "code": finding["code"]["value"],
        "assertion": finding["assertion"],
        "probability": finding["probability"],
        "interval": finding["interval"],
        "base": finding["base"],
        "contributions": finding["contributions"],
        "measurements": {each["quantity"]["value"]: each["value"] for each in finding["measurements"]},
    }


def _on_page(finding: FindingJson) -> list[str]:
    """What a reader must find on the page."""
    expected = [ASSERTIONS[finding["assertion"]][1], *finding["code"]["meaning"].split()]
    expected += [number(each["value"]) for each in finding["measurements"]]
    expected += [f"{100 * value:+.1f}" for value in finding["contributions"].values()]
    expected += [f"{100 * finding['base']:.1f} %"] if finding["base"] is not None else []
    if finding["probability"] is not None:
        expected.append(percent(finding["probability"]))
    if finding["interval"] is not None:
        expected += [percent(bound).removesuffix(" %") for bound in finding["interval"]]
    return expected
