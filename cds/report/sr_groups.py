"""One Measurement Group (TID 1501, or TID 1410 with a region on an image) per finding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    ImageRegion,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.sr.coding import Code as PydicomCode

from cds.domain.evidence import Algorithm
from cds.domain.finding import Finding
from cds.domain.report import Report
from cds.domain.study import Instance
from cds.domain.waveform import STORAGE_CLASSES
from cds.report import sr_codes as codes
from cds.report.figures import figures, notes
from cds.report.identity import tracking_uid
from cds.report.wording import one_line

Group = MeasurementsAndQualitativeEvaluations | PlanarROIMeasurementsAndQualitativeEvaluations


def groups(report: Report) -> list[Group]:
    """The groups in the order of the findings; a report without a finding says so in a group of its own."""
    images = {instance.sop_instance_uid: instance for instance in report.study.instances}
    made = [_group(report, finding, images) for finding in report.findings]
    return made or [_nothing_assessed(report)]


def _group(report: Report, finding: Finding, images: Mapping[str, Instance]) -> Group:
    """The template without what highdicom has no argument for, then the texts."""
    tracking = TrackingIdentifier(uid=tracking_uid(report, finding.id), identifier=one_line(finding.id, 1024))
    algorithm = _algorithm(finding.algorithm, report)
    sites = [_site(finding)] if finding.site else None
    measurements = _measurements(finding)
    presence = [
        QualitativeEvaluation(codes.concept(codes.PRESENCE), codes.concept(codes.ASSERTION_VALUES[finding.assertion]))
    ]
    group: Group
    if finding.region is None:
        group = MeasurementsAndQualitativeEvaluations(
            tracking_identifier=tracking,
            finding_type=codes.concept(finding.code),
            algorithm_id=algorithm,
            finding_sites=sites,
            measurements=measurements,
            qualitative_evaluations=presence,
            source_images=_source_images(report, finding, images),
        )
    else:
        group = PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=tracking,
            referenced_region=_region(finding, images),
            finding_type=codes.concept(finding.code),
            algorithm_id=algorithm,
            finding_sites=sites,
            measurements=measurements,
            qualitative_evaluations=presence,
        )
    group[0].ContentSequence.extend(_texts(report, finding))
    return group


def _algorithm(algorithm: Algorithm, report: Report) -> AlgorithmIdentification:
    """TID 4019; the parameters hold what makes the result reproducible."""
    parameters = [f"inputs sha256 {report.inputs_hash}"]
    if algorithm.sha256:
        parameters.append(f"weights sha256 {algorithm.sha256}")
    parameters += [
        f"knowledge {source.algorithm.name} {source.algorithm.version} sha256 {source.algorithm.sha256}".rstrip()
        for source in report.knowledge
    ]
    return AlgorithmIdentification(name=algorithm.name, version=algorithm.version, parameters=parameters)


def _site(finding: Finding) -> FindingSite:
    site = finding.site
    assert site is not None
    side = codes.concept(site.laterality) if site.laterality else None
    return FindingSite(anatomic_location=codes.concept(site.region), laterality=side)


def _measurements(finding: Finding) -> list[Measurement]:
    """The probability with its bounds, the base value and the contributions, then the sizes.

    Every NUM names its algorithm: a viewer of wide use throws on a NUM without children in a group
    without geometry.
    """
    numbers = [(name, value, "1") for name, value in figures(finding)]
    numbers += [(each.quantity, each.value, each.unit) for each in finding.measurements]
    by = AlgorithmIdentification(name=finding.algorithm.name, version=finding.algorithm.version)
    return [
        Measurement(name=codes.concept(name), value=float(value), unit=codes.unit(unit), algorithm_id=by)
        for name, value, unit in numbers
    ]


def _texts(report: Report, finding: Finding) -> list[TextContentItem]:
    """What a person reads: the sentence in both languages, the reason, the evidence, the calibration set."""
    return [item for name, said in notes(report, finding) for item in codes.both(name, said)]


def _region(finding: Finding, images: Mapping[str, Instance]) -> ImageRegion:
    region = finding.region
    assert region is not None
    image = images[region.sop_instance_uid]
    source = SourceImageForRegion(
        referenced_sop_class_uid=image.sop_class_uid,
        referenced_sop_instance_uid=image.sop_instance_uid,
        referenced_frame_numbers=[region.frame] if image.frames > 1 else None,
    )
    return ImageRegion(
        graphic_type=region.shape, graphic_data=np.asarray(region.points, dtype=float), source_image=source
    )


def _source_images(
    report: Report, finding: Finding, images: Mapping[str, Instance]
) -> list[SourceImageForMeasurementGroup] | None:
    """The images that the finding's evidence names; None where it names none (then all of the library)."""
    named = [
        uid
        for part in report.evidence
        for each in part.observations
        if each.id in finding.because
        for uid in (each.source, each.region.sop_instance_uid if each.region else "", part.key_image)
    ]
    found = [images[uid] for uid in dict.fromkeys(named) if uid in images]
    used = [image for image in found if image.sop_class_uid not in STORAGE_CLASSES]
    made = [
        SourceImageForMeasurementGroup(
            referenced_sop_class_uid=image.sop_class_uid, referenced_sop_instance_uid=image.sop_instance_uid
        )
        for image in used
    ]
    return made or None


def _nothing_assessed(report: Report) -> MeasurementsAndQualitativeEvaluations:
    """TID 1500 wants a group; a report without one would be read as an accident."""
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=tracking_uid(report, ""), identifier="no finding"),
        finding_type=PydicomCode("121071", "DCM", "Finding"),
        algorithm_id=_algorithm(report.software, report),
        qualitative_evaluations=[
            QualitativeEvaluation(codes.concept(codes.PRESENCE), codes.concept(codes.ASSERTION_VALUES["NOT_ASSESSED"]))
        ],
    )
