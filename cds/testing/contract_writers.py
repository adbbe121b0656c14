"""What every plugin of the door `cds.writers` must keep; run it over your own."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import PurePath

from pydicom import dcmread

from cds.domain.report import EncodedReport, Report
from cds.ports import Writer


def writes_at_least_one_encoding_under_a_plain_file_name(writer: Writer, report: Report) -> None:
    """A name is a file name: no folder in it, none twice."""
    names = [each.name for each in writer.write(report)]
    assert names
    assert len(set(names)) == len(names)
    assert all(PurePath(name).name == name and name not in ("", ".", "..") for name in names)


def writes_the_same_bytes_again(writer: Writer, report: Report) -> None:
    """The same report gives the same SOP Instance UIDs, and the same bytes."""
    assert writer.write(report) == writer.write(report)


def says_of_a_dicom_object_what_it_is(writer: Writer, report: Report) -> None:
    """The UIDs beside the content are those in it, it belongs to the study, and it is not verified."""
    for each in _dicom(writer, report):
        ds = dcmread(BytesIO(each.content))
        assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID == each.sop_instance_uid
        assert ds.SOPClassUID == ds.file_meta.MediaStorageSOPClassUID == each.sop_class_uid
        assert ds.StudyInstanceUID == report.study.study_instance_uid
        assert ds.get("VerificationFlag", "UNVERIFIED") == "UNVERIFIED"


def never_reuses_the_uid_of_an_image(writer: Writer, report: Report) -> None:
    """A result is a new instance in a new series of the same study."""
    instances = {each.sop_instance_uid for each in report.study.instances}
    series = {each.series_instance_uid for each in report.study.series}
    for each in _dicom(writer, report):
        ds = dcmread(BytesIO(each.content))
        assert ds.SOPInstanceUID not in instances
        assert ds.SeriesInstanceUID not in series


def _dicom(writer: Writer, report: Report) -> list[EncodedReport]:
    return [each for each in writer.write(report) if each.sop_class_uid]


CHECKS: tuple[Callable[[Writer, Report], None], ...] = (
    writes_at_least_one_encoding_under_a_plain_file_name,
    writes_the_same_bytes_again,
    says_of_a_dicom_object_what_it_is,
    never_reuses_the_uid_of_an_image,
)
"""Every check, each taking a writer and a report of a study whose files exist."""
