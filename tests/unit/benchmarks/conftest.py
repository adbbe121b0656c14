"""The benchmarks are scripts, not a package that is installed: their folder goes on the path here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support import orthanc

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))


@pytest.fixture
def free_port() -> int:
    return orthanc.free_port()
