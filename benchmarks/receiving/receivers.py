"""Every receiver that is compared: how it is started, where it writes, and what is tuned on it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from receiving.sender import Address

HERE: Final = Path(__file__).resolve().parent
STORESCP, STORESCU, ORTHANC = Path("/usr/bin/storescp"), Path("/usr/bin/storescu"), Path("/usr/sbin/Orthanc")
"""Debian's: an environment with pynetdicom has programs of its own under DCMTK's names on its PATH."""
CEILING, FLOOR, FLOOR_FSYNC = "ceiling", "floor", "floor-fsync"
DCMTK, ORTHANC_TUNED, ORTHANC_DURABLE = "dcmtk-tuned", "orthanc-tuned", "orthanc-tuned-durable"
DCMTK_SHIPPED, PYNETDICOM_TUNED = "dcmtk", "pynetdicom-tuned"
OURS, OURS_DURABLE = "ours", "ours-durable"

_AT_ONCE: Final = {"TCP_NODELAY": "1"}
"""Read by DCMTK, and so by Orthanc: without it their answers wait 40 ms for a delayed acknowledgement."""
_ORTHANC_TUNED: Final[Mapping[str, object]] = {
    "StoreMD5ForAttachments": False,
    "MaximumStorageCacheSize": 0,
    "MaximumPduLength": 131_072,
    "DicomThreadsCount": 16,
    "SaveJobs": False,
}
_NODE: Final = """data_dir = "data"
[node]
port = {port}
ae_title = "CDS"
study_quiet_seconds = 100000
accept_unknown = true
max_associations = 64
durable = {durable}
processes = {processes}
[models]
extractors = ["labs"]
fusion = "late"
knowledge = []
"""
"""Quiet for ever, so that nothing is analysed, and the smallest set of models, so that little is loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """One row of the table.

    Parameters
    ----------
    payload
        The folder under which the received files lie.
    node
        The data folder, where this is a node of ours whose ledger can be asked.
    """

    key: str
    title: str
    command: tuple[str, ...]
    address: Address
    folder: Path
    payload: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    node: Path | None = None


def receivers(folder: Path, processes: Iterable[int] = (1,)) -> tuple[tuple[Receiver, ...], tuple[str, ...]]:
    """All that can run on this machine, each with a folder of its own; and why others are left out.

    Parameters
    ----------
    processes
        The numbers of listener processes that our node is measured with.
    """
    made: list[Receiver] = []
    left_out: list[str] = []
    made += _floors(folder, left_out)
    if STORESCP.exists():
        made += _dcmtk(folder)
    else:
        left_out.append(f"DCMTK: there is no {STORESCP} (apt-get install dcmtk)")
    if ORTHANC.exists():
        made += _orthanc(folder)
    else:
        left_out.append(f"Orthanc: there is no {ORTHANC} (apt-get install orthanc)")
    made += _pynetdicom(folder)
    for number in processes:
        made += _ours(folder, number)
    return tuple(made), tuple(left_out)


def _floors(folder: Path, left_out: list[str]) -> Iterator[Receiver]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    python = (sys.executable, "-m", "receiving.floor")
    if compiler is None:
        left_out.append("the floor in C: no C compiler (cc) was found; the floor is the one in Python")
        yield _floor(folder, CEILING, "nothing written, Python", python, "discard")
        yield _floor(folder, FLOOR, "floor, Python", python, "write")
        yield _floor(folder, FLOOR_FSYNC, "floor, Python, fsync", python, "fsync")
    else:
        program = folder / "floor-program"
        subprocess.run([compiler, "-O2", "-o", str(program), str(HERE / "floor.c")], check=True)
        yield _floor(folder, CEILING, "nothing written, C", (str(program),), "discard")
        yield _floor(folder, FLOOR, "floor, C", (str(program),), "write")
        yield _floor(folder, FLOOR_FSYNC, "floor, C, fsync", (str(program),), "fsync")
        yield _floor(folder, "floor-python", "floor, Python", python, "write")
        yield _floor(folder, "floor-python-fsync", "floor, Python, fsync", python, "fsync")


def _floor(folder: Path, key: str, title: str, program: tuple[str, ...], mode: str) -> Receiver:
    room, port = _room(folder, key), _free_port()
    command = (*program, str(port), str(room / "files"), mode)
    return _receiver(key, title, command, port, "FLOOR", room)


def _dcmtk(folder: Path) -> Iterator[Receiver]:
    rows: tuple[tuple[str, str, tuple[str, ...], Mapping[str, str]], ...] = (
        (DCMTK, "DCMTK storescp, tuned", ("+B", "-pdu", "131072", "-dhl"), _AT_ONCE),
        (DCMTK_SHIPPED, "DCMTK storescp", (), {}),
    )
    for key, title, options, environment in rows:
        room, port = _room(folder, key), _free_port()
        command = (str(STORESCP), "--fork", *options, "-od", str(room / "files"), str(port))
        yield _receiver(key, title, command, port, "STORESCP", room, environment)


def _orthanc(folder: Path) -> Iterator[Receiver]:
    for key, title, settings, environment in (
        (ORTHANC_TUNED, "Orthanc, tuned, not durable", {**_ORTHANC_TUNED, "SyncStorageArea": False}, _AT_ONCE),
        (ORTHANC_DURABLE, "Orthanc, tuned, durable", _ORTHANC_TUNED, _AT_ONCE),
        ("orthanc", "Orthanc, durable", {}, {}),
    ):
        room, port = _room(folder, key), _free_port()
        configuration = room / "orthanc.json"
        own = {
            "StorageDirectory": str(room / "files"),
            "IndexDirectory": str(room / "index"),
            "HttpPort": _free_port(),
            "DicomPort": port,
            "DicomAet": "ORTHANC",
            "Plugins": [],
        }
        configuration.write_text(json.dumps(own | dict(settings)), encoding="utf-8")
        yield _receiver(key, title, (str(ORTHANC), str(configuration)), port, "ORTHANC", room, environment)


def _pynetdicom(folder: Path) -> Iterator[Receiver]:
    room, port = _room(folder, PYNETDICOM_TUNED), _free_port()
    tuned = (sys.executable, "-m", "receiving.pynetdicom_tuned", str(port), str(room / "files"))
    yield _receiver(PYNETDICOM_TUNED, "pynetdicom, tuned", tuned, port, "PYNETDICOM", room)
    room, port = _room(folder, "pynetdicom"), _free_port()
    shipped = (sys.executable, "-m", "pynetdicom", "storescp", "-od", str(room / "files"), str(port))
    yield _receiver("pynetdicom", "pynetdicom storescp", shipped, port, "STORESCP", room)


def _ours(folder: Path, processes: int) -> Iterator[Receiver]:
    suffix, words = ("", "") if processes == 1 else (f"-{processes}", f", {processes} processes")
    for key, title, durable in ((OURS, "ours, not durable", False), (OURS_DURABLE, "ours, durable", True)):
        room, port = _room(folder, key + suffix), _free_port()
        configuration = room / "cds.toml"
        text = _NODE.format(port=port, durable=str(durable).lower(), processes=processes)
        configuration.write_text(text, encoding="utf-8")
        yield Receiver(
            key=key + suffix,
            title=title + words,
            command=(sys.executable, "-m", "cds.cli", "serve", "--config", str(configuration)),
            address=Address(host="127.0.0.1", port=port, ae_title="CDS"),
            folder=room,
            payload=room / "data" / "blobs",
            node=room / "data",
        )


def _receiver(
    key: str,
    title: str,
    command: tuple[str, ...],
    port: int,
    ae_title: str,
    room: Path,
    environment: Mapping[str, str] | None = None,
) -> Receiver:
    return Receiver(
        key=key,
        title=title,
        command=command,
        address=Address(host="127.0.0.1", port=port, ae_title=ae_title),
        folder=room,
        payload=room / "files",
        environment=environment or {},
    )


def _room(folder: Path, key: str) -> Path:
    room = folder / key
    (room / "files").mkdir(parents=True)
    return room


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
