"""Where a fault plays: a `cds serve`, a small PACS, and senders."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cds.errors import CdsError
from cds.store import Ledger
from cds.testing.stand_in import Script
from cds_pacs.testing import MiniPacs
from faults.processes import descendants, descriptors, lock_holder, threads, workers
from faults.promises import Known, check_promises
from faults.senders import Instance, Load, Pulse, Sender, Sent
from support.node import CDS, ServedNode
from support.orthanc import free_port, wait_until

PATIENCE_SECONDS = 120.0
STAND_IN = (sys.executable, "-m", "support.stand_in_serve")
TESTS = Path(__file__).parents[1]
PEER = '[[peers]]\nname = "pacs"\nae_title = "PACS"\nport = {port}\nsend_results = true\n'
TIMEOUTS = "[report.dicom]\nconnect_timeout_seconds = 2\nacse_timeout_seconds = 2\ndimse_timeout_seconds = 2\n"


class Stage:
    """A node in `folder`.

    Parameters
    ----------
    node, listener, extra
        Lines of ``[node]``, of ``[node.dicom]``, and further tables.
    analysis_seconds
        After which an analysis counts as hung.
    pacs_port
        Where the node looks for the PACS, where that is not the PACS itself.
    real
        Whether the analysis is the real one, and not the stand-in.
    """

    def __init__(
        self,
        folder: Path,
        *,
        node: str = "",
        listener: str = "",
        extra: str = "",
        quiet_seconds: float = 1.0,
        analysis_seconds: float = 60.0,
        pacs_port: int = 0,
        real: bool = False,
    ) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.port = free_port()
        self.script = Script(folder / "script")
        self.pacs = MiniPacs(folder / "pacs")
        self.pacs.start()
        reserve = "" if "reserve_mb" in node else "reserve_mb = 0\n"
        self.node = ServedNode(
            folder,
            self.port,
            PEER.format(port=pacs_port or self.pacs.port),
            quiet_seconds=quiet_seconds,
            node=f"accept_unknown = true\njournal_mb = 16\n{reserve}{node}",
            extra=f"[node.dicom]\n{listener}\n{TIMEOUTS}{extra}",
            program=CDS if real else [*STAND_IN, str(folder / "script"), str(analysis_seconds)],
        )
        self.sent = Sent()
        self.last_states: dict[str, str] = {}
        self.sender = Sender(self.port, self.sent)
        self.database = ""
        self.environment: dict[str, str] = {}

    # the node

    def start(self, *wrapper: str) -> None:
        """Start and wait until it listens."""
        self.start_it(*wrapper)
        self.wait(lambda: self.listens() or self.node.process.poll() is not None, "the node to listen")
        assert self.node.process.poll() is None, f"it ended; it says {self.node.log()[-2000:]}"

    def start_it(self, *wrapper: str) -> None:
        paths = [str(TESTS), self.environment.get("PYTHONPATH", ""), os.environ.get("PYTHONPATH", "")]
        environment = {**self.environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self.node.start(*wrapper, environment=environment)

    def refuses_to_start(self, *, status: int = 2) -> str:
        """Start what must not start, and what it said; 2 is configuration, 1 what may pass."""
        before = len(self.node.log()) if (self.folder / "serve.log").exists() else 0
        self.start_it()
        assert self.node.process.wait(PATIENCE_SECONDS) == status, self.node.log()[before:]
        return self.node.log()[before:]

    def stop(self) -> None:
        assert self.node.stop() == 0, self.node.log()[-2000:]

    def kill(self) -> None:
        """Everything at once, as a power cut would."""
        self.node.kill()

    def listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def pid(self) -> int:
        """Of the node itself, also behind a wrapper."""
        assert self.node.process
        holder = lock_holder(self.data_dir / "node.lock")
        return holder if holder is not None else self.node.process.pid

    @property
    def listener(self) -> int:
        """The process that writes the first journal."""
        return int(str(self.wait(lambda: lock_holder(self.data_dir / "journal" / "dicom-0.ring"), "a listener")))

    @property
    def worker(self) -> int:
        return int(str(self.wait(lambda: (workers(self.pid, {self.listener}) or [0])[0], "a worker")))

    def ready(self) -> tuple[int, str]:
        """What `/readyz` says."""
        url = re.findall(r"web pages at (\S+)", self.node.log())[-1]
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return int(error.code), error.read().decode()

    # what is sent

    def send(self, *files: Instance) -> list[int]:
        return self.sender.send(files)

    def load(self, files: Sequence[Instance], *, at_a_time: int = 2) -> Load:
        return Load(self.sender, files, at_a_time=at_a_time)

    def pulse(self) -> Pulse:
        return Pulse(self.port)

    # what is so

    def ledger(self) -> Ledger:
        return Ledger(self.data_dir, self.database)

    def state(self) -> dict[str, Any]:
        with suppress(CdsError), self.ledger() as ledger:
            return ledger.state()
        return {"node": None, "instances": [], "studies": []}

    def study(self, number: int) -> dict[str, Any]:
        found = [row for row in self.state()["studies"] if row["study_instance_uid"] == f"2.25.{number}"]
        return dict(found[0]) if found else {"state": "", "reports": [], "attempts": 0}

    def wait(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> object:
        try:
            return wait_until(condition, seconds, what)
        except AssertionError as error:
            log = self.node.log()[-3000:] if (self.folder / "serve.log").exists() else ""
            raise AssertionError(f"{error}; the node says {log}") from None

    def wait_for(self, study: int, state: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The row of a study once it is in a state."""
        self.wait(
            lambda: self.study(study)["state"] == state, f"2.25.{study} {state}, not {self.study(study)}", seconds
        )
        return self.study(study)

    def usage(self) -> dict[str, tuple[int, int]]:
        """Threads and descriptors of node and listener."""
        return {
            name: (threads(pid), descriptors(pid)) for name, pid in (("node", self.pid), ("listener", self.listener))
        }

    def settle(self, states: Mapping[int, str] | None = None, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until everything that was accepted is filed, and every study is in its last state.

        That is REPORTED, where `states`, now or earlier, does not say otherwise.
        """
        self.last_states |= {f"2.25.{number}": state for number, state in (states or {}).items()}
        wanted = dict.fromkeys(self.sent.studies, "REPORTED") | self.last_states

        def quiet() -> bool:
            state = self.state()
            rows = {row["sop_instance_uid"] for row in state["instances"]}
            found = {row["study_instance_uid"]: row["state"] for row in state["studies"]}
            return self.sent.accepted.keys() <= rows and found == wanted

        try:
            self.wait(quiet, "quiet", seconds)
        except AssertionError as error:
            there = {row["study_instance_uid"]: row["state"] for row in self.state()["studies"]}
            odd = {uid: state for uid, state in wanted.items() if there.get(uid) != state}
            raise AssertionError(f"wanted {odd}, there are {there}; {error}") from None

    def check(self, states: Mapping[int, str] | None = None, seconds: float = PATIENCE_SECONDS) -> None:
        """Once quiet, every promise holds."""
        self.settle(states, seconds)
        self.wait(lambda: self.filed(), "the journals to be filed")
        check_promises(
            Known(
                data_dir=self.data_dir,
                database=self.database,
                sent=self.sent,
                pacs=self.pacs,
                log=self.node.log(),
                pids=descendants(self.node.process.pid) if self.node.process else [],
            )
        )

    def filed(self) -> bool:
        """Whether nothing waits in the journals, nor in the spool folder."""
        from cds.store.journal_reader import JournalReader

        for ring in (self.data_dir / "journal").glob("*.ring"):
            reader = JournalReader(ring, follow=True)
            try:
                if reader.fill:
                    return False
            finally:
                reader.close()
        return not any((self.data_dir / "spool").iterdir())

    def close(self) -> None:
        """End what a test left running."""
        self.script.release()
        if self.node.process is not None and self.node.process.poll() is None:
            pids = descendants(self.node.process.pid)
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
                    os.kill(pid, signal.SIGKILL)
            self.node.process.wait(60)
        self.pacs.stop()


def utc_now() -> datetime:
    return datetime.now(UTC)
