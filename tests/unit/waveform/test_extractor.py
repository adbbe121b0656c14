"""The `ecg` extractor, and what of it stands in the report."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from cds.dicom.read import read_studies
from cds.domain.evidence import Evidence, Missing, Modality
from cds.domain.records import Records
from cds.domain.report import Case, Report
from cds.domain.study import Study
from cds.domain.vocabulary import ECG
from cds.domain.waveform import Waveform, WaveformFormat
from cds.errors import EvidenceError
from cds.features.waveform.extractor import EcgReader
from cds.observed import observed_findings
from cds.pipeline import inputs_hash
from cds.report.json_form import as_json
from cds.report.pdf import EncapsulatedPdf
from cds.report.sr import StructuredReport
from cds.report.wording import sentence
from cds.testing.phantoms.ecg import TWELVE_LEAD, ecg_phantom, synthetic_ecg, write_wfdb
from cds.testing.phantoms.patient import ADULT, CHILD, PhantomStudy
from support.reports import full_report

WOMAN = PhantomStudy(patient=ADULT)


def extract(case: Case) -> Evidence | Missing:
    return EcgReader(EcgReader.Settings()).extract(case)


def evidence(case: Case) -> Evidence:
    found = extract(case)
    assert isinstance(found, Evidence), found
    return found


def study_in(folder: Path) -> Study:
    ((study,), _) = read_studies([folder])
    return study


def joined(folder: Path, name: str, taken: datetime | None = None, **made: float) -> Waveform:
    header = write_wfdb(folder, name, synthetic_ecg(**made))  # type: ignore[arg-type]
    return Waveform(
        waveform_id=name,
        format=WaveformFormat.WFDB,
        path=header,
        sha256=name,
        acquired_at=taken,
        source=f"index {name}",
    )


def value(found: Evidence, name: str) -> float:
    return next(each.measurements[0].value for each in found.observations if each.id == f"waveform/{name}")


def note(found: Evidence, name: str) -> str:
    return next(each.note for each in found.observations if each.id == f"waveform/{name}")


def test_an_ecg_of_the_study_is_measured_and_named_as_the_source(tmp_path: Path) -> None:
    phantom = ecg_phantom(tmp_path, study=WOMAN, ecg=synthetic_ecg(rate=110.0, qt_ms=320.0))
    found = evidence(Case(study=study_in(tmp_path)))
    assert value(found, "heart_rate") == pytest.approx(110, abs=2)
    assert note(found, "heart_rate").startswith("above the limits: 60 to 100 /min")
    assert {each.source for each in found.observations} == {phantom.sop_instance_uid}
    assert all(gate.passed for gate in found.gates)


def test_the_codes_are_loincs_and_mdcs(tmp_path: Path) -> None:
    """LOINC's table: 8867-4, 8625-6, 8633-0, 8634-8, 76635-2, 76634-5; PS3.16 CID 3228 and 3688 for the rest."""
    ecg_phantom(tmp_path)
    found = evidence(Case(study=study_in(tmp_path)))
    codes = {each.id.split("/")[1]: each.concept.key for each in found.observations}
    assert {name: codes[name] for name in ("heart_rate", "pr", "qrs", "qt", "qtc_bazett", "qtc_fridericia")} == {
        "heart_rate": "LN:8867-4",
        "pr": "LN:8625-6",
        "qrs": "LN:8633-0",
        "qt": "LN:8634-8",
        "qtc_bazett": "LN:76635-2",
        "qtc_fridericia": "LN:76634-5",
    }
    assert (codes["rr"], codes["st"]) == ("MDC:2:16168", "MDC:2:14336")


def test_st_beyond_the_limit_in_neighbouring_leads_is_said_with_its_source(tmp_path: Path) -> None:
    ecg_phantom(tmp_path, study=WOMAN, ecg=synthetic_ecg(st_mv={"V2": 0.3, "V3": 0.3}))
    found = evidence(Case(study=study_in(tmp_path)))
    assert "elevated beyond the limit" in note(found, "st/V2")
    assert "doi:10.1161/CIR.0000000000000617" in note(found, "st/V3")
    assert "beyond" not in note(found, "st/V4")


def test_a_childs_numbers_are_compared_with_no_adults_limits(tmp_path: Path) -> None:
    ecg_phantom(tmp_path, study=PhantomStudy(patient=CHILD), ecg=synthetic_ecg(st_mv={"V2": 0.3, "V3": 0.3}))
    found = evidence(Case(study=study_in(tmp_path)))
    assert note(found, "heart_rate") == "not compared with limits"
    assert not any("beyond" in each.note for each in found.observations)


def test_without_an_ecg_it_is_missing() -> None:
    found = extract(Case(study=Study(study_instance_uid="1.2", patient=study_of_nobody().patient, series=())))
    assert isinstance(found, Missing)
    assert found.reason == "the case has no electrocardiogram"


def study_of_nobody() -> Study:
    from cds.domain.study import Patient

    return Study(study_instance_uid="1.2", patient=Patient(), series=())


def test_of_two_recordings_the_nearer_in_time_is_read(tmp_path: Path) -> None:
    begun = datetime(2026, 6, 15, 9, 30, tzinfo=UTC)
    study = replace(study_of_nobody(), started_at=begun)
    far = joined(tmp_path, "far", begun - timedelta(hours=20), rate=60.0)
    near = joined(tmp_path, "near", begun + timedelta(hours=2), rate=90.0)
    found = evidence(Case(study=study, records=Records(waveforms=(far, near))))
    assert found.observations[0].source == "index near"
    assert value(found, "heart_rate") == pytest.approx(90, abs=2)


def test_a_recording_that_may_not_be_read_gives_way_to_the_next(tmp_path: Path) -> None:
    short, good = joined(tmp_path, "a", seconds=3.0), joined(tmp_path, "b")
    found = evidence(Case(study=study_of_nobody(), records=Records(waveforms=(short, good))))
    assert found.observations[0].source == "index b"
    refused = extract(Case(study=study_of_nobody(), records=Records(waveforms=(short,))))
    assert isinstance(refused, Missing)
    assert "3.0 s were recorded; 5 s or more are read" in refused.reason
    assert [gate.name for gate in refused.gates] == ["ECG length"]


def test_a_dicom_file_of_somebody_else_is_never_read(tmp_path: Path) -> None:
    other = ecg_phantom(tmp_path / "other", study=PhantomStudy(patient=CHILD)).file
    ecg_phantom(tmp_path / "study", study=WOMAN)
    study = study_in(tmp_path / "study")
    bare = replace(study, series=())
    waveform = Waveform(waveform_id="w", format=WaveformFormat.DICOM, path=other, sha256="w", source="named")
    found = extract(Case(study=bare, records=Records(waveforms=(waveform,))))
    assert isinstance(found, Missing)
    assert "differ" in found.reason
    assert "PHANTOM" not in found.reason


def test_a_longer_recording_than_allowed_is_refused(tmp_path: Path) -> None:
    reader = EcgReader(EcgReader.Settings(longest_hours=0.001))
    found = reader.extract(Case(study=study_of_nobody(), records=Records(waveforms=(joined(tmp_path, "a"),))))
    assert isinstance(found, Missing)
    assert "at most 0.001 h are read" in found.reason


def test_waveforms_that_cannot_be_decoded_are_an_error(tmp_path: Path) -> None:
    waveform = joined(tmp_path, "a")
    waveform.path.with_suffix(".dat").write_bytes(b"")
    with pytest.raises(EvidenceError, match="no waveform of the case can be read"):
        extract(Case(study=study_of_nobody(), records=Records(waveforms=(waveform,))))


def test_a_recording_is_part_of_what_went_in(tmp_path: Path) -> None:
    bare = Case(study=study_of_nobody())
    one, other = (replace(bare, records=Records(waveforms=(joined(tmp_path, name),))) for name in ("a", "b"))
    assert len({inputs_hash(case) for case in (bare, one, other)}) == 3


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """The full report with an electrocardiogram as one more instance of its study."""
    whole = full_report(tmp_path)
    phantom = ecg_phantom(tmp_path / "ecg")
    ds = dcmread(phantom.file)
    ds.StudyInstanceUID, ds.PatientID = whole.study.study_instance_uid, whole.study.patient.patient_id
    for name in ("IssuerOfPatientID", "PatientBirthDate", "PatientSex"):
        delattr(ds, name)
    ds.save_as(phantom.file)
    series = study_in(tmp_path / "ecg").series
    study = replace(whole.study, series=(*whole.study.series, *series))
    found = evidence(Case(study=study))
    recording = joined(tmp_path, "joined")
    return replace(
        whole,
        case=replace(whole.case, study=study, records=whole.case.records + Records(waveforms=(recording,))),
        evidence=(*whole.evidence, found),
        findings=(*whole.findings, *observed_findings((found,), ())),
        missing=tuple(each for each in whole.missing if each.modality is not Modality.WAVEFORM),
        limits=(*whole.limits, *found.limits),
    )


def test_the_numbers_become_one_finding_that_is_measured_not_present(report: Report) -> None:
    finding = next(each for each in report.findings if each.code == ECG)
    english, chinese = sentence(finding)
    assert english.startswith("Electrocardiogram measurements: measured, heart rate 72 /min, P-R interval")
    assert chinese.startswith("心电图测量值：测得，心率 72 /min，PR间期")
    assert finding.probability is None
    assert set(finding.because) < {each.id for part in report.evidence for each in part.observations}


def test_the_sr_carries_the_numbers_and_no_image_that_is_none(report: Report) -> None:
    ds = dcmread(BytesIO(StructuredReport().write(report)[0].content))
    text = str(ds)
    assert all(code in text for code in ("8867-4", "8625-6", "76635-2"))
    images = [
        item.ReferencedSOPSequence[0].ReferencedSOPClassUID
        for item in ds.iterall()
        if item.keyword == "ContentSequence"
        for item in item.value
        if item.get("ValueType") == "IMAGE"
    ]
    assert images
    assert TWELVE_LEAD not in images
    evidence_classes = str(ds.CurrentRequestedProcedureEvidenceSequence[0])
    assert "12-lead ECG Waveform Storage" in evidence_classes


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed (Debian package dicom3tools)")
def test_the_sr_with_an_ecg_is_valid(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "sr.dcm"
    file.write_bytes(StructuredReport().write(report)[0].content)
    done = subprocess.run(["dciodvfy", str(file)], capture_output=True)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert "ComprehensiveSR" in said
    assert "Error" not in said


def test_the_page_draws_the_strip_and_tells_every_number(report: Report, tmp_path: Path) -> None:
    plain = EncapsulatedPdf().write(report)[1].content
    without = EncapsulatedPdf().write(replace(report, evidence=report.evidence[:-1], findings=report.findings[:-1]))
    assert len(plain) > len(without[1].content) + 2000
    assert EncapsulatedPdf().write(report)[1].content == plain


def test_the_json_names_the_recording_among_the_inputs(report: Report) -> None:
    form = as_json(report)
    (recording,) = form["inputs"]["waveforms"]
    assert (recording["waveform_id"], recording["format"], recording["source"]) == ("joined", "wfdb", "index joined")
    assert "waveform/heart_rate" in json.dumps(form["evidence"])


def test_pydicoms_twelve_lead_file_is_read_whole() -> None:
    """RR 982 ms by its recorder's own annotation is 61 beats a minute."""
    found = evidence(Case(study=study_in(Path(str(get_testdata_file("waveform_ecg.dcm"))))))
    assert value(found, "heart_rate") == 61
    assert found.trace is not None
    assert found.trace.lead == "II"
    assert len(found.trace.marks) == 10
