"""A real Orthanc on loopback that auto-forwards every stable study, for the acceptance tests."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ORTHANC = shutil.which("Orthanc") or shutil.which("orthanc") or "/usr/sbin/Orthanc"

FORWARD = """
function OnStableStudy(studyId, tags, metadata)
  RestApiPost('/modalities/cds/store', studyId)
end
"""


_PORTS = itertools.count(os.getpid() * 2003)


def free_port() -> int:
    """A port for a server that is started later, and may be away for a while.

    It lies below those that the system gives to outgoing connections (32768 and more on Linux): one of
    these could take it meanwhile, and who looks whether the server is back could even meet itself.
    """
    while True:
        port = 20_000 + next(_PORTS) % 10_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> object:
    """The first true value of `condition`, or a failure that says what did not come."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        pause.wait(0.2)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


class Orthanc:
    """One Orthanc process with its storage in `folder`."""

    def __init__(self, folder: Path, cds_port: int) -> None:
        self.folder = folder
        self.http_port = free_port()
        self.dicom_port = free_port()
        script = folder / "forward.lua"
        script.write_text(FORWARD)
        self.configuration = folder / "orthanc.json"
        self.configuration.write_text(
            json.dumps(
                {
                    "Name": "test",
                    "StorageDirectory": str(folder / "db"),
                    "IndexDirectory": str(folder / "db"),
                    "HttpPort": self.http_port,
                    "DicomAet": "ORTHANC",
                    "DicomPort": self.dicom_port,
                    "RemoteAccessAllowed": False,
                    "AuthenticationEnabled": False,
                    "StableAge": 2,
                    "LuaScripts": [str(script)],
                    "DicomModalities": {"cds": ["CDS", "127.0.0.1", cds_port]},
                    "DicomAlwaysAllowStore": True,
                    "OverwriteInstances": False,
                    "Plugins": [],
                }
            )
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "orthanc.log").open("ab") as log:
            self.process = subprocess.Popen([ORTHANC, str(self.configuration)], stdout=log, stderr=log)
        wait_until(self._alive, 120, f"Orthanc's REST interface; see {self.folder / 'orthanc.log'}")

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(60)

    def _alive(self) -> bool:
        try:
            self.get("/system")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def get(self, path: str) -> object:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=60) as answer:
            return json.load(answer)

    def file(self, instance: str) -> bytes:
        url = f"http://127.0.0.1:{self.http_port}/instances/{instance}/file"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return bytes(answer.read())

    def upload(self, content: bytes) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}/instances", data=content, method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200

    def instances(self, study_instance_uid: str) -> list[dict[str, str]]:
        """Id, SOP Instance UID and SOP Class UID of every instance of the study."""
        query = {"Level": "Instance", "Query": {"StudyInstanceUID": study_instance_uid}, "Expand": True}
        body = json.dumps(query).encode()
        url = f"http://127.0.0.1:{self.http_port}/tools/find"
        with urllib.request.urlopen(urllib.request.Request(url, data=body, method="POST"), timeout=60) as answer:
            found = json.load(answer)
        rows = []
        for item in found:
            sop_class = item.get("SOPClassUID") or self._metadata(item["ID"], "SopClassUid")
            rows.append({"id": item["ID"], "uid": item["MainDicomTags"]["SOPInstanceUID"], "class": sop_class})
        return rows

    def _metadata(self, instance: str, name: str) -> str:
        url = f"http://127.0.0.1:{self.http_port}/instances/{instance}/metadata/{name}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return str(answer.read().decode())
