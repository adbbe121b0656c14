"""A lean SCU: one association, in the caller's thread, over pynetdicom's PDU classes for the negotiation.

pynetdicom's own SCU takes 10 to 50 ms for an association and 2.7 ms for an object, most of it its
two threads and their fixed sleeps of 1 ms. What is here is what a sender needs: propose, send a
message, wait for its response, take an event report in between, release. Every wait has an end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext

from cds_pacs import commands
from cds_pacs import upper_layer as ul
from cds_pacs.commands import Command
from cds_pacs.upper_layer import AssociationEnded, Called, Connection, Timeouts

_COMMAND, _LAST = 0x01, 0x02
_LONGEST_MESSAGE: Final = 16 << 20
"""Responses and event reports are small; more than this is not believed."""
_LONGEST_PDU_SENT: Final = 131_072
_SHORTEST_PDU_SENT: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A whole DIMSE message that the peer sent."""

    context_id: int
    command: Command
    data_set: bytes


class Association:
    """One association; not safe to share between threads."""

    def __init__(
        self, connection: Connection, proposed: Sequence[PresentationContext], answer: A_ASSOCIATE, timeouts: Timeouts
    ) -> None:
        self._connection = connection
        self._timeouts = timeouts
        self._message_id = 0
        limit = answer.maximum_length_received or _LONGEST_PDU_SENT
        self._payload = max(min(limit, _LONGEST_PDU_SENT), _SHORTEST_PDU_SENT) - ul.PDV_HEADER.size
        self._classes = {2 * number + 1: str(context.abstract_syntax) for number, context in enumerate(proposed)}
        self.proposed = frozenset(_pair(context) for context in proposed)
        results = answer.presentation_context_definition_results_list or []
        self._accepted: dict[tuple[str, str], int] = {
            (self._classes.get(context.context_id, ""), str(context.transfer_syntax[0])): context.context_id
            for context in results
            if context.result == 0 and context.context_id is not None and context.transfer_syntax
        }
        self.on_event: Callable[[Message], int] = lambda message: _NO_SUCH_EVENT
        """Told of an N-EVENT-REPORT that comes in between; gives the status to answer with."""

    @classmethod
    def open(
        cls,
        called: Called,
        contexts: Sequence[PresentationContext],
        timeouts: Timeouts,
        *,
        scp_of: Iterable[str] = (),
    ) -> Association:
        """Connect and negotiate; `scp_of` are the SOP classes of which we are the SCP (PS3.7 D.3.3.4).

        Raises
        ------
        AssociationEnded, AssociationRejected
            When there is no association.
        """
        for number, context in enumerate(contexts):
            context.context_id = 2 * number + 1
        connection = Connection(called, timeouts)
        try:
            connection.send(ul.proposal(called, contexts, scp_of), timeouts.associate)
            answer = ul.acceptance(*connection.read_pdu(time.monotonic() + timeouts.associate))
        except OSError as error:
            connection.close()
            raise AssociationEnded(ul.said(error)) from None
        except BaseException:
            connection.close()
            raise
        return cls(connection, contexts, answer, timeouts)

    def syntaxes(self, sop_class_uid: str) -> dict[str, int]:
        """The transfer syntaxes that the peer accepted for a SOP class, each with its context."""
        return {syntax: number for (sop_class, syntax), number in self._accepted.items() if sop_class == sop_class_uid}

    def class_of(self, context_id: int) -> str:
        """The SOP class of a context."""
        return self._classes[context_id]

    def usable(self) -> bool:
        """Whether the peer has kept its side open; an event report that came meanwhile is taken."""
        try:
            while self._connection.comes(0):
                self._take_event(self._receive(time.monotonic() + self._timeouts.message))
        except OSError:
            return False
        return True

    def request(self, context_id: int, command: Mapping[int, int | str], data_set: BinaryIO | None) -> Command:
        """Send a request and wait for its response.

        Raises
        ------
        AssociationEnded
            When no response came.
        """
        self._message_id = self._message_id % 0xFFFF + 1
        kind = commands.WITH_DATA_SET if data_set is not None else commands.NO_DATA_SET
        whole = {**command, commands.MESSAGE_ID: self._message_id, commands.DATA_SET_TYPE: kind}
        try:
            self._send(context_id, whole, data_set)
            deadline = time.monotonic() + self._timeouts.message
            while True:
                message = self._receive(deadline)
                if message.command.get(commands.RESPONDS_TO) == self._message_id and _is_response(message.command):
                    return message.command
                self._take_event(message)
        except OSError as error:
            self.abort()
            raise AssociationEnded(ul.said(error)) from None

    def wait_for_event(self, seconds: float) -> bool:
        """Wait a moment for an event report; whether one came.

        Raises
        ------
        AssociationEnded
            When the peer ended the association instead.
        """
        try:
            if not self._connection.comes(seconds):
                return False
            self._take_event(self._receive(time.monotonic() + self._timeouts.message))
        except OSError as error:
            self.abort()
            raise AssociationEnded(ul.said(error)) from None
        return True

    def release(self) -> None:
        """End the association in good order, or at once where the peer does not play along."""
        self._connection.release()

    def abort(self) -> None:
        """End the association at once."""
        self._connection.abort()

    def _send(self, context_id: int, command: Command, data_set: BinaryIO | None) -> None:
        """The command goes out in one write with the first part of the data set: no waiting for acknowledgements."""
        waiting = ul.pdv(context_id, _COMMAND | _LAST, commands.encode(command))
        part = data_set.read(self._payload) if data_set is not None else b""
        while data_set is not None:
            following = data_set.read(self._payload)
            self._write(waiting + ul.pdv(context_id, 0 if following else _LAST, part))
            waiting, part = b"", following
            if not following:
                return
        self._write(waiting)

    def _write(self, content: bytes) -> None:
        self._connection.send(content, self._timeouts.message)

    def _receive(self, deadline: float) -> Message:
        """One whole message (PS3.8 E.2).

        Raises
        ------
        OSError
            When the association ends, or it does not come in time or is no message.
        """
        command, data_set = bytearray(), bytearray()
        decoded: Command | None = None
        while True:
            kind, body = self._connection.read_pdu(deadline)
            if kind == ul.RELEASE_RQ:
                self._write(ul.RELEASE_RESPONSE)
                raise ConnectionError("it released the association")
            if kind != ul.P_DATA:
                raise ConnectionError("it aborted the association" if kind == ul.ABORT else f"it sent PDU type {kind}")
            for context_id, flags, part in ul.pdvs(body):
                (command if flags & _COMMAND else data_set).extend(part)
                if len(command) + len(data_set) > _LONGEST_MESSAGE:
                    raise ConnectionError("its message is too long")
                if flags & _COMMAND and flags & _LAST:
                    decoded = _command(bytes(command))
                whole = flags & _LAST and (not flags & _COMMAND or not _has_data_set(decoded))
                if decoded is not None and whole:
                    return Message(context_id=context_id, command=decoded, data_set=bytes(data_set))

    def _take_event(self, message: Message) -> None:
        """Answer an event report; anything else that nobody asked for is passed over."""
        if commands.number(message.command, commands.FIELD) != commands.Field.N_EVENT_REPORT:
            return
        status = self.on_event(message)
        response = {
            commands.AFFECTED_CLASS: message.command.get(commands.AFFECTED_CLASS, ""),
            commands.FIELD: commands.Field.N_EVENT_REPORT | commands.RESPONSE,
            commands.RESPONDS_TO: message.command.get(commands.MESSAGE_ID, 0),
            commands.DATA_SET_TYPE: commands.NO_DATA_SET,
            commands.STATUS: status,
            commands.AFFECTED_INSTANCE: message.command.get(commands.AFFECTED_INSTANCE, ""),
        }
        self._send(message.context_id, response, None)


_NO_SUCH_EVENT: Final = 0x0113
"""N-EVENT-REPORT status: no such event type (PS3.7 C.4.17)."""


def _command(encoded: bytes) -> Command:
    try:
        return commands.decode(encoded)
    except ValueError as error:
        raise ConnectionError(str(error)) from None


def _has_data_set(command: Command | None) -> bool:
    return command is not None and command.get(commands.DATA_SET_TYPE) != commands.NO_DATA_SET


def _is_response(command: Command) -> bool:
    return bool((commands.number(command, commands.FIELD) or 0) & commands.RESPONSE)


def _pair(context: PresentationContext) -> tuple[str, str]:
    return str(context.abstract_syntax), str(context.transfer_syntax[0])
