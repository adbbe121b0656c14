"""QIDO-RS and WADO-RS, the user agent's side (PS3.18 10.6, 10.4): what a peer keeps, and its instances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import ClassVar, Final

from cds.domain.diagnosis import Diagnosis
from cds.domain.records import Identity
from cds.domain.same_person import contradiction
from cds.errors import ArchiveError, ConfigError, IntakeError
from cds.ports import ArchivedStudy, Peer, Tls
from cds_dicomweb import model
from cds_dicomweb.client import Answer, Clients, Patience, Unanswered, is_confidential, within
from cds_dicomweb.examine import try_queries
from cds_dicomweb.fetch import StudyFolder
from cds_dicomweb.multipart import MultipartError, media_type
from cds_dicomweb.part10 import is_uid

_PAGE: Final = 100
_MAX_PAGES: Final = 200
_RETRIEVED: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_STUDY_FIELDS: Final = tuple(
    ("includefield", tag)  # each its own: Orthanc finds no comma that is percent-encoded
    for tag in (
        model.ISSUER_OF_PATIENT_ID,
        model.PATIENT_BIRTH_DATE,
        model.PATIENT_SEX,
        model.MODALITIES_IN_STUDY,
        model.NUMBER_OF_INSTANCES,
        model.STUDY_DESCRIPTION,
    )
)
_WILDCARDS: Final = frozenset("*?\\")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """Times in seconds; `tls` is the node's own certificate, for peers that want one.

    A study of more than `most_megabytes` (10^6 bytes) is not fetched.
    """

    connect_seconds: float = 10.0
    idle_seconds: float = 60.0
    answer_seconds: float = 120.0
    fetch_seconds: float = 900.0
    most_megabytes: int = 8000
    tls: Tls | None = None


class DicomWebArchive:
    """Asks a peer by QIDO-RS and fetches by WADO-RS (`cds.archives`, name ``dicomweb``)."""

    Settings: ClassVar = ArchiveSettings

    def __init__(self, settings: ArchiveSettings) -> None:
        self._settings = settings
        patience = Patience(
            connect_seconds=settings.connect_seconds,
            idle_seconds=settings.idle_seconds,
            answer_seconds=settings.answer_seconds,
        )
        self._clients = Clients(self, settings.tls, patience)

    def examine(self, peer: Peer, *, calling_ae_title: str) -> Iterator[Diagnosis]:
        """Try the peer out; nothing of a patient is sent."""
        return try_queries(peer, self._clients)

    def instances(self, study_instance_uid: str, peer: Peer, *, calling_ae_title: str) -> int | None:
        """How many instances of a study the peer has: by its own count, or counted; None for a study it has not.

        Raises
        ------
        ArchiveError
            When the peer cannot be asked.
        """
        uid = _uid(study_instance_uid)
        query = (("StudyInstanceUID", uid), ("includefield", model.NUMBER_OF_INSTANCES))
        found = [item for item in self._search(peer, "/studies", query) if _study_of(item) == uid]
        if not found:
            return None
        told = model.integer(found[0], model.NUMBER_OF_INSTANCES)
        if told is not None:
            return told
        listed = self._search(peer, f"/studies/{uid}/instances", ())
        return len({model.text(item, model.SOP_INSTANCE_UID) for item in listed})

    def studies(self, patient: Identity, peer: Peer, *, calling_ae_title: str) -> tuple[ArchivedStudy, ...]:
        """Every study of a patient, newest first.

        Asked by Patient ID, which stands in the URL of the search: only where the URL is https, or
        on this machine. What the answers say of issuer, birth date and sex must not contradict;
        what they do not say is for the caller to check on the images.

        Raises
        ------
        ArchiveError
            When the peer cannot be asked, or the patient ID cannot be asked for.
        """
        wanted = patient.patient_id.strip()
        if not wanted or _WILDCARDS & set(wanted):
            raise ArchiveError("a Patient ID that is empty or has a wild card in it cannot be searched for")
        if not _is_confidential(peer):
            raise ArchiveError(f"peer {peer.name}: a search by patient needs https: its URL carries the Patient ID")
        query = (("PatientID", wanted), *_STUDY_FIELDS)
        found = [
            _archived_study(item)
            for item in self._search(peer, "/studies", query)
            if is_uid(_study_of(item)) and _is_of(patient, item)
        ]
        return tuple(sorted(found, key=_newest_first))

    def fetch(self, study_instance_uid: str, folder: Path, peer: Peer, *, calling_ae_title: str) -> int:
        """Fetch a study's instances as DICOM files into a folder, all or none; how many.

        A file is named by the SHA-256 of its SOP Instance UID.

        Raises
        ------
        ArchiveError
            When the peer does not give the study whole, or gives something else.
        """
        uid = _uid(study_instance_uid)
        study = StudyFolder(folder, uid, self._settings.most_megabytes * 1_000_000)
        try:
            self._retrieve(study, uid, peer)
        except BaseException:
            study.discard()
            raise
        return study.keep()

    def _retrieve(self, study: StudyFolder, uid: str, peer: Peer) -> None:
        with (
            _told(peer),
            self._clients.streamed(peer, "GET", f"/studies/{uid}", headers={"Accept": _RETRIEVED}) as response,
        ):
            kind = media_type(response.headers.get("content-type", ""))
            if response.status_code != 200 or kind.name != "multipart/related":
                raise ArchiveError(f"peer {peer.name} does not give study {uid}: status {response.status_code}")
            study.begin(kind.parameters.get("boundary", ""))
            for chunk in within(response, self._settings.fetch_seconds):
                study.feed(chunk)
            study.close()

    def _search(self, peer: Peer, path: str, query: Sequence[tuple[str, str]]) -> Iterator[model.Item]:
        """Every result of a search, page by page; ends where a page tells nothing new (PS3.18 8.3.4.4)."""
        seen: set[str] = set()
        for _ in range(_MAX_PAGES):
            paged = (*query, ("limit", str(_PAGE)), ("offset", str(len(seen))))
            with _told(peer):
                answer = self._clients.ask(peer, "GET", path, headers={"Accept": model.MEDIA_TYPE}, query=paged)
                items = _items(answer, peer)
            fresh = [item for item in items if _key(item) not in seen]
            seen.update(_key(item) for item in fresh)
            yield from fresh
            if not fresh or (len(items) < _PAGE and not answer.more):
                return
        raise ArchiveError(f"peer {peer.name}: a search has more than {_MAX_PAGES * _PAGE} results")


@contextmanager
def _told(peer: Peer) -> Iterator[None]:
    """Tell what goes wrong with a peer as `ArchiveError`, without a URL."""
    try:
        yield
    except (Unanswered, ConfigError) as error:
        raise ArchiveError(str(error)) from None
    except (MultipartError, IntakeError, model.NoDicomJson) as error:
        raise ArchiveError(f"peer {peer.name}: {error}") from None
    except OSError as error:
        raise ArchiveError(f"what peer {peer.name} gives cannot be kept: {error.strerror}") from None


def _items(answer: Answer, peer: Peer) -> tuple[model.Item, ...]:
    """Read the results of a search; 204 is none (table 10.6.3-1)."""
    if answer.status == 204:
        return ()
    if answer.status != 200 or answer.media_type not in (model.MEDIA_TYPE, "application/json"):
        raise ArchiveError(f"peer {peer.name} answers a search with status {answer.status}, not with DICOM JSON")
    return model.parse(answer.body)


def _key(item: model.Item) -> str:
    return model.text(item, model.SOP_INSTANCE_UID) or _study_of(item)


def _study_of(item: model.Item) -> str:
    return model.text(item, model.STUDY_INSTANCE_UID)


def _is_of(patient: Identity, item: model.Item) -> bool:
    """Whether a study is the patient's: the very ID, and nothing that contradicts."""
    told = Identity(
        patient_id=model.text(item, model.PATIENT_ID),
        issuer_of_patient_id=model.text(item, model.ISSUER_OF_PATIENT_ID),
        birth_date=_date(model.text(item, model.PATIENT_BIRTH_DATE)),
        sex=model.text(item, model.PATIENT_SEX),
    )
    return bool(told.patient_id) and not contradiction(patient, told)


def _archived_study(item: model.Item) -> ArchivedStudy:
    modalities = model.values(item, model.MODALITIES_IN_STUDY)
    return ArchivedStudy(
        study_instance_uid=_study_of(item),
        started_on=_date(model.text(item, model.STUDY_DATE)),
        modalities=tuple(str(modality) for modality in modalities if isinstance(modality, str)),
        description=model.text(item, model.STUDY_DESCRIPTION),
        instances=model.integer(item, model.NUMBER_OF_INSTANCES),
    )


def _newest_first(study: ArchivedStudy) -> tuple[int, str]:
    return (-study.started_on.toordinal() if study.started_on else 0, study.study_instance_uid)


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None


def _uid(text: str) -> str:
    if not is_uid(text):
        raise ArchiveError("what is asked for is no Study Instance UID")
    return text


def _is_confidential(peer: Peer) -> bool:
    with _told(peer):
        return is_confidential(peer)
