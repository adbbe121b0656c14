"""A lean SCU: one association, in the caller's thread, over pynetdicom's PDU classes for the negotiation.

pynetdicom's own SCU takes 10 to 50 ms for an association and 2.7 ms for an object, most of it its
two threads and their fixed sleeps of 1 ms. What is here is what senders and archives need: propose, send a
message, take its responses, serve what the peer asks in between, release. Every wait has an end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext

from cds_pacs import commands
from cds_pacs.commands import Command, Field
from cds_pacs.pdu import COMMAND, LAST, RELEASE_RESPONSE, VALUE_HEADER, Pdu, p_data
from cds_pacs.scu import upper_layer as ul
from cds_pacs.scu.upper_layer import AssociationEnded, Called, Connection, Timeouts
from cds_pacs.status import NO_SUCH_EVENT, PENDING, UNRECOGNIZED_OPERATION

_LONGEST_COMMAND: Final = 16 << 10
_LONGEST_DATA_SET: Final = 16 << 20
"""Answers and event reports are small."""
_LONGEST_PDU_SENT: Final = 131_072
_SHORTEST_PDU_SENT: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A whole DIMSE message that the peer sent."""

    context_id: int
    command: Command
    data_set: bytes


class TooLong(AssociationEnded):
    """The peer sent more than it may."""


class Association:
    """One association; not safe to share between threads."""

    def __init__(
        self, connection: Connection, proposed: Sequence[PresentationContext], answer: A_ASSOCIATE, timeouts: Timeouts
    ) -> None:
        self._connection = connection
        self._timeouts = timeouts
        self._message_id = 0
        limit = answer.maximum_length_received or _LONGEST_PDU_SENT
        self._payload = max(min(limit, _LONGEST_PDU_SENT), _SHORTEST_PDU_SENT) - VALUE_HEADER.size
        self._classes = {2 * number + 1: str(context.abstract_syntax) for number, context in enumerate(proposed)}
        self.proposed = frozenset(_pair(context) for context in proposed)
        results = answer.presentation_context_definition_results_list or []
        self._accepted: dict[tuple[str, str], int] = {
            (self._classes.get(context.context_id, ""), str(context.transfer_syntax[0])): context.context_id
            for context in results
            if context.result == 0 and context.context_id is not None and context.transfer_syntax
        }
        self._syntaxes = {number: syntax for (_, syntax), number in self._accepted.items()}
        self.longest_data_set = _LONGEST_DATA_SET
        """Bytes; more than this is not believed, and not kept."""
        self.serves: dict[int, Callable[[Message], int]] = {}
        """What is done with a request of the peer's, by its Command Field; gives the status to answer with."""

    @classmethod
    def open(
        cls,
        called: Called,
        contexts: Sequence[PresentationContext],
        timeouts: Timeouts,
        *,
        scp_of: Iterable[str] = (),
        max_pdu_bytes: int = ul.LONGEST_PDU_READ,
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
            connection.send(ul.proposal(called, contexts, scp_of, max_pdu_bytes), timeouts.associate)
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

    @property
    def accepts_anything(self) -> bool:
        """Whether the peer accepted any context."""
        return bool(self._accepted)

    def syntax_of(self, context_id: int) -> str:
        """The transfer syntax of an accepted context; ``""`` for any other."""
        return self._syntaxes.get(context_id, "")

    def usable(self) -> bool:
        """Whether the peer has kept its side open; an event report that came meanwhile is taken."""
        try:
            while self._connection.comes(0):
                self._serve(self._receive(time.monotonic() + self._timeouts.message))
        except (OSError, TooLong):
            return False
        return True

    def request(self, context_id: int, command: Mapping[int, int | str], data_set: BinaryIO | None) -> Command:
        """Send a request and wait for its response.

        Raises
        ------
        AssociationEnded
            When no response came.
        """
        seconds = self._timeouts.message
        for response in self.exchange(context_id, command, data_set, seconds=seconds):
            return response.command
        raise AssociationEnded("it gave no response")

    def exchange(
        self, context_id: int, command: Mapping[int, int | str], data_set: BinaryIO | None, *, seconds: float
    ) -> Iterator[Message]:
        """Send a request and give its responses, to the first that is not pending; serve the peer meanwhile.

        Each message must come within its own time, and all of them within `seconds`.

        Raises
        ------
        AssociationEnded
            When the last response did not come.
        """
        self._message_id = self._message_id % 0xFFFF + 1
        kind = commands.WITH_DATA_SET if data_set is not None else commands.NO_DATA_SET
        whole = {**command, commands.MESSAGE_ID: self._message_id, commands.DATA_SET_TYPE: kind}
        try:
            self._send(context_id, whole, data_set)
            end = time.monotonic() + seconds
            while True:
                message = self._receive(min(end, time.monotonic() + self._timeouts.message))
                if message.command.get(commands.RESPONDS_TO) != self._message_id or not _is_response(message.command):
                    self._serve(message)
                    continue
                yield message
                if message.command.get(commands.STATUS) not in PENDING:
                    return
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
            self._serve(self._receive(time.monotonic() + self._timeouts.message))
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
        waiting = p_data(context_id, COMMAND | LAST, commands.encode(command))
        part = data_set.read(self._payload) if data_set is not None else b""
        while data_set is not None:
            following = data_set.read(self._payload)
            self._write(waiting + p_data(context_id, 0 if following else LAST, part))
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
            if kind == Pdu.RELEASE_RQ:
                self._write(RELEASE_RESPONSE)
                raise ConnectionError("it released the association")
            if kind != Pdu.DATA:
                raise ConnectionError("it aborted the association" if kind == Pdu.ABORT else f"it sent PDU type {kind}")
            for context_id, flags, part in ul.pdvs(body):
                (command if flags & COMMAND else data_set).extend(part)
                if len(command) > _LONGEST_COMMAND or len(data_set) > self.longest_data_set:
                    raise TooLong("its message is too long")
                if flags & COMMAND and flags & LAST:
                    decoded = _command(bytes(command))
                whole = flags & LAST and (not flags & COMMAND or not _has_data_set(decoded))
                if decoded is not None and whole:
                    return Message(context_id=context_id, command=decoded, data_set=bytes(data_set))

    def _serve(self, message: Message) -> None:
        """Answer a request of the peer's; a response that nobody waits for is passed over."""
        field = commands.number(message.command, commands.FIELD)
        if field is None or _is_response(message.command):
            return
        serve = self.serves.get(field)
        if serve is not None:
            status = serve(message)
        else:
            status = NO_SUCH_EVENT if field == Field.N_EVENT_REPORT else UNRECOGNIZED_OPERATION
        response = {
            commands.AFFECTED_CLASS: message.command.get(commands.AFFECTED_CLASS, ""),
            commands.FIELD: field | commands.RESPONSE,
            commands.RESPONDS_TO: message.command.get(commands.MESSAGE_ID, 0),
            commands.DATA_SET_TYPE: commands.NO_DATA_SET,
            commands.STATUS: status,
            commands.AFFECTED_INSTANCE: message.command.get(commands.AFFECTED_INSTANCE, ""),
        }
        self._send(message.context_id, response, None)


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
