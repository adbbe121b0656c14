"""What a peer tells us beside its instances: storage commitment, availability (PS3.4 J and R)."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from cds.errors import MalformedInstance
from cds.ports import CommitmentReported, CommitmentRequested, Reference, StudyAnnounced
from cds_pacs.status import PROCESSING_FAILURE  # as a Failure Reason where a peer names none (PS3.3 C.14.1.1)


def commitment_requested(content: bytes, syntax: str, calling_ae_title: str, address: str) -> CommitmentRequested:
    """Read the Action Information of a storage commitment request (PS3.4 table J.3-1).

    Raises
    ------
    MalformedInstance
        When it cannot be understood.
    """
    data_set = _read(content, syntax)
    return CommitmentRequested(
        transaction_uid=_uid(data_set, "TransactionUID"),
        references=tuple(_reference(item) for item in _items(data_set, "ReferencedSOPSequence")),
        calling_ae_title=calling_ae_title,
        address=address,
    )


def commitment_reported(content: bytes, syntax: str, calling_ae_title: str, address: str) -> CommitmentReported:
    """Read the Event Information of a storage commitment result (PS3.4 table J.3-2). Errors as above."""
    data_set = _read(content, syntax)
    kept = [_reference(item) for item in _items(data_set, "ReferencedSOPSequence")]
    failed = [_reference(item, _failure(item)) for item in _items(data_set, "FailedSOPSequence")]
    return CommitmentReported(
        transaction_uid=_uid(data_set, "TransactionUID"),
        references=(*kept, *failed),
        calling_ae_title=calling_ae_title,
        address=address,
    )


def study_announced(content: bytes, syntax: str, calling_ae_title: str, address: str) -> StudyAnnounced:
    """Read an Instance Availability Notification (PS3.4 table R.3.2-1). Errors as above.

    What is unavailable (PS3.3 C.4.23) is not there.
    """
    data_set = _read(content, syntax)
    return StudyAnnounced(
        study_instance_uid=_uid(data_set, "StudyInstanceUID"),
        references=tuple(
            _reference(item)
            for series in _items(data_set, "ReferencedSeriesSequence")
            for item in _items(series, "ReferencedSOPSequence")
            if item.get("InstanceAvailability") != "UNAVAILABLE"
        ),
        calling_ae_title=calling_ae_title,
        address=address,
    )


def _read(content: bytes, syntax: str) -> Dataset:
    encoding = UID(syntax)
    try:
        data_set = read_dataset(BytesIO(content), encoding.is_implicit_VR, encoding.is_little_endian)
        data_set.walk(lambda *_: None)  # pydicom is lazy: what is malformed shows itself when it is read
    except Exception as error:  # pydicom raises what it likes on garbage
        raise MalformedInstance(f"a data set that cannot be understood ({type(error).__name__})") from None
    return data_set


def _items(data_set: Dataset, keyword: str) -> Iterable[Dataset]:
    value = data_set.get(keyword)
    return list(value) if value else ()


def _reference(item: Dataset, failure: int = 0) -> Reference:
    return Reference(
        sop_class_uid=_uid(item, "ReferencedSOPClassUID"),
        sop_instance_uid=_uid(item, "ReferencedSOPInstanceUID"),
        failure=failure,
    )


def _failure(item: Dataset) -> int:
    value = item.get("FailureReason")
    return value if isinstance(value, int) and value else PROCESSING_FAILURE


def _uid(data_set: Dataset, keyword: str) -> str:
    value = data_set.get(keyword)
    if not isinstance(value, str) or not UID(value).is_valid:
        raise MalformedInstance(f"{keyword} is missing or no valid UID")
    return str(value)
