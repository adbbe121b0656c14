"""Command sets of DIMSE messages (PS3.7 6.3, Annex E): Implicit VR Little Endian, group 0000, a dozen elements."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

Command = Mapping[int, int | str]
"""Element number in group 0000 -> value."""

AFFECTED_CLASS: Final = 0x0002
REQUESTED_CLASS: Final = 0x0003
FIELD: Final = 0x0100
MESSAGE_ID: Final = 0x0110
RESPONDS_TO: Final = 0x0120
PRIORITY: Final = 0x0700
DATA_SET_TYPE: Final = 0x0800
STATUS: Final = 0x0900
COMMENT: Final = 0x0902
AFFECTED_INSTANCE: Final = 0x1000
REQUESTED_INSTANCE: Final = 0x1001
EVENT_TYPE: Final = 0x1002
ACTION_TYPE: Final = 0x1008

NO_DATA_SET: Final = 0x0101
WITH_DATA_SET: Final = 0x0001

_TEXTS: Final = frozenset({AFFECTED_CLASS, REQUESTED_CLASS, COMMENT, AFFECTED_INSTANCE, REQUESTED_INSTANCE})
_GROUP_LENGTH: Final = 0x0000
_HEADER: Final = struct.Struct("<HHI")


class Field(IntEnum):
    """Command Field (0000,0100); a response is its request plus 0x8000 (PS3.7 E.1)."""

    C_STORE = 0x0001
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_ACTION = 0x0130


RESPONSE: Final = 0x8000

_SHORTS: Final = MappingProxyType(
    dict.fromkeys((FIELD, MESSAGE_ID, RESPONDS_TO, PRIORITY, DATA_SET_TYPE, STATUS, EVENT_TYPE, ACTION_TYPE), "<H")
)


def encode(command: Command) -> bytes:
    """The command set, with its group length."""
    body = b"".join(_element(number, command[number]) for number in sorted(command))
    return _HEADER.pack(0, _GROUP_LENGTH, 4) + struct.pack("<I", len(body)) + body


def decode(encoded: bytes) -> Command:
    """The elements that are known here; others are passed over.

    Raises
    ------
    ValueError
        When it is no command set.
    """
    command: dict[int, int | str] = {}
    at = 0
    while at < len(encoded):
        if len(encoded) - at < _HEADER.size:
            raise ValueError("the command set ends within an element")
        group, number, length = _HEADER.unpack_from(encoded, at)
        at += _HEADER.size
        value = encoded[at : at + length]
        if group != 0 or len(value) != length:
            raise ValueError("the command set is not one of group 0000, or ends within a value")
        at += length
        if number in _TEXTS:
            command[number] = value.decode("ascii", "replace").rstrip("\x00 ")
        elif number in _SHORTS and length == 2:
            command[number] = int.from_bytes(value, "little")
    return command


def number(command: Command, element: int) -> int | None:
    """A value of VR US; None where it is missing."""
    value = command.get(element)
    return value if isinstance(value, int) else None


def _element(number: int, value: int | str) -> bytes:
    if isinstance(value, int):
        encoded = struct.pack(_SHORTS[number], value)
    else:
        encoded = value.encode("ascii")
        encoded += b"\x00" * (len(encoded) % 2)
    return _HEADER.pack(0, number, len(encoded)) + encoded
