from __future__ import annotations

import socket

import pytest

from cds.domain.diagnosis import Verdict
from cds.ports import Examinable, Peer
from cds_dicomweb.archive import ArchiveSettings, DicomWebArchive
from cds_dicomweb.sender import DicomWebSender, SenderSettings
from cds_dicomweb.testing import Origin
from cds_dicomweb.testing.origin import Reply

SENDER, ARCHIVE = DicomWebSender(SenderSettings()), DicomWebArchive(ArchiveSettings(connect_seconds=0.5))


def verdicts(plugin: Examinable, peer: Peer) -> list[Verdict]:
    return [line.verdict for line in plugin.examine(peer, calling_ae_title="CDS")]


@pytest.mark.parametrize("plugin", [SENDER, ARCHIVE], ids=["sender", "archive"])
def test_a_peer_that_answers_is_fine_and_is_asked_for_no_patient(origin: Origin, plugin: Examinable) -> None:
    assert verdicts(plugin, origin.peer()) == [Verdict.OK]
    assert origin.targets == ["GET /dicom-web/studies?StudyInstanceUID=2.25.0&limit=1"]


@pytest.mark.parametrize("plugin", [SENDER, ARCHIVE], ids=["sender", "archive"])
@pytest.mark.parametrize("status", [302, 401, 403, 404])
def test_a_peer_that_does_not_let_us_in_is_told_with_what_mends_it(
    origin: Origin, plugin: Examinable, status: int
) -> None:
    origin.says.append(Reply(status))
    (line,) = plugin.examine(origin.peer(), calling_ae_title="CDS")
    assert line.verdict is Verdict.FAIL
    assert str(status) in line.found
    assert line.mend


@pytest.mark.parametrize("plugin", [SENDER, ARCHIVE], ids=["sender", "archive"])
def test_a_peer_that_is_down_or_wrongly_set_up_is_told_and_not_raised(origin: Origin, plugin: Examinable) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert verdicts(plugin, origin.peer(port=sock.getsockname()[1])) == [Verdict.FAIL]
    assert verdicts(plugin, origin.peer(url="nowhere")) == [Verdict.FAIL]


def test_priors_over_plain_http_are_told_to_be_impossible(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_dicomweb.examine.is_confidential", lambda peer: False)
    assert verdicts(ARCHIVE, origin.peer()) == [Verdict.OK, Verdict.FAIL]
    assert verdicts(ARCHIVE, origin.peer(priors=False)) == [Verdict.OK]
    assert verdicts(SENDER, origin.peer()) == [Verdict.WARN]
