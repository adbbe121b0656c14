"""The text of a DiagnosticReport."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.domain.records import TextKind
from cds_fhir.texts import plain

from .conftest import STUDY, Join, patient, reasons, report, without


def form(content: bytes, kind: str = "text/plain; charset=utf-8", **changes: object) -> dict[str, object]:
    return {"contentType": kind, "data": base64.b64encode(content).decode()} | changes


def test_the_conclusion_of_an_earlier_report_is_a_prior(join: Join) -> None:
    (text,) = join(patient(), report()).texts
    assert (text.report_id, text.text, text.kind) == ("r1", "No nodule.", TextKind.PRIOR)
    assert text.source == "fhir:DiagnosticReport/r1/_history/+1"


@pytest.mark.parametrize(
    "said",
    [
        {"identifier": [{"value": "ACC-1"}]},
        {"basedOn": [{"identifier": {"value": "ACC-1"}}]},
        {"imagingStudy": [{"identifier": {"value": "ACC-1"}}]},
    ],
)
def test_a_report_that_names_the_accession_number_is_the_studys_own(join: Join, said: dict[str, object]) -> None:
    (text,) = join(patient(), report(effectiveDateTime="2026-01-31T13:00:00Z", **said)).texts
    assert text.kind is TextKind.CURRENT


def test_a_report_after_the_study_is_no_prior(join: Join) -> None:
    found = join(patient(), report(effectiveDateTime="2026-01-31T13:00:00Z"), study=replace(STUDY, accession_number=""))
    assert found.texts == () and reasons(found) == ["a prior that is not from before the study"]


def test_the_first_form_that_is_text_counts_and_a_conclusion_that_it_lacks_follows(join: Join) -> None:
    forms = [form(b"%PDF", "application/pdf"), form("右肺结节".encode("gb18030"), "text/plain; charset=GB18030")]
    (text,) = join(patient(), report(presentedForm=forms)).texts
    assert text.text == "右肺结节\n\nNo nodule."
    (again,) = join(report(presentedForm=[form(b"Chest: No\n nodule.")])).texts
    assert again.text == "Chest: No\n nodule."


def test_html_is_read_as_its_text(join: Join) -> None:
    markup = (
        "<html><head><title>T</title></head><body><h1>CT</h1>Nodule&nbsp;&lt; 5&thinsp;mm<br/>left<script>x()</script>"
    )
    (text,) = join(
        patient(), without(report(), "conclusion") | {"presentedForm": [form(markup.encode(), "text/html")]}
    ).texts
    assert text.text == "CT\nNodule < 5\u2009mm\nleft"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (form(b"%PDF", "application/pdf"), "neither text/plain nor text/html"),
        ({"contentType": "text/plain", "url": "http://192.0.2.1/secret"}, "is not fetched"),
        (form(b"x", data="Canary!"), "not base64"),
        (form(b"\xff\xfe\xff"), "not in the character set"),
        (form(b"x", "text/plain; charset=nosuch"), "not in the character set"),
        (form(b"x" * (2 << 20)), "longer than 1048576 bytes"),
        ({}, "neither text/plain nor text/html"),
    ],
)
def test_a_form_that_cannot_be_read_is_a_reason_and_the_conclusion_counts(
    join: Join, broken: dict[str, object], reason: str
) -> None:
    found = join(patient(), report(presentedForm=[broken]))
    assert [text.text for text in found.texts] == ["No nodule."]
    assert reason in reasons(found)[0] and "Canary" not in reasons(found)[0]


def test_a_report_without_any_text_says_so(join: Join) -> None:
    found = join(patient(), without(report(), "conclusion"))
    assert found.texts == () and reasons(found) == ["the report has no text"]


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_a_report_that_was_withdrawn_is_gone(join: Join, status: str) -> None:
    found = join(patient(), report(), report(status=status))
    assert found.texts == () and reasons(found) == ["cancelled"]


def test_an_amended_report_takes_the_place_of_the_first(join: Join) -> None:
    found = join(patient(), report(), report(status="amended", conclusion="A nodule."))
    assert [text.text for text in found.texts] == ["A nodule."]


def test_the_comment_of_a_laboratory_is_no_report(join: Join) -> None:
    laboratory = {"category": [{"coding": [{"code": "LAB"}]}], "result": [{"reference": "Observation/o1"}]}
    assert join(patient(), report(**laboratory)).texts == ()


def test_the_same_result_sent_twice_as_new_counts_once_the_later(join: Join) -> None:
    number = {"identifier": [{"system": "urn:lis", "value": "F-1"}]}
    found = join(patient(), report("r1", **number), report("r2", conclusion="A nodule.", **number))
    assert [text.text for text in found.texts] == ["A nodule."]
    assert "replaced by a later version" in reasons(found)[0]


@given(st.text(max_size=300))
def test_no_markup_breaks_the_reader_of_html(markup: str) -> None:
    assert plain(markup) == plain(markup).strip()


def test_what_software_asserted_is_no_report(join: Join) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}
    found = join(patient(), report(meta={"security": [label]}))
    assert found.texts == () and reasons(found) == ["software asserted it (security label AIAST): it confirms nothing"]
