import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GROUPS = ("listeners", "records", "extractors", "fusion", "knowledge", "writers", "senders", "archives")
HEAVY = ("torch", "transformers", "pandas", "pydicom", "sqlalchemy", "highdicom", "pynetdicom", "dbos", "networkx")


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    return set(answer.stdout.split())


def test_import_cds_loads_no_heavy_package() -> None:
    assert not loaded_after("import cds") & set(HEAVY)


def test_the_command_line_s_help_loads_no_torch() -> None:
    assert not loaded_after("import cds.cli, cds.config, cds.discovery") & {"torch", "transformers", "pandas"}


@pytest.mark.parametrize("group", GROUPS)
def test_every_entry_point_loads_and_has_settings(group: str) -> None:
    points = entry_points(group=f"cds.{group}")
    assert points
    for point in points:
        assert hasattr(point.load(), "Settings"), point


def test_no_code_loads_pickles_or_evaluates_text() -> None:
    forbidden = re.compile(r"torch\.load\(|pickle\.load|yaml\.load\(|(?<![\w.])eval\(|(?<![\w.])exec\(")
    for file in _python_files():
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            assert not forbidden.search(line), f"{file.relative_to(ROOT)}:{number}: {line.strip()}"


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    long = {str(f.relative_to(ROOT)): len(f.read_text(encoding="utf-8").splitlines()) for f in _python_files()}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}


def test_no_machine_path_stands_in_the_sources() -> None:
    machine = re.compile(r"/work/|/home/\w|/root/")
    for file in [*_python_files(), *ROOT.glob("docs/**/*.md"), ROOT / "README.md"]:
        assert not machine.search(file.read_text(encoding="utf-8")), file


def _python_files() -> list[Path]:
    rooms = ("cds", "knowledge_graph", "plugins", "benchmarks")
    return [file for room in rooms for file in (ROOT / room).rglob("*.py")]
