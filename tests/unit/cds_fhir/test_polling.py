"""Fetching from a FHIR server: paging, positions, what a server may do wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds.errors import ConfigError
from cds_fhir.client import Server as Peer
from cds_fhir.kept import ResourceStore
from cds_fhir.polling import Plan, Poller
from cds_fhir.reading import KeptResources
from cds_fhir.source import FhirRecords

from .conftest import STUDY, Server, observation, patient, reasons, report, source

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()
Made = Callable[..., Poller]


@pytest.fixture
def poller(server: Server, store: ResourceStore) -> Made:
    """A poller with a clock that stands still unless it is moved."""

    def make(clock: Callable[[], float] = lambda: NOW, **changes: object) -> Poller:
        peer = {name: changes.pop(name) for name in ("token_file", "answer_bytes") if name in changes}
        plan = {"origin": "server", "budget_seconds": 600.0, **changes}
        return Poller(Plan(server=Peer(url=server.url, **peer), **plan), store, clock)  # type: ignore[arg-type]

    return make


def count(store: ResourceStore) -> int:
    return KeptResources(store.path, {}).last()


def test_every_page_of_every_type_is_fetched_and_kept_once(server: Server, store: ResourceStore, poller: Made) -> None:
    server.add(patient(), *(observation(f"o{n}") for n in range(8)), report())
    assert poller().catch_up() == ""
    assert count(store) == 10
    assert server.queries("Observation")[0]["category"] == ["laboratory"]
    assert server.queries("Observation")[0]["_sort"] == ["_lastUpdated"]
    later = poller(lambda: NOW + 100)
    assert later.catch_up() == ""
    assert count(store) == 10


def test_the_next_search_begins_a_little_before_the_last_change(server: Server, poller: Made) -> None:
    server.add(observation(), at="2026-01-31T11:00:00.500Z")
    poller().catch_up()
    poller(lambda: NOW + 100, overlap_seconds=60.0).catch_up()
    assert [query["_lastUpdated"] for query in server.queries("Observation")] == [
        ["ge2026-01-01T12:00:00Z"],
        ["ge2026-01-31T10:59:00Z"],
    ]


def test_a_clock_that_runs_ahead_passes_over_nothing(server: Server, poller: Made) -> None:
    server.add(observation(), at="2099-01-01T00:00:00Z")
    poller().catch_up()
    poller(lambda: NOW + 100, overlap_seconds=0.0).catch_up()
    assert server.queries("Observation")[1]["_lastUpdated"] == ["ge2026-01-31T12:00:00Z"]


def test_a_new_version_takes_the_place_of_the_old_and_both_are_rows(
    server: Server, store: ResourceStore, poller: Made
) -> None:
    server.add(patient(), observation(value=1))
    poller().catch_up()
    server.resources.pop()
    server.add(observation(value=2, meta={"versionId": "2"}), at="2026-01-31T09:30:00Z")
    poller(lambda: NOW + 100).catch_up()
    assert count(store) == 3
    found = source(store.path.parents[1]).records_for(STUDY)
    assert [(lab.value, lab.source) for lab in found.labs] == [(2.0, "fhir:Observation/o1/_history/2")]


def test_patients_that_did_not_change_are_asked_for_by_id_once(
    server: Server, store: ResourceStore, poller: Made
) -> None:
    server.add(patient(), at="2020-01-01T00:00:00Z")
    server.add(observation(), observation("o2", subject={"reference": "Patient/gone"}))
    assert poller().catch_up() == ""
    assert count(store) == 3
    asked = [query["_id"] for query in server.queries("Patient") if "_id" in query]
    assert asked == [["gone,p1"]]
    poller(lambda: NOW + 100).catch_up()
    assert len([query for query in server.queries("Patient") if "_id" in query]) == 1
    poller(lambda: NOW + 90_000).catch_up()
    assert [query["_id"] for query in server.queries("Patient") if "_id" in query] == [["gone,p1"], ["gone"]]


def test_nobody_is_asked_before_it_is_time(server: Server, poller: Made) -> None:
    poller().catch_up()
    asked = len(server.asked)
    assert poller(lambda: NOW + 59).catch_up() == ""
    assert len(server.asked) == asked


def test_a_search_that_had_no_time_to_end_goes_on_where_it_was(
    server: Server, store: ResourceStore, poller: Made
) -> None:
    server.add(*(observation(f"o{n}") for n in range(8)))
    server.answers = [
        (200, {}, json.dumps(server.search("Patient", {})).encode()),
        (200, {}, json.dumps(server.search("Observation", {})).encode()),
        (503, {}, b""),
    ]
    assert "answers 503" in poller().catch_up()
    assert count(store) == 3
    assert poller(lambda: NOW + 100).catch_up() == ""
    assert count(store) == 8
    assert server.queries("Observation")[-1]["start"] == ["6"]


def test_a_page_that_the_server_has_forgotten_begins_the_search_anew(
    server: Server, store: ResourceStore, poller: Made
) -> None:
    server.add(*(observation(f"o{n}") for n in range(8)))
    page = json.dumps(server.search("Observation", {})).encode()
    server.answers = [(200, {}, b'{"resourceType": "Bundle"}'), (200, {}, page), (410, {}, b"")]
    assert "answers 410" in poller().catch_up()
    assert poller(lambda: NOW + 100).catch_up() == ""
    assert count(store) == 8


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((500, {}, b"Canary"), "answers 500"),
        ((401, {}, b""), "the token is not accepted"),
        ((302, {"Location": "http://192.0.2.1/"}, b""), "answers 302"),
        ((200, {}, b"{"), "no JSON object"),
        ((200, {}, b"[" * 100_000), "no JSON object"),
        ((200, {}, b'{"resourceType": "Patient"}'), "no Bundle"),
        ((200, {}, b" " * 200_000), "longer than 100000 bytes"),
        ((200, {"Content-Type": "application/fhir+xml"}, b"<Bundle/>"), "not JSON"),
        ((200, {"Content-Encoding": "gzip"}, b""), "compressed"),
    ],
)
def test_an_answer_that_is_none_is_a_reason_and_asked_for_again_later(
    server: Server, store: ResourceStore, poller: Made, answer: tuple[int, dict[str, str], bytes], reason: str
) -> None:
    server.add(observation())
    server.answers = [answer]
    now = [NOW]
    asking = poller(lambda: now[0], answer_bytes=100_000)
    said = asking.catch_up()
    assert reason in said and "Canary" not in said and server.url not in said
    assert asking.catch_up() == said
    assert len(server.asked) == 1
    now[0] += 61
    assert asking.catch_up() == ""
    assert count(store) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait_is_waited_for(server: Server, poller: Made, status: int) -> None:
    server.answers = [(status, {"Retry-After": "600"}, b"")]
    now = [NOW]
    asking = poller(lambda: now[0])
    assert f"answers {status}" in asking.catch_up()
    now[0] += 599
    asking.catch_up()
    assert len(server.asked) == 1
    now[0] += 2
    assert asking.catch_up() == ""


def test_a_next_link_to_another_host_is_not_followed(server: Server, store: ResourceStore, poller: Made) -> None:
    server.add(*(observation(f"o{n}") for n in range(4)))
    for elsewhere in ("http://192.0.2.1/fhir", server.url.replace("http:", "https:"), "http://127.0.0.1:1/fhir"):
        server.next_base = elsewhere
        assert "leads to another host" in poller().catch_up()
    assert count(store) == 0


def test_pages_in_a_circle_end(server: Server, poller: Made) -> None:
    page = {"resourceType": "Bundle", "link": [{"relation": "next", "url": f"{server.url}/Patient?round=1"}]}
    server.answers = [(200, {}, json.dumps(page).encode())] * 3
    assert "in a circle" in poller().catch_up()


def test_a_resource_that_cannot_be_kept_costs_itself(server: Server, store: ResourceStore, poller: Made) -> None:
    server.add(
        patient(),
        observation("no id!"),
        observation("o1", status="nosuch"),
        observation("o2", subject={"reference": "Group/1"}),
        observation("o3"),
    )
    server.resources.append({"resourceType": "OperationOutcome", "meta": {"lastUpdated": "2026"}})
    assert poller().catch_up() == ""
    assert count(store) == 2


def test_absolute_references_to_the_server_are_its_own(server: Server, store: ResourceStore, poller: Made) -> None:
    server.add(patient(), observation("o1", subject={"reference": f"{server.url}/Patient/p1/_history/4"}))
    server.add(observation("o2", 7, subject={"reference": "https://elsewhere.example/fhir/Patient/p1"}))
    poller().catch_up()
    found = source(store.path.parents[1]).records_for(STUDY)
    assert [lab.value for lab in found.labs] == [120.0]


def test_the_token_is_sent_and_read_anew(server: Server, poller: Made, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first-token\n", encoding="ascii")
    server.token = "second-token"
    now = [NOW]
    asking = poller(lambda: now[0], token_file=str(token))
    assert "token_file" in asking.catch_up()
    token.write_text("second-token\n", encoding="ascii")
    now[0] += 100
    assert asking.catch_up() == ""
    assert {each.authorization for each in server.asked} == {"Bearer first-token", "Bearer second-token"}


def test_what_was_fetched_before_is_used_while_the_server_is_down(server: Server, tmp_path: Path) -> None:
    server.add(patient(), observation(), report())
    now = [NOW]
    records = source(tmp_path, lambda: now[0], url=server.url)
    found = records.records_for(STUDY)
    assert [lab.value for lab in found.labs] == [120.0] and len(found.texts) == 1 and found.rejected == ()
    server.answers = [(500, {}, b"")]
    now[0] += 61
    again = records.records_for(STUDY)
    assert [lab.value for lab in again.labs] == [120.0]
    assert [each.source for each in again.rejected] == ["fhir"] and "what was fetched before is used" in reasons(again)[
        0
    ]


def test_arrivals_asks_the_server(server: Server, tmp_path: Path) -> None:
    now = [NOW]
    watched = source(tmp_path, lambda: now[0], url=server.url)
    start = watched.arrivals("")
    server.add(patient(), observation())
    assert watched.arrivals(start.position).patients == ()
    now[0] += 61
    assert [each.patient_id for each in watched.arrivals(start.position).patients] == ["P-1"]


def test_check_asks_the_server_what_it_is(server: Server, tmp_path: Path) -> None:
    source(tmp_path, url=server.url).check()
    with pytest.raises(ConfigError, match="cannot be asked"):
        source(tmp_path, url="http://127.0.0.1:1/fhir").check()
    server.answers = [(200, {}, b'{"fhirVersion": "3.0.2"}')]
    with pytest.raises(ConfigError, match="FHIR R4"):
        source(tmp_path, url=server.url).check()
    server.answers = [(404, {}, b"")]
    with pytest.raises(ConfigError, match="answers 404"):
        source(tmp_path, url=server.url).check()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"url": "fhir.example.org"}, "url must be like"),
        ({"url": "http://fhir.example.org/fhir"}, "plain = true"),
        ({"url": "https://user:secret@fhir.example.org/fhir"}, "url must be like"),
        ({"issuers": ("HOSP",)}, "system=issuer"),
        ({"poll_seconds": 0.0}, "poll_seconds"),
        ({"timezone": "Mars"}, "no zone 'Mars'"),
    ],
)
def test_a_wrong_setting_is_told_when_the_source_is_built(
    tmp_path: Path, settings: dict[str, object], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        source(tmp_path, **settings)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"token_file": "/nowhere"}, "token_file cannot be read"),
        ({"ca_file": "/nowhere", "url": "https://127.0.0.1:1/fhir"}, "ca_file is not usable"),
        ({"codes": "/nowhere"}, "codes"),
    ],
)
def test_check_looks_at_the_files(tmp_path: Path, server: Server, settings: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        source(tmp_path, **{"url": server.url, **settings}).check()


def test_a_token_file_holds_one_token(tmp_path: Path, server: Server) -> None:
    (tmp_path / "token").write_text("two words", encoding="ascii")
    with pytest.raises(ConfigError, match="one token"):
        source(tmp_path, url=server.url, token_file=str(tmp_path / "token")).check()


def test_without_a_server_and_without_a_resource_the_report_says_so(tmp_path: Path) -> None:
    assert reasons(source(tmp_path / "empty").records_for(STUDY)) == ["no FHIR resource has been received yet"]
    assert FhirRecords(FhirRecords.Settings()).records_for(STUDY).rejected == ()
