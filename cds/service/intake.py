"""Intake: what a listener received becomes durable here, or is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from cds.dicom.header import Header, parse_header
from cds.errors import MalformedInstance, MismatchedInstance, OutOfResources
from cds.ports import ReceivedInstance
from cds.store import Arrival, Blob, Ledger, Taken

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


class StudyIntake:
    """Implements `cds.ports.Intake` on a ledger.

    Parameters
    ----------
    clock
        The time now, aware.
    own_model_name
        Manufacturer's Model Name (0008,1090) of our own results.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime], own_model_name: str) -> None:
        self._ledger = ledger
        self._clock = clock
        self._own_model_name = own_model_name

    def take(self, instance: ReceivedInstance) -> None:
        """Check the data set, make it durable, enter it, then return.

        Raises
        ------
        MalformedInstance
            When the data set cannot be understood.
        MismatchedInstance
            When it is not the instance that the C-STORE request announced.
        OutOfResources
            When disk or database do not take it now. The blob may be there already: a re-send
            finds it, a restart enters it.
        """
        header = parse_header(instance.data_set, instance.transfer_syntax_uid)
        _check_announced(instance, header)
        try:
            blob = self._ledger.blobs.put(instance)
        except OSError as error:
            raise OutOfResources(f"the disk does not take it now: {error.strerror}") from None
        self._enter(instance, header, blob)

    def adopt_orphans(self) -> int:
        """Enter every blob that has no row; how many there were.

        A blob has no row when the node died between the file and the row (the sender had no answer
        and sends again), or when the ledger was moved away to be rebuilt.
        """
        known = self._ledger.arrivals.blobs()
        orphans = [name for name in self._ledger.blobs.names() if name not in known]
        for name in orphans:
            self._adopt(name)
        return len(orphans)

    def _adopt(self, name: str) -> None:
        try:
            instance = self._ledger.blobs.read(name)
            header = parse_header(instance.data_set, instance.transfer_syntax_uid)
        except (ValueError, MalformedInstance):
            self._ledger.blobs.remove(name)  # no answer was ever given for it
            return
        blob = self._ledger.blobs.put(instance)
        if blob.name != name:
            self._ledger.blobs.remove(name)
        self._enter(instance, header, blob)

    def _enter(self, instance: ReceivedInstance, header: Header, blob: Blob) -> Taken:
        return self._ledger.arrivals.record(
            Arrival(
                sop_instance_uid=header.sop_instance_uid,
                sop_class_uid=header.sop_class_uid,
                study_instance_uid=header.study_instance_uid,
                series_instance_uid=header.series_instance_uid,
                transfer_syntax_uid=instance.transfer_syntax_uid,
                identity=replace(header.identity, patient_id=header.patient_id.strip()),
                blob=blob.name,
                sha256=blob.sha256,
                size=blob.size,
                image=_is_image(header),
                own=header.manufacturer_model_name == self._own_model_name and not _is_image(header),
                calling_ae_title=instance.calling_ae_title,
                address=instance.address,
            ),
            self._clock(),
        )


def _is_image(header: Header) -> bool:
    return not header.sop_class_uid.startswith(_NO_IMAGE)


def _check_announced(instance: ReceivedInstance, header: Header) -> None:
    """Compare request and data set (PS3.7 9.1.1.1)."""
    if instance.sop_instance_uid != header.sop_instance_uid:
        raise MismatchedInstance(f"the data set is not the announced SOP Instance but {header.sop_instance_uid}")
    if instance.sop_class_uid != header.sop_class_uid:
        raise MismatchedInstance(
            f"SOP Instance {header.sop_instance_uid} is of SOP Class {header.sop_class_uid}, not of the announced one"
        )
