import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_gets_a_report_for_both_phantoms_and_leaves_nothing_running(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cds_pacs.testing.demo"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=800, check=False)
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    assert len(re.findall(r"state\s+REPORTED", answer.stdout)) == 2
    assert "Pneumonia" in answer.stdout
    assert "12" in answer.stdout
    assert "unverified" in answer.stdout.lower()
    assert len(list((tmp_path / "cds-demo").rglob("*.pdf"))) >= 2
    node = subprocess.run([sys.executable, "-m", "cds.cli", "state"], cwd=tmp_path / "cds-demo", check=False)
    assert node.returncode == 0
