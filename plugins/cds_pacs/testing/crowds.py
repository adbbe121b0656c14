"""Crowds before the door: what remains of them when they are gone.

    python -m cds_pacs.testing.crowds --associations 2000 --connects 10000

runs a listener in a process of its own and prints its threads, descriptors and memory, before and after.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from cds_pacs.testing.bare_scu import BareScu
from cds_pacs.testing.door import Door
from cds_pacs.testing.tray import Tray

_SETTLE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a process has: threads, file descriptors, resident memory."""

    threads: int
    descriptors: int
    resident_bytes: int


def usage_of(pid: int) -> Usage:
    """What a process has now (Linux)."""
    folder = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    return Usage(
        threads=int(status["Threads"]),
        descriptors=len(os.listdir(folder / "fd")),
        resident_bytes=int(status["VmRSS"].split()[0]) * 1024,
    )


def settled(pid: int, before: Usage, *, seconds: float = _SETTLE_SECONDS) -> Usage:
    """What a process has when threads and descriptors are back, or the time is over."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while True:
        now = usage_of(pid)
        back = now.threads <= before.threads and now.descriptors <= before.descriptors
        if back or time.monotonic() > deadline:
            return now
        pause.wait(0.1)


def single_instance_associations(port: int, count: int, *, data_set: bytes = bytes(20_000)) -> int:
    """Send so many instances, each on an association of its own; how many were taken."""
    taken = 0
    for number in range(count):
        with BareScu(port) as scu:
            scu.associate()
            taken += scu.store(f"2.25.{number}", data_set) == 0x0000
            scu.release()
    return taken


def bare_connects(port: int, count: int, *, at_a_time: int = 200) -> None:
    """Connect so many times and say nothing."""
    held: list[socket.socket] = []
    for _ in range(count):
        held.append(socket.create_connection(("127.0.0.1", port), timeout=20))
        if len(held) >= at_a_time:
            held.pop(0).close()
    for sock in held:
        sock.close()


@contextmanager
def listener_process() -> Iterator[tuple[int, int]]:
    """A listener that keeps nothing, in a process of its own: its process ID and port."""
    command = [sys.executable, "-m", "cds_pacs.testing.crowds", "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        yield process.pid, int(process.stdout.readline())
        process.stdin.close()
        process.wait(30)


def measure(associations: int, connects: int) -> tuple[Usage, Usage, int]:
    """Usage of a listener before and after a crowd; and how many instances were taken."""
    with listener_process() as (pid, port):
        single_instance_associations(port, 20)
        settled(pid, Usage(threads=2, descriptors=0, resident_bytes=0), seconds=2)
        before = usage_of(pid)
        taken = single_instance_associations(port, associations)
        bare_connects(port, connects)
        return before, settled(pid, before), taken


def _serve() -> None:
    with Door(tray=Tray(keep=False), max_associations=25) as door:
        print(door.port, flush=True)
        sys.stdin.read()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--associations", type=int, default=2000)
    parser.add_argument("--connects", type=int, default=10_000)
    parser.add_argument("--serve", action="store_true")
    wanted = parser.parse_args()
    if wanted.serve:
        _serve()
        return
    before, after, taken = measure(wanted.associations, wanted.connects)
    print(json.dumps({"before": asdict(before), "after": asdict(after), "taken": taken}, indent=2))


if __name__ == "__main__":
    main()
