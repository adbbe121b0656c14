"""Command sets of DIMSE messages (PS3.7 6.3, Annex E): Implicit VR Little Endian, group 0000, a dozen elements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct, pack
from typing import Final

Command = Mapping[int, int | str]
"""Element number in group 0000 -> value."""

AFFECTED_CLASS: Final = 0x0002
REQUESTED_CLASS: Final = 0x0003
FIELD: Final = 0x0100
MESSAGE_ID: Final = 0x0110
RESPONDS_TO: Final = 0x0120
MOVE_DESTINATION: Final = 0x0600
PRIORITY: Final = 0x0700
DATA_SET_TYPE: Final = 0x0800
STATUS: Final = 0x0900
COMMENT: Final = 0x0902
AFFECTED_INSTANCE: Final = 0x1000
REQUESTED_INSTANCE: Final = 0x1001
EVENT_TYPE: Final = 0x1002
ACTION_TYPE: Final = 0x1008
COMPLETED: Final = 0x1021
FAILED: Final = 0x1022
WITH_WARNING: Final = 0x1023

NO_DATA_SET: Final = 0x0101
WITH_DATA_SET: Final = 0x0001
RESPONSE: Final = 0x8000
"""A response's Command Field is its request's plus this (PS3.7 E.1)."""
MEDIUM_PRIORITY, LOWEST_PRIORITY = 0, 2

_TITLES: Final = frozenset({MOVE_DESTINATION, COMMENT})
"""Padded with a space; UIDs are with a zero byte."""
_TEXTS: Final = _TITLES | {AFFECTED_CLASS, REQUESTED_CLASS, AFFECTED_INSTANCE, REQUESTED_INSTANCE}
_ELEMENT: Final = Struct("<HHL")
_UID_BYTES: Final = 64
_COMMENT_BYTES: Final = 64
"""Error Comment (0000,0902) is LO."""


class Field(IntEnum):
    """Command fields that we have something to say to (PS3.7 table E.1-1)."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    C_CANCEL = 0x0FFF


@dataclass(frozen=True, slots=True)
class Request:
    """A request; UIDs are ``""`` and types None where it has none."""

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str
    sop_instance_uid: str
    event_type: int | None
    action_type: int | None


def encode(command: Command) -> bytes:
    """The command set, with its group length."""
    return _grouped(b"".join(_element(element, command[element]) for element in sorted(command)))


def decode(content: bytes) -> Command:
    """The elements of text and of two bytes; others are passed over.

    Raises
    ------
    ValueError
        When it is no command set.
    """
    command: dict[int, int | str] = {}
    for element, value in _elements(content).items():
        if element in _TEXTS:
            command[element] = _text(value)
        elif len(value) == 2:
            command[element] = int.from_bytes(value, "little")
    return command


def number(command: Command, element: int) -> int | None:
    """A value of VR US; None where it is missing."""
    value = command.get(element)
    return value if isinstance(value, int) else None


def read_request(content: bytes) -> Request:
    """Read the command set of a request.

    Raises
    ------
    ValueError
        When it is no command set, or none of a request.
    """
    elements = _elements(content)
    field = _number(elements, FIELD)
    if field is None or (field & RESPONSE and field != Field.C_CANCEL):
        raise ValueError("a command set that is no request")
    message_id = _number(elements, RESPONDS_TO if field == Field.C_CANCEL else MESSAGE_ID)
    data_set_type = _number(elements, DATA_SET_TYPE)
    if message_id is None or data_set_type is None:
        raise ValueError("a command set without message ID or data set type")
    return Request(
        field,
        message_id,
        data_set_type != NO_DATA_SET,
        _uid(elements, AFFECTED_CLASS, REQUESTED_CLASS),
        _uid(elements, AFFECTED_INSTANCE, REQUESTED_INSTANCE),
        _number(elements, EVENT_TYPE),
        _number(elements, ACTION_TYPE),
    )


def response(request: Request, status: int, comment: str = "") -> bytes:
    """Write the response to a request: the same message, UIDs and types (PS3.7 9.3, 10.3)."""
    return _grouped(
        b"".join(
            (
                _uid_element(AFFECTED_CLASS, request.sop_class_uid),
                pack("<HHLHHHLHHHLHHHLH", 0, FIELD, 2, request.field | RESPONSE, 0, RESPONDS_TO, 2, request.message_id,
                     0, DATA_SET_TYPE, 2, NO_DATA_SET, 0, STATUS, 2, status),
                _text_element(COMMENT, comment.encode("ascii", "replace")[:_COMMENT_BYTES], b" ") if comment else b"",
                _uid_element(AFFECTED_INSTANCE, request.sop_instance_uid),
                b"" if request.event_type is None else pack("<HHLH", 0, EVENT_TYPE, 2, request.event_type),
                b"" if request.action_type is None else pack("<HHLH", 0, ACTION_TYPE, 2, request.action_type),
            )
        )
    )  # fmt: skip


def _elements(content: bytes) -> dict[int, bytes]:
    elements: dict[int, bytes] = {}
    at, end = 0, len(content)
    while at < end:
        if end - at < 8:
            raise ValueError("a truncated command set")
        group, element, length = _ELEMENT.unpack_from(content, at)
        at += 8
        if group or length > end - at:
            raise ValueError("a malformed command set")
        elements[element] = content[at : at + length]
        at += length
    return elements


def _number(elements: dict[int, bytes], element: int) -> int | None:
    content = elements.get(element, b"")
    return int.from_bytes(content, "little") if len(content) == 2 else None


def _uid(elements: dict[int, bytes], *names: int) -> str:
    """Whatever stands there: the intake judges it."""
    return _text(next((elements[name] for name in names if name in elements), b""))


def _text(content: bytes) -> str:
    return content.decode("latin-1").rstrip("\0 ")


def _grouped(content: bytes) -> bytes:
    return pack("<HHLL", 0, 0, 4, len(content)) + content


def _element(element: int, value: int | str) -> bytes:
    if isinstance(value, int):
        return pack("<HHLH", 0, element, 2, value)
    return _text_element(element, value.encode("latin-1"), b" " if element in _TITLES else b"\0")


def _uid_element(element: int, uid: str) -> bytes:
    if not uid or len(uid) > _UID_BYTES:
        return b""
    return _text_element(element, uid.encode("latin-1"), b"\0")


def _text_element(element: int, content: bytes, padding: bytes) -> bytes:
    if len(content) % 2:
        content += padding
    return _ELEMENT.pack(0, element, len(content)) + content
