"""The board as a DICOM object: Secondary Capture Image Storage (PS3.3 A.8.1), which every viewer shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from pydicom.dataset import Dataset

from cds.domain.code import Code
from cds.domain.report import EncodedReport, Report
from cds.report.board import Board, Picture
from cds.report.checks import ensure_truthful, in_decimals
from cds.report.envelope import code_item, encode, new_instance, sop_item
from cds.report.pdf_fonts import find
from cds.report.source import read_header

SOP_CLASS: Final = "1.2.840.10008.5.1.4.1.1.7"
SERIES_NUMBER: Final = 9003
SOURCE_IMAGE: Final = Code("121322", "DCM", "Source image for image processing operation")  # CID 7202


class SecondaryCapture:
    """Writes a report as one colour picture: key images, marks, heat maps, what was found, and the banner."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        """`font_file` is a TrueType or OpenType font with Chinese; empty takes an installed one, else English alone."""

        font_file: str = ""

    name: ClassVar[str] = "sc"

    def __init__(self, settings: Settings | None = None) -> None:
        self._board = Board(find((settings or self.Settings()).font_file))

    def write(self, report: Report) -> tuple[EncodedReport, ...]:
        """The Secondary Capture.

        Raises
        ------
        ReportError
            When the report cannot be encoded truthfully.
        """
        ensure_truthful(report)
        report = in_decimals(report)
        ds = new_instance(report, read_header(report), "sc", SOP_CLASS)
        _describe(ds, report)
        _fill(ds, self._board.draw(report))
        return (
            EncodedReport(
                name="report.sc.dcm",
                media_type="application/dicom",
                content=encode(ds),
                sop_instance_uid=str(ds.SOPInstanceUID),
                sop_class_uid=SOP_CLASS,
            ),
        )


def _describe(ds: Dataset, report: Report) -> None:
    """The General Series, SC Equipment, SC Image and General Image modules (PS3.3 C.7.3.1, C.8.6, C.7.6.1)."""
    ds.Modality = "OT"
    ds.SeriesNumber = SERIES_NUMBER
    ds.SeriesDescription = "AI decision support, unverified (picture)"
    ds.ConversionType = "WSD"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.PatientOrientation = None
    ds.Laterality = None
    ds.BurnedInAnnotation = "NO"  # it names no patient
    ds.RecognizableVisualFeatures = "NO"
    ds.DateOfSecondaryCapture, ds.TimeOfSecondaryCapture = ds.ContentDate, ds.ContentTime
    ds.DerivationDescription = "Key images with marks and heat maps by decision support software, unverified"
    shown = {part.key_image for part in report.evidence if part.key_image}
    ds.SourceImageSequence = [
        _source(instance.sop_class_uid, instance.sop_instance_uid)
        for instance in report.study.instances
        if instance.sop_instance_uid in shown
    ]


def _source(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = sop_item(sop_class_uid, sop_instance_uid)
    item.PurposeOfReferenceCodeSequence = [code_item(SOURCE_IMAGE)]
    return item


def _fill(ds: Dataset, picture: Picture) -> None:
    """The Image Pixel module (PS3.3 C.7.6.3)."""
    ds.Rows, ds.Columns, ds.SamplesPerPixel = *picture.shape[:2], picture.shape[2]
    ds.PhotometricInterpretation, ds.PlanarConfiguration = "RGB", 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    content = picture.tobytes()
    ds.PixelData = content + b"\0" * (len(content) % 2)
    ds["PixelData"].VR = "OB"
