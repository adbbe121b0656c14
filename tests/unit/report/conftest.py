"""Tools that judge what we write, and how to call them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[[str, Path], str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """The output of a tool over a file; skips with a message where the tool is not installed."""

    def call(command: str, path: Path) -> str:
        program, *options = command.split()
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian packages dicom3tools, dcmtk, poppler-utils)")
        done = subprocess.run([program, *options, str(path)], capture_output=True)
        return (done.stdout + done.stderr).decode("utf-8", "replace")

    return call


@pytest.fixture
def read_page() -> Callable[..., str]:
    """The text of a PDF as poppler reads it, of all pages or of those that the options name."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed (Debian package poppler-utils)")

    def read(page: Path, *options: str) -> str:
        command = ["pdftotext", "-layout", *options, str(page), "-"]
        return subprocess.run(command, capture_output=True, check=True).stdout.decode()

    return read
