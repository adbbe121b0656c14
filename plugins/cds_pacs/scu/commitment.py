"""Storage commitment, push model (PS3.4 Annex J): both sides' messages over associations of our own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from typing import Final

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom.dsutils import encode as encode_data_set

from cds.errors import MalformedInstance
from cds.ports import CommitmentReported, Reference
from cds_pacs import commands
from cds_pacs.contexts import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    requested_for,
)
from cds_pacs.notices import commitment_reported
from cds_pacs.scu.association import Association, Message
from cds_pacs.scu.upper_layer import AssociationEnded, Called, Timeouts
from cds_pacs.status import PROCESSING_FAILURE, SUCCESS

REQUEST: Final = 1
"""Action Type ID (PS3.4 J.3.2.1)."""
ALL_KEPT, SOME_NOT_KEPT = 1, 2
"""Event Type IDs (PS3.4 J.3.3.1)."""


class Refused(Exception):
    """The peer does not do storage commitment, or did not take the request."""


def ask(
    called: Called, timeouts: Timeouts, transaction_uid: str, references: Sequence[Reference], answer_seconds: float
) -> CommitmentReported | None:
    """Ask a peer to commit; its answer, where it comes within `answer_seconds` over the same association.

    Raises
    ------
    AssociationEnded, AssociationRejected, Refused
        When the peer did not take the request.
    """
    answers: list[CommitmentReported] = []
    association = _associated(called, timeouts, scp=False)

    def take(message: Message) -> int:
        syntax = association.syntax_of(message.context_id)
        try:
            answers.append(commitment_reported(message.data_set, syntax, called.ae_title, called.host))
        except MalformedInstance:  # the peer is told, and may say it again
            return PROCESSING_FAILURE
        return SUCCESS

    association.serves[commands.Field.N_EVENT_REPORT] = take
    request: dict[int, int | str] = {
        commands.REQUESTED_CLASS: STORAGE_COMMITMENT,
        commands.FIELD: commands.Field.N_ACTION,
        commands.REQUESTED_INSTANCE: STORAGE_COMMITMENT_INSTANCE,
        commands.ACTION_TYPE: REQUEST,
    }
    try:
        _exchange(association, request, _request_data(transaction_uid, references))
        if not answers:
            _wait(association, answer_seconds)
    finally:
        association.release()
    return next((one for one in answers if one.transaction_uid == transaction_uid), None)


def answer(called: Called, timeouts: Timeouts, transaction_uid: str, references: Sequence[Reference]) -> None:
    """Tell a peer what we keep, as the SCP that calls its SCU (PS3.4 J.3.3).

    Raises
    ------
    AssociationEnded, AssociationRejected, Refused
        When the peer did not take the report.
    """
    association = _associated(called, timeouts, scp=True)
    failed = any(reference.failure for reference in references)
    report: dict[int, int | str] = {
        commands.AFFECTED_CLASS: STORAGE_COMMITMENT,
        commands.FIELD: commands.Field.N_EVENT_REPORT,
        commands.AFFECTED_INSTANCE: STORAGE_COMMITMENT_INSTANCE,
        commands.EVENT_TYPE: SOME_NOT_KEPT if failed else ALL_KEPT,
    }
    try:
        _exchange(association, report, _report_data(transaction_uid, references))
    finally:
        association.release()


def _associated(called: Called, timeouts: Timeouts, *, scp: bool) -> Association:
    contexts = requested_for([(STORAGE_COMMITMENT, EXPLICIT_VR_LITTLE_ENDIAN)])
    association = Association.open(called, contexts, timeouts, scp_of=[STORAGE_COMMITMENT] if scp else [])
    if not association.syntaxes(STORAGE_COMMITMENT):
        association.release()
        raise Refused("does not do storage commitment (it accepts no such presentation context)")
    return association


def _exchange(association: Association, command: dict[int, int | str], ds: Dataset) -> None:
    syntax, context_id = next(iter(association.syntaxes(STORAGE_COMMITMENT).items()))
    encoded = encode_data_set(ds, syntax == IMPLICIT_VR_LITTLE_ENDIAN, True)
    if encoded is None:
        raise Refused("cannot be told: the references cannot be encoded")
    response = association.request(context_id, command, BytesIO(encoded))
    status = commands.number(response, commands.STATUS)
    if status != SUCCESS:
        said = "no status" if status is None else f"0x{status:04X}"
        raise Refused(f"answered {said} to storage commitment")


def _wait(association: Association, seconds: float) -> None:
    with suppress(AssociationEnded):  # it has taken the request; the answer comes another way then
        association.wait_for_event(seconds)


def _request_data(transaction_uid: str, references: Sequence[Reference]) -> Dataset:
    ds = Dataset()
    ds.TransactionUID = UID(transaction_uid)
    ds.ReferencedSOPSequence = [_item(reference) for reference in references]
    return ds


def _report_data(transaction_uid: str, references: Sequence[Reference]) -> Dataset:
    """Which were kept, and which were not (PS3.4 table J.3-2)."""
    ds = _request_data(transaction_uid, [one for one in references if not one.failure])
    failed = [one for one in references if one.failure]
    if not ds.ReferencedSOPSequence:
        del ds.ReferencedSOPSequence
    if failed:
        ds.FailedSOPSequence = [_item(one) for one in failed]
    return ds


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = UID(reference.sop_class_uid)
    item.ReferencedSOPInstanceUID = UID(reference.sop_instance_uid)
    if reference.failure:
        item.FailureReason = reference.failure
    return item
