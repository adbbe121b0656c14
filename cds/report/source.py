"""The patient and study module of the images, decoded to Unicode and held to the standard's value rules."""

from __future__ import annotations

import re
import struct
import warnings
from dataclasses import dataclass
from typing import Final

from pydicom import charset, config, dcmread
from pydicom.datadict import dictionary_description, dictionary_has_tag, dictionary_VM, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from cds.domain.report import Report
from cds.domain.study import Instance
from cds.errors import ReportError
from cds.report.validity import valid

PATIENT_AND_STUDY: Final = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientSex",
    "OtherPatientNames",
    "OtherPatientIDsSequence",
    "EthnicGroup",
    "PatientComments",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName",
    "ProcedureCodeSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
)
"""The Patient, General Study and Patient Study modules (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2), as far as
they identify or describe."""

TYPE_2: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Must stand in what we write, empty where the source does not say."""

UNREADABLE: Final = (
    ArithmeticError, AttributeError, BytesLengthException, EOFError, InvalidDicomError, LookupError, OSError,
    RuntimeError, TypeError, ValueError, struct.error,
)  # fmt: skip
"""What pydicom and its decoders raise on a file that is gone, cut or no DICOM, on broken values and broken pixels."""

TEXT_VRS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""Value representations that Specific Character Set applies to (PS3.5 6.1.2.3)."""

DELIMITERS: Final = {0x0A, 0x0C, 0x0D, 0x09, 0x5C, 0x5E, 0x3D}
"""Characters that switch a code extension back to the first character set (PS3.5 6.1.2.5.3)."""

ESCAPES: Final = re.compile("\x1b[ -/]*[0-~]")
"""Escape sequences (ISO/IEC 2022) that Python's GB2312 codec leaves in what it decoded."""

CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
"""What no text may hold (PS3.5 6.1.3); a name of control characters must not act on a screen."""

CODE_VALUE: Final = 0x00080100
"""Code Value (SH); a longer one stands in Long Code Value (PS3.3 8.1)."""

STANDALONE: Final = frozenset({"ISO_IR 192", "GB18030", "GBK"})
"""Character sets that stand alone: beside code extensions they win."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHeader:
    """What the encodings copy from the images.

    `timezone` is Timezone Offset From UTC (0008,0201), e.g. ``"+0800"``, ``""`` where not stated;
    `procedure` is the first Procedure Code (0008,1032) as (value, scheme, meaning); `notes` are English
    sentences, one for each attribute whose value broke a rule of DICOM, on what became of it.
    """

    elements: Dataset
    timezone: str
    procedure: tuple[str, str, str] | None
    notes: tuple[str, ...] = ()

    def text(self, keyword: str) -> str:
        """One attribute as text, ``""`` where it is absent or empty."""
        value = self.elements.get(keyword)
        return "" if value is None else str(value)


def read_header(report: Report) -> SourceHeader:
    """The patient and study module of the first readable instance.

    A value that breaks a rule of DICOM is cut, rewritten or left out, and `notes` says so; what a PACS
    matches on is kept as it is (`cds.report.validity`).

    Raises
    ------
    ReportError
        When no instance of the study can be read, or none says that it belongs to the study.
    """
    for instance in report.study.instances:
        found = _read(instance)
        if found is not None and _text(found, "StudyInstanceUID") == report.study.study_instance_uid:
            return _header(found)
    raise ReportError(f"no instance of study {report.study.study_instance_uid} can be read: the report has no patient")


def _read(instance: Instance) -> Dataset | None:
    tags = [*PATIENT_AND_STUDY, "SpecificCharacterSet", "TimezoneOffsetFromUTC"]
    try:
        with warnings.catch_warnings():  # pydicom warns of character sets that `_term` knows how to read
            warnings.simplefilter("ignore")
            return dcmread(instance.path, stop_before_pixels=True, force=True, specific_tags=tags)
    except UNREADABLE:
        return None


def _header(found: Dataset) -> SourceHeader:
    elements = Dataset()
    notes: dict[str, None] = {}
    for keyword in PATIENT_AND_STUDY:
        copied = _copied(found, keyword, notes)
        if copied is not None:
            elements[copied.tag] = copied
    for keyword in TYPE_2:
        if keyword not in elements:
            setattr(elements, keyword, "")
    return SourceHeader(
        elements=elements,
        timezone=_text(found, "TimezoneOffsetFromUTC"),
        procedure=_procedure(elements),
        notes=tuple(notes),
    )


def _copied(found: Dataset, keyword: str, notes: dict[str, None]) -> DataElement | None:
    """The element as it may stand in ours; None where there is none, or nothing of it may stand."""
    if keyword not in found:
        return None
    try:
        return _element(found, keyword, _encodings(found), notes)
    except UNREADABLE:
        return None


def _element(found: Dataset, key: str | int, encodings: list[str], notes: dict[str, None]) -> DataElement | None:
    """A copy that keeps to the rules of its VR, which is the dictionary's and not what the file says."""
    raw = found.get_item(key)
    if raw is None:
        raise KeyError(key)
    vr = dictionary_VR(raw.tag)
    if vr == "SQ":
        items = [_item(item, encodings, notes) for item in found[raw.tag].value]
        kept = [item for item in items if _is_whole(item) or "CodeSequence" not in keyword_for_tag(raw.tag)]
        return DataElement(raw.tag, "SQ", Sequence(kept)) if kept else None
    decoded = CONTROL.sub("", _decoded(_bytes(raw), vr, encodings))
    value, told = valid(keyword_for_tag(raw.tag), vr, decoded, several=dictionary_VM(raw.tag) != "1")
    if told:
        notes[told.format(dictionary_description(raw.tag))] = None
        if not value:
            return None
    return DataElement(raw.tag, vr, value, validation_mode=config.IGNORE)


def _item(item: Dataset, encodings: list[str], notes: dict[str, None]) -> Dataset:
    """One item of a sequence, its public elements in the order of their tags."""
    copied = Dataset()
    encodings = _encodings(item) if "SpecificCharacterSet" in item else encodings
    for tag in item.keys():  # noqa: SIM118 - iterating a Dataset would convert its elements
        if dictionary_has_tag(tag) and tag != 0x00080005:
            told: dict[str, None] = {}
            element = _element(item, tag, encodings, told)
            if tag == CODE_VALUE and told:  # a cut code would be another code
                copied.LongCodeValue = _decoded(_bytes(item.get_item(tag)), "UC", encodings)
                continue
            notes.update(told)
            if element is not None:
                copied[tag] = element
    return copied


def _is_whole(item: Dataset) -> bool:
    """Whether a code item has what every reader needs of it (PS3.3 Table 8.8-1)."""
    value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue")
    return bool(value and item.get("CodeMeaning"))


def _bytes(element: DataElement | RawDataElement) -> bytes:
    """The value as it was read; pydicom itself converts the character set, to one string or several."""
    value = element.value
    if isinstance(value, bytes):
        return value
    several = value if isinstance(value, MultiValue) else [value]
    return "\\".join("" if each is None else str(each) for each in several).encode("utf-8")


def _decoded(raw: bytes, vr: str, encodings: list[str]) -> str:
    """A value as text.

    Where no escape sequence says which of the declared sets it is in, each is tried strictly in turn:
    some devices declare a code extension and leave its escapes out.
    """
    stripped = raw.rstrip(b"\0 ")
    if vr not in TEXT_VRS:
        return stripped.decode("ascii", "replace")
    if b"\x1b" in stripped:
        return ESCAPES.sub("", charset.decode_bytes(stripped, encodings, DELIMITERS))
    for encoding in ("ascii", *encodings[1:], encodings[0]):
        try:
            return stripped.decode(encoding)
        except UnicodeDecodeError:
            continue
    return stripped.decode(encodings[0], "replace")


def _encodings(found: Dataset) -> list[str]:
    """Python's names of the declared character sets; Latin-1 where none is declared or known."""
    raw = found.get_item("SpecificCharacterSet")
    declared = _bytes(raw).decode("ascii", "replace") if raw is not None else ""
    terms = [_term(term) for term in declared.strip("\0 ").split("\\")]
    alone = [term for term in terms if term in STANDALONE]
    known = alone[:1] or [term for term in terms if term in charset.python_encoding]
    return [charset.python_encoding[term] for term in known] or ["iso8859"]


def _term(term: str) -> str:
    """A defined term of (0008,0005), common misspellings put right (``"ISO-IR 100"``, ``"ISO_IR_100"``)."""
    plain = re.sub(r"[ _-]+", " ", term.strip().upper())
    if plain in ("UTF 8", "UTF8"):
        return "ISO_IR 192"
    return re.sub(r"^ISO IR ", "ISO_IR ", plain)


def _text(found: Dataset, keyword: str) -> str:
    copied = _copied(found, keyword, {})
    return "" if copied is None or copied.value is None else str(copied.value)


def _procedure(elements: Dataset) -> tuple[str, str, str] | None:
    for item in elements.get("ProcedureCodeSequence", []):
        value = item.get("CodeValue") or item.get("LongCodeValue") or ""
        coded = (str(value), str(item.get("CodingSchemeDesignator", "")), str(item.get("CodeMeaning", "")))
        if all(coded):
            return coded
    return None
