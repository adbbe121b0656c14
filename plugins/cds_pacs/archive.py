"""The `dicom` archive: what a peer keeps, asked by C-FIND, fetched by C-GET or sent to us by C-MOVE."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import ClassVar, Final

from pydicom.dataset import Dataset

from cds.domain.diagnosis import Diagnosis, fail
from cds.domain.records import Identity
from cds.domain.same_person import contradiction
from cds.errors import ArchiveError, DeliveryError
from cds.ports import ArchivedStudy, Peer
from cds_pacs.contexts import FIND
from cds_pacs.scu.examine import try_queries
from cds_pacs.scu.query import (
    ArchiveSettings,
    associated,
    count,
    find,
    is_single_value,
    is_uid,
    keys_of,
    plain,
)
from cds_pacs.scu.retrieve import get, instances_of, move
from cds_pacs.scu.upper_layer import call

_DATE: Final = re.compile(r"(\d{4})(\d{2})(\d{2})")
_DESCRIPTION: Final = 64
"""Study Description (0008,1030) is LO."""


class DicomArchive:
    """Asks a peer by DIMSE (`cds.archives`, name ``dicom``)."""

    Settings: ClassVar = ArchiveSettings

    def __init__(self, settings: ArchiveSettings) -> None:
        self._settings = settings

    def examine(self, peer: Peer, *, calling_ae_title: str) -> Iterator[Diagnosis]:
        """Look whether the peer can be asked; nothing is asked."""
        try:
            called = call(peer, calling_ae_title, self._settings.tls)
        except DeliveryError as error:
            yield fail(f"peer {peer.name}", str(error), "see [node.tls]")
            return
        yield from try_queries(peer, called, self._settings.timeouts)

    def instances(self, study_instance_uid: str, peer: Peer, *, calling_ae_title: str) -> int | None:
        """How many instances of a study the peer has; None where it does not say, or does not know the study.

        Number of Study Related Instances (0020,1208), else the sum over the series, else a count.

        Raises
        ------
        ArchiveError
            When the peer cannot be asked.
        """
        _check_uid(study_instance_uid)
        keys = keys_of("STUDY", "NumberOfStudyRelatedInstances", StudyInstanceUID=study_instance_uid)
        with associated(peer, [FIND], self._settings, calling_ae_title) as association:
            answers = _of_study(find(association, keys, peer, self._settings.most_answers), study_instance_uid)
            if not answers:
                return None
            told = count(answers[0], "NumberOfStudyRelatedInstances")
            if told is not None:
                return told
            keys = keys_of(
                "SERIES", "SeriesInstanceUID", "NumberOfSeriesRelatedInstances", StudyInstanceUID=study_instance_uid
            )
            series = find(association, keys, peer, self._settings.most_answers)
            numbers = [count(answer, "NumberOfSeriesRelatedInstances") for answer in series]
        if numbers and None not in numbers:
            return sum(number or 0 for number in numbers)
        return len(instances_of(study_instance_uid, peer, self._settings, calling_ae_title))

    def studies(self, patient: Identity, peer: Peer, *, calling_ae_title: str) -> tuple[ArchivedStudy, ...]:
        """Every study of a patient, newest first.

        Asked by Patient ID. What the answers say of issuer, birth date and sex must not contradict;
        what they do not say is for the caller to check on the images.

        Raises
        ------
        ArchiveError
            When the peer cannot be asked, or the Patient ID would match others too (a wild card in it).
        """
        if not is_single_value(patient.patient_id):
            raise ArchiveError("the Patient ID is empty, or holds characters that a query takes for wild cards")
        keys = keys_of(
            "STUDY",
            "StudyInstanceUID",
            "StudyDate",
            "StudyDescription",
            "ModalitiesInStudy",
            "NumberOfStudyRelatedInstances",
            "IssuerOfPatientID",
            "PatientBirthDate",
            "PatientSex",
            PatientID=patient.patient_id.strip(),
        )
        with associated(peer, [FIND], self._settings, calling_ae_title) as association:
            answers = find(association, keys, peer, self._settings.most_answers)
        found = {
            plain(answer, "StudyInstanceUID"): _study(answer)
            for answer in answers
            if is_uid(plain(answer, "StudyInstanceUID")) and not contradiction(patient, _identity(answer, patient))
        }
        return tuple(sorted(found.values(), key=_newest_first))

    def fetch(self, study_instance_uid: str, folder: Path, peer: Peer, *, calling_ae_title: str) -> int:
        """Fetch a study by C-GET, each instance a DICOM file in `folder`; how many.

        Raises
        ------
        ArchiveError
            When the peer has no C-GET, or not every instance came; what came is removed.
        """
        _check_uid(study_instance_uid)
        if self._settings.retrieve == "move":
            raise ArchiveError(f"peer {peer.name!r} is not asked by C-GET: retrieve is 'move'")
        try:
            return len(get(study_instance_uid, folder, peer, self._settings, calling_ae_title))
        except BaseException:
            for left in folder.glob("*.dcm"):
                left.unlink()
            raise

    def move(self, study_instance_uid: str, peer: Peer, *, calling_ae_title: str) -> int:
        """Have the peer send a study to our listener by C-MOVE; how many instances it sent.

        Raises
        ------
        ArchiveError
            When it does not know where we listen, or could not send every instance.
        """
        _check_uid(study_instance_uid)
        return move(study_instance_uid, peer, self._settings, calling_ae_title)


def _check_uid(study_instance_uid: str) -> None:
    if not is_uid(study_instance_uid):
        raise ArchiveError("a query needs a Study Instance UID of digits and points")


def _of_study(answers: list[Dataset], study_instance_uid: str) -> list[Dataset]:
    """Answers that are about the study: some peers answer with more than was asked for."""
    return [answer for answer in answers if plain(answer, "StudyInstanceUID") == study_instance_uid]


def _identity(answer: Dataset, asked: Identity) -> Identity:
    """Who an answer is about. A Patient ID that is no ASCII was matched by the peer, and is checked on the images."""
    return Identity(
        patient_id=plain(answer, "PatientID") or asked.patient_id,
        issuer_of_patient_id=plain(answer, "IssuerOfPatientID"),
        birth_date=_date(plain(answer, "PatientBirthDate")),
        sex=plain(answer, "PatientSex"),
    )


def _study(answer: Dataset) -> ArchivedStudy:
    told = answer.get_item("ModalitiesInStudy").value if "ModalitiesInStudy" in answer else None
    text = (
        told.decode("ascii", "ignore")
        if isinstance(told, bytes)
        else "\\".join([told] if isinstance(told, str) else told or [])
    )
    return ArchivedStudy(
        study_instance_uid=plain(answer, "StudyInstanceUID"),
        started_on=_date(plain(answer, "StudyDate")),
        modalities=tuple(sorted({part.strip() for part in text.split("\\")} - {""})),
        description=plain(answer, "StudyDescription")[:_DESCRIPTION],
        instances=count(answer, "NumberOfStudyRelatedInstances"),
    )


def _date(text: str) -> date | None:
    found = _DATE.fullmatch(text)
    try:
        return date(*(int(part) for part in found.groups())) if found else None
    except ValueError:
        return None


def _newest_first(study: ArchivedStudy) -> tuple[bool, int, str]:
    day = study.started_on
    return (day is None, -day.toordinal() if day else 0, study.study_instance_uid)
