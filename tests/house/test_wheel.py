import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "cds": "cds",
    "knowledge_graph": "knowledge_graph",
    **{name: f"plugins/{name}" for name in ("cds_pacs", "cds_csv", "cds_dicomweb", "cds_fusion_late", "cds_hl7")},
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_every_package(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", *PACKAGES.values()], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert tracked
    packed = {file.removeprefix("plugins/") for file in tracked}
    assert packed - names == set()


def test_the_command_line_works_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    for package in PACKAGES:
        where = run("-c", f"import {package}; print({package}.__file__)")
        assert where.startswith(str(tmp_path)), where
    (tmp_path / "report.txt").write_text("No pleural effusion.")
    assert "pleural_effusion" in run("-m", "cds.cli", "parse-report", "report.txt", "--json")
    assert "nodes" in run("-m", "cds.cli", "kg", "stats", "--json")
