"""Errors and delays of the kernel, brought about from outside (strace)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.orthanc import wait_until

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace: apt-get install strace")


@contextmanager
def injected(pid: int, call: str, what: str, log: Path) -> Iterator[None]:
    """As long as the block runs, calls of a process and its threads fail or take long: ``error=EIO``, for instance."""
    command = ["strace", "-f", "-p", str(pid), "-o", str(log), "-e", f"trace={call}", "-e", f"inject={call}:{what}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as tracer:
        try:
            wait_until(lambda: tracer.poll() is not None or _traced(pid), 20, "strace to attach")
            if tracer.poll() is not None:
                pytest.skip("needs the right to trace another process")
            yield
        finally:
            tracer.terminate()
            tracer.wait(60)


def _traced(pid: int) -> bool:
    """Whether every thread of the process has a tracer."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)
