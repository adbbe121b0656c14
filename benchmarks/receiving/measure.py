"""What is measured of a running receiver: one run, a packaged storescu, association set-up, C-ECHO."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from receiving.objects import CT, Shape, new_run, part10, study_uid
from receiving.receivers import STORESCU, Receiver
from receiving.running import Running
from receiving.sender import echo_milliseconds, send, setup_milliseconds
from receiving.wire import WireError

_PROBE_OBJECTS: Final = 6
_WARM: Final = bytes(1 << 20)
_SUCCESS: Final = "Received Store Response (Success)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of one receiver.

    Parameters
    ----------
    seconds
        From the first byte to the last 0x0000.
    rows_seconds
        Until the ledger had every instance; only of a node of ours.
    """

    key: str
    shape: str
    associations: int
    round: int
    objects: int
    object_bytes: int
    seconds: float
    rows_seconds: float | None = None

    @property
    def rate(self) -> float:
        """Objects a second, to the last 0x0000."""
        return self.objects / self.seconds

    @property
    def rows_rate(self) -> float | None:
        """Objects a second, until they were in the ledger."""
        return self.objects / self.rows_seconds if self.rows_seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """What does not depend on the sizes; milliseconds, and objects a second from storescu."""

    key: str
    round: int
    setup_ms: float
    echo_ms: float
    storescu_rate: float | None


def probe(running: Running, shape: Shape) -> float:
    """Objects a second of a few objects over one association: warms up, and says how many make a run."""
    return _send(running, shape, 1, _PROBE_OBJECTS, round_number=0).rate


def objects_per_association(associations: int, most: int, rate: float, seconds: float) -> int:
    """So many that all associations together send `most`, or fewer where the receiver would take longer.

    Parameters
    ----------
    rate
        Objects a second over one association.
    seconds
        How long a run may take.
    """
    return max(1, min(-(-most // associations), round(rate * seconds)))


def run(running: Running, shape: Shape, associations: int, each: int, round_number: int) -> Run:
    """Measure one run, with nothing else of ours running and nothing left to write."""
    _warm_memory(running.receiver.folder, associations * each * shape.pixel_bytes)
    running.resume()
    try:
        return _send(running, shape, associations, each, round_number)
    finally:
        running.pause()
        running.forget()
        os.sync()


def small(running: Running, files: Path | None, round_number: int, times: int, seconds: float) -> Small:
    """Measure what does not depend on sizes; `files` for storescu, None where it is not installed."""
    address = running.receiver.address
    running.resume()
    try:
        storescu_rate = None if files is None else _storescu(running.receiver, sorted(files.iterdir()))
        return Small(
            key=running.receiver.key,
            round=round_number,
            setup_ms=setup_milliseconds(address, CT.sop_class_uid, times, seconds),
            echo_ms=echo_milliseconds(address, CT.sop_class_uid, times, seconds),
            storescu_rate=storescu_rate,
        )
    finally:
        running.pause()
        running.forget()
        os.sync()


def write_files(folder: Path, count: int) -> None:
    """CT files for storescu; other UIDs at every call."""
    run_digits = new_run()
    folder.mkdir()
    for number in range(1, count + 1):
        (folder / f"{number:06}.dcm").write_bytes(part10(CT, run_digits, number))


def _warm_memory(folder: Path, size: int) -> None:
    """Use as much page cache as the run will, and free it.

    A virtual machine gives memory that lies idle back to its host within seconds, and pays ten times
    for its first use: without this the receiver that comes after a slow one would pay for all.
    """
    with (folder / "warm").open("wb", buffering=0) as file:
        while size > 0:
            size -= file.write(_WARM[: min(size, len(_WARM))])
        file.truncate(0)


def _send(running: Running, shape: Shape, associations: int, each: int, round_number: int) -> Run:
    run_digits = new_run()
    receiver = running.receiver
    sent = send(receiver.address, shape, run_digits, associations, each)
    rows_seconds = None
    if receiver.node is not None:
        running.wait_for_rows(study_uid(run_digits), associations * each)
        rows_seconds = time.monotonic() - sent.started
    return Run(
        key=receiver.key,
        shape=shape.name,
        associations=associations,
        round=round_number,
        objects=associations * each,
        object_bytes=shape.pixel_bytes,
        seconds=sent.seconds,
        rows_seconds=rows_seconds,
    )


def _storescu(receiver: Receiver, files: list[Path]) -> float:
    """Objects a second of DCMTK's storescu as packaged, without the time of its start."""
    first = _storescu_seconds(receiver, files[:1])
    rest = _storescu_seconds(receiver, files[1:])
    return (len(files) - 2) / max(rest - first, 1e-6)


def _storescu_seconds(receiver: Receiver, files: list[Path]) -> float:
    address = receiver.address
    command = [str(STORESCU), "-v", "-aec", address.ae_title, address.host, str(address.port), *map(str, files)]
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    seconds = time.monotonic() - started
    stored = (done.stdout + done.stderr).count(_SUCCESS)
    if done.returncode or stored != len(files):
        said = (done.stdout + done.stderr)[-500:]
        raise WireError(f"{receiver.title} took {stored} of {len(files)} files from storescu, which says: {said}")
    return seconds
