from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from cds.domain.records import Records
from cds.domain.study import Patient, Study
from cds.ports import ListenerAddress
from cds.testing.contract_listeners import RefusingIntake, loopback
from cds_fhir.kept import Outcome, ResourceStore, store_path
from cds_fhir.listener import FhirListener, FhirListenerSettings
from cds_fhir.resources import resource_of
from cds_fhir.source import FhirRecords

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PATIENT = Patient(patient_id="P-1", issuer_of_patient_id="HOSP", birth_date=date(1950, 1, 2), sex="F")
STUDY = Study(study_instance_uid="1.2.3", patient=PATIENT, series=(), started_at=NOON, accession_number="ACC-1")
SYSTEM = "urn:oid:1.2.36.146"
ISSUERS = (f"{SYSTEM}=HOSP",)
Json = dict[str, object]


def patient(identity: str = "p1", value: str = "P-1", **changes: object) -> Json:
    return {
        "resourceType": "Patient",
        "id": identity,
        "identifier": [{"system": SYSTEM, "value": value}],
        "birthDate": "1950-01-02",
        "gender": "female",
    } | changes


def loinc(code: str) -> Json:
    return {"coding": [{"system": "http://loinc.org", "code": code}]}


def quantity(value: object, unit: str = "mg/L", /, **changes: object) -> Json:
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit} | changes


def observation(identity: str = "o1", value: object = 120, **changes: object) -> Json:
    """A CRP."""
    return {
        "resourceType": "Observation",
        "id": identity,
        "status": "final",
        "code": loinc("1988-5"),
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-01-31T08:00:00Z",
        "valueQuantity": quantity(value),
    } | changes


def report(identity: str = "r1", **changes: object) -> Json:
    return {
        "resourceType": "DiagnosticReport",
        "id": identity,
        "status": "final",
        "code": {"text": "Chest"},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-01-20T08:00:00Z",
        "conclusion": "No nodule.",
    } | changes


def without(resource: Json, *names: str) -> Json:
    return {name: value for name, value in resource.items() if name not in names}


Keep = Callable[..., list[Outcome]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ResourceStore]:
    opened = ResourceStore(store_path(str(tmp_path)))
    yield opened
    opened.close()


@pytest.fixture
def keep(store: ResourceStore) -> Keep:
    """Keep resources, one after the other."""

    def run(*resources: Json, origin: str = "server") -> list[Outcome]:
        return [store.keep(origin, [resource_of(each, "")])[0] for each in resources]

    return run


Join = Callable[..., Records]


@pytest.fixture
def join(tmp_path: Path, keep: Keep) -> Join:
    """Keep resources, then join them to a study."""

    def run(*resources: Json, study: Study = STUDY, **settings: object) -> Records:
        keep(*resources)
        return source(tmp_path, **settings).records_for(study)

    return run


def source(data_dir: Path, clock: Callable[[], float] = NOON.timestamp, **settings: object) -> FhirRecords:
    table = {"issuers": ISSUERS, **settings}
    return FhirRecords(FhirRecords.Settings(data_dir=str(data_dir), **table), clock)  # type: ignore[arg-type]


def reasons(records: Records) -> list[str]:
    return [rejected.reason for rejected in records.rejected]


def study_of(**changes: object) -> Study:
    own = {name: value for name, value in changes.items() if hasattr(PATIENT, name)}
    return replace(STUDY, patient=replace(PATIENT, **own), **{k: v for k, v in changes.items() if k not in own})  # type: ignore[arg-type]


@dataclass
class Asked:
    path: str
    query: dict[str, list[str]]
    authorization: str


@dataclass
class Server:
    """A tiny FHIR server: searches by `_lastUpdated` and `_id` with paging, and whatever it is told to answer next."""

    url: str = ""
    page_size: int = 3
    resources: list[Json] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    next_base: str = ""
    token: str = ""

    def add(self, *resources: Json, at: str = "2026-01-31T09:00:00Z") -> None:
        for each in resources:
            meta = {"versionId": "1", "lastUpdated": at} | dict(each.get("meta", {}))  # type: ignore[call-overload]
            self.resources.append({**each, "meta": meta})

    def queries(self, kind: str) -> list[dict[str, list[str]]]:
        return [each.query for each in self.asked if each.path == f"/fhir/{kind}"]

    def search(self, kind: str, query: dict[str, list[str]]) -> Json:
        found = [each for each in self.resources if each["resourceType"] == kind]
        if "_id" in query:
            found = [each for each in found if each["id"] in query["_id"][0].split(",")]
        for since in query.get("_lastUpdated", []):
            found = [each for each in found if _updated(each) >= since.removeprefix("ge")]
        found.sort(key=_updated)
        start = int(query.get("start", ["0"])[0])
        page = found[start : start + self.page_size]
        links = []
        if start + self.page_size < len(found):
            following = "&".join(f"{name}={values[0]}" for name, values in query.items() if name != "start")
            base = self.next_base or self.url
            links.append({"relation": "next", "url": f"{base}/{kind}?{following}&start={start + self.page_size}"})
        return {
            "resourceType": "Bundle",
            "type": "searchset",
            "link": links,
            "entry": [{"resource": each} for each in page],
        }


def _updated(resource: Json) -> str:
    return str(dict(resource["meta"])["lastUpdated"])  # type: ignore[call-overload]


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            authorization = self.headers.get("Authorization", "")
            state.asked.append(Asked(parts.path, parse_qs(parts.query), authorization))
            if state.answers:
                self._say(*state.answers.pop(0))
            elif state.token and authorization != f"Bearer {state.token}":
                self._say(401, {}, b"{}")
            elif parts.path == "/fhir/metadata":
                self._say(200, {}, json.dumps({"fhirVersion": "4.0.1"}).encode())
            else:
                found = state.search(parts.path.rpartition("/")[2], parse_qs(parts.query))
                self._say(200, {}, json.dumps(found).encode())

        def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/fhir+json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}/fhir"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


Listening = Callable[..., str]


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    """Start an endpoint on a free port, with settings and an address of one's own; its URL."""
    running: list[FhirListener] = []

    def start(address: ListenerAddress | None = None, **settings: object) -> str:
        listener = FhirListener(FhirListenerSettings(data_dir=str(tmp_path), **settings))  # type: ignore[arg-type]
        running.append(listener)
        return f"http://127.0.0.1:{listener.start(address or loopback(), RefusingIntake())}/fhir"

    yield start
    for listener in running:
        listener.stop()


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=60, headers={"Content-Type": "application/fhir+json"}) as client:
        yield client
