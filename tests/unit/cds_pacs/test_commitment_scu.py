"""Our side of storage commitment against pynetdicom's own services, an independent implementation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from cds.errors import DeliveryError
from cds.ports import Peer, Reference
from cds_pacs import commands
from cds_pacs.sender import DicomSender, SenderSettings

STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
INSTANCE = "1.2.840.10008.1.20.1.1"
SR = "1.2.840.10008.5.1.4.1.1.88.33"
KEPT = Reference(sop_class_uid=SR, sop_instance_uid="2.25.8")
LOST = Reference(sop_class_uid=SR, sop_instance_uid="2.25.9", failure=0x0112)


class Pacs:
    """An SCP and SCU of storage commitment."""

    def __init__(self, *syntaxes: str, sop_class: str = STORAGE_COMMITMENT) -> None:
        self.requests: list[Dataset] = []
        self.reports: list[tuple[int, Dataset]] = []
        self.report_statuses: list[int] = []
        self.status = 0x0000
        self.answer_at_once: Dataset | None = None
        self.entity = AE(ae_title="PACS")
        context = build_context(sop_class, list(syntaxes) or ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])
        context.scu_role, context.scp_role = True, True
        self.entity.supported_contexts = [context]
        handlers = [(evt.EVT_N_ACTION, self._asked), (evt.EVT_N_EVENT_REPORT, self._told)]
        self.server = self.entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.peer = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=int(self.server.server_address[1]))

    def _asked(self, event: Any) -> tuple[int, None]:
        assert (event.request.RequestedSOPInstanceUID, event.action_type) == (INSTANCE, 1)
        self.requests.append(event.action_information)
        if self.answer_at_once is not None:
            threading.Thread(target=self._answer, args=(event.assoc, event.action_information)).start()
        return self.status, None

    def _answer(self, association: Any, request: Dataset) -> None:
        report = self.answer_at_once
        assert report is not None
        report.TransactionUID = request.TransactionUID
        failed = 2 if "FailedSOPSequence" in report else 1
        status, _ = association.send_n_event_report(report, failed, STORAGE_COMMITMENT, INSTANCE)
        self.report_statuses.append(int(status.get("Status", -1)))

    def _told(self, event: Any) -> tuple[int, None]:
        self.reports.append((event.event_type, event.event_information))
        return self.status, None


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    pacs = Pacs()
    yield pacs
    pacs.server.shutdown()
    pacs.server.server_close()


@pytest.fixture
def sender() -> DicomSender:
    return DicomSender(SenderSettings(acse_timeout_seconds=60, dimse_timeout_seconds=60, answer_seconds=0.2))


def item(uid: str, failure: int = 0) -> Dataset:
    ds = Dataset()
    ds.ReferencedSOPClassUID, ds.ReferencedSOPInstanceUID = SR, uid
    if failure:
        ds.FailureReason = failure
    return ds


def test_a_peer_is_asked_for_each_instance(pacs: Pacs, sender: DicomSender) -> None:
    assert sender.ask("2.25.1", [KEPT, LOST], pacs.peer, calling_ae_title="CDS") is None
    (request,) = pacs.requests
    assert request.TransactionUID == "2.25.1"
    asked = [(one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID) for one in request.ReferencedSOPSequence]
    assert asked == [(SR, "2.25.8"), (SR, "2.25.9")]


def test_a_peer_that_knows_the_default_transfer_syntax_only_is_asked_in_it(sender: DicomSender) -> None:
    pacs = Pacs("1.2.840.10008.1.2")
    sender.ask("2.25.1", [KEPT], pacs.peer, calling_ae_title="CDS")
    assert pacs.requests[0].TransactionUID == "2.25.1"
    pacs.server.shutdown()
    pacs.server.server_close()


def test_an_answer_over_the_same_association_is_taken_and_answered(
    pacs: Pacs, sender: DicomSender, until: Callable[..., None]
) -> None:
    pacs.answer_at_once = Dataset()
    pacs.answer_at_once.ReferencedSOPSequence = [item("2.25.8")]
    pacs.answer_at_once.FailedSOPSequence = [item("2.25.9", 0x0112)]
    patient = DicomSender(SenderSettings(dimse_timeout_seconds=60, answer_seconds=60))
    report = patient.ask("2.25.1", [KEPT, LOST], pacs.peer, calling_ae_title="CDS")
    assert report is not None
    assert report.transaction_uid == "2.25.1"
    assert report.references == (KEPT, LOST)
    until(lambda: pacs.report_statuses == [0x0000])


def test_a_refusal_is_final_and_says_the_status(pacs: Pacs, sender: DicomSender) -> None:
    pacs.status = 0x0112
    with pytest.raises(DeliveryError, match="0x0112") as caught:
        sender.ask("2.25.1", [KEPT], pacs.peer, calling_ae_title="CDS")
    assert not caught.value.retryable


def test_a_peer_without_storage_commitment_is_told_so_finally(sender: DicomSender) -> None:
    pacs = Pacs(sop_class="1.2.840.10008.1.1")
    with pytest.raises(DeliveryError, match="does not do storage commitment") as caught:
        sender.ask("2.25.1", [KEPT], pacs.peer, calling_ae_title="CDS")
    assert not caught.value.retryable
    pacs.server.shutdown()
    pacs.server.server_close()


@pytest.mark.parametrize(("references", "event_type"), [([KEPT], 1), ([KEPT, LOST], 2), ([LOST], 2)])
def test_a_peer_is_told_what_we_keep_as_its_scp(
    pacs: Pacs, sender: DicomSender, references: list[Reference], event_type: int
) -> None:
    sender.answer("2.25.1", references, pacs.peer, calling_ae_title="CDS")
    ((found, report),) = pacs.reports
    assert found == event_type
    assert report.TransactionUID == "2.25.1"
    kept = {one.ReferencedSOPInstanceUID for one in report.get("ReferencedSOPSequence", [])}
    failed = {one.ReferencedSOPInstanceUID: one.FailureReason for one in report.get("FailedSOPSequence", [])}
    assert kept == {one.sop_instance_uid for one in references if not one.failure}
    assert failed == {one.sop_instance_uid: one.failure for one in references if one.failure}


def test_a_command_set_is_what_pynetdicom_reads_and_writes() -> None:
    from pynetdicom.dimse_messages import C_STORE_RQ
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.dsutils import decode, encode

    request = C_STORE()
    request.MessageID = 7
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = SR, "2.25.8"
    request.Priority = 2
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    theirs = encode(message.command_set, True, True)
    assert theirs is not None
    ours = commands.decode(theirs)
    assert ours[commands.AFFECTED_INSTANCE] == "2.25.8"
    assert ours[commands.MESSAGE_ID] == 7
    assert commands.encode(ours) == theirs
    from io import BytesIO

    assert decode(BytesIO(commands.encode(ours)), True, True) == message.command_set


@pytest.mark.parametrize(
    "garbage", [b"\x00", b"\x08\x00\x05\x00\x02\x00\x00\x00ab", b"\x00\x00\x00\x01\xff\x00\x00\x00"]
)
def test_what_is_no_command_set_is_refused(garbage: bytes) -> None:
    with pytest.raises(ValueError, match="command set"):
        commands.decode(garbage)
