"""What is done with a message: instances and notices go to the intake, its word becomes the status."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from cds.errors import CdsError, MalformedInstance, OutOfResources
from cds.ports import Announced, Intake, Notice
from cds_pacs import status
from cds_pacs.commands import Field, Request, read_request, response
from cds_pacs.contexts import (
    INSTANCE_AVAILABILITY,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    VERIFICATION,
    is_storage,
)
from cds_pacs.notices import commitment_reported, commitment_requested, study_announced
from cds_pacs.scp.data_sets import Buffer, InstanceSink, NoticeSink
from cds_pacs.scp.messages import Messages
from cds_pacs.scp.upper_layer import Answered
from cds_pacs.scp.wire import Fault, ProtocolError, Wire

_LOG: Final = logging.getLogger(__name__)

LONGEST_NOTICE: Final = 4 << 20
"""Bytes; some 20,000 references."""

Word = tuple[int, str]
"""Status and comment of a response."""

_ReadNotice = Callable[[bytes, str, str, str], Notice]
_NOTICES: Final[Mapping[tuple[int, str], _ReadNotice]] = MappingProxyType(
    {
        (Field.N_ACTION, STORAGE_COMMITMENT): commitment_requested,
        (Field.N_EVENT_REPORT, STORAGE_COMMITMENT): commitment_reported,
        (Field.N_CREATE, INSTANCE_AVAILABILITY): study_announced,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Whom an association is with, and the contexts that were accepted."""

    calling_ae_title: str
    address: str
    contexts: Mapping[int, Answered]


class Services:
    """Serves the messages of one association."""

    def __init__(self, intake: Intake, messages: Messages, wire: Wire, client: Client, buffer: Buffer) -> None:
        self._intake = intake
        self._messages = messages
        self._wire = wire
        self._client = client
        self._buffer = buffer

    def serve_next(self) -> None:
        """Serve one message. Errors as `Messages.command`."""
        context_id, command_set = self._messages.command()
        context = self._client.contexts.get(context_id)
        if context is None:
            raise ProtocolError(Fault.NOT_SPECIFIED, f"a message in presentation context {context_id}, not accepted")
        try:
            command = read_request(command_set)
        except ValueError as error:
            raise ProtocolError(Fault.NOT_SPECIFIED, str(error)) from None
        if command.field == Field.C_CANCEL:
            return  # nothing of ours takes long enough to be cancelled
        if command.field == Field.N_CREATE and not command.sop_instance_uid:
            command = replace(command, sop_instance_uid=f"2.25.{uuid.uuid4().int}")  # PS3.7 10.1.5.1.4: ours to name
        code, comment = self._perform(command, context)
        self._messages.send(context_id, response(command, code, comment))

    def _perform(self, command: Request, context: Answered) -> Word:
        if command.field == Field.C_STORE:
            return self._store(command, context)
        notice = self._notice_data_set(command, context)
        if command.field == Field.C_ECHO and context.abstract_syntax == VERIFICATION:
            return status.SUCCESS, ""
        read = _NOTICES.get((command.field, context.abstract_syntax))
        if read is None:
            return status.UNRECOGNIZED_OPERATION, ""
        return self._notice(command, context, notice, read)

    def _store(self, command: Request, context: Answered) -> Word:
        refused = _refused(command, context)
        if refused is not None:
            self._notice_data_set(command, context)
            return refused
        announced = Announced(
            transfer_syntax_uid=context.transfer_syntax,
            sop_class_uid=command.sop_class_uid,
            sop_instance_uid=command.sop_instance_uid,
            calling_ae_title=self._client.calling_ae_title,
            address=self._client.address,
        )
        sink = InstanceSink(self._buffer, self._intake, announced, self._wire)
        try:
            self._messages.data_set(context.context_id, sink)
            return self._word(sink.take, status.status_of)
        finally:
            sink.close()

    def _notice(self, command: Request, context: Answered, content: bytes | None, read: _ReadNotice) -> Word:
        code = _unknown(command)
        if code is not None:
            return code, ""

        def take() -> None:
            if content is None:
                raise OutOfResources("the data set is too long")
            client = self._client
            self._intake.notice(read(content, context.transfer_syntax, client.calling_ae_title, client.address))

        return self._word(take, lambda error: status.notice_status_of(error, command.field))

    def _notice_data_set(self, command: Request, context: Answered) -> bytes | None:
        """Read the data set of anything but a C-STORE; None when it is too long."""
        sink = NoticeSink(self._buffer, LONGEST_NOTICE)
        if command.has_data_set:
            self._messages.data_set(context.context_id, sink)
        return None if sink.too_long else sink.content()

    def _word(self, take: Callable[[], None], status_of: Callable[[CdsError], int]) -> Word:
        try:
            take()
        except CdsError as error:
            _LOG.warning("not taken from %s: %s", self._client.address, error)
            return status_of(error), str(error)
        except Exception as error:  # a defect of ours: the sender must not hear success
            _LOG.error("not taken from %s: %s", self._client.address, type(error).__name__)
            return status.PROCESSING_FAILURE, "internal error"
        return status.SUCCESS, ""


def _refused(command: Request, context: Answered) -> Word | None:
    """Why the request alone is enough to refuse an instance."""
    if not is_storage(context.abstract_syntax):
        return status.SOP_CLASS_NOT_SUPPORTED, ""
    if not (command.sop_class_uid and command.sop_instance_uid):
        return status.STATUS_OF[MalformedInstance], "no SOP Class or SOP Instance UID in the request"
    if not command.has_data_set:
        return status.STATUS_OF[MalformedInstance], "no data set"
    if command.sop_class_uid != context.abstract_syntax:
        return status.SOP_CLASS_NOT_SUPPORTED, "not the SOP Class of the presentation context"
    return None


def _unknown(command: Request) -> int | None:
    """Status for an action, event or instance that there is not (PS3.4 J.3.2, J.3.3)."""
    if command.field == Field.N_CREATE:
        return None
    if command.sop_instance_uid != STORAGE_COMMITMENT_INSTANCE:
        return status.NO_SUCH_INSTANCE
    if command.field == Field.N_ACTION and command.action_type != 1:
        return status.NO_SUCH_ACTION
    if command.field == Field.N_EVENT_REPORT and command.event_type not in (1, 2):
        return status.NO_SUCH_EVENT
    return None
