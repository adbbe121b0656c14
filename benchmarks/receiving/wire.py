"""The few PDUs that a benchmark needs, by hand: PS3.8 section 9.3, PS3.7 sections 9.3 and E.1."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

VERIFICATION: Final = "1.2.840.10008.1.1"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
_APPLICATION_CONTEXT: Final = b"1.2.840.10008.3.1.1.1"
_IMPLEMENTATION: Final = b"2.25.302043790172249692526321623266752743501"

ASSOCIATE_RQ, ASSOCIATE_AC, P_DATA, RELEASE_RQ, RELEASE_RP = 0x01, 0x02, 0x04, 0x05, 0x06
NO_DATA_SET: Final = 0x0101
_COMMAND_AND_LAST, _DATA, _DATA_LAST = 0x03, 0x00, 0x02
_HEADER: Final = struct.Struct(">BBI")
_PDV: Final = struct.Struct(">IBB")


class WireError(Exception):
    """The other side said something else than what a benchmark can go on with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What an A-ASSOCIATE-AC says: the longest P-DATA body in bytes, and the accepted contexts."""

    max_pdu_bytes: int
    contexts: frozenset[int]


def pdu(kind: int, body: bytes) -> bytes:
    """One PDU with its header."""
    return _HEADER.pack(kind, 0, len(body)) + body


def associate_request(called: str, calling: str, contexts: Iterable[tuple[int, str]], max_pdu_bytes: int) -> bytes:
    """An A-ASSOCIATE-RQ (PS3.8 table 9-11); every context in Explicit VR Little Endian."""
    body = struct.pack(">HH", 1, 0) + called.encode().ljust(16) + calling.encode().ljust(16) + bytes(32)
    body += item(0x10, _APPLICATION_CONTEXT)
    for number, sop_class in contexts:
        syntaxes = item(0x30, sop_class.encode()) + item(0x40, EXPLICIT_LITTLE.encode())
        body += item(0x20, bytes((number, 0, 0, 0)) + syntaxes)
    body += item(0x50, item(0x51, struct.pack(">I", max_pdu_bytes)) + item(0x52, _IMPLEMENTATION))
    return pdu(ASSOCIATE_RQ, body)


def read_accept(body: bytes) -> Accepted:
    """Read an A-ASSOCIATE-AC (PS3.8 table 9-17) without its header."""
    max_pdu_bytes, contexts = 0, set()
    for kind, value in items(body[68:]):
        if kind == 0x21 and value[2] == 0:
            contexts.add(value[0])
        elif kind == 0x50:
            lengths = [struct.unpack(">I", inner)[0] for sub, inner in items(value) if sub == 0x51]
            max_pdu_bytes = lengths[0] if lengths else 0
    return Accepted(max_pdu_bytes=max_pdu_bytes, contexts=frozenset(contexts))


def store_request(sop_class: str, sop_instance: str, message_id: int) -> bytes:
    """The command set of a C-STORE-RQ (PS3.7 table 9.3-1)."""
    return _command(
        (0x0002, _uid(sop_class)),
        (0x0100, _short(0x0001)),
        (0x0110, _short(message_id)),
        (0x0700, _short(0)),
        (0x0800, _short(0x0001)),
        (0x1000, _uid(sop_instance)),
    )


def echo_request(message_id: int) -> bytes:
    """The command set of a C-ECHO-RQ (PS3.7 table 9.3-12)."""
    return _command(
        (0x0002, _uid(VERIFICATION)),
        (0x0100, _short(0x0030)),
        (0x0110, _short(message_id)),
        (0x0800, _short(NO_DATA_SET)),
    )


def answer(request: dict[int, bytes], status: int = 0) -> bytes:
    """The command set that answers a C-STORE-RQ or C-ECHO-RQ (PS3.7 tables 9.3-2 and 9.3-13)."""
    command = struct.unpack("<H", request[0x0100])[0]
    elements = [
        (0x0002, request[0x0002]),
        (0x0100, _short(command | 0x8000)),
        (0x0120, request[0x0110]),
        (0x0800, _short(NO_DATA_SET)),
        (0x0900, _short(status)),
    ]
    return _command(*elements, *([(0x1000, request[0x1000])] if 0x1000 in request else []))


def read_command(command: bytes) -> dict[int, bytes]:
    """Element number to value of a command set (group 0000, Implicit VR Little Endian)."""
    found, at = {}, 0
    while at < len(command):
        group, element, length = struct.unpack_from("<HHI", command, at)
        if group or at + 8 + length > len(command):
            raise WireError("no command set")
        found[element] = command[at + 8 : at + 8 + length]
        at += 8 + length
    return found


def message(context: int, command: bytes, data_set: bytes, max_pdu_bytes: int) -> bytearray:
    """Command and data set as P-DATA-TF PDUs of one PDV each, none longer than the receiver allows (0: any length)."""
    whole = bytearray(command_pdu(context, command))
    step = (max_pdu_bytes or len(data_set) + 6) - 6
    for start in range(0, len(data_set), step):
        piece = data_set[start : start + step]
        flags = _DATA_LAST if start + step >= len(data_set) else _DATA
        whole += _HEADER.pack(P_DATA, 0, len(piece) + 6) + _PDV.pack(len(piece) + 2, context, flags) + piece
    return whole


def command_pdu(context: int, command: bytes) -> bytes:
    """A command set as one P-DATA-TF PDU."""
    return pdu(P_DATA, _PDV.pack(len(command) + 2, context, _COMMAND_AND_LAST) + command)


def read_pdu(connection: socket.socket) -> tuple[int, bytes]:
    """Type and body of the next PDU."""
    kind, _, length = _HEADER.unpack(_exactly(connection, _HEADER.size))
    return kind, _exactly(connection, length)


def read_status(connection: socket.socket) -> int:
    """The status (0000,0900) of the next answer."""
    command, last = b"", False
    while not last:
        kind, body = read_pdu(connection)
        if kind != P_DATA:
            raise WireError(f"PDU of type {kind} instead of an answer")
        length, _, flags = _PDV.unpack_from(body)
        command += body[6 : 4 + length]
        last = bool(flags & 0x02)
    return int(struct.unpack("<H", read_command(command)[0x0900])[0])


def _exactly(connection: socket.socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        part = connection.recv(length - len(received))
        if not part:
            raise WireError("the connection was closed")
        received += part
    return bytes(received)


def item(kind: int, value: bytes) -> bytes:
    """An item or sub-item of an A-ASSOCIATE PDU."""
    return struct.pack(">BBH", kind, 0, len(value)) + value


def items(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each item."""
    at = 0
    while at + 4 <= len(body):
        kind, _, length = struct.unpack_from(">BBH", body, at)
        yield kind, body[at + 4 : at + 4 + length]
        at += 4 + length


def _command(*elements: tuple[int, bytes]) -> bytes:
    encoded = b"".join(struct.pack("<HHI", 0, number, len(value)) + value for number, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(encoded)) + encoded


def _uid(value: str) -> bytes:
    return value.encode() + b"\x00" * (len(value) % 2)


def _short(value: int) -> bytes:
    return struct.pack("<H", value)
