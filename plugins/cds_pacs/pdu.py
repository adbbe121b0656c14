"""The upper layer's protocol data units, as both sides write and read them (PS3.8 9.3)."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
"""DICOM's own, the only one there is (PS3.7 A.2.1)."""

IMPLEMENTATION_CLASS_UID: Final = "2.25.79076681639585730871024002940412397121"
IMPLEMENTATION_VERSION_NAME: Final = "CDS_1"
"""Who wrote a message or a file (PS3.7 D.3.3.2); the host writes the same into the files that it keeps."""


class Pdu(IntEnum):
    """PDU types (PS3.8 table 9-11 and following)."""

    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    DATA = 0x04
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


HEADER: Final = Struct(">BxL")
"""Type and length of a PDU."""
VALUE_HEADER: Final = Struct(">LBB")
"""Length, presentation context and message control header of a presentation data value (PS3.8 9.3.5.1)."""
COMMAND, LAST = 0x01, 0x02
"""Bits of the message control header (PS3.8 table E.2-1)."""


def pdu(kind: int, content: bytes) -> bytes:
    """A PDU of any type."""
    return HEADER.pack(kind, len(content)) + content


def p_data(context_id: int, control: int, part: bytes) -> bytes:
    """A P-DATA-TF with one presentation data value (PS3.8 9.3.5)."""
    length = len(part)
    return HEADER.pack(Pdu.DATA, length + 6) + VALUE_HEADER.pack(length + 2, context_id, control) + part


def reject(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    return pdu(Pdu.ASSOCIATE_RJ, bytes((0, result, source, reason)))


def abort(source: int, reason: int) -> bytes:
    """An A-ABORT (PS3.8 table 9-26)."""
    return pdu(Pdu.ABORT, bytes((0, 0, source, reason)))


RELEASE_REQUEST: Final = pdu(Pdu.RELEASE_RQ, bytes(4))
RELEASE_RESPONSE: Final = pdu(Pdu.RELEASE_RP, bytes(4))
