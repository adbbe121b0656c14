"""The DICOM Structured Report: TID 1500 Measurement Report (PS3.16), Comprehensive SR or Comprehensive 3D SR."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    ImageContentItem,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
)
from highdicom.sr.enum import RelationshipTypeValues
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dicom
from pydicom.uid import UID

from cds.domain.evidence import Modality
from cds.domain.report import EncodedReport, Report
from cds.domain.study import Series
from cds.domain.waveform import STORAGE_CLASSES
from cds.report import sr_codes as codes
from cds.report.checks import ensure_truthful, in_decimals
from cds.report.envelope import (
    MANUFACTURER,
    PRIVATE_SCHEME,
    encode,
    new_instance,
    references,
    sop_item,
    study_reference,
)
from cds.report.identity import device_uid, series_uid, uid_of
from cds.report.source import SourceHeader, read_header
from cds.report.sr_groups import groups
from cds.report.sr_texts import evaluations
from cds.report.viewers import ensure_viewable

SOP_CLASSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "enhanced": "1.2.840.10008.5.1.4.1.1.88.22",
        "comprehensive": "1.2.840.10008.5.1.4.1.1.88.33",
        "comprehensive-3d": "1.2.840.10008.5.1.4.1.1.88.34",
    }
)
"""By the names that `cds.ports.Peer.sr_class` has for them. What is written here needs no more than Enhanced SR."""
SERIES_NUMBER: Final = 9001
MEDIA_TYPE: Final = "application/dicom"
SERIES_OF: Final[Mapping[Modality, frozenset[str]]] = MappingProxyType(
    {Modality.XRAY: frozenset({"CR", "DX"}), Modality.CT: frozenset({"CT"}), Modality.WAVEFORM: frozenset({"ECG"})}
)
"""The Modality (0008,0060) of the series that a modality is read from."""
ALWAYS_EXPECTED: Final = frozenset({Modality.LABS, Modality.TEXT})
"""What every patient could have; a study is of one imaging modality, and the other is not awaited."""


class StructuredReport:
    """Writes a report as an SR, once for each SOP class that somebody wants."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        """`sr_classes`: Comprehensive SR reaches the most viewers, 3D is what IHE AIR asks for.

        The host fills it with what the peers are to have; the first is the report's own, the others tell the same.
        """

        sr_classes: tuple[str, ...] = ("comprehensive",)

        def __post_init__(self) -> None:
            """Refuse a class that there is not."""
            unknown = [name for name in self.sr_classes if name not in SOP_CLASSES]
            if unknown or not self.sr_classes:
                raise ValueError(f"sr_classes must be of {', '.join(SOP_CLASSES)}, not {unknown}")

    name: ClassVar[str] = "sr"

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def write(self, report: Report) -> tuple[EncodedReport, ...]:
        """UNVERIFIED and PRELIMINARY SRs of the same content.

        Raises
        ------
        ReportError
            When the report cannot be encoded truthfully, or a known viewer would refuse the result.
        """
        ensure_truthful(report)
        first, *others = self.settings.sr_classes
        ds = self._instance(in_decimals(report), read_header(report), first)
        ensure_viewable(ds)
        return (
            _encoded(ds, "report.sr.dcm"),
            *(_encoded(_as_class(ds, report, name), f"report.sr-{name}.dcm") for name in others),
        )

    def _instance(self, report: Report, header: SourceHeader, encoding: str) -> Dataset:
        ds = new_instance(report, header, f"sr/{encoding}", SOP_CLASSES[encoding])
        ds.Modality = "SR"
        ds.SeriesNumber = SERIES_NUMBER
        ds.SeriesDescription = "AI decision support, unverified"
        ds.ReferencedPerformedProcedureStepSequence = []
        ds.PerformedProcedureCodeSequence = []
        ds.CompletionFlag = "PARTIAL" if is_partial(report) else "COMPLETE"
        ds.VerificationFlag = report.verification
        ds.PreliminaryFlag = "PRELIMINARY"
        ds.CurrentRequestedProcedureEvidenceSequence = references(report)
        if pertinent := _priors_used(report):
            ds.PertinentOtherEvidenceSequence = pertinent
        ds.CodingSchemeIdentificationSequence = [_private_scheme()]
        if report.predecessor:
            ds.PredecessorDocumentsSequence = _predecessor(report, encoding, report.predecessor)
        for element in content(report, header):
            ds[element.tag] = element
        return ds


def _encoded(ds: Dataset, name: str) -> EncodedReport:
    return EncodedReport(
        name=name,
        media_type=MEDIA_TYPE,
        content=encode(ds),
        sop_instance_uid=str(ds.SOPInstanceUID),
        sop_class_uid=str(ds.SOPClassUID),
    )


def _as_class(ds: Dataset, report: Report, name: str) -> Dataset:
    """The same document of another SOP class: an instance, and a series, of its own."""
    other = deepcopy(ds)
    other.SOPClassUID = UID(SOP_CLASSES[name])
    other.SOPInstanceUID = UID(_twin_uid(str(ds.SOPInstanceUID), name))
    other.SeriesInstanceUID = UID(series_uid(report, f"sr/{name}"))
    if report.predecessor:
        other.PredecessorDocumentsSequence = _predecessor(report, name, _twin_uid(report.predecessor, name))
    return other


def _twin_uid(sop_instance_uid: str, name: str) -> str:
    """It follows from the first one's, so that a revision can name its predecessor."""
    return uid_of("twin", name, sop_instance_uid)


def _priors_used(report: Report) -> list[Dataset]:
    """Earlier studies that were compared (Pertinent Other Evidence Sequence, PS3.3 C.17.2)."""
    compared = {each.study_instance_uid for each in report.comparisons if each.changes}
    return [study_reference(prior) for prior in report.case.priors if prior.study_instance_uid in compared]


def is_partial(report: Report) -> bool:
    """Whether inputs were missing: instances, labs or text, or a modality of which the study has a series."""
    if report.case.held < report.case.expected:
        return True
    sent = {series.modality.upper() for series in report.study.series}
    return any(
        part.modality in ALWAYS_EXPECTED or sent & SERIES_OF.get(part.modality, frozenset()) for part in report.missing
    )


def content(report: Report, header: SourceHeader) -> Dataset:
    """The content tree, TID 1500, its root a CONTAINER (126000, DCM, "Imaging Measurement Report")."""
    procedure = CodedConcept(*header.procedure) if header.procedure else codes.concept(codes.CHEST_IMAGING)
    root = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer(report)),
        procedure_reported=procedure,
        imaging_measurements=groups(report),
        title=dicom.cid7021.ImagingMeasurementReport,
    )[0]
    items = list(root.ContentSequence)
    root.ContentSequence = ContentSequence([*items[:-1], _library(report), items[-1], evaluations(report)])
    return root


def _observer(report: Report) -> ObserverContext:
    """TID 1002 with the device's attributes, TID 1004."""
    return ObserverContext(
        observer_type=dicom.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=device_uid(*report.algorithms),
            name=report.software.name,
            manufacturer_name=MANUFACTURER,
            model_name=f"{report.software.name} {report.software.version}",
        ),
    )


def _library(report: Report) -> ContainerContentItem:
    """TID 1600: every image that was used, a group per series; the series with key images comes first."""
    keys = {part.key_image for part in report.evidence}
    images = [one for one in report.study.series if not any(i.sop_class_uid in STORAGE_CLASSES for i in one.instances)]
    series = sorted(images, key=lambda one: not any(i.sop_instance_uid in keys for i in one.instances))
    library = ContainerContentItem(name=dicom.DCM.ImageLibrary, relationship_type=RelationshipTypeValues.CONTAINS)
    library.ContentSequence = ContentSequence([_library_group(one) for one in series if one.instances])
    return library


def _library_group(series: Series) -> ContainerContentItem:
    group = ContainerContentItem(name=dicom.DCM.ImageLibraryGroup, relationship_type=RelationshipTypeValues.CONTAINS)
    modality = CodeContentItem(
        name=dicom.DCM.Modality,
        value=CodedConcept(series.modality, "DCM", MODALITY_MEANINGS.get(series.modality, series.modality)),
        relationship_type=RelationshipTypeValues.HAS_ACQ_CONTEXT,
    )
    images = [
        ImageContentItem(
            name=CodedConcept("260753009", "SCT", "Source"),
            referenced_sop_class_uid=image.sop_class_uid,
            referenced_sop_instance_uid=image.sop_instance_uid,
            relationship_type=RelationshipTypeValues.CONTAINS,
        )
        for image in series.instances
    ]
    group.ContentSequence = ContentSequence([modality, *images])
    return group


MODALITY_MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {"CT": "Computed Tomography", "CR": "Computed Radiography", "DX": "Digital Radiography"}
)
"""Code meanings of CID 29; other modalities are shown by their code value."""


def _private_scheme() -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME
    item.CodingSchemeName = "Concepts of this software that no public scheme has"
    item.CodingSchemeResponsibleOrganization = MANUFACTURER
    return item


def _predecessor(report: Report, encoding: str, sop_instance_uid: str) -> list[Dataset]:
    """The revision before, which stands in the same series."""
    series = Dataset()
    series.SeriesInstanceUID = series_uid(report, f"sr/{encoding}")
    series.ReferencedSOPSequence = [sop_item(SOP_CLASSES[encoding], sop_instance_uid)]
    study = Dataset()
    study.StudyInstanceUID = report.study.study_instance_uid
    study.ReferencedSeriesSequence = [series]
    return [study]
