"""DIMSE messages out of P-DATA, in whatever pieces they come (PS3.7 6.3.1, PS3.8 9.3.5 and Annex E)."""

from __future__ import annotations

from typing import Final, Protocol

from cds_pacs.pdu import COMMAND, HEADER, LAST, VALUE_HEADER, Pdu, p_data
from cds_pacs.scp.wire import Fault, Gone, ProtocolError, Wire

_COMMAND_BYTES: Final = 1 << 14
_SLACK: Final = 12
"""Some senders take the longest PDU for the longest payload."""


class Released(Exception):
    """The peer asked to release the association."""


class DataSetSink(Protocol):
    """Takes a data set part by part."""

    def room(self, size: int) -> memoryview:
        """Where the next `size` bytes go; `wire.AHEAD` longer."""

    def add(self, size: int) -> None:
        """They are there."""


class Messages:
    """The messages of one association."""

    def __init__(self, wire: Wire, *, longest_received: int, longest_sent: int) -> None:
        self._wire = wire
        self._longest = longest_received + _SLACK
        self._payload = max(1, longest_sent - VALUE_HEADER.size) if longest_sent else _COMMAND_BYTES
        self._left = 0
        self._length = 0
        self._context_id = 0
        self._control = 0

    def command(self) -> tuple[int, bytes]:
        """Presentation context ID and command set of the next message.

        Raises
        ------
        Released
            When the peer has no more.
        ProtocolError, TooSlow, Gone, Leaving
            When the association cannot go on.
        """
        self._wire.wait()
        self._next()
        context_id, content = self._context_id, b""
        while True:
            self._must(command=True, context_id=context_id)
            if len(content) + self._length > _COMMAND_BYTES:
                raise ProtocolError(Fault.NOT_SPECIFIED, "a command set without an end")
            content += self._wire.read(self._length)
            if self._control & LAST:
                return context_id, content
            self._next()

    def data_set(self, context_id: int, sink: DataSetSink) -> None:
        """Read the data set that follows a command. Errors as in `command`."""
        wire, last = self._wire, 0
        while not last:
            self._next()
            self._must(command=False, context_id=context_id)
            length, last = self._length, self._control & LAST
            if length:
                wire.read_into(sink.room(length), length)
                sink.add(length)

    def send(self, context_id: int, command_set: bytes) -> None:
        """Send a command set, in as many PDUs as the peer's longest asks for."""
        size, parts = self._payload, []
        for at in range(0, len(command_set), size):
            part = command_set[at : at + size]
            control = COMMAND | (LAST if at + size >= len(command_set) else 0)
            parts.append(p_data(context_id, control, part))
        self._wire.send(b"".join(parts))

    def _must(self, *, command: bool, context_id: int) -> None:
        if bool(self._control & COMMAND) is not command or self._context_id != context_id:
            raise ProtocolError(Fault.NOT_SPECIFIED, "a message that breaks into another")

    def _next(self) -> None:
        """Read the head of the next presentation data value."""
        if not self._left:
            self._left = self._next_pdu()
        if self._left < VALUE_HEADER.size:
            raise ProtocolError(Fault.INVALID_PARAMETER, "a P-DATA-TF PDU with a remainder")
        length, self._context_id, self._control = VALUE_HEADER.unpack(self._wire.head(VALUE_HEADER.size))
        self._left -= length + 4
        if length < 2 or self._left < 0:
            raise ProtocolError(Fault.INVALID_PARAMETER, "a presentation data value that is longer than its PDU")
        self._length = length - 2

    def _next_pdu(self) -> int:
        """Read the head of the next P-DATA-TF; its length."""
        kind, length = HEADER.unpack(self._wire.head(HEADER.size))
        self._wire.expect(length)
        if kind != Pdu.DATA:
            raise _other(kind, length)
        if not 0 < length <= self._longest:
            raise ProtocolError(Fault.INVALID_PARAMETER, f"a P-DATA-TF PDU of {length} bytes")
        return int(length)


def _other(kind: int, length: int) -> Exception:
    if kind in (Pdu.RELEASE_RQ, Pdu.ABORT):
        if length != 4:
            return ProtocolError(Fault.INVALID_PARAMETER, "a PDU of the wrong length")
        return Released() if kind == Pdu.RELEASE_RQ else Gone()
    known = kind in Pdu.__members__.values()
    return ProtocolError(Fault.UNEXPECTED_PDU if known else Fault.UNRECOGNIZED_PDU, f"a PDU of type 0x{kind:02X}")
