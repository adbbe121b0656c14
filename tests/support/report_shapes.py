"""The shapes that a report comes in: every encoding must carry each of them; every value is invented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from cds.domain.code import Code
from cds.domain.evidence import Assertion, Measurement, Missing, Modality
from cds.domain.finding import Finding
from cds.domain.records import LabResult, LabStatus, Records
from cds.domain.report import Report
from cds.domain.vocabulary import ECG, FINDINGS
from support.images import series_of
from support.reports import (
    CREATED,
    CRP,
    FUSION,
    HOSTILE,
    WBC,
    abstained,
    evidence,
    full_report,
    many_nodules_report,
    pneumonia,
    report_of,
    revised_report,
    study_of,
    xray_only_report,
)

ER7: Final = "a|b^c~d\\e&f \\.br\\ \rOBX|1|TX|evil\nPID|1"
"""What would break out of a field of HL7 v2, where it was not escaped."""


def some_nodules_report(folder: Path) -> Report:
    """Twelve nodules on a CT of five slices."""
    return many_nodules_report(folder, nodules=12, slices=5)


def abstained_report(folder: Path) -> Report:
    """Nothing could be assessed."""
    xray = series_of(folder, "DX", 1)
    skipped = replace(abstained(), id="pneumonia", code=FINDINGS["pneumonia"], reason="the image is too dark")
    return report_of(study_of(xray), (abstained(), skipped), parts=(), joined=Records())


def nothing_report(folder: Path) -> Report:
    """No modality could take part, and there is no finding."""
    missing = tuple(Missing(modality=each, reason="none was there") for each in Modality)
    return report_of(study_of(series_of(folder, "DX", 1)), (), parts=(), missing=missing, joined=Records())


def chinese_report(folder: Path) -> Report:
    """A name in three scripts, in a Chinese character set, and a finding of no public scheme."""
    xray = series_of(folder, "DX", 1, name="Li^XiaoMing^^Dr^Jr=李^小明=り^しょうめい", charset="ISO_IR 192")
    private = replace(pneumonia(), id="cardiomegaly", code=FINDINGS["cardiomegaly"], site=None)
    return report_of(study_of(xray), (private,), parts=evidence(xray.instances[0], None))


def hostile_report(folder: Path) -> Report:
    """Markup, escapes, segment ends and direction marks wherever a text may stand."""
    xray = series_of(folder, "DX", 1, name="O|Hara^Eve&<b>^^~=王\\^小东")
    finding = replace(
        pneumonia(), reason=f"{HOSTILE} {ER7}", calibrated_on=ER7, algorithm=replace(FUSION, name=f"net {ER7}")
    )
    report = report_of(
        study_of(xray),
        (finding,),
        parts=evidence(xray.instances[0], None),
        missing=(Missing(modality=Modality.CT, reason=f"{ER7} {HOSTILE}"),),
    )
    study = replace(report.study, reason_for_exam=ER7, description=HOSTILE)
    return replace(report, case=replace(report.case, study=study), impression=(f"{HOSTILE}\n{ER7}", ER7))


def laboratory_report(folder: Path) -> Report:
    """Bounds, tiny and huge values, every status, ranges open at one side, no range."""
    values = (
        LabResult(analyte=CRP, value=5, unit="mg/L", observed_at=CREATED, comparator="<", reference_high=5),
        LabResult(analyte=CRP, value=1e-7, unit="mg/L", observed_at=CREATED, status=LabStatus.PRELIMINARY),
        LabResult(
            analyte=WBC,
            value=1234567.5,
            unit="10*9/L",
            observed_at=CREATED - timedelta(days=2),
            comparator=">=",
            reference_low=3.5,
            status=LabStatus.CORRECTED,
        ),
        LabResult(analyte=WBC, value=0, unit="10*9/L", observed_at=CREATED, status=LabStatus.CANCELLED),
    )
    xray = series_of(folder, "DX", 1)
    return report_of(
        study_of(xray), (pneumonia(),), parts=evidence(xray.instances[0], None), joined=Records(labs=values)
    )


def measured_report(folder: Path) -> Report:
    """An electrocardiogram: numbers, neither present nor absent."""
    rate, ratio = Code("heart_rate", "99CDS", "Heart rate", "心率"), Code("a_ratio", "99CDS", "A ratio", "比值")
    measured = Finding(
        id="ecg",
        code=ECG,
        assertion=Assertion.PRESENT,
        algorithm=FUSION,
        measurements=(
            Measurement(quantity=rate, value=71.25, unit="/min"),
            Measurement(quantity=ratio, value=0.0, unit=""),
            Measurement(quantity=rate, value=1e-9, unit="mV"),
        ),
        because=("labs/1988-5",),
    )
    xray = series_of(folder, "DX", 1)
    return report_of(study_of(xray), (measured,), parts=evidence(xray.instances[0], None))


SHAPES: Final[tuple[Callable[[Path], Report], ...]] = (
    full_report,
    xray_only_report,
    revised_report,
    some_nodules_report,
    abstained_report,
    nothing_report,
    chinese_report,
    hostile_report,
    laboratory_report,
    measured_report,
)
