"""A bare SCU: says byte for byte what it is told, also what no proper one would say."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from struct import Struct, pack
from typing import Final, Self

from cds_pacs.contexts import EXPLICIT_VR_LITTLE_ENDIAN

CT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
RELEASE_RQ: Final = pack(">BxLL", 5, 4, 0)
LAST, COMMAND = 2, 1
_PDU: Final = Struct(">BxL")


def item(kind: int, content: bytes) -> bytes:
    """An item of an association PDU (PS3.8 9.3.2)."""
    return pack(">BxH", kind, len(content)) + content


def context(context_id: int, abstract_syntax: str, transfer_syntaxes: Iterable[str]) -> bytes:
    """A proposed presentation context."""
    parts = [item(0x40, syntax.encode()) for syntax in transfer_syntaxes]
    return item(0x20, bytes((context_id, 0, 0, 0)) + item(0x30, abstract_syntax.encode()) + b"".join(parts))


def association_request(
    *contexts: bytes, user: bytes = b"", max_pdu: int = 16384, calling: str = "MODALITY", called: str = "CDS"
) -> bytes:
    """An A-ASSOCIATE-RQ; for one context of CT images where none is given."""
    body = pack(">HH16s16s32x", 1, 0, called.encode().ljust(16), calling.encode().ljust(16))
    body += item(0x10, APPLICATION_CONTEXT.encode())
    body += b"".join(contexts or (context(1, CT_IMAGE, [EXPLICIT_VR_LITTLE_ENDIAN]),))
    body += item(0x50, item(0x51, pack(">L", max_pdu)) + item(0x52, b"2.25.1") + user)
    return _PDU.pack(1, len(body)) + body


def command_set(*elements: tuple[int, bytes | int | str]) -> bytes:
    """A command set of elements of group 0000: numbers are US, text is UI."""
    content = b"".join(pack("<HHL", 0, number, len(value)) + value for number, value in map(_encoded, elements))
    return pack("<HHLL", 0, 0, 4, len(content)) + content


def _encoded(element: tuple[int, bytes | int | str]) -> tuple[int, bytes]:
    number, value = element
    if isinstance(value, int):
        return number, pack("<H", value)
    if isinstance(value, str):
        value = value.encode("latin-1")
        return number, value + b"\0" * (len(value) % 2)
    return number, value


def store_command(sop_instance_uid: str, sop_class_uid: str = CT_IMAGE, message_id: int = 1) -> bytes:
    """A C-STORE-RQ (PS3.7 9.3.1.1)."""
    return command_set(
        (0x0002, sop_class_uid), (0x0100, 1), (0x0110, message_id), (0x0700, 0), (0x0800, 0), (0x1000, sop_instance_uid)
    )


def value(content: bytes, control: int, context_id: int = 1) -> bytes:
    """A presentation data value item (PS3.8 9.3.5.1)."""
    return pack(">LBB", len(content) + 2, context_id, control) + content


def p_data(*values: bytes) -> bytes:
    """A P-DATA-TF PDU."""
    content = b"".join(values)
    return _PDU.pack(4, len(content)) + content


def message(command: bytes, data_set: bytes | None = None, *, payload: int = 131_066, context_id: int = 1) -> bytes:
    """A message as most send it: one value in each PDU."""
    pdus = [p_data(value(command, COMMAND | LAST, context_id))]
    if data_set is not None:
        for at in range(0, max(1, len(data_set)), payload):
            control = LAST if at + payload >= len(data_set) else 0
            pdus.append(p_data(value(data_set[at : at + payload], control, context_id)))
    return b"".join(pdus)


class BareScu:
    """A connection on which anything can be said.

    Examples
    --------
    ::

        with BareScu(port) as scu:
            scu.associate()
            status = scu.store("2.25.1", data_set)
    """

    def __init__(self, port: int, *, seconds: float = 60, sock: socket.socket | None = None) -> None:
        self.sock = sock or socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.sock.close()

    def say(self, *contents: bytes) -> None:
        """Send bytes."""
        for content in contents:
            self.sock.sendall(content)

    def hear(self) -> tuple[int, bytes]:
        """The next PDU: type and content; ``(0, b"")`` where the connection is closed."""
        head = self._exactly(6)
        if not head:
            return 0, b""
        kind, length = _PDU.unpack(head)
        return kind, self._exactly(length)

    def associate(self, request: bytes | None = None) -> bytes:
        """Ask for an association; the content of the A-ASSOCIATE-AC."""
        self.say(association_request() if request is None else request)
        kind, content = self.hear()
        assert kind == 2, f"no association, but a PDU of type {kind}: {content.hex()}"
        return content

    def response(self) -> dict[int, bytes]:
        """The next response: its elements of group 0000."""
        content, last = b"", False
        while not last:
            kind, pdu = self.hear()
            assert kind == 4, f"no response, but a PDU of type {kind}: {pdu.hex()}"
            last = bool(pdu[5] & LAST)
            content += pdu[6:]
        return elements(content)

    def status(self) -> int:
        """The status of the next response."""
        return int.from_bytes(self.response()[0x0900], "little")

    def store(self, sop_instance_uid: str, data_set: bytes, *, payload: int = 131_066) -> int:
        """Send an instance; the status of the response."""
        self.say(message(store_command(sop_instance_uid), data_set, payload=payload))
        return self.status()

    def echo(self, context_id: int = 1) -> int:
        """Send a C-ECHO; the status of the response."""
        command = command_set((0x0002, "1.2.840.10008.1.1"), (0x0100, 0x30), (0x0110, 7), (0x0800, 0x0101))
        self.say(message(command, context_id=context_id))
        return self.status()

    def release(self) -> None:
        """Release the association and close the connection."""
        self.say(RELEASE_RQ)
        kind, _ = self.hear()
        assert kind == 6, f"no release, but a PDU of type {kind}"
        self.sock.close()

    def _exactly(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            part = self.sock.recv(size)
            if not part:
                return b""
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def elements(command: bytes | Sequence[int]) -> dict[int, bytes]:
    """The elements of a command set, by their number in group 0000."""
    content, found, at = bytes(command), {}, 0
    while at < len(content):
        number, length = (
            int.from_bytes(content[at + 2 : at + 4], "little"),
            int.from_bytes(content[at + 4 : at + 8], "little"),
        )
        found[number] = content[at + 8 : at + 8 + length]
        at += 8 + length
    return found
