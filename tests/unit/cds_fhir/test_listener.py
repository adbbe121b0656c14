"""The receiving endpoint: what is kept, what is answered, and who may send."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds.discovery import build
from cds.errors import ConfigError
from cds.ports import RECORDS, RecordsSource
from cds.testing.contract_listeners import loopback
from cds_fhir.desk import Desk, Rules
from cds_fhir.kept import ResourceStore, store_path
from cds_fhir.listener import FhirListener, FhirListenerSettings
from cds_fhir.reading import KeptResources
from cds_fhir.wire import Request

from .conftest import ISSUERS, STUDY, Json, Listening, observation, patient, report, source, without

TOKEN = "a-token-of-some-length"


def count(folder: Path) -> int:
    return KeptResources(store_path(str(folder)), {}).last()


def entry(method: str, url: str, resource: Json, full_url: str = "") -> Json:
    return {"fullUrl": full_url, "resource": resource, "request": {"method": method, "url": url}}


def bundle(kind: str, *entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def reason(answer: httpx2.Response) -> str:
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert answer.json()["resourceType"] == "OperationOutcome"
    return str(answer.json()["issue"][0]["diagnostics"])


def test_what_is_put_and_posted_is_joined_by_the_source_of_the_same_node(
    listening: Listening, http: httpx2.Client, tmp_path: Path
) -> None:
    url = listening()
    first = http.put(f"{url}/Patient/p1", json=patient())
    assert (first.status_code, first.headers["location"]) == (201, "/fhir/Patient/p1")
    assert http.post(f"{url}/Observation", json=observation()).status_code == 201
    assert http.post(f"{url}/DiagnosticReport", json=without(report(), "id")).status_code == 201
    table = {"issuers": list(ISSUERS)}
    built = build(RECORDS, "fhir", RecordsSource, table, {"data_dir": str(tmp_path)})  # type: ignore[type-abstract]
    found = built.records_for(STUDY)
    assert ([lab.value for lab in found.labs], [text.text for text in found.texts]) == ([120.0], ["No nodule."])


def test_the_same_once_more_is_answered_200_and_is_no_second_row(
    listening: Listening, http: httpx2.Client, tmp_path: Path
) -> None:
    url = listening()
    new = without(observation(), "id")
    assert [http.post(f"{url}/Observation", json=new).status_code for _ in range(2)] == [201, 200]
    assert [http.put(f"{url}/Patient/p1", json=patient()).status_code for _ in range(2)] == [201, 200]
    assert count(tmp_path) == 2
    assert http.put(f"{url}/Patient/p1", json=patient(gender="male")).status_code == 200
    assert http.put(f"{url}/Patient/p1", json=patient()).status_code == 200
    assert count(tmp_path) == 4


def test_a_transaction_is_kept_whole_and_its_references_are_resolved(
    listening: Listening, http: httpx2.Client, tmp_path: Path
) -> None:
    name = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    sent = bundle(
        "transaction",
        entry("POST", "Patient", without(patient(), "id"), name),
        entry("POST", "Observation", without(observation(subject={"reference": name}), "id")),
    )
    answer = http.post(listening(), json=sent)
    assert answer.status_code == 200
    assert answer.json()["type"] == "transaction-response"
    assert [each["response"]["status"] for each in answer.json()["entry"]] == ["201", "201"]
    assert [lab.value for lab in source(tmp_path).records_for(STUDY).labs] == [120.0]


def test_of_a_transaction_with_a_fault_nothing_is_kept_and_of_a_batch_the_rest(
    listening: Listening, http: httpx2.Client, tmp_path: Path
) -> None:
    url = listening()
    entries = (
        entry("PUT", "Patient/p1", patient()),
        entry("PUT", "Observation/o1", without(observation(), "status")),
        entry("DELETE", "Observation/o1", {}),
    )
    refused = http.post(url, json=bundle("transaction", *entries))
    assert refused.status_code == 422
    assert reason(refused).startswith("nothing of the transaction is kept; entry 2: the resource has no status")
    assert count(tmp_path) == 0
    answer = http.post(url, json=bundle("batch", *entries))
    assert [each["response"]["status"] for each in answer.json()["entry"]] == ["201", "422", "405"]
    assert count(tmp_path) == 1


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status", "why"),
    [
        ("POST", "/Observation", b"{", {}, 400, "not JSON"),
        ("POST", "/Observation", b'{"value": NaN}', {}, 400, "not JSON"),
        ("POST", "/Observation", b"[]", {}, 400, "not a JSON object"),
        ("POST", "/Observation", b"\xff", {}, 400, "not JSON"),
        ("POST", "/Observation", json.dumps(patient()).encode(), {}, 400, "not the one of the URL"),
        ("PUT", "/Patient/p2", json.dumps(patient()).encode(), {}, 400, "not the one of the URL"),
        ("POST", "/Observation", json.dumps(observation(status="Canary")).encode(), {}, 422, "no status"),
        ("POST", "/Observation", json.dumps(without(observation(), "code")).encode(), {}, 422, "no code"),
        ("POST", "/Observation", json.dumps(without(observation(), "subject")).encode(), {}, 422, "no Patient"),
        ("POST", "/Observation", json.dumps(observation("no id!")).encode(), {}, 422, "no id"),
        ("POST", "/Observation", b'{"resourceType":"Observation","id":"\\ud800"}', {}, 422, "no id"),
        ("POST", "", json.dumps(bundle("collection")).encode(), {}, 422, "batch or transaction"),
        ("POST", "", json.dumps(patient()).encode(), {}, 422, "batch or transaction"),
        ("POST", "/Observation", b"<Observation/>", {"Content-Type": "application/fhir+xml"}, 415, "not XML"),
        ("POST", "/Observation", b"{}", {"Content-Type": "application/json; charset=gbk"}, 415, "UTF-8"),
        ("POST", "/Observation", b"{}", {"Content-Encoding": "gzip"}, 415, "compressed"),
        ("POST", "/Encounter", b"{}", {}, 404, "not taken"),
        ("GET", "/Observation", b"", {}, 405, "only POST"),
        ("DELETE", "/Observation/o1", b"", {}, 405, "only PUT"),
        ("POST", "/Observation/o1", b"{}", {}, 405, "only PUT"),
        ("POST", "/../etc", b"{}", {}, 404, "nothing here"),
    ],
)
def test_what_is_not_taken_is_answered_with_its_reason_and_kept_nowhere(
    listening: Listening,
    http: httpx2.Client,
    tmp_path: Path,
    method: str,
    path: str,
    content: bytes,
    headers: dict[str, str],
    status: int,
    why: str,
) -> None:
    answer = http.request(method, listening() + path, content=content, headers=headers)
    said = reason(answer)
    assert (answer.status_code, why in said, "Canary" in said) == (status, True, False), said
    assert count(tmp_path) == 0


def test_a_body_that_is_too_long_is_refused_before_it_is_read(listening: Listening, http: httpx2.Client) -> None:
    url = listening(max_body_bytes=1000)
    assert http.post(f"{url}/Observation", content=b" " * 1001).status_code == 413
    chunks = (b" " * 500 for _ in range(3))
    assert http.post(f"{url}/Observation", content=chunks).status_code == 413
    assert http.post(f"{url}/Observation", json=observation()).status_code == 201


def test_a_bundle_with_too_many_entries_is_refused(listening: Listening, http: httpx2.Client) -> None:
    sent = bundle("batch", *(entry("PUT", "Patient/p1", patient()) for _ in range(3)))
    assert http.post(listening(max_entries=2), json=sent).status_code == 413


def test_only_who_has_a_token_may_send_and_each_name_is_a_world_of_ids(
    listening: Listening, http: httpx2.Client, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"# who sends\n{TOKEN}\nother {TOKEN}-2\n", encoding="ascii")
    url = listening(token_file=str(tokens))
    for wrong in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"Basic {TOKEN}"}):
        refused = http.put(f"{url}/Patient/p1", json=patient(), headers=wrong)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="cds"')
    for token in (TOKEN, f"{TOKEN}-2"):
        headers = {"Authorization": f"Bearer {token}"}
        assert http.put(f"{url}/Patient/p1", json=patient(), headers=headers).status_code == 201
    assert count(tmp_path) == 2
    tokens.write_text(f"other {TOKEN}-2\n", encoding="ascii")
    taken_back = http.put(f"{url}/Patient/p1", json=patient(), headers={"Authorization": f"Bearer {TOKEN}"})
    assert taken_back.status_code == 401


def test_an_address_that_is_not_listed_is_refused(listening: Listening, http: httpx2.Client) -> None:
    url = listening(replace(loopback(), accept_unknown=False), addresses=("192.0.2.0/24",))
    assert http.put(f"{url}/Patient/p1", json=patient()).status_code == 403


def test_a_disk_that_takes_nothing_is_answered_503_and_later_again_201(tmp_path: Path, store: ResourceStore) -> None:
    desk = Desk(store, Rules(root="/fhir", base="", origins=dict, origin="server", networks=None))
    head = {"content-type": "application/fhir+json"}
    sent = Request(
        method="PUT", target="/fhir/Patient/p1", headers=head, address="127.0.0.1", body=json.dumps(patient()).encode()
    )
    with store._lock:
        store._database.execute("PRAGMA query_only = ON")
    refused = desk.take(sent)
    assert (refused.status, dict(refused.headers)["Retry-After"]) == (503, "30")
    with store._lock:
        store._database.execute("PRAGMA query_only = OFF")
    assert desk.take(sent).status == 201


def test_metadata_says_what_the_endpoint_is(listening: Listening, http: httpx2.Client) -> None:
    said = http.get(f"{listening()}/metadata").json()
    assert (said["resourceType"], said["fhirVersion"]) == ("CapabilityStatement", "4.0.1")


def test_what_is_no_http_is_answered_400_and_the_next_caller_is_served(
    listening: Listening, http: httpx2.Client
) -> None:
    url = listening()
    port = int(url.rsplit(":", 1)[1].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(b"\x16\x03\x01\x02\x00\r\n\r\n")
        assert line.recv(1000).startswith(b"HTTP/1.1 400")
    assert http.put(f"{url}/Patient/p1", json=patient()).status_code == 201


def test_a_caller_that_says_nothing_is_let_go(listening: Listening) -> None:
    url = listening(idle_seconds=0.2)
    port = int(url.rsplit(":", 1)[1].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        assert line.recv(1000) == b""


def test_a_body_that_does_not_come_is_waited_for_so_long_and_kept_nowhere(listening: Listening, tmp_path: Path) -> None:
    url = listening(grace_seconds=0.2)
    port = int(url.rsplit(":", 1)[1].partition("/")[0])
    head = b"PUT /fhir/Patient/p1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(head)
        assert line.recv(1000) == b""
    assert count(tmp_path) == 0


def test_whoever_is_elsewhere_needs_a_token() -> None:
    with pytest.raises(ConfigError, match="set token_file"):
        FhirListener(FhirListenerSettings(host="0.0.0.0"))


@pytest.mark.parametrize("content", ["", "short\n", "a b " + TOKEN + "\n", "# nothing\n"])
def test_a_token_file_without_a_good_token_is_told_at_the_start(
    listening: Listening, tmp_path: Path, content: str
) -> None:
    (tmp_path / "tokens").write_text(content, encoding="ascii")
    with pytest.raises(ConfigError, match="token_file"):
        listening(token_file=str(tmp_path / "tokens"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(sorted({*observation(), *patient(), *report(), "valueString", "valueInteger"})),
)
def test_any_json_in_any_place_is_kept_and_joined_or_refused(
    store: ResourceStore, tmp_path: Path, anything: object, place: str
) -> None:
    desk = Desk(store, Rules(root="", base="", origins=dict, origin="server", networks=None))
    for original in (patient(), observation(), report()):
        changed = {**original, place: anything} if place in original or place.startswith("value") else original
        body = json.dumps(changed).encode()
        sent = Request(method="POST", target=f"/{original['resourceType']}", headers={}, address="::1", body=body)
        assert desk.take(sent).status in (200, 201, 400, 422)
    found = source(tmp_path).records_for(STUDY)
    assert all(lab.unit == "mg/L" for lab in found.labs)


SERVE = """
import sys, threading
from cds.testing.contract_listeners import RefusingIntake, loopback
from cds_fhir.listener import FhirListener, FhirListenerSettings
listener = FhirListener(FhirListenerSettings(data_dir=sys.argv[1]))
print(listener.start(loopback(), RefusingIntake()), flush=True)
threading.Event().wait()
"""


def test_after_kill_9_everything_that_was_answered_is_there_once(tmp_path: Path, http: httpx2.Client) -> None:
    answered = 0
    for life in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as served:
            assert served.stdout is not None
            url = f"http://127.0.0.1:{served.stdout.readline().strip()}/fhir"
            for number in range(20):
                sent = observation(f"o{life}-{number}")
                assert http.put(f"{url}/Observation/o{life}-{number}", json=sent).status_code == 201
                answered += 1
            os.kill(served.pid, signal.SIGKILL)
    assert count(tmp_path) == answered
