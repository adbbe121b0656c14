"""How many HL7 messages a second our listener keeps: each on the disk before it is answered.

    python benchmarks/mllp.py [--seconds 10] [--connections 1 4] [--pace 200] [--folder DIR] [--json FILE]

The listener runs in a process of its own, as in a node. Each connection sends an ORU^R01 with eleven OBX
(about 1.2 kB), waits for its answer, and sends the next. At the end the rows are counted against the answers AA.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from cds.testing.contract_listeners import RefusingIntake, loopback
from cds_hl7.framing import framed
from cds_hl7.kept import MessageStore, store_path
from cds_hl7.listener import Hl7Listener, Hl7ListenerSettings

_SPAWN: Final = multiprocessing.get_context("spawn")
_TESTS: Final = (
    "1988-5",
    "6690-2",
    "777-3",
    "718-7",
    "2160-0",
    "2951-2",
    "2823-3",
    "1742-6",
    "1920-8",
    "2345-7",
    "2532-0",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measurement; times in milliseconds."""

    connections: int
    messages_per_second: float
    median_ms: float
    p99_ms: float
    accepted: int
    rows: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 where rows and answers do not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4], help="open at once, one run each")
    parser.add_argument("--pace", type=float, default=0.0, help="messages a second, all together; 0: as many as go")
    parser.add_argument("--folder", default=None, help="where the listener writes: a disk, not memory")
    parser.add_argument("--json", default="", metavar="FILE", help="write the figures, too")
    options = parser.parse_args(arguments)
    runs = []
    for connections in options.connections:
        with tempfile.TemporaryDirectory(prefix="cds-benchmark-", dir=options.folder) as name:
            runs.append(measured(Path(name), connections, options.seconds, options.pace))
        run = runs[-1]
        print(
            f"{run.connections} connections: {run.messages_per_second:.0f} messages/s, median {run.median_ms:.2f} ms,"
            f" 99 % within {run.p99_ms:.2f} ms; {run.accepted} answered AA, {run.rows} rows",
            flush=True,
        )
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(run) for run in runs], indent=1) + "\n", encoding="utf-8")
    return 0 if all(run.accepted == run.rows for run in runs) else 1


def measured(folder: Path, connections: int, seconds: float, pace: float) -> Run:
    """Start a listener, send for so many seconds over so many connections, stop it and count."""
    ours, theirs = _SPAWN.Pipe()
    child = _SPAWN.Process(target=_listen, args=(theirs, str(folder)), daemon=True)
    child.start()
    port = int(ours.recv())
    took: list[float] = []
    started = time.perf_counter()
    every = connections / pace if pace else 0.0
    callers = [
        threading.Thread(target=_send, args=(port, number, started + seconds, every, took))
        for number in range(connections)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    elapsed = time.perf_counter() - started
    ours.send("stop")
    child.join()
    store = MessageStore(store_path(str(folder)))
    rows = store.count()
    store.close()
    return Run(
        connections=connections,
        messages_per_second=len(took) / elapsed,
        median_ms=statistics.median(took) * 1000,
        p99_ms=statistics.quantiles(took, n=100)[98] * 1000,
        accepted=len(took),
        rows=rows,
    )


def _listen(pipe: Connection, folder: str) -> None:
    listener = Hl7Listener(Hl7ListenerSettings(data_dir=folder))
    pipe.send(listener.start(loopback(), RefusingIntake()))
    pipe.recv()
    listener.stop()


def _send(port: int, number: int, until: float, every: float, took: list[float]) -> None:
    """Ask and wait, a message `every` so many seconds, until the time is over; what each took goes to `took`."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        count, due = 0, time.perf_counter()
        while time.perf_counter() < until:
            time.sleep(max(0.0, due - time.perf_counter()))
            due += every
            control_id = f"{number}-{count}"
            began = time.perf_counter()
            sock.sendall(framed(_message(control_id, count)))
            answer = b""
            while not answer.endswith(b"\x1c\r"):
                answer += sock.recv(4096)
            if f"MSA|AA|{control_id}\r".encode() not in answer:
                raise RuntimeError("a message was not accepted")
            took.append(time.perf_counter() - began)
            count += 1


def _message(control_id: str, count: int) -> bytes:
    lines = [
        f"MSH|^~\\&|LIS|LAB|CDS|NODE|20260131080500+0000||ORU^R01^ORU_R01|{control_id}|P|2.5.1||||||UNICODE UTF-8",
        f"PID|1||P-{count % 1000}^^^HOSP^MR||Doe^Jane||19500102|F",
        f"OBR|1|PL-{control_id}|F-{control_id}|24323-8^panel^LN|||20260131080000+0000",
    ]
    lines += [
        f"OBX|{place}|NM|{loinc}^a laboratory value^LN||{count % 100}|mg/L|0-5||||F|||20260131080000+0000"
        for place, loinc in enumerate(_TESTS, start=1)
    ]
    return "".join(line + "\r" for line in lines).encode()


if __name__ == "__main__":
    sys.exit(main())
