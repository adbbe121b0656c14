"""`./run demo`: a small PACS sends two phantom studies, and the reports come back to it.

Everything that runs here is what runs beside a real PACS: `cds serve` in a process of its own,
asked through `cds state`; only the PACS and the patients are made up. Exit status 0 means that the
SR of every study really came back.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.status import Status

from cds.ports import Peer
from cds_pacs.testing.demo_patients import Phantom, write_images, write_records
from cds_pacs.testing.mini_pacs import MiniPacs

FOLDER: Final = Path("cds-demo")
CDS: Final = (sys.executable, "-m", "cds.cli")
START_SECONDS: Final = 120.0
"""What a cold start on a slow disk may take."""
REPORT_SECONDS: Final = 300.0
STOP_SECONDS: Final = 40.0
FINISHED: Final = frozenset({"REPORTED", "FAILED", "SKIPPED", "QUARANTINED", "IDENTITY_CONFLICT"})
CONFIGURATION: Final = """\
data_dir = "node"

[node]
ae_title = "CDS"
port = 0
study_quiet_seconds = 2

[[peers]]
name = "demo-pacs"
ae_title = "PACS"
port = {port}
send_results = true

[records]
sources = ["csv"]

[records.csv]
labs = "{folder}/labs.csv"
reports = "{folder}/reports.csv"

[report]
writers = ["sr", "pdf", "json"]
"""


class DemoFailed(Exception):
    """The demo did not do what it promises; the message says which step."""


@dataclass(frozen=True, slots=True)
class Node:
    """The `cds serve` that the demo started."""

    process: subprocess.Popen[bytes]
    configuration: Path

    def state(self) -> dict[str, Any]:
        """What `cds state --json` says."""
        command = [*CDS, "state", "--json", "--config", str(self.configuration)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            return {"studies": [], "node": None}
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def check_alive(self) -> None:
        """Raise when the node has ended."""
        if self.process.poll() is not None:
            raise DemoFailed(f"`cds serve` ended with status {self.process.returncode}; see {FOLDER / 'serve.log'}")


def main() -> int:
    """Run the demo; the exit status."""
    if len(sys.argv) > 1:
        print("./run demo takes no arguments; it works in ./cds-demo and says where things lie", file=sys.stderr)
        return 0 if sys.argv[1] in ("-h", "--help") else 2
    screen = Console()
    started = time.monotonic()
    try:
        _demo(screen)
    except DemoFailed as error:
        screen.print(f"[bold red]The demo failed:[/] {error}")
        return 1
    screen.print(f"\n[green]Done[/] in {time.monotonic() - started:.0f} s; nothing is left running.")
    return 0


def _demo(screen: Console) -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    write_records(FOLDER / "phantoms")
    with screen.status("starting the node") as status, MiniPacs(FOLDER / "pacs") as pacs:
        with _serving(pacs) as node:
            # The node loads its models meanwhile.
            status.update("making phantoms")
            phantoms = write_images(FOLDER / "phantoms")
            for phantom in phantoms:
                screen.print(f"[cyan]phantom[/]  {phantom.title}: {len(phantom.files)} image(s)")
                for file in phantom.files:
                    pacs.archive.add(file)
            status.update("waiting for the node to listen")
            port = _port(node)
            screen.print(f"[cyan]node[/]     `cds serve` listens on 127.0.0.1:{port}")
            _forward(pacs, phantoms, port, screen, status)
            _await_reports(node, phantoms, screen, status)
        screen.print("[cyan]node[/]     stopped after SIGTERM")
        _check_returned(pacs, phantoms)
    for phantom in phantoms:
        _show(phantom, screen)
    _say_where(phantoms, screen)


@contextmanager
def _serving(pacs: MiniPacs) -> Iterator[Node]:
    configuration = FOLDER / "cds.toml"
    records = (FOLDER / "phantoms").resolve()
    configuration.write_text(CONFIGURATION.format(port=pacs.port, folder=records.as_posix()), encoding="utf-8")
    with (FOLDER / "serve.log").open("wb") as log:
        command = [*CDS, "serve", "--config", str(configuration)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield Node(process, configuration)
            process.terminate()
            if process.wait(STOP_SECONDS) != 0:
                raise DemoFailed(f"`cds serve` did not stop cleanly: exit status {process.returncode}")
        except subprocess.TimeoutExpired:
            raise DemoFailed(f"`cds serve` did not stop within {STOP_SECONDS:.0f} s of SIGTERM") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _port(node: Node) -> int:
    for _ in _until(START_SECONDS, "the node to listen"):
        node.check_alive()
        about = node.state().get("node")
        if about and about["port"]:
            return int(about["port"])
    raise AssertionError("unreachable: _until raises")


def _forward(pacs: MiniPacs, phantoms: Sequence[Phantom], port: int, screen: Console, status: Status) -> None:
    peer = Peer(name="cds", ae_title="CDS", host="127.0.0.1", port=port)
    for phantom in phantoms:
        status.update(f"the PACS forwards: {phantom.title}")
        count = pacs.forward(phantom.study_instance_uid, peer)
        screen.print(f"[cyan]PACS[/]     forwarded {count} instance(s), all acknowledged: {phantom.title}")


def _await_reports(node: Node, phantoms: Sequence[Phantom], screen: Console, status: Status) -> None:
    titles = {phantom.study_instance_uid: phantom.title for phantom in phantoms}
    seen: dict[str, str] = {}
    for waited in _until(REPORT_SECONDS, "the reports"):
        node.check_alive()
        rows = {
            row["study_instance_uid"]: row for row in node.state()["studies"] if row["study_instance_uid"] in titles
        }
        for uid, row in rows.items():
            if seen.get(uid) != row["state"]:
                seen[uid] = row["state"]
                screen.print(f"[cyan]state[/]    {row['state']:<10} {titles[uid]} {row['reason']}".rstrip())
        status.update(f"waiting for the reports, {waited:.0f} s")
        if len(seen) == len(titles) and set(seen.values()) <= FINISHED:
            break
    failed = {titles[uid]: rows[uid]["reason"] for uid, state in seen.items() if state != "REPORTED"}
    if failed:
        raise DemoFailed(f"no report: {failed}")


def _check_returned(pacs: MiniPacs, phantoms: Sequence[Phantom]) -> None:
    for phantom in phantoms:
        count = len(pacs.structured_reports(phantom.study_instance_uid))
        if count != 1:
            raise DemoFailed(f"the PACS holds {count} SRs of {phantom.title}, not one")


def _show(phantom: Phantom, screen: Console) -> None:
    """Show the JSON encoding of the same report, in the words of `cds show`."""
    for file in sorted((FOLDER / "node").rglob("*.json")):
        if json.loads(file.read_text(encoding="utf-8")).get("study_instance_uid") == phantom.study_instance_uid:
            screen.rule(phantom.title)
            sys.stdout.flush()
            subprocess.run([*CDS, "show", str(file)], check=True)
            return
    raise DemoFailed(f"the node kept no JSON of the report of {phantom.title}")


def _say_where(phantoms: Sequence[Phantom], screen: Console) -> None:
    archive = MiniPacs(FOLDER / "pacs").archive
    screen.rule("Where things lie")
    for phantom in phantoms:
        screen.print(f"[bold]{phantom.title}[/]")
        for one in archive.objects(phantom.study_instance_uid):
            if one.modality in ("SR", "DOC"):
                name = {"SR": "structured report", "DOC": "encapsulated PDF"}[one.modality]
                screen.print(f"  {name:<18} {one.path}", highlight=False, soft_wrap=True)
    for pdf in sorted((FOLDER / "node").rglob("*.pdf")):
        screen.print(f"  {'PDF to open':<18} {pdf}", highlight=False, soft_wrap=True)


def _until(seconds: float, what: str) -> Iterator[float]:
    """Yield the seconds waited so far, twice a second, until they are over."""
    pause, began = threading.Event(), time.monotonic()
    while (waited := time.monotonic() - began) < seconds:
        yield waited
        pause.wait(0.5)
    raise DemoFailed(f"waited {seconds:.0f} s in vain for {what}; see {FOLDER / 'serve.log'}")


if __name__ == "__main__":
    sys.exit(main())
