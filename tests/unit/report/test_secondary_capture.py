from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from cds.domain.evidence import ImageRegion, Modality
from cds.domain.report import Report
from cds.domain.vocabulary import ECG
from cds.report.board import AMBER, COLOURS, MARK, MOST_FINDINGS, QUIET, Board
from cds.report.secondary_capture import SecondaryCapture
from support.reports import full_report, many_nodules_report, xray_only_report


def picture_of(report: Report) -> Dataset:
    (encoded,) = SecondaryCapture().write(report)
    return dcmread(BytesIO(encoded.content))


def has(board: np.ndarray, colour: tuple[int, int, int]) -> int:
    """How many pixels are exactly of this colour."""
    return int((board == np.array(colour, dtype=np.uint8)).all(axis=2).sum())


def test_it_is_a_picture_of_the_same_study_that_names_its_source_images(tmp_path: Path) -> None:
    report = full_report(tmp_path)
    ds = picture_of(report)
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert ds.StudyInstanceUID == report.study.study_instance_uid
    assert ds.pixel_array.shape == (ds.Rows, 1024, 3)
    keys = {part.key_image for part in report.evidence if part.key_image}
    assert {item.ReferencedSOPInstanceUID for item in ds.SourceImageSequence} == keys
    assert ds.BurnedInAnnotation == "NO"


def test_the_banner_stands_on_every_board(tmp_path: Path) -> None:
    for make in (full_report, xray_only_report, many_nodules_report):
        folder = tmp_path / make.__name__
        folder.mkdir()
        board = picture_of(make(folder)).pixel_array
        assert has(board[:40], AMBER) > 0.7 * 40 * 1024


def test_where_the_model_looked_is_laid_over_the_image_beside_it(tmp_path: Path) -> None:
    report = xray_only_report(tmp_path)
    warm = Board(None).draw(report).astype(int)
    without = tuple(replace(part, heat_map=()) for part in report.evidence)
    cold = Board(None).draw(replace(report, evidence=without)).astype(int)
    reddish = lambda board: int((board[100:, :, 0] - board[100:, :, 2] > 90).sum())  # noqa: E731
    assert reddish(warm) > reddish(cold) + 2_000


def test_a_marked_region_is_drawn_where_it_lies(tmp_path: Path) -> None:
    report = xray_only_report(tmp_path)
    (part,) = (part for part in report.evidence if part.modality is Modality.XRAY)
    region = ImageRegion(sop_instance_uid=part.key_image, shape="CIRCLE", points=((32.0, 32.0), (32.0, 48.0)))
    marked = replace(report, findings=(replace(report.findings[0], region=region), *report.findings[1:]))
    board = Board(None).draw(marked)
    rows, columns = np.nonzero((board == np.array(MARK, dtype=np.uint8)).all(axis=2))
    left = columns < 500
    assert has(Board(None).draw(report), MARK) == 0
    assert abs(columns[left].min() - (24 + 476 * 16 / 64)) < 3
    assert abs((rows[left].max() - rows[left].min()) - 2 * 476 * 16 / 64) < 16


def test_one_dot_for_each_finding_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    report = many_nodules_report(tmp_path)
    board = Board(None).draw(report)
    dot = has(Board(None).draw(replace(report, findings=report.findings[:1])), COLOURS[report.findings[0].assertion])
    assert has(board, COLOURS[report.findings[0].assertion]) == MOST_FINDINGS * dot
    fewer = Board(None).draw(replace(report, findings=report.findings[:MOST_FINDINGS]))
    assert has(board, QUIET) > has(fewer, QUIET)


def test_what_was_only_measured_has_no_colour_of_alarm(tmp_path: Path) -> None:
    report = many_nodules_report(tmp_path)
    measured = replace(report.findings[0], code=ECG)
    assert not has(Board(None).draw(replace(report, findings=(measured,))), COLOURS[measured.assertion])


def test_the_largest_comes_first(tmp_path: Path) -> None:
    report = many_nodules_report(tmp_path)
    reversed_order = replace(report, findings=report.findings[::-1])
    assert np.array_equal(Board(None).draw(report), Board(None).draw(reversed_order))


def test_the_validator_finds_no_error(tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    for make in (full_report, xray_only_report, many_nodules_report):
        folder = tmp_path / make.__name__
        folder.mkdir()
        (encoded,) = SecondaryCapture().write(make(folder))
        (folder / "sc.dcm").write_bytes(encoded.content)
        said = subprocess.run(["dciodvfy", str(folder / "sc.dcm")], capture_output=True, text=True, check=False)
        assert "SCImage" in said.stderr + said.stdout
        assert "Error" not in said.stderr + said.stdout
