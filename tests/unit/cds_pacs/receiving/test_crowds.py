from __future__ import annotations

import sys

import pytest

from cds_pacs.testing import crowds

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process has is read from /proc")


@pytest.mark.slow
def test_a_crowd_leaves_no_thread_no_descriptor_and_no_memory() -> None:
    before, after, taken = crowds.measure(associations=200, connects=1000)
    assert taken == 200
    assert (after.threads, after.descriptors) == (before.threads, before.descriptors)
    assert after.resident_bytes - before.resident_bytes < 16 << 20
