from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from cds_pacs.scp.sparing import SparingWarnings


def test_a_crowd_does_not_fill_the_log_and_its_size_is_told(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    warnings = SparingWarnings(logging.getLogger("cds_pacs.test"), lambda: now[0])
    for number in range(1000):
        warnings.warn("from %s", number)
    warnings.warn("another kind")
    assert len(caplog.messages) == 21
    now[0] = 61.0
    warnings.warn("from %s", "x")
    assert caplog.messages[21:] == ["from x", "980 more of the kind were not written: from %s"]


def test_the_receiving_side_needs_no_pynetdicom() -> None:
    program = "import sys, cds_pacs.listener; sys.exit('pynetdicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=120).returncode == 0
