"""What the listener's process tells the node of an instance: the facts of a journal's record, as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from cds.dicom.header import Header
from cds.domain.records import Identity
from cds.ports import Announced
from cds.store.values import Arrival

_NO_IMAGE: Final = (
    "1.2.840.10008.5.1.4.1.1.9.",  # waveforms
    "1.2.840.10008.5.1.4.1.1.11.",  # presentation states
    "1.2.840.10008.5.1.4.1.1.66",  # raw data, registrations, segmentations, surfaces
    "1.2.840.10008.5.1.4.1.1.67",  # real world value mapping
    "1.2.840.10008.5.1.4.1.1.68.",  # surface scans
    "1.2.840.10008.5.1.4.1.1.88.",  # structured reports, key objects, dose reports
    "1.2.840.10008.5.1.4.1.1.104.",  # encapsulated documents
    "1.2.840.10008.5.1.4.1.1.200.",  # content assessments
)
"""SOP classes without pixels of their own from an acquisition (PS3.4 B.5); segmentations are results."""


@dataclass(frozen=True, slots=True)
class Facts:
    """An arrival of which only the digest is not known yet.

    Attributes
    ----------
    meta_length
        Bytes of the DICOM file before its data set.
    spooled
        Name of the file in the spool folder, ``""`` where the record holds it.
    """

    arrival: Arrival
    at: datetime
    meta_length: int
    spooled: str


def is_image(header: Header) -> bool:
    """Whether the object has pixels that a model could read."""
    return not header.sop_class_uid.startswith(_NO_IMAGE)


def arrival_of(header: Header, announced: Announced, own_model_name: str, size: int) -> Arrival:
    """What the ledger enters, as far as it is known before the digest is."""
    image = is_image(header)
    return Arrival(
        sop_instance_uid=header.sop_instance_uid,
        sop_class_uid=header.sop_class_uid,
        study_instance_uid=header.study_instance_uid,
        series_instance_uid=header.series_instance_uid,
        transfer_syntax_uid=announced.transfer_syntax_uid,
        identity=Identity(
            patient_id=_storable(header.patient_id).strip(),
            issuer_of_patient_id=_storable(header.issuer_of_patient_id),
            birth_date=header.birth_date,
            sex=header.sex,
        ),
        blob="",
        sha256="",
        size=size,
        image=image,
        own=header.manufacturer_model_name == own_model_name and not image,
        calling_ae_title=_storable(announced.calling_ae_title)[:16],
        address=_storable(announced.address)[:64],
    )


def encode_facts(arrival: Arrival, at: datetime, meta_length: int, spooled: str = "") -> bytes:
    """As JSON."""
    identity = arrival.identity
    return json.dumps(
        {
            "sop_instance_uid": arrival.sop_instance_uid,
            "sop_class_uid": arrival.sop_class_uid,
            "study_instance_uid": arrival.study_instance_uid,
            "series_instance_uid": arrival.series_instance_uid,
            "transfer_syntax_uid": arrival.transfer_syntax_uid,
            "patient_id": identity.patient_id,
            "issuer_of_patient_id": identity.issuer_of_patient_id,
            "birth_date": identity.birth_date.isoformat() if identity.birth_date else "",
            "sex": identity.sex,
            "size": arrival.size,
            "image": arrival.image,
            "own": arrival.own,
            "calling_ae_title": arrival.calling_ae_title,
            "address": arrival.address,
            "at": at.isoformat(),
            "meta_length": meta_length,
            "spooled": spooled,
        }
    ).encode()


def decode_facts(content: bytes) -> Facts:
    """What `encode_facts` encoded."""
    values = json.loads(content)
    at, meta_length, spooled = (
        datetime.fromisoformat(values.pop("at")),
        values.pop("meta_length"),
        values.pop("spooled"),
    )
    birth_date = values.pop("birth_date")
    identity = Identity(
        patient_id=values.pop("patient_id"),
        issuer_of_patient_id=values.pop("issuer_of_patient_id"),
        birth_date=date.fromisoformat(birth_date) if birth_date else None,
        sex=values.pop("sex"),
    )
    return Facts(Arrival(identity=identity, blob="", sha256="", **values), at, meta_length, spooled)


def _storable(text: str) -> str:
    """Text that every database takes: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
