"""The contract of the door `cds.writers`, run over every registered plugin."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from cds import ports
from cds.discovery import build, installed
from cds.domain.code import Code
from cds.domain.evidence import Assertion, Measurement, Modality, Site
from cds.domain.finding import Contribution, Finding
from cds.domain.report import Report
from cds.domain.vocabulary import ANATOMY, FINDINGS
from cds.report.json_form import as_json
from cds.report.json_shape import FindingJson
from cds.report.wording import asserted, impression, number, percent
from cds.testing.contract_writers import CHECKS
from support.report_readers import (
    labs_of_fhir,
    labs_of_hl7,
    labs_of_json,
    message,
    of_fhir,
    of_hl7,
    of_json,
    of_sr,
    resources,
)
from support.report_shapes import SHAPES
from support.reports import FUSION, full_report, many_nodules_report, revised_report, xray_only_report

Check = Callable[[ports.Writer, Report], None]
Make = Callable[[Path], Report]
KINDS: tuple[Make, ...] = (full_report, xray_only_report, revised_report)

UNIT = st.floats(0, 1)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)
UNITS = st.sampled_from(["mm", "mm3", "1", "", "%", "[hnsf'U]", "10*9/L", "/min", "ms", "g/cm3"])
CONCEPTS = st.sampled_from(sorted(FINDINGS.values(), key=lambda code: code.key))
QUANTITIES = st.integers(0, 9).map(lambda number: Code(f"quantity_{number}", "99CDS", f"Quantity {number}"))


@st.composite
def findings_of_any_kind(draw: st.DrawFn) -> Finding:
    """A finding with any number in any place, and any text where a text may stand."""
    probability = draw(st.none() | UNIT)
    bounds = sorted((draw(UNIT), draw(UNIT)))
    parts = draw(st.lists(st.sampled_from(list(Modality)), unique=True, max_size=5))
    return Finding(
        id="finding",
        code=draw(CONCEPTS),
        assertion=draw(st.sampled_from(list(Assertion))),
        algorithm=FUSION,
        probability=probability,
        interval=(bounds[0], bounds[1]) if probability is not None and draw(st.booleans()) else None,
        calibrated_on=draw(st.text(max_size=20)),
        site=draw(st.none() | st.just(Site(region=ANATOMY["lung"], laterality=ANATOMY["left"]))),
        measurements=tuple(
            Measurement(quantity=quantity, value=draw(NUMBERS), unit=draw(UNITS))
            for quantity in draw(st.lists(QUANTITIES, unique=True, max_size=3))
        ),
        contributions=tuple(
            Contribution(modality=part, value=draw(st.floats(-1, 1))) for part in parts if probability is not None
        ),
        because=("chest_xray/pneumonia",),
        reason=draw(st.text(max_size=40)),
    )


def writer(name: str) -> ports.Writer:
    return build(ports.WRITERS, name, ports.Writer, {}, {})  # type: ignore[type-abstract]


def content_of(name: str, report: Report) -> bytes:
    return writer(name).write(report)[0].content


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.fixture(scope="module")
def one_report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return xray_only_report(tmp_path_factory.mktemp("images"))


@pytest.fixture(params=KINDS, ids=lambda make: make.__name__)
def report(request: pytest.FixtureRequest, tmp_path: Path) -> Report:
    make: Make = request.param
    return make(tmp_path)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(installed(ports.WRITERS)))
def test_every_writer_keeps_the_contract(name: str, check: Check, report: Report) -> None:
    check(writer(name), report)


def test_the_house_registers_its_writers() -> None:
    assert {"sr", "pdf", "json", "sc", "fhir", "hl7"} <= set(installed(ports.WRITERS))


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


@pytest.mark.parametrize("make", SHAPES, ids=lambda make: make.__name__)
def test_sr_fhir_and_hl7_carry_the_findings_and_numbers_of_the_json(make: Make, tmp_path: Path) -> None:
    report = make(tmp_path)
    told = as_json(report)
    assert json.loads(content_of("json", report)) == json.loads(json.dumps(told))
    findings = of_json(told["findings"])
    assert of_sr(content_of("sr", report)) == findings
    assert of_fhir(content_of("fhir", report)) == findings
    assert of_hl7(content_of("hl7", report)) == findings


@pytest.mark.parametrize("make", SHAPES, ids=lambda make: make.__name__)
def test_fhir_and_hl7_carry_the_laboratory_values_of_the_json(make: Make, tmp_path: Path) -> None:
    report = make(tmp_path)
    labs = labs_of_json(as_json(report)["inputs"]["labs"])
    assert labs_of_fhir(content_of("fhir", report)) == labs
    assert labs_of_hl7(content_of("hl7", report)) == labs


@pytest.mark.parametrize("make", SHAPES, ids=lambda make: make.__name__)
def test_sr_fhir_and_hl7_say_the_impression_of_the_json_in_both_languages(make: Make, tmp_path: Path) -> None:
    report = make(tmp_path)
    conclusion = next(iter(resources(content_of("fhir", report)).values()))["conclusion"]
    received = message(content_of("hl7", report))
    in_hl7 = "".join(received.unescape(str(obx[5])) for obx in received.segments("OBX") if str(obx[2]) == "FT")
    in_sr = "".join(texts_of(dcmread(BytesIO(content_of("sr", report)))))
    for text in as_json(report)["impression"].values():
        for said in (conclusion, in_hl7, in_sr):
            assert squeezed(str(text)) in squeezed(said)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(findings=st.lists(findings_of_any_kind(), max_size=4))
def test_any_findings_are_the_same_in_sr_json_fhir_and_hl7(findings: list[Finding], one_report: Report) -> None:
    named = tuple(replace(each, id=f"{each.id}/{number}") for number, each in enumerate(findings))
    report = replace(one_report, findings=named, impression=impression(named, one_report.missing))
    told = of_json(as_json(report)["findings"])
    bundle, sent = content_of("fhir", report), content_of("hl7", report)
    assert of_sr(content_of("sr", report)) == told
    assert of_fhir(bundle) == told
    assert of_hl7(sent) == told
    assert Bundle.model_validate_json(bundle)
    assert all(re.match(rb"(MSH|PID|OBR|OBX)\|", segment) for segment in sent.split(b"\r")[:-1])


@pytest.mark.parametrize("make", [*SHAPES, many_nodules_report], ids=lambda make: make.__name__)
def test_the_page_carries_the_findings_and_numbers_of_the_json(make: Make, tmp_path: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (Debian package poppler-utils) is not installed")
    report = make(tmp_path)
    (tmp_path / "page.pdf").write_bytes(writer("pdf").write(report)[1].content)
    page = subprocess.run(
        ["pdftotext", "-layout", str(tmp_path / "page.pdf"), "-"], capture_output=True, check=True
    ).stdout.decode()
    for finding in as_json(report)["findings"]:
        for expected in _on_page(finding):
            assert squeezed(expected) in squeezed(page), f"{finding['id']}: {expected}"


def texts_of(ds: Dataset) -> Iterator[str]:
    for item in ds.get("ContentSequence", []):
        if item.ValueType == "TEXT":
            yield item.TextValue
        yield from texts_of(item)


def _on_page(finding: FindingJson) -> list[str]:
    """What a reader must find on the page."""
    expected = [
        asserted(finding["assertion"], finding["calibrated_on"], finding["code"]["value"])[1],
        *finding["code"]["meaning"].split(),
    ]
    expected += [number(each["value"]) for each in finding["measurements"]]
    expected += [f"{100 * value:+.1f}" for value in finding["contributions"].values()]
    expected += [f"{100 * finding['base']:.1f} %"] if finding["base"] is not None else []
    if finding["probability"] is not None:
        expected.append(percent(finding["probability"]))
    if finding["interval"] is not None:
        expected += [percent(bound).removesuffix(" %") for bound in finding["interval"]]
    return expected
