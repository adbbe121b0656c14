"""The FHIR bundle, judged by a model of the specification that is not ours (fhir.resources, R4B).

R4B changes none of the resources that are written here against R4 (hl7.org/fhir/R4B/history.html).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import pytest
from fhir.resources.R4B.bundle import Bundle

from cds.domain.code import Code
from cds.domain.report import Report
from cds.report.fhir import FhirBundle
from cds.report.fhir_values import coding
from support.images import STUDY, series_of
from support.report_readers import resources
from support.report_shapes import SHAPES, chinese_report, hostile_report, laboratory_report, nothing_report
from support.reports import (
    abstained,
    evidence,
    full_report,
    pneumonia,
    report_of,
    revised_report,
    study_of,
    xray_only_report,
)

Make = Callable[[Path], Report]
Resource = dict[str, Any]
XHTML = "{http://www.w3.org/1999/xhtml}"


def written(report: Report, settings: FhirBundle.Settings | None = None) -> bytes:
    return FhirBundle(settings).write(report)[0].content


def of_type(content: bytes, name: str) -> list[Resource]:
    return [each for each in resources(content).values() if each["resourceType"] == name]


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if "reference" in value:
            yield value["reference"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def empties(value: object) -> Iterator[object]:
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    for each in inside:
        if each in ("", [], {}) or each is None:
            yield value
        yield from empties(each)


@pytest.fixture(params=SHAPES, ids=lambda make: make.__name__)
def content(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    make: Make = request.param
    return written(make(tmp_path))


def test_every_shape_is_valid_by_the_specification(content: bytes) -> None:
    bundle = Bundle.model_validate_json(content)
    assert bundle.type == "collection"
    assert bundle.entry[0].resource.get_resource_type() == "DiagnosticReport"


def test_every_reference_leads_to_a_resource_of_the_bundle(content: bytes) -> None:
    known = resources(content)
    assert len(known) == len(json.loads(content)["entry"])
    found = set(references(json.loads(content)))
    assert found
    assert found <= set(known)


def test_nothing_empty_is_written(content: bytes) -> None:
    assert not list(empties(json.loads(content)))


def test_what_software_asserts_is_tagged_and_what_it_hands_on_is_not(content: bytes) -> None:
    for each in resources(content).values():
        tags = [tag["code"] for tag in each.get("meta", {}).get("security", [])]
        categories = [coded["code"] for one in each.get("category", []) for coded in one["coding"]]
        ours = each["resourceType"] in ("Observation", "DiagnosticReport") and categories != ["laboratory"]
        assert tags == (["AIAST"] if ours else [])


def test_nothing_that_software_asserts_is_final(content: bytes) -> None:
    tagged = [each for each in resources(content).values() if "meta" in each]
    assert {each["status"] for each in tagged} == {"preliminary"}


def test_the_narrative_is_xhtml_of_paragraphs_only(content: bytes) -> None:
    root = ElementTree.fromstring(of_type(content, "DiagnosticReport")[0]["text"]["div"])
    assert {each.tag for each in root.iter()} <= {XHTML + name for name in ("div", "p", "b", "br")}


def test_the_narrative_says_what_was_missing_and_why(tmp_path: Path) -> None:
    div = of_type(written(xray_only_report(tmp_path)), "DiagnosticReport")[0]["text"]["div"]
    assert "chest CT: no chest CT in the study" in div


def test_ids_are_uuids_of_version_5_and_the_same_for_the_same_report(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    assert written(report) == written(report)
    assert {UUID(each["id"]).version for each in resources(written(report)).values()} == {5}


def test_another_revision_shares_no_id_with_the_one_before(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    assert not set(resources(written(report))) & set(resources(written(replace(report, revision=2))))


def test_a_finding_that_was_not_assessed_has_a_reason_in_place_of_a_value(tmp_path: Path) -> None:
    report = xray_only_report(tmp_path)
    skipped = next(
        each
        for each in of_type(written(report), "Observation")
        if {"value": abstained().id} in each.get("identifier", [])
    )
    assert not [name for name in skipped if name.startswith("value")]
    assert skipped["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert skipped["dataAbsentReason"]["text"] == "no chest CT took part"


def test_a_finding_points_at_the_laboratory_values_that_it_rests_on(tmp_path: Path) -> None:
    content = written(full_report(tmp_path))
    known = resources(content)
    finding = next(each for each in of_type(content, "Observation") if {"value": "pneumonia"} in each["identifier"])
    used = [known[each["reference"]] for each in finding["derivedFrom"]]
    assert [each["resourceType"] for each in used] == ["ImagingStudy", "Observation"]
    assert used[1]["code"]["coding"][0] == {
        "system": "http://loinc.org",
        "code": "1988-5",
        "display": "C reactive protein",
    }


def test_the_patient_is_named_in_every_script(tmp_path: Path) -> None:
    patient = of_type(written(chinese_report(tmp_path)), "Patient")[0]
    names = [(each["extension"][0]["valueCode"], each["family"], each["given"]) for each in patient["name"]]
    assert names == [("ABC", "Li", ["XiaoMing"]), ("IDE", "李", ["小明"]), ("SYL", "り", ["しょうめい"])]
    assert (patient["name"][0]["prefix"], patient["name"][0]["suffix"]) == (["Dr"], ["Jr"])
    assert (patient["gender"], patient["birthDate"]) == ("female", "1965-04-12")


@pytest.mark.parametrize(
    ("issuer", "expected"),
    [
        ("HOSPITAL", {"assigner": {"display": "HOSPITAL"}}),
        ("1.2.840.99", {"system": "urn:oid:1.2.840.99"}),
        ("https://example.org/mrn", {"system": "https://example.org/mrn"}),
    ],
)
def test_an_issuer_is_a_system_where_it_is_an_oid_or_a_uri(
    issuer: str, expected: dict[str, object], tmp_path: Path
) -> None:
    xray = series_of(tmp_path, "DX", 1, IssuerOfPatientID=issuer)
    content = written(report_of(study_of(xray), (), parts=evidence(xray.instances[0], None)))
    identifier = of_type(content, "Patient")[0]["identifier"][0]
    assert identifier["value"] == "MRN-4711"
    assert {name: identifier[name] for name in ("system", "assigner") if name in identifier} == expected


def test_no_patient_identifier_and_no_birth_date_are_left_out(tmp_path: Path) -> None:
    xray = series_of(tmp_path, "DX", 1, PatientID="", PatientBirthDate="", PatientSex="", AccessionNumber="")
    content = written(report_of(study_of(xray), (), parts=evidence(xray.instances[0], None)))
    patient = of_type(content, "Patient")[0]
    assert not {"identifier", "birthDate", "gender"} & set(patient)
    assert "basedOn" not in of_type(content, "DiagnosticReport")[0]


def test_the_imaging_study_has_its_dicom_uids_and_every_instance(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    study = of_type(written(report), "ImagingStudy")[0]
    assert study["identifier"] == [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}]
    uids = [instance["uid"] for series in study["series"] for instance in series["instance"]]
    assert uids == [each.sop_instance_uid for each in report.study.instances]


def test_a_study_without_a_time_zone_gives_only_its_date(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    assert report.study.started_at is not None
    local = replace(report.study, started_at=report.study.started_at.replace(tzinfo=None))
    content = written(replace(report, case=replace(report.case, study=local)))
    assert of_type(content, "DiagnosticReport")[0]["effectiveDateTime"] == "2026-03-02"
    assert Bundle.model_validate_json(content).timestamp


def test_a_default_range_says_whose_it_is_and_flags_stand_as_codes(tmp_path: Path) -> None:
    values = [
        each
        for each in of_type(written(laboratory_report(tmp_path)), "Observation")
        if each["category"][0]["coding"][0]["code"] == "laboratory"
    ]
    assert [each["status"] for each in values] == ["final", "preliminary", "corrected", "cancelled"]
    assert [each["valueQuantity"].get("comparator") for each in values] == ["<", None, ">=", None]
    assert values[0]["referenceRange"] == [
        {"high": {"value": 5, "unit": "mg/L", "system": "http://unitsofmeasure.org", "code": "mg/L"}}
    ]


def test_every_algorithm_is_a_device_that_changes_with_its_weights(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    other = replace(report.findings[0], algorithm=replace(report.findings[0].algorithm, sha256="9" * 64))
    devices = [
        {each["deviceName"][0]["name"]: each["identifier"][0]["value"] for each in of_type(written(one), "Device")}
        for one in (report, replace(report, findings=(other,)))
    ]
    assert set(devices[0]) == {each.name for each in report.algorithms}
    assert devices[0]["fusion-transformer"] != devices[1]["fusion-transformer"]
    assert devices[0]["ct-nodule"] == devices[1]["ct-nodule"]


def test_a_revision_names_the_one_before(tmp_path: Path) -> None:
    report = revised_report(tmp_path)
    entities = of_type(written(report), "Provenance")[0]["entity"]
    assert [each["what"]["identifier"]["value"] for each in entities if each["role"] == "revision"] == [
        f"urn:oid:{report.predecessor}"
    ]


def test_the_provenance_is_of_all_that_software_asserts(tmp_path: Path) -> None:
    content = written(full_report(tmp_path))
    targets = {each["reference"] for each in of_type(content, "Provenance")[0]["target"]}
    assert targets == {url for url, each in resources(content).items() if "meta" in each}


def test_the_page_is_there_where_the_setting_asks_for_it(tmp_path: Path) -> None:
    report = nothing_report(tmp_path)
    assert "presentedForm" not in of_type(written(report), "DiagnosticReport")[0]
    content = written(report, FhirBundle.Settings(pdf=True))
    form = of_type(content, "DiagnosticReport")[0]["presentedForm"][0]
    page = base64.b64decode(form["data"])
    assert page.startswith(b"%PDF-")
    assert form["size"] == len(page)
    assert base64.b64decode(form["hash"]) == hashlib.sha1(page, usedforsecurity=False).digest()
    assert Bundle.model_validate_json(content)


@pytest.mark.parametrize(
    ("scheme", "system"),
    [
        ("SCT", "http://snomed.info/sct"),
        ("LN", "http://loinc.org"),
        ("DCM", "http://dicom.nema.org/resources/ontology/DCM"),
        ("RADLEX", "http://radlex.org"),
        ("UCUM", "http://unitsofmeasure.org"),
        ("99LOCAL", None),
    ],
)
def test_a_code_has_the_system_that_hl7_gives_its_scheme(scheme: str, system: str | None) -> None:
    assert coding(Code("x", scheme, "X")).get("system") == system


def test_a_private_code_has_a_system_of_ours(tmp_path: Path) -> None:
    found = {
        coded["system"]
        for each in of_type(written(chinese_report(tmp_path)), "Observation")
        for coded in each["code"]["coding"]
        if coded["code"] == "cardiomegaly"
    }
    assert len(found) == 1
    assert found.pop().startswith("urn:oid:2.25.")


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    content = written(hostile_report(tmp_path))
    conclusion = of_type(content, "DiagnosticReport")[0]["conclusion"]
    assert "<b>bold</b>" in conclusion
    assert not set("\x00\x1b\u202e") & set(content.decode())


def test_a_finding_keeps_its_site_and_side(tmp_path: Path) -> None:
    xray = series_of(tmp_path, "DX", 1)
    content = written(report_of(study_of(xray), (pneumonia(),), parts=evidence(xray.instances[0], None)))
    finding = of_type(content, "Observation")[0]
    sides = [each for each in finding["component"] if each["code"]["coding"][0]["code"] == "272741003"]
    assert finding["bodySite"]["coding"][0]["code"] == "39607008"
    assert sides[0]["valueCodeableConcept"]["coding"][0]["code"] == "24028007"
