"""`cds analyze` on files that are no DICOM, with names that are no names."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from cds.cli import app


def test_a_file_that_is_not_read_is_named_whatever_its_name_does_to_a_terminal(tmp_path: Path) -> None:
    odd = tmp_path / "a[" / "red]\x1b[31m.dcm"
    odd.parent.mkdir()
    odd.write_bytes(b"garbage")
    result = CliRunner().invoke(app, ["analyze", str(tmp_path), "--out", str(tmp_path / "out")])
    said = "".join(result.output.split())
    assert "a[/red]" in said
    assert "notaDICOMfile" in said
    assert "\x1b[31m.dcm" not in result.output
