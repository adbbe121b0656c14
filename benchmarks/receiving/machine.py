"""The machine that a table was measured on, and how busy others kept it."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LOOK_SECONDS: Final = 0.4
BUSY_PERCENT: Final = 5.0
"""With more than this of the machine in others' hands its figures are not to be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Processor, cores, kernel, and the filesystem that the receivers write to."""

    processor: str
    cores: int
    kernel: str
    filesystem: str


def machine(folder: Path) -> Machine:
    """Describe this machine, with the filesystem of `folder`."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return Machine(
        processor=names[0] if names else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        kernel=platform.release(),
        filesystem=_filesystem(folder.resolve()),
    )


def busy_percent() -> float:
    """How much of all cores is in use now, in per cent; asked while nothing of the benchmark runs."""
    idle, whole = _times()
    time.sleep(_LOOK_SECONDS)
    later_idle, later_whole = _times()
    return 100.0 * (1.0 - (later_idle - idle) / max(1, later_whole - whole))


def _times() -> tuple[int, int]:
    """Idle (with waiting for the disk) and all ticks since the start (proc(5), /proc/stat)."""
    fields = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def _filesystem(folder: Path) -> str:
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, mount, found, *_ = line.split()
        if folder.is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, found
    return kind
