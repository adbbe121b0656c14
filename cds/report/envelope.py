"""What every DICOM encoding carries around its content: patient, study, series, equipment, SOP Common."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from io import BytesIO
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from cds.domain.code import Code
from cds.domain.evidence import Algorithm
from cds.domain.report import Report
from cds.domain.study import Study
from cds.errors import ReportError
from cds.report.identity import device_uid, instance_uid, series_uid, uid_of
from cds.report.source import SourceHeader
from cds.report.wording import one_line

MANUFACTURER: Final = "CDS"
IMPLEMENTATION_CLASS_UID: Final = uid_of("implementation", "cds.report")
IMPLEMENTATION_VERSION_NAME: Final = "CDS_REPORT"
PROCESSING_EQUIPMENT: Final = Code("109102", "DCM", "Processing Equipment")
PRIVATE_SCHEME: Final = "99CDS"
LONG_STRING: Final = 64
"""Most characters of a value with VR LO (PS3.5 6.2)."""
SHORT_TEXT: Final = 1024
"""Most characters of a value with VR ST (PS3.5 6.2)."""


def new_instance(report: Report, header: SourceHeader, encoding: str, sop_class_uid: str) -> Dataset:
    """A data set with every module that is not the encoding's own; deterministic.

    `encoding` names the encoding in the UIDs, e.g. ``"sr"``.
    """
    ds = Dataset()
    ds.update(header.elements)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = UID(sop_class_uid)
    ds.SOPInstanceUID = UID(instance_uid(report, encoding))
    ds.SeriesInstanceUID = UID(series_uid(report, encoding))
    ds.InstanceNumber = report.revision
    _equipment(ds, report)
    _times(ds, report.created_at, header.timezone)
    ds.ContributingEquipmentSequence = [
        _contributor(report, report.software, device_uid(*report.algorithms)),
        *(_contributor(report, each, device_uid(each)) for each in report.algorithms if each != report.software),
    ]
    return ds


def encode(ds: Dataset) -> bytes:
    """The data set as a PS3.10 file in Explicit VR Little Endian, with a preamble of zeroes."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    ds.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def code_item(code: Code) -> Dataset:
    """One item of a code sequence (PS3.3 Table 8.8-1)."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = one_line(code.meaning, LONG_STRING)
    return item


def references(report: Report) -> list[Dataset]:
    """Every instance that was used, by series: the items of a Hierarchical SOP Instance Reference."""
    return [study_reference(report.study)]


def study_reference(whole: Study) -> Dataset:
    """Every instance of a study, by series (PS3.3 C.17.2.1)."""
    study = Dataset()
    study.StudyInstanceUID = whole.study_instance_uid
    study.ReferencedSeriesSequence = []
    for series in whole.series:
        item = Dataset()
        item.SeriesInstanceUID = series.series_instance_uid
        item.ReferencedSOPSequence = [sop_item(each.sop_class_uid, each.sop_instance_uid) for each in series.instances]
        study.ReferencedSeriesSequence.append(item)
    return study


def sop_item(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """One item of a Referenced SOP Sequence."""
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item


def _equipment(ds: Dataset, report: Report) -> None:
    ds.Manufacturer = MANUFACTURER
    ds.ManufacturerModelName = one_line(report.software.name, LONG_STRING)
    ds.SoftwareVersions = one_line(report.software.version, LONG_STRING)
    ds.DeviceUID = UID(device_uid(*report.algorithms))


def _contributor(report: Report, algorithm: Algorithm, uid: str) -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(PROCESSING_EQUIPMENT)]
    item.Manufacturer = MANUFACTURER
    item.ManufacturerModelName = one_line(algorithm.name, LONG_STRING)
    item.SoftwareVersions = one_line(algorithm.version, LONG_STRING)
    item.DeviceUID = UID(uid)
    item.ContributionDateTime = date_time(report.created_at)
    item.ContributionDescription = one_line(
        f"sha256 {algorithm.sha256}" if algorithm.sha256 else "no weights file", SHORT_TEXT
    )
    return item


def _times(ds: Dataset, created_at: datetime, offset: str) -> None:
    """Dates and times of the content.

    Timezone Offset From UTC covers every date and time of the instance (PS3.3 C.12.1.1), those copied
    from the images too; so it is written only where the images state theirs. Date-times of our own
    carry their offset in themselves.
    """
    local = created_at.astimezone(_zone(offset)) if offset and _zone(offset) else created_at
    ds.ContentDate = ds.InstanceCreationDate = f"{local:%Y%m%d}"
    ds.ContentTime = ds.InstanceCreationTime = f"{local:%H%M%S.%f}"
    if offset and _zone(offset):
        ds.TimezoneOffsetFromUTC = offset


def date_time(moment: datetime) -> str:
    """A DICOM DT with its offset from UTC.

    Raises
    ------
    ReportError
        When the time has no zone.
    """
    if moment.tzinfo is None:
        raise ReportError("the report's time has no time zone; give an aware datetime")
    return f"{moment:%Y%m%d%H%M%S.%f%z}"


def _zone(offset: str) -> timezone | None:
    """``"+0800"`` as a time zone; None where the text is no offset."""
    if len(offset) != 5 or offset[0] not in "+-" or not offset[1:].isdigit():
        return None
    shift = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
    return timezone(-shift if offset[0] == "-" else shift) if shift < timedelta(hours=24) else None
