"""`cds serve` as a user runs it: its own process, its own configuration; its ledger is looked at from here."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cds.errors import CdsError
from cds.store import Ledger
from support.orthanc import wait_until

CDS = [sys.executable, "-m", "cds.cli"]


class ServedNode:
    """One node in `folder`, with the peers and extra TOML that the test gives.

    `node` are further lines of ``[node]``, `program` runs in place of `cds`.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        peers: str,
        *,
        quiet_seconds: float = 3,
        node: str = "",
        extra: str = "",
        program: Sequence[str] = CDS,
    ) -> None:
        self.folder = folder
        self.port = port
        self.quiet_seconds = quiet_seconds
        self.program = list(program)
        self.configuration = folder / "cds.toml"
        self.configuration.write_text(
            f'data_dir = "data"\n[node]\nport = {port}\nstudy_quiet_seconds = {quiet_seconds}\n'
            f"retry_seconds = 1\n{node}\n[web]\nport = 0\n{peers}\n{extra}\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *wrapper: str, environment: Mapping[str, str] | None = None) -> None:
        with (self.folder / "serve.log").open("ab") as log:
            command = [*wrapper, *self.program, "serve", "--config", str(self.configuration)]
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env={**os.environ, **(environment or {})}
            )

    def wait_until_it_listens(self, seconds: float = 240) -> None:
        """What is sent before is refused, and some senders do not try again."""
        wait_until(self._listens, seconds, "the node to listen")

    def _listens(self) -> bool:
        assert self.process is not None and self.process.poll() is None, f"it ended; it says {self.log()[-2000:]}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """SIGKILL to the whole process group, as a power cut would."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def stop(self) -> int:
        """SIGTERM, and the exit status after the drain."""
        assert self.process
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(120)

    def state(self) -> dict[str, Any]:
        """What `cds state --json` says, without a process for each look."""
        with suppress(CdsError), Ledger(self.folder / "data") as ledger:
            return ledger.state()
        return {"node": None, "instances": [], "studies": []}

    def study(self, study_instance_uid: str) -> dict[str, Any]:
        for row in self.state()["studies"]:
            if row["study_instance_uid"] == study_instance_uid:
                return dict(row)
        return {"state": "", "reports": []}

    def log(self) -> str:
        return (self.folder / "serve.log").read_text(errors="replace")
