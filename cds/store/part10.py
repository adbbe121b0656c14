"""The DICOM file format around a received data set (PS3.10 Section 7.1), written and read back.

The data set itself is never touched: what follows the file meta is byte for byte what arrived.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from cds.ports import Bytes

IMPLEMENTATION_CLASS_UID: Final = "2.25.79076681639585730871024002940412397121"
IMPLEMENTATION_VERSION_NAME: Final = "CDS_1"

_PREAMBLE: Final = bytes(128) + b"DICM"
_GROUP_LENGTH: Final = struct.Struct("<HH2sHI")
_LONG_FORM: Final = frozenset({b"OB", b"OW", b"UN", b"UT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMeta:
    """The elements of group 0002 that we write."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    source_ae_title: str


def encode_file_meta(meta: FileMeta) -> bytes:
    """Encode preamble (zeroed), prefix and file meta, Explicit VR Little Endian.

    The Source Application Entity Title (0002,0016) is the calling AE title of the association.
    """
    group = b"".join(
        (
            _element(0x0001, b"OB", b"\x00\x01"),
            _element(0x0002, b"UI", _uid(meta.sop_class_uid)),
            _element(0x0003, b"UI", _uid(meta.sop_instance_uid)),
            _element(0x0010, b"UI", _uid(meta.transfer_syntax_uid)),
            _element(0x0012, b"UI", _uid(IMPLEMENTATION_CLASS_UID)),
            _element(0x0013, b"SH", _padded(IMPLEMENTATION_VERSION_NAME.encode("ascii"), b" ")),
            _element(0x0016, b"AE", _padded(meta.source_ae_title.encode("ascii", "replace"), b" ")),
        )
    )
    return _PREAMBLE + _GROUP_LENGTH.pack(0x0002, 0x0000, b"UL", 4, len(group)) + group


def split_file(content: Bytes) -> tuple[FileMeta, Bytes]:
    """Take a file that `encode_file_meta` began apart: its file meta, and the data set as received.

    Raises
    ------
    ValueError
        When the file does not begin as ours do.
    """
    start = len(_PREAMBLE) + _GROUP_LENGTH.size
    if len(content) < start or content[: len(_PREAMBLE)] != _PREAMBLE:
        raise ValueError("not a file of this store: the preamble or the prefix DICM is missing")
    length = _GROUP_LENGTH.unpack_from(content, len(_PREAMBLE))[4]
    if len(content) < start + length:
        raise ValueError("not a file of this store: the file meta is cut")
    values = _elements(bytes(content[start : start + length]))

    def text(element: int) -> str:
        return values.get(element, b"").rstrip(b"\x00 ").decode("ascii", "replace")

    meta = FileMeta(
        sop_class_uid=text(0x0002),
        sop_instance_uid=text(0x0003),
        transfer_syntax_uid=text(0x0010),
        source_ae_title=text(0x0016),
    )
    return meta, content[start + length :]


def _elements(group: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 8 <= len(group):
        _, element, vr = struct.unpack_from("<HH2s", group, at)
        head, form = (12, "<I") if vr in _LONG_FORM else (8, "<H")
        if at + head > len(group):
            raise ValueError("not a file of this store: the file meta is damaged")
        (length,) = struct.unpack_from(form, group, at + head - struct.calcsize(form))
        found[element] = group[at + head : at + head + length]
        at += head + length
    return found


def _element(element: int, vr: bytes, value: bytes) -> bytes:
    if vr in _LONG_FORM:
        return struct.pack("<HH2sHI", 0x0002, element, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value


def _uid(uid: str) -> bytes:
    return _padded(uid.encode("ascii", "replace"), b"\x00")


def _padded(value: bytes, pad: bytes) -> bytes:
    return value + pad if len(value) % 2 else value
