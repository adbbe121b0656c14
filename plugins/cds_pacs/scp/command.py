"""Command sets: requests read, responses written (PS3.7 6.3, 9.3, 10.3, Annex E)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct, pack
from typing import Final

from cds_pacs.scp.wire import Fault, ProtocolError

_ELEMENT: Final = Struct("<HHL")
_NO_DATA_SET: Final = 0x0101
_RESPONSE: Final = 0x8000
_UID_BYTES: Final = 64
_COMMENT_BYTES: Final = 64
"""Error Comment (0000,0902) is LO."""

_AFFECTED_CLASS, _REQUESTED_CLASS, _FIELD, _MESSAGE_ID, _ANSWERED_ID = 0x0002, 0x0003, 0x0100, 0x0110, 0x0120
_DATA_SET_TYPE, _STATUS, _COMMENT = 0x0800, 0x0900, 0x0902
_AFFECTED_INSTANCE, _REQUESTED_INSTANCE, _EVENT_TYPE, _ACTION_TYPE = 0x1000, 0x1001, 0x1002, 0x1008


class Field(IntEnum):
    """Command fields that we have something to say to (PS3.7 table E.1-1)."""

    C_STORE = 0x0001
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    C_CANCEL = 0x0FFF


@dataclass(frozen=True, slots=True)
class Command:
    """A request; UIDs are ``""`` and types None where it has none."""

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str
    sop_instance_uid: str
    event_type: int | None
    action_type: int | None


def read_command(content: bytes) -> Command:
    """Read a command set: Implicit VR Little Endian, group 0000.

    Raises
    ------
    ProtocolError
        When it is no command set, or none of a request.
    """
    elements = _elements(content)
    field = _number(elements, _FIELD)
    if field is None or (field & _RESPONSE and field != Field.C_CANCEL):
        raise ProtocolError(Fault.NOT_SPECIFIED, "a command set that is no request")
    message_id = _number(elements, _ANSWERED_ID if field == Field.C_CANCEL else _MESSAGE_ID)
    data_set_type = _number(elements, _DATA_SET_TYPE)
    if message_id is None or data_set_type is None:
        raise ProtocolError(Fault.NOT_SPECIFIED, "a command set without message ID or data set type")
    return Command(
        field,
        message_id,
        data_set_type != _NO_DATA_SET,
        _uid(elements, _AFFECTED_CLASS, _REQUESTED_CLASS),
        _uid(elements, _AFFECTED_INSTANCE, _REQUESTED_INSTANCE),
        _number(elements, _EVENT_TYPE),
        _number(elements, _ACTION_TYPE),
    )


def _elements(content: bytes) -> dict[int, bytes]:
    elements: dict[int, bytes] = {}
    at, end = 0, len(content)
    while at < end:
        if end - at < 8:
            raise ProtocolError(Fault.NOT_SPECIFIED, "a truncated command set")
        group, element, length = _ELEMENT.unpack_from(content, at)
        at += 8
        if group or length > end - at:
            raise ProtocolError(Fault.NOT_SPECIFIED, "a malformed command set")
        elements[element] = content[at : at + length]
        at += length
    return elements


def _number(elements: dict[int, bytes], element: int) -> int | None:
    content = elements.get(element, b"")
    return int.from_bytes(content, "little") if len(content) == 2 else None


def _uid(elements: dict[int, bytes], *names: int) -> str:
    """Whatever stands there: the intake judges it."""
    content = next((elements[name] for name in names if name in elements), b"")
    return content.decode("latin-1").rstrip("\0 ")


def response(command: Command, status: int, comment: str = "") -> bytes:
    """Write the response to a request: the same message, UIDs and types (PS3.7 9.3, 10.3)."""
    content = b"".join(
        (
            _uid_element(_AFFECTED_CLASS, command.sop_class_uid),
            pack("<HHLHHHLHHHLHHHLH", 0, _FIELD, 2, command.field | _RESPONSE, 0, _ANSWERED_ID, 2, command.message_id,
                 0, _DATA_SET_TYPE, 2, _NO_DATA_SET, 0, _STATUS, 2, status),
            _text_element(_COMMENT, comment.encode("ascii", "replace")[:_COMMENT_BYTES], b" ") if comment else b"",
            _uid_element(_AFFECTED_INSTANCE, command.sop_instance_uid),
            b"" if command.event_type is None else pack("<HHLH", 0, _EVENT_TYPE, 2, command.event_type),
            b"" if command.action_type is None else pack("<HHLH", 0, _ACTION_TYPE, 2, command.action_type),
        )
    )  # fmt: skip
    return pack("<HHLL", 0, 0, 4, len(content)) + content


def _uid_element(element: int, uid: str) -> bytes:
    if not uid or len(uid) > _UID_BYTES:
        return b""
    return _text_element(element, uid.encode("latin-1"), b"\0")


def _text_element(element: int, content: bytes, padding: bytes) -> bytes:
    if len(content) % 2:
        content += padding
    return _ELEMENT.pack(0, element, len(content)) + content
