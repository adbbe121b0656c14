"""What every archive plugin must keep: run `CHECKS` without a peer, and `KEPT_CHECKS` with a stocked one.

What is fetched may become a prior of a patient's report: an archive must rather fail than give
another patient's study, or a part of one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from cds.domain.records import Identity
from cds.errors import ArchiveError
from cds.ports import Archive, Peer
from cds.testing.contract_senders import nobody

STUDY: Final = "2.25.4711"
OLDER_STUDY: Final = "2.25.4712"
STRANGERS_STUDY: Final = "2.25.4713"
INSTANCES: Final = 3
PATIENT: Final = Identity(patient_id="CONTRACT-1", issuer_of_patient_id="HERE", birth_date=date(1950, 1, 1), sex="F")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What the peer of `KEPT_CHECKS` must keep, one for each of `STOCK`: so many CT images of a study."""

    study_instance_uid: str
    instances: int
    patient_id: str
    issuer_of_patient_id: str
    study_date: str


STOCK: Final = (
    Stock(
        study_instance_uid=OLDER_STUDY,
        instances=1,
        patient_id="CONTRACT-1",
        issuer_of_patient_id="HERE",
        study_date="20200102",
    ),
    Stock(
        study_instance_uid=STUDY,
        instances=INSTANCES,
        patient_id="CONTRACT-1",
        issuer_of_patient_id="HERE",
        study_date="20240506",
    ),
    Stock(
        study_instance_uid=STRANGERS_STUDY,
        instances=1,
        patient_id="CONTRACT-1",
        issuer_of_patient_id="ELSEWHERE",
        study_date="20230405",
    ),
    Stock(
        study_instance_uid="2.25.4714",
        instances=1,
        patient_id="CONTRACT-10",
        issuer_of_patient_id="HERE",
        study_date="20230405",
    ),
)
"""Patients' birth date and sex are those of `PATIENT`: only ID and issuer tell them apart."""


def check_a_peer_that_is_down_is_an_error_that_names_it(archive: Archive, folder: Path) -> None:
    """No connection is `ArchiveError`, whatever is asked, and the message names the peer and no patient."""
    questions: tuple[Callable[[], object], ...] = (
        lambda: archive.instances(STUDY, nobody(), calling_ae_title="CDS"),
        lambda: archive.studies(PATIENT, nobody(), calling_ae_title="CDS"),
        lambda: archive.fetch(STUDY, folder, nobody(), calling_ae_title="CDS"),
    )
    for ask in questions:
        message = _error_of(ask)
        assert "nobody" in message, "the message must name the peer"
        assert PATIENT.patient_id not in message, "the message must not carry patient data"
    assert list(folder.iterdir()) == [], "a fetch that failed must leave nothing behind"


def check_what_is_no_uid_is_never_asked_for(archive: Archive, folder: Path) -> None:
    """A study that is no UID would be a wild card, or a path."""
    for text in ("", "*", "1.2.*", "1.2\\1.3", "../1.2", "1..2"):
        _error_of(lambda text=text: archive.instances(text, nobody(), calling_ae_title="CDS"))  # type: ignore[misc]
        _error_of(lambda text=text: archive.fetch(text, folder, nobody(), calling_ae_title="CDS"))  # type: ignore[misc]


def check_a_patient_id_that_matches_others_is_never_asked_for(archive: Archive, folder: Path) -> None:
    """An empty Patient ID, and one with a wild card, match other patients too (PS3.4 C.2.2.2)."""
    for text in ("", " ", "*", "P?", "P*1", "P\\Q"):
        message = _error_of(
            lambda text=text: archive.studies(Identity(patient_id=text), nobody(), calling_ae_title="CDS")  # type: ignore[misc]
        )
        assert "nobody" not in message, "it must be refused before the peer is called"


CHECKS: Final[tuple[Callable[[Archive, Path], None], ...]] = (
    check_a_peer_that_is_down_is_an_error_that_names_it,
    check_what_is_no_uid_is_never_asked_for,
    check_a_patient_id_that_matches_others_is_never_asked_for,
)


def check_a_study_is_counted(archive: Archive, peer: Peer, folder: Path) -> None:
    """`instances` is the study's number of instances, and None for a study that the peer has not."""
    assert archive.instances(STUDY, peer, calling_ae_title="CDS") == INSTANCES
    assert archive.instances("2.25.99", peer, calling_ae_title="CDS") is None


def check_a_patient_s_studies_come_newest_first(archive: Archive, peer: Peer, folder: Path) -> None:
    """Every study of the patient, and none of another one with the same ID from another issuer, or a longer ID."""
    found = archive.studies(PATIENT, peer, calling_ae_title="CDS")
    assert [study.study_instance_uid for study in found] == [STUDY, OLDER_STUDY], "newest first, nobody else's"
    assert [study.started_on for study in found] == [date(2024, 5, 6), date(2020, 1, 2)]
    assert [study.modalities for study in found] == [("CT",), ("CT",)]
    assert all(study.instances in (None, count) for study, count in zip(found, (INSTANCES, 1), strict=True))


def check_a_patient_that_the_peer_does_not_know_has_no_studies(archive: Archive, peer: Peer, folder: Path) -> None:
    """Nothing found is no error."""
    assert archive.studies(Identity(patient_id="NOT-THERE"), peer, calling_ae_title="CDS") == ()


def check_a_study_is_fetched_as_dicom_files(archive: Archive, peer: Peer, folder: Path) -> None:
    """Every instance is a DICOM file with a zeroed preamble; no name comes from the peer."""
    assert archive.fetch(STUDY, folder, peer, calling_ae_title="CDS") == INSTANCES
    files = sorted(folder.iterdir())
    assert len(files) == INSTANCES, "one file an instance, and nothing else"
    for file in files:
        assert file.read_bytes()[:132] == bytes(128) + b"DICM", "a DICOM file, its preamble zeroed"
        assert "2.25" not in file.name, "a file's name must not come from the peer"


def check_a_study_that_is_not_there_is_not_fetched(archive: Archive, peer: Peer, folder: Path) -> None:
    """It is `ArchiveError`, and leaves nothing behind."""
    _error_of(lambda: archive.fetch("2.25.99", folder, peer, calling_ae_title="CDS"))
    assert list(folder.iterdir()) == []


KEPT_CHECKS: Final[tuple[Callable[[Archive, Peer, Path], None], ...]] = (
    check_a_study_is_counted,
    check_a_patient_s_studies_come_newest_first,
    check_a_patient_that_the_peer_does_not_know_has_no_studies,
    check_a_study_is_fetched_as_dicom_files,
    check_a_study_that_is_not_there_is_not_fetched,
)


def _error_of(ask: Callable[[], object]) -> str:
    try:
        ask()
    except ArchiveError as error:
        return str(error)
    raise AssertionError("it must raise ArchiveError")
