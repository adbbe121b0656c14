"""`cds doctor`'s look at a peer, over the network, at the small PACS and at servers of pynetdicom set up wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pynetdicom import AE

from cds.domain.diagnosis import Diagnosis, Verdict
from cds.ports import Peer
from cds_pacs.archive import ArchiveSettings, DicomArchive
from cds_pacs.contexts import FIND, MOVE
from cds_pacs.sender import DicomSender, SenderSettings
from cds_pacs.testing.mini_pacs import Faults, MiniPacs

VERIFICATION = "1.2.840.10008.1.1"
COMPREHENSIVE = "1.2.840.10008.5.1.4.1.1.88.33"
ENHANCED = "1.2.840.10008.5.1.4.1.1.88.22"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def peer_at(port: int) -> Peer:
    return Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=port, send_results=True, priors=True)


@contextmanager
def serving(*sop_classes: str, titles: tuple[str, ...] = ()) -> Iterator[Peer]:
    """A server of pynetdicom that takes these SOP classes, and callers of these AE titles."""
    entity = AE(ae_title="PACS")
    entity.require_calling_aet = list(titles)
    for sop_class in sop_classes:
        entity.add_supported_context(sop_class)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    try:
        yield peer_at(server.server_address[1])
    finally:
        server.shutdown()


def delivery(peer: Peer) -> list[Diagnosis]:
    sender = DicomSender(SenderSettings(acse_timeout_seconds=60, dimse_timeout_seconds=60))
    return list(sender.examine(peer, calling_ae_title="CDS"))


def queries(peer: Peer) -> list[Diagnosis]:
    archive = DicomArchive(ArchiveSettings(acse_timeout_seconds=60, dimse_timeout_seconds=60))
    return list(archive.examine(peer, calling_ae_title="CDS"))


def wrong(lines: list[Diagnosis]) -> Diagnosis:
    (found,) = (line for line in lines if line.verdict is not Verdict.OK)
    assert found.mend
    return found


def test_a_pacs_that_takes_everything_is_in_order(tmp_path: Path) -> None:
    with MiniPacs(tmp_path, port=0) as pacs:
        lines = delivery(peer_at(pacs.port)) + queries(peer_at(pacs.port))
    assert {line.verdict for line in lines} == {Verdict.OK}
    assert [line.found for line in lines if line.subject.endswith("takes")] == [
        "structured reports (comprehensive)",
        "encapsulated PDF",
    ]
    assert not list(tmp_path.rglob("*.dcm"))


def test_a_peer_that_does_not_know_us_is_told(tmp_path: Path) -> None:
    with serving(VERIFICATION, titles=("SOMEBODY",)) as peer:
        found = wrong(delivery(peer))
    assert found.verdict is Verdict.FAIL
    assert "AE title CDS" in found.mend


def test_a_peer_that_takes_another_structured_report_is_told_with_its_name() -> None:
    with serving(VERIFICATION, ENHANCED, PDF) as peer:
        assert "sr_class = 'enhanced'" in wrong(delivery(peer)).mend
        assert {line.verdict for line in delivery(replace(peer, sr_class="enhanced"))} == {Verdict.OK}


def test_a_peer_without_pdf_is_told_what_to_send() -> None:
    with serving(VERIFICATION, COMPREHENSIVE) as peer:
        assert 'send = ["sr"]' in wrong(delivery(peer)).mend
        assert {line.verdict for line in delivery(replace(peer, send=("sr",)))} == {Verdict.OK}


def test_storage_commitment_that_is_not_offered_is_told() -> None:
    with serving(VERIFICATION, COMPREHENSIVE, PDF) as peer:
        assert "commitment = false" in wrong(delivery(replace(peer, commitment=True))).mend


def test_a_peer_that_is_no_dicom_node_is_told() -> None:
    assert wrong(delivery(peer_at(1))).verdict is Verdict.FAIL


def test_tls_without_a_certificate_of_ours_is_told() -> None:
    assert "[node.tls]" in wrong(delivery(replace(peer_at(1), tls=True))).mend


@pytest.mark.parametrize(
    ("offered", "verdict"),
    [((VERIFICATION,), Verdict.FAIL), ((FIND, MOVE), Verdict.WARN), ((VERIFICATION, FIND), Verdict.FAIL)],
)
def test_what_cannot_be_asked_is_told(offered: tuple[str, ...], verdict: Verdict) -> None:
    with serving(*(str(one) for one in offered)) as peer:
        verdicts = [line.verdict for line in queries(peer)]
    assert verdict in verdicts


def test_a_peer_that_rejects_for_now_is_told(tmp_path: Path) -> None:
    with MiniPacs(tmp_path, port=0) as pacs:
        pacs.faults = Faults(refuse=True)
        assert wrong(delivery(peer_at(pacs.port))).verdict is Verdict.FAIL
