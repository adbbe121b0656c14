"""Read files and folders into studies; pixels stay where they are."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pydicom

from cds.dicom import elements, text
from cds.dicom.header import WANTED, Header, header_of
from cds.dicom.part10 import opened
from cds.domain.study import Instance, Patient, Series, Study
from cds.errors import MalformedInstance

_DIRECTORY_GROUP: Final = b"\x04\x00"
_CHARACTER_SET, _STUDY_DATE, _STUDY_TIME, _ZONE = 0x00080005, 0x00080020, 0x00080030, 0x00080201
_ACCESSION_NUMBER, _STUDY_DESCRIPTION, _NAME, _AGE = 0x00080050, 0x00081030, 0x00100010, 0x00101010
_REASON_FOR_STUDY, _REASON_FOR_PROCEDURE, _REQUEST = 0x00321030, 0x00401002, 0x00400275
_REASON_CODES, _ADMITTING, _ADMITTING_CODES, _MEANING = 0x0040100A, 0x00081080, 0x00081084, 0x00080104
_REQUESTED_PROCEDURE: Final = 0x00321060
_STUDY_TAGS: Final = frozenset({
    _CHARACTER_SET, _STUDY_DATE, _STUDY_TIME, _ZONE, _ACCESSION_NUMBER, _STUDY_DESCRIPTION, _NAME, _AGE,
    _REASON_FOR_STUDY, _REASON_FOR_PROCEDURE, _REQUEST, _REASON_CODES, _ADMITTING, _ADMITTING_CODES,
    _REQUESTED_PROCEDURE,
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file that was seen and not used, and why; the reason carries no patient data."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class _Read:
    """One file as it was read."""

    path: Path
    header: Header
    values: Mapping[int, bytes]
    transfer_syntax_uid: str


def read_studies(paths: Iterable[Path]) -> tuple[tuple[Study, ...], tuple[Unreadable, ...]]:
    """Read DICOM files, and folders recursively, whatever the files are called.

    Each file is walked to its last byte, so a cut file is unreadable here and not later. A
    DICOMDIR and files whose name starts with a point are passed over. Times without Timezone
    Offset From UTC (0008,0201) are taken as UTC. Studies are in the order of their UIDs.

    Returns
    -------
    tuple
        The studies, and the files that were not used: no DICOM, cut, a SOP Instance that was
        read before, or more than one patient in one Study Instance UID.
    """
    found: dict[str, _Read] = {}
    unreadable: list[Unreadable] = []
    for path in _files(paths):
        try:
            read = _read(path)
        except MalformedInstance as error:
            unreadable.append(Unreadable(path=path, reason=str(error)))
        except OSError as error:
            unreadable.append(Unreadable(path=path, reason=error.strerror or "cannot be read"))
        else:
            if read is None:
                continue
            if found.setdefault(read.header.sop_instance_uid, read) is not read:
                unreadable.append(Unreadable(path=path, reason="the same SOP Instance UID was read before"))
    studies, mixed = _studies(found.values())
    return studies, (*unreadable, *mixed)


def headers(study: Study) -> list[pydicom.Dataset]:
    """Read every instance of a study without its pixels, in the study's order.

    These are the evidence data sets that a result refers to, and the source of the patient and
    study attributes that a result repeats.

    Raises
    ------
    OSError
        When a file is gone.
    """
    return [pydicom.dcmread(instance.path, stop_before_pixels=True) for instance in study.instances]


def source_dataset(study: Study) -> pydicom.Dataset:
    """Read the first instance's header: its patient and study modules are the study's."""
    return pydicom.dcmread(study.instances[0].path, stop_before_pixels=True)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names) if name[0] != "." and name != "DICOMDIR")


def _read(path: Path) -> _Read | None:
    """One file, None for a directory of media (DICOMDIR under another name)."""
    with opened(path) as file:
        data, syntax = file.data, file.transfer_syntax_uid
        if data[file.offset : file.offset + 2] == _DIRECTORY_GROUP:
            return None
        found = elements.values(data, syntax, WANTED | _STUDY_TAGS, file.offset)
        return _Read(path, header_of(found, syntax), found, syntax)


def _studies(found: Iterable[_Read]) -> tuple[tuple[Study, ...], list[Unreadable]]:
    by_study: dict[str, list[_Read]] = defaultdict(list)
    for read in found:
        by_study[read.header.study_instance_uid].append(read)
    studies: list[Study] = []
    mixed: list[Unreadable] = []
    for uid, reads in sorted(by_study.items()):
        if len({(read.header.patient_id, read.header.issuer_of_patient_id) for read in reads}) > 1:
            reason = f"more than one patient in study {uid}"
            mixed += [Unreadable(path=read.path, reason=reason) for read in reads]
        else:
            studies.append(_study(uid, reads))
    return tuple(studies), mixed


def _study(uid: str, reads: Sequence[_Read]) -> Study:
    by_series: dict[str, list[_Read]] = defaultdict(list)
    for read in sorted(reads, key=_order):
        by_series[read.header.series_instance_uid].append(read)
    series = tuple(_series(members) for _, members in sorted(by_series.items()))
    first = by_series[series[0].series_instance_uid][0]
    codecs = text.character_sets(first.values.get(_CHARACTER_SET, b""))
    return Study(
        study_instance_uid=uid,
        patient=_patient(first, codecs),
        series=series,
        started_at=_started_at(first.values),
        accession_number=text.decode(first.values.get(_ACCESSION_NUMBER, b""), codecs),
        description=text.decode(first.values.get(_STUDY_DESCRIPTION, b""), codecs)
        or text.decode(first.values.get(_REQUESTED_PROCEDURE, b""), codecs),
        reason_for_exam=_reason(first, codecs),
    )


def _order(read: _Read) -> tuple[int, str]:
    number = read.header.instance_number
    return (number if number is not None else 1 << 40, read.header.sop_instance_uid)


def _series(reads: Sequence[_Read]) -> Series:
    first = reads[0].header
    return Series(
        series_instance_uid=first.series_instance_uid,
        modality=first.modality,
        instances=tuple(_instance(read) for read in reads),
        body_part=first.body_part,
        description=first.series_description,
        view_position=first.view_position,
    )


def _instance(read: _Read) -> Instance:
    header = read.header
    return Instance(
        sop_instance_uid=header.sop_instance_uid,
        sop_class_uid=header.sop_class_uid,
        path=read.path,
        instance_number=header.instance_number,
        rows=header.rows,
        columns=header.columns,
        frames=header.frames,
    )


def _patient(read: _Read, codecs: tuple[str, ...]) -> Patient:
    header = read.header
    studied = text.day(read.values.get(_STUDY_DATE, b""))
    age = text.age_years(read.values.get(_AGE, b""))
    if age is None and header.birth_date and studied:
        age = text.years_between(header.birth_date, studied)
    return Patient(
        patient_id=header.patient_id,
        issuer_of_patient_id=header.issuer_of_patient_id,
        name=text.decode(read.values.get(_NAME, b""), codecs).rstrip("="),
        birth_date=header.birth_date,
        sex=header.sex,
        age_years=age,
    )


def _started_at(values: Mapping[int, bytes]) -> datetime | None:
    studied = text.day(values.get(_STUDY_DATE, b""))
    if studied is None:
        return None
    return datetime.combine(studied, text.clock(values.get(_STUDY_TIME, b"")), text.zone(values.get(_ZONE, b"")))


def _reason(read: _Read, codecs: tuple[str, ...]) -> str:
    """Why it was asked for: Reason for the Requested Procedure, of the request or the study; else Reason for Study.

    Where none of them says it in words, the codes of the reason do. Admitting diagnoses follow on a line of
    their own.
    """
    request = read.values.get(_REQUEST, b"")
    asked = elements.first_item(request, read.transfer_syntax_uid, {_REASON_FOR_PROCEDURE, _REASON_CODES})
    reasons = (
        text.decode(asked.get(_REASON_FOR_PROCEDURE, b""), codecs),
        text.decode(read.values.get(_REASON_FOR_PROCEDURE, b""), codecs),
        text.decode(read.values.get(_REASON_FOR_STUDY, b""), codecs),
        _meaning(asked.get(_REASON_CODES, b""), read, codecs),
        _meaning(read.values.get(_REASON_CODES, b""), read, codecs),
    )
    admitting = (
        text.decode(read.values.get(_ADMITTING, b""), codecs).replace("\\", "; "),
        _meaning(read.values.get(_ADMITTING_CODES, b""), read, codecs),
    )
    said = (next(filter(None, reasons), ""), next(filter(None, admitting), ""))
    return "\n".join(dict.fromkeys(filter(None, said)))


def _meaning(sequence: bytes, read: _Read, codecs: tuple[str, ...]) -> str:
    """Code Meaning (0008,0104) of a code sequence's first item."""
    return text.decode(elements.first_item(sequence, read.transfer_syntax_uid, {_MEANING}).get(_MEANING, b""), codecs)
