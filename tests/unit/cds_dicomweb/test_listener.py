from __future__ import annotations

import json

import httpx2
import pytest
from dicomweb_client.api import DICOMwebClient

from cds.errors import MalformedInstance, MismatchedInstance, OutOfResources
from cds_dicomweb.testing.intake import RememberingIntake
from cds_pacs.contexts import IMPLICIT_VR_LITTLE_ENDIAN
from cds_pacs.testing.instances import encoded, part10, small_data_set

BOUNDARY = "b0"
KIND = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


def body(*files: bytes, end: bool = True, kind: str = "application/dicom") -> bytes:
    parts = b"".join(b"--b0\r\nContent-Type: %s\r\n\r\n%s\r\n" % (kind.encode(), file) for file in files)
    return parts + (b"--b0--\r\n" if end else b"")


def post(url: str, content: object, **headers: str) -> httpx2.Response:
    fields = {"Content-Type": KIND, "Accept": "application/dicom+json", **headers}
    return httpx2.post(url, content=content, headers=fields, timeout=60)  # type: ignore[arg-type]


def failures(answer: httpx2.Response) -> dict[str, int]:
    items = answer.json().get("00081198", {"Value": []})["Value"]
    return {item["00081155"]["Value"][0]: item["00081197"]["Value"][0] for item in items}


def test_dicomweb_client_stores_a_study_and_reads_our_answer(node) -> None:
    files = [small_data_set(instance=number) for number in range(1, 6)]
    for ds in files:
        part10(ds)  # gives it a file meta
        ds.preamble = bytes(128)
    running = node()
    answer = DICOMwebClient(url=running.url).store_instances(files, study_instance_uid="2.25.1")
    assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [
        ds.SOPInstanceUID for ds in files
    ]
    assert "FailedSOPSequence" not in answer
    assert running.intake.taken == {ds.SOPInstanceUID: encoded(ds) for ds in files}


def test_the_intake_hears_who_sends_and_what_the_file_meta_says(node) -> None:
    ds = small_data_set()
    running = node()
    assert post(f"{running.url}/studies", body(part10(ds))).status_code == 200
    announced = running.intake.announced[ds.SOPInstanceUID]
    assert (announced.calling_ae_title, announced.address) == ("CALLER", "127.0.0.1")
    assert announced.sop_class_uid == ds.SOPClassUID
    assert announced.transfer_syntax_uid == "1.2.840.10008.1.2.1"


def test_an_instance_larger_than_the_limit_is_spooled_and_a_small_one_is_not(node) -> None:
    large = small_data_set(instance=2, PixelData=bytes(300_000))
    small = small_data_set(instance=1)
    running = node(intake=RememberingIntake(spool_above_bytes=100_000))
    assert post(f"{running.url}/studies", body(part10(small), part10(large))).status_code == 200
    assert running.intake.spooled == [large.SOPInstanceUID]
    assert running.intake.taken == {ds.SOPInstanceUID: encoded(ds) for ds in (small, large)}
    assert running.intake.spools_open == 0


@pytest.mark.parametrize(
    ("error", "reason", "status"),
    [
        (OutOfResources("full"), 0xA700, 503),
        (MismatchedInstance("other"), 0xA900, 409),
        (MalformedInstance("garbage"), 0xC000, 409),
        (ValueError("a defect"), 0x0110, 409),
    ],
)
def test_what_the_intake_refuses_is_told_with_its_reason(node, error: Exception, reason: int, status: int) -> None:
    ds = small_data_set()
    running = node(intake=RememberingIntake(refuse={ds.SOPInstanceUID: error}))
    answer = post(f"{running.url}/studies", body(part10(ds)))
    assert answer.status_code == status
    assert failures(answer) == {ds.SOPInstanceUID: reason}
    assert ("retry-after" in answer.headers) == (status == 503)


def test_some_stored_and_some_refused_is_202_with_both_listed(node) -> None:
    good, bad = small_data_set(instance=1), small_data_set(instance=2)
    running = node(intake=RememberingIntake(refuse={bad.SOPInstanceUID: MalformedInstance("cut")}))
    answer = post(f"{running.url}/studies", body(part10(good), part10(bad)))
    assert answer.status_code == 202
    assert failures(answer) == {bad.SOPInstanceUID: 0xC000}
    stored = answer.json()["00081199"]["Value"]
    assert [item["00081155"]["Value"] for item in stored] == [[good.SOPInstanceUID]]
    assert stored[0]["00081190"] == {"vr": "UR"}


@pytest.mark.parametrize("spool_above_bytes", [100, 1 << 20])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", IMPLICIT_VR_LITTLE_ENDIAN])
def test_an_instance_of_another_study_than_the_url_s_is_a_mismatch(node, spool_above_bytes: int, syntax: str) -> None:
    right, wrong = small_data_set(study=1), small_data_set(study=2)
    running = node(intake=RememberingIntake(spool_above_bytes=spool_above_bytes))
    files = []
    for ds in (right, wrong):
        whole = part10(ds)
        head = whole[: len(whole) - len(encoded(ds))].replace(
            b"1.2.840.10008.1.2.1\x00", syntax.encode().ljust(20, b"\x00")
        )
        files.append(head + encoded(ds, syntax))
    answer = post(f"{running.url}/studies/2.25.1", body(*files))
    assert answer.status_code == 202
    assert failures(answer) == {wrong.SOPInstanceUID: 0xA900}
    assert list(running.intake.taken) == [right.SOPInstanceUID]
    assert running.intake.spools_open == 0


def test_a_part_that_is_no_dicom_file_is_an_other_failure_and_the_next_one_is_stored(node) -> None:
    ds = small_data_set()
    running = node()
    answer = post(f"{running.url}/studies", body(b"hello", part10(ds)))
    assert answer.status_code == 202
    assert [item["00081197"]["Value"] for item in answer.json()["0008119A"]["Value"]] == [[0xC000]]
    assert list(running.intake.taken) == [ds.SOPInstanceUID]


def test_a_part_of_another_content_type_is_not_stored(node) -> None:
    running = node()
    answer = post(f"{running.url}/studies", body(part10(small_data_set()), kind="image/jpeg"))
    assert answer.status_code == 409
    assert running.intake.taken == {}


@pytest.mark.parametrize("spool_above_bytes", [100, 1 << 20])
def test_a_body_without_its_end_is_400_and_says_what_was_stored_before(node, spool_above_bytes: int) -> None:
    first, second = small_data_set(instance=1), small_data_set(instance=2)
    running = node(intake=RememberingIntake(spool_above_bytes=spool_above_bytes))
    answer = post(f"{running.url}/studies", body(part10(first), part10(second), end=False))
    assert answer.status_code == 400
    assert "closing delimiter" in answer.headers["warning"]
    stored = answer.json()["00081199"]["Value"]
    assert [item["00081155"]["Value"] for item in stored] == [[first.SOPInstanceUID]]
    assert list(running.intake.taken) == [first.SOPInstanceUID]
    assert running.intake.spools_open == 0


def test_a_body_of_too_many_parts_is_400_and_says_what_was_stored(node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_dicomweb.store.MAX_PARTS", 2)
    running = node()
    answer = post(f"{running.url}/studies", body(*(part10(small_data_set(instance=n)) for n in (1, 2, 3))))
    assert answer.status_code == 400
    assert len(answer.json()["00081199"]["Value"]) == len(running.intake.taken) == 2


def test_a_defect_of_ours_costs_one_connection_and_tells_nothing_of_it(
    node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    running = node()
    with monkeypatch.context() as broken:
        broken.setattr("cds_dicomweb.desk.store_response", lambda results: {}["Canary^Yellow"])
        with pytest.raises(httpx2.RemoteProtocolError):
            post(f"{running.url}/studies", body(part10(small_data_set())))
    assert "KeyError" in caplog.text
    assert "Canary" not in caplog.text
    assert post(f"{running.url}/studies", body(part10(small_data_set()))).status_code == 200


def test_a_body_of_no_part_stores_nothing_and_is_400(node) -> None:
    assert post(f"{node().url}/studies", b"--b0--\r\n").status_code == 400


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/studies", {"Content-Type": "application/dicom"}, 415),
        ("/studies", {"Content-Type": "multipart/related; type=application/dicom+json; boundary=b0"}, 415),
        ("/studies", {"Content-Type": 'multipart/related; type="application/dicom"'}, 400),
        ("/studies", {"Accept": "application/dicom+xml"}, 406),
        ("/studies", {"Accept": "application/dicom+json;q=0"}, 406),
        ("/studies/PATIENT", {}, 400),
        ("/studies/1.2/series", {}, 404),
        ("/", {}, 404),
    ],
)
def test_a_request_for_something_else_is_refused_before_its_body(
    node, path: str, headers: dict[str, str], status: int
) -> None:
    running = node()
    assert post(running.url + path, body(part10(small_data_set())), **headers).status_code == status
    assert running.intake.taken == {}


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html, application/dicom+json;q=0.5"])
def test_an_accept_that_takes_json_is_served_in_dicom_json(node, accept: str) -> None:
    answer = post(f"{node().url}/studies", body(part10(small_data_set())), Accept=accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    assert json.loads(answer.content)["00081190"] == {"vr": "UR"}


def test_only_post_is_served(node) -> None:
    answer = httpx2.get(f"{node().url}/studies")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_chunked_body_is_read_like_any_other(node) -> None:
    ds = small_data_set()
    content = body(part10(ds))
    running = node()
    answer = post(f"{running.url}/studies", (content[at : at + 7] for at in range(0, len(content), 7)))
    assert answer.status_code == 200
    assert running.intake.taken == {ds.SOPInstanceUID: encoded(ds)}


def test_one_connection_serves_many_requests(node) -> None:
    running = node(max_connections=1)
    with httpx2.Client(headers={"Content-Type": KIND}) as client:
        for number in range(1, 6):
            answer = client.post(f"{running.url}/studies", content=body(part10(small_data_set(instance=number))))
            assert answer.status_code == 200
    assert len(running.intake.taken) == 5
