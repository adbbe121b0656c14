"""The structured report, read back by software that did not write it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from highdicom.sr import srread
from pydicom import dcmread
from pydicom.dataset import Dataset

from cds.domain.evidence import Measurement, Missing, Modality
from cds.domain.report import Report
from cds.errors import ReportError
from cds.report.sr import StructuredReport
from cds.report.viewers import ensure_viewable
from support.images import STUDY, series_of
from support.reports import (
    CREATED,
    HOSTILE,
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

Make = Callable[[Path], Report]
Run = Callable[[str, Path], str]
COPIED = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
)
KINDS: tuple[Make, ...] = (full_report, xray_only_report, many_nodules_report, revised_report)


def written(report: Report, **settings: str) -> Dataset:
    writer = StructuredReport(StructuredReport.Settings(**settings))  # type: ignore[arg-type]
    return dcmread(BytesIO(writer.write(report)[0].content))


def items(ds: Dataset, name: str) -> list[Dataset]:
    """Every content item of that concept (by code value or meaning), at any depth."""
    found = []
    for item in ds.get("ContentSequence", []):
        code = item.ConceptNameCodeSequence[0]
        if name in (code.get("CodeValue"), code.get("LongCodeValue"), code.CodeMeaning):
            found.append(item)
        found += items(item, name)
    return found


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("sr_class", ["enhanced", "comprehensive", "comprehensive-3d"])
def test_dciodvfy_finds_no_error(make: Make, sr_class: str, tmp_path: Path, run: Run) -> None:
    report = make(tmp_path)
    file = tmp_path / "sr.dcm"
    settings = StructuredReport.Settings(sr_classes=(sr_class,))
    file.write_bytes(StructuredReport(settings).write(report)[0].content)
    said = run("dciodvfy", file)
    assert any(name in said for name in ("EnhancedSR", "ComprehensiveSR", "Comprehensive3DSR"))
    assert "Error" not in said


def test_each_sop_class_that_a_peer_wants_is_an_object_of_its_own_with_the_same_content(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    writer = StructuredReport(StructuredReport.Settings(sr_classes=("comprehensive", "enhanced")))
    own, twin = (dcmread(BytesIO(one.content)) for one in writer.write(report))
    assert own.ContentSequence == twin.ContentSequence
    assert own.InstanceNumber == twin.InstanceNumber
    assert own == dcmread(BytesIO(StructuredReport().write(report)[0].content))
    for uid in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"):
        assert own[uid].value != twin[uid].value
    revision = replace(report, revision=2, predecessor=str(own.SOPInstanceUID))
    _, second = (dcmread(BytesIO(one.content)) for one in writer.write(revision))
    named = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert named.SeriesInstanceUID == twin.SeriesInstanceUID == second.SeriesInstanceUID
    assert named.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == twin.SOPInstanceUID
    assert named.ReferencedSOPSequence[0].ReferencedSOPClassUID == twin.SOPClassUID


def test_an_sr_class_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="comprehensive-3d"):
        StructuredReport.Settings(sr_classes=("comprehensive3d",))


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_dcmtk_and_highdicom_read_it(make: Make, tmp_path: Path, run: Run) -> None:
    report = make(tmp_path)
    file = tmp_path / "sr.dcm"
    file.write_bytes(StructuredReport().write(report)[0].content)
    content = srread(str(file)).content
    groups = content.get_image_measurement_groups() + content.get_planar_roi_measurement_groups()
    assert len(groups) == max(1, len(report.findings))
    said = run("/usr/bin/dsrdump", file)
    assert "Verification Flag   : UNVERIFIED" in said
    assert "Imaging Measurement Report" in said


def test_every_finding_is_a_group_with_its_assertion_said_in_code(tmp_path: Path) -> None:
    ds = written(full_report(tmp_path))
    said = [item.ConceptCodeSequence[0].CodeMeaning for item in items(ds, "121052")]
    assert said == ["Present", "Present", "Absent", "Presence Undetermined", "Not Evaluated"]


def test_the_probability_and_its_interval_are_numbers_with_units(tmp_path: Path) -> None:
    ds = written(full_report(tmp_path))
    for name, expected in (("122157", 0.835), ("probability_low", 0.712), ("probability_high", 0.913)):
        value = items(ds, name)[0].MeasuredValueSequence[0]
        assert value.FloatingPointValue == expected
        assert value.MeasurementUnitsCodeSequence[0].CodeValue == "1"


def test_a_region_is_a_scoord_on_the_image_and_sizes_carry_ucum(tmp_path: Path) -> None:
    ds = written(full_report(tmp_path))
    (region,) = items(ds, "111030")
    assert region.GraphicType == "CIRCLE"
    assert list(region.GraphicData) == [24.0, 30.0, 32.0, 30.0]
    assert region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == f"{STUDY}.2.2"
    diameter = items(ds, "81827009")[0].MeasuredValueSequence[0]
    assert (diameter.FloatingPointValue, diameter.MeasurementUnitsCodeSequence[0].CodeValue) == (8.24, "mm")


def test_a_report_without_findings_says_that_nothing_was_assessed(tmp_path: Path) -> None:
    ds = written(revised_report(tmp_path))
    assert [item.ConceptCodeSequence[0].CodeMeaning for item in items(ds, "121052")] == ["Not Evaluated"]


def test_both_languages_the_banner_and_what_was_missing_are_in_it(tmp_path: Path) -> None:
    ds = written(xray_only_report(tmp_path))
    impressions = [item.TextValue for item in items(ds, "Impression")]
    assert impressions[0].startswith("Pneumonia (right lung): present")
    assert impressions[1].startswith("肺炎（右肺）：存在")
    assert "未经医师确认" in items(ds, "Decision support notice")[1].TextValue
    missing = [item.TextValue for item in items(ds, "missing")]
    assert "chest CT: no chest CT in the study." in missing
    assert len(missing) == 8


def test_patient_and_study_are_those_of_the_images(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    source, ds = dcmread(report.study.instances[0].path), written(report)
    for keyword in COPIED:
        assert ds[keyword].value == source[keyword].value, keyword


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jürg"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("ISO_IR 192", "علي^محمد"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("GBK", "Wang^XiaoDong=王^镕"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("\\ISO 2022 IR 58", "Zhang^XiaoDong=张^小东"),
    ],
)
def test_a_name_in_any_script_survives(charset: str, name: str, tmp_path: Path) -> None:
    xray = series_of(tmp_path, "DX", 1, charset=charset, name=name)
    ds = written(report_of(study_of(xray), (abstained(),), parts=evidence(xray.instances[0], None)))
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert str(ds.PatientName) == name


def test_every_image_is_in_the_library_and_in_the_evidence(tmp_path: Path) -> None:
    report = many_nodules_report(tmp_path)
    uids = {instance.sop_instance_uid for instance in report.study.instances}
    ds = written(report)
    library = {
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in items(items_root(ds, "111028"), "260753009")
    }
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    listed = {
        sop.ReferencedSOPInstanceUID for one in study.ReferencedSeriesSequence for sop in one.ReferencedSOPSequence
    }
    assert library == listed == uids


def items_root(ds: Dataset, code_value: str) -> Dataset:
    return next(item for item in ds.ContentSequence if item.ConceptNameCodeSequence[0].get("CodeValue") == code_value)


def test_every_algorithm_contributed_with_a_device_uid_of_its_own(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    ds = written(report)
    contributed = ds.ContributingEquipmentSequence
    assert [item.ManufacturerModelName for item in contributed] == [each.name for each in report.algorithms]
    assert len({item.DeviceUID for item in contributed}) == len(contributed)
    newer = tuple(replace(part, algorithm=replace(part.algorithm, sha256="0" * 64)) for part in report.evidence)
    assert written(replace(report, evidence=newer)).DeviceUID != ds.DeviceUID


def test_it_is_partial_only_where_inputs_were_missing(tmp_path: Path) -> None:
    assert written(full_report(tmp_path)).CompletionFlag == "COMPLETE"
    assert written(xray_only_report(tmp_path)).CompletionFlag == "PARTIAL"
    report = full_report(tmp_path)
    unread = Missing(modality=Modality.CT, reason="the slices are too thick")
    assert written(replace(report, missing=(unread,))).CompletionFlag == "PARTIAL"


def test_a_study_of_one_imaging_modality_does_not_wait_for_the_other(tmp_path: Path) -> None:
    report = many_nodules_report(tmp_path, nodules=1, slices=2)
    report = replace(report, missing=(Missing(modality=Modality.XRAY, reason="no radiograph in the study"),))
    assert written(report).CompletionFlag == "COMPLETE"


def test_a_revision_names_its_predecessor_in_the_same_series(tmp_path: Path) -> None:
    ds = written(revised_report(tmp_path))
    (study,) = ds.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == ds.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.12345678901234567890"
    assert ds.InstanceNumber == 2


def test_content_time_is_the_start_of_the_analysis_in_the_time_zone_of_the_images(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    ds = written(report)
    assert (ds.ContentDate, ds.ContentTime) == (f"{CREATED:%Y%m%d}", f"{CREATED:%H%M%S}.000000")
    assert "TimezoneOffsetFromUTC" not in ds
    shifted = series_of(tmp_path, "DX", 1, TimezoneOffsetFromUTC="+0800")
    ds = written(report_of(study_of(shifted), (abstained(),), parts=()))
    assert (ds.ContentTime, ds.TimezoneOffsetFromUTC) == ("173015.000000", "+0800")


def test_the_procedure_is_the_one_that_the_images_name(tmp_path: Path) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "P5-08000", "99LOCAL", "Chest PA"
    xray = series_of(tmp_path, "DX", 1, ProcedureCodeSequence=[code])  # type: ignore[arg-type]
    ds = written(report_of(study_of(xray), (abstained(),), parts=()))
    assert items(ds, "121058")[0].ConceptCodeSequence[0].CodeValue == "P5-08000"


def test_hostile_text_is_text(tmp_path: Path) -> None:
    finding = replace(pneumonia(), reason=HOSTILE)
    report = full_report(tmp_path)
    ds = written(replace(report, findings=(finding,), limits=(HOSTILE,)))
    (limit,) = items(ds, "limit")
    assert limit.TextValue.startswith('No <b>bold</b> & "fever" </para>')
    assert not {"\x00", "\x1b", "\u202e"} & set(limit.TextValue)


def test_a_number_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    broken = replace(
        report.findings[1],
        measurements=(Measurement(quantity=report.findings[1].measurements[0].quantity, value=math.nan, unit="mm"),),
    )
    with pytest.raises(ReportError, match="'nodule/1' carries a number that is not finite"):
        StructuredReport().write(replace(report, findings=(broken,)))


def test_a_region_on_an_image_of_another_study_is_refused(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    region = report.findings[1].region
    assert region is not None
    stray = replace(report.findings[1], region=replace(region, sop_instance_uid="1.2.3.4"))
    with pytest.raises(ReportError, match=r"1\.2\.3\.4, which is not of the study"):
        StructuredReport().write(replace(report, findings=(stray,)))


def test_two_findings_with_one_id_are_refused(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    with pytest.raises(ReportError, match="two findings have the id 'pneumonia'"):
        StructuredReport().write(replace(report, findings=(report.findings[0], report.findings[0])))


def test_a_study_whose_files_are_gone_is_an_error_that_names_no_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    report = full_report(tmp_path)
    for instance in report.study.instances:
        instance.path.unlink()
    with caplog.at_level(logging.DEBUG), pytest.raises(ReportError) as error:
        StructuredReport().write(report)
    for secret in ("Wang", "王", "4711", "1965"):
        assert secret not in str(error.value)
        assert secret not in caplog.text


def test_nothing_of_the_patient_is_logged_or_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    xray = series_of(tmp_path, "DX", 1, name="A^B^Canary")
    path = xray.instances[0].path
    path.write_bytes(path.read_bytes().replace(b"A^B^Canary", b"^^^^Canary\\"[:10]))
    with caplog.at_level(logging.DEBUG):
        written(report_of(study_of(xray), (abstained(),), parts=()))
    assert "Canary" not in caplog.text


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda ds: setattr(ds.ConceptNameCodeSequence[0], "CodeValue", "126001"), "the title is 126001"),
        (lambda ds: ds.ContentSequence.remove(items_root(ds, "111028")), "no Image Library"),
        (lambda ds: ds.ContentSequence.remove(items_root(ds, "126010")), "no Imaging Measurements"),
        (lambda ds: setattr(items(ds, "112040")[0], "UID", ""), "no tracking UID"),
        (lambda ds: setattr(items(ds, "112040")[0], "UID", items(ds, "112040")[1].UID), "share the tracking UID"),
        (lambda ds: delattr(items(ds, "122157")[0], "ContentSequence"), "NUM without children"),
    ],
)
def test_what_breaks_a_known_viewer_is_refused(spoil: Callable[[Dataset], None], said: str, tmp_path: Path) -> None:
    ds = written(full_report(tmp_path))
    ensure_viewable(ds)
    spoil(ds)
    with pytest.raises(ReportError, match=said):
        ensure_viewable(ds)
