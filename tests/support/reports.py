"""Reports to write; every value is invented."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from cds.domain.code import Code
from cds.domain.evidence import (
    Algorithm,
    Assertion,
    Evidence,
    Gate,
    ImageRegion,
    Measurement,
    Missing,
    Modality,
    Observation,
    Site,
    Span,
)
from cds.domain.finding import (
    Contribution,
    Finding,
    Knowledge,
    PathStep,
    Recommendation,
    Statement,
    StatementKind,
)
from cds.domain.records import LabResult, Records, TextKind, TextReport
from cds.domain.report import Case, Report
from cds.domain.study import Instance, Patient, Series, Study
from cds.domain.vocabulary import ANATOMY, FINDINGS
from cds.report.wording import impression
from support.images import STUDY, series_of

CREATED = datetime(2026, 3, 2, 9, 30, 15, tzinfo=UTC)
SOFTWARE = Algorithm(name="cds-pacs", version="0.1.0")
XRAY_NET = Algorithm(name="chest-xray-net", version="1.0.0", sha256="a" * 64, card="docs/model-card-xray.md")
CT_NET = Algorithm(name="ct-nodule", version="2.1.0", sha256="b" * 64)
LABS_RULES = Algorithm(name="labs", version="1.0.0")
TEXT_RULES = Algorithm(name="report-text", version="1.0.0")
FUSION = Algorithm(name="fusion-transformer", version="3.0.0", sha256="c" * 64)
GRAPH = Algorithm(name="thorax-graph", version="2026.1", sha256="d" * 64)
DIAMETER = Code("81827009", "SCT", "Diameter", "直径")
VOLUME = Code("118565006", "SCT", "Volume", "体积")
CRP = Code("1988-5", "LN", "C reactive protein", "C反应蛋白")
WBC = Code("6690-2", "LN", "Leukocytes", "白细胞计数")
HOSTILE = 'No <b>bold</b> & "fever" </para><font size="90">x</font>\x00\x1b[31m \u202egnihton'


def study_of(*series: Series) -> Study:
    patient = Patient(
        patient_id="MRN-4711", name="Wang^XiaoDong=王^小东", birth_date=date(1965, 4, 12), sex="F", age_years=60.0
    )
    return Study(
        study_instance_uid=STUDY,
        patient=patient,
        series=series,
        started_at=CREATED,
        accession_number="ACC-9001",
        description="Chest",
        reason_for_exam="Fever and cough for 3 days",
    )


def records() -> Records:
    return Records(
        labs=(
            LabResult(
                analyte=CRP,
                value=96.5,
                unit="mg/L",
                observed_at=CREATED,
                reference_low=0,
                reference_high=5,
                source="labs.csv:2",
            ),
            LabResult(
                analyte=WBC,
                value=13.2,
                unit="10*9/L",
                observed_at=CREATED,
                reference_low=3.5,
                reference_high=9.5,
                source="labs.csv:3",
            ),
        ),
        texts=(
            TextReport(
                report_id="prior-1",
                text=f"FINDINGS: right lower lobe consolidation. {HOSTILE}",
                kind=TextKind.PRIOR,
                authored_at=CREATED,
            ),
        ),
    )


def evidence(xray: Instance | None, ct: Series | None) -> tuple[Evidence, ...]:
    images = ([xray_evidence(xray)] if xray is not None else []) + ([ct_evidence(ct)] if ct is not None else [])
    return (*images, labs_evidence(), text_evidence())


def xray_evidence(xray: Instance) -> Evidence:
    return Evidence(
        modality=Modality.XRAY,
        algorithm=XRAY_NET,
        observations=(
            Observation(
                id="chest_xray/pneumonia",
                concept=FINDINGS["pneumonia"],
                probability=0.8125,
                interval=(0.7, 0.9),
                source=xray.sop_instance_uid,
            ),
        ),
        key_image=xray.sop_instance_uid,
        heat_map=tuple(tuple(max(0.0, 1.0 - ((r - 6) ** 2 + (c - 5) ** 2) / 20) for c in range(14)) for r in range(14)),
        gates=(Gate(name="view is frontal", passed=True, reason="PA"),),
        limits=("Trained on children of one hospital.",),
    )


def ct_evidence(ct: Series) -> Evidence:
    return Evidence(
        modality=Modality.CT,
        algorithm=CT_NET,
        observations=(
            Observation(
                id="chest_ct/nodule/1",
                concept=FINDINGS["lung_nodule"],
                source=ct.series_instance_uid,
                measurements=(Measurement(quantity=DIAMETER, value=8.24, unit="mm"),),
            ),
        ),
        key_image=ct.instances[0].sop_instance_uid,
        gates=(Gate(name="slice thickness", passed=True, reason="3 mm, at most 5 mm"),),
    )


def labs_evidence() -> Evidence:
    return Evidence(
        modality=Modality.LABS,
        algorithm=LABS_RULES,
        observations=(
            Observation(
                id="labs/1988-5",
                concept=CRP,
                measurements=(Measurement(quantity=CRP, value=96.5, unit="mg/L"),),
                source="labs.csv:2",
            ),
        ),
    )


def text_evidence() -> Evidence:
    return Evidence(
        modality=Modality.TEXT,
        algorithm=TEXT_RULES,
        observations=(
            Observation(
                id="text/prior-1/27",
                concept=FINDINGS["consolidation"],
                span=Span(report_id="prior-1", start=10, end=41),
                source="prior-1",
            ),
        ),
    )


def pneumonia(because: str = "chest_xray/pneumonia") -> Finding:
    return Finding(
        id="pneumonia",
        code=FINDINGS["pneumonia"],
        assertion=Assertion.PRESENT,
        algorithm=FUSION,
        probability=0.834567,
        interval=(0.7123, 0.9134),
        calibrated_on="held-out part of the public training sets",
        site=Site(region=ANATOMY["lung"], laterality=ANATOMY["right"]),
        contributions=(
            Contribution(modality=Modality.XRAY, value=0.31),
            Contribution(modality=Modality.LABS, value=0.12),
            Contribution(modality=Modality.TEXT, value=-0.04),
        ),
        because=(because, "labs/1988-5", "text/prior-1/27"),
    )


def nodule(number: int, uid: str, diameter: float = 8.24) -> Finding:
    return Finding(
        id=f"nodule/{number}",
        code=FINDINGS["lung_nodule"],
        assertion=Assertion.PRESENT,
        algorithm=CT_NET,
        probability=0.61,
        interval=(0.4, 0.78),
        calibrated_on="LIDC-IDRI, one reader",
        site=Site(region=ANATOMY["lung"], laterality=ANATOMY["left"]),
        region=ImageRegion(sop_instance_uid=uid, shape="CIRCLE", points=((24.0, 30.0), (32.0, 30.0))),
        measurements=(
            Measurement(quantity=DIAMETER, value=diameter, unit="mm"),
            Measurement(quantity=VOLUME, value=293.1, unit="mm3"),
        ),
        because=("chest_ct/nodule/1",),
    )


def not_cancer() -> Finding:
    return Finding(
        id="lung_cancer",
        code=FINDINGS["lung_cancer"],
        assertion=Assertion.ABSENT,
        algorithm=FUSION,
        probability=0.043,
        interval=(0.01, 0.11),
        calibrated_on="held-out part of the public training sets",
        because=("chest_ct/nodule/1",),
    )


def abstained() -> Finding:
    return Finding(
        id="lung_cancer",
        code=FINDINGS["lung_cancer"],
        assertion=Assertion.NOT_ASSESSED,
        algorithm=FUSION,
        reason="no chest CT took part",
    )


def knowledge() -> Knowledge:
    fever = Code("fever", "99CDS", "Fever", "发热")
    step = PathStep(
        subject=FINDINGS["pneumonia"],
        relation="has_symptom",
        object=fever,
        citation="doi:10.1016/S0140-6736(15)60733-4",
    )
    return Knowledge(
        algorithm=GRAPH,
        statements=(
            Statement(
                kind=StatementKind.DIFFERENTIAL,
                subject=FINDINGS["pneumonia"],
                relation="differs_from",
                object=FINDINGS["pulmonary_edema"],
                citation="doi:10.1148/rg.220036",
                path=(step,),
                text=("Consider pulmonary edema: both show opacity.", "需考虑肺水肿：两者均可见片状影。"),
                because=("pneumonia",),
                score=0.7,
            ),
        ),
        recommendations=(
            Recommendation(
                guideline="Fleischner Society 2017",
                table="Table 1",
                row="Solid, single, >8 mm",
                text=("Consider CT at 3 months, PET/CT or tissue sampling.", "建议3个月后复查CT，或PET/CT、活检。"),
                citation="doi:10.1148/radiol.2017161659",
                because=("nodule/1",),
            ),
        ),
    )


def report_of(
    study: Study,
    findings: tuple[Finding, ...],
    *,
    parts: tuple[Evidence, ...],
    missing: tuple[Missing, ...] = (),
    joined: Records | None = None,
    revision: int = 1,
    predecessor: str = "",
    sources: tuple[Knowledge, ...] = (),
) -> Report:
    return Report(
        case=Case(study=study, records=records() if joined is None else joined),
        created_at=CREATED,
        software=SOFTWARE,
        evidence=parts,
        missing=missing,
        findings=findings,
        knowledge=sources,
        impression=impression(findings, missing),
        limits=("Decision support, unverified: a physician must review the images and this report.",),
        inputs_hash="e" * 64,
        revision=revision,
        predecessor=predecessor,
    )


def full_report(folder: Path) -> Report:
    """X-ray and CT, labs, text, every kind of assertion, statements, a recommendation."""
    xray, ct = series_of(folder, "DX", 1), series_of(folder, "CT", 3)
    uncertain = Finding(
        id="pleural_effusion",
        code=FINDINGS["pleural_effusion"],
        assertion=Assertion.UNCERTAIN,
        algorithm=TEXT_RULES,
        because=("text/prior-1/27",),
        reason="the text hedges",
    )
    skipped = Finding(
        id="tuberculosis",
        code=FINDINGS["tuberculosis"],
        assertion=Assertion.NOT_ASSESSED,
        algorithm=FUSION,
        reason="no model for it",
    )
    return report_of(
        study_of(xray, ct),
        (pneumonia(), nodule(1, ct.instances[1].sop_instance_uid), not_cancer(), uncertain, skipped),
        parts=evidence(xray.instances[0], ct),
        missing=(Missing(modality=Modality.WAVEFORM, reason="no extractor is configured"),),
        sources=(knowledge(),),
    )


def xray_only_report(folder: Path) -> Report:
    """An X-ray without records: cancer is not assessed, three modalities are missing."""
    xray = series_of(folder, "DX", 1)
    return report_of(
        study_of(xray),
        (pneumonia(), abstained()),
        parts=evidence(xray.instances[0], None)[:1],
        missing=(
            Missing(modality=Modality.CT, reason="no chest CT in the study"),
            Missing(modality=Modality.LABS, reason="no laboratory values were joined to the study"),
            Missing(modality=Modality.TEXT, reason="no text was joined to the study"),
            Missing(modality=Modality.WAVEFORM, reason="no extractor is configured"),
        ),
        joined=Records(),
    )


def many_nodules_report(folder: Path, nodules: int = 40, slices: int = 99) -> Report:
    """A CT of 99 slices with 40 nodules."""
    ct = series_of(folder, "CT", slices)
    found = tuple(
        nodule(n, ct.instances[n % slices].sop_instance_uid, diameter=4 + n / 10) for n in range(1, nodules + 1)
    )
    return report_of(study_of(ct), found, parts=evidence(None, ct))


def revised_report(folder: Path) -> Report:
    """The second revision of a report without findings."""
    xray = series_of(folder, "DX", 1)
    return report_of(
        study_of(xray), (), parts=evidence(xray.instances[0], None), revision=2, predecessor="2.25.12345678901234567890"
    )
