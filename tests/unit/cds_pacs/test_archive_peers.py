"""The archive against pynetdicom's own SCP as an independent peer: secured ones, poor ones, and unruly ones."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from cds.domain.records import Identity
from cds.errors import ArchiveError
from cds.ports import Peer, Tls
from cds_pacs.archive import DicomArchive
from cds_pacs.contexts import FIND, GET
from cds_pacs.scu.query import ArchiveSettings

SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
PATIENT = Identity(patient_id="P-1")


@dataclass
class Unruly:
    """An SCP that answers every query with `answers`, then with `status`."""

    models: tuple[str, ...] = (FIND,)
    answers: list[Dataset] = field(default_factory=list)
    status: int = 0x0000
    tls: ssl.SSLContext | None = None
    asked: list[Dataset] = field(default_factory=list)
    abort: bool = False

    def __enter__(self) -> Unruly:
        entity = AE(ae_title="PACS")
        entity.supported_contexts = [build_context(model, SYNTAXES) for model in self.models]
        for context in entity.supported_contexts:
            context.scu_role, context.scp_role = True, True  # the requestor of a C-GET stores
        handlers = [(evt.EVT_C_FIND, self._find), (evt.EVT_C_GET, self._get)]
        self._server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=self.tls)
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        for association in self._server.active_associations:
            (association.abort if association.is_established else association.kill)()

    def peer(self, **changes: Any) -> Peer:
        return Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=int(self._server.server_address[1]), **changes)

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.asked.append(event.identifier)
        for answer in self.answers:
            yield 0xFF00, answer
        if self.abort:
            event.assoc.abort()
            return
        yield self.status, None

    def _get(self, event: Any) -> Iterator[Any]:
        yield 0
        yield 0xA702, Dataset()


def answer(**attributes: object) -> Dataset:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture
def archive() -> DicomArchive:
    return DicomArchive(ArchiveSettings(acse_timeout_seconds=60, dimse_timeout_seconds=60))


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC001, 0x0122])
def test_a_query_that_the_peer_fails_is_an_error_with_its_status(archive: DicomArchive, status: int) -> None:
    with Unruly(status=status) as pacs, pytest.raises(ArchiveError, match=f"0x{status:04X}"):
        archive.studies(PATIENT, pacs.peer(), calling_ae_title="CDS")


def test_a_query_that_is_broken_off_gives_no_half_an_answer(archive: DicomArchive) -> None:
    told = answer(StudyInstanceUID="2.25.1", PatientID="P-1")
    with Unruly(answers=[told], abort=True) as pacs, pytest.raises(ArchiveError, match="gave no answer"):
        archive.studies(PATIENT, pacs.peer(), calling_ae_title="CDS")


def test_answers_that_make_no_sense_are_left_out_without_a_warning(archive: DicomArchive) -> None:
    odd = [
        answer(PatientID="P-1"),
        answer(PatientID="P-1"),
        answer(StudyInstanceUID="2.25.1", PatientID="P-1"),
        answer(StudyInstanceUID="2.25.2", PatientID="P-2"),
    ]
    odd[0].add_new("StudyInstanceUID", "LO", "../../etc")
    odd[2].add_new("StudyDate", "LO", "the day before")
    odd[2].add_new("NumberOfStudyRelatedInstances", "LO", "-7")
    with Unruly(answers=odd) as pacs:
        (study,) = archive.studies(PATIENT, pacs.peer(), calling_ae_title="CDS")
    assert (study.study_instance_uid, study.started_on, study.instances) == ("2.25.1", None, None)


def test_an_answer_about_another_study_is_no_count(archive: DicomArchive) -> None:
    told = answer(StudyInstanceUID="2.25.2", NumberOfStudyRelatedInstances=7)
    with Unruly(answers=[told]) as pacs:
        assert archive.instances("2.25.1", pacs.peer(), calling_ae_title="CDS") is None


def test_the_query_asks_for_one_patient_by_the_study_root(archive: DicomArchive) -> None:
    with Unruly() as pacs:
        assert archive.studies(PATIENT, pacs.peer(), calling_ae_title="CDS") == ()
    (asked,) = pacs.asked
    assert (asked.QueryRetrieveLevel, asked.PatientID) == ("STUDY", "P-1")
    assert asked.StudyInstanceUID == ""


def test_a_patient_id_of_any_script_is_sent_with_its_character_set(archive: DicomArchive) -> None:
    with Unruly() as pacs:
        archive.studies(Identity(patient_id="病历7"), pacs.peer(), calling_ae_title="CDS")
    assert pacs.asked[0].PatientID == "病历7"


def listed() -> list[Dataset]:
    return [answer(SeriesInstanceUID="2.25.1.0", SOPInstanceUID="2.25.1.1", SOPClassUID="1.2.840.10008.5.1.4.1.1.2")]


def test_a_peer_without_get_is_told_apart(archive: DicomArchive, tmp_path: Path) -> None:
    with Unruly(answers=listed()) as pacs, pytest.raises(ArchiveError, match="offers no query or retrieve service"):
        archive.fetch("2.25.1", tmp_path, pacs.peer(), calling_ae_title="CDS")


def test_a_peer_that_takes_storage_but_no_get_is_named(archive: DicomArchive, tmp_path: Path) -> None:
    models = (FIND, "1.2.840.10008.5.1.4.1.1.2")
    with Unruly(models=models, answers=listed()) as pacs, pytest.raises(ArchiveError, match=r"'pacs'.*no.* C-GET"):
        archive.fetch("2.25.1", tmp_path, pacs.peer(), calling_ae_title="CDS")


def test_a_get_that_fails_is_an_error_with_its_status(archive: DicomArchive, tmp_path: Path) -> None:
    with Unruly(models=(FIND, GET), answers=listed()) as pacs, pytest.raises(ArchiveError, match="1 of 1 instances"):
        archive.fetch("2.25.1", tmp_path, pacs.peer(), calling_ae_title="CDS")


def test_a_peer_without_queries_is_told(archive: DicomArchive) -> None:
    with Unruly(models=(GET,)) as pacs, pytest.raises(ArchiveError, match="offers no query"):
        archive.instances("2.25.1", pacs.peer(), calling_ae_title="CDS")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ca")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2")
    for name in ("node", "pacs"):
        openssl("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-days", "2",
        )  # fmt: skip
    return folder


@pytest.fixture
def secured(authority: Path) -> Iterator[Unruly]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "pacs.pem", authority / "pacs.key")
    context.load_verify_locations(authority / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    told = answer(StudyInstanceUID="2.25.1", NumberOfStudyRelatedInstances=7)
    with Unruly(answers=[told], tls=context) as pacs:
        yield pacs


def with_tls(authority: Path) -> DicomArchive:
    tls = Tls(certificate_file=authority / "node.pem", key_file=authority / "node.key", ca_file=authority / "ca.pem")
    return DicomArchive(ArchiveSettings(acse_timeout_seconds=60, dimse_timeout_seconds=60, tls=tls))


def test_a_secured_peer_is_asked_by_mutual_tls(secured: Unruly, authority: Path) -> None:
    pem = (authority / "pacs.pem").read_text()
    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    peer = secured.peer(tls=True, certificate=fingerprint)
    assert with_tls(authority).instances("2.25.1", peer, calling_ae_title="CDS") == 7


def test_nothing_is_asked_of_a_peer_with_another_certificate(secured: Unruly, authority: Path) -> None:
    peer = secured.peer(tls=True, certificate="0" * 64)
    with pytest.raises(ArchiveError, match="another certificate"):
        with_tls(authority).instances("2.25.1", peer, calling_ae_title="CDS")
    assert secured.asked == []


def test_a_secured_peer_needs_a_certificate_of_ours(secured: Unruly, archive: DicomArchive) -> None:
    with pytest.raises(ArchiveError, match=r"node\.tls"):
        archive.instances("2.25.1", secured.peer(tls=True), calling_ae_title="CDS")


def test_a_peer_that_is_down_is_told_by_the_error_and_by_no_library(caplog: pytest.LogCaptureFixture) -> None:
    nobody = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=1)
    with pytest.raises(ArchiveError, match="is it running"):
        DicomArchive(ArchiveSettings()).instances("2.25.1", nobody, calling_ae_title="CDS")
    assert caplog.records == []
