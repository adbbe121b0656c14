"""The DICOM file format (PS3.10 Section 7) around a data set that comes over the web."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from pydicom.dataelem import RawDataElement
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from cds.errors import MalformedInstance

MAX_META_BYTES: Final = 65_536
"""Longest preamble and file meta that is read; a few hundred bytes are usual."""

STUDY_WITHIN: Final = 1 << 20
"""How far into a data set the Study Instance UID is looked for; it stands among the first hundred elements."""

_PREFIX_AT: Final = 128
_META_AT: Final = 132
_LONG_FORM: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT"})
"""VRs whose length takes four bytes (PS3.5 7.1.2)."""

_STUDY_INSTANCE_UID: Final = Tag(0x0020, 0x000D)
_UID: Final = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMeta:
    """What the file meta says of the data set that begins at byte `data_set_at`."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set_at: int


def is_uid(text: str) -> bool:
    """Whether it is a UID (PS3.5 9.1)."""
    return 0 < len(text) <= 64 and _UID.fullmatch(text) is not None


def file_meta(head: bytes | bytearray, *, is_whole: bool) -> FileMeta | None:
    """Read preamble, prefix and file meta from the first bytes of a file.

    Parameters
    ----------
    is_whole
        Whether `head` is the whole file.

    Returns
    -------
    FileMeta or None
        None where more bytes are needed.

    Raises
    ------
    MalformedInstance
        When it is none, or its file meta lacks a UID.
    """
    if len(head) >= _META_AT and head[_PREFIX_AT:_META_AT] != b"DICM":
        raise MalformedInstance("no DICOM file: the prefix DICM is not at byte 128")
    values: dict[int, bytes] = {}
    at = _META_AT
    while at + 8 <= len(head) and head[at : at + 2] == b"\x02\x00":
        _, number, vr = struct.unpack_from("<HH2s", head, at)
        start, form = (at + 12, "<I") if vr in _LONG_FORM else (at + 8, "<H")
        if start > len(head):
            break
        (length,) = struct.unpack_from(form, head, start - struct.calcsize(form))
        values[number] = bytes(head[start : start + length])
        at = start + length
    if at + 2 > len(head) or head[at : at + 2] == b"\x02\x00":
        if is_whole or len(head) > MAX_META_BYTES:
            raise MalformedInstance("no DICOM file: it ends inside its file meta, or has no data set")
        return None
    return _meta(values, at)


def _meta(values: dict[int, bytes], data_set_at: int) -> FileMeta:
    names = {0x0002: "SOP Class UID", 0x0003: "SOP Instance UID", 0x0010: "Transfer Syntax UID"}
    found = {number: values.get(number, b"").rstrip(b"\x00 ").decode("latin-1") for number in names}
    for number, name in names.items():
        if not is_uid(found[number]):
            raise MalformedInstance(f"the file meta names no valid {name}")
    return FileMeta(
        sop_class_uid=found[0x0002],
        sop_instance_uid=found[0x0003],
        transfer_syntax_uid=found[0x0010],
        data_set_at=data_set_at,
    )


def study_instance_uid(data_set: bytes | bytearray | memoryview, transfer_syntax_uid: str) -> str:
    """Read Study Instance UID (0020,000D) from the beginning of a data set; ``""`` where it is not to be found."""
    syntax = UID(transfer_syntax_uid)
    data_set = data_set[:STUDY_WITHIN]
    try:
        if syntax == DeflatedExplicitVRLittleEndian:
            data_set = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data_set, STUDY_WITHIN)
        found = read_dataset(
            BytesIO(data_set),
            syntax.is_implicit_VR if not syntax.is_private else False,
            syntax.is_little_endian if not syntax.is_private else True,
            stop_when=lambda tag, vr, length: tag > _STUDY_INSTANCE_UID,
            specific_tags=[_STUDY_INSTANCE_UID],
        )
    except (InvalidDicomError, ValueError, KeyError, EOFError, OSError, struct.error, zlib.error, RecursionError):
        return ""  # whoever checks the whole data set says what is wrong with it
    element = found.get_item(_STUDY_INSTANCE_UID)
    value = element.value if isinstance(element, RawDataElement) else b""  # raw: pydicom warns of values that are odd
    uid = value.rstrip(b"\x00 ").decode("latin-1") if isinstance(value, bytes) else ""
    return uid if is_uid(uid) else ""
