"""The archive of the small PACS: files in a folder, an index in memory, and matching."""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pynetdicom.dsutils import split_dataset

_KEY_OF_LEVEL: Final = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
"""Unique keys of the Query/Retrieve levels (PS3.4 C.6.1.1, C.6.2.1)."""

_NOT_MATCHED: Final = frozenset({"QueryRetrieveLevel", "RetrieveAETitle", "SpecificCharacterSet"})


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One stored instance: its file, its data set as received (sha256), and what it says of itself."""

    path: Path
    sha256: str
    header: Dataset

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID (0008,0018)."""
        return str(self.header.SOPInstanceUID)

    @property
    def sop_class_uid(self) -> str:
        """SOP Class UID (0008,0016)."""
        return str(self.header.SOPClassUID)

    @property
    def study_instance_uid(self) -> str:
        """Study Instance UID (0020,000D)."""
        return str(self.header.StudyInstanceUID)

    @property
    def modality(self) -> str:
        """Modality (0008,0060)."""
        return str(self.header.get("Modality", ""))


class Archive:
    """Every instance once, under a hashed name; the last one sent under a UID is the one kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._objects: dict[str, StoredObject] = {}
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob("*.dcm")):
            self._index(path, hashlib.sha256(path.read_bytes()[split_dataset(path)[1] :]).hexdigest())

    def put(self, content: bytes, data_set: bytes) -> StoredObject:
        """Store a DICOM file; `data_set` is the part of it that was received."""
        digest = hashlib.sha256(data_set).hexdigest()
        uid = str(dcmread(BytesIO(content), stop_before_pixels=True).SOPInstanceUID)
        temporary = self._folder / f"{uuid.uuid4().hex}.part"
        temporary.write_bytes(content)
        path = self._folder / f"{hashlib.sha256(uid.encode()).hexdigest()[:32]}.dcm"
        os.replace(temporary, path)
        return self._index(path, digest)

    def add(self, source: Path) -> StoredObject:
        """Store a copy of a DICOM file."""
        content = source.read_bytes()
        return self.put(content, content[split_dataset(source)[1] :])

    def objects(self, study_instance_uid: str | None = None) -> tuple[StoredObject, ...]:
        """Every instance, or those of one study."""
        with self._lock:
            everything = tuple(self._objects.values())
        return tuple(one for one in everything if study_instance_uid in (None, one.study_instance_uid))

    def matches(self, query: Dataset) -> Iterator[StoredObject]:
        """Every instance that the keys of `query` match (PS3.4 C.2.2.2)."""
        return (one for one in self.objects() if all(_matches(key, one.header) for key in _keys(query)))

    def find(self, query: Dataset) -> Iterator[Dataset]:
        """One answer per patient, study, series or image, with the attributes that were asked for."""
        level = str(query.get("QueryRetrieveLevel", "STUDY"))
        key = _KEY_OF_LEVEL.get(level, "StudyInstanceUID")
        groups: dict[str, list[StoredObject]] = {}
        for one in self.matches(query):
            groups.setdefault(str(one.header.get(key, "")), []).append(one)
        for members in groups.values():
            yield _answer(query, members, level)

    def _index(self, path: Path, digest: str) -> StoredObject:
        stored = StoredObject(path=path, sha256=digest, header=dcmread(path, stop_before_pixels=True))
        with self._lock:
            self._objects[stored.sop_instance_uid] = stored
        return stored


def _keys(query: Dataset) -> list[DataElement]:
    return [
        element for element in query if element.keyword and element.keyword not in _NOT_MATCHED and element.VR != "SQ"
    ]


def _matches(key: DataElement, header: Dataset) -> bool:
    wanted = [str(value) for value in key.value] if key.VM > 1 else [str(key.value or "")]
    if wanted == [""] or key.keyword not in header:
        return wanted == [""] or wanted == ["*"] or key.keyword == "ModalitiesInStudy"
    found = str(header[key.keyword].value)
    if key.VR in ("DA", "TM", "DT") and "-" in wanted[0]:
        low, _, high = wanted[0].partition("-")
        return (not low or low <= found) and (not high or found <= high)
    return any(fnmatchcase(found, value) for value in wanted)


def _answer(query: Dataset, members: list[StoredObject], level: str) -> Dataset:
    first = members[0].header
    answer = Dataset()
    if "SpecificCharacterSet" in first:
        answer.SpecificCharacterSet = first.SpecificCharacterSet
    for element in query:
        if element.keyword in first:
            answer[element.tag] = first[element.tag]
        elif element.keyword:
            answer.add_new(element.tag, element.VR, None)
    answer.QueryRetrieveLevel = level
    counts: dict[str, object] = {
        "NumberOfStudyRelatedInstances": len(members),
        "NumberOfSeriesRelatedInstances": len(members),
        "NumberOfStudyRelatedSeries": len({str(one.header.SeriesInstanceUID) for one in members}),
        "ModalitiesInStudy": sorted({one.modality for one in members}),
    }
    for keyword, value in counts.items():
        if keyword in query:
            setattr(answer, keyword, value)
    return answer
