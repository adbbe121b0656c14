"""What the service must know of an instance before anything else is believed of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from cds.dicom import elements, text
from cds.domain.records import Identity
from cds.errors import MalformedInstance
from cds.ports import Bytes

_CHARACTER_SET: Final = 0x00080005
_UIDS: Final = {
    "SOP Class UID": 0x00080016,
    "SOP Instance UID": 0x00080018,
    "Study Instance UID": 0x0020000D,
    "Series Instance UID": 0x0020000E,
}
_MODALITY, _MODEL, _SERIES_DESCRIPTION = 0x00080060, 0x00081090, 0x0008103E
_PATIENT_ID, _ISSUER, _BIRTH_DATE, _SEX = 0x00100020, 0x00100021, 0x00100030, 0x00100040
_BODY_PART, _VIEW_POSITION = 0x00180015, 0x00185101
_INSTANCE_NUMBER, _FRAMES, _ROWS, _COLUMNS = 0x00200013, 0x00280008, 0x00280010, 0x00280011
_PIXELS: Final = frozenset({0x00287FE0, 0x7FE00008, 0x7FE00009, elements.PIXEL_DATA})
WANTED: Final = frozenset(_UIDS.values()) | _PIXELS | {
    _CHARACTER_SET, _MODALITY, _MODEL, _SERIES_DESCRIPTION, _PATIENT_ID, _ISSUER, _BIRTH_DATE, _SEX,
    _BODY_PART, _VIEW_POSITION, _INSTANCE_NUMBER, _FRAMES, _ROWS, _COLUMNS,
}  # fmt: skip
"""The tags that a header is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The identity of one instance. What identifies the patient is kept out of `repr`.

    Attributes
    ----------
    sex
        ``"M"``, ``"F"``, ``"O"`` or ``""``.
    manufacturer_model_name, series_description
        By these our own results are known when a PACS sends them back.
    rows, columns, frames
        None, None and 1 where the instance is no image.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str
    patient_id: str = field(repr=False)
    issuer_of_patient_id: str = field(repr=False)
    birth_date: date | None = field(repr=False)
    sex: str = field(repr=False)
    instance_number: int | None = None
    manufacturer_model_name: str = ""
    series_description: str = ""
    body_part: str = ""
    view_position: str = ""
    rows: int | None = None
    columns: int | None = None
    frames: int = 1

    @property
    def identity(self) -> Identity:
        """Who the instance says it is about."""
        return Identity(
            patient_id=self.patient_id,
            issuer_of_patient_id=self.issuer_of_patient_id,
            birth_date=self.birth_date,
            sex=self.sex,
        )


def parse_header(data_set: Bytes, transfer_syntax_uid: str) -> Header:
    """Parse a received data set strictly, from its first to its last byte.

    Parameters
    ----------
    data_set
        As it came over the wire, without preamble and file meta.
    transfer_syntax_uid
        What the data set is encoded in; any but Implicit VR, Big Endian and Deflated is
        Explicit VR Little Endian (PS3.5 A.4).

    Raises
    ------
    MalformedInstance
        When the data set is empty, garbage or cut; when one of its four UIDs is missing or
        breaks a rule of PS3.5 Section 9.1; when it has rows and columns but no pixels. The
        message never carries a value of the data set.
    """
    if not text.uid(transfer_syntax_uid.encode("ascii", "replace")):
        raise MalformedInstance("the transfer syntax UID is no valid UID")
    with elements.inflated(data_set) if transfer_syntax_uid in elements.DEFLATED else nullcontext(data_set) as whole:
        found = elements.values(whole, transfer_syntax_uid, WANTED)
    return header_of(found, transfer_syntax_uid)


def header_of(found: Mapping[int, bytes], transfer_syntax_uid: str) -> Header:
    """Make the header from encoded values, e.g. of a file; `WANTED` are the tags to take.

    Raises
    ------
    MalformedInstance
        As `parse_header`.
    """
    uids = {name: _checked_uid(name, found.get(tag)) for name, tag in _UIDS.items()}
    rows, columns = (_unsigned(found.get(tag), transfer_syntax_uid) for tag in (_ROWS, _COLUMNS))
    if rows and columns and _PIXELS.isdisjoint(found):
        raise MalformedInstance("the data set has Rows and Columns, but ends before its Pixel Data")
    codecs = text.character_sets(found.get(_CHARACTER_SET, b""))

    def words(tag: int) -> str:
        return text.decode(found.get(tag, b""), codecs)

    sex = words(_SEX).upper()
    return Header(
        sop_class_uid=uids["SOP Class UID"],
        sop_instance_uid=uids["SOP Instance UID"],
        study_instance_uid=uids["Study Instance UID"],
        series_instance_uid=uids["Series Instance UID"],
        modality=words(_MODALITY).upper(),
        patient_id=words(_PATIENT_ID),
        issuer_of_patient_id=words(_ISSUER),
        birth_date=text.day(found.get(_BIRTH_DATE, b"")),
        sex=sex if sex in ("M", "F", "O") else "",
        instance_number=text.whole_number(found.get(_INSTANCE_NUMBER, b"")),
        manufacturer_model_name=words(_MODEL),
        series_description=words(_SERIES_DESCRIPTION),
        body_part=words(_BODY_PART).upper(),
        view_position=words(_VIEW_POSITION).upper(),
        rows=rows,
        columns=columns,
        frames=text.whole_number(found.get(_FRAMES, b"")) or 1,
    )


def _checked_uid(name: str, value: bytes | None) -> str:
    if value is None:
        raise MalformedInstance(f"{name} is missing")
    checked = text.uid(value)
    if not checked:
        raise MalformedInstance(f"{name} is no valid UID: digits and single points, at most 64, no leading zero")
    return checked


def _unsigned(value: bytes | None, transfer_syntax_uid: str) -> int | None:
    """A US value of one number."""
    if value is None or len(value) != 2:
        return None
    return int.from_bytes(value, "big" if transfer_syntax_uid == elements.EXPLICIT_VR_BIG_ENDIAN else "little")
