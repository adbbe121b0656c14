from __future__ import annotations

import resource
import socket
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


def test_without_a_free_descriptor_it_waits_and_goes_on_when_there_is_one() -> None:
    with crowds.listener_process() as (pid, port):
        most = crowds.usage_of(pid).descriptors + 3
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
        held = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(10)]
        for sock in held:
            sock.close()
        assert crowds.single_instance_associations(port, 5) == 5
