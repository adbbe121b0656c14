"""The pages of a running web server, asked by an HTTP client over a real socket."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from cds.config import Settings, read
from cds.domain.records import Identity
from cds.ports import ReceivedInstance
from cds.report.pdf import EncapsulatedPdf
from cds.report.sr import StructuredReport
from cds.store import Arrival, Ledger
from cds.web import serving
from support.reports import xray_only_report

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CONFIGURATION = """
data_dir = "data"
[node]
reserve_mb = {reserve}
[web]
port = 0
[[peers]]
name = "pacs"
ae_title = "PACS"
port = 104
send_results = true
addresses = ["{network}"]
"""


class Site:
    """A data folder with one report in it, and what its server is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.complaints: list[str] = []
        self.ledger = Ledger(folder / "data")
        self.study, self.uids = self._report()

    def settings(self, *, network: str = "127.0.0.1/32", reserve: int = 0) -> Settings:
        file = self.folder / "cds.toml"
        file.write_text(CONFIGURATION.format(network=network, reserve=reserve), encoding="utf-8")
        return read(file, {})

    def _report(self) -> tuple[str, list[str]]:
        report = xray_only_report(self.folder)
        study = report.study.study_instance_uid
        sent = ReceivedInstance(
            data_set=b"pixels",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            sop_instance_uid="2.25.1",
            calling_ae_title="PACS",
            address="127.0.0.1",
        )
        blob = self.ledger.blobs.put(sent)
        self.ledger.arrivals.record(
            Arrival(
                sop_instance_uid=sent.sop_instance_uid,
                sop_class_uid=sent.sop_class_uid,
                study_instance_uid=study,
                series_instance_uid="2.25.2",
                transfer_syntax_uid=sent.transfer_syntax_uid,
                identity=Identity(patient_id="TEST"),
                blob=blob.name,
                sha256=blob.sha256,
                size=blob.size,
                image=True,
                own=False,
                calling_ae_title="PACS",
                address="127.0.0.1",
            ),
            NOW,
        )
        (receiving,) = self.ledger.jobs.receiving()
        self.ledger.jobs.complete(receiving, "quiet", NOW)
        (job,) = self.ledger.jobs.open_jobs()
        attempt = self.ledger.jobs.begin(job, NOW)
        assert attempt is not None
        writers = (StructuredReport(StructuredReport.Settings()), EncapsulatedPdf(EncapsulatedPdf.Settings()))
        encodings = [encoded for writer in writers for encoded in writer.write(report)]
        stored = self.ledger.report_files.put(study, job.id, encodings, revision=1, inputs_hash="h")
        self.ledger.jobs.report(job, stored, ["pacs"], NOW)
        return study, [encoded.sop_instance_uid for encoded in encodings if encoded.sop_instance_uid]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.ledger.close()


def ask(port: int, path: str, accept: str = "*/*") -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, dict(answer.headers.items()), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers.items()), error.read()


def get(site: Site, path: str, accept: str = "*/*", **settings: Any) -> tuple[int, dict[str, str], bytes]:
    with serving(site.settings(**settings), site.ledger, lambda: site.complaints) as port:
        return ask(port, path, accept)


def test_a_node_that_is_well_is_ready(site: Site) -> None:
    assert get(site, "/healthz")[0] == 200
    status, _, body = get(site, "/readyz")
    assert (status, json.loads(body)) == (200, {"ready": True, "reasons": []})


def test_a_node_that_is_not_says_why_and_stays_alive(site: Site) -> None:
    site.complaints.append("no listener process is alive")
    status, _, body = get(site, "/readyz")
    assert (status, json.loads(body)["reasons"]) == (503, ["no listener process is alive"])
    assert get(site, "/healthz")[0] == 200


def test_a_source_of_records_that_cannot_be_asked_is_told_and_the_node_is_ready(site: Site) -> None:
    troubles = {"csv": "no such folder", "hl7": ""}
    with serving(site.settings(), site.ledger, lambda: site.complaints, lambda: troubles) as port:
        status, _, body = ask(port, "/readyz")
        lines = ask(port, "/metrics")[2].decode().splitlines()
    assert (status, json.loads(body)["late_records"]) == (200, {"csv": "no such folder", "hl7": "ok"})
    assert 'cds_records_source_up{source="csv"} 0' in lines
    assert 'cds_records_source_up{source="hl7"} 1' in lines


def test_a_disk_below_its_reserve_is_not_ready(site: Site) -> None:
    status, _, body = get(site, "/readyz", reserve=10**9)
    assert status == 503
    assert "0xA700" in json.loads(body)["reasons"][0]


def test_metrics_count_by_state(site: Site) -> None:
    status, headers, body = get(site, "/metrics")
    lines = body.decode().splitlines()
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'cds_studies{state="RUNNING"} 1' in lines
    assert 'cds_instances{state="STORED"} 1' in lines
    assert 'cds_deliveries{state="PENDING"} 2' in lines
    assert "cds_received_bytes 6" in lines


def test_a_study_search_tells_what_there_is(site: Site) -> None:
    status, headers, body = get(site, f"/dicom-web/studies?StudyInstanceUID={site.study}")
    assert (status, headers["content-type"]) == (200, "application/dicom+json")
    (study,) = json.loads(body)
    assert study["0020000D"]["Value"] == [site.study]
    assert study["00080061"]["Value"] == ["DOC", "SR"]
    assert study["00201208"]["Value"] == [2]


def test_instances_are_found_by_modality_and_paged(site: Site) -> None:
    base = f"/dicom-web/studies/{site.study}/instances"
    everything = json.loads(get(site, base)[2])
    assert [one["00080018"]["Value"][0] for one in everything] == site.uids
    (structured,) = json.loads(get(site, base + "?Modality=SR")[2])
    assert structured["00080018"]["Value"] == [site.uids[0]]
    (second,) = json.loads(get(site, base + "?limit=1&offset=1")[2])
    assert second["00080018"]["Value"] == [site.uids[1]]
    assert get(site, base + "?Modality=CT")[0] == 204


def test_a_result_is_given_byte_for_byte(site: Site) -> None:
    (structured, *_) = site.ledger.results.find(site.study)
    series = str(dcmread(structured.path).SeriesInstanceUID)
    path = f"/dicom-web/studies/{site.study}/series/{series}/instances/{site.uids[0]}"
    status, headers, body = get(site, path, 'multipart/related; type="application/dicom"')
    message = message_from_bytes(f"Content-Type: {headers['content-type']}\r\n\r\n".encode() + body)
    (part,) = message.get_payload()
    assert status == 200
    assert structured.path.read_bytes() in body
    assert part.get_content_type() == "application/dicom"
    assert dcmread(BytesIO(structured.path.read_bytes())).SOPInstanceUID == site.uids[0]


def test_metadata_has_no_bulk_data(site: Site) -> None:
    found = json.loads(get(site, f"/dicom-web/studies/{site.study}/metadata")[2])
    assert [one["00080018"]["Value"][0] for one in found] == site.uids
    assert all("00420011" not in one for one in found)  # Encapsulated Document


def test_what_is_not_ours_is_not_there(site: Site) -> None:
    assert get(site, "/dicom-web/studies/2.25.404")[0] == 404
    assert get(site, "/dicom-web/studies/2.25.404/metadata")[0] == 404
    assert get(site, "/dicom-web/studies?StudyInstanceUID=2.25.404")[0] == 204


def test_a_patient_is_no_query(site: Site) -> None:
    status, _, body = get(site, "/dicom-web/studies?PatientID=SECRET-CANARY")
    assert status == 400
    assert b"SECRET-CANARY" not in body


def test_a_form_that_is_not_served_is_refused(site: Site) -> None:
    assert get(site, f"/dicom-web/studies/{site.study}", "application/zip")[0] == 406


def test_only_the_addresses_of_peers_get_results(site: Site) -> None:
    assert get(site, f"/dicom-web/studies/{site.study}", network="192.0.2.0/24")[0] == 403
    assert get(site, "/healthz", network="192.0.2.0/24")[0] == 200


def test_a_port_that_is_taken_stops_nothing(site: Site) -> None:
    with serving(site.settings(), site.ledger, lambda: site.complaints) as port:
        taken = site.settings().model_copy(update={"web": site.settings().web.model_copy(update={"port": port})})
        with serving(taken, site.ledger, lambda: site.complaints) as none:
            assert none == 0
        assert ask(port, "/healthz")[0] == 200
