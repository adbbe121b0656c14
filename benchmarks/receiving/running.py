"""A receiver as a running process: started, stopped while others are measured, asked, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from cds.store import Ledger
from receiving.objects import CT
from receiving.receivers import HERE, Receiver
from receiving.sender import Association
from receiving.wire import WireError

_START_SECONDS: Final = 60.0
_SETTLE_SECONDS: Final = 0.1
_LEDGER_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 30.0


class Running:
    """One receiver with its process group; a context manager that leaves no process behind."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self._ledger: Ledger | None = None
        inherited = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
        log = (receiver.folder / "log").open("ab")
        try:
            self._process = subprocess.Popen(
                receiver.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=HERE.parent,
                env=inherited | dict(receiver.environment),
                start_new_session=True,
            )
        finally:
            log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._ledger is not None:
            self._ledger.close()
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def wait_until_it_answers(self) -> None:
        """Until an association with C-ECHO succeeds.

        Raises
        ------
        WireError
            When it has ended, or does not answer in time; the message holds the end of its log.
        """
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._greet()
                return
            except (OSError, WireError) as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise WireError(f"{self.receiver.title} does not answer ({error}): {self._end_of_log()}") from None
                time.sleep(0.1)

    def pause(self) -> None:
        """Stop its processes, so that what it does in the background is not in another's figures."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on, and be sure that it does."""
        self._signal(signal.SIGCONT)
        time.sleep(_SETTLE_SECONDS)
        self._greet()

    def wait_for_rows(self, study_instance_uid: str, count: int) -> None:
        """Until the node's ledger has every instance of the study as a row, as `cds state` prints it.

        Raises
        ------
        WireError
            When that does not happen in time.
        """
        assert self.receiver.node is not None
        if self._ledger is None:
            self._ledger = Ledger(self.receiver.node)
        deadline = time.monotonic() + _LEDGER_SECONDS
        while True:
            started = time.monotonic()
            rows = self._ledger.state(study_instance_uid)["instances"]
            if len(rows) == count and all(row["state"] == "STORED" for row in rows):
                return
            if started > deadline:
                raise WireError(f"{self.receiver.title}: {len(rows)} of {count} instances in the ledger")
            time.sleep(max(0.02, 4 * (time.monotonic() - started)))

    def forget(self) -> None:
        """Truncate what was received: deleted inodes would slow down the next file creations (ext4)."""
        for folder, _, files in os.walk(self.receiver.payload):
            for file in files:
                path = Path(folder, file)
                if path.stat().st_size:
                    os.truncate(path, 0)

    def _greet(self) -> None:
        with Association(self.receiver.address, CT.sop_class_uid) as association:
            association.echo()
            association.release()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _end_of_log(self) -> str:
        return (self.receiver.folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
